"""Bad days of orders: late doubles, clocks that jump, things that change or go in the middle."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.integration.fulfilment.execution.test_order_execution import on
from tests.support.crash_injector import inject_crashes
from tests.support.fulfilment_harness import order_item
from tests.support.server import ROOT
from tmf_apis.errors import Conflict, IllegalTransition
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.execution.payloads import BatchRef

MEGABIT = 1000  # in the gateway's unit, kbit/s


@pytest.fixture
def operator(operator):
    """The same, patient."""
    operator.configure(fulfilment_patience=20.0)
    return operator


def both(operator, fibre):
    """Order a service on each of two gateways, both or none; the second refuses."""
    far = operator.add_gateway("far")
    far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    return operator.place_order(
        order_item(id="1", offering=fibre, port="gw sub1"),
        order_item(id="2", offering=fibre, port="far sub1"),
        allOrNothing=True,
    )


def test_what_a_second_attempt_has_set_is_taken_back_too(operator, fibre_offering):
    operator.configure(fulfilment_patience=2.0)
    operator.gw.fault_injection.unanswered_sets[mib.IF_ALIAS] = (
        1  # the first attempt ends at its first SET
    )
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    assert operator.advance(key).incomplete
    adapter_verify = operator.runner._provisioner._verify

    async def doubted(entry, adapter):
        entry.taken = replace(entry.taken, settings={**entry.taken.settings, "upstream": 1000})
        await adapter_verify(entry, adapter)

    operator.runner._provisioner._verify = doubted  # the second attempt is found to be wrong
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.agrees()


def test_one_who_was_taken_for_dead_does_not_make_the_way_back_forgotten(operator, fibre_offering):
    key = both(operator, fibre_offering)
    far = operator.gateways["far"]
    operator.accept(key)
    late = operator.runner._committer.load_batch(key, 0)
    far.fault_injection.silent = True
    assert operator.run_async(operator.runner.advance(BatchRef(key, 0), take_over=True)).incomplete
    assert on(operator.gw, "sub1")[1] == 100 * MEGABIT
    with pytest.raises(FencedOff):  # it wakes up and goes on where it was
        operator.run_async(operator.runner._run_ready_tasks(late))
    far.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "failed"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_an_order_that_is_taken_up_twice_keeps_what_the_first_has_done(operator, fibre_offering):
    key = both(operator, fibre_offering)
    order = operator.get_order(key)
    desk = operator.repository
    head = operator.intake._journal.head
    operator.intake._journal.head = lambda _: None  # a double that looked before the first wrote
    operator.accept(key)
    before = operator.task_states(key)
    assert set(before.values()) == {"reserved"}
    operator.intake._plan(desk, key, order)
    operator.intake._journal.head = head
    assert operator.states(key) == before
    assert operator.run(key)["state"] == "failed"
    operator.agrees()


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(operator, fibre_offering, monkeypatch):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert operator.advance(key).incomplete
    monkeypatch.undo()
    operator.gw.fault_injection.silent = False
    report = operator.advance(key)
    assert not report.incomplete or report.wait < 31
    assert operator.run(key)["state"] == "completed"
    operator.agrees()


def test_a_clock_that_is_set_forward_costs_the_patience_and_nothing_else(
    operator, fibre_offering, monkeypatch
):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    assert operator.advance(key).incomplete
    now = time.time
    operator.gw.fault_injection.silent = False
    monkeypatch.setattr(time, "time", lambda: now() + 7200)
    assert operator.run_order(key)["state"] == "completed"
    operator.agrees()


@pytest.mark.parametrize("when", ["reserved", "applied"])
def test_a_port_that_is_taken_out_of_the_inventory_gets_no_service(operator, fibre_offering, when):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    port = operator.find_port("gw", "sub1")["id"]
    if when == "reserved":
        operator.repository.delete("Resource", port)
    else:
        operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
        assert operator.advance(key).incomplete
        operator.repository.delete("Resource", port)
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "not in the inventory" in order["productOrderErrorMessage"][0]["message"]
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_an_order_is_done_as_the_catalogue_was_when_it_was_taken_up(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    offering = operator.repository.get("ProductOffering", fibre_offering)
    operator.repository.delete("ProductSpecification", offering["productSpecification"]["id"])
    operator.repository.delete("ProductOffering", fibre_offering)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert on(operator.gw, "sub1")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_an_element_that_is_replaced_in_the_middle_is_set_up_from_the_start(
    operator, fibre_offering
):
    operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub2"))
    operator.accept(key)
    assert operator.advance(key).incomplete
    for port in operator.gw.ports.values():
        port.tag, port.downstream_kbps, port.upstream_kbps = "", 0, 0
    operator.gw.restart(shift=1)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert on(operator.gw, "sub2")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.agrees()


def test_a_port_is_given_to_one_of_two_orders_of_the_same_moment(operator, fibre_offering):
    for round_ in range(1, 5):
        keys = [
            operator.place_order(order_item(offering=fibre_offering, port=f"gw sub{round_}"))
            for _ in range(2)
        ]
        gate = threading.Barrier(2)

        def take(key, gate=gate):
            gate.wait()
            operator.accept(key)

        threads = [threading.Thread(target=take, args=(key,)) for key in keys]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        states = sorted(operator.run_order(key)["state"] for key in keys)
        assert states == ["completed", "failed"]
        operator.assert_consistent()


def circle(operator):
    """Sell a product with characteristics that map in a circle; it was never launched."""

    def mapped(from_):
        relation = {"relationshipType": "mapsFrom", "parentSpecificationId": from_, "name": "speed"}
        return [{"name": "speed", "charSpecRelationship": [relation]}]

    facts = {"lifecycleStatus": "inStudy", "version": "1"}
    operator.repository.create(
        "ResourceSpecification",
        {"id": "port", "name": "port", "category": "accessPort", **facts},
    )
    operator.repository.create(
        "ServiceSpecification",
        {"id": "line", "name": "line", "specCharacteristic": mapped("internet"),
         "resourceSpecification": [{"id": "port"}], **facts},
    )  # fmt: skip
    operator.repository.create(
        "ServiceSpecification",
        {"id": "internet", "name": "internet", "specCharacteristic": mapped("line"),
         "serviceSpecRelationship": [{"id": "line", "relationshipType": "consistsOf"}], **facts},
    )  # fmt: skip
    written = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "In study"}
    made = operator.repository.create(
        "ProductSpecification",
        {"name": "round", "serviceSpecification": [{"id": "internet"}], **written},
    )
    return operator.repository.create(
        "ProductOffering", {"name": "round", "productSpecification": {"id": made["id"]}, **written}
    )["id"]


def test_catalogue_data_that_runs_in_a_circle_fails_the_item_and_says_why(operator):
    order = operator.run_order(
        operator.place_order(order_item(offering=circle(operator), port="gw sub1"))
    )
    assert order["state"] == "failed"
    assert order["productOrderErrorMessage"][0]["message"]
    operator.assert_consistent()


def test_a_cancellation_between_any_two_writes_comes_in_time_or_too_late_and_never_half(
    operator, fibre_offering
):
    seen = set()
    with inject_crashes() as death:
        n = 0
        while True:
            n += 1
            key = operator.place_order(
                order_item(offering=fibre_offering, port=f"gw sub{(n - 1) % 4 + 1}")
            )
            work = operator.accept(key)
            requests = []

            def meddle(key=key, requests=requests):
                with suppress(IllegalTransition, Conflict):  # too late
                    requests.append(operator.cancel(key))

            death.arm(n, meddle)
            end = time.monotonic() + 20
            while operator.advance(key).incomplete:
                assert time.monotonic() < end
            count = len(death.writes)
            death.arm()
            if count < n:
                break
            assert work.reserved
            for one in requests:
                operator.settle(key, one)
                task = operator.repository.get("CancelProductOrder", one)
                assert task["state"] in {"done", "terminatedWithError"}
            order = operator.order(key)
            assert order["state"] in {"cancelled", "completed"}, (n, order)
            seen.add(order["state"])
            operator.agrees()
            head = operator.intake._journal.head(key)
            assert "ended" in head, (n, order["state"])
            if order["state"] == "completed":
                product = order["productOrderItem"][0]["product"]["id"]
                assert (
                    operator.run(operator.post(order_item("delete", product=product)))["state"]
                    == "completed"
                )
    assert seen == {"cancelled", "completed"}


def test_a_request_to_cancel_that_is_heard_when_all_is_done_holds_nobody_up(
    operator, fibre_offering
):
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    )
    product = order["productOrderItem"][0]["product"]["id"]
    first = operator.place_order(
        order_item("modify", offering=operator.create_offering(500, 100), product=product)
    )
    second = operator.post(order_item("delete", product=product))
    operator.accept(first)
    assert operator.accept(second).blocked
    requests, tell = [], operator.runner._committer._update_order

    def late(*given):
        requests.append(operator.cancel(first))
        return tell(*given)

    operator.runner._committer._update_order = late
    report = operator.advance(first)
    assert (report.open, report.wake) == (False, (second,))
    operator.runner._committer._update_order = tell
    operator.settle(first, requests[0])
    assert operator.order(first)["state"] == "completed"
    assert (
        operator.repository.get("CancelProductOrder", requests[0])["state"] == "terminatedWithError"
    )
    assert operator.run(second)["state"] == "completed"
    operator.agrees()


HALF_ALIVE = """
import asyncio, sys
from contextlib import suppress
from tmf_apis import worker
from tmf_apis.capacity.poller import CapacityPoller
from tmf_apis.settings import Settings
from tmf_apis.temporal_worker import TemporalWorker

async def fails(self, stop):
    await asyncio.sleep(0.5)
    raise RuntimeError("broken")

async def goes_on(self, stop):
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

CapacityPoller.run, TemporalWorker.run = fails, goes_on
worker.run(Settings.from_environment())
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
