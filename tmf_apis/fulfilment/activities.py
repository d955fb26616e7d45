"""The steps of an order that touch the world; each is safe to repeat.

A step that fails for good says so by the type of its failure; one that may succeed later is tried
again by Temporal, with growing pauses.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from adapters.base import Adapter
from adapters.errors import Conflict, ElementError, NotVerified
from adapters.values import Plan, Target
from tmf_apis.errors import NotFound, Stale, TmfError, Unavailable
from tmf_apis.fulfilment import cancelling, orders
from tmf_apis.fulfilment import errand_planning as planning
from tmf_apis.fulfilment import errand_reserving as reserving
from tmf_apis.fulfilment.connections import Connections
from tmf_apis.fulfilment.values import (
    Attempt,
    Cancellation,
    Ending,
    Errand,
    Found,
    OrderKey,
    Outcome,
    Refused,
    Work,
)
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.rest.periods import moment

#: Pause between two signs of life of a step that waits for an element, in seconds.
BEAT = 1.0
_ORDER = "ProductOrder"
T = TypeVar("T")


class Activities:
    """The steps, bound to the database and to the elements."""

    def __init__(
        self, desks: Desks, connections: Connections, threads: Executor, *, patience: float
    ) -> None:
        """Take what the steps work with.

        Args:
            desks: Give access to the resources.
            connections: Give access to the elements.
            threads: Where the database is waited for.
            patience: How long an element that cannot be reached is tried, in seconds.
        """
        self._desks = desks
        self._connections = connections
        self._threads = threads
        self._patience = patience

    def all(self) -> list[Callable[..., object]]:
        """Return every step, to be given to a Temporal worker."""
        return [
            self.accept, self.reserve, self.plan, self.apply, self.verify, self.activate,
            self.roll_back, self.release, self.finish, self.settle,
        ]  # fmt: skip

    @activity.defn(name="order-accept")
    async def accept(self, key: OrderKey) -> Work:
        """Take an order up: plan it and say that it is in progress."""
        return await self._in_thread(self._accept, key)

    @activity.defn(name="order-reserve")
    async def reserve(self, errand: Errand) -> Found:
        """Reserve the port that an errand needs."""
        return await self._in_thread(self._reserve, errand)

    @activity.defn(name="order-plan")
    async def plan(self, found: Found) -> Plan:
        """Find out what has to change on the element."""
        async with self._element(found.target) as element:
            return await element.plan(found.intent)

    @activity.defn(name="order-apply")
    async def apply(self, attempt: Attempt) -> None:
        """Change it."""
        async with self._element(attempt.found.target) as element:
            await element.apply(attempt.plan)

    @activity.defn(name="order-verify")
    async def verify(self, found: Found) -> None:
        """Read back whether the element is as asked."""
        async with self._element(found.target) as element:
            verdict = await element.verify(found.intent)
            if not verdict.good:
                raise NotVerified(verdict)

    @activity.defn(name="order-activate")
    async def activate(self, found: Found) -> bool:
        """Write into inventory and order that it is in operation; not if it is being cancelled."""
        return await self._in_thread(self._activate, found)

    @activity.defn(name="order-roll-back")
    async def roll_back(self, attempt: Attempt) -> None:
        """Take back what was changed on the element, and look whether it is back."""
        async with self._element(attempt.found.target) as element:
            await element.rollback(attempt.plan.attempted)

    @activity.defn(name="order-release")
    async def release(self, ending: Ending) -> None:
        """Leave the port in the inventory as it was before."""
        errand = ending.errand
        desk = self._desks.staff(errand.order.tenant)
        await self._in_thread(reserving.release, desk, errand, ending.found, ending.doubt)

    @activity.defn(name="order-finish")
    async def finish(self, outcome: Outcome) -> None:
        """Say what became of items; the order follows."""
        await self._in_thread(self._finish, outcome)

    @activity.defn(name="order-settle")
    async def settle(self, cancellation: Cancellation) -> None:
        """Say what became of a request to cancel: everything that was done is undone."""
        desk = self._desks.staff(cancellation.order.tenant)
        await self._in_thread(cancelling.settle, desk, cancellation.task)

    def _accept(self, key: OrderKey) -> Work:
        desk = self._desks.staff(key.tenant)
        try:
            order = desk.get(_ORDER, key.order)
        except NotFound:
            return Work()
        if order.get("state") not in orders.OPEN:
            return Work()
        now = datetime.now(UTC)
        if (start := moment(order.get("requestedStartDate"))) and order["state"] == "acknowledged":
            wait = (datetime.fromisoformat(start) - now).total_seconds()
            if wait > 0:
                return Work(wait=wait)
        work = planning.plan(key, order, _catalogue(desk, order))
        if work.nothing:
            return work
        wanted = {*(errand.item for errand in work.errands), *work.plain, *work.refused}

        def begin(order: Resource) -> Resource:
            return orders.begun(order, wanted) if order.get("state") in orders.OPEN else order

        if desk.change(_ORDER, key.order, begin)["state"] != "inProgress":
            return Work()
        return Work(work.errands, work.plain, work.refused, patience=self._patience)

    def _reserve(self, errand: Errand) -> Found:
        key = errand.order
        owner = self._desks.owner(key.tenant, _ORDER, key.order)
        return reserving.reserve(self._desks.staff(key.tenant), errand, owner)

    def _activate(self, found: Found) -> bool:
        key, item = found.errand.order, found.errand.item
        desk = self._desks.staff(key.tenant)
        if orders.is_cancelling(desk.get(_ORDER, key.order)):
            return False
        reserving.activate(desk, found)

        def complete(order: Resource) -> Resource:
            if orders.is_cancelling(order):
                return order
            return orders.completed(order, {item}, found, desk.now)

        return not orders.is_cancelling(desk.change(_ORDER, key.order, complete))

    def _finish(self, outcome: Outcome) -> None:
        desk = self._desks.staff(outcome.order.tenant)

        def end(order: Resource) -> Resource:
            done = orders.completed(order, set(outcome.done), None, desk.now)
            return orders.failed(done, outcome.failed, desk.now)

        try:
            desk.change(_ORDER, outcome.order.order, end)
        except NotFound:  # deleted meanwhile
            return

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        with _told():
            return await loop.run_in_executor(self._threads, partial(work, *arguments))

    @asynccontextmanager
    async def _element(self, target: Target) -> AsyncIterator[Adapter]:
        with _told():
            async with _beating(), self._connections.to(target) as element:
                yield element


def _catalogue(desk: Desk, order: Resource) -> planning.Catalogue:
    """Return the part of catalogue and inventory that an order speaks of."""
    found = _by_id(desk, "ProductOffering", planning.offerings(order))
    inside = {id for one in found.values() for id in planning.bundled(one)} - set(found)
    found |= _by_id(desk, "ProductOffering", inside)
    needed = {id for one in found.values() if (id := planning.specification(one))}
    return planning.Catalogue(
        found,
        _by_id(desk, "ProductSpecification", needed),
        reserving.services(desk, planning.products(order)),
    )


def _by_id(desk: Desk, kind: str, ids: set[str]) -> dict[str, Resource]:
    if not ids:
        return {}
    query = {"id": {"$in": sorted(ids)}}
    return {one["id"]: one for one in desk.find(kind, query, limit=len(ids))}


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors into failures that Temporal keeps: their type, and whether to try again."""
    try:
        yield
    except ElementError as error:
        again = error.again and not isinstance(error, Conflict)
        raise _failure(error, again=again) from error
    except Refused as error:
        raise _failure(error, again=False) from error
    except TmfError as error:
        raise _failure(error, again=isinstance(error, Unavailable | Stale)) from error


def _failure(error: Exception, *, again: bool) -> ApplicationError:
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=not again)


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    """Tell Temporal that the step is alive, so that a worker's death is noticed in seconds."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
