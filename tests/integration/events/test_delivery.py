"""Delivery to real listeners that fail in every way, with relays that are killed."""

import asyncio
import contextlib
import hmac
import json
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.paths import ROOT
from tests.support.relay_process import FAST_SETTINGS, run_relay
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.events import delivery_admin, outbox
from tmf_apis.events.delivery_admin import DeliveryCriteria
from tmf_apis.events.signatures import server_key, subscription_key
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import OutboundPolicy

STAFF = Identity("staff", "acme")
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Subscriber(socketserver.ThreadingTCPServer):
    """A listener; ``behave(body, handler)`` returns the answer, or None to close at once."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, behave=None, port=0):
        super().__init__(("127.0.0.1", port), _Talk)
        self.behave = behave or (lambda _body, _handler: OK)
        self.received, self.headers = [], []
        self.connections = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/cb"

    def ids(self):
        return [body["eventId"] for body in list(self.received)]

    def numbers(self, id):
        bodies = [body["event"]["productOrder"] for body in list(self.received)]
        return [body["n"] for body in bodies if body["id"] == id]

    def close(self):
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Talk(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.connections += 1
        with contextlib.suppress(OSError):
            while self._one():
                pass

    def _one(self):
        if not self.rfile.readline():
            return False
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        raw = self.rfile.read(int(headers.get("content-length", 1 << 20)))
        if len(raw) != int(headers.get("content-length", -1)):
            return False  # the sender was killed
        body = json.loads(raw)
        reply = self.server.behave(body, self)
        if reply is not None and reply.startswith(b"HTTP/1.1 2"):
            with self.server.lock:
                self.server.received.append(body)
                self.server.headers.append((headers, raw))
        if reply is None:
            return False
        self.wfile.write(reply)
        return True


@pytest.fixture
def listen():
    open_ones = []

    def listen(behave=None, port=0):
        open_ones.append(Subscriber(behave, port))
        return open_ones[-1]

    yield listen
    for one in open_ones:
        one.close()


@pytest.fixture
def hub(database):
    hub = SubscriptionRepository(database, OutboundPolicy(allow_loopback=True), limit=100)
    hub.prepare()

    def subscribe(url, query=""):
        wanted = SubscriptionRequest(api="TMF622", version="v4", callback=url, query=query)
        return hub.create(wanted, STAFF, lambda _, text: dict([text.split("=")]))["_id"]

    return subscribe


class Worker(threading.Thread):
    """The worker in a thread."""

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
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await run_relay(database, self._end, settings, listeners)

    def stop(self):
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self.join()
        assert self.failure is None


@pytest.fixture
def worker(database):
    running = []

    def start(**more):
        running.append(Worker(database, replace(FAST_SETTINGS, **more)))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def write(database):
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


def until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def first_time(numbers):
    """Return the numbers in the order they were first seen in."""
    return list(dict.fromkeys(numbers))


def test_an_event_arrives_signed_with_the_subscriptions_own_key(
    database, listen, hub, worker, write
):
    one = listen()
    id = hub(one.url)
    worker()
    write("7", 1)
    until(lambda: one.received)
    headers, raw = one.headers[0]
    moment, _, digest = headers["x-tmf-signature"].removeprefix("t=").partition(",v1=")
    key = subscription_key(server_key(database, ""), id).encode()
    assert hmac.digest(key, moment.encode() + b"." + raw, "sha256").hex() == digest
    assert abs(int(moment) - time.time()) < 5
    assert headers["host"] == f"127.0.0.1:{one.server_address[1]}"
    assert headers["content-type"] == "application/json"
    until(lambda: delivery_admin.delivery_statistics(database)["delivered"] == 1)
    (row,), total = delivery_admin.find_deliveries(database, DeliveryCriteria(tenant="acme"))
    assert (total, row["state"], row["tries"], row["log"][0]["status"]) == (1, "delivered", 1, 204)


def test_events_of_one_resource_arrive_in_order_and_connections_are_kept(
    listen, hub, worker, write
):
    one = listen()
    hub(one.url)
    worker()
    for n in range(1, 31):
        for id in ("a", "b", "c"):
            write(id, n)
    until(lambda: len(one.received) == 90)
    for id in ("a", "b", "c"):
        assert one.numbers(id) == list(range(1, 31))
    assert one.connections <= 10


def _hang(_body, handler):
    handler.server.ended.wait(5)


def _trickle(_body, handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not handler.server.ended.wait(0.1):
            handler.wfile.write(b"x")


def _endless_header(_body, handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not handler.server.ended.is_set():
            handler.wfile.write(b"X-A: " + b"a" * 1000 + b"\r\n")


def _reset(_body, handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


FAILURES = {
    "closes": (lambda *_: None, ""),
    "resets": (_reset, ""),
    "hangs": (_hang, "1 s"),
    "trickles": (_trickle, "1 s"),
    "never ends its headers": (_endless_header, ""),
    "answers 500": (lambda *_: answer(500), "500"),
    "answers 404": (lambda *_: answer(404), "404"),
    "redirects": (lambda *_: answer(307, "Location: http://127.0.0.1:1/"), "not followed"),
    "talks garbage": (lambda *_: b"\x00\xff garbage \r\n\r\n" * 9, ""),
    "closes in the middle": (lambda *_: b"HTTP/1.1 200 O", ""),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_a_subscriber_does_its_event_is_tried_again(  # noqa: PLR0913, PLR0917
    database, listen, hub, worker, write, failure
):
    behave, error = FAILURES[failure]
    calls = []

    def once(body, handler):
        calls.append(body["eventId"])
        if len(calls) > 1:
            return OK
        reply = behave(body, handler)
        if reply is not None and failure in {"talks garbage", "closes in the middle"}:
            handler.wfile.write(reply)
            return None
        return reply

    one = listen(once)
    hub(one.url)
    worker()
    write("1", 1)
    until(lambda: one.received and delivery_admin.delivery_statistics(database)["delivered"] == 1)
    assert len(set(calls)) == 1
    (row,), _ = delivery_admin.find_deliveries(database, DeliveryCriteria())
    assert row["tries"] == 2
    assert error in row["log"][0]["error"]
    assert row["log"][0]["took"] < 1.5


def test_a_huge_answer_is_not_read_and_counts_as_delivered(database, listen, hub, worker, write):
    sent = []

    def flood(_body, handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while not handler.server.ended.is_set():
                handler.wfile.write(b"x" * 65536)
                sent.append(65536)

    one = listen(flood)
    hub(one.url)
    worker()
    write("1", 1)
    until(lambda: delivery_admin.delivery_statistics(database)["delivered"] == 1)
    assert sum(sent) < 50_000_000


def test_a_port_that_refuses_is_tried_until_somebody_listens(database, listen, hub, worker, write):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hub(f"http://127.0.0.1:{port}/cb")
    worker()
    for n in range(1, 8):
        write("1", n)
        write("2", n)
    until(lambda: delivery_admin.delivery_statistics(database)["failing"] == 1)
    assert delivery_admin.delivery_statistics(database)["oldest"] > 0
    one = listen(port=port)
    until(lambda: len(one.received) == 14)
    assert one.numbers("1") == one.numbers("2") == list(range(1, 8))
    until(lambda: delivery_admin.delivery_statistics(database)["failing"] == 0)


def test_the_order_within_a_resource_holds_while_a_subscriber_fails_at_random(
    listen, hub, worker, write
):
    chance = random.Random(1)  # noqa: S311
    one = listen(lambda *_: OK if chance.random() < 0.7 else answer(503))
    hub(one.url)
    worker(retry_longest=0.1)
    for n in range(1, 11):
        for id in "abcd":
            write(id, n)
    until(lambda: len(one.received) == 40, 15)
    for id in "abcd":
        assert one.numbers(id) == list(range(1, 11))


def test_one_resource_that_is_refused_does_not_hold_up_the_others(listen, hub, worker, write):
    def refuse(body, _handler):
        return answer(422) if body["event"]["productOrder"]["id"] == "bad" else OK

    one = listen(refuse)
    hub(one.url)
    worker()
    write("bad", 1, 2, 3)
    for n in range(20):
        write(f"good{n}", 1)
    until(lambda: len(one.received) == 20)
    assert one.numbers("bad") == []


def test_a_dead_and_a_hanging_subscriber_do_not_delay_another(listen, hub, worker, write):
    hub("http://127.0.0.1:1/cb")
    for _ in range(3):
        hub(listen(_hang).url)
    one = listen()
    hub(one.url)
    worker(callback_timeout=2.0)
    for n in range(40):
        write(str(n), 1)
    began = time.monotonic()
    until(lambda: len(one.received) == 40)
    assert time.monotonic() - began < 1.5


def test_a_dead_subscriber_is_probed_and_not_hammered(database, listen, hub, worker, write):
    calls = []
    one = listen(lambda body, _: calls.append(body["eventId"]) or answer(500))
    hub(one.url)
    for n in range(100):
        write(str(n), 1)
    worker(retry_first=0.4, retry_longest=0.4)
    time.sleep(1.5)
    assert 8 <= len(calls) <= 30
    assert delivery_admin.delivery_statistics(database)["pending"] == 100
    one.behave = lambda *_: OK
    until(lambda: len(one.received) == 100)


def test_retry_after_is_heeded_up_to_the_longest_pause(listen, hub, worker, write):
    calls = []

    def busy(_body, _handler):
        calls.append(time.monotonic())
        return answer(429, "Retry-After: 3600") if len(calls) == 1 else OK

    one = listen(busy)
    hub(one.url)
    worker(retry_first=0.01, retry_longest=0.6)
    write("1", 1)
    until(lambda: one.received)
    assert 0.5 < calls[1] - calls[0] < 2


def test_410_disables_the_subscription_and_parks_what_waits(database, listen, hub, worker, write):
    one = listen(lambda *_: answer(410))
    id = hub(one.url)
    worker()
    write("1", 1, 2)
    write("2", 1)
    until(lambda: delivery_admin.delivery_statistics(database)["disabled"] == 1)
    until(lambda: delivery_admin.delivery_statistics(database)["parked"] == 3)
    write("3", 1)
    until(lambda: not database.ProductOrder.count_documents({"events": {"$exists": True}}))
    assert delivery_admin.delivery_statistics(database)["pending"] == 0
    with pytest.raises(Conflict, match="410"):
        delivery_admin.replay_parked(database, id)
    one.behave = lambda *_: OK
    delivery_admin.enable_subscription(database, id)
    assert delivery_admin.replay_parked(database, id) == 3
    until(lambda: len(one.received) == 3)
    assert one.numbers("1") == [1, 2]


def test_what_is_not_delivered_in_time_is_parked_and_can_be_replayed(
    database, listen, hub, worker, write
):
    one = listen(lambda *_: answer(500))
    hub(one.url)
    worker(retry_days=0.3 / 86400)
    write("1", 1)
    until(lambda: delivery_admin.delivery_statistics(database)["parked"] == 1)
    (row,), total = delivery_admin.find_deliveries(
        database, DeliveryCriteria(state="parked", type="ProductOrderCreateEvent")
    )
    assert total == 1
    assert "500" in row["reason"]
    assert len(row["log"]) == min(row["tries"], 10) > 1
    assert (
        json.loads(delivery_admin.delivery_payload(database, row["id"]))["eventId"] == row["event"]
    )
    with pytest.raises(NotFound):
        delivery_admin.replay_delivery(database, row["id"], tenant="other")
    one.behave = lambda *_: OK
    assert delivery_admin.replay_delivery(database, row["id"]) == 1
    until(lambda: one.ids() == [row["event"]])


def test_an_ended_subscription_receives_nothing_more(database, listen, hub, worker, write):
    one = listen(lambda *_: answer(500))
    id = hub(one.url)
    worker()
    write("1", 1, 2)
    until(lambda: delivery_admin.delivery_statistics(database)["pending"] == 2)
    SubscriptionRepository(database, OutboundPolicy(), limit=1).delete(id, "TMF622", "v4", STAFF)
    until(lambda: delivery_admin.delivery_statistics(database)["pending"] == 0)
    assert delivery_admin.find_deliveries(database, DeliveryCriteria()) == ([], 0)


def test_a_callback_that_leads_inside_by_now_is_not_called(database, listen, hub, worker, write):
    one = listen()
    id = hub(one.url)
    database.Subscription.update_one({"_id": id}, {"$set": {"url": "http://169.254.169.254/"}})
    worker()
    write("1", 1)
    until(
        lambda: any(
            row.get("log")
            for row in delivery_admin.find_deliveries(database, DeliveryCriteria())[0]
        )
    )
    assert (
        "link-local"
        in delivery_admin.find_deliveries(database, DeliveryCriteria())[0][0]["log"][0]["error"]
    )


def test_two_workers_deliver_everything_once_and_in_order(listen, hub, worker, write):
    one, other = listen(), listen()
    hub(one.url)
    hub(other.url)
    worker(callback_timeout=5.0)
    worker(callback_timeout=5.0)
    for n in range(1, 16):
        for id in "abcde":
            write(id, n)
            write(f"c{id}", n, kind="Customer")
    until(lambda: len(one.received) >= 150 and len(other.received) >= 150)
    time.sleep(0.2)
    for subscriber in (one, other):
        assert len(subscriber.received) == 150
        for id in "abcde":
            assert subscriber.numbers(id) == list(range(1, 16))


def test_stopping_ends_soon_and_another_worker_goes_on_at_once(listen, hub, worker, write):
    one = listen()
    hub(one.url)
    first = worker(relay_interval=0.2)
    write("1", 1)
    until(lambda: one.received)
    began = time.monotonic()
    first.stop()
    assert time.monotonic() - began < 2
    worker()
    write("1", 2)
    until(lambda: one.numbers("1") == [1, 2], 3)


def test_a_worker_that_is_killed_again_and_again_loses_nothing(
    database, mongodb_uri, listen, hub, write
):
    chance = random.Random(2)  # noqa: S311
    one = listen(lambda *_: OK if chance.random() < 0.9 else answer(500))
    hub(one.url)
    command = [sys.executable, "-m", "tests.support.relay_process", mongodb_uri, database.name]
    wanted = dict.fromkeys("abcdef", 0)
    for enough in (0, 48, 96):
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            for _ in range(8):
                for id in wanted:
                    wanted[id] += 1
                    write(id, wanted[id])
            until(lambda: len(one.received) > enough)  # noqa: B023
            time.sleep(chance.random() * 0.2)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    last = Worker(database)
    try:
        until(lambda: all(len(set(one.numbers(id))) == 24 for id in wanted), 15)
    finally:
        last.stop()
    for id in wanted:
        assert first_time(one.numbers(id)) == list(range(1, 25))
    assert len(set(one.ids())) == 144
    assert len(one.ids()) < 144 + 3 * 48
