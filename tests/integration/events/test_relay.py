"""The relay: from the outbox of a resource to the queue of deliveries."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.support.waiting import wait_until
from tmf_apis.events import outbox
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.envelope import notification
from tmf_apis.events.outbox_watcher import OutboxWatcher
from tmf_apis.events.relay import EventHandlers, Relay
from tmf_apis.security.identity import Identity
from tmf_apis.store.leases import acquire
from tmf_apis.store.model import DELETED_TENANT
from tmf_apis.store.write_times import with_insert_time

#: After every subscription: events without a cluster time are newer than all of them.
NOW = datetime(2099, 1, 2, 3, 4, 5, 678000, UTC)


def render(event, audience):
    if audience.api != "TMF622":
        return None
    resource = {"id": event["resource"], "href": f"{audience.base_url}/x/{event['resource']}"}
    return notification(event, "productOrder", resource | event["body"], audience)


@pytest.fixture
def queue(database):
    queue = DeliveryQueue(
        database, delivered_retention=timedelta(hours=1), parked_retention=timedelta(hours=1)
    )
    queue.prepare()
    return queue


@pytest.fixture
def make_relay(database, queue):
    def make_relay(listeners=(), render=render, owner="r"):
        handlers = EventHandlers(render, {"ProductOrder": tuple(listeners)})
        relay = Relay(database, queue, handlers, owner=owner)
        relay.prepare(["ProductOrder"])
        return relay

    return make_relay


def origin(id, rev=1, tenant="acme", parties=()):
    return {"tenant": tenant, "id": id, "rev": rev, "parties": list(parties), "now": NOW}


def stored(id, *events, tenant="acme"):
    document = {"_id": f"acme:{id}", "id": id, "tenant": tenant, "rev": 1, "events": list(events)}
    return with_insert_time(document)


def order(id, rev=1, tenant="acme", parties=(), **body):
    event = outbox.resource_created("ProductOrder", body, **origin(id, rev, tenant, parties))
    return stored(id, event)


def pending_count(database):
    return database.ProductOrder.count_documents({"events.0.due": {"$exists": True}})


def make_first_event_due(database, key):
    database.ProductOrder.update_one({"_id": key}, {"$set": {"events.0.due": 0}})


def test_an_event_is_queued_for_each_matching_subscription_and_removed(
    database, queue, subscribe, make_relay
):
    everything = subscribe()
    by_type = subscribe("eventType=ProductOrderCreateEvent&event.productOrder.state=held")
    with_fields = subscribe("fields=event.productOrder.id")
    for query in ("eventType=ProductOrderDeleteEvent", "event.productOrder.state=done"):
        subscribe(query)
    subscribe(api="TMF620")
    subscribe(identity=Identity("operator", "other"))
    of_party = subscribe("", identity=Identity("p", "acme", frozenset({"p1"})))
    subscribe("", identity=Identity("q", "acme", frozenset({"p2"})))
    of_v5 = subscribe(version="v5")
    database.ProductOrder.insert_one(order("7", parties=["p1"], state="held", note="$x"))
    notified = make_relay().drain("ProductOrder")
    matching = (everything, by_type, with_fields, of_party, of_v5)
    assert notified == {subscription["_id"] for subscription in matching}
    payloads = {
        delivery["subscription"]: orjson.loads(delivery["payload"])
        for delivery in queue.collection.find()
    }
    assert set(payloads) == notified
    event = payloads[everything["_id"]]
    assert event["event"]["productOrder"] == {
        "id": "7", "href": "b/x/7", "state": "held", "note": "$x"
    }  # fmt: skip
    assert payloads[of_v5["_id"]]["@type"] == "ProductOrderCreateEvent"
    assert payloads[with_fields["_id"]] == {
        "eventId": event["eventId"],
        "eventTime": "2099-01-02T03:04:05.678Z",
        "eventType": "ProductOrderCreateEvent",
        "event": {"productOrder": {"id": "7"}},
    }
    assert database.ProductOrder.find_one() == {
        "_id": "acme:7", "id": "7", "tenant": "acme", "rev": 1
    }  # fmt: skip


def test_an_event_that_is_relayed_twice_is_queued_once(database, queue, subscribe, make_relay):
    subscribe()
    document = order("1")
    for _ in range(2):
        database.ProductOrder.replace_one({"_id": document["_id"]}, document, upsert=True)
        make_relay().drain("ProductOrder")
    assert queue.collection.count_documents({}) == 1


def test_a_deleted_resource_is_removed_with_its_last_event(database, queue, subscribe, make_relay):
    subscribe()
    events = [
        outbox.resource_created("ProductOrder", {}, **origin("1", 1)),
        outbox.resource_deleted("ProductOrder", {}, **origin("1", 2)),
    ]
    database.ProductOrder.insert_many(
        [
            stored("1", *events, tenant=DELETED_TENANT),
            stored("2", events[1] | {"id": "b"}, tenant=DELETED_TENANT),
        ]
    )
    make_relay().drain("ProductOrder")
    assert queue.collection.count_documents({}) == 3
    assert database.ProductOrder.count_documents({}) == 0


def test_an_event_that_is_added_while_others_are_relayed_is_kept(database, subscribe, make_relay):
    added = outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2))
    calls = []

    def add_event(event):
        if not calls:
            database.ProductOrder.update_one({"_id": "acme:1"}, {"$push": {"events": added}})
        calls.append(event["what"])

    database.ProductOrder.insert_many([order("1"), order("2")])
    make_relay([add_event]).drain("ProductOrder")
    assert sorted(calls) == ["AttributeValueChange", "Create", "Create"]
    assert database.ProductOrder.count_documents({"events": {"$exists": True}}) == 0


def test_a_failing_listener_keeps_its_event_and_the_later_ones_of_the_resource(
    database, queue, subscribe, make_relay
):
    subscribe()
    calls, is_broken = [], [True]

    def listen(event):
        if event["resource"] == "1" and event["what"] == "AttributeValueChange" and is_broken:
            raise ValueError("not now")
        calls.append((event["resource"], event["what"]))

    first = order("1")
    first["events"].append(outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2)))
    first["events"].append(outbox.resource_deleted("ProductOrder", {}, **origin("1", 3)))
    database.ProductOrder.insert_many([first, order("2")])
    make_relay([listen]).drain("ProductOrder")
    assert calls == [("1", "Create"), ("2", "Create")]
    events = database.ProductOrder.find_one({"_id": "acme:1"})["events"]
    assert [(event["what"], event["tries"], event["fanned"]) for event in events] == [
        ("AttributeValueChange", 1, True),
        ("Delete", 0, True),
    ]
    assert queue.collection.count_documents({}) == 4  # subscribers do not wait for the listener
    is_broken.clear()
    queue.collection.delete_many({})
    database.ProductOrder.update_one({"_id": "acme:1"}, {"$inc": {"events.0.due": 3_600_000}})
    make_relay([listen]).drain("ProductOrder")
    assert len(calls) == 2  # the event is not due yet
    make_first_event_due(database, "acme:1")
    make_relay([listen]).drain("ProductOrder")
    assert calls[2:] == [("1", "AttributeValueChange"), ("1", "Delete")]
    assert queue.collection.count_documents({}) == 0  # nothing is queued twice
    assert "events" not in database.ProductOrder.find_one({"_id": "acme:1"})


def test_an_event_that_cannot_be_rendered_delays_its_own_resource_only(
    database, queue, subscribe, make_relay
):
    subscribe()
    first = order("1")
    first["events"].append(outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2)))
    database.ProductOrder.insert_many([first, order("2")])

    def failing_render(event, audience):
        if event["resource"] == "1" and event["what"] == "Create":
            raise KeyError("odd")
        return render(event, audience)

    make_relay(render=failing_render).drain("ProductOrder")
    queued = queue.collection.find()
    assert [delivery["resource"] for delivery in queued] == ["ProductOrder:2"]
    make_first_event_due(database, "acme:1")
    make_relay().drain("ProductOrder")
    queued = queue.collection.find({"resource": "ProductOrder:1"}).sort("seq", 1)
    assert [delivery["type"] for delivery in queued] == [
        "ProductOrderCreateEvent",
        "ProductOrderAttributeValueChangeEvent",
    ]


def test_a_kind_is_relayed_by_the_holder_of_its_lease_only(database, queue, subscribe, make_relay):
    subscribe()
    database.ProductOrder.insert_many([order(str(n)) for n in range(3)])
    holder, other = make_relay(owner="holder"), make_relay(owner="other")
    assert acquire(database.leases, "ProductOrder", "holder", 600)
    assert other.drain("ProductOrder") == set()
    assert holder.drain("ProductOrder")
    assert queue.collection.count_documents({}) == 3


def test_a_kept_lease_excludes_other_relays_until_it_is_released(database, make_relay):
    holder, other = make_relay(owner="holder"), make_relay(owner="other")
    database.ProductOrder.insert_one(order("1"))
    holder.drain("ProductOrder", keep_lease=True)
    database.ProductOrder.insert_one(order("2"))
    other.drain("ProductOrder")
    assert other.has_more("ProductOrder")
    assert pending_count(database) == 1
    holder.release("ProductOrder")
    other.drain("ProductOrder")
    assert not other.has_more("ProductOrder")
    assert not pending_count(database)


def test_a_query_that_fails_later_disables_its_subscription_only(
    database, subscriptions, queue, subscribe, make_relay
):
    good, bad = subscribe(), subscribe("eventType=X")
    subscriptions.collection.update_one(
        {"_id": bad["_id"]}, {"$set": {"filter": '{"$nonsense": 1}'}}
    )
    database.ProductOrder.insert_one(order("1"))
    assert make_relay().drain("ProductOrder") == {good["_id"]}
    assert subscriptions.collection.find_one({"_id": bad["_id"]})["state"] == "disabled"


def test_an_event_of_others_has_no_effect_on_the_subscription_of_a_party(
    database, subscriptions, queue, subscribe, make_relay
):
    """A filter that fails on an event would tell by its failure what the event contains."""
    of_p1, of_p2 = (
        subscribe("eventType=X", identity=Identity(party, "acme", frozenset({party})))
        for party in ("p1", "p2")
    )
    is_foreign = {"$eq": [{"$first": "$event.productOrder.secret"}, 1]}
    filter = orjson.dumps({"$expr": {"$not": is_foreign}}).decode()  # fails on a text
    subscriptions.collection.update_many({}, {"$set": {"filter": filter}})
    database.ProductOrder.insert_many(
        [order("1", parties=["p1"], secret=[2]), order("2", parties=["p2"], secret="text")]
    )
    assert make_relay().drain("ProductOrder") == {of_p1["_id"]}
    states = {row["_id"]: row["state"] for row in subscriptions.collection.find()}
    assert states == {of_p1["_id"]: "active", of_p2["_id"]: "disabled"}


def test_the_relay_finds_pending_events_by_their_index(database, make_relay):
    make_relay()
    database.ProductOrder.insert_many(
        [{"_id": n} if n % 50 else {**order(str(n)), "_id": n} for n in range(1000)]
    )
    find = {
        "find": "ProductOrder",
        "filter": {"events.0.due": {"$lte": 1}},
        "sort": {"events.0.due": 1},
    }
    plan = database.command("explain", find, verbosity="executionStats")
    assert plan["executionStats"]["totalKeysExamined"] == 20


def plan_stages(plan):
    yield plan
    if "inputStage" in plan:
        yield from plan_stages(plan["inputStage"])


@pytest.mark.parametrize("sort", [{"due": 1}, {"resource": 1, "seq": 1}])
def test_the_queue_is_read_by_its_indexes(database, queue, sort):
    queue.enqueue(
        [
            {"_id": n, "state": "pending" if n % 50 else "delivered", "subscription": str(n % 50)}
            | {"due": NOW, "resource": str(n % 7), "seq": n}
            for n in range(1000)
        ]
    )
    query = {"state": "pending", "subscription": "7"}
    query |= {"$expr": {"$lte": ["$due", "$$NOW"]}} if "due" in sort else {"resource": "3"}
    plan = database.command(
        "explain",
        {"find": "deliveries", "filter": query, "sort": sort},
        verbosity="executionStats",
    )
    assert plan["executionStats"]["totalKeysExamined"] <= 21
    stages = plan_stages(plan["queryPlanner"]["winningPlan"])
    assert "SORT" not in {stage["stage"] for stage in stages}


def test_the_watcher_notifies_of_new_events_but_not_of_removed_ones(database, make_relay):
    notified = []
    database.Alarm.insert_one({"_id": 0})
    watcher = OutboxWatcher(database, ["ProductOrder", "Customer"], notified.append)
    watcher.start()
    try:
        wait_until(lambda: watcher.is_open)
        database.Alarm.insert_one(order("1"))
        database.Customer.insert_one({"_id": 1})
        database.ProductOrder.insert_one(order("1"))
        wait_until(lambda: notified == ["ProductOrder"])
        make_relay().drain("ProductOrder")
        database.Customer.update_one({"_id": 1}, {"$push": {"events": {"id": "1"}}})
        wait_until(lambda: notified == ["ProductOrder", "Customer"])
    finally:
        watcher.stop()
        watcher.join()
