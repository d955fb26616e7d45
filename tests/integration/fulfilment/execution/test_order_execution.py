"""Orders on simulated elements, step by step: good days, bad days, and what is left after each."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.fulfilment_harness import is_missing, order_item
from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.fulfilment.execution import fallout
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.rest.pipeline.repository import RepositoryFactory

MEGABIT = 1000  # in the gateway's unit, kbit/s


def on(gateway, port):
    """Return tag and rates in kbit/s of a port."""
    found = gateway.port(port)
    return found.tag, found.downstream_kbps, found.upstream_kbps


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def product_of(order, place=0):
    return order["productOrderItem"][place]["product"]


def milestones(order):
    return {one["name"]: one["status"] for one in order["productOrderMilestone"]}


def add(operator, fibre, port="gw sub1", **more):
    """Order a service and return its product id."""
    order = operator.run_order(operator.place_order(order_item(offering=fibre, port=port, **more)))
    assert order["state"] == "completed", order
    return product_of(order)["id"]


def test_a_product_its_services_and_its_port_come_to_life_together(operator, fibre_offering):
    key = operator.place_order(
        order_item(offering=fibre_offering, port="gw sub1", place="site-1"),
        relatedParty=[
            {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": {"@type": "PartyRef", "id": "c-1", "name": "Ada"},
            }
        ],
        billingAccount={"@type": "BillingAccountRef", "id": "b-1"},
    )
    operator.accept(key)
    begun = operator.get_order(key)
    assert begun["state"] == "inProgress"
    assert begun["expectedCompletionDate"] > begun["creationDate"]
    product = product_of(begun)["id"]
    assert operator.repository.get("Product", product)["status"] == "pendingActive"
    assert {one["state"] for one in operator.repository.find("Service", {})} == {"reserved"}
    operator.assert_consistent(idle=False)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert set(milestones(order).values()) == {"Completed"}
    found = operator.repository.get("Product", product)
    assert found["status"] == "active"
    assert found["productOffering"]["id"] == fibre_offering
    assert found["relatedParty"][0]["id"] == "c-1"
    assert found["billingAccount"]["id"] == "b-1"
    assert found["place"][0]["id"] == "site-1"
    assert found["productOrderItem"][0]["productOrderId"] == key.order
    services = {one["category"]: one for one in operator.repository.find("Service", {})}
    assert services["RFS"]["supportingResource"][0]["name"] == "gw sub1"
    assert services["CFS"]["supportingService"][0]["id"] == services["RFS"]["id"]
    assert services["CFS"]["relatedParty"][0]["id"] == "c-1"
    assert on(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_a_service_is_upgraded_downgraded_suspended_resumed_and_ended(operator, fibre_offering):
    fast = operator.create_offering(1000, 500)
    product = add(operator, fibre_offering)
    for offering, rate in ((fast, 1000), (fibre_offering, 100)):
        order = operator.run_order(
            operator.place_order(order_item("modify", offering=offering, product=product))
        )
        assert order["state"] == "completed", order
        assert on(operator.gw, "sub1")[1] == rate * MEGABIT
        assert operator.repository.get("Product", product)["productOffering"]["id"] == offering
        operator.assert_consistent()
    for status, state in (("suspended", "inactive"), ("active", "active")):
        order = operator.run_order(
            operator.place_order(order_item("modify", product=product, value={"status": status}))
        )
        assert order["state"] == "completed", order
        assert operator.repository.get("Product", product)["status"] == status
        assert {one["state"] for one in operator.repository.find("Service", {})} == {state}
        assert operator.gw.port("sub1").enabled == (status == "active")
        operator.assert_consistent()
    order = operator.run_order(operator.place_order(order_item("delete", product=product)))
    assert order["state"] == "completed"
    assert product_of(order)["status"] == "terminated"
    assert operator.repository.get("Product", product)["terminationDate"]
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_service_moves_to_another_port_and_leaves_the_old_one(operator, fibre_offering):
    product = add(operator, fibre_offering)
    order = operator.run_order(
        operator.place_order(
            order_item("modify", product=product, port="gw sub2", offering=fibre_offering)
        )
    )
    assert order["state"] == "completed", order
    assert on(operator.gw, "sub1") == ("", 0, 0)
    assert on(operator.gw, "sub2") == (product, 100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_a_service_moves_to_another_element(operator, fibre_offering):
    other = operator.add_gateway("far")
    product = add(operator, fibre_offering)
    order = operator.run_order(
        operator.place_order(
            order_item("modify", product=product, port="far sub1", offering=fibre_offering)
        )
    )
    assert order["state"] == "completed", order
    assert on(operator.gw, "sub1") == ("", 0, 0)
    assert on(other, "sub1")[0] == product
    operator.assert_consistent()


def test_an_element_that_refuses_has_half_of_it_taken_back(operator, fibre_offering):
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = (
        WRONG_VALUE  # the last of three SETs
    )
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "sub1 upstream" in message(order)
    assert milestones(order)["completed"] == "Violated"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    assert operator.repository.find("Product", {})[0]["status"] == "aborted"
    operator.assert_consistent()


def test_a_change_that_is_refused_leaves_the_service_as_it_was(operator, fibre_offering):
    product = add(operator, fibre_offering)
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = operator.run_order(
        operator.place_order(
            order_item("modify", offering=operator.create_offering(500, 200), product=product)
        )
    )
    assert order["state"] == "failed"
    assert on(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    assert operator.repository.get("Product", product)["productOffering"]["id"] == fibre_offering
    operator.assert_consistent()


def test_an_element_that_lies_is_found_out(operator, fibre_offering):
    operator.gw.fault_injection.ignore_sets = True
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    )
    assert order["state"] == "failed"
    assert "instead of" in message(order)
    operator.gw.fault_injection.ignore_sets = False
    operator.assert_consistent()


def test_an_element_that_hangs_is_tried_and_then_the_item_fails(operator, fibre_offering):
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    work = operator.accept(key)
    assert work.reserved
    seen = operator.advance(key)
    assert seen.incomplete
    assert seen.retry_in > 0
    time.sleep(seen.retry_in)
    operator.advance(key)
    alerts = operator.get_order(key)["productOrderJeopardyAlert"]
    assert alerts[0]["jeopardyType"] == "waitingForElement"
    order = operator.run_order(key)
    assert order["state"] == "failed"
    operator.gw.fault_injection.silent = False
    operator.assert_consistent()


def test_an_element_that_answers_again_is_gone_on_with(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.advance(key)
    operator.gw.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def test_a_set_that_was_done_without_an_answer_is_not_done_twice_in_effect(
    operator, fibre_offering
):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.unanswered_sets[mib.SVC_DOWN_KBPS] = 2
    assert (
        operator.run_order(
            operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
        )["state"]
        == "completed"
    )
    operator.assert_consistent()


def test_an_element_that_restarts_with_other_indexes_is_known_by_its_ports_names(
    operator, fibre_offering
):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub2"))
    operator.accept(key)
    operator.advance(key)
    operator.gw.restart(shift=100)
    operator.gw.fault_injection.silent = False
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert on(operator.gw, "sub2")[0] == product_of(order)["id"]
    operator.assert_consistent()


def test_an_order_for_a_port_that_is_gone_fails_and_holds_nothing(operator, fibre_offering):
    index = next(key for key, one in operator.gw.ports.items() if one.name == "sub3")
    del operator.gw.ports[index]
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub3"))
    )
    assert order["state"] == "failed"
    assert "sub3" in message(order)
    operator.assert_consistent()


def test_a_worker_that_dies_after_every_write_is_followed_by_one_that_goes_on(
    operator, fibre_offering
):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.restart_worker()
    operator.accept(key)  # again: nothing is planned or reserved twice
    operator.restart_worker()
    assert operator.run_order(key)["state"] == "completed"
    assert not operator.run_order(key).get("productOrderErrorMessage")
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def test_items_that_may_succeed_apart_do(operator, fibre_offering):
    product = add(operator, fibre_offering, port="gw sub4")
    operator.gw.fault_injection.rejected_sets = {}
    order = operator.run_order(
        operator.place_order(
            order_item(id="1", offering=fibre_offering, port="gw sub1"),
            order_item(id="2", offering=fibre_offering, port="gw sub4"),
        )
    )
    assert order["state"] == "partial"
    assert [one["state"] for one in order["productOrderItem"]] == ["completed", "failed"]
    assert on(operator.gw, "sub4")[0] == product
    operator.assert_consistent()


def test_all_or_nothing_leaves_nothing_where_one_part_fails(operator, fibre_offering):
    other = operator.add_gateway("bad")
    other.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = operator.run_order(
        operator.place_order(
            order_item(id="1", offering=fibre_offering, port="gw sub1"),
            order_item(id="2", offering=fibre_offering, port="bad sub1"),
            allOrNothing=True,
        )
    )
    assert order["state"] == "failed"
    messages = {one["message"] for one in order["productOrderErrorMessage"]}
    assert any(one.startswith("with item 2") for one in messages)
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_an_item_that_cannot_be_reserved_takes_its_unit_along_before_anything_is_touched(
    operator, fibre_offering
):
    order = operator.run_order(
        operator.place_order(
            order_item(id="1", offering=fibre_offering, port="gw sub1"),
            order_item(id="2", offering=fibre_offering, port="no such port"),
            allOrNothing=True,
        )
    )
    assert order["state"] == "failed"
    assert operator.gw.set_count == 0
    operator.assert_consistent()


STEPS = ("posted", "accepted", "tried", "set in part")


@pytest.mark.parametrize("step", STEPS)
def test_an_order_can_be_cancelled_at_every_step_before_the_point_of_no_return(
    operator, fibre_offering, step
):
    operator.configure(fulfilment_patience=20.0)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    if step == "set in part":
        operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 99
    else:
        operator.gw.fault_injection.silent = True
    if step != "posted":
        operator.accept(key)
    if step in {"tried", "set in part"}:
        assert operator.advance(key).incomplete
    task = operator.request_cancellation(key)
    operator.gw.fault_injection.silent = False
    operator.gw.fault_injection.unanswered_sets.clear()
    if step != "posted":
        assert operator.get_order(key)["state"] == "assessingCancellation"
        operator.run_order(key)
        operator.resolve_cancellation(key, task)
        assert "Undone: gw sub1" in operator.get_order(key)["note"][0]["text"]
        assert (
            "Undone: gw sub1"
            in operator.repository.get("CancelProductOrder", task)["note"][0]["text"]
        )
    order = operator.get_order(key)
    assert order["state"] == "cancelled"
    assert operator.repository.get("CancelProductOrder", task)["state"] == "done"
    assert not operator.accept(key).batches or not operator.advance(key).incomplete
    assert on(operator.gw, "sub1") == ("", 0, 0)
    assert {one["status"] for one in operator.repository.find("Product", {})} <= {"cancelled"}
    operator.assert_consistent()


def test_a_service_in_operation_is_past_the_point_of_no_return(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    far = operator.add_gateway("far")
    far.fault_injection.silent = True
    key = operator.place_order(
        order_item(id="1", offering=fibre_offering, port="gw sub1"),
        order_item(id="2", offering=fibre_offering, port="far sub1"),
    )
    operator.accept(key)
    operator.advance(key)
    assert operator.get_order(key)["productOrderItem"][0]["state"] == "completed"
    with pytest.raises(Conflict, match="point of no return"):
        operator.request_cancellation(key)
    far.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_order_that_is_held_stops_and_goes_on(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.change_resource("ProductOrder", key.order, state="held")
    report = operator.advance(key)
    assert (report.incomplete, report.retry_in) == (True, 0.0)
    assert operator.gw.set_count == 0
    operator.change_resource("ProductOrder", key.order, state="inProgress")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_held_order_that_was_begun_is_undone_when_it_is_cancelled(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.change_resource("ProductOrder", key.order, state="held")
    task = operator.request_cancellation(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, task)
    assert operator.get_order(key)["state"] == "cancelled"
    operator.assert_consistent()


def waiting(operator, fibre, **more):
    """Return an order that waits for a person, and the task."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable", "undo"))
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre, port="gw sub1", **more))
    operator.accept(key)
    end = time.monotonic() + 10
    while not (found := operator.repository.find("FalloutTask", {"state": "open"})):
        assert time.monotonic() < end
        time.sleep(0.1)
        operator.advance(key)
    return key, found[0]


