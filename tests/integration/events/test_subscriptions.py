"""Registration and ownership of subscriptions."""

import hashlib

import pytest

from tmf_apis.errors import Conflict, Forbidden, InvalidBody, NotFound, TooManyRequests
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


def partner(*parties, subject="p"):
    return Identity(subject, "acme", frozenset(parties))


def test_a_subscription_of_two_parties_is_managed_by_clients_of_both(subscriptions, subscribe):
    shared = subscribe(identity=partner("p1", "p2"))
    for identity in (partner("p1"), partner("p2"), partner("p1", "p3"), partner()):
        assert subscriptions.list("TMF622", "v4", identity) == []
        with pytest.raises(NotFound):
            subscriptions.get(shared["_id"], "TMF622", "v4", identity)
        with pytest.raises(NotFound):
            subscriptions.delete(shared["_id"], "TMF622", "v4", identity)
    for identity in (partner("p1", "p2"), partner("p1", "p2", "p3"), OPERATOR):
        assert subscriptions.get(shared["_id"], "TMF622", "v4", identity)["_id"] == shared["_id"]
    subscriptions.delete(shared["_id"], "TMF622", "v4", partner("p3", "p2", "p1"))


def test_a_client_that_acts_for_nobody_cannot_subscribe(subscribe):
    with pytest.raises(Forbidden):
        subscribe(identity=partner())


def test_a_registration_does_not_prevent_the_same_one_of_other_parties(subscribe):
    identities = [OPERATOR, *(partner(*names, subject="operator") for names in ("a", "b", "ab"))]
    ids = {subscribe(identity=identity)["_id"] for identity in identities}
    assert len(ids) == len(identities)
    for identity in identities:
        with pytest.raises(Conflict):
            subscribe(identity=identity)


def test_a_registration_of_an_earlier_release_is_still_recognised(subscriptions, subscribe):
    stored = subscribe(identity=partner("p1"))
    former = ("acme", "p", "TMF622", "v4", "http://127.0.0.1:9/cb", "")
    former_hash = hashlib.sha256(repr(former).encode()).hexdigest()
    subscriptions.collection.update_one({"_id": stored["_id"]}, {"$set": {"same": former_hash}})
    subscriptions.prepare()
    with pytest.raises(Conflict):
        subscribe(identity=partner("p1"))
    subscribe(identity=partner("p2"))
