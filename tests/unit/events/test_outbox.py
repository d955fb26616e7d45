"""Pending events that a write causes."""

from datetime import UTC, datetime

import bson
import pytest

from tmf_apis.events import outbox

ORIGIN = {
    "tenant": "acme",
    "id": "1",
    "rev": 3,
    "parties": [],
    "now": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
}


def test_a_change_of_state_and_of_another_attribute_causes_two_events_in_order():
    events = outbox.change_events(
        "ProductOrder",
        {"state": "a", "x": 1, "lastUpdate": "1"},
        {"state": "b", "x": 2, "lastUpdate": "2"},
        state_attributes=["state"],
        **ORIGIN,
    )
    assert [(event["what"], event["seq"]) for event in events] == [
        ("StateChange", 48),
        ("AttributeValueChange", 49),
    ]
    assert events[0]["at"] == "2026-01-02T03:04:05.678Z"


def test_a_change_of_the_timestamp_alone_causes_no_event():
    old, new = {"x": 1, "lastUpdate": "1"}, {"x": 1, "lastUpdate": "2"}
    assert not outbox.change_events("Customer", old, new, state_attributes=["status"], **ORIGIN)


def test_pending_events_are_plain_documents():
    event = outbox.pending_event("ProductOrder", "InformationRequired", {"a": [1]}, **ORIGIN)
    assert bson.decode(bson.encode({"events": [event]})) == {"events": [event]}


def test_one_write_has_at_most_16_events():
    with pytest.raises(ValueError, match="16"):
        outbox.pending_event("ProductOrder", "X", {}, 16, **ORIGIN)
