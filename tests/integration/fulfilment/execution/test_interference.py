"""Interference with orders: stale workers, clock changes, concurrent changes and deletions."""

import itertools
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.crash_injector import inject_crashes
from tests.support.fulfilment_harness import (
    MEGABIT,
    WAIT_TIMEOUT,
    clear_port,
    order_item,
    port_state,
)
from tests.support.paths import ROOT
from tmf_apis.errors import Conflict, IllegalTransition
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.execution.payloads import BatchRef
from tmf_apis.fulfilment.order_rights import order_rights


@pytest.fixture
def operator(operator):
    """The operator, with a long patience."""
    operator.configure(fulfilment_patience=20.0)
    return operator


def place_order_on_two_gateways(operator, offering):
    """Order a service on each of two gateways, all or nothing; the second gateway rejects it."""
    far = operator.add_gateway("far")
    far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    return operator.place_order(
        order_item(id="1", offering=offering, port="gw sub1"),
        order_item(id="2", offering=offering, port="far sub1"),
        allOrNothing=True,
    )


def test_a_rollback_undoes_the_changes_of_all_attempts(operator, fibre_offering):
    operator.configure(fulfilment_patience=2.0)
    # the first attempt ends at its first SET
    operator.gw.fault_injection.unanswered_sets[mib.IF_ALIAS] = 1
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    assert operator.advance(key).incomplete
    verify = operator.runner._provisioner._verify

    async def verify_another_rate(entry, adapter):
        settings = {**entry.allocation.settings, "upstream": 1000}
        entry.allocation = replace(entry.allocation, settings=settings)
        await verify(entry, adapter)

    operator.runner._provisioner._verify = verify_another_rate  # fails the second attempt
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_stale_worker_cannot_overwrite_compensation(operator, fibre_offering):
    key = place_order_on_two_gateways(operator, fibre_offering)
    far = operator.gateways["far"]
    operator.accept(key)
    stale_batch = operator.runner._committer.load_batch(key, 0)
    far.fault_injection.silent = True
    assert operator.run_async(operator.runner.advance(BatchRef(key, 0), take_over=True)).incomplete
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT
    with pytest.raises(FencedOff):  # the stale worker continues with its old batch
        operator.run_async(operator.runner._run_ready_tasks(stale_batch))
    far.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "failed"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_concurrent_intake_keeps_the_journal_of_the_first(operator, fibre_offering, monkeypatch):
    key = place_order_on_two_gateways(operator, fibre_offering)
    order = operator.get_order(key)
    journal = operator.intake._journal
    with monkeypatch.context() as patch:
        patch.setattr(journal, "head", lambda _: None)  # read before the first intake wrote it
        operator.accept(key)
        states = operator.task_states(key)
        assert set(states.values()) == {"reserved"}
        operator.intake._plan(order_rights(operator.repositories, key, None), key, order)
    assert operator.task_states(key) == states
    assert operator.run_order(key)["state"] == "failed"
    operator.assert_consistent()


