"""The entries of the audit log, their digests, and the origin of requests."""

from datetime import UTC, datetime, timedelta

import pytest

from tmf_apis.audit_log.blocks import ChainHead
from tmf_apis.audit_log.entries import (
    EVENTS_PER_WRITE,
    attribute_names,
    digest,
    entry_of_event,
    new_entry,
    resource_of_entry,
)
from tmf_apis.audit_log.recorder import is_recorded_refusal
from tmf_apis.events.outbox import MAX_EVENTS, pending_event
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import request_origin

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
STAFF, PARTY = Identity("ann", "acme"), Identity("bob", "acme", frozenset({"42"}))


def test_an_event_carries_its_entry():
    origin = {"tenant": "acme", "id": "7", "rev": 3, "parties": [], "now": NOW}
    event = pending_event("Customer", "AttributeValueChange", {"name": "Jane"}, **origin)
    assert entry_of_event(event) is None
    event["audit"] = {"operation": "change", "subject": "ann", "attributes": ["name"]}
    entry = entry_of_event(event)
    assert (entry["_id"], entry["revision"], entry["time"]) == (event["id"], 3, NOW)
    assert "Jane" not in str(entry)


def test_the_revision_of_an_event_is_read_as_it_is_written():
    assert EVENTS_PER_WRITE == MAX_EVENTS


def test_the_digest_depends_on_every_member_but_not_on_their_order():
    entry = new_entry("acme", "change", {"subject": "ann"}, revision=1)
    assert digest(dict(reversed(entry.items()))) == digest(entry)
    for name in entry.keys() - {"pending"}:
        assert digest({**entry, name: "x"}) != digest(entry), name
    assert digest({**entry, "more": 1}) != digest(entry)
    assert digest({**entry, "pending": False}) == digest(entry)


def test_the_digest_does_not_depend_on_the_zone_of_a_time():
    entry = new_entry("acme", "change", {}) | {"time": NOW}
    naive = {**entry, "time": NOW.replace(tzinfo=None)}
    assert digest(naive) == digest(entry)
    assert digest({**entry, "time": NOW + timedelta(milliseconds=1)}) != digest(entry)


def test_an_entry_is_shown_without_its_internal_members():
    shown = resource_of_entry(new_entry("acme", "change", {}) | {"time": NOW, "_id": "1"})
    assert shown["id"] == "1"
    assert shown["time"] == "2026-01-02T03:04:05.678Z"
    assert not {"_id", "pending"} & set(shown)


@pytest.mark.parametrize("name", ["Jane Doe", "", "a.b", "jane@example.com", "x" * 65, "naïve"])
def test_invented_names_of_attributes_are_not_repeated(name):
    assert attribute_names([name]) == ["(other)"]


@pytest.mark.parametrize(
    ("method", "status", "identity", "expected"),
    [
        ("GET", 401, None, True),
        ("GET", 403, STAFF, True),
        ("GET", 429, STAFF, True),
        ("GET", 404, STAFF, False),
        ("GET", 404, PARTY, True),
        ("PATCH", 404, PARTY, True),
        ("GET", 412, STAFF, False),
        ("PATCH", 412, STAFF, True),
        ("POST", 409, STAFF, True),
        ("POST", 422, STAFF, True),
        ("POST", 400, PARTY, False),
        ("GET", 200, PARTY, False),
    ],
)
def test_refusals_are_told_from_mistakes(method, status, identity, expected):
    assert is_recorded_refusal(method, status, identity) is expected


@pytest.mark.parametrize("address", ["unix:", "evil\nline", "x" * 60, "a, b"])
def test_an_address_that_is_none_is_dropped(address):
    assert request_origin(address, {}).address == ""


@pytest.mark.parametrize("text", ["", "acme 1 2", "acme one 2 h", "a 1 2 h more"])
def test_a_checkpoint_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|invalid"):
        ChainHead.from_checkpoint(text)
