"""Notifications: the body that a subscriber receives, reduced to the fields that it selected.

Source: TMF630 part 1, "Notification"; TM Forum Event schema v4 and v5.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.events.outbox import PendingEvent

Json = dict[str, Any]
#: Members that each notification has, whatever ``fields`` selects: they identify the event.
MANDATORY_MEMBERS = ("eventId", "eventTime", "eventType", "@type")


@dataclass(frozen=True, slots=True)
class Audience:
    """Subscribers that receive the same notification of an event.

    Attributes:
        api: The API's number, "TMF622".
        version: "v4" or "v5".
        base_url: URL of this server as these subscribers know it, without a trailing slash.
        sees_personal_data: They receive personal attributes; to others these are masked.
    """

    api: str
    version: str
    base_url: str
    sees_personal_data: bool = True


#: Returns the notification of an event for an audience; None: its contract has no such event.
EventRenderer = Callable[[PendingEvent, Audience], Json | None]


def notification(
    event: PendingEvent, resource_name: str, resource: Json, audience: Audience
) -> Json:
    """Return the notification of an event.

    Args:
        event: The event.
        resource_name: Name of the resource in the payload, such as "productOrder".
        resource: The resource in the audience's version, including id and href.
        audience: The receivers.
    """
    event_type = f"{event['kind']}{event['what']}Event"
    envelope: Json = {
        "eventId": event["id"],
        "eventTime": event["at"],
        "eventType": event_type,
        "event": {resource_name: resource},
    }
    if request_id := event.get("request"):
        envelope["correlationId"] = request_id
    return {**envelope, "@type": event_type} if audience.version == "v5" else envelope


def field_projection(document: Json, fields: Iterable[str]) -> Json:
    """Return a notification reduced to the selected fields and its mandatory members.

    >>> event = {"x": [{"a": 1, "b": 2}], "y": 3}
    >>> field_projection({"eventId": "1", "event": event}, ["event.x.a"])
    {'eventId': '1', 'event': {'x': [{'a': 1}]}}
    """
    tree: Json = {}
    paths = set(fields)
    for path in paths:
        if any(path.startswith(f"{shorter}.") for shorter in paths):
            continue
        node = tree
        for name in path.split("."):
            node = node.setdefault(name, {})
    if not tree:
        return document
    mandatory = {name: document[name] for name in MANDATORY_MEMBERS if name in document}
    selected = {
        name: _value_projection(document[name], subtree)
        for name, subtree in tree.items()
        if name in document
    }
    return mandatory | selected


def _value_projection(value: object, tree: Json) -> object:
    if isinstance(value, list):
        return [_value_projection(item, tree) for item in value]
    if not tree or not isinstance(value, dict):
        return value
    return {
        name: _value_projection(value[name], subtree)
        for name, subtree in tree.items()
        if name in value
    }
