"""What a subscriber receives: the event around the resource, and the parts it asked for.

Source: TMF630 part 1, "Notification"; TM Forum Event schema v4 and v5.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.events.outbox import PendingEvent

Json = dict[str, Any]
#: Members that stay whatever ``fields`` says: without them nothing can be told apart.
MANDATORY_MEMBERS = ("eventId", "eventTime", "eventType", "@type")


@dataclass(frozen=True, slots=True)
class Audience:
    """Who speaks the same language.

    Attributes:
        api: The API's number, "TMF622".
        version: "v4" or "v5".
        base_url: URL of this server as these subscribers know it, without a slash at the end.
    """

    api: str
    version: str
    base_url: str


#: Turns an event into what an audience receives; None: their contract has no such event.
EventRenderer = Callable[[PendingEvent, Audience], Json | None]


def notification(
    event: PendingEvent, resource_name: str, resource: Json, audience: Audience
) -> Json:
    """Return the notification of an event.

    Args:
        event: What happened.
        resource_name: Name of the resource in the payload, "productOrder".
        resource: The resource in the audience's version, id and href included.
        audience: Who it is for.
    """
    event_type = f"{event['kind']}{event['what']}Event"
    envelope: Json = {
        "eventId": event["id"],
        "eventTime": event["at"],
        "eventType": event_type,
        "event": {resource_name: resource},
    }
    return {**envelope, "@type": event_type} if audience.version == "v5" else envelope


def field_projection(document: Json, fields: Iterable[str]) -> Json:
    """Return the parts of a notification that a subscriber asked for, and what identifies it.

    >>> field_projection({"eventId": "1", "event": {"x": [{"a": 1, "b": 2}], "y": 3}}, ["event.x.a"])
    {'eventId': '1', 'event': {'x': [{'a': 1}]}}
    """
    wanted: Json = {}
    paths = set(fields)
    for path in paths:
        if any(path.startswith(f"{shorter}.") for shorter in paths):
            continue
        place = wanted
        for name in path.split("."):
            place = place.setdefault(name, {})
    always: Json = {name: document[name] for name in MANDATORY_MEMBERS if name in document}
    kept = {
        k: _value_projection(document[k], below) for k, below in wanted.items() if k in document
    }
    return always | kept if wanted else document


def _value_projection(value: object, tree: Json) -> object:
    if isinstance(value, list):
        return [_value_projection(item, tree) for item in value]
    if not tree or not isinstance(value, dict):
        return value
    return {
        name: _value_projection(value[name], below) for name, below in tree.items() if name in value
    }
