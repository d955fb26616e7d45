"""Registration and ownership of subscriptions."""

import pytest

from tmf_apis.errors import Conflict, InvalidBody, NotFound, TooManyRequests
from tmf_apis.security.identity import Identity

OPERATOR = Identity("operator", "acme")


def test_a_duplicate_registration_is_a_conflict_and_another_query_is_not(subscribe):
    subscribe()
    with pytest.raises(Conflict, match="registered"):
        subscribe()
    subscribe("eventType=X")
    subscribe(version="v5")
    subscribe(identity=Identity("other", "acme"))


def test_a_tenant_has_no_more_subscriptions_than_the_limit(subscribe):
    for port in range(1, 11):
        subscribe(callback=f"http://127.0.0.1:{port}/cb")
    with pytest.raises(TooManyRequests, match="10"):
        subscribe(callback="http://127.0.0.1:11/cb")
    subscribe(identity=Identity("operator", "other"))


def test_an_internal_callback_is_refused_with_its_name(subscribe):
    with pytest.raises(InvalidBody, match=r"/callback: .*private"):
        subscribe(callback="http://10.0.0.1/x")


def test_a_query_that_the_database_cannot_run_is_refused(subscribe):
    with pytest.raises(InvalidBody, match="/query"):
        subscribe("eventType=~(")


def test_a_client_sees_and_ends_its_own_subscriptions_only(subscriptions, subscribe):
    partner = Identity("p", "acme", frozenset({"p1"}))
    theirs = subscribe(identity=partner)
    ours = subscribe()
    listed = subscriptions.list("TMF622", "v4", partner)
    assert [subscription["_id"] for subscription in listed] == [theirs["_id"]]
    assert len(subscriptions.list("TMF622", "v4", OPERATOR)) == 2
    for identity in (partner, Identity("x", "other")):
        with pytest.raises(NotFound):
            subscriptions.delete(ours["_id"], "TMF622", "v4", identity)
    with pytest.raises(NotFound):
        subscriptions.get(ours["_id"], "TMF620", "v4", OPERATOR)
    subscriptions.delete(theirs["_id"], "TMF622", "v4", partner)
    listed = subscriptions.list("TMF622", "v4", OPERATOR)
    assert [subscription["_id"] for subscription in listed] == [ours["_id"]]