def decide(operator, task, decision, **more):
    return operator.change_resource("FalloutTask", task["id"], decision=decision, **more)


def test_what_the_machine_cannot_do_waits_visibly_for_a_person(operator, fibre_offering):
    key, task = waiting(operator, fibre_offering)
    assert (task["order"]["id"], task["orderItemId"], task["element"]) == (key.order, "1", "gw")
    order = operator.get_order(key)
    assert order["state"] == order["productOrderItem"][0]["state"] == "pending"
    types = [one["jeopardyType"] for one in order["productOrderJeopardyAlert"]]
    assert types[-1] == "waitingForPerson"
    operator.gw.fault_injection.silent = False
    decided = decide(operator, task, "retry")
    assert (decided["state"], decided["decidedBy"]) == ("resolved", "client")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_person_skips_what_was_done_by_hand(operator, fibre_offering):
    key, task = waiting(operator, fibre_offering)
    with pytest.raises(InvalidBody, match="reason"):
        decide(operator, task, "skip")
    decide(operator, task, "skip", decisionReason="set at the console")
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert "set at the console" in order["note"][0]["text"]
    port = operator.gw.port("sub1")
    port.tag, port.downstream_kbps, port.upstream_kbps = (
        product_of(order)["id"],
        100 * MEGABIT,
        40 * MEGABIT,
    )
    operator.assert_consistent()
    with pytest.raises(Conflict, match="nothing is left to decide"):
        decide(operator, task, "retry")


