"""Delivery to real listeners that fail in many ways, with workers that are killed."""

import asyncio
import contextlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.callback_listener import OK, CallbackListener, response
from tests.support.paths import ROOT
from tests.support.relay_process import FAST_SETTINGS, run_relay
from tests.support.waiting import wait_until
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.events import delivery_admin, dispatcher, outbox
from tmf_apis.events.backlog import read_backlog
from tmf_apis.events.delivery_admin import DeliveryCriteria, find_deliveries
from tmf_apis.events.signatures import server_key, subscription_key
from tmf_apis.security.identity import Identity

OPERATOR = Identity("operator", "acme")
PAST = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def listen():
    """Function that starts a callback listener."""
    listeners = []

    def listen(behave=None, port=0):
        listeners.append(CallbackListener(behave, port))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.close()


class Worker(threading.Thread):
    """An event worker in a thread."""

    def __init__(self, database, settings=FAST_SETTINGS, listeners=None):
        super().__init__()
        self._arguments = database, settings, listeners
        self._ready = threading.Event()
        self.failure = None
        self.start()
        self._ready.wait()

    def run(self):
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001
            self.failure = error
            self._ready.set()

    async def _run(self):
        database, settings, listeners = self._arguments
        self._loop, self._stop_event = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await run_relay(database, self._stop_event, settings, listeners)

    def stop(self):
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._stop_event.set)
        self.join()
        assert self.failure is None


@pytest.fixture
def start_worker(database):
    """Function that starts a worker; it is stopped at the end."""
    workers = []

    def start_worker(**settings):
        workers.append(Worker(database, replace(FAST_SETTINGS, **settings)))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.stop()


@pytest.fixture
def write(database):
    """Function that writes revisions of a resource, each with an event."""

    def write(id, *numbers, kind="ProductOrder"):
        for n in numbers:
            event = outbox.pending_event(
                kind, "Create" if n == 1 else "StateChange", {"n": n},
                tenant="acme", id=id, rev=n, parties=[], now=datetime.now(UTC),
            )  # fmt: skip
            database[kind].update_one(
                {"_id": f"acme:{id}"},
                {"$set": {"tenant": "acme", "id": id, "rev": n}, "$push": {"events": event}},
                upsert=True,
            )

    return write


def count(database, state):
    """Return the number of deliveries in a state."""
    return read_backlog(database, []).deliveries[state]


def failures_in_a_row(database):
    return database.Subscription.find_one()["lane"]["failures"]


def make_next_attempt_due(database):
    """End the pause of the only subscription and of its deliveries."""
    wait_until(lambda: "owner" not in database.Subscription.find_one()["lease"])
    database.deliveries.update_many({}, {"$set": {"due": PAST}})
    database.Subscription.update_one({}, {"$set": {"lane.next": PAST}})


def test_a_notification_is_signed_with_the_key_of_the_subscription(
    database, listen, subscribe, start_worker, write
):
    listener = listen()
    id = subscribe(callback=listener.url)["_id"]
    start_worker()
    started = int(time.time())
    write("7", 1)
    wait_until(lambda: listener.received)
    headers, raw = listener.requests[0]
    timestamp, _, digest = headers["x-tmf-signature"].removeprefix("t=").partition(",v1=")
    key = subscription_key(server_key(database, ""), id).encode()
    assert hmac.digest(key, timestamp.encode() + b"." + raw, "sha256").hex() == digest
    assert started <= int(timestamp) <= time.time()
    assert headers["host"] == f"127.0.0.1:{listener.server_address[1]}"
    assert headers["content-type"] == "application/json"
    wait_until(lambda: count(database, "delivered") == 1)
    (row,), total = find_deliveries(database, DeliveryCriteria(tenant="acme"))
    assert (total, row["state"], row["tries"], row["log"][0]["status"]) == (1, "delivered", 1, 204)


def test_events_of_one_resource_arrive_in_order_over_persistent_connections(
    listen, subscribe, start_worker, write
):
    listener = listen()
    subscribe(callback=listener.url)
    start_worker()
    for n in range(1, 31):
        for id in ("a", "b", "c"):
            write(id, n)
    wait_until(lambda: len(listener.received) == 90)
    for id in ("a", "b", "c"):
        assert listener.numbers(id) == list(range(1, 31))
    assert listener.connections <= 10


