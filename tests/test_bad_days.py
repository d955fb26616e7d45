"""Bad days of orders: late doubles, clocks that jump, things that change or go in the middle."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from adapters import mib
from adapters.simulated import WRONG_VALUE
from tests.crashing import mortal
from tests.executing import item
from tests.running import ROOT
from tests.test_execution import on
from tmf_apis.errors import Conflict, IllegalTransition
from tmf_apis.fulfilment.execution.journal import Superseded
from tmf_apis.fulfilment.execution.steps import Part

MEGABIT = 1000  # in the gateway's unit, kbit/s


@pytest.fixture
def it(it):
    """The same, patient."""
    it.policy(fulfilment_patience=20.0)
    return it


def both(it, fibre):
    """Order a service on each of two gateways, both or none; the second refuses."""
    far = it.gateway("far")
    far.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    return it.post(
        item(id="1", offering=fibre, port="gw sub1"),
        item(id="2", offering=fibre, port="far sub1"),
        allOrNothing=True,
    )


def test_what_a_second_attempt_has_set_is_taken_back_too(it, fibre):
    it.policy(fulfilment_patience=2.0)
    it.gw.misbehaviour.deaf[mib.IF_ALIAS] = 1  # the first attempt ends at its first SET
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    assert it.advance(key).open
    adapter_verify = it.advancing._provisioning._checked

    async def doubted(entry, adapter):
        entry.taken = replace(entry.taken, settings={**entry.taken.settings, "upstream": 1000})
        await adapter_verify(entry, adapter)

    it.advancing._provisioning._checked = doubted  # the second attempt is found to be wrong
    order = it.run(key)
    assert order["state"] == "failed"
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_one_who_was_taken_for_dead_does_not_make_the_way_back_forgotten(it, fibre):
    key = both(it, fibre)
    far = it.gateways["far"]
    it.accept(key)
    late = it.advancing._settling.look(key, 0)
    far.misbehaviour.silent = True
    assert it.do(it.advancing.advance(Part(key, 0), again=True)).open
    assert on(it.gw, "sub1")[1] == 100 * MEGABIT
    with pytest.raises(Superseded):  # it wakes up and goes on where it was
        it.do(it.advancing._go(late))
    far.misbehaviour.silent = False
    assert it.run(key)["state"] == "failed"
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_an_order_that_is_taken_up_twice_keeps_what_the_first_has_done(it, fibre):
    key = both(it, fibre)
    order = it.order(key)
    desk = it.desk
    head = it.accepting._journal.head
    it.accepting._journal.head = lambda _: None  # a double that looked before the first wrote
    it.accept(key)
    before = it.states(key)
    assert set(before.values()) == {"reserved"}
    it.accepting._taken_up(desk, key, order)
    it.accepting._journal.head = head
    assert it.states(key) == before
    assert it.run(key)["state"] == "failed"
    it.agrees()


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(it, fibre, monkeypatch):
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert it.advance(key).open
    monkeypatch.undo()
    it.gw.misbehaviour.silent = False
    report = it.advance(key)
    assert not report.open or report.wait < 31
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_a_clock_that_is_set_forward_costs_the_patience_and_nothing_else(it, fibre, monkeypatch):
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    assert it.advance(key).open
    now = time.time
    it.gw.misbehaviour.silent = False
    monkeypatch.setattr(time, "time", lambda: now() + 7200)
    assert it.run(key)["state"] == "completed"
    it.agrees()


@pytest.mark.parametrize("when", ["reserved", "applied"])
def test_a_port_that_is_taken_out_of_the_inventory_gets_no_service(it, fibre, when):
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    port = it.port("gw", "sub1")["id"]
    if when == "reserved":
        it.desk.delete("Resource", port)
    else:
        it.gw.misbehaviour.deaf[mib.SVC_UP_KBPS] = 1
        assert it.advance(key).open
        it.desk.delete("Resource", port)
    order = it.run(key)
    assert order["state"] == "failed"
    assert "not in the inventory" in order["productOrderErrorMessage"][0]["message"]
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_an_order_is_done_as_the_catalogue_was_when_it_was_taken_up(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    offering = it.desk.get("ProductOffering", fibre)
    it.desk.delete("ProductSpecification", offering["productSpecification"]["id"])
    it.desk.delete("ProductOffering", fibre)
    order = it.run(key)
    assert order["state"] == "completed"
    assert on(it.gw, "sub1")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    it.agrees()


def test_an_element_that_is_replaced_in_the_middle_is_set_up_from_the_start(it, fibre):
    it.gw.misbehaviour.deaf[mib.SVC_UP_KBPS] = 1
    key = it.post(item(offering=fibre, port="gw sub2"))
    it.accept(key)
    assert it.advance(key).open
    for port in it.gw.ports.values():
        port.tag, port.down, port.up = "", 0, 0
    it.gw.restart(shift=1)
    order = it.run(key)
    assert order["state"] == "completed"
    assert on(it.gw, "sub2")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    it.agrees()


def test_a_port_is_given_to_one_of_two_orders_of_the_same_moment(it, fibre):
    for round_ in range(1, 5):
        keys = [it.post(item(offering=fibre, port=f"gw sub{round_}")) for _ in range(2)]
        gate = threading.Barrier(2)

        def take(key, gate=gate):
            gate.wait()
            it.accept(key)

        threads = [threading.Thread(target=take, args=(key,)) for key in keys]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        states = sorted(it.run(key)["state"] for key in keys)
        assert states == ["completed", "failed"]
        it.agrees()


def circle(it):
    """Sell a product with characteristics that map in a circle; it was never launched."""

    def mapped(from_):
        relation = {"relationshipType": "mapsFrom", "parentSpecificationId": from_, "name": "speed"}
        return [{"name": "speed", "charSpecRelationship": [relation]}]

    facts = {"lifecycleStatus": "inStudy", "version": "1"}
    it.desk.create(
        "ResourceSpecification",
        {"id": "port", "name": "port", "category": "accessPort", **facts},
    )
    it.desk.create(
        "ServiceSpecification",
        {"id": "line", "name": "line", "specCharacteristic": mapped("internet"),
         "resourceSpecification": [{"id": "port"}], **facts},
    )  # fmt: skip
    it.desk.create(
        "ServiceSpecification",
        {"id": "internet", "name": "internet", "specCharacteristic": mapped("line"),
         "serviceSpecRelationship": [{"id": "line", "relationshipType": "consistsOf"}], **facts},
    )  # fmt: skip
    written = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "In study"}
    made = it.desk.create(
        "ProductSpecification",
        {"name": "round", "serviceSpecification": [{"id": "internet"}], **written},
    )
    return it.desk.create(
        "ProductOffering", {"name": "round", "productSpecification": {"id": made["id"]}, **written}
    )["id"]


def test_catalogue_data_that_runs_in_a_circle_fails_the_item_and_says_why(it):
    order = it.run(it.post(item(offering=circle(it), port="gw sub1")))
    assert order["state"] == "failed"
    assert order["productOrderErrorMessage"][0]["message"]
    it.agrees()


def test_a_cancellation_between_any_two_writes_comes_in_time_or_too_late_and_never_half(it, fibre):
    seen = set()
    with mortal() as death:
        n = 0
        while True:
            n += 1
            key = it.post(item(offering=fibre, port=f"gw sub{(n - 1) % 4 + 1}"))
            work = it.accept(key)
            requests = []

            def meddle(key=key, requests=requests):
                with suppress(IllegalTransition, Conflict):  # too late
                    requests.append(it.cancel(key))

            death.live(n, meddle)
            end = time.monotonic() + 20
            while it.advance(key).open:
                assert time.monotonic() < end
            count = len(death.done)
            death.live()
            if count < n:
                break
            assert work.reserved
            for one in requests:
                it.settle(key, one)
                task = it.desk.get("CancelProductOrder", one)
                assert task["state"] in {"done", "terminatedWithError"}
            order = it.order(key)
            assert order["state"] in {"cancelled", "completed"}, (n, order)
            seen.add(order["state"])
            it.agrees()
            head = it.accepting._journal.head(key)
            assert "ended" in head, (n, order["state"])
            if order["state"] == "completed":
                product = order["productOrderItem"][0]["product"]["id"]
                assert it.run(it.post(item("delete", product=product)))["state"] == "completed"
    assert seen == {"cancelled", "completed"}


def test_a_request_to_cancel_that_is_heard_when_all_is_done_holds_nobody_up(it, fibre):
    order = it.run(it.post(item(offering=fibre, port="gw sub1")))
    product = order["productOrderItem"][0]["product"]["id"]
    first = it.post(item("modify", offering=it.offering(500, 100), product=product))
    second = it.post(item("delete", product=product))
    it.accept(first)
    assert it.accept(second).turn
    requests, tell = [], it.advancing._settling._tell

    def late(*given):
        requests.append(it.cancel(first))
        return tell(*given)

    it.advancing._settling._tell = late
    report = it.advance(first)
    assert (report.open, report.wake) == (False, (second,))
    it.advancing._settling._tell = tell
    it.settle(first, requests[0])
    assert it.order(first)["state"] == "completed"
    assert it.desk.get("CancelProductOrder", requests[0])["state"] == "terminatedWithError"
    assert it.run(second)["state"] == "completed"
    it.agrees()


HALF_ALIVE = """
import asyncio, sys
from contextlib import suppress
from tmf_apis import working
from tmf_apis.capacity.polling import Polling
from tmf_apis.settings import Settings
from tmf_apis.temporal import Temporal

async def fails(self, stop):
    await asyncio.sleep(0.5)
    raise RuntimeError("broken")

async def goes_on(self, stop):
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

Polling.run, Temporal.run = fails, goes_on
working.run(Settings.from_environment())
"""


def test_a_worker_of_which_a_part_fails_ends_as_a_whole(mongodb_uri, tmp_path):
    settings = {
        "TMF_MONGODB_URI": mongodb_uri,
        "TMF_MONGODB_DATABASE": "half_alive",
        "TMF_TEMPORAL_ADDRESS": "127.0.0.1:1",
        "TMF_DATA_DIR": str(tmp_path),
    }
    ended = subprocess.run(  # noqa: S603 - our own worker
        [sys.executable, "-c", HALF_ALIVE],
        env={**os.environ, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 1
    assert "broken" in ended.stderr + ended.stdout