def test_a_person_gives_an_item_up(operator, fibre_offering):
    key, task = waiting(operator, fibre_offering)
    operator.gw.fault_injection.silent = False
    decide(operator, task, "cancel", decisionReason="not worth it")
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "not worth it" in message(order)
    operator.assert_consistent()


def test_an_order_that_waits_for_a_person_can_be_cancelled_and_the_task_goes(
    operator, fibre_offering
):
    key, task = waiting(operator, fibre_offering)
    operator.gw.fault_injection.silent = False
    request = operator.request_cancellation(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, request)
    assert operator.get_order(key)["state"] == "cancelled"
    assert operator.repository.get("FalloutTask", task["id"])["state"] == "cancelled"
    operator.assert_consistent()


def test_what_cannot_be_taken_back_is_a_persons_too(operator, fibre_offering):
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.runner._provisioner.execute, do = (
        silenced(operator),
        operator.runner._provisioner.execute,
    )
    end = time.monotonic() + 10
    while not (found := operator.repository.find("FalloutTask", {"state": "open"})):
        assert time.monotonic() < end
        operator.advance(key)
        time.sleep(0.05)
    operator.runner._provisioner.execute = do
    operator.gw.fault_injection.silent = False
    decide(operator, found[0], "retry")
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def silenced(operator):
    """Return the work on a task after whose first failure the element is silent."""
    do = operator.runner._provisioner.execute

    async def work(entry):
        try:
            await do(entry)
        except Exception:
            operator.gw.fault_injection.silent = True
            raise

    return work


