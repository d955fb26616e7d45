"""Edge cases of orders: repeated events, bundles, failed rollbacks, errors, slow batches."""

import asyncio
import logging
import threading
from dataclasses import replace

import pytest
from pymongo.errors import DuplicateKeyError
from temporalio.testing import ActivityEnvironment

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.fulfilment_harness import (
    MEGABIT,
    WAIT_TIMEOUT,
    clear_port,
    order_item,
    order_waiting_for_person,
    port_state,
    silent_after_failure,
)
from tests.support.waiting import wait_until
from tmf_apis.errors import Unavailable
from tmf_apis.events.envelope import Audience
from tmf_apis.fulfilment.execution import activities, failure_reporter
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.execution.payloads import BatchProgress, BatchRef
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.pipeline.idempotency import IdempotencyKey
from tmf_apis.security.identity import Identity


def test_a_repeated_event_of_a_finished_order_changes_nothing(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "completed"
    sets = operator.gw.set_count
    again = operator.accept(key)
    assert not again.batches
    assert not operator.advance(key).incomplete
    assert (operator.gw.set_count, operator.get_order(key)) == (sets, order)
    operator.assert_consistent()


def test_a_repeated_event_without_a_journal_changes_nothing(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    operator.database["fulfilment_tasks"].delete_many({"of": f"{operator.tenant}:{key.order}"})
    sets = operator.gw.set_count
    assert not operator.accept(key).batches
    assert (operator.gw.set_count, operator.get_order(key)) == (sets, order)


def test_an_order_sent_twice_with_one_idempotency_key_is_one_order(operator, fibre_offering):
    identity = Identity("client", operator.tenant)
    parts = (operator.tenant, "client", "createProductOrder", "k-1")
    body = {
        "@type": "ProductOrder",
        "productOrderItem": [order_item(offering=fibre_offering, port="gw sub1")],
    }
    idempotency = IdempotencyKey.from_request(parts, b"{}", hours=1)

    def send():
        context = operator.engine.writer.request_context(identity)
        return operator.engine.writer.create(
            identity, "ProductOrder", body, context, idempotency=idempotency
        )

    first = send()
    with pytest.raises(DuplicateKeyError):  # the HTTP handlers repeat the first answer
        send()
    assert operator.run_order(OrderKey(operator.tenant, first.id))["state"] == "completed"
    assert (
        len(operator.repository.find("ProductOrder", {}))
        == len(operator.repository.find("Product", {}))
        == 1
    )
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def bundle(offering, *ports, id="1", **more):
    inner = [
        order_item(id=f"{id}.{n}", offering=offering, port=port) for n, port in enumerate(ports, 1)
    ]
    return order_item(id=id, productOrderItem=inner, **more)


@pytest.mark.parametrize("all_or_nothing", [True, False])
def test_a_bundle_succeeds_or_fails_as_a_whole_only_with_all_or_nothing(
    operator, fibre_offering, all_or_nothing
):
    far = operator.add_gateway("far")
    far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = operator.run_order(
        operator.place_order(
            bundle(fibre_offering, "gw sub1", "far sub1", id="1", allOrNothing=all_or_nothing),
            bundle(fibre_offering, "gw sub2", id="2", allOrNothing=True),
        )
    )
    assert order["state"] == "partial"
    first, second = order["productOrderItem"]
    states = [item["state"] for item in first["productOrderItem"]]
    assert states == (["failed", "failed"] if all_or_nothing else ["completed", "failed"])
    assert [item["state"] for item in second["productOrderItem"]] == ["completed"]
    assert (port_state(operator.gw, "sub1")[0] == "") == all_or_nothing
    assert port_state(operator.gw, "sub2")[1] == 100 * MEGABIT
    assert port_state(far, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def order_with_failed_rollback(operator, offering):
    """Return the key of an order that the element rejects and does not roll back, and the task."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    operator.accept(key)
    with silent_after_failure(operator):
        (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    return key, task


def test_a_skipped_rollback_counts_as_done_and_the_port_is_free(operator, fibre_offering):
    key, task = order_with_failed_rollback(operator, fibre_offering)
    clear_port(operator.gw, "sub1")
    operator.gw.fault_injection.silent = False
    operator.change_resource(
        "FalloutTask", task["id"], decision="skip", decisionReason="cleared at the console"
    )
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "cleared at the console" in order["note"][0]["text"]
    assert operator.find_port("gw", "sub1")["allocationStatus"] == "free"
    operator.assert_consistent()


def test_a_cancelled_rollback_quarantines_the_port(operator, fibre_offering):
    key, task = order_with_failed_rollback(operator, fibre_offering)
    operator.change_resource(
        "FalloutTask", task["id"], decision="cancel", decisionReason="it is scrap"
    )
    order = operator.run_order(key)
    assert order["state"] == "failed"
    port = operator.find_port("gw", "sub1")
    assert port["unknownStatus"] is True
    assert "it is scrap" in port["note"][0]["text"]
    operator.gw.fault_injection.silent = False
    operator.assert_consistent()
    operator.gw.fault_injection.rejected_sets.clear()
    assert (
        operator.run_order(
            operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
        )["state"]
        == "failed"
    )


def test_an_order_with_a_fallout_task_does_not_get_a_second_one(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    for _ in range(2):
        operator.accept(key)
        operator.advance(key)
    assert [open_task["id"] for open_task in operator.open_fallout_tasks()] == [task["id"]]


def run_activity(operator, name, argument, attempt=1):
    """Run an activity as the worker does."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    return operator.run_async(
        environment.run(getattr(operator.fulfilment.activities, name), argument)
    )


def broken(*_, **__):
    raise KeyError("bandwidth")


@pytest.mark.parametrize("activity", ["accept", "reserve", "advance"])
def test_a_program_error_becomes_a_fallout_task_after_repeated_attempts(
    operator, fibre_offering, activity, caplog, monkeypatch
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    if activity != "accept":
        operator.accept(key)
    argument = key if activity == "accept" else BatchRef(key, 0)
    patched = {
        "accept": (operator.intake, "accept"),
        "reserve": (operator.intake, "reserve"),
        "advance": (operator.runner._committer, "commit"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*patched[activity], broken)
        for attempt in range(1, failure_reporter.REPORT_AFTER_ATTEMPTS + 3):
            with pytest.raises(KeyError):
                run_activity(operator, activity, argument, attempt)
            assert len(operator.repository.find("FalloutTask", {})) == (
                attempt >= failure_reporter.REPORT_AFTER_ATTEMPTS
            )
    task = operator.repository.find("FalloutTask", {})[0]
    assert task["order"]["id"] == key.order
    assert "KeyError: 'bandwidth'" in task["reason"]
    alert = operator.get_order(key)["productOrderJeopardyAlert"][-1]
    assert alert["jeopardyType"] == "waitingForPerson"
    assert "bandwidth" not in alert["message"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0].exc_info
    assert errors[0].order == key.order
    operator.change_resource("FalloutTask", task["id"], decision="retry")
    with monkeypatch.context() as patch:
        patch.setattr(*patched[activity], broken)
        with pytest.raises(KeyError):
            run_activity(operator, activity, argument, failure_reporter.REPORT_AFTER_ATTEMPTS + 3)
    (second_task,) = operator.open_fallout_tasks()
    run_activity(
        operator, activity, argument, failure_reporter.REPORT_AFTER_ATTEMPTS + 4
    )  # the program works again
    assert operator.repository.get("FalloutTask", second_task["id"])["state"] == "cancelled"
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_unavailable_database_is_no_fallout_task(operator, fibre_offering, monkeypatch):
    def unavailable(*_):
        raise Unavailable("the database does not answer")

    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    monkeypatch.setattr(operator.intake, "accept", unavailable)
    with pytest.raises(Unavailable):
        run_activity(operator, "accept", key, failure_reporter.REPORT_AFTER_ATTEMPTS + 1)
    assert operator.repository.find("FalloutTask", {}) == []


#: Events that only v5 of the API has.
V5_EVENTS = (
    "ProductOrderMilestoneEvent",
    "ProductOrderJeopardyAlertEvent",
    "ProductOrderErrorMessageEvent",
)


def test_events_of_milestones_alerts_and_errors_match_the_contract(
    operator, fibre_offering, contracts
):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert operator.run_order(key)["state"] == "failed"
    events = operator.database["ProductOrder"].find_one(
        {"id": key.order, "tenant": operator.tenant}
    )["events"]
    by_api = {(contract.number, contract.version): contract for contract in contracts.values()}
    types = {"v4": set(), "v5": set()}
    for version in ("v4", "v5"):
        audience = Audience("TMF622", version, "https://example.org")
        schemas = Schemas(by_api["TMF622", version].document, version, {})
        for event in events:
            notification = operator.engine.render_event(event, audience)
            if notification is None:
                assert version == "v4"
                continue
            types[version].add(notification["eventType"])
            schemas.check(notification["eventType"], notification)
    assert set(V5_EVENTS) <= types["v5"]
    assert not any("Milestone" in type_ or "Jeopardy" in type_ for type_ in types["v4"])
    assert "ProductOrderStateChangeEvent" in types["v4"]


class SlowVerification:
    """Makes the worker's verification of a task wait for a release.

    Attributes:
        calls: The number of verifications.
        reached: Set when the first one waits.
    """

    def __init__(self, operator):
        self._operator = operator
        self._provisioner = operator.runner._provisioner
        self._verify = self._provisioner._verify
        self._released = asyncio.Event()
        self._provisioner._verify = self._verify_slowly
        self.calls = 0
        self.reached = threading.Event()

    async def _verify_slowly(self, entry, adapter):
        self.calls += 1
        self.reached.set()
        await self._released.wait()
        await self._verify(entry, adapter)

    async def release_in_loop(self):
        self._released.set()

    def release(self):
        self._operator.run_async(self.release_in_loop())


@pytest.fixture
def slow_verification(operator, monkeypatch):
    monkeypatch.setattr(activities, "INLINE_TIMEOUT", 0.05)
    return SlowVerification(operator)


def accept_slowly(operator, key, slow_verification):
    """Accept an order; return the result when its batch waits for its verification."""
    result = run_activity(operator, "accept", key)
    assert slow_verification.reached.wait(WAIT_TIMEOUT)
    return result


def test_a_small_order_is_completed_while_it_is_accepted(operator, fibre_offering, monkeypatch):
    monkeypatch.setattr(activities, "INLINE_TIMEOUT", WAIT_TIMEOUT)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    result = run_activity(operator, "accept", key)
    assert result.maybe_running
    assert result.progress == BatchProgress()
    assert operator.get_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_slow_batch_continues_after_intake_and_is_waited_for(
    operator, fibre_offering, slow_verification, monkeypatch
):
    wait_for = activities._wait_for

    async def release_and_wait(run):
        assert not run.done()
        await slow_verification.release_in_loop()
        return await wait_for(run)

    monkeypatch.setattr(activities, "_wait_for", release_and_wait)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    result = accept_slowly(operator, key, slow_verification)
    assert (result.maybe_running, result.progress) == (True, None)
    assert operator.get_order(key)["state"] == "inProgress"
    assert not run_activity(operator, "advance", BatchRef(key, 0, maybe_running=True)).incomplete
    assert slow_verification.calls == 1
    assert operator.get_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_cancelling_stops_and_undoes_a_slow_batch(operator, fibre_offering, slow_verification):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert accept_slowly(operator, key, slow_verification).progress is None
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT
    request = operator.request_cancellation(key)
    batch_ref = BatchRef(key, 0, maybe_running=True, stop=True)
    assert not run_activity(operator, "advance", batch_ref).incomplete
    operator.resolve_cancellation(key, request)
    assert operator.get_order(key)["state"] == "cancelled"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_worker_that_takes_a_batch_over_fences_the_slow_one_off(
    operator, fibre_offering, slow_verification
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert accept_slowly(operator, key, slow_verification).progress is None
    slow_run = operator.fulfilment.activities._eager_runs[key]
    operator.restart_worker()  # a worker without any knowledge of the slow one
    assert not run_activity(operator, "advance", BatchRef(key, 0, maybe_running=True)).incomplete
    order = operator.get_order(key)
    assert order["state"] == "completed"
    slow_verification.release()
    wait_until(slow_run.done)
    assert isinstance(slow_run.exception(), FencedOff)
    assert operator.get_order(key) == order
    operator.assert_consistent()
