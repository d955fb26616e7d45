"""A worker that dies after any of its writes is followed by one that ends the order well."""

import asyncio
import os
import time

import pytest

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.crash_injector import ProcessKilled, inject_crashes
from tests.support.fulfilment_harness import FINAL_STATES, order_item
from tmf_apis.fulfilment.execution.payloads import BatchRef

#: A worker dies after every so manieth write, in each test from another one on; 1: after all.
EVERY = int(os.environ.get("TEST_EACH_WRITE", "5"))
SORTS = ("add", "upgrade", "suspend", "move", "delete")


@pytest.fixture
def operator(fulfilment_harness):
    """An operator with two gateways "gw" and "far"."""
    fulfilment_harness.configure(fulfilment_patience=20.0)
    yield fulfilment_harness
    fulfilment_harness.stop_gateways()


@pytest.fixture
def death():
    with inject_crashes() as found:
        yield found


class Order:
    """An order on its way through steps; one that died is done again, as Temporal does."""

    def __init__(self, operator, key):
        self.it, self.key, self.step = operator, key, self._accept
        self.todo = []

    def run(self):
        """Go on until it is finished, or the worker dies."""
        end = time.monotonic() + 20
        while self.step is not None:
            assert time.monotonic() < end, (
                self.it.get_order(self.key),
                self.it.task_states(self.key),
            )
            self.step = self.step()

    def _accept(self):
        work, _ = self.it.intake.accept(self.key)
        parts = [BatchRef(self.key, number) for number in range(work.batches)]
        self.todo = [("advance", one) for one in parts]
        if not work.reserved:
            self.todo = [*(("reserve", one) for one in parts), *self.todo]
        return self._next

    def _next(self):
        if not self.todo:
            return None
        what, part = self.todo[0]
        if what == "reserve":
            self.it.intake.reserve(part)
        else:
            report = self.it.advance(self.key, part.number)
            if report.incomplete:
                time.sleep(min(report.retry_in, 0.5))
                return self._next
        self.todo.pop(0)
        return self._next


def settled(operator):
    """Wait until nothing of a dead worker moves any more."""

    async def others():
        mine = asyncio.current_task()
        return [one for one in asyncio.all_tasks() if one is not mine]

    end = time.monotonic() + 10
    while operator.run_async(others()):
        assert time.monotonic() < end
        time.sleep(0.01)


def deaths(operator, death, first, place, end=lambda _: None):
    """Die after each write in turn of what ``place`` orders; yield each order when it is over.

    Args:
        it: The operator.
        death: When the worker dies.
        first: Another number for each test.
        place: Called with a port's name, places an order; it does not die.
        end: Called with the key of the order that is finished.
    """
    after, alive = 1 + first % EVERY - EVERY, True
    while alive:
        after += EVERY
        order = Order(operator, place(f"sub{after}"))
        death.arm(after)
        try:
            order.run()
            alive = False
        except ProcessKilled:
            settled(operator)
        last = f"dead after {len(death.writes)} writes, the last: {death.writes[-1]}"
        death.arm()
        if alive:
            operator.restart_worker()
            order.run()
        end(order.key)
        found = operator.get_order(order.key)
        assert found["state"] in FINAL_STATES, (last, found)
        try:
            operator.assert_consistent()
        except AssertionError as error:
            raise AssertionError(last) from error
        yield last, found


def added(operator, fibre, port, element="gw"):
    """Have a service on a port; return its product's id."""
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre, port=f"{element} {port}"))
    )
    assert order["state"] == "completed", order
    return order["productOrderItem"][0]["product"]["id"]


@pytest.fixture
def fibre(operator):
    operator.use_new_tenant()
    operator.gw, operator.far = (
        operator.add_gateway("gw", ports=30),
        operator.add_gateway("far", ports=30),
    )
    return operator.create_offering(100, 40)


def placing(operator, fibre, what):
    """Return what places an order of a sort."""
    fast = operator.create_offering(1000, 500)
    sorts = {
        "add": lambda _, port: order_item(offering=fibre, port=f"gw {port}"),
        "upgrade": lambda product, _: order_item("modify", offering=fast, product=product),
        "suspend": lambda product, _: order_item(
            "modify", product=product, value={"status": "suspended"}
        ),
        "move": lambda product, port: order_item(
            "modify", offering=fibre, product=product, port=f"far {port}"
        ),
        "delete": lambda product, _: order_item("delete", product=product),
    }

    def place(port):
        product = "" if what == "add" else added(operator, fibre, port)
        return operator.place_order(sorts[what](product, port))

    return place


@pytest.mark.parametrize("what", SORTS)
def test_what_is_ordered_is_done_once_wherever_a_worker_dies(operator, death, fibre, what):
    for last, order in deaths(operator, death, SORTS.index(what), placing(operator, fibre, what)):
        assert order["state"] == "completed", (last, order)
        assert not order.get("productOrderErrorMessage"), last


@pytest.mark.parametrize("what", ["add", "upgrade", "move"])
def test_what_is_refused_leaves_everything_as_it_was_wherever_a_worker_dies(
    operator, death, fibre, what
):
    place = placing(operator, fibre, what)

    def refused(port):
        operator.gw.fault_injection.rejected_sets.clear()
        key = place(port)
        where = operator.far if what == "move" else operator.gw
        where.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
        return key

    for last, order in deaths(operator, death, len(what), refused):
        assert order["state"] == "failed", (last, order)
        assert len(order["productOrderErrorMessage"]) == 1, last


def test_all_or_nothing_holds_wherever_a_worker_dies(operator, death, fibre):
    operator.far.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE

    def both(port):
        items = [
            order_item(id=str(n), offering=fibre, port=f"{element} {port}")
            for n, element in enumerate(("gw", "far"), 1)
        ]
        return operator.place_order(*items, allOrNothing=True)

    for last, order in deaths(operator, death, 1, both):
        assert order["state"] == "failed", (last, order)
        assert len(order["productOrderErrorMessage"]) == 2, last


def test_what_is_cancelled_is_taken_back_wherever_a_worker_dies(operator, death, fibre):
    tasks = {}

    def cancelled(port):
        key = operator.place_order(order_item(offering=fibre, port=f"gw {port}"))
        operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
        operator.accept(key)
        operator.advance(key)
        tasks[key] = operator.request_cancellation(key)
        return key

    def end(key):
        operator.resolve_cancellation(key, tasks[key])

    for last, order in deaths(operator, death, 2, cancelled, end):
        assert order["state"] == "cancelled", (last, order)
