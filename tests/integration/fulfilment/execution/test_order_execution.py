"""Orders on simulated elements, step by step: successes, failures, and the state after each."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.fulfilment_harness import (
    MEGABIT,
    is_missing,
    order_item,
    order_waiting_for_person,
    port_state,
    silent_after_failure,
)
from tmf_apis.errors import Conflict, InvalidBody, Unavailable
from tmf_apis.fulfilment.execution import fallout
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.rest.pipeline.repository import RepositoryFactory


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def product_of(order):
    return order["productOrderItem"][0]["product"]


def milestones(order):
    return {each["name"]: each["status"] for each in order["productOrderMilestone"]}


def add(operator, fibre, port="gw sub1", **more):
    """Order a service and return the id of its product."""
    order = operator.run_order(operator.place_order(order_item(offering=fibre, port=port, **more)))
    assert order["state"] == "completed", order
    return product_of(order)["id"]


def test_an_order_activates_product_services_and_port_together(operator, fibre_offering):
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
    started = operator.get_order(key)
    assert started["state"] == "inProgress"
    assert started["expectedCompletionDate"] > started["creationDate"]
    product = product_of(started)["id"]
    assert operator.repository.get("Product", product)["status"] == "pendingActive"
    assert {each["state"] for each in operator.repository.find("Service", {})} == {"reserved"}
    operator.assert_consistent(idle=False)
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert set(milestones(order).values()) == {"Completed"}
    active = operator.repository.get("Product", product)
    assert active["status"] == "active"
    assert active["productOffering"]["id"] == fibre_offering
    assert active["relatedParty"][0]["id"] == "c-1"
    assert active["billingAccount"]["id"] == "b-1"
    assert active["place"][0]["id"] == "site-1"
    assert active["productOrderItem"][0]["productOrderId"] == key.order
    services = {each["category"]: each for each in operator.repository.find("Service", {})}
    assert services["RFS"]["supportingResource"][0]["name"] == "gw sub1"
    assert services["CFS"]["supportingService"][0]["id"] == services["RFS"]["id"]
    assert services["CFS"]["relatedParty"][0]["id"] == "c-1"
    assert port_state(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_a_service_is_upgraded_downgraded_suspended_resumed_and_ended(operator, fibre_offering):
    fast = operator.create_offering(1000, 500)
    product = add(operator, fibre_offering)
    for offering, rate in ((fast, 1000), (fibre_offering, 100)):
        order = operator.run_order(
            operator.place_order(order_item("modify", offering=offering, product=product))
        )
        assert order["state"] == "completed", order
        assert port_state(operator.gw, "sub1")[1] == rate * MEGABIT
        assert operator.repository.get("Product", product)["productOffering"]["id"] == offering
        operator.assert_consistent()
    for status, state in (("suspended", "inactive"), ("active", "active")):
        order = operator.run_order(
            operator.place_order(order_item("modify", product=product, value={"status": status}))
        )
        assert order["state"] == "completed", order
        assert operator.repository.get("Product", product)["status"] == status
        assert {each["state"] for each in operator.repository.find("Service", {})} == {state}
        assert operator.gw.port("sub1").enabled == (status == "active")
        operator.assert_consistent()
    order = operator.run_order(operator.place_order(order_item("delete", product=product)))
    assert order["state"] == "completed"
    assert product_of(order)["status"] == "terminated"
    assert operator.repository.get("Product", product)["terminationDate"]
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_service_moves_to_another_port_and_leaves_the_old_one(operator, fibre_offering):
    product = add(operator, fibre_offering)
    order = operator.run_order(
        operator.place_order(
            order_item("modify", product=product, port="gw sub2", offering=fibre_offering)
        )
    )
    assert order["state"] == "completed", order
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    assert port_state(operator.gw, "sub2") == (product, 100 * MEGABIT, 40 * MEGABIT)
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
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    assert port_state(other, "sub1")[0] == product
    operator.assert_consistent()


def test_a_partly_applied_change_is_rolled_back_if_the_element_rejects_the_rest(
    operator, fibre_offering
):
    # the last of three SETs
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "sub1 upstream" in message(order)
    assert milestones(order)["completed"] == "Violated"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
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
    assert port_state(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    assert operator.repository.get("Product", product)["productOffering"]["id"] == fibre_offering
    operator.assert_consistent()


def test_an_element_that_ignores_a_change_fails_verification(operator, fibre_offering):
    operator.gw.fault_injection.ignore_sets = True
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    )
    assert order["state"] == "failed"
    assert "instead of" in message(order)
    operator.gw.fault_injection.ignore_sets = False
    operator.assert_consistent()


def test_an_item_fails_after_its_element_was_silent_for_too_long(operator, fibre_offering):
    operator.gw.fault_injection.silent = True
    operator.configure(fulfilment_patience=60.0)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert operator.accept(key).reserved
    progress = operator.advance(key)
    assert progress.incomplete
    assert progress.retry_in > 0
    alerts = operator.advance_until(
        key, lambda: operator.get_order(key).get("productOrderJeopardyAlert")
    )
    assert alerts[0]["jeopardyType"] == "waitingForElement"
    operator.configure(fulfilment_patience=0.1)
    order = operator.run_order(key)
    assert order["state"] == "failed"
    operator.gw.fault_injection.silent = False
    operator.assert_consistent()


def test_an_order_continues_when_its_element_answers_again(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.advance(key)
    operator.gw.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def test_a_set_without_an_answer_is_repeated_without_harm(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.unanswered_sets[mib.SVC_DOWN_KBPS] = 2
    assert (
        operator.run_order(
            operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
        )["state"]
        == "completed"
    )
    operator.assert_consistent()


def test_ports_are_found_by_name_after_a_restart_with_other_indexes(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub2"))
    operator.accept(key)
    operator.advance(key)
    operator.gw.restart(shift=100)
    operator.gw.fault_injection.silent = False
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert port_state(operator.gw, "sub2")[0] == product_of(order)["id"]
    operator.assert_consistent()


def test_an_order_for_a_removed_port_fails_and_reserves_nothing(operator, fibre_offering):
    index = next(index for index, port in operator.gw.ports.items() if port.name == "sub3")
    del operator.gw.ports[index]
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub3"))
    )
    assert order["state"] == "failed"
    assert "sub3" in message(order)
    operator.assert_consistent()


def test_a_new_worker_continues_without_planning_or_reserving_twice(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.restart_worker()
    operator.accept(key)  # plans and reserves nothing again
    operator.restart_worker()
    assert operator.run_order(key)["state"] == "completed"
    assert not operator.run_order(key).get("productOrderErrorMessage")
    assert operator.gw.set_count == 3
    operator.assert_consistent()


def test_independent_items_succeed_and_fail_separately(operator, fibre_offering):
    product = add(operator, fibre_offering, port="gw sub4")
    operator.gw.fault_injection.rejected_sets = {}
    order = operator.run_order(
        operator.place_order(
            order_item(id="1", offering=fibre_offering, port="gw sub1"),
            order_item(id="2", offering=fibre_offering, port="gw sub4"),
        )
    )
    assert order["state"] == "partial"
    assert [item["state"] for item in order["productOrderItem"]] == ["completed", "failed"]
    assert port_state(operator.gw, "sub4")[0] == product
    operator.assert_consistent()


def test_all_or_nothing_undoes_everything_if_one_item_fails(operator, fibre_offering):
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
    messages = {error["message"] for error in order["productOrderErrorMessage"]}
    assert any(message.startswith("with item 2") for message in messages)
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_missing_resource_fails_the_whole_unit_before_any_change(operator, fibre_offering):
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
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    assert {product["status"] for product in operator.repository.find("Product", {})} <= {
        "cancelled"
    }
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


def test_a_held_order_stops_and_continues_when_released(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.change_resource("ProductOrder", key.order, state="held")
    progress = operator.advance(key)
    assert (progress.incomplete, progress.retry_in) == (True, 0.0)
    assert operator.gw.set_count == 0
    operator.change_resource("ProductOrder", key.order, state="inProgress")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_cancelling_a_held_order_undoes_it(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.change_resource("ProductOrder", key.order, state="held")
    task = operator.request_cancellation(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, task)
    assert operator.get_order(key)["state"] == "cancelled"
    operator.assert_consistent()


def decide(operator, task, decision, **more):
    return operator.change_resource("FalloutTask", task["id"], decision=decision, **more)


def test_an_order_with_a_fallout_task_is_pending_until_a_retry_is_decided(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    assert (task["order"]["id"], task["orderItemId"], task["element"]) == (key.order, "1", "gw")
    order = operator.get_order(key)
    assert order["state"] == order["productOrderItem"][0]["state"] == "pending"
    types = [alert["jeopardyType"] for alert in order["productOrderJeopardyAlert"]]
    assert types[-1] == "waitingForPerson"
    operator.gw.fault_injection.silent = False
    decided = decide(operator, task, "retry")
    assert (decided["state"], decided["decidedBy"]) == ("resolved", "client")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_task_that_was_done_by_hand_can_be_skipped(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    with pytest.raises(InvalidBody, match="decisionReason"):
        decide(operator, task, "skip")
    decide(operator, task, "skip", decisionReason="set at the console")
    order = operator.run_order(key)
    assert order["state"] == "completed"
    assert "set at the console" in order["note"][0]["text"]
    port = operator.gw.port("sub1")  # set by hand
    port.tag, port.downstream_kbps, port.upstream_kbps = (
        product_of(order)["id"],
        100 * MEGABIT,
        40 * MEGABIT,
    )
    operator.assert_consistent()
    with pytest.raises(Conflict, match="nothing is left to decide"):
        decide(operator, task, "retry")


def test_a_fallout_task_decided_as_cancel_fails_the_item(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    operator.gw.fault_injection.silent = False
    decide(operator, task, "cancel", decisionReason="not worth it")
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "not worth it" in message(order)
    operator.assert_consistent()


def test_cancelling_an_order_cancels_its_fallout_task(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    operator.gw.fault_injection.silent = False
    request = operator.request_cancellation(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, request)
    assert operator.get_order(key)["state"] == "cancelled"
    assert operator.repository.get("FalloutTask", task["id"])["state"] == "cancelled"
    operator.assert_consistent()


def test_a_failed_rollback_becomes_a_fallout_task(operator, fibre_offering):
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    with silent_after_failure(operator):
        (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    operator.gw.fault_injection.silent = False
    decide(operator, task, "retry")
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_port_whose_rollback_fails_is_quarantined(operator, fibre_offering):
    operator.configure(fulfilment_patience=0.05)
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    with silent_after_failure(operator):
        order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "quarantined" in message(order)
    assert operator.find_port("gw", "sub1")["unknownStatus"] is True
    operator.gw.fault_injection.silent = False
    operator.assert_consistent()


def test_a_second_order_for_a_product_waits_for_the_first(operator, fibre_offering):
    product = add(operator, fibre_offering)
    first = operator.place_order(
        order_item("modify", offering=operator.create_offering(500, 100), product=product)
    )
    second = operator.place_order(order_item("delete", product=product))
    operator.accept(first)
    assert operator.accept(second).blocked
    alert = operator.get_order(second)["productOrderJeopardyAlert"][0]
    assert first.order in alert["message"]
    progress = operator.advance(first)
    assert progress.orders_to_wake == (second,)
    assert operator.run_order(second)["state"] == "completed"
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_an_order_waits_for_its_requested_start_date(operator, fibre_offering):
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    key = operator.place_order(
        order_item(offering=fibre_offering, port="gw sub1"), requestedStartDate=start
    )
    assert 3000 < operator.accept(key).start_in <= 3600
    assert operator.get_order(key)["state"] == "acknowledged"
    operator.change_resource(
        "ProductOrder", key.order, requestedStartDate="2026-01-01T00:00:00.000Z"
    )
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


class RecordingWorkflowClient:
    """Records the workflows that are started and the signals that are sent."""

    def __init__(self):
        self.started_keys, self.signals = [], []

    def start(self, workflow, argument, id, priority=0):
        self.started_keys.append(argument)

    def signal(self, id, signal, *arguments):
        self.signals.append((id, *arguments))
        return True


def test_a_starting_worker_resumes_open_orders_and_cancellations(operator, fibre_offering):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    workflows = RecordingWorkflowClient()
    handler = OrderEventHandler(
        RepositoryFactory(operator.engine.writer, "test"), operator.fulfilment.journal, workflows
    )

    def place_with_event(**more):
        """Place an order and handle its event."""
        key = operator.place_order(order_item(offering=fibre_offering), **more)
        event = {"what": "Create", "body": operator.get_order(key), "tenant": key.tenant}
        handler.handle_order({**event, "resource": key.order, "kind": key.kind})
        return key

    finished, scheduled = place_with_event(), place_with_event(requestedStartDate=later)
    new, cancelled = place_with_event(), place_with_event()
    operator.run_order(finished)
    operator.accept(scheduled)
    operator.accept(cancelled)
    request = operator.request_cancellation(cancelled)
    operator.place_order(order_item(offering=fibre_offering))  # without an event: bulk-loaded
    workflows.started_keys.clear()
    handler.resume()
    resumed = [key for key in workflows.started_keys if key.tenant == operator.tenant]
    assert sorted(resumed, key=str) == sorted([scheduled, new, cancelled], key=str)
    assert (cancelled.qualified_id, request) in workflows.signals


def test_an_order_that_waits_for_temporal_says_so(operator, fibre_offering):
    workflows = RecordingWorkflowClient()

    def refuse(*arguments):
        raise Unavailable("Temporal does not answer")

    workflows.start = refuse
    handler = OrderEventHandler(
        RepositoryFactory(operator.engine.writer, "test"), operator.fulfilment.journal, workflows
    )
    key = operator.place_order(order_item(offering=fibre_offering))
    event = {"what": "Create", "body": operator.get_order(key), "tenant": key.tenant}
    for _ in range(2):
        with pytest.raises(Unavailable):
            handler.handle_order({**event, "resource": key.order, "kind": key.kind})
    order = operator.get_order(key)
    (alert,) = order["productOrderJeopardyAlert"]
    assert order["state"] == "acknowledged"
    assert alert["jeopardyType"] == "waitingForTemporal"
    assert alert["message"].startswith("waiting for Temporal, which does not answer")
    assert operator.run_order(key)["state"] == "completed"


def test_an_order_without_work_is_not_resumed(operator):
    key = operator.place_order({"id": "1", "action": "add", "product": {"name": "a chair"}})
    operator.fulfilment.journal.enqueue(key)
    assert key in operator.fulfilment.journal.open_orders()
    assert not operator.accept(key).batches
    assert key not in operator.fulfilment.journal.open_orders()


def test_a_late_order_has_a_delay_alert(operator, fibre_offering, monkeypatch):
    due = datetime.now(UTC) + timedelta(hours=1)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(
        order_item(offering=fibre_offering, port="gw sub1"),
        requestedCompletionDate=due.isoformat().replace("+00:00", "Z"),
    )
    monkeypatch.setattr(operator.intake, "_clock", lambda: due - timedelta(seconds=10))
    assert operator.accept(key).due_in == pytest.approx(10, abs=0.01)
    assert operator.intake.check_due_date(key) == pytest.approx(10, abs=0.01)
    assert "productOrderJeopardyAlert" not in operator.get_order(key)
    monkeypatch.setattr(operator.intake, "_clock", lambda: due + timedelta(seconds=1))
    assert operator.intake.check_due_date(key) == 0.0
    alerts = operator.get_order(key)["productOrderJeopardyAlert"]
    assert alerts[0]["jeopardyType"] == "unavoidableDelay"
    later = (due + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    operator.change_resource("ProductOrder", key.order, requestedCompletionDate=later)
    assert operator.intake.check_due_date(key) > 7000
    operator.gw.fault_injection.silent = False
    operator.configure(fulfilment_patience=20.0)
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_amendment_is_merged_or_refused_depending_on_the_attribute(operator, fibre_offering):
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
    names = [event["what"] for event in stored["events"]]
    assert names.count("Milestone") == 2
    assert names.count("ErrorMessage") == 1


def test_an_order_of_many_items_is_written_batch_by_batch(operator, fibre_offering):
    operator.add_gateway("big", ports=30)
    key = operator.place_order(
        *(order_item(id=str(n), offering=fibre_offering) for n in range(1, 31))
    )
    batch_count = operator.accept(key).batches
    assert batch_count == 2
    for number in range(batch_count):
        assert not operator.advance(key, number).incomplete
    order = operator.get_order(key)
    assert order["state"] == "completed"
    stored = operator.database["ProductOrder"].find_one(
        {"id": key.order, "tenant": operator.tenant}
    )
    assert stored["rev"] == 2 + batch_count
    operator.assert_consistent()


def test_deleting_an_order_in_progress_undoes_it(operator, fibre_offering):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 99
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.advance(key)
    operator.repository.delete("ProductOrder", key.order)
    operator.gw.fault_injection.unanswered_sets.clear()
    operator.advance_until_complete(key)
    assert is_missing(operator, "ProductOrder", key.order)
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    operator.assert_consistent()


def test_a_deleted_fallout_task_counts_as_a_retry(operator, fibre_offering):
    key, task = order_waiting_for_person(operator, fibre_offering)
    operator.repository.delete(fallout.FALLOUT_TASK, task["id"])
    operator.gw.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()
