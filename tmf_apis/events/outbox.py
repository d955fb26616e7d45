"""The outbox: pending events inside the document of the resource; pure, no I/O.

A write and the events that it causes are one document write: the writer appends the events that
these functions return to the document's ``events`` array, and the relay processes and removes
them. An event has the members::

    id        eventId, the same in every attempt and for every subscriber
    kind      kind of the resource, "ProductOrder"
    what      "Create", "AttributeValueChange", "StateChange", "Delete", "Milestone" ...
    at        time of the write; RFC 3339, milliseconds, UTC
    seq       rev * 16 + position: orders the events of one resource
    tenant    tenant of the resource
    resource  id of the resource
    parties   parties that can see the resource after the write
    body      stored form of the resource after the write, without id and href; in the database
              without its personal values
    changes   names of the attributes of the stored form that differ; of changes only
    written   the time of the write in the database, see ``store/write_times.py``; the relay adds it
    seal      the encrypted personal values; absent if there are none
    due       time of the next attempt in milliseconds since 1970; 0 until an attempt has failed
    tries     number of failed attempts
    fanned    true once its deliveries are queued
    audit     facts about the write for the audit log; only in the first event of a write
    request   id of the request that has caused the write; absent if there was none
    trace     ``traceparent`` of that request; absent if it had none
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack

from bson import Timestamp

#: Most events of one write.
MAX_EVENTS = 16
#: Name of the event of a write that no subscriber hears of; it carries the write's audit record.
UNANNOUNCED = ""
#: Attributes that every write changes; a change of these alone causes no event.
TIMESTAMP_ATTRIBUTES = frozenset({"lastUpdate", "lastModified"})


class PendingEvent(TypedDict):
    """An event in the outbox; the module's docstring describes the members."""

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
    changes: NotRequired[list[str]]
    written: NotRequired[Timestamp]
    seal: NotRequired[dict[str, Any]]
    audit: NotRequired[dict[str, Any]]
    request: NotRequired[str]
    trace: NotRequired[str]


class EventOrigin(TypedDict):
    """The resource that an event is about, as it is after the write.

    ``rev`` is the revision after the write, ``now`` the time of the write in UTC, ``parties`` the
    ids of the parties that can see the resource. ``tenant`` of a deleted resource is the tenant
    that it had before.
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
        event_name: Part of the event type between the kind and "Event": "Create",
            "InformationRequired" ...
        body: The resource's stored form after the write, without id and href.
        position: Position among the events of the same write, 0 to 15.
        **origin: The resource, see ``EventOrigin``.

    Raises:
        ValueError: The position is out of range: one write has at most 16 events.
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
    """Return the event of a created resource."""
    return pending_event(kind, "Create", body, **origin)


def attribute_value_changed(
    kind: str, body: Mapping[str, Any], position: int = 0, **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a changed attribute."""
    return pending_event(kind, "AttributeValueChange", body, position, **origin)


def state_changed(
    kind: str, body: Mapping[str, Any], position: int = 0, **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a state change."""
    return pending_event(kind, "StateChange", body, position, **origin)


def resource_deleted(
    kind: str, body: Mapping[str, Any], **origin: Unpack[EventOrigin]
) -> dict[str, Any]:
    """Return the event of a deleted resource; ``body`` is its last stored form."""
    return pending_event(kind, "Delete", body, **origin)


def changed_attributes(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the names of the attributes that differ."""
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def unannounced_write(kind: str, **origin: Unpack[EventOrigin]) -> dict[str, Any]:
    """Return the event of a write that changes nothing that subscribers hear of."""
    return pending_event(kind, UNANNOUNCED, {}, **origin)


def change_events(
    kind: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    state_attributes: Iterable[str],
    extra_events: Iterable[str] = (),
    **origin: Unpack[EventOrigin],
) -> list[dict[str, Any]]:
    """Return the events of a change: a state change, a change of other attributes, or both.

    Args:
        kind: The resource's kind.
        old: Its stored form before.
        new: Its stored form after.
        state_attributes: Attributes whose change is a StateChange.
        extra_events: Names of further events that the change causes ("Milestone").
        **origin: The resource, see ``EventOrigin``.
    """
    names = changed_attributes(old, new) - TIMESTAMP_ATTRIBUTES
    events = []
    if states := names & set(state_attributes):
        events.append({**state_changed(kind, new, **origin), "changes": sorted(states)})
    if others := names - set(state_attributes):
        event = attribute_value_changed(kind, new, len(events), **origin)
        events.append({**event, "changes": sorted(others)})
    for event_name in extra_events:
        events.append(pending_event(kind, event_name, new, len(events), **origin))
    return events
