"""From the resource's document to the queue: outbox, subscriptions, matching and relay."""

import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tmf_apis.errors import Conflict, InvalidBody, NotFound, TooManyRequests
from tmf_apis.events import outbox
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.envelope import field_projection, notification
from tmf_apis.events.outbox_watcher import OutboxWatcher
from tmf_apis.events.relay import EventHandlers, Relay
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest, split_query
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.store.leases import acquire, create_if_absent, release
from tmf_apis.store.model import DELETED_TENANT

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
STAFF = Identity("staff", "acme")


def render(event, audience):
    if audience.api != "TMF622" or event["what"] == "Unheard":
        return None
    resource = {"id": event["resource"], "href": f"{audience.base}/x/{event['resource']}"}
    return notification(event, "productOrder", resource | event["body"], audience)


def compiled(_, text):
    """Stand for the compiler of attribute filters: equality, or a raw operator."""
    pairs = (part.partition("=") for part in text.split("&"))
    return {name: {"$regex": value[1:]} if value[:1] == "~" else value for name, _, value in pairs}


@pytest.fixture
def deliveries(database):
    queue = DeliveryQueue(
        database, delivered_retention=timedelta(hours=1), parked_retention=timedelta(hours=1)
    )
    queue.prepare()
    return queue


@pytest.fixture
def hub(database):
    hub = SubscriptionRepository(database, OutboundPolicy(allow_loopback=True), limit=10)
    hub.prepare()
    return hub


@pytest.fixture
def subscribe(hub):
    def subscribe(query="", *, identity=STAFF, api="TMF622", version="v4", port=9):
        wanted = SubscriptionRequest(
            api=api,
            version=version,
            callback=f"http://127.0.0.1:{port}/cb",
            query=query,
            base_url="b",
        )
        return hub.create(wanted, identity, compiled)

    return subscribe


@pytest.fixture
def relay(database, deliveries):
    def relay(listeners=(), draw=render, owner="r"):
        application = EventHandlers(draw, {"ProductOrder": tuple(listeners)})
        made = Relay(database, deliveries, application, owner=owner)
        made.prepare(["ProductOrder"])
        return made

    return relay


def origin(id, rev=1, tenant="acme", parties=()):
    return {"tenant": tenant, "id": id, "rev": rev, "parties": list(parties), "now": NOW}


def stored(id, *events, tenant="acme"):
    return {"_id": f"acme:{id}", "id": id, "tenant": tenant, "rev": 1, "events": list(events)}


def order(id, rev=1, tenant="acme", parties=(), **body):
    about = origin(id, rev, tenant, parties)
    return stored(id, outbox.resource_created("ProductOrder", body, **about))


def test_a_change_of_state_and_of_something_else_are_two_events_in_order():
    events = outbox.change_events(
        "ProductOrder",
        {"state": "a", "x": 1, "lastUpdate": "1"},
        {"state": "b", "x": 2, "lastUpdate": "2"},
        state_attributes=["state"],
        **origin("1", rev=3),
    )
    assert [(event["what"], event["seq"]) for event in events] == [
        ("StateChange", 48),
        ("AttributeValueChange", 49),
    ]
    assert events[0]["at"] == "2026-01-02T03:04:05.678Z"


def test_a_change_of_nothing_but_the_stamp_is_no_event():
    old, new = {"x": 1, "lastUpdate": "1"}, {"x": 1, "lastUpdate": "2"}
    assert not outbox.change_events(
        "Customer", old, new, state_attributes=["status"], **origin("1")
    )


def test_the_query_of_a_hub_holds_filter_and_fields():
    assert split_query("?a=b&fields=eventId,event.x%2Ey&c=d") == (
        "a=b&c=d",
        ("eventId", "event.x.y"),
    )


def test_a_whole_asked_for_beside_its_part_is_given_whole():
    document = {"eventId": "1", "event": {"a": 1, "b": 2}}
    assert field_projection(document, ["event", "event.a"]) == document


