"""A subscription gets what is written while it exists: nothing earlier, nothing later."""

import random
import threading
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.integration.events.conftest import OPERATOR
from tests.integration.events.test_relay import render
from tmf_apis.events import outbox
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.relay import EventHandlers, Relay
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.resources import ResourceStore

KIND = "ProductOrder"
CHANCE = random.SystemRandom()


class Writer:
    """Writes resources and remembers when the write of each event began and was acknowledged."""

    def __init__(self, database):
        self._store = ResourceStore(
            database, CountCache(database, query_time=5000), query_time=5000
        )
        self.times = {}

    @contextmanager
    def _recorded(self, event):
        start = time.monotonic()
        yield [event]
        self.times[event["id"]] = (start, time.monotonic())

    def write_life(self, id):
        """Create a resource, change it twice and delete it."""
        key = f"acme:{id}"

        def event(what, rev):
            # the clocks of servers differ, so the time in the event says nothing
            now = datetime.now(UTC) + timedelta(seconds=CHANCE.uniform(-60, 60))
            origin = {"tenant": "acme", "id": id, "rev": rev, "parties": [], "now": now}
            return outbox.pending_event(KIND, what, {"rev": rev}, **origin)

        document = {"_id": key, "id": id, "tenant": "acme", "parties": [], "text": {}}
        with self._recorded(event("Create", 1)) as events:
            self._store.insert(KIND, {**document, "rev": 1, "body": {"rev": 1}, "events": events})
        for rev in (1, 2):
            old = {**document, "rev": rev, "body": {"rev": rev}}
            changes = {"body": {"rev": rev + 1}, "parties": [], "text": {}}
            with self._recorded(event("StateChange", rev + 1)) as events:
                assert self._store.replace(KIND, old, changes, events)
        with self._recorded(event("Delete", 4)) as events:
            assert self._store.remove(KIND, key, 3, events)


@pytest.fixture
def writer(database):
    return Writer(database)


@pytest.fixture
def make_relay(database):
    def make_relay(owner):
        queue = DeliveryQueue(
            database, delivered_retention=timedelta(hours=1), parked_retention=timedelta(hours=1)
        )
        queue.prepare()
        relay = Relay(database, queue, EventHandlers(render, {}), owner=owner)
        relay.prepare([KIND])
        return relay

    return make_relay


def test_a_backlog_is_delivered_to_those_that_subscribed_before_it(
    database, writer, subscribe, subscriptions, make_relay
):
    early, ended = subscribe(), subscribe(callback="http://127.0.0.1:9/ended")
    writer.write_life("before")
    subscriptions.delete(ended["_id"], "TMF622", "v4", OPERATOR)
    late = subscribe(callback="http://127.0.0.1:9/late")
    writer.write_life("after")
    make_relay("started later").drain(KIND)
    received = defaultdict(list)
    for delivery in database.deliveries.find().sort([("resource", 1), ("seq", 1)]):
        received[delivery["subscription"]].append(delivery["resource"])
    after, before = [f"{KIND}:after"] * 4, [f"{KIND}:before"] * 4
    assert received == {early["_id"]: after + before, late["_id"]: after}


def test_a_resource_with_events_of_both_sides_is_parted(database, writer, subscribe, make_relay):
    store = writer._store
    origin = {"tenant": "acme", "id": "1", "parties": [], "now": datetime.now(UTC)}
    body = {"rev": 1}
    first = outbox.resource_created(KIND, body, **origin, rev=1)
    document = {"_id": "acme:1", "id": "1", "tenant": "acme", "rev": 1, "body": body, "text": {}}
    store.insert(KIND, {**document, "events": [first]})
    subscription = subscribe()
    second = outbox.state_changed(KIND, {"rev": 2}, **origin, rev=2)
    store.replace(KIND, document, {"body": {"rev": 2}}, [second])
    make_relay("r").drain(KIND)
    deliveries = list(database.deliveries.find())
    assert [(row["event"], row["subscription"]) for row in deliveries] == [
        (second["id"], subscription["_id"])
    ]
    stored = database[KIND].find_one()
    assert not {"events", "inserted", "written"} & stored.keys()


@pytest.fixture
def relaying(make_relay):
    """Context in which two relays at a time run, each of which soon ends and is replaced."""

    @contextmanager
    def relaying():
        stop = threading.Event()

        def relay_events():
            while not stop.is_set():
                make_relay(uuid.uuid4().hex).drain(KIND, should_stop=stop.is_set)
                time.sleep(CHANCE.uniform(0, 0.05))

        with ThreadPoolExecutor(2) as pool:
            relays = [pool.submit(relay_events) for _ in range(2)]
            yield
            stop.set()
        for relay in relays:
            relay.result()
        make_relay("last").drain(KIND)

    return relaying


def run_together(*functions):
    """Run functions in threads of their own; return their results."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
        return [future.result() for future in futures]


def write_lives(writer, name, count):
    return lambda: [writer.write_life(f"{name}-{n}") for n in range(count)]


def received_events(database, id):
    return {row["event"] for row in database.deliveries.find({"subscription": id})}


def test_borders_are_exact_while_many_write_subscribe_and_relay(
    database, writer, subscribe, subscriptions, relaying
):
    def subscribe_for_a_while(name):
        spans = []
        for n in range(6):
            start = time.monotonic()
            id = subscribe(callback=f"http://127.0.0.1:9/{name}/{n}")["_id"]
            time.sleep(CHANCE.uniform(0, 0.1))
            subscriptions.delete(id, "TMF622", "v4", OPERATOR)
            spans.append((id, start, time.monotonic()))
        return spans

    with relaying():
        results = run_together(
            *(write_lives(writer, f"w{n}", 12) for n in range(3)),
            *(partial(subscribe_for_a_while, f"s{n}") for n in range(3)),
        )
    assert database[KIND].count_documents({}) == 0
    assert len(writer.times) == 3 * 12 * 4
    for id, start, end in [span for spans in results[3:] for span in spans]:
        times = [writer.times[event] for event in received_events(database, id)]
        assert all(acknowledged > start for _, acknowledged in times), "written before"
        assert all(began < end for began, _ in times), "written after"


def test_nothing_is_missed_after_the_registration(database, writer, subscribe, relaying):
    made = {}

    def subscribe_repeatedly():
        for n in range(5):
            id = subscribe(callback=f"http://127.0.0.1:9/{n}")["_id"]
            made[id] = time.monotonic()
            time.sleep(0.02)

    with relaying():
        run_together(
            subscribe_repeatedly, write_lives(writer, "a", 10), write_lives(writer, "b", 10)
        )
    for id, time_made in made.items():
        written = {event for event, (began, _) in writer.times.items() if began > time_made}
        assert written <= received_events(database, id)
