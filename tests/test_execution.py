"""Orders on simulated elements, step by step: good days, bad days, and what is left after each."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from adapters import mib
from adapters.simulated import WRONG_VALUE
from tests.executing import gone, item
from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.fulfilment.execution import fallout
from tmf_apis.fulfilment.execution.listening import Listening
from tmf_apis.rest.desk import Desks

MEGABIT = 1000  # in the gateway's unit, kbit/s


def on(gateway, port):
    """Return tag and rates in kbit/s of a port."""
    found = gateway.port(port)
    return found.tag, found.down, found.up


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def product_of(order, place=0):
    return order["productOrderItem"][place]["product"]


def milestones(order):
    return {one["name"]: one["status"] for one in order["productOrderMilestone"]}


def add(it, fibre, port="gw sub1", **more):
    """Order a service and return its product id."""
    order = it.run(it.post(item(offering=fibre, port=port, **more)))
    assert order["state"] == "completed", order
    return product_of(order)["id"]


def test_a_product_its_services_and_its_port_come_to_life_together(it, fibre):
    key = it.post(
        item(offering=fibre, port="gw sub1", place="site-1"),
        relatedParty=[
            {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": {"@type": "PartyRef", "id": "c-1", "name": "Ada"},
            }
        ],
        billingAccount={"@type": "BillingAccountRef", "id": "b-1"},
    )
    it.accept(key)
    begun = it.order(key)
    assert begun["state"] == "inProgress"
    assert begun["expectedCompletionDate"] > begun["creationDate"]
    product = product_of(begun)["id"]
    assert it.desk.get("Product", product)["status"] == "pendingActive"
    assert {one["state"] for one in it.desk.find("Service", {})} == {"reserved"}
    it.agrees(whole=False)
    order = it.run(key)
    assert order["state"] == "completed"
    assert set(milestones(order).values()) == {"Completed"}
    found = it.desk.get("Product", product)
    assert found["status"] == "active"
    assert found["productOffering"]["id"] == fibre
    assert found["relatedParty"][0]["id"] == "c-1"
    assert found["billingAccount"]["id"] == "b-1"
    assert found["place"][0]["id"] == "site-1"
    assert found["productOrderItem"][0]["productOrderId"] == key.order
    services = {one["category"]: one for one in it.desk.find("Service", {})}
    assert services["RFS"]["supportingResource"][0]["name"] == "gw sub1"
    assert services["CFS"]["supportingService"][0]["id"] == services["RFS"]["id"]
    assert services["CFS"]["relatedParty"][0]["id"] == "c-1"
    assert on(it.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    it.agrees()


def test_a_service_is_upgraded_downgraded_suspended_resumed_and_ended(it, fibre):
    fast = it.offering(1000, 500)
    product = add(it, fibre)
    for offering, rate in ((fast, 1000), (fibre, 100)):
        order = it.run(it.post(item("modify", offering=offering, product=product)))
        assert order["state"] == "completed", order
        assert on(it.gw, "sub1")[1] == rate * MEGABIT
        assert it.desk.get("Product", product)["productOffering"]["id"] == offering
        it.agrees()
    for status, state in (("suspended", "inactive"), ("active", "active")):
        order = it.run(it.post(item("modify", product=product, value={"status": status})))
        assert order["state"] == "completed", order
        assert it.desk.get("Product", product)["status"] == status
        assert {one["state"] for one in it.desk.find("Service", {})} == {state}
        assert it.gw.port("sub1").enabled == (status == "active")
        it.agrees()
    order = it.run(it.post(item("delete", product=product)))
    assert order["state"] == "completed"
    assert product_of(order)["status"] == "terminated"
    assert it.desk.get("Product", product)["terminationDate"]
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_a_service_moves_to_another_port_and_leaves_the_old_one(it, fibre):
    product = add(it, fibre)
    order = it.run(it.post(item("modify", product=product, port="gw sub2", offering=fibre)))
    assert order["state"] == "completed", order
    assert on(it.gw, "sub1") == ("", 0, 0)
    assert on(it.gw, "sub2") == (product, 100 * MEGABIT, 40 * MEGABIT)
    it.agrees()


def test_a_service_moves_to_another_element(it, fibre):
    other = it.gateway("far")
    product = add(it, fibre)
    order = it.run(it.post(item("modify", product=product, port="far sub1", offering=fibre)))
    assert order["state"] == "completed", order
    assert on(it.gw, "sub1") == ("", 0, 0)
    assert on(other, "sub1")[0] == product
    it.agrees()


def test_an_element_that_refuses_has_half_of_it_taken_back(it, fibre):
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE  # the last of three SETs
    key = it.post(item(offering=fibre, port="gw sub1"))
    order = it.run(key)
    assert order["state"] == "failed"
    assert "sub1 upstream" in message(order)
    assert milestones(order)["completed"] == "Violated"
    assert on(it.gw, "sub1") == ("", 0, 0)
    assert it.desk.find("Product", {})[0]["status"] == "aborted"
    it.agrees()


def test_a_change_that_is_refused_leaves_the_service_as_it_was(it, fibre):
    product = add(it, fibre)
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = it.run(it.post(item("modify", offering=it.offering(500, 200), product=product)))
    assert order["state"] == "failed"
    assert on(it.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    assert it.desk.get("Product", product)["productOffering"]["id"] == fibre
    it.agrees()


def test_an_element_that_lies_is_found_out(it, fibre):
    it.gw.misbehaviour.lie = True
    order = it.run(it.post(item(offering=fibre, port="gw sub1")))
    assert order["state"] == "failed"
    assert "instead of" in message(order)
    it.gw.misbehaviour.lie = False
    it.agrees()


def test_an_element_that_hangs_is_tried_and_then_the_item_fails(it, fibre):
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"))
    work = it.accept(key)
    assert work.reserved
    seen = it.advance(key)
    assert seen.open
    assert seen.wait > 0
    time.sleep(seen.wait)
    it.advance(key)
    alerts = it.order(key)["productOrderJeopardyAlert"]
    assert alerts[0]["jeopardyType"] == "waitingForElement"
    order = it.run(key)
    assert order["state"] == "failed"
    it.gw.misbehaviour.silent = False
    it.agrees()


def test_an_element_that_answers_again_is_gone_on_with(it, fibre):
    it.policy(fulfilment_patience=20.0)
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.advance(key)
    it.gw.misbehaviour.silent = False
    assert it.run(key)["state"] == "completed"
    assert it.gw.sets == 3
    it.agrees()


def test_a_set_that_was_done_without_an_answer_is_not_done_twice_in_effect(it, fibre):
    it.policy(fulfilment_patience=20.0)
    it.gw.misbehaviour.deaf[mib.SVC_DOWN_KBPS] = 2
    assert it.run(it.post(item(offering=fibre, port="gw sub1")))["state"] == "completed"
    it.agrees()


def test_an_element_that_restarts_with_other_indexes_is_known_by_its_ports_names(it, fibre):
    it.policy(fulfilment_patience=20.0)
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub2"))
    it.accept(key)
    it.advance(key)
    it.gw.restart(shift=100)
    it.gw.misbehaviour.silent = False
    order = it.run(key)
    assert order["state"] == "completed"
    assert on(it.gw, "sub2")[0] == product_of(order)["id"]
    it.agrees()


def test_an_order_for_a_port_that_is_gone_fails_and_holds_nothing(it, fibre):
    index = next(key for key, one in it.gw.ports.items() if one.name == "sub3")
    del it.gw.ports[index]
    order = it.run(it.post(item(offering=fibre, port="gw sub3")))
    assert order["state"] == "failed"
    assert "sub3" in message(order)
    it.agrees()


def test_a_worker_that_dies_after_every_write_is_followed_by_one_that_goes_on(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.start()
    it.accept(key)  # again: nothing is planned or reserved twice
    it.start()
    assert it.run(key)["state"] == "completed"
    assert not it.run(key).get("productOrderErrorMessage")
    assert it.gw.sets == 3
    it.agrees()


def test_items_that_may_succeed_apart_do(it, fibre):
    product = add(it, fibre, port="gw sub4")
    it.gw.misbehaviour.refuse = {}
    order = it.run(
        it.post(
            item(id="1", offering=fibre, port="gw sub1"),
            item(id="2", offering=fibre, port="gw sub4"),
        )
    )
    assert order["state"] == "partial"
    assert [one["state"] for one in order["productOrderItem"]] == ["completed", "failed"]
    assert on(it.gw, "sub4")[0] == product
    it.agrees()


def test_all_or_nothing_leaves_nothing_where_one_part_fails(it, fibre):
    other = it.gateway("bad")
    other.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = it.run(
        it.post(
            item(id="1", offering=fibre, port="gw sub1"),
            item(id="2", offering=fibre, port="bad sub1"),
            allOrNothing=True,
        )
    )
    assert order["state"] == "failed"
    messages = {one["message"] for one in order["productOrderErrorMessage"]}
    assert any(one.startswith("with item 2") for one in messages)
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_an_item_that_cannot_be_reserved_takes_its_unit_along_before_anything_is_touched(it, fibre):
    order = it.run(
        it.post(
            item(id="1", offering=fibre, port="gw sub1"),
            item(id="2", offering=fibre, port="no such port"),
            allOrNothing=True,
        )
    )
    assert order["state"] == "failed"
    assert it.gw.sets == 0
    it.agrees()


STEPS = ("posted", "accepted", "tried", "set in part")


@pytest.mark.parametrize("step", STEPS)
def test_an_order_can_be_cancelled_at_every_step_before_the_point_of_no_return(it, fibre, step):
    it.policy(fulfilment_patience=20.0)
    key = it.post(item(offering=fibre, port="gw sub1"))
    if step == "set in part":
        it.gw.misbehaviour.deaf[mib.SVC_UP_KBPS] = 99
    else:
        it.gw.misbehaviour.silent = True
    if step != "posted":
        it.accept(key)
    if step in {"tried", "set in part"}:
        assert it.advance(key).open
    task = it.cancel(key)
    it.gw.misbehaviour.silent = False
    it.gw.misbehaviour.deaf.clear()
    if step != "posted":
        assert it.order(key)["state"] == "assessingCancellation"
        it.run(key)
        it.settle(key, task)
        assert "Undone: gw sub1" in it.order(key)["note"][0]["text"]
        assert "Undone: gw sub1" in it.desk.get("CancelProductOrder", task)["note"][0]["text"]
    order = it.order(key)
    assert order["state"] == "cancelled"
    assert it.desk.get("CancelProductOrder", task)["state"] == "done"
    assert not it.accept(key).batches or not it.advance(key).open
    assert on(it.gw, "sub1") == ("", 0, 0)
    assert {one["status"] for one in it.desk.find("Product", {})} <= {"cancelled"}
    it.agrees()


def test_a_service_in_operation_is_past_the_point_of_no_return(it, fibre):
    it.policy(fulfilment_patience=20.0)
    far = it.gateway("far")
    far.misbehaviour.silent = True
    key = it.post(
        item(id="1", offering=fibre, port="gw sub1"),
        item(id="2", offering=fibre, port="far sub1"),
    )
    it.accept(key)
    it.advance(key)
    assert it.order(key)["productOrderItem"][0]["state"] == "completed"
    with pytest.raises(Conflict, match="point of no return"):
        it.cancel(key)
    far.misbehaviour.silent = False
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_an_order_that_is_held_stops_and_goes_on(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.change("ProductOrder", key.order, state="held")
    report = it.advance(key)
    assert (report.open, report.wait) == (True, 0.0)
    assert it.gw.sets == 0
    it.change("ProductOrder", key.order, state="inProgress")
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_a_held_order_that_was_begun_is_undone_when_it_is_cancelled(it, fibre):
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.change("ProductOrder", key.order, state="held")
    task = it.cancel(key)
    it.run(key)
    it.settle(key, task)
    assert it.order(key)["state"] == "cancelled"
    it.agrees()


def waiting(it, fibre, **more):
    """Return an order that waits for a person, and the task."""
    it.policy(fulfilment_patience=0.1, fulfilment_fallout=("unreachable", "undo"))
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1", **more))
    it.accept(key)
    end = time.monotonic() + 10
    while not (found := it.desk.find("FalloutTask", {"state": "open"})):
        assert time.monotonic() < end
        time.sleep(0.1)
        it.advance(key)
    return key, found[0]


def decide(it, task, decision, **more):
    return it.change("FalloutTask", task["id"], decision=decision, **more)


def test_what_the_machine_cannot_do_waits_visibly_for_a_person(it, fibre):
    key, task = waiting(it, fibre)
    assert (task["order"]["id"], task["orderItemId"], task["element"]) == (key.order, "1", "gw")
    order = it.order(key)
    assert order["state"] == order["productOrderItem"][0]["state"] == "pending"
    types = [one["jeopardyType"] for one in order["productOrderJeopardyAlert"]]
    assert types[-1] == "waitingForPerson"
    it.gw.misbehaviour.silent = False
    decided = decide(it, task, "retry")
    assert (decided["state"], decided["decidedBy"]) == ("resolved", "client")
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_a_person_skips_what_was_done_by_hand(it, fibre):
    key, task = waiting(it, fibre)
    with pytest.raises(InvalidBody, match="reason"):
        decide(it, task, "skip")
    decide(it, task, "skip", decisionReason="set at the console")
    order = it.run(key)
    assert order["state"] == "completed"
    assert "set at the console" in order["note"][0]["text"]
    port = it.gw.port("sub1")
    port.tag, port.down, port.up = product_of(order)["id"], 100 * MEGABIT, 40 * MEGABIT
    it.agrees()
    with pytest.raises(Conflict, match="nothing is left to decide"):
        decide(it, task, "retry")


def test_a_person_gives_an_item_up(it, fibre):
    key, task = waiting(it, fibre)
    it.gw.misbehaviour.silent = False
    decide(it, task, "cancel", decisionReason="not worth it")
    order = it.run(key)
    assert order["state"] == "failed"
    assert "not worth it" in message(order)
    it.agrees()


def test_an_order_that_waits_for_a_person_can_be_cancelled_and_the_task_goes(it, fibre):
    key, task = waiting(it, fibre)
    it.gw.misbehaviour.silent = False
    request = it.cancel(key)
    it.run(key)
    it.settle(key, request)
    assert it.order(key)["state"] == "cancelled"
    assert it.desk.get("FalloutTask", task["id"])["state"] == "cancelled"
    it.agrees()


def test_what_cannot_be_taken_back_is_a_persons_too(it, fibre):
    it.policy(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.advancing._provisioning.do, do = silenced(it), it.advancing._provisioning.do
    end = time.monotonic() + 10
    while not (found := it.desk.find("FalloutTask", {"state": "open"})):
        assert time.monotonic() < end
        it.advance(key)
        time.sleep(0.05)
    it.advancing._provisioning.do = do
    it.gw.misbehaviour.silent = False
    decide(it, found[0], "retry")
    order = it.run(key)
    assert order["state"] == "failed"
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def silenced(it):
    """Return the work on a task after whose first failure the element is silent."""
    do = it.advancing._provisioning.do

    async def work(entry):
        try:
            await do(entry)
        except Exception:
            it.gw.misbehaviour.silent = True
            raise

    return work


def test_a_port_whose_undo_is_given_up_is_kept_out_of_use(it, fibre):
    it.policy(fulfilment_patience=0.05)
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.advancing._provisioning.do, do = silenced(it), it.advancing._provisioning.do
    order = it.run(key)
    it.advancing._provisioning.do = do
    assert order["state"] == "failed"
    assert "kept out of use" in message(order)
    assert it.port("gw", "sub1")["unknownStatus"] is True
    it.gw.misbehaviour.silent = False
    it.agrees()


def test_two_orders_for_one_product_take_their_turns(it, fibre):
    product = add(it, fibre)
    first = it.post(item("modify", offering=it.offering(500, 100), product=product))
    second = it.post(item("delete", product=product))
    it.accept(first)
    assert it.accept(second).turn
    alert = it.order(second)["productOrderJeopardyAlert"][0]
    assert first.order in alert["message"]
    report = it.advance(first)
    assert report.wake == (second,)
    assert it.run(second)["state"] == "completed"
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_a_start_in_the_future_is_waited_for(it, fibre):
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    key = it.post(item(offering=fibre, port="gw sub1"), requestedStartDate=start)
    work = it.accept(key)
    assert 3500 < work.wait <= 3600
    assert it.order(key)["state"] == "acknowledged"
    it.change("ProductOrder", key.order, requestedStartDate="2026-01-01T00:00:00.000Z")
    assert it.run(key)["state"] == "completed"
    it.agrees()


class Remembering:
    """Workflows that were begun and told of a cancellation."""

    def __init__(self):
        self.begun, self.cancelled = [], []

    def begin(self, workflow, argument, id, priority=0):
        self.begun.append(argument)

    def signal(self, id, signal, *arguments):
        self.cancelled.append((id, *arguments))
        return True


def test_a_worker_that_starts_begins_what_waits_and_what_is_to_be_cancelled(it, fibre):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    workflows = Remembering()
    listening = Listening(Desks(it.engine.writes, "test"), it.fulfilment.journal, workflows)

    def told(**more):
        """Place an order of which the worker hears."""
        key = it.post(item(offering=fibre), **more)
        event = {"what": "Create", "body": it.order(key), "tenant": key.tenant}
        listening.order({**event, "resource": key.order, "kind": key.kind})
        return key

    done, waiting, new, open_ = told(), told(requestedStartDate=later), told(), told()
    it.run(done)
    it.accept(waiting)
    it.accept(open_)
    request = it.cancel(open_)
    it.post(item(offering=fibre))  # nobody has heard of it: it was loaded, say
    workflows.begun.clear()
    listening.resume()
    mine = [one for one in workflows.begun if one.tenant == it.tenant]
    assert sorted(mine, key=str) == sorted([waiting, new, open_], key=str)
    assert (open_.name, request) in workflows.cancelled


def test_an_order_that_is_none_of_ours_is_not_begun_again(it):
    key = it.post({"id": "1", "action": "add", "product": {"name": "a chair"}})
    it.fulfilment.journal.expect(key)
    assert key in it.fulfilment.journal.open()
    assert not it.accept(key).batches
    assert key not in it.fulfilment.journal.open()


def test_an_order_that_is_not_done_in_time_says_so(it, fibre):
    soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat().replace("+00:00", "Z")
    it.gw.misbehaviour.silent = True
    key = it.post(item(offering=fibre, port="gw sub1"), requestedCompletionDate=soon)
    assert it.accept(key).due > 0
    time.sleep(0.3)
    assert it.accepting.late(key) == 0.0
    alerts = it.order(key)["productOrderJeopardyAlert"]
    assert alerts[0]["jeopardyType"] == "unavoidableDelay"
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    it.change("ProductOrder", key.order, requestedCompletionDate=later)
    assert it.accepting.late(key) > 7000
    it.gw.misbehaviour.silent = False
    it.policy(fulfilment_patience=20.0)
    assert it.run(key)["state"] == "completed"
    it.agrees()


def test_an_amendment_is_merged_or_refused_by_what_it_changes(it, fibre):
    it.gw.misbehaviour.silent = True
    it.policy(fulfilment_patience=20.0)
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    note = {"@type": "Note", "text": "ring the bell"}
    it.change("ProductOrder", key.order, priority="0", note=[note])
    assert it.advance(key).priority == 1
    for name, value in (
        ("productOrderItem", [item(offering=fibre, port="gw sub2")]),
        ("requestedStartDate", "2027-01-01T00:00:00.000Z"),
        ("billingAccount", {"@type": "BillingAccountRef", "id": "other"}),
    ):
        with pytest.raises(Conflict, match=name):
            it.change("ProductOrder", key.order, **{name: value})
    it.gw.misbehaviour.silent = False
    order = it.run(key)
    assert order["state"] == "completed"
    assert order["note"][0]["text"] == "ring the bell"
    it.agrees()


def test_milestones_alerts_and_errors_are_events(it, fibre):
    it.gw.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.run(key)
    stored = it.database["ProductOrder"].find_one({"id": key.order, "tenant": it.tenant})
    names = [one["what"] for one in stored["events"]]
    assert names.count("Milestone") == 2
    assert names.count("ErrorMessage") == 1


def test_an_order_of_many_items_is_written_batch_by_batch(it, fibre):
    it.gateway("big", ports=30)
    key = it.post(*(item(id=str(n), offering=fibre) for n in range(1, 31)))
    work = it.accept(key)
    assert work.batches == 2
    for number in range(work.batches):
        assert not it.advance(key, number).open
    order = it.order(key)
    assert order["state"] == "completed"
    stored = it.database["ProductOrder"].find_one({"id": key.order, "tenant": it.tenant})
    assert stored["rev"] == 2 + work.batches
    it.agrees()


def test_an_order_that_is_deleted_under_way_leaves_nothing(it, fibre):
    it.policy(fulfilment_patience=20.0)
    it.gw.misbehaviour.deaf[mib.SVC_UP_KBPS] = 99
    key = it.post(item(offering=fibre, port="gw sub1"))
    it.accept(key)
    it.advance(key)
    it.desk.delete("ProductOrder", key.order)
    it.gw.misbehaviour.deaf.clear()
    end = time.monotonic() + 10
    while it.advance(key).open:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert gone(it, "ProductOrder", key.order)
    assert on(it.gw, "sub1") == ("", 0, 0)
    it.agrees()


def test_a_task_that_a_person_never_saw_is_asked_again(it, fibre):
    key, task = waiting(it, fibre)
    it.desk.delete(fallout.KIND, task["id"])
    it.gw.misbehaviour.silent = False
    assert it.run(key)["state"] == "completed"
    it.agrees()
