"""Entries of the audit log; pure, no I/O.

A write carries the facts about itself in the member ``audit`` of its first pending event, so a
change and its entry are one document write. The relay makes the entry of it and stores it before
it removes the event. Other entries (refusals, administration, loads) are made here directly.

An entry has the members::

    _id         the eventId of the write's first event; a new id for other entries
    tenant      the tenant
    time        time of the write, in UTC, milliseconds
    subject     subject of the client's token; of commands and the server: a name of their own
    parties     parties for which the client acts; absent: the operator's staff and systems
    address     address of the client; absent: a command or the server itself
    requestId   id of the request (X-Request-Id)
    account     account of the operating system that ran a command
    actor       the part of the server that wrote on behalf of ``subject``; absent: the client
    cause       the resource that the server worked for, as "<kind>:<id>"
    operation   "create", "change", "delete", "load" ...; of refusals: the operation's name
    kind        kind of the resource
    resource    id of the resource; a list of ids if the entry is about a batch of new resources
    revision    revision of the resource after the write
    attributes  names of the attributes that changed; never their values
    oldState    state before the write, one of the states of the kind's lifecycle
    newState    state after it
    outcome     "done" or "refused"
    status      HTTP status of a refusal
    count       number of equal refusals that the entry stands for
    until       time of the last of them
    sequence    position in the tenant's chain, 1, 2, 3 ...; absent until it is sealed
    pending     true until it is sealed
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from tmf_apis.security.request_origin import RequestOrigin

Document = dict[str, Any]

#: Number of events that one write can have; ``events.outbox.MAX_EVENTS``.
EVENTS_PER_WRITE = 16
#: Members that are not part of an entry's digest.
UNDIGESTED = frozenset({"pending"})
#: Stands for the names of attributes that are no names: a client can invent them.
OTHER_ATTRIBUTE = "(other)"
_ATTRIBUTE_NAME = re.compile(r"@?[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def client_facts(origin: RequestOrigin, subject: str, parties: Iterable[str] | None) -> Document:
    """Return the members of an entry that name the client.

    Args:
        origin: The origin of the request.
        subject: Subject that writes. If the request has another client, it is the ``actor``.
        parties: Parties of ``subject``; None: staff.
    """
    facts: Document = {"subject": origin.subject or subject}
    if origin.subject and origin.subject != subject:
        facts["actor"] = subject
    acting_for = origin.parties if origin.subject else parties
    if acting_for is not None:
        facts["parties"] = sorted(acting_for)
    for name, value in (
        ("address", origin.address),
        ("requestId", origin.request_id),
        ("account", origin.account),
        ("cause", origin.cause),
    ):
        if value:
            facts[name] = value
    return facts


def attribute_names(names: Iterable[str]) -> list[str]:
    """Return the names of attributes, sorted; names that a client invented are not repeated.

    >>> attribute_names(["name", "@type", "555 1234"])
    ['(other)', '@type', 'name']
    """
    return sorted({n if _ATTRIBUTE_NAME.fullmatch(n) else OTHER_ATTRIBUTE for n in names})


def entry_of_event(event: Mapping[str, Any]) -> Document | None:
    """Return the entry of the write that an event is the first of; None if it is not the first."""
    record = event.get("audit")
    if record is None:
        return None
    entry: Document = {
        "_id": event["id"],
        "tenant": event["tenant"],
        "time": datetime.fromisoformat(event["at"]),
        "kind": event["kind"],
        "resource": event["resource"],
        "revision": event["seq"] // EVENTS_PER_WRITE,
        "outcome": "done",
        "pending": True,
        **record,
    }
    if entry["operation"] == "create":
        entry["attributes"] = attribute_names(event["body"])
    return entry


def attribute_to_creator(
    entry: Document, creators: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    """Name the creator of the resource that the server worked for as the subject of an entry.

    Args:
        entry: The entry; it is changed.
        creators: The creators of resources, by tenant and "<kind>:<id>".
    """
    creator = creators.get((entry["tenant"], entry.get("cause", "")))
    if creator is None or "address" in entry:
        return
    entry["actor"], entry["subject"] = entry["subject"], creator["subject"]
    entry.pop("parties", None)
    if "parties" in creator:
        entry["parties"] = creator["parties"]


def new_entry(tenant: str, operation: str, facts: Mapping[str, Any], **members: object) -> Document:
    """Return an entry that no event carries.

    Args:
        tenant: The tenant.
        operation: Name of the operation.
        facts: The members that name the client, see ``client_facts``.
        **members: Further members; those that are None are left out.
    """
    now = datetime.now(UTC)
    return {
        "_id": str(uuid.uuid4()),
        "tenant": tenant,
        "time": now.replace(microsecond=now.microsecond // 1000 * 1000),
        "operation": operation,
        "outcome": "done",
        "pending": True,
        **facts,
        **{name: value for name, value in members.items() if value is not None},
    }


def digest(entry: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 digest of an entry's canonical JSON, without ``UNDIGESTED``.

    Canonical JSON has sorted names, no blanks, and times in UTC with milliseconds.
    """
    members = {name: value for name, value in entry.items() if name not in UNDIGESTED}
    text = orjson.dumps(members, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NAIVE_UTC)
    return hashlib.sha256(text).digest()


def resource_of_entry(entry: Mapping[str, Any]) -> Document:
    """Return an entry as clients see it: ``id`` instead of ``_id``, times as text."""
    members: Document = {"id": entry["_id"]}
    for name, value in entry.items():
        if name in {"_id", "pending"}:
            continue
        members[name] = timestamp(value) if isinstance(value, datetime) else value
    return members


def timestamp(instant: datetime) -> str:
    """Return a time as RFC 3339 text in UTC, with milliseconds."""
    text = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return text.isoformat(timespec="milliseconds").replace("+00:00", "Z")