def hang(_body, handler):
    handler.server.ended.wait()


def trickle(_body, handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not handler.server.ended.wait(0.1):
            handler.wfile.write(b"x")


def send_endless_headers(_body, handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not handler.server.ended.is_set():
            handler.wfile.write(b"X-A: " + b"a" * 1000 + b"\r\n")


def reset_connection(_body, handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def redirect(_body, _handler):
    return response(307, "Location: http://127.0.0.1:1/")


#: By failure: the behaviour of the listener, and a part of the logged error.
FAILURES = {
    "closes": (lambda *_: None, ""),
    "resets": (reset_connection, ""),
    "hangs": (hang, "1 s"),
    "trickles": (trickle, "1 s"),
    "never ends its headers": (send_endless_headers, ""),
    "answers 500": (lambda *_: response(500), "500"),
    "answers 404": (lambda *_: response(404), "404"),
    "redirects": (redirect, "not followed"),
    "sends garbage": (lambda *_: b"\x00\xff garbage \r\n\r\n" * 9, ""),
    "closes in the middle": (lambda *_: b"HTTP/1.1 200 O", ""),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_delivery_is_tried_again(  # noqa: PLR0913, PLR0917
    database, listen, subscribe, start_worker, write, failure
):
    behave, error = FAILURES[failure]
    event_ids = []

    def fail_once(body, handler):
        event_ids.append(body["eventId"])
        if len(event_ids) > 1:
            return OK
        reply = behave(body, handler)
        if reply is not None and failure in {"sends garbage", "closes in the middle"}:
            handler.wfile.write(reply)
            return None
        return reply

    listener = listen(fail_once)
    subscribe(callback=listener.url)
    start_worker(callback_timeout=1.0)
    write("1", 1)
    wait_until(lambda: listener.received and count(database, "delivered") == 1)
    assert len(set(event_ids)) == 1
    (row,), _ = find_deliveries(database, DeliveryCriteria())
    assert row["tries"] == len(event_ids) == 2
    assert error in row["log"][0]["error"]


def test_a_huge_response_is_not_read_and_counts_as_delivered(
    database, listen, subscribe, start_worker, write
):
    sizes = []

    def flood(_body, handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while not handler.server.ended.is_set():
                handler.wfile.write(b"x" * 65536)
                sizes.append(65536)

    subscribe(callback=listen(flood).url)
    start_worker()
    write("1", 1)
    wait_until(lambda: count(database, "delivered") == 1)
    assert sum(sizes) < 50_000_000


def test_a_port_that_refuses_connections_is_tried_until_it_accepts_them(
    database, listen, subscribe, start_worker, write
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subscribe(callback=f"http://127.0.0.1:{port}/cb")
    start_worker()
    for n in range(1, 8):
        write("1", n)
        write("2", n)
    wait_until(lambda: failures_in_a_row(database) > 0)
    assert read_backlog(database, []).oldest_age > 0
    listener = listen(port=port)
    wait_until(lambda: len(listener.received) == 14)
    assert listener.numbers("1") == listener.numbers("2") == list(range(1, 8))
    wait_until(lambda: failures_in_a_row(database) == 0)


def test_events_of_one_resource_stay_in_order_while_deliveries_fail_at_random(
    listen, subscribe, start_worker, write
):
    chance = random.Random(1)  # noqa: S311
    listener = listen(lambda *_: OK if chance.random() < 0.7 else response(503))
    subscribe(callback=listener.url)
    start_worker(retry_longest=0.1)
    for n in range(1, 11):
        for id in "abcd":
            write(id, n)
    wait_until(lambda: len(listener.received) == 40, timeout=60)
    for id in "abcd":
        assert listener.numbers(id) == list(range(1, 11))


def test_a_refused_resource_does_not_delay_the_others(listen, subscribe, start_worker, write):
    def refuse(body, _handler):
        return response(422) if body["event"]["productOrder"]["id"] == "bad" else OK

    listener = listen(refuse)
    subscribe(callback=listener.url)
    start_worker()
    write("bad", 1, 2, 3)
    for n in range(20):
        write(f"good{n}", 1)
    wait_until(lambda: len(listener.received) == 20)
    assert listener.numbers("bad") == []


def test_dead_and_hanging_subscribers_do_not_delay_another(listen, subscribe, start_worker, write):
    subscribe(callback="http://127.0.0.1:1/cb")
    hanging = [listen(hang) for _ in range(3)]
    listener = listen()
    for receiver in (*hanging, listener):
        subscribe(callback=receiver.url)
    start_worker(callback_timeout=600.0)
    for n in range(40):
        write(str(n), 1)
    wait_until(lambda: len(listener.received) == 40)
    for receiver in hanging:
        receiver.ended.set()  # let the worker stop at once


def test_a_failing_subscriber_receives_single_probes(  # noqa: PLR0913, PLR0917
    database, listen, subscribe, start_worker, write, monkeypatch
):
    monkeypatch.setattr(dispatcher.random, "uniform", lambda _low, high: high)
    calls = []
    listener = listen(lambda body, _: calls.append(body["eventId"]) or response(500))
    subscribe(callback=listener.url)
    for n in range(100):
        write(str(n), 1)
    start_worker(retry_first=3600.0, retry_longest=3600.0)
    wait_until(lambda: failures_in_a_row(database) == dispatcher.FAILURE_THRESHOLD)
    make_next_attempt_due(database)
    burst = len(calls)
    assert burst <= dispatcher.MAX_CONCURRENT + dispatcher.FAILURE_THRESHOLD
    wait_until(lambda: failures_in_a_row(database) == dispatcher.FAILURE_THRESHOLD + 1)
    assert len(calls) == burst + 1
    assert count(database, "pending") == 100
    listener.behave = lambda *_: OK
    make_next_attempt_due(database)
    wait_until(lambda: len(listener.received) == 100)


def test_retry_after_is_respected_up_to_the_longest_pause(
    database, listen, subscribe, start_worker, write
):
    subscribe(callback=listen(lambda *_: response(429, "Retry-After: 3600")).url)
    start_worker(retry_first=0.01, retry_longest=600.0)
    write("1", 1)
    wait_until(lambda: failures_in_a_row(database))
    (delivery,), _ = find_deliveries(database, DeliveryCriteria())
    pause = delivery["due"] - delivery["log"][0]["at"]
    assert timedelta(seconds=590) < pause < timedelta(seconds=660)


def test_410_disables_the_subscription_and_parks_its_deliveries(
    database, listen, subscribe, start_worker, write
):
    listener = listen(lambda *_: response(410))
    id = subscribe(callback=listener.url)["_id"]
    start_worker()
    write("1", 1, 2)
    write("2", 1)
    wait_until(lambda: database.Subscription.find_one()["state"] == "disabled")
    wait_until(lambda: count(database, "parked") == 3)
    write("3", 1)
    wait_until(lambda: not database.ProductOrder.count_documents({"events": {"$exists": True}}))
    assert count(database, "pending") == 0
    with pytest.raises(Conflict, match="410"):
        delivery_admin.replay_parked(database, id)
    listener.behave = lambda *_: OK
    delivery_admin.enable_subscription(database, id)
    assert delivery_admin.replay_parked(database, id) == 3
    wait_until(lambda: len(listener.received) == 3)
    assert listener.numbers("1") == [1, 2]


def test_a_delivery_that_fails_for_too_long_is_parked_and_can_be_replayed(
    database, listen, subscribe, start_worker, write
):
    listener = listen(lambda *_: response(500))
    subscribe(callback=listener.url)
    start_worker()
    write("1", 1)
    wait_until(lambda: (row := database.deliveries.find_one()) and row["tries"] > 1)
    database.deliveries.update_one({}, {"$set": {"created": PAST}})
    wait_until(lambda: count(database, "parked") == 1)
    (row,), total = find_deliveries(
        database, DeliveryCriteria(state="parked", type="ProductOrderCreateEvent")
    )
    assert total == 1
    assert "500" in row["reason"]
    assert len(row["log"]) == min(row["tries"], 10) > 1
    payload = database.deliveries.find_one({"_id": row["id"]})["payload"]
    assert json.loads(payload)["eventId"] == row["event"]
    with pytest.raises(NotFound):
        delivery_admin.replay_delivery(database, row["id"], tenant="other")
    listener.behave = lambda *_: OK
    assert delivery_admin.replay_delivery(database, row["id"]) == 1
    wait_until(lambda: listener.event_ids() == [row["event"]])


def test_an_ended_subscription_receives_no_more_events(  # noqa: PLR0913, PLR0917
    database, listen, subscriptions, subscribe, start_worker, write
):
    id = subscribe(callback=listen(lambda *_: response(500)).url)["_id"]
    start_worker()
    write("1", 1, 2)
    wait_until(lambda: count(database, "pending") == 2)
    subscriptions.delete(id, "TMF622", "v4", OPERATOR)
    wait_until(lambda: find_deliveries(database, DeliveryCriteria()) == ([], 0))


def test_a_callback_that_has_become_internal_is_not_called(
    database, listen, subscribe, start_worker, write
):
    id = subscribe(callback=listen().url)["_id"]
    database.Subscription.update_one({"_id": id}, {"$set": {"url": "http://169.254.169.254/"}})
    start_worker()
    write("1", 1)
    log = wait_until(lambda: (row := database.deliveries.find_one()) and row.get("log"))
    assert "link-local" in log[0]["error"]


def test_two_workers_deliver_each_event_once_and_in_order(
    database, listen, subscribe, start_worker, write
):
    listeners = [listen(), listen()]
    for listener in listeners:
        subscribe(callback=listener.url)
    start_worker()
    start_worker()
    for n in range(1, 16):
        for id in "abcde":
            write(id, n)
            write(f"c{id}", n, kind="Customer")
    for listener in listeners:
        wait_until(lambda listener=listener: len(listener.received) >= 150, timeout=60)
    for kind in ("ProductOrder", "Customer"):
        pending = {"events": {"$exists": True}}
        wait_until(lambda kind=kind, pending=pending: not database[kind].count_documents(pending))
    wait_until(lambda: count(database, "pending") == 0)
    for listener in listeners:
        assert len(listener.received) == 150
        for id in "abcde":
            assert listener.numbers(id) == list(range(1, 16))


def test_a_stopped_worker_releases_its_leases(listen, subscribe, start_worker, write):
    listener = listen()
    subscribe(callback=listener.url)
    first = start_worker(callback_timeout=600.0)
    write("1", 1)
    wait_until(lambda: listener.received)
    first.stop()
    start_worker()
    write("1", 2)
    wait_until(lambda: listener.numbers("1") == [1, 2])


def test_a_worker_that_is_killed_repeatedly_loses_no_event(
    database, mongodb_uri, listen, subscribe, write
):
    chance = random.Random(2)  # noqa: S311
    listener = listen(lambda *_: OK if chance.random() < 0.9 else response(500))
    subscribe(callback=listener.url)
    command = [sys.executable, "-m", "tests.support.relay_process", mongodb_uri, database.name]
    revisions = dict.fromkeys("abcdef", 0)
    for received_before in (0, 48, 96):
        process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603
        try:
            for _ in range(8):
                for id in revisions:
                    revisions[id] += 1
                    write(id, revisions[id])
            wait_until(lambda: len(listener.received) > received_before, timeout=60)  # noqa: B023
            time.sleep(chance.random() * 0.2)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    worker = Worker(database)
    try:
        wait_until(
            lambda: all(len(set(listener.numbers(id))) == 24 for id in revisions), timeout=60
        )
    finally:
        worker.stop()
    for id in revisions:
        in_order_of_first_arrival = list(dict.fromkeys(listener.numbers(id)))
        assert in_order_of_first_arrival == list(range(1, 25))
    assert len(set(listener.event_ids())) == 144
    assert len(listener.event_ids()) < 144 + 3 * 48