def test_two_holders_of_a_lease_are_told_apart_by_the_fence(database):
    create_if_absent(database.leases, "x")
    first = acquire(database.leases, "x", "a", 0.2)
    assert acquire(database.leases, "x", "b", 0.2) is None
    assert acquire(database.leases, "x", "a", 0.2).fencing_token == first.fencing_token
    time.sleep(0.25)
    second = acquire(database.leases, "x", "b", 0.2)
    assert second.fencing_token == first.fencing_token + 1
    release(database.leases, "x", "a")
    assert acquire(database.leases, "x", "a", 0.2) is None
    release(database.leases, "x", "b")
    assert acquire(database.leases, "x", "a", 0.2).fencing_token == first.fencing_token + 2


def test_the_same_registration_twice_is_a_conflict_and_another_query_is_not(subscribe):
    subscribe()
    with pytest.raises(Conflict, match="registered"):
        subscribe()
    subscribe("eventType=X")
    subscribe(version="v5")
    subscribe(identity=Identity("other", "acme"))


def test_a_tenant_has_no_more_subscriptions_than_the_limit(subscribe):
    for port in range(1, 11):
        subscribe(port=port)
    with pytest.raises(TooManyRequests, match="10"):
        subscribe(port=11)
    subscribe(identity=Identity("staff", "other"))


def test_a_callback_that_leads_inside_is_refused_by_name(hub):
    wanted = SubscriptionRequest(api="TMF622", version="v4", callback="http://10.0.0.1/x")
    with pytest.raises(InvalidBody, match=r"/callback: .*private"):
        hub.create(wanted, STAFF, compiled)


def test_a_query_that_the_database_refuses_is_refused(subscribe):
    with pytest.raises(InvalidBody, match="/query"):
        subscribe("eventType=~(")


def test_a_client_sees_and_ends_its_own_subscriptions_only(hub, subscribe):
    partner = Identity("p", "acme", frozenset({"p1"}))
    theirs = subscribe(identity=partner)
    ours = subscribe()
    assert [one["_id"] for one in hub.list("TMF622", "v4", partner)] == [theirs["_id"]]
    assert len(hub.list("TMF622", "v4", STAFF)) == 2
    for identity in (partner, Identity("x", "other")):
        with pytest.raises(NotFound):
            hub.delete(ours["_id"], "TMF622", "v4", identity)
    with pytest.raises(NotFound):
        hub.get(ours["_id"], "TMF620", "v4", STAFF)
    hub.delete(theirs["_id"], "TMF622", "v4", partner)
    assert [one["_id"] for one in hub.list("TMF622", "v4", STAFF)] == [ours["_id"]]


def test_an_event_is_queued_for_every_subscription_it_matches_and_removed(
    database, deliveries, subscribe, relay
):
    everything = subscribe()
    by_type = subscribe("eventType=ProductOrderCreateEvent&event.productOrder.state=held")
    parts = subscribe("fields=event.productOrder.id")
    for query in ("eventType=ProductOrderDeleteEvent", "event.productOrder.state=done"):
        subscribe(query)
    subscribe(api="TMF620")
    subscribe(identity=Identity("staff", "other"))
    mine = subscribe("", identity=Identity("p", "acme", frozenset({"p1"})))
    subscribe("", identity=Identity("q", "acme", frozenset({"p2"})))
    newer = subscribe(version="v5")
    database.ProductOrder.insert_one(order("7", parties=["p1"], state="held", note="$x"))
    told = relay().drain("ProductOrder")
    assert told == {one["_id"] for one in (everything, by_type, parts, mine, newer)}
    payloads = {
        one["subscription"]: orjson.loads(one["payload"]) for one in deliveries.collection.find()
    }
    assert set(payloads) == told
    event = payloads[everything["_id"]]
    assert event["event"]["productOrder"] == {
        "id": "7", "href": "b/x/7", "state": "held", "note": "$x"
    }  # fmt: skip
    assert payloads[newer["_id"]]["@type"] == "ProductOrderCreateEvent"
    assert payloads[parts["_id"]] == {
        "eventId": event["eventId"],
        "eventTime": "2026-01-02T03:04:05.678Z",
        "eventType": "ProductOrderCreateEvent",
        "event": {"productOrder": {"id": "7"}},
    }
    assert database.ProductOrder.find_one() == {
        "_id": "acme:7", "id": "7", "tenant": "acme", "rev": 1
    }  # fmt: skip


