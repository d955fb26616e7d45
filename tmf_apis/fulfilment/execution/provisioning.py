"""Provisioning of one task on its element: plan, apply, verify, confirm, or roll back.

Each step is recorded in the journal before it is done. After a crash the next run continues from
the journal: a saved plan may have been applied in part, and applying it again does the rest. An
element that waits for a confirmation reverts the change by itself if none comes; the next run
applies it again.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from adapters import effect, planning
from adapters.administration import plan_service
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
from tmf_apis.inventory.element_identity import WrongElement, check_identity
from tmf_apis.rest.pipeline.policy import Resource

#: Longest time of one task at its element, in seconds.
TASK_TIMEOUT = 120.0
#: Most plans made for a task whose plans conflict with changes by other clients.
MAX_PLANS = 3
#: Pause before a measurement that failed is repeated, in seconds: the effect may come late.
MEASURE_DELAY = 1.0
T = TypeVar("T")


class Provisioner:
    """Provisions tasks on elements."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        read_element: Callable[[str, str], Resource | None],
        executor: Executor,
        *,
        confirm: float,
    ) -> None:
        """Store the collaborators.

        Args:
            journal: Records every step.
            connections: Give access to the elements.
            read_element: Returns the resource of an element by tenant and id; None: there is none.
            executor: Runs blocking database calls.
            confirm: Time within which a change must be confirmed, on elements that support it, in
                seconds.
        """
        self._journal = journal
        self._connections = connections
        self._read_element = read_element
        self._executor = executor
        self._confirm = confirm

    async def execute(self, entry: TaskEntry) -> None:
        """Provision a task, or roll it back if its goal is compensation.

        Raises:
            ElementError: The element failed; the journal has the progress.
        """
        is_compensation = entry.goal == COMPENSATE
        if (
            entry.allocation is None
            or entry.allocation.target is None
            or (is_compensation and entry.plan is None)
        ):
            state = "restored" if is_compensation else "verified"
            return await self._update_entry(entry, state=state)
        target = entry.allocation.target
        async with self._connections.acquire(target, exclusive=True) as adapter:
            try:
                async with asyncio.timeout(TASK_TIMEOUT):  # without the wait for other changes
                    if not entry.forced:
                        await self._check_identity(entry, adapter)
                    await (self._roll_back if is_compensation else self._provision)(entry, adapter)
            except TimeoutError as error:
                message = f"it took longer than {TASK_TIMEOUT:g} s"
                raise Unreachable(target.name, message) from error
        return None

    async def _check_identity(self, entry: TaskEntry, adapter: Adapter) -> None:
        assert entry.allocation is not None  # noqa: S101
        read = partial(self._read_element, adapter.target.tenant, entry.allocation.element)
        if element := await run_in_thread(self._executor, read):
            await check_identity(adapter, element)

    async def _provision(self, entry: TaskEntry, adapter: Adapter) -> None:
        transaction = await self._plan_and_apply(entry, adapter)
        await self._verify(entry, adapter)
        if transaction.token:
            await _confirm_change(entry, adapter, transaction)
        await self._update_entry(
            entry, state="verified", attempts=0, failing_since=0.0, retry_at=0.0
        )

    async def _plan_and_apply(self, entry: TaskEntry, adapter: Adapter) -> Transaction:
        """Plan and apply a change; a new plan that conflicts with another client is made again."""
        assert entry.allocation is not None  # noqa: S101
        is_first_plan = entry.plan is None
        for attempt in range(MAX_PLANS):
            if entry.plan is None:
                if entry.forced:
                    await _remove_elsewhere(adapter, entry.allocation.intent)
                wanted = replace(entry.allocation.intent, force=entry.forced)
                intent, plan = await plan_service(adapter, wanted)
                allocation = replace(entry.allocation, settings=intent.settings)
                await self._update_entry(entry, state="planned", plan=plan, allocation=allocation)
            try:
                return await self._apply(entry, adapter)
            except Conflict:
                if not is_first_plan or attempt + 1 == MAX_PLANS:
                    raise
                entry.plan = None
        raise AssertionError("unreachable")

    async def _apply(self, entry: TaskEntry, adapter: Adapter) -> Transaction:
        assert entry.plan is not None  # noqa: S101
        if not entry.plan.steps:
            return Transaction(entry.plan.element, entry.plan.intent)
        if entry.transaction is not None and not entry.transaction.token:
            # the record of an earlier attempt, which would be incomplete after this one
            await self._update_entry(entry, transaction=None)
        confirm_within = self._confirm if CONFIRMED in adapter.capabilities else None
        try:
            transaction = await adapter.apply(entry.plan, confirm_within=confirm_within)
        except PartiallyApplied as error:
            await self._update_entry(entry, transaction=error.transaction)
            raise
        except NotVerified as error:
            await self._record_stored_values(entry, error.verdict)
            raise
        if transaction.token:
            await self._update_entry(entry, state="applied", transaction=transaction)
        return transaction

    async def _verify(self, entry: TaskEntry, adapter: Adapter) -> None:
        """Verify the configuration and, if the element supports it, its effect.

        Raises:
            NotVerified: The configuration or its effect differs from the intent.
        """
        assert entry.allocation is not None  # noqa: S101
        intent = entry.allocation.intent
        verdict = await adapter.verify(intent)
        if not verdict.good:
            await self._record_stored_values(entry, verdict)
        elif EFFECT in adapter.capabilities and intent.present:
            with suppress(Unsupported):  # the effect cannot be measured here
                test_head = entry.allocation.test_head
                if test_head:
                    test_head = await self._connections.checked_address(adapter.target, test_head)
                verdict = await _measure(adapter, intent, test_head)
        if not verdict.good:
            raise NotVerified(verdict)

    async def _record_stored_values(self, entry: TaskEntry, verdict: Verdict) -> None:
        """Record what an element that rounds has stored, so that it can be undone."""
        assert entry.plan is not None  # noqa: S101
        transaction = planning.with_stored(entry.transaction or entry.plan.attempted, verdict)
        if transaction.stored:
            await self._update_entry(entry, transaction=transaction)

    async def _roll_back(self, entry: TaskEntry, adapter: Adapter) -> None:
        assert entry.plan is not None  # noqa: S101
        if entry.forced:
            await self._force_previous_state(entry, adapter)
        elif entry.plan.steps:
            await adapter.rollback(entry.transaction or entry.plan.attempted)
        await self._update_entry(
            entry, state="restored", attempts=0, failing_since=0.0, retry_at=0.0
        )

    @staticmethod
    async def _force_previous_state(entry: TaskEntry, adapter: Adapter) -> None:
        """Assert the state before a task, whatever is on the port.

        Raises:
            NotVerified: The element does not have that state afterwards.
        """
        assert entry.allocation is not None  # noqa: S101
        previous = replace(entry.allocation.previous_intent, force=True)
        intent, plan = await plan_service(adapter, previous)
        await adapter.apply(plan)
        if not (verdict := await adapter.verify(intent)).good:
            raise NotVerified(verdict)

    async def _update_entry(self, entry: TaskEntry, **changes: object) -> None:
        await run_in_thread(self._executor, partial(self._journal.update, entry, **changes))