def test_a_port_whose_undo_is_given_up_is_kept_out_of_use(operator, fibre_offering):
    operator.configure(fulfilment_patience=0.05)
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.runner._provisioner.execute, do = (
        silenced(operator),
        operator.runner._provisioner.execute,
    )
    order = operator.run_order(key)
    operator.runner._provisioner.execute = do
    assert order["state"] == "failed"
    assert "kept out of use" in message(order)
    assert operator.find_port("gw", "sub1")["unknownStatus"] is True
    operator.gw.fault_injection.silent = False
    operator.assert_consistent()


def test_two_orders_for_one_product_take_their_turns(operator, fibre_offering):
    product = add(operator, fibre_offering)
    first = operator.place_order(
        order_item("modify", offering=operator.create_offering(500, 100), product=product)
    )
    second = operator.place_order(order_item("delete", product=product))
    operator.accept(first)
    assert operator.accept(second).blocked
    alert = operator.get_order(second)["productOrderJeopardyAlert"][0]
    assert first.order in alert["message"]
    report = operator.advance(first)
    assert report.orders_to_wake == (second,)
    assert operator.run_order(second)["state"] == "completed"
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_start_in_the_future_is_waited_for(operator, fibre_offering):
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    key = operator.place_order(
        order_item(offering=fibre_offering, port="gw sub1"), requestedStartDate=start
    )
    work = operator.accept(key)
    assert 3500 < work.start_in <= 3600
    assert operator.get_order(key)["state"] == "acknowledged"
    operator.change_resource(
        "ProductOrder", key.order, requestedStartDate="2026-01-01T00:00:00.000Z"
    )
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


class RecordingWorkflowClient:
    """Workflows that were begun and told of a cancellation."""

    def __init__(self):
        self.started_keys, self.signals = [], []

    def start(self, workflow, argument, id, priority=0):
        self.started_keys.append(argument)

    def signal(self, id, signal, *arguments):
        self.signals.append((id, *arguments))
        return True


