"""One task on its element: plan, apply, verify, confirm; and back. Each step is kept beforehand.

Whatever happens between two steps, the next run begins where the journal is: a plan that is kept
may have been applied in part, and applying it again does the rest. What an element waits to have
confirmed it takes back by itself when nobody does; the next run applies it anew.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast

from adapters import effect
from adapters.base import CONFIRMED, EFFECT, Adapter, Measuring
from adapters.errors import (
    Conflict,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unreachable,
    Unsupported,
)
from adapters.values import Intent, Transaction, Verdict
from tmf_apis.element_access.connections import Connections
from tmf_apis.fulfilment.execution.journal import COMPENSATE, Journal, TaskEntry

#: Longest time of one task at its element, in seconds.
TASK_TIMEOUT = 120.0
#: How often a plan that was overtaken by somebody else's change is made anew.
MAX_PLANS = 3
#: How long an element has to do what it says, before its effect is measured once more, in seconds.
MEASURE_DELAY = 1.0
T = TypeVar("T")


class Provisioner:
    """Does tasks on elements."""

    def __init__(
        self, journal: Journal, connections: Connections, executor: Executor, *, confirm: float
    ) -> None:
        """Take what it works with.

        Args:
            journal: Where every step is kept.
            connections: Give access to the elements.
            executor: Where the database is waited for.
            confirm: How long an element that can waits to have a change confirmed, in seconds.
        """
        self._journal = journal
        self._connections = connections
        self._executor = executor
        self._confirm = confirm

    async def execute(self, entry: TaskEntry) -> None:
        """Bring a task forward or back, as it is meant to go.

        Raises:
            ElementError: The element did not do it; the journal says how far it got.
        """
        back = entry.goal == COMPENSATE
        if (
            entry.allocation is None
            or entry.allocation.target is None
            or (back and entry.plan is None)
        ):
            return await self._update_entry(entry, state="restored" if back else "verified")
        element = entry.allocation.target.name
        try:
            async with (
                asyncio.timeout(TASK_TIMEOUT),
                self._connections.acquire(entry.allocation.target, exclusive=True) as adapter,
            ):
                await (self._roll_back if back else self._provision)(entry, adapter)
        except TimeoutError as error:
            raise Unreachable(element, f"it took longer than {TASK_TIMEOUT:g} s") from error
        return None

    async def _provision(self, entry: TaskEntry, adapter: Adapter) -> None:
        transaction = await self._plan_and_apply(entry, adapter)
        await self._verify(entry, adapter)
        if transaction.token:
            await _confirm_change(entry, adapter, transaction)
        await self._update_entry(
            entry, state="verified", attempts=0, failing_since=0.0, retry_at=0.0
        )

    async def _plan_and_apply(self, entry: TaskEntry, adapter: Adapter) -> Transaction:
        """Change the element; a plan that was overtaken before it began is made anew."""
        assert entry.allocation is not None  # noqa: S101
        fresh = entry.plan is None
        for attempt in range(MAX_PLANS):
            if entry.plan is None:
                plan = await adapter.plan(entry.allocation.intent)
                await self._update_entry(entry, state="planned", plan=plan)
            try:
                return await self._apply(entry, adapter)
            except Conflict:
                if not fresh or attempt + 1 == MAX_PLANS:
                    raise
                entry.plan = None
        raise AssertionError("unreachable")

    async def _apply(self, entry: TaskEntry, adapter: Adapter) -> Transaction:
        assert entry.plan is not None  # noqa: S101
        if not entry.plan.steps:
            return Transaction(entry.plan.element, entry.plan.intent)
        if entry.transaction is not None and not entry.transaction.token:
            # it tells of an earlier attempt; from here on more may have been done
            await self._update_entry(entry, transaction=None)
        confirmed = CONFIRMED in adapter.capabilities
        try:
            done = await adapter.apply(
                entry.plan, confirm_within=self._confirm if confirmed else None
            )
        except PartiallyApplied as error:
            await self._update_entry(entry, transaction=error.transaction)
            raise
        if done.token:
            await self._update_entry(entry, state="applied", transaction=done)
        return done

    async def _verify(self, entry: TaskEntry, adapter: Adapter) -> None:
        """Read back, and look at the effect where the element can say.

        Raises:
            NotVerified: The element is not as asked, or does not work as it is.
        """
        assert entry.allocation is not None  # noqa: S101
        intent = entry.allocation.intent
        verdict = await adapter.verify(intent)
        if verdict.good and EFFECT in adapter.capabilities and intent.present:
            with suppress(Unsupported):  # nothing to measure it by
                verdict = await _measure(adapter, intent, entry.allocation.test_head)
        if not verdict.good:
            raise NotVerified(verdict)

    async def _roll_back(self, entry: TaskEntry, adapter: Adapter) -> None:
        assert entry.plan is not None  # noqa: S101
        if entry.plan.steps:
            await adapter.rollback(entry.transaction or entry.plan.attempted)
        await self._update_entry(
            entry, state="restored", attempts=0, failing_since=0.0, retry_at=0.0
        )

    async def _update_entry(self, entry: TaskEntry, **changes: object) -> None:
        await run_in_thread(self._executor, partial(self._journal.update, entry, **changes))


async def _measure(adapter: Adapter, intent: Intent, test_head: str) -> Verdict:
    """Return what the customer gets, by the test head that the port names, if it names one.

    What is not good is measured once more: what an element has said it does in a moment.
    """

    async def once() -> Verdict:
        if test_head:
            return await effect.measure(adapter.target, intent, test_head)
        return await cast("Measuring", adapter).measure(intent)

    if (verdict := await once()).good:
        return verdict
    await asyncio.sleep(MEASURE_DELAY)
    return await once()


async def _confirm_change(entry: TaskEntry, adapter: Adapter, transaction: Transaction) -> None:
    """Make a change last.

    Raises:
        Unreachable: It came too late; what the element has taken back is done again.
    """
    try:
        await adapter.confirm(transaction)
    except NotVerified as error:
        raise Unreachable(entry.element, f"it did not wait to be confirmed: {error}") from error


async def run_in_thread(executor: Executor, work: Callable[[], T]) -> T:
    """Do something in a thread; whoever is cancelled meanwhile waits until it is done."""
    doing = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise


def error_kind(error: Exception) -> str:
    """Return what went wrong in the word that settings and tasks have for it.

    >>> error_kind(Unreachable("gw", "no answer"))
    'unreachable'
    """
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    for kind in (Unreachable, Rejected, Conflict, NotVerified, Misconfigured):
        if isinstance(cause, kind):
            return kind.__name__[0].lower() + kind.__name__[1:]
    return "unexpected"
