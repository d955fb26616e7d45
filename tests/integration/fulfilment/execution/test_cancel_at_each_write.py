"""A cancellation at any moment of an order ends the order, and the notes say what was done."""

import itertools
import os

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.crash_injector import inject_crashes
from tests.support.fulfilment_harness import FINAL_STATES, order_item, order_waiting_for_person
from tmf_apis.errors import TmfError
from tmf_apis.fulfilment.execution import intake
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: The cancellation comes after every n-th write; 1: after each.
STRIDE = int(os.environ.get("TEST_EACH_WRITE", "9"))


@pytest.fixture
def operator(fulfilment_harness):
    """An operator with a gateway that works and one that refuses every service."""
    fulfilment_harness.use_new_tenant()
    fulfilment_harness.configure()
    fulfilment_harness.gw = fulfilment_harness.add_gateway("gw", ports=80)
    fulfilment_harness.far = fulfilment_harness.add_gateway("far", ports=80)
    fulfilment_harness.far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    yield fulfilment_harness
    fulfilment_harness.stop_gateways()


@pytest.fixture
def injector():
    with inject_crashes() as injector:
        yield injector


class Cancellation:
    """Requests the cancellation of an order at a moment of a test, and sees to the answer."""

    def __init__(self, operator, key):
        self.operator, self.key, self.task = operator, key, None

    def request(self):
        try:
            self.task = self.operator.request_cancellation(self.key)
        except TmfError:  # the order is past its point of no return, or has ended
            self.task = None

    def check_answer(self):
        """Answer the request as the workflow does at its end; check order, request and notes."""
        operator = self.operator
        if self.task:
            operator.resolve_cancellation(self.key, self.task)
        order = operator.get_order(self.key)
        assert order["state"] in FINAL_STATES, order
        states = [item["state"] for item in order["productOrderItem"]]
        assert set(states) <= FINAL_STATES, order
        operator.assert_consistent()
        if self.task:
            self._check_request(order, states)
        return order

    def _check_request(self, order, states):
        task = self.operator.repository.get("CancelProductOrder", self.task)
        assert task["state"] == ("done" if order["state"] == "cancelled" else "terminatedWithError")
        if not order.get("productOrderMilestone"):  # cancelled before work on it began
            assert order["state"] == "cancelled"
            return
        (note,) = task["note"]
        assert any(note["text"] in other["text"] for other in order["note"])
        if order["state"] == "cancelled":
            assert "completed" not in states
            assert note["text"].startswith("Undone: ")
        else:
            assert note["text"].startswith("Not cancelled: ")


@pytest.mark.parametrize("batch_size", [1, 25])
def test_an_order_ends_whenever_its_cancellation_comes(operator, injector, monkeypatch, batch_size):
    monkeypatch.setattr(intake, "MIN_BATCH_SIZE", batch_size)
    offering = operator.create_offering(100, 40)
    outcomes = set()
    for number in itertools.count(1, STRIDE):
        items = [
            order_item(id="1", offering=offering, port=f"far sub{number}"),
            order_item(id="2", offering=offering, port=f"gw sub{number}"),
            order_item(id="3", offering=offering, port=f"gw sub{number + 1}"),
        ]
        cancellation = Cancellation(operator, operator.place_order(*items))
        injector.arm(number, cancellation.request)
        operator.run_order(cancellation.key)
        is_over = bool(injector.crash_after)
        injector.arm()
        order = cancellation.check_answer()
        outcomes.add(order["state"])
        for item in order["productOrderItem"]:
            if item["state"] == "completed":
                delete = order_item("delete", product=item["product"]["id"])
                operator.complete_order(delete)
        if is_over:
            break
    assert {"cancelled", "partial"} <= outcomes


def test_an_order_that_waits_for_a_person_is_not_assessed_until_the_decision(operator):
    """The request is refused as soon as a service is in operation, not when the order ends."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable",))
    operator.far.fault_injection.silent = True
    offering = operator.create_offering(100, 40)
    key = operator.place_order(
        order_item(id="1", offering=offering, port="far sub1"),
        order_item(id="2", offering=offering, port="gw sub1"),
    )
    cancellation = Cancellation(operator, key)
    operator.accept(key)
    committer = operator.runner._committer
    complete = committer._complete_items

    def cancel_and_complete(*arguments):
        finished = complete(*arguments)
        if finished and cancellation.task is None:
            cancellation.request()
        return finished

    committer._complete_items = cancel_and_complete
    (fallout,) = operator.advance_until(key, operator.open_fallout_tasks)
    operator.advance(key)
    assert operator.get_order(key)["state"] in {"pending", "inProgress"}
    task = operator.repository.get("CancelProductOrder", cancellation.task)
    assert task["state"] == "terminatedWithError"
    operator.change_resource("FalloutTask", fallout["id"], decision="cancel")
    assert operator.run_order(key)["state"] == "partial"
    operator.assert_consistent()


class EndedWorkflows:
    """No workflow is running; records the workflows that are started with a signal."""

    def __init__(self):
        self.started = []

    def start(self, *_):
        raise AssertionError

    def signal(self, *_):
        return False

    def start_with_signal(self, _, key, id, signal, *arguments):
        self.started.append((key, id, signal, *arguments))


def test_a_request_that_comes_when_the_workflow_has_just_ended_starts_it_again(operator):
    key, _ = order_waiting_for_person(operator, operator.create_offering(100, 40))
    request = operator.request_cancellation(key)
    workflows = EndedWorkflows()
    handler = OrderEventHandler(
        RepositoryFactory(operator.engine.writer, "test"), operator.fulfilment.journal, workflows
    )
    event = {"what": "Create", "kind": "CancelProductOrder", "resource": request}
    handler.handle_cancellation({**event, "tenant": key.tenant})
    assert workflows.started == [(key, key.qualified_id, "cancel", request)]
    assert operator.get_order(key)["state"] == "assessingCancellation"
