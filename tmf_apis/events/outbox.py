"""What happened to a resource, as it waits inside the resource's document; pure, no I/O.

A write and the events it causes are one document write: the engine pushes what these functions
return onto the document's ``events`` array, and the relay takes it from there::

    id        eventId, the same in every attempt and for every subscriber
    kind      "ProductOrder"
    what      "Create", "AttributeValueChange", "StateChange", "Delete", "Milestone" ...
    at        RFC 3339, milliseconds, UTC
    seq       rev * 16 + position: orders the events of one resource
    tenant    whose it is
    resource  the resource's id
    parties   who may see it, as they were then
    body      the stored form as it was then, without id and href
    due       0; milliseconds since 1970 once a listener has failed and it waits
    tries     how often a listener has failed
    fanned    whether it has been handed to the subscriptions already
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

#: Most events of one write.
MAX_EVENTS = 16
#: Attributes that change with every write and are no news by themselves.
TIMESTAMP_ATTRIBUTES = frozenset({"lastUpdate", "lastModified"})


class PendingEvent(TypedDict):
    """One thing that happened; the module's docstring has the members."""

    id: str
    kind: str
    what: str
    at: str
    seq: int
    tenant: str
    resource: str
    parties: list[str]
    body: dict[str, Any]
    due: int
    tries: int
    fanned: bool


class EventOrigin(TypedDict):
    """The resource that an event is about, as the same write leaves it.

    ``rev`` is the revision that the write makes, ``now`` the time of the write in UTC, ``parties``
    the ids of those that may see the resource, ``tenant`` of a deleted one the tenant it had.
    """

    tenant: str
    id: str
    rev: int
    parties: Iterable[str]
    now: datetime


def pending_event(
    kind: str,
    event_name: str,
    body: Mapping[str, Any],
    position: int = 0,
    **origin: Unpack[EventOrigin],
) -> dict[str, Any]:
    """Return a pending event of any name.

    Args:
        kind: The resource's kind.
        event_name: The event's name between the kind and "Event": "Create", "InformationRequired" ...
        body: The resource's stored form after the write, without id and href.
        position: Position among the events of the same write, 0 to 15.
        **origin: Whose it is, its id, revision and parties, and the time.

    Raises:
        ValueError: One write has at most 16 events.
    """
    if not 0 <= position < MAX_EVENTS:
        raise ValueError(f"one write has at most {MAX_EVENTS} events")
    event: PendingEvent = {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "what": event_name,
        "at": origin["now"].isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "seq": origin["rev"] * MAX_EVENTS + position,
        "tenant": origin["tenant"],
        "resource": origin["id"],
        "parties": list(origin["parties"]),
        "body": dict(body),
        "due": 0,
        "tries": 0,
        "fanned": False,
    }
    return dict(event)


def resource_created(
    kind: str, body: Mapping[str, Any], **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a new resource."""
    return pending_event(kind, "Create", body, **origin)


def attribute_value_changed(
    kind: str, body: Mapping[str, Any], position: int = 0, **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of an attribute that has another value now."""
    return pending_event(kind, "AttributeValueChange", body, position, **origin)


def state_changed(
    kind: str, body: Mapping[str, Any], position: int = 0, **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a step in the lifecycle."""
    return pending_event(kind, "StateChange", body, position, **origin)


def resource_deleted(
    kind: str, body: Mapping[str, Any], **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a resource that is no more; ``body`` is its last form."""
    return pending_event(kind, "Delete", body, **origin)


def change_events(
    kind: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    state_attributes: Iterable[str],
    extra_events: Iterable[str] = (),
    **origin: Unpack[EventOrigin],
) -> list[dict[str, Any]]:
    """Return what a change is to subscribers: a state change, another attribute's, or both.

    Args:
        kind: The resource's kind.
        old: Its stored form before.
        new: Its stored form after.
        state_attributes: Attributes whose change is a StateChange.
        extra_events: What else has happened by it ("Milestone").
        **origin: As for every event.
    """
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)} - TIMESTAMP_ATTRIBUTES
    events = []
    if names & set(state_attributes):
        events.append(state_changed(kind, new, **origin))
    if names - set(state_attributes):
        events.append(attribute_value_changed(kind, new, len(events), **origin))
    for what in extra_events:
        events.append(pending_event(kind, what, new, len(events), **origin))
    return events