def test_a_clock_that_is_set_back_does_not_delay_retries(operator, fibre_offering, monkeypatch):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert operator.advance(key).incomplete
    monkeypatch.undo()
    operator.gw.fault_injection.silent = False
    progress = operator.advance(key)
    assert not progress.incomplete or progress.retry_in < 31
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_clock_that_is_set_forward_does_not_fail_a_working_task(
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
    operator.assert_consistent()


@pytest.mark.parametrize("when", ["reserved", "applied"])
def test_a_port_that_is_deleted_from_the_inventory_gets_no_service(operator, fibre_offering, when):
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
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_an_order_uses_the_catalogue_of_the_time_of_its_intake(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    offering = operator.repository.get("ProductOffering", fibre_offering)
    operator.repository.delete("ProductSpecification", offering["productSpecification"]["id"])
    operator.repository.delete("ProductOffering", fibre_offering)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert port_state(operator.gw, "sub1")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_an_element_that_is_replaced_meanwhile_is_set_up_from_the_start(operator, fibre_offering):
    operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub2"))
    operator.accept(key)
    assert operator.advance(key).incomplete
    for port in operator.gw.ports.values():
        clear_port(operator.gw, port.name)
    operator.gw.restart(shift=1)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert port_state(operator.gw, "sub2")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_one_of_two_concurrent_orders_gets_a_port(operator, fibre_offering):
    for round_ in range(1, 5):
        keys = [
            operator.place_order(order_item(offering=fibre_offering, port=f"gw sub{round_}"))
            for _ in range(2)
        ]
        barrier = threading.Barrier(2)

        def accept(key, barrier=barrier):
            barrier.wait(WAIT_TIMEOUT)
            operator.accept(key)

        with ThreadPoolExecutor(2) as executor:
            list(executor.map(accept, keys))
        states = sorted(operator.run_order(key)["state"] for key in keys)
        assert states == ["completed", "failed"]
        operator.assert_consistent()


def create_cyclic_offering(operator):
    """Create an offering, never launched, whose characteristics map from each other."""

    def speed_mapped_from(specification):
        relation = {
            "relationshipType": "mapsFrom",
            "parentSpecificationId": specification,
            "name": "speed",
        }
        return [{"name": "speed", "charSpecRelationship": [relation]}]

    draft = {"lifecycleStatus": "inStudy", "version": "1"}
    operator.repository.create(
        "ResourceSpecification",
        {"id": "port", "name": "port", "category": "accessPort", **draft},
    )
    operator.repository.create(
        "ServiceSpecification",
        {"id": "line", "name": "line", "specCharacteristic": speed_mapped_from("internet"),
         "resourceSpecification": [{"id": "port"}], **draft},
    )  # fmt: skip
    operator.repository.create(
        "ServiceSpecification",
        {"id": "internet", "name": "internet", "specCharacteristic": speed_mapped_from("line"),
         "serviceSpecRelationship": [{"id": "line", "relationshipType": "consistsOf"}], **draft},
    )  # fmt: skip
    in_study = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "In study"}
    specification = operator.repository.create(
        "ProductSpecification",
        {"name": "round", "serviceSpecification": [{"id": "internet"}], **in_study},
    )
    return operator.repository.create(
        "ProductOffering",
        {"name": "round", "productSpecification": {"id": specification["id"]}, **in_study},
    )["id"]


def test_a_cycle_in_catalogue_data_fails_the_item_with_a_reason(operator):
    item = order_item(offering=create_cyclic_offering(operator), port="gw sub1")
    order = operator.run_order(operator.place_order(item))
    assert order["state"] == "failed"
    assert order["productOrderErrorMessage"][0]["message"]
    operator.assert_consistent()


def cancel_after_write(operator, injector, key, number):
    """Run an order and request its cancellation after a number of writes.

    Returns:
        The requests that were accepted, and the number of writes.
    """
    requests = []

    def cancel():
        with suppress(IllegalTransition, Conflict):  # too late
            requests.append(operator.request_cancellation(key))

    injector.arm(number, cancel)
    operator.advance_until_complete(key)
    count = len(injector.writes)
    injector.arm()
    return requests, count


def test_a_cancellation_between_any_two_writes_succeeds_or_is_refused_completely(
    operator, fibre_offering
):
    final_states = set()
    with inject_crashes() as injector:
        for number in itertools.count(1):
            port = f"gw sub{(number - 1) % 4 + 1}"
            key = operator.place_order(order_item(offering=fibre_offering, port=port))
            assert operator.accept(key).reserved
            requests, count = cancel_after_write(operator, injector, key, number)
            if count < number:
                break
            for request in requests:
                operator.resolve_cancellation(key, request)
                task = operator.repository.get("CancelProductOrder", request)
                assert task["state"] in {"done", "terminatedWithError"}
            order = operator.get_order(key)
            assert order["state"] in {"cancelled", "completed"}, (number, order)
            final_states.add(order["state"])
            operator.assert_consistent()
            head = operator.intake._journal.head(key)
            assert "ended" in head, (number, order["state"])
            if order["state"] == "completed":
                product = order["productOrderItem"][0]["product"]["id"]
                deletion = operator.place_order(order_item("delete", product=product))
                assert operator.run_order(deletion)["state"] == "completed"
    assert final_states == {"cancelled", "completed"}


def test_a_cancellation_after_the_last_write_blocks_no_other_order(
    operator, fibre_offering, monkeypatch
):
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    )
    product = order["productOrderItem"][0]["product"]["id"]
    first = operator.place_order(
        order_item("modify", offering=operator.create_offering(500, 100), product=product)
    )
    second = operator.place_order(order_item("delete", product=product))
    operator.accept(first)
    assert operator.accept(second).blocked
    requests, update_order = [], operator.runner._committer._update_order

    def cancel_and_update_order(*arguments):
        requests.append(operator.request_cancellation(first))
        return update_order(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(operator.runner._committer, "_update_order", cancel_and_update_order)
        progress = operator.advance(first)
    assert (progress.incomplete, progress.orders_to_wake) == (False, (second,))
    operator.resolve_cancellation(first, requests[0])
    assert operator.get_order(first)["state"] == "completed"
    task = operator.repository.get("CancelProductOrder", requests[0])
    assert task["state"] == "terminatedWithError"
    assert operator.run_order(second)["state"] == "completed"
    operator.assert_consistent()


#: A worker whose capacity poller fails while its Temporal worker does not react to cancellation.
PARTLY_FAILING_WORKER = """
import asyncio, sys
from contextlib import suppress
from tmf_apis import worker
from tmf_apis.capacity.poller import CapacityPoller
from tmf_apis.settings import Settings
from tmf_apis.temporal_worker import TemporalWorker

async def fail(self, stop):
    await asyncio.sleep(0.5)
    raise RuntimeError("broken")

async def ignore_cancellation(self, stop):
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

CapacityPoller.run, TemporalWorker.run = fail, ignore_cancellation
worker.run(Settings.from_environment())
"""


def test_a_worker_ends_if_one_of_its_parts_fails(mongodb_uri, tmp_path):
    settings = {
        "TMF_MONGODB_URI": mongodb_uri,
        "TMF_MONGODB_DATABASE": "partly_failing",
        "TMF_TEMPORAL_ADDRESS": "127.0.0.1:1",
        "TMF_DATA_DIR": str(tmp_path),
    }
    result = subprocess.run(  # noqa: S603 - our own worker
        [sys.executable, "-c", PARTLY_FAILING_WORKER],
        env={**os.environ, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert result.returncode == 1
    assert "broken" in result.stderr + result.stdout
