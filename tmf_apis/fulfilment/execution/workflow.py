"""An order as a durable sequence of steps.

The code is run again from the start after every crash and must then do the same: no time, no
chance, no input but what steps have returned. What is done and what is left stands in the
journal, not here: a step is called until it says that nothing is left. It runs outside Temporal's
sandbox, which would load the modules anew for every order; ``tests/e2e/test_order_to_alarm.py`` replays
histories instead.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, CancelledError

from tmf_apis.fulfilment.execution.activities import OrderActivities
from tmf_apis.fulfilment.execution.payloads import (
    BatchProgress,
    BatchRef,
    Cancellation,
    IntakeResult,
)
from tmf_apis.fulfilment.values import OrderKey

#: Longest time of one attempt: at the database, at elements.
LOCAL_TIMEOUT, ACTIVITY_TIMEOUT = timedelta(minutes=1), timedelta(hours=2)
#: A step that gives no sign of life for so long is begun again elsewhere.
HEARTBEAT_TIMEOUT = timedelta(seconds=5)
#: An order that waits for another looks for itself after so long, should nobody tell it.
BLOCKED_RECHECK = timedelta(minutes=10)
#: Batches of one order that are worked on at once.
MAX_CONCURRENT_BATCHES = 4
#: How Temporal says that nobody has come for a step.
SCHEDULE_TO_START = exceptions.TimeoutType.SCHEDULE_TO_START
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=30)
)


@workflow.defn(name="ProductOrder", sandboxed=False)
class OrderWorkflow:
    """Works on one order until it has a final state."""

    def __init__(self) -> None:
        self._cancel_task = ""
        self._wakeups = 0
        self._priority = Priority.default
        self._task_queue = ""

    @workflow.signal
    def cancel(self, task: str) -> None:
        """Undo what was done; ``task`` is the id of the request to cancel."""
        self._cancel_task = task
        self._wakeups += 1

    @workflow.signal(name="look")
    def wake_up(self) -> None:
        """Go on: the order was changed, a person has decided, another order is finished."""
        self._wakeups += 1

    @workflow.run
    async def run(self, key: OrderKey) -> str:
        """Work on an order.

        Returns:
            What was done, for people who look at the workflow.
        """
        work = await self._accept(key)
        if not work.batches:
            return "nothing to be done"
        self._task_queue = work.task_queue
        watch = asyncio.create_task(self._watch_due_date(key, work.due_in)) if work.due_in else None
        self._set_priority(work.priority)
        abreast = asyncio.Semaphore(MAX_CONCURRENT_BATCHES)
        parts = [BatchRef(key, number, work.maybe_running) for number in range(work.batches)]
        if not work.reserved and not self._cancel_task:
            await asyncio.gather(*(self._reserve(one, abreast) for one in parts))
        await asyncio.gather(*(self._run_batch(one, abreast, work.progress) for one in parts))
        if watch is not None:
            watch.cancel()
        if self._cancel_task:
            cancellation = Cancellation(key, self._cancel_task)
            report = await self._run_local(OrderActivities.resolve_cancellation, cancellation)
            await self._wake_orders(report.wake)
        return f"{work.batches} batches"

    async def _accept(self, key: OrderKey) -> IntakeResult:
        """Take the order up as soon as its time has come."""
        while True:
            seen = self._wakeups
            work: IntakeResult = await self._run_local(OrderActivities.accept, key)
            await self._wake_orders(work.orders_to_wake)
            if not (work.start_in or work.blocked):
                return work
            await self._wait_for_wakeup(
                seen, timedelta(seconds=work.start_in) if work.start_in else BLOCKED_RECHECK
            )

    async def _reserve(self, batch_ref: BatchRef, slots: asyncio.Semaphore) -> None:
        async with slots:
            await workflow.execute_activity_method(
                OrderActivities.reserve,
                batch_ref,
                start_to_close_timeout=ACTIVITY_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RETRY_POLICY,
            )

    async def _run_batch(
        self, batch_ref: BatchRef, slots: asyncio.Semaphore, progress: BatchProgress | None = None
    ) -> None:
        """Bring a batch to its end: done, failed or taken back; ``progress``: how far it is."""
        seen = 0
        while True:
            if progress is None:
                seen = self._wakeups
                async with slots:
                    progress = await self._advance(batch_ref)
                if not self._cancel_task:
                    batch_ref = BatchRef(batch_ref.key, batch_ref.number)
            self._set_priority(progress.priority)
            await self._wake_orders(progress.orders_to_wake)
            if not progress.incomplete:
                return
            await self._wait_for_wakeup(
                seen, timedelta(seconds=progress.retry_in) if progress.retry_in else None
            )
            progress = None

    async def _advance(self, batch_ref: BatchRef) -> BatchProgress:
        """Go on with a batch; a step that goes forward is given up when it is cancelled."""
        cancelled = bool(self._cancel_task)
        batch_ref = replace(batch_ref, stop=cancelled and batch_ref.maybe_running)
        queue = self._task_queue if batch_ref.maybe_running else ""
        doing = workflow.start_activity_method(
            OrderActivities.advance,
            batch_ref,
            task_queue=queue or None,
            schedule_to_start_timeout=HEARTBEAT_TIMEOUT if queue else None,
            start_to_close_timeout=ACTIVITY_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
            priority=self._priority,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if not cancelled:
            await workflow.wait_condition(lambda: bool(self._cancel_task) or doing.done())
            if not doing.done():
                doing.cancel()
        try:
            return await doing
        except (ActivityError, asyncio.CancelledError) as error:
            if queue and _is_worker_gone(error):
                self._task_queue = ""
                return await self._advance(batch_ref)
            if cancelled or not _is_cancellation(error):
                raise
            return BatchProgress(incomplete=True)

    def _set_priority(self, priority: int) -> None:
        """Let further steps queue by what the order's priority is now."""
        self._priority = Priority(priority_key=priority) if priority else Priority.default

    async def _wait_for_wakeup(self, seen: int, timeout: timedelta | None) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._wakeups != seen, timeout=timeout)

    async def _watch_due_date(self, key: OrderKey, due_in: float) -> None:
        """Say so when the order is not finished in time."""
        while due_in > 0:
            seen = self._wakeups
            await self._wait_for_wakeup(seen, timedelta(seconds=due_in))
            due_in = await self._run_local(OrderActivities.check_due_date, key)

    async def _wake_orders(self, orders: tuple[OrderKey, ...]) -> None:
        """Tell orders that waited for this one that it is finished."""
        for one in orders:
            handle: Any = workflow.get_external_workflow_handle(workflow_id(one))
            with suppress(Exception):  # it is finished, too
                await handle.signal(OrderWorkflow.wake_up)

    async def _run_local(self, local_activity: Any, argument: object) -> Any:  # noqa: ANN401
        """Do a step at the database, however often it takes."""
        return await workflow.execute_local_activity_method(
            local_activity,
            argument,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )


def workflow_id(key: OrderKey) -> str:
    """Return the id of an order's workflow; an order's id is one of its tenant's."""
    return key.qualified_id


def _is_worker_gone(error: BaseException) -> bool:
    """Return whether nobody has come for a step: the worker that it was meant for is gone."""
    cause = error.__cause__
    return isinstance(cause, exceptions.TimeoutError) and cause.type is SCHEDULE_TO_START


def _is_cancellation(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, CancelledError)