def test_what_is_handed_on_twice_is_queued_once(database, deliveries, subscribe, relay):
    subscribe()
    document = order("1")
    for _ in range(2):
        database.ProductOrder.replace_one({"_id": document["_id"]}, document, upsert=True)
        relay().drain("ProductOrder")
    assert deliveries.collection.count_documents({}) == 1


def test_a_deleted_resource_goes_with_its_last_event(database, deliveries, subscribe, relay):
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
    relay().drain("ProductOrder")
    assert deliveries.collection.count_documents({}) == 3
    assert database.ProductOrder.count_documents({}) == 0


def test_an_event_that_comes_while_others_are_handed_on_stays(database, subscribe, relay):
    later = outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2))
    seen = []

    def add(event):
        if not seen:
            database.ProductOrder.update_one({"_id": "acme:1"}, {"$push": {"events": later}})
        seen.append(event["what"])

    database.ProductOrder.insert_many([order("1"), order("2")])
    relay([add]).drain("ProductOrder")
    assert sorted(seen) == ["AttributeValueChange", "Create", "Create"]
    assert database.ProductOrder.count_documents({"events": {"$exists": True}}) == 0


def test_a_listener_that_fails_keeps_its_event_and_those_behind_and_no_others(
    database, deliveries, subscribe, relay
):
    subscribe()
    heard, broken = [], [True]

    def listen(event):
        if event["resource"] == "1" and event["what"] == "AttributeValueChange" and broken:
            raise ValueError("not now")
        heard.append((event["resource"], event["what"]))

    first = order("1")
    first["events"].append(outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2)))
    first["events"].append(outbox.resource_deleted("ProductOrder", {}, **origin("1", 3)))
    database.ProductOrder.insert_many([first, order("2")])
    relay([listen]).drain("ProductOrder")
    assert heard == [("1", "Create"), ("2", "Create")]
    left = database.ProductOrder.find_one({"_id": "acme:1"})["events"]
    assert [(one["what"], one["tries"], one["fanned"]) for one in left] == [
        ("AttributeValueChange", 1, True),
        ("Delete", 0, True),
    ]
    assert deliveries.collection.count_documents({}) == 4  # subscribers do not wait for it
    broken.clear()
    deliveries.collection.delete_many({})
    relay([listen]).drain("ProductOrder")
    assert len(heard) == 2  # not before its pause is over
    database.ProductOrder.update_one({"_id": "acme:1"}, {"$set": {"events.0.due": 0}})
    relay([listen]).drain("ProductOrder")
    assert heard[2:] == [("1", "AttributeValueChange"), ("1", "Delete")]
    assert deliveries.collection.count_documents({}) == 0  # and was not queued again
    assert "events" not in database.ProductOrder.find_one({"_id": "acme:1"})


def test_an_event_that_cannot_be_rendered_holds_up_its_own_resource_only(
    database, deliveries, subscribe, relay
):
    subscribe()
    first = order("1")
    first["events"].append(outbox.attribute_value_changed("ProductOrder", {}, **origin("1", 2)))
    database.ProductOrder.insert_many([first, order("2")])

    def draw(event, audience):
        if event["resource"] == "1" and event["what"] == "Create":
            raise KeyError("odd")
        return render(event, audience)

    relay(draw=draw).drain("ProductOrder")
    assert [one["resource"] for one in deliveries.collection.find()] == ["ProductOrder:2"]
    database.ProductOrder.update_one({"_id": "acme:1"}, {"$set": {"events.0.due": 0}})
    relay().drain("ProductOrder")
    queued = deliveries.collection.find({"resource": "ProductOrder:1"}).sort("seq", 1)
    assert [one["type"] for one in queued] == [
        "ProductOrderCreateEvent",
        "ProductOrderAttributeValueChangeEvent",
    ]


