"""Corners of orders: sent twice, bundles, undoing given up, mistakes of the program, events."""

import asyncio
import logging
import time
from dataclasses import replace

import pytest
from pymongo.errors import DuplicateKeyError
from temporalio.testing import ActivityEnvironment

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.integration.fulfilment.execution.test_order_execution import on, silenced, waiting
from tests.support.fulfilment_harness import order_item
from tmf_apis.errors import Unavailable
from tmf_apis.events.envelope import Audience
from tmf_apis.fulfilment.execution import activities, failure_reporter
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.execution.payloads import BatchProgress, BatchRef
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.http.idempotency import IdempotencyKey
from tmf_apis.security.identity import Identity

MEGABIT = 1000  # in the gateway's unit, kbit/s


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)
    return found


def test_an_order_that_is_told_of_again_after_its_end_is_not_worked_on_again(
    operator, fibre_offering
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "completed"
    sets = operator.gw.set_count
    again = operator.accept(key)
    assert not again.batches
    assert not operator.advance(key).incomplete
    assert (operator.gw.set_count, operator.get_order(key)) == (sets, order)
    operator.assert_consistent()


def test_an_order_that_is_told_of_again_when_its_journal_is_forgotten_is_left_alone(
    operator, fibre_offering
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    operator.database["fulfilment_tasks"].delete_many({"of": f"{operator.tenant}:{key.order}"})
    sets = operator.gw.set_count
    assert not operator.accept(key).batches
    assert (operator.gw.set_count, operator.get_order(key)) == (sets, order)


def test_an_order_that_is_sent_twice_with_one_key_is_one_order(operator, fibre_offering):
    staff = Identity("client", operator.tenant)
    parts = (operator.tenant, "client", "createProductOrder", "k-1")
    body = {
        "@type": "ProductOrder",
        "productOrderItem": [order_item(offering=fibre_offering, port="gw sub1")],
    }
    made = IdempotencyKey.from_request(parts, b"{}", hours=1)

    def send():
        now = operator.engine.writer.request_context(staff)
        return operator.engine.writer.create(staff, "ProductOrder", body, now, idempotency=made)

    first = send()
    with pytest.raises(DuplicateKeyError):  # the handlers answer with the first answer
        send()
    assert operator.run_order(OrderKey(operator.tenant, first.id))["state"] == "completed"
    assert (
        len(operator.repository.find("ProductOrder", {}))
        == len(operator.repository.find("Product", {}))
        == 1
    )
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def bundle(fibre, *ports, id="1", **more):
    inner = [
        order_item(id=f"{id}.{n}", offering=fibre, port=port) for n, port in enumerate(ports, 1)
    ]
    return order_item(id=id, productOrderItem=inner, **more)


@pytest.mark.parametrize("whole", [True, False])
def test_a_bundle_stands_or_falls_as_a_whole_only_if_it_says_so(operator, fibre_offering, whole):
    far = operator.add_gateway("far")
    far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = operator.run_order(
        operator.place_order(
            bundle(fibre_offering, "gw sub1", "far sub1", id="1", allOrNothing=whole),
            bundle(fibre_offering, "gw sub2", id="2", allOrNothing=True),
        )
    )
    assert order["state"] == "partial"
    first, second = order["productOrderItem"]
    states = [one["state"] for one in first["productOrderItem"]]
    assert states == (["failed", "failed"] if whole else ["completed", "failed"])
    assert [one["state"] for one in second["productOrderItem"]] == ["completed"]
    assert (on(operator.gw, "sub1")[0] == "") == whole
    assert on(operator.gw, "sub2")[1] == 100 * MEGABIT
    assert on(far, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def stuck(operator, fibre):
    """Return an order that an element refused and then does not let be taken back, and the task."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre, port="gw sub1"))
    operator.accept(key)
    operator.runner._provisioner.execute, do = (
        silenced(operator),
        operator.runner._provisioner.execute,
    )

    def asked():
        operator.advance(key)
        return operator.repository.find("FalloutTask", {"state": "open"})

    task = until(asked)[0]
    operator.runner._provisioner.execute = do
    return key, task


def test_an_undo_that_a_person_skips_counts_as_done_and_the_port_is_free(operator, fibre_offering):
    key, task = stuck(operator, fibre_offering)
    port = operator.gw.port("sub1")
    port.tag, port.downstream_kbps, port.upstream_kbps = "", 0, 0  # by hand
    operator.gw.fault_injection.silent = False
    operator.change_resource(
        "FalloutTask", task["id"], decision="skip", decisionReason="cleared at the console"
    )
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "cleared at the console" in order["note"][0]["text"]
    assert operator.find_port("gw", "sub1")["allocationStatus"] == "free"
    operator.assert_consistent()


def test_an_undo_that_a_person_gives_up_keeps_the_port_out_of_use(operator, fibre_offering):
    key, task = stuck(operator, fibre_offering)
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


def test_an_order_that_waits_for_a_person_is_not_taken_up_a_second_time(operator, fibre_offering):
    key, task = waiting(operator, fibre_offering)
    for _ in range(2):
        operator.accept(key)
        operator.advance(key)
    assert [one["id"] for one in operator.repository.find("FalloutTask", {"state": "open"})] == [
        task["id"]
    ]


def step(operator, name, argument, attempt):
    """Do a step of a workflow as the worker does, as the given attempt."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    return operator.run_async(
        environment.run(getattr(operator.fulfilment.activities, name), argument)
    )


def broken(*_, **__):
    raise KeyError("bandwidth")


@pytest.mark.parametrize("place", ["accept", "reserve", "advance"])
def test_a_mistake_of_the_program_is_a_task_for_a_person_after_some_attempts(
    operator, fibre_offering, place, caplog, monkeypatch
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    if place != "accept":
        operator.accept(key)
    argument = key if place == "accept" else BatchRef(key, 0)
    patched = {
        "accept": (operator.intake, "accept"),
        "reserve": (operator.intake, "reserve"),
        "advance": (operator.runner._committer, "commit"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*patched[place], broken)
        for attempt in range(1, failure_reporter.REPORT_AFTER_ATTEMPTS + 3):
            with pytest.raises(KeyError):
                step(operator, place, argument, attempt)
            assert len(operator.repository.find("FalloutTask", {})) == (
                attempt >= failure_reporter.REPORT_AFTER_ATTEMPTS
            )
    task = operator.repository.find("FalloutTask", {})[0]
    assert task["order"]["id"] == key.order
    assert "KeyError: 'bandwidth'" in task["reason"]
    alert = operator.get_order(key)["productOrderJeopardyAlert"][-1]
    assert alert["jeopardyType"] == "waitingForPerson"
    assert "bandwidth" not in alert["message"]
    logged = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert logged[0].exc_info
    assert logged[0].order == key.order
    operator.change_resource("FalloutTask", task["id"], decision="retry")
    with monkeypatch.context() as patch:
        patch.setattr(*patched[place], broken)
        with pytest.raises(KeyError):
            step(operator, place, argument, failure_reporter.REPORT_AFTER_ATTEMPTS + 3)
    again = operator.repository.find("FalloutTask", {"state": "open"})[0]
    step(
        operator, place, argument, failure_reporter.REPORT_AFTER_ATTEMPTS + 4
    )  # the program was mended
    assert operator.repository.get("FalloutTask", again["id"])["state"] == "cancelled"
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_database_that_is_away_is_nobodys_task(operator, fibre_offering, monkeypatch):
    def away(*_):
        raise Unavailable("the database does not answer")

    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    monkeypatch.setattr(operator.intake, "validate", away)
    with pytest.raises(Unavailable):
        step(operator, "accept", key, failure_reporter.REPORT_AFTER_ATTEMPTS + 1)
    assert operator.repository.find("FalloutTask", {}) == []


V5 = (
    "ProductOrderMilestoneEvent",
    "ProductOrderJeopardyAlertEvent",
    "ProductOrderErrorMessageEvent",
)


def test_events_of_milestones_alerts_and_errors_are_as_the_contract_says(
    operator, fibre_offering, contracts
):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert operator.run_order(key)["state"] == "failed"
    events = operator.database["ProductOrder"].find_one(
        {"id": key.order, "tenant": operator.tenant}
    )["events"]
    of = {(one.number, one.version): one for one in contracts.values()}
    seen = {}
    for version in ("v4", "v5"):
        audience = Audience("TMF622", version, "https://example.org")
        held = Schemas(of["TMF622", version].document, version, {})
        for event in events:
            shown = operator.engine.render_event(event, audience)
            if shown is None:
                assert version == "v4"
                continue
            seen.setdefault(version, set()).add(shown["eventType"])
            held.check(shown["eventType"], shown)
    assert set(V5) <= seen["v5"]
    assert not any("Milestone" in one or "Jeopardy" in one for one in seen["v4"])  # it has none
    assert "ProductOrderStateChangeEvent" in seen["v4"]


class Slow:
    """An element that has done what it was told, and lets a while go by before it is read back."""

    def __init__(self, operator, monkeypatch):
        self.it, self.seconds, self.calls = operator, 0.5, 0
        provisioning = operator.runner._provisioner
        self.whole = provisioning._verify
        monkeypatch.setattr(provisioning, "_verify", self.checked)
        monkeypatch.setattr(activities, "INLINE_TIMEOUT", 0.05)

    async def checked(self, entry, adapter):
        self.calls += 1
        await asyncio.sleep(self.seconds)
        await self.whole(entry, adapter)


@pytest.fixture
def slow(operator, monkeypatch):
    return Slow(operator, monkeypatch)


def test_a_small_order_is_done_with_its_acceptance(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    work = step(operator, "accept", key, 1)
    assert work.maybe_running
    assert work.progress == BatchProgress()
    assert operator.get_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_what_is_slow_goes_on_and_is_waited_for(operator, fibre_offering, slow):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    work = step(operator, "accept", key, 1)
    assert (work.maybe_running, work.progress) == (True, None)
    assert operator.get_order(key)["state"] == "inProgress"
    assert not step(operator, "advance", BatchRef(key, 0, maybe_running=True), 1).incomplete
    assert slow.calls == 1
    assert operator.get_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_what_is_slow_and_not_wanted_any_more_is_stopped_and_taken_back(
    operator, fibre_offering, slow
):
    slow.seconds = 60
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert step(operator, "accept", key, 1).progress is None
    assert on(operator.gw, "sub1")[1] == 100 * MEGABIT
    request = operator.request_cancellation(key)
    assert not step(
        operator, "advance", BatchRef(key, 0, maybe_running=True, stop=True), 1
    ).incomplete
    operator.resolve_cancellation(key, request)
    assert operator.get_order(key)["state"] == "cancelled"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_another_worker_takes_over_what_is_slow_and_the_slow_one_writes_no_more(
    operator, fibre_offering, slow
):
    slow.seconds = 1.5
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert step(operator, "accept", key, 1).progress is None
    late = operator.fulfilment.activities._eager_runs[key]
    operator.restart_worker()  # a worker that knows nothing of the other one
    assert not step(operator, "advance", BatchRef(key, 0, maybe_running=True), 1).incomplete
    done = operator.get_order(key)
    assert done["state"] == "completed"
    until(late.done)
    assert isinstance(late.exception(), FencedOff)
    assert operator.get_order(key) == done
    operator.assert_consistent()
