"""Corners of orders: sent twice, bundles, undoing given up, mistakes of the program, events."""

import asyncio
import logging
import time
from dataclasses import replace

import pytest
from pymongo.errors import DuplicateKeyError
from temporalio.testing import ActivityEnvironment

from adapters import mib
from adapters.simulated import WRONG_VALUE
from tests.executing import item
from tests.test_execution import on, silenced, waiting
from tmf_apis.errors import Unavailable
from tmf_apis.events.envelope import Audience
from tmf_apis.fulfilment.execution import activities, mistakes
from tmf_apis.fulfilment.execution.journal import Superseded
from tmf_apis.fulfilment.execution.steps import Part, Report
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.idempotency import Idempotency
from tmf_apis.rest.schemas import Schemas
from tmf_apis.security.identity import Identity

MEGABIT = 1000  # in the gateway's unit, kbit/s


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)
    return found


def test_an_order_that_is_told_of_again_after_its_end_is_not_worked_on_again(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    order = it.run(key)
    assert order["state"] == "completed"
    sets = it.gw.sets
    again = it.accept(key)
    assert not again.batches
    assert not it.advance(key).open
    assert (it.gw.sets, it.order(key)) == (sets, order)
    it.agrees()


def test_an_order_that_is_told_of_again_when_its_journal_is_forgotten_is_left_alone(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    order = it.run(key)
    it.database["fulfilment_tasks"].delete_many({"of": f"{it.tenant}:{key.order}"})
    sets = it.gw.sets
    assert not it.accept(key).batches
    assert (it.gw.sets, it.order(key)) == (sets, order)


def test_an_order_that_is_sent_twice_with_one_key_is_one_order(it, fibre):
    staff = Identity("client", it.tenant)
    parts = (it.tenant, "client", "createProductOrder", "k-1")
    body = {"@type": "ProductOrder", "productOrderItem": [item(offering=fibre, port="gw sub1")]}
    made = Idempotency.of(parts, b"{}", hours=1)

    def send():
        now = it.engine.writes.circumstances(staff)
        return it.engine.writes.create(staff, "ProductOrder", body, now, idempotency=made)

    first = send()
    with pytest.raises(DuplicateKeyError):  # the handlers answer with the first answer
        send()
    assert it.run(OrderKey(it.tenant, first.id))["state"] == "completed"
    assert len(it.desk.find("ProductOrder", {})) == len(it.desk.find("Product", {})) == 1
    assert it.gw.sets == 3
    it.agrees()


def bundle(fibre, *ports, id="1", **more):
    inner = [item(id=f"{id}.{n}", offering=fibre, port=port) for n, port in enumerate(ports, 1)]
    return item(id=id, productOrderItem=inner, **more)


@pytest.mark.parametrize("whole", [True, False])
def test_a_bundle_stands_or_falls_as_a_whole_only_if_it_says_so(it, fibre, whole):
    far = it.gateway("far")
    far.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = it.run(
        it.post(
            bundle(fibre, "gw sub1", "far sub1", id="1", allOrNothing=whole),
            bundle(fibre, "gw sub2", id="2", allOrNothing=True),
        )
    )
    assert order["state"] == "partial"
    first, second = order["productOrderItem"]
    states = [one["state"] for one in first["productOrderItem"]]
    assert states == (["failed", "failed"] if whole else ["completed", "failed"])
    assert [one["state"] for one in second["productOrderItem"]] == ["completed"]
    assert (on(it.gw, "sub1")[0] == "") == whole
    assert on(it.gw, "sub2")[1] == 100 * MEGABIT
    assert on(far, "sub1") == ("", 0, 0)
    it.agrees()


def stuck(it, fibre):
    """Return an order that an element refused and then does not let be taken back, and the task."""
    it.policy(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.advancing._provisioning.do, do = silenced(it), it.advancing._provisioning.do

    def asked():
        it.advance(key)
        return it.desk.find("FalloutTask", {"state": "open"})

    task = until(asked)[0]
    it.advancing._provisioning.do = do
    return key, task


def test_an_undo_that_a_person_skips_counts_as_done_and_the_port_is_free(it, fibre):
    key, task = stuck(it, fibre)
    port = it.gw.port("sub1")
    port.tag, port.down, port.up = "", 0, 0  # by hand
    it.gw.misbehaviour.silent = False
    it.change("FalloutTask", task["id"], decision="skip", decisionReason="cleared at the console")
    order = it.run(key)
    assert order["state"] == "failed"
    assert "cleared at the console" in order["note"][0]["text"]
    assert it.port("gw", "sub1")["allocationStatus"] == "free"
    it.agrees()


def test_an_undo_that_a_person_gives_up_keeps_the_port_out_of_use(it, fibre):
    key, task = stuck(it, fibre)
    it.change("FalloutTask", task["id"], decision="cancel", decisionReason="it is scrap")
    order = it.run(key)
    assert order["state"] == "failed"
    port = it.port("gw", "sub1")
    assert port["unknownStatus"] is True
    assert "it is scrap" in port["note"][0]["text"]
    it.gw.misbehaviour.silent = False
    it.agrees()
    it.gw.misbehaviour.refuse.clear()
    assert it.run(it.post(item(offering=fibre, port="gw sub1")))["state"] == "failed"


def test_an_order_that_waits_for_a_person_is_not_taken_up_a_second_time(it, fibre):
    key, task = waiting(it, fibre)
    for _ in range(2):
        it.accept(key)
        it.advance(key)
    assert [one["id"] for one in it.desk.find("FalloutTask", {"state": "open"})] == [task["id"]]


def step(it, name, argument, attempt):
    """Do a step of a workflow as the worker does, as the given attempt."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    return it.do(environment.run(getattr(it.fulfilment.activities, name), argument))


def broken(*_, **__):
    raise KeyError("bandwidth")


@pytest.mark.parametrize("place", ["accept", "reserve", "advance"])
def test_a_mistake_of_the_program_is_a_task_for_a_person_after_some_attempts(
    it, fibre, place, caplog, monkeypatch
):
    key = it.post(item(offering=fibre, port="gw sub1"))
    if place != "accept":
        it.accept(key)
    argument = key if place == "accept" else Part(key, 0)
    patched = {
        "accept": (it.accepting, "accept"),
        "reserve": (it.accepting, "reserve"),
        "advance": (it.advancing._settling, "settle"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*patched[place], broken)
        for attempt in range(1, mistakes.TRIES + 3):
            with pytest.raises(KeyError):
                step(it, place, argument, attempt)
            assert len(it.desk.find("FalloutTask", {})) == (attempt >= mistakes.TRIES)
    task = it.desk.find("FalloutTask", {})[0]
    assert task["order"]["id"] == key.order
    assert "KeyError: 'bandwidth'" in task["reason"]
    alert = it.order(key)["productOrderJeopardyAlert"][-1]
    assert alert["jeopardyType"] == "waitingForPerson"
    assert "bandwidth" not in alert["message"]
    logged = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert logged[0].exc_info
    assert logged[0].order == key.order
    it.change("FalloutTask", task["id"], decision="retry")
    with monkeypatch.context() as patch:
        patch.setattr(*patched[place], broken)
        with pytest.raises(KeyError):
            step(it, place, argument, mistakes.TRIES + 3)
    again = it.desk.find("FalloutTask", {"state": "open"})[0]
    step(it, place, argument, mistakes.TRIES + 4)  # the program was mended
    assert it.desk.get("FalloutTask", again["id"])["state"] == "cancelled"
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_a_database_that_is_away_is_nobodys_task(it, fibre, monkeypatch):
    def away(*_):
        raise Unavailable("the database does not answer")

    key = it.post(item(offering=fibre, port="gw sub1"))
    monkeypatch.setattr(it.accepting, "accept", away)
    with pytest.raises(Unavailable):
        step(it, "accept", key, mistakes.TRIES + 1)
    assert it.desk.find("FalloutTask", {}) == []


V5 = (
    "ProductOrderMilestoneEvent",
    "ProductOrderJeopardyAlertEvent",
    "ProductOrderErrorMessageEvent",
)


def test_events_of_milestones_alerts_and_errors_are_as_the_contract_says(it, fibre, contracts):
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"))
    assert it.run(key)["state"] == "failed"
    events = it.database["ProductOrder"].find_one({"id": key.order, "tenant": it.tenant})["events"]
    of = {(one.number, one.version): one for one in contracts.values()}
    seen = {}
    for version in ("v4", "v5"):
        audience = Audience("TMF622", version, "https://example.org")
        held = Schemas(of["TMF622", version].document, version, {})
        for event in events:
            shown = it.engine.render(event, audience)
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

    def __init__(self, it, monkeypatch):
        self.it, self.seconds, self.calls = it, 0.5, 0
        provisioning = it.advancing._provisioning
        self.whole = provisioning._checked
        monkeypatch.setattr(provisioning, "_checked", self.checked)
        monkeypatch.setattr(activities, "QUICK", 0.05)

    async def checked(self, entry, adapter):
        self.calls += 1
        await asyncio.sleep(self.seconds)
        await self.whole(entry, adapter)


@pytest.fixture
def slow(it, monkeypatch):
    return Slow(it, monkeypatch)


def test_a_small_order_is_done_with_its_acceptance(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    work = step(it, "accept", key, 1)
    assert work.begun
    assert work.report == Report()
    assert it.order(key)["state"] == "completed"
    it.agrees()


def test_what_is_slow_goes_on_and_is_waited_for(it, fibre, slow):
    key = it.post(item(offering=fibre, port="gw sub1"))
    work = step(it, "accept", key, 1)
    assert (work.begun, work.report) == (True, None)
    assert it.order(key)["state"] == "inProgress"
    assert not step(it, "advance", Part(key, 0, begun=True), 1).open
    assert slow.calls == 1
    assert it.order(key)["state"] == "completed"
    it.agrees()


def test_what_is_slow_and_not_wanted_any_more_is_stopped_and_taken_back(it, fibre, slow):
    slow.seconds = 60
    key = it.post(item(offering=fibre, port="gw sub1"))
    assert step(it, "accept", key, 1).report is None
    assert on(it.gw, "sub1")[1] == 100 * MEGABIT
    request = it.cancel(key)
    assert not step(it, "advance", Part(key, 0, begun=True, stop=True), 1).open
    it.settle(key, request)
    assert it.order(key)["state"] == "cancelled"
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_another_worker_takes_over_what_is_slow_and_the_slow_one_writes_no_more(it, fibre, slow):
    slow.seconds = 1.5
    key = it.post(item(offering=fibre, port="gw sub1"))
    assert step(it, "accept", key, 1).report is None
    late = it.fulfilment.activities._begun[key]
    it.start()  # a worker that knows nothing of the other one
    assert not step(it, "advance", Part(key, 0, begun=True), 1).open
    done = it.order(key)
    assert done["state"] == "completed"
    until(late.done)
    assert isinstance(late.exception(), Superseded)
    assert it.order(key) == done
    it.agrees()
