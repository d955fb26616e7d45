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
from tmf_apis.elements.connections import Connections
from tmf_apis.fulfilment.execution.journal import BACK, Entry, Journal

#: Longest time of one task at its element, in seconds.
LONGEST = 120.0
#: How often a plan that was overtaken by somebody else's change is made anew.
REPLANS = 3
#: How long an element has to do what it says, before its effect is measured once more, in seconds.
SETTLING = 1.0
T = TypeVar("T")


class Provisioning:
    """Does tasks on elements."""

    def __init__(
        self, journal: Journal, connections: Connections, threads: Executor, *, confirm: float
    ) -> None:
        """Take what it works with.

        Args:
            journal: Where every step is kept.
            connections: Give access to the elements.
            threads: Where the database is waited for.
            confirm: How long an element that can waits to have a change confirmed, in seconds.
        """
        self._journal = journal
        self._connections = connections
        self._threads = threads
        self._confirm = confirm

    async def do(self, entry: Entry) -> None:
        """Bring a task forward or back, as it is meant to go.

        Raises:
            ElementError: The element did not do it; the journal says how far it got.
        """
        back = entry.goal == BACK
        if entry.taken is None or entry.taken.target is None or (back and entry.plan is None):
            return await self._note(entry, state="restored" if back else "verified")
        element = entry.taken.target.name
        try:
            async with (
                asyncio.timeout(LONGEST),
                self._connections.to(entry.taken.target, change=True) as adapter,
            ):
                await (self._back if back else self._forward)(entry, adapter)
        except TimeoutError as error:
            raise Unreachable(element, f"it took longer than {LONGEST:g} s") from error
        return None

    async def _forward(self, entry: Entry, adapter: Adapter) -> None:
        transaction = await self._applied(entry, adapter)
        await self._checked(entry, adapter)
        if transaction.token:
            await _confirmed(entry, adapter, transaction)
        await self._note(entry, state="verified", attempts=0, since=0.0, again=0.0)

    async def _applied(self, entry: Entry, adapter: Adapter) -> Transaction:
        """Change the element; a plan that was overtaken before it began is made anew."""
        assert entry.taken is not None  # noqa: S101
        fresh = entry.plan is None
        for attempt in range(REPLANS):
            if entry.plan is None:
                plan = await adapter.plan(entry.taken.intent)
                await self._note(entry, state="planned", plan=plan)
            try:
                return await self._apply(entry, adapter)
            except Conflict:
                if not fresh or attempt + 1 == REPLANS:
                    raise
                entry.plan = None
        raise AssertionError("unreachable")

    async def _apply(self, entry: Entry, adapter: Adapter) -> Transaction:
        assert entry.plan is not None  # noqa: S101
        if not entry.plan.steps:
            return Transaction(entry.plan.element, entry.plan.intent)
        if entry.transaction is not None and not entry.transaction.token:
            # it tells of an earlier attempt; from here on more may have been done
            await self._note(entry, transaction=None)
        confirmed = CONFIRMED in adapter.capabilities
        try:
            done = await adapter.apply(
                entry.plan, confirm_within=self._confirm if confirmed else None
            )
        except PartiallyApplied as error:
            await self._note(entry, transaction=error.transaction)
            raise
        if done.token:
            await self._note(entry, state="applied", transaction=done)
        return done

    async def _checked(self, entry: Entry, adapter: Adapter) -> None:
        """Read back, and look at the effect where the element can say.

        Raises:
            NotVerified: The element is not as asked, or does not work as it is.
        """
        assert entry.taken is not None  # noqa: S101
        intent = entry.taken.intent
        verdict = await adapter.verify(intent)
        if verdict.good and EFFECT in adapter.capabilities and intent.present:
            with suppress(Unsupported):  # nothing to measure it by
                verdict = await _measured(adapter, intent, entry.taken.head)
        if not verdict.good:
            raise NotVerified(verdict)

    async def _back(self, entry: Entry, adapter: Adapter) -> None:
        assert entry.plan is not None  # noqa: S101
        if entry.plan.steps:
            await adapter.rollback(entry.transaction or entry.plan.attempted)
        await self._note(entry, state="restored", attempts=0, since=0.0, again=0.0)

    async def _note(self, entry: Entry, **changes: object) -> None:
        await in_thread(self._threads, partial(self._journal.note, entry, **changes))


async def _measured(adapter: Adapter, intent: Intent, head: str) -> Verdict:
    """Return what the customer gets, by the test head that the port names, if it names one.

    What is not good is measured once more: what an element has said it does in a moment.
    """

    async def once() -> Verdict:
        if head:
            return await effect.measure(adapter.target, intent, head)
        return await cast("Measuring", adapter).measure(intent)

    if (verdict := await once()).good:
        return verdict
    await asyncio.sleep(SETTLING)
    return await once()


async def _confirmed(entry: Entry, adapter: Adapter, transaction: Transaction) -> None:
    """Make a change last.

    Raises:
        Unreachable: It came too late; what the element has taken back is done again.
    """
    try:
        await adapter.confirm(transaction)
    except NotVerified as error:
        raise Unreachable(entry.element, f"it did not wait to be confirmed: {error}") from error


async def in_thread(threads: Executor, work: Callable[[], T]) -> T:
    """Do something in a thread; whoever is cancelled meanwhile waits until it is done."""
    doing = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise


def word(error: Exception) -> str:
    """Return what went wrong in the word that settings and tasks have for it.

    >>> word(Unreachable("gw", "no answer"))
    'unreachable'
    """
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    for kind in (Unreachable, Rejected, Conflict, NotVerified, Misconfigured):
        if isinstance(cause, kind):
            return kind.__name__[0].lower() + kind.__name__[1:]
    return "unexpected"