async def _remove_elsewhere(adapter: Adapter, intent: Intent) -> None:
    """Remove a service that is to be forced onto a port from all other ports of the element."""
    for observed in await adapter.services():
        if observed.service_id == intent.service_id and observed.port != intent.port:
            absent = Intent(intent.service_id, observed.port, present=False)
            await adapter.apply(await adapter.plan(absent))


async def _measure(adapter: Adapter, intent: Intent, test_head: str) -> Verdict:
    """Measure the effect of an intent, by the test head if the port names one.

    A failed measurement is repeated once: an element may take a moment to apply a change.
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
    """Confirm a change, so that the element does not revert it.

    Raises:
        Unreachable: The confirmation came too late; the task is retried.
    """
    try:
        await adapter.confirm(transaction)
    except NotVerified as error:
        raise Unreachable(entry.element, f"it did not wait to be confirmed: {error}") from error


async def run_in_thread(executor: Executor, function: Callable[[], T]) -> T:
    """Call a function in a thread; a cancelled caller still waits until it has returned.

    The function has the caller's context variables.
    """
    call = partial(copy_context().run, function)
    future = asyncio.get_running_loop().run_in_executor(executor, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future})
        raise


def error_kind(error: Exception) -> str:
    """Return the kind of an error, as named in settings and fallout tasks.

    >>> error_kind(Unreachable("gw", "no answer"))
    'unreachable'
    """
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    for kind in (Unreachable, Rejected, Conflict, NotVerified, Misconfigured, WrongElement):
        if isinstance(cause, kind):
            return kind.__name__[0].lower() + kind.__name__[1:]
    return "unexpected"
