"""After a crash at any of its writes, another worker completes the order."""

import asyncio
import itertools
import os
import time

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.crash_injector import ProcessKilled, inject_crashes
from tests.support.fulfilment_harness import FINAL_STATES, WAIT_TIMEOUT, order_item
from tests.support.waiting import wait_until
from tmf_apis.fulfilment.execution.payloads import BatchRef

#: The worker crashes after every n-th write, from another first write in each test; 1: after all.
STRIDE = int(os.environ.get("TEST_EACH_WRITE", "5"))
CHANGES = ("add", "upgrade", "suspend", "move", "delete")


@pytest.fixture
def operator(fulfilment_harness):
    """An operator with long patience."""
    fulfilment_harness.configure(fulfilment_patience=20.0)
    yield fulfilment_harness
    fulfilment_harness.stop_gateways()


@pytest.fixture
def crash_injector():
    with inject_crashes() as injector:
        yield injector


class OrderRun:
    """The steps of an order; a step that a crash interrupts is repeated, as Temporal does."""

    def __init__(self, operator, key):
        self.operator, self.key = operator, key
        self._step = self._accept
        self._remaining = []

    def run(self):
        """Continue until the order is finished, or the worker crashes."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while self._step is not None:
            assert time.monotonic() < deadline, (
                self.operator.get_order(self.key),
                self.operator.task_states(self.key),
            )
            self._step = self._step()

    def _accept(self):
        result, _ = self.operator.intake.accept(self.key)
        refs = [BatchRef(self.key, number) for number in range(result.batches)]
        self._remaining = [("advance", ref) for ref in refs]
        if not result.reserved:
            self._remaining = [*(("reserve", ref) for ref in refs), *self._remaining]
        return self._next

    def _next(self):
        if not self._remaining:
            return None
        activity, ref = self._remaining[0]
        if activity == "reserve":
            self.operator.intake.reserve(ref)
        else:
            progress = self.operator.advance(self.key, ref.number)
            if progress.incomplete:
                time.sleep(min(progress.retry_in, 0.5))
                return self._next
        self._remaining.pop(0)
        return self._next


def wait_for_tasks(operator):
    """Wait until all asyncio tasks of a crashed worker have ended."""

    async def other_tasks():
        current = asyncio.current_task()
        return [task for task in asyncio.all_tasks() if task is not current]

    wait_until(lambda: not operator.run_async(other_tasks()), timeout=WAIT_TIMEOUT)


def orders_after_crashes(operator, injector, first, place, finish=lambda _: None):
    """Place and run one order for each crash; yield each order when it is finished.

    Args:
        operator: The operator.
        injector: Injects the crashes.
        first: A number that differs between tests; selects the writes after which it crashes.
        place: Called with a port's name, places an order; it does not crash.
        finish: Called with the key of each order that was run.
    """
    for crash_after in itertools.count(1 + first % STRIDE, STRIDE):
        order_run = OrderRun(operator, place(f"sub{crash_after}"))
        injector.arm(crash_after)
        try:
            order_run.run()
        except ProcessKilled:
            wait_for_tasks(operator)
        has_crashed = injector.is_crashed
        crash = f"crashed after {len(injector.writes)} writes, the last: {injector.writes[-1]}"
        injector.arm()
        if has_crashed:
            operator.restart_worker()
            order_run.run()
        finish(order_run.key)
        order = operator.get_order(order_run.key)
        assert order["state"] in FINAL_STATES, (crash, order)
        try:
            operator.assert_consistent()
        except AssertionError as error:
            raise AssertionError(crash) from error
        yield crash, order
        if not has_crashed:
            return


def add_service(operator, offering, port):
    """Order a service on a port of "gw"; return the id of its product."""
    item = order_item(offering=offering, port=f"gw {port}")
    order = operator.run_order(operator.place_order(item))
    assert order["state"] == "completed", order
    return order["productOrderItem"][0]["product"]["id"]


@pytest.fixture
def offering(operator):
    """An offering of an operator with two gateways, "gw" and "far"."""
    operator.use_new_tenant()
    operator.gw = operator.add_gateway("gw", ports=30)
    operator.far = operator.add_gateway("far", ports=30)
    return operator.create_offering(100, 40)


def order_placer(operator, offering, change):
    """Return a function that places an order for a change of a service on a port."""
    fast = operator.create_offering(1000, 500)
    items = {
        "add": lambda _, port: order_item(offering=offering, port=f"gw {port}"),
        "upgrade": lambda product, _: order_item("modify", offering=fast, product=product),
        "suspend": lambda product, _: order_item(
            "modify", product=product, value={"status": "suspended"}
        ),
        "move": lambda product, port: order_item(
            "modify", offering=offering, product=product, port=f"far {port}"
        ),
        "delete": lambda product, _: order_item("delete", product=product),
    }

    def place(port):
        product = "" if change == "add" else add_service(operator, offering, port)
        return operator.place_order(items[change](product, port))

    return place


@pytest.mark.parametrize("change", CHANGES)
def test_an_order_is_completed_once_wherever_the_worker_crashes(
    operator, crash_injector, offering, change
):
    place = order_placer(operator, offering, change)
    first = CHANGES.index(change)
    for crash, order in orders_after_crashes(operator, crash_injector, first, place):
        assert order["state"] == "completed", (crash, order)
        assert not order.get("productOrderErrorMessage"), crash


@pytest.mark.parametrize("change", ["add", "upgrade", "move"])
def test_a_rejected_change_is_undone_wherever_the_worker_crashes(
    operator, crash_injector, offering, change
):
    place = order_placer(operator, offering, change)

    def place_rejected(port):
        operator.gw.fault_injection.rejected_sets.clear()
        key = place(port)
        gateway = operator.far if change == "move" else operator.gw
        gateway.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
        return key

    first = len(change)
    for crash, order in orders_after_crashes(operator, crash_injector, first, place_rejected):
        assert order["state"] == "failed", (crash, order)
        assert len(order["productOrderErrorMessage"]) == 1, crash


def test_all_or_nothing_holds_wherever_the_worker_crashes(operator, crash_injector, offering):
    operator.far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE

    def place_two_items(port):
        items = [
            order_item(id=str(number), offering=offering, port=f"{element} {port}")
            for number, element in enumerate(("gw", "far"), 1)
        ]
        return operator.place_order(*items, allOrNothing=True)

    for crash, order in orders_after_crashes(operator, crash_injector, 1, place_two_items):
        assert order["state"] == "failed", (crash, order)
        assert len(order["productOrderErrorMessage"]) == 2, crash


def test_a_cancelled_order_is_undone_wherever_the_worker_crashes(
    operator, crash_injector, offering
):
    requests = {}

    def place_cancelled(port):
        key = operator.place_order(order_item(offering=offering, port=f"gw {port}"))
        operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
        operator.accept(key)
        operator.advance(key)
        requests[key] = operator.request_cancellation(key)
        return key

    def resolve(key):
        operator.resolve_cancellation(key, requests[key])

    for crash, order in orders_after_crashes(operator, crash_injector, 2, place_cancelled, resolve):
        assert order["state"] == "cancelled", (crash, order)