def test_a_kind_is_handed_on_by_one_relay_at_a_time(database, deliveries, subscribe, relay):
    subscribe()
    database.ProductOrder.insert_many([order(str(n)) for n in range(3)])
    one, other = relay(owner="one"), relay(owner="other")
    held = acquire(database.leases, "ProductOrder", "one", 5)
    assert held
    assert other.drain("ProductOrder") == set()
    assert one.drain("ProductOrder")
    assert deliveries.collection.count_documents({}) == 3


def test_a_query_that_fails_later_disables_its_subscription_and_no_other(
    database, hub, deliveries, subscribe, relay
):
    good, bad = subscribe(), subscribe("eventType=X")
    hub.collection.update_one({"_id": bad["_id"]}, {"$set": {"filter": '{"$nonsense": 1}'}})
    database.ProductOrder.insert_one(order("1"))
    assert relay().drain("ProductOrder") == {good["_id"]}
    assert hub.collection.find_one({"_id": bad["_id"]})["state"] == "disabled"


def test_the_relay_finds_pending_events_by_their_index(database, relay):
    relay()
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


@pytest.mark.parametrize("sort", [{"due": 1}, {"resource": 1, "seq": 1}])
def test_the_queue_is_read_by_its_indexes(database, deliveries, sort):
    deliveries.enqueue(
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
    assert "SORT" not in {stage["stage"] for stage in _stages(plan["queryPlanner"]["winningPlan"])}


def _stages(plan):
    yield plan
    if "inputStage" in plan:
        yield from _stages(plan["inputStage"])


def test_the_watch_tells_of_new_events_and_not_of_removed_ones(database, relay):
    told = []
    database.Alarm.insert_one({"_id": 0})
    watch = OutboxWatcher(database, ["ProductOrder", "Customer"], told.append)
    watch.start()
    try:
        time.sleep(0.4)  # until the stream is open
        database.Alarm.insert_one(order("1"))
        database.Customer.insert_one({"_id": 1})
        database.ProductOrder.insert_one(order("1"))
        _until(lambda: told == ["ProductOrder"])
        relay().drain("ProductOrder")
        database.Customer.update_one({"_id": 1}, {"$push": {"events": {"id": "1"}}})
        _until(lambda: told == ["ProductOrder", "Customer"])
    finally:
        watch.stop()
        watch.join()


def _until(holds, seconds=5.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_pending_events_are_plain_documents(database):
    event = outbox.pending_event("ProductOrder", "InformationRequired", {"a": [1]}, **origin("1"))
    database.x.insert_one({"_id": 1, "events": [event]})
    assert database.x.find_one()["events"] == [event]
    with pytest.raises(ValueError, match="16"):
        outbox.pending_event("ProductOrder", "X", {}, 16, **origin("1"))


def test_a_kind_that_is_kept_is_nobody_elses_until_it_is_given_back(database, relay):
    one, other = relay(owner="one"), relay(owner="other")
    database.ProductOrder.insert_one(order("1"))
    one.drain("ProductOrder", keep_lease=True)
    database.ProductOrder.insert_one(order("2"))
    other.drain("ProductOrder")
    assert other.has_more("ProductOrder")
    assert database.ProductOrder.count_documents({"events.0.due": {"$exists": True}}) == 1
    one.release("ProductOrder")
    other.drain("ProductOrder")
    assert not other.has_more("ProductOrder")
    assert not database.ProductOrder.count_documents({"events.0.due": {"$exists": True}})