def test_a_worker_that_starts_begins_what_waits_and_what_is_to_be_cancelled(
    operator, fibre_offering
):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    workflows = RecordingWorkflowClient()
    listening = OrderEventHandler(
        RepositoryFactory(operator.engine.writer, "test"), operator.fulfilment.journal, workflows
    )

    def told(**more):
        """Place an order of which the worker hears."""
        key = operator.place_order(order_item(offering=fibre_offering), **more)
        event = {"what": "Create", "body": operator.get_order(key), "tenant": key.tenant}
        listening.handle_order({**event, "resource": key.order, "kind": key.kind})
        return key

    done, waiting, new, open_ = told(), told(requestedStartDate=later), told(), told()
    operator.run_order(done)
    operator.accept(waiting)
    operator.accept(open_)
    request = operator.request_cancellation(open_)
    operator.place_order(
        order_item(offering=fibre_offering)
    )  # nobody has heard of it: it was loaded, say
    workflows.started_keys.clear()
    listening.resume()
    mine = [one for one in workflows.started_keys if one.tenant == operator.tenant]
    assert sorted(mine, key=str) == sorted([waiting, new, open_], key=str)
    assert (open_.qualified_id, request) in workflows.signals


def test_an_order_that_is_none_of_ours_is_not_begun_again(operator):
    key = operator.place_order({"id": "1", "action": "add", "product": {"name": "a chair"}})
    operator.fulfilment.journal.enqueue(key)
    assert key in operator.fulfilment.journal.open_orders()
    assert not operator.accept(key).batches
    assert key not in operator.fulfilment.journal.open_orders()


def test_an_order_that_is_not_done_in_time_says_so(operator, fibre_offering):
    soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat().replace("+00:00", "Z")
    operator.gw.fault_injection.silent = True
    key = operator.place_order(
        order_item(offering=fibre_offering, port="gw sub1"), requestedCompletionDate=soon
    )
    assert operator.accept(key).due_in > 0
    time.sleep(0.3)
    assert operator.intake.check_due_date(key) == 0.0
    alerts = operator.get_order(key)["productOrderJeopardyAlert"]
    assert alerts[0]["jeopardyType"] == "unavoidableDelay"
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    operator.change_resource("ProductOrder", key.order, requestedCompletionDate=later)
    assert operator.intake.check_due_date(key) > 7000
    operator.gw.fault_injection.silent = False
    operator.configure(fulfilment_patience=20.0)
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_amendment_is_merged_or_refused_by_what_it_changes(operator, fibre_offering):
    operator.gw.fault_injection.silent = True
    operator.configure(fulfilment_patience=20.0)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    note = {"@type": "Note", "text": "ring the bell"}
    operator.change_resource("ProductOrder", key.order, priority="0", note=[note])
    assert operator.advance(key).priority == 1
    for name, value in (
        ("productOrderItem", [order_item(offering=fibre_offering, port="gw sub2")]),
        ("requestedStartDate", "2027-01-01T00:00:00.000Z"),
        ("billingAccount", {"@type": "BillingAccountRef", "id": "other"}),
    ):
        with pytest.raises(Conflict, match=name):
            operator.change_resource("ProductOrder", key.order, **{name: value})
    operator.gw.fault_injection.silent = False
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert order["note"][0]["text"] == "ring the bell"
    operator.assert_consistent()


def test_milestones_alerts_and_errors_are_events(operator, fibre_offering):
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.run_order(key)
    stored = operator.database["ProductOrder"].find_one(
        {"id": key.order, "tenant": operator.tenant}
    )
    names = [one["what"] for one in stored["events"]]
    assert names.count("Milestone") == 2
    assert names.count("ErrorMessage") == 1


def test_an_order_of_many_items_is_written_batch_by_batch(operator, fibre_offering):
    operator.add_gateway("big", ports=30)
    key = operator.place_order(
        *(order_item(id=str(n), offering=fibre_offering) for n in range(1, 31))
    )
    work = operator.accept(key)
    assert work.batches == 2
    for number in range(work.batches):
        assert not operator.advance(key, number).incomplete
    order = operator.get_order(key)
    assert order["state"] == "completed"
    stored = operator.database["ProductOrder"].find_one(
        {"id": key.order, "tenant": operator.tenant}
    )
    assert stored["rev"] == 2 + work.batches
    operator.assert_consistent()


def test_an_order_that_is_deleted_under_way_leaves_nothing(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 99
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.advance(key)
    operator.repository.delete("ProductOrder", key.order)
    operator.gw.fault_injection.unanswered_sets.clear()
    end = time.monotonic() + 10
    while operator.advance(key).incomplete:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert is_missing(operator, "ProductOrder", key.order)
    assert on(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_task_that_a_person_never_saw_is_asked_again(operator, fibre_offering):
    key, task = waiting(operator, fibre_offering)
    operator.repository.delete(fallout.FALLOUT_TASK, task["id"])
    operator.gw.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()
