"""A worker that dies after any of its writes is followed by one that ends the order well."""

import asyncio
import os
import time

import pytest

from adapters import mib
from adapters.simulated import WRONG_VALUE
from tests.crashing import Killed, mortal
from tests.executing import FINAL, item
from tmf_apis.fulfilment.execution.steps import Part

#: A worker dies after every so manieth write, in each test from another one on; 1: after all.
EVERY = int(os.environ.get("TEST_EACH_WRITE", "5"))
SORTS = ("add", "upgrade", "suspend", "move", "delete")


@pytest.fixture
def it(execution):
    """An operator with two gateways "gw" and "far"."""
    execution.policy(fulfilment_patience=20.0)
    yield execution
    execution.leave()


@pytest.fixture
def death():
    with mortal() as found:
        yield found


class Order:
    """An order on its way through steps; one that died is done again, as Temporal does."""

    def __init__(self, it, key):
        self.it, self.key, self.step = it, key, self._accept
        self.todo = []

    def run(self):
        """Go on until it is finished, or the worker dies."""
        end = time.monotonic() + 20
        while self.step is not None:
            assert time.monotonic() < end, (self.it.order(self.key), self.it.states(self.key))
            self.step = self.step()

    def _accept(self):
        work, _ = self.it.accepting.accept(self.key)
        parts = [Part(self.key, number) for number in range(work.batches)]
        self.todo = [("advance", one) for one in parts]
        if not work.reserved:
            self.todo = [*(("reserve", one) for one in parts), *self.todo]
        return self._next

    def _next(self):
        if not self.todo:
            return None
        what, part = self.todo[0]
        if what == "reserve":
            self.it.accepting.reserve(part)
        else:
            report = self.it.advance(self.key, part.number)
            if report.open:
                time.sleep(min(report.wait, 0.5))
                return self._next
        self.todo.pop(0)
        return self._next


def settled(it):
    """Wait until nothing of a dead worker moves any more."""

    async def others():
        mine = asyncio.current_task()
        return [one for one in asyncio.all_tasks() if one is not mine]

    end = time.monotonic() + 10
    while it.do(others()):
        assert time.monotonic() < end
        time.sleep(0.01)


def deaths(it, death, first, place, end=lambda _: None):
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
        order = Order(it, place(f"sub{after}"))
        death.live(after)
        try:
            order.run()
            alive = False
        except Killed:
            settled(it)
        last = f"dead after {len(death.done)} writes, the last: {death.done[-1]}"
        death.live()
        if alive:
            it.start()
            order.run()
        end(order.key)
        found = it.order(order.key)
        assert found["state"] in FINAL, (last, found)
        try:
            it.agrees()
        except AssertionError as error:
            raise AssertionError(last) from error
        yield last, found


def added(it, fibre, port, element="gw"):
    """Have a service on a port; return its product's id."""
    order = it.run(it.post(item(offering=fibre, port=f"{element} {port}")))
    assert order["state"] == "completed", order
    return order["productOrderItem"][0]["product"]["id"]


@pytest.fixture
def fibre(it):
    it.fresh()
    it.gw, it.far = it.gateway("gw", ports=30), it.gateway("far", ports=30)
    return it.offering(100, 40)


def placing(it, fibre, what):
    """Return what places an order of a sort."""
    fast = it.offering(1000, 500)
    sorts = {
        "add": lambda _, port: item(offering=fibre, port=f"gw {port}"),
        "upgrade": lambda product, _: item("modify", offering=fast, product=product),
        "suspend": lambda product, _: item(
            "modify", product=product, value={"status": "suspended"}
        ),
        "move": lambda product, port: item(
            "modify", offering=fibre, product=product, port=f"far {port}"
        ),
        "delete": lambda product, _: item("delete", product=product),
    }

    def place(port):
        product = "" if what == "add" else added(it, fibre, port)
        return it.post(sorts[what](product, port))

    return place


@pytest.mark.parametrize("what", SORTS)
def test_what_is_ordered_is_done_once_wherever_a_worker_dies(it, death, fibre, what):
    for last, order in deaths(it, death, SORTS.index(what), placing(it, fibre, what)):
        assert order["state"] == "completed", (last, order)
        assert not order.get("productOrderErrorMessage"), last


@pytest.mark.parametrize("what", ["add", "upgrade", "move"])
def test_what_is_refused_leaves_everything_as_it_was_wherever_a_worker_dies(it, death, fibre, what):
    place = placing(it, fibre, what)

    def refused(port):
        it.gw.misbehaviour.refuse.clear()
        key = place(port)
        where = it.far if what == "move" else it.gw
        where.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE
        return key

    for last, order in deaths(it, death, len(what), refused):
        assert order["state"] == "failed", (last, order)
        assert len(order["productOrderErrorMessage"]) == 1, last


def test_all_or_nothing_holds_wherever_a_worker_dies(it, death, fibre):
    it.far.misbehaviour.refuse[mib.SVC_UP_KBPS] = WRONG_VALUE

    def both(port):
        items = [
            item(id=str(n), offering=fibre, port=f"{element} {port}")
            for n, element in enumerate(("gw", "far"), 1)
        ]
        return it.post(*items, allOrNothing=True)

    for last, order in deaths(it, death, 1, both):
        assert order["state"] == "failed", (last, order)
        assert len(order["productOrderErrorMessage"]) == 2, last


def test_what_is_cancelled_is_taken_back_wherever_a_worker_dies(it, death, fibre):
    tasks = {}

    def cancelled(port):
        key = it.post(item(offering=fibre, port=f"gw {port}"))
        it.gw.misbehaviour.deaf[mib.SVC_UP_KBPS] = 1
        it.accept(key)
        it.advance(key)
        tasks[key] = it.cancel(key)
        return key

    def end(key):
        it.settle(key, tasks[key])

    for last, order in deaths(it, death, 2, cancelled, end):
        assert order["state"] == "cancelled", (last, order)
