"""Queries of subscriptions and the fields that they select."""

from tmf_apis.events.envelope import field_projection
from tmf_apis.events.subscriptions import split_query


def test_the_query_of_a_hub_holds_filter_and_fields():
    assert split_query("?a=b&fields=eventId,event.x%2Ey&c=d") == (
        "a=b&c=d",
        ("eventId", "event.x.y"),
    )


def test_selecting_an_object_and_one_of_its_members_returns_the_whole_object():
    document = {"eventId": "1", "event": {"a": 1, "b": 2}}
    assert field_projection(document, ["event", "event.a"]) == document
