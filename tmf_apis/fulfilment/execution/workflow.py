"""The Temporal workflow of an order.

Temporal replays the code from the start after every crash, so it must be deterministic: no clock,
no random values, no input but the results of activities. The progress is in the journal, not here:
an activity is called until it reports that nothing is left. The workflow runs outside Temporal's
sandbox, which would import all modules again for every order; instead,
``tests/e2e/test_order_to_alarm.py`` replays histories.
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

#: Longest time of one attempt of an activity: at the database, and at elements.
LOCAL_TIMEOUT, ACTIVITY_TIMEOUT = timedelta(minutes=1), timedelta(hours=2)
#: An activity without a heartbeat for this time is started on another worker.
HEARTBEAT_TIMEOUT = timedelta(seconds=5)
#: Longest pause before a blocked order checks again, if no wake-up arrives.
BLOCKED_RECHECK = timedelta(minutes=10)
#: Most batches of one order that run at once.
MAX_CONCURRENT_BATCHES = 4
#: Temporal's timeout type for an activity that no worker has taken.
SCHEDULE_TO_START = exceptions.TimeoutType.SCHEDULE_TO_START
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=30)
)


@workflow.defn(name="ProductOrder", sandboxed=False)
class OrderWorkflow:
    """Runs one order until it has a final state."""

    def __init__(self) -> None:
        self._cancel_task = ""
        self._wakeups = 0
        self._priority = Priority.default
        self._task_queue = ""

    @workflow.signal
    def cancel(self, task: str) -> None:
        """Compensate the order; ``task`` is the id of the request to cancel."""
        self._cancel_task = task
        self._wakeups += 1

    @workflow.signal(name="look")
    def wake_up(self) -> None:
        """Continue: the order was changed, a person has decided, or another order is finished."""
        self._wakeups += 1

    @workflow.run
    async def run(self, key: OrderKey) -> str:
        """Run an order.

        Returns:
            A summary, for people who look at the workflow.
        """
        intake = await self._accept(key)
        if not intake.batches:
            await self._resolve_cancellation(key)
            return "nothing to do"
        self._task_queue = intake.task_queue
        watch = None
        if intake.due_in:
            watch = asyncio.create_task(self._watch_due_date(key, intake.due_in))
        self._set_priority(intake.priority)
        slots = asyncio.Semaphore(MAX_CONCURRENT_BATCHES)
        refs = [BatchRef(key, number, intake.maybe_running) for number in range(intake.batches)]
        if not intake.reserved and not self._cancel_task:
            await asyncio.gather(*(self._reserve(ref, slots) for ref in refs))
        await asyncio.gather(*(self._run_batch(ref, slots, intake.progress) for ref in refs))
        if watch is not None:
            watch.cancel()
        await self._resolve_cancellation(key)
        return f"{intake.batches} batches"

    async def _resolve_cancellation(self, key: OrderKey) -> None:
        """Answer the request to cancel the order, if there is one."""
        if self._cancel_task:
            cancellation = Cancellation(key, self._cancel_task)
            progress: BatchProgress = await self._run_local(
                OrderActivities.resolve_cancellation, cancellation
            )
            await self._wake_orders(progress.orders_to_wake)

    async def _accept(self, key: OrderKey) -> IntakeResult:
        """Accept the order once its start date is reached and no other order blocks it."""
        while True:
            seen_wakeups = self._wakeups
            result: IntakeResult = await self._run_local(OrderActivities.accept, key)
            await self._wake_orders(result.orders_to_wake)
            if not (result.start_in or result.blocked):
                return result
            timeout = timedelta(seconds=result.start_in) if result.start_in else BLOCKED_RECHECK
            await self._wait_for_wakeup(seen_wakeups, timeout)

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
        """Run a batch until it is completed or compensated.

        Args:
            batch_ref: The batch.
            slots: Limits the batches that run at once.
            progress: The progress of the batch, if the intake has run it already.
        """
        seen_wakeups = 0
        while True:
            if progress is None:
                seen_wakeups = self._wakeups
                async with slots:
                    progress = await self._advance(batch_ref)
                if not self._cancel_task:
                    batch_ref = BatchRef(batch_ref.key, batch_ref.number)
            self._set_priority(progress.priority)
            await self._wake_orders(progress.orders_to_wake)
            if not progress.incomplete:
                return
            timeout = timedelta(seconds=progress.retry_in) if progress.retry_in else None
            await self._wait_for_wakeup(seen_wakeups, timeout)
            progress = None

    async def _advance(self, batch_ref: BatchRef) -> BatchProgress:
        """Run the activity of a batch; a cancellation of the order interrupts it."""
        is_cancelled = bool(self._cancel_task)
        batch_ref = replace(batch_ref, stop=is_cancelled and batch_ref.maybe_running)
        queue = self._task_queue if batch_ref.maybe_running else ""
        handle = workflow.start_activity_method(
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
        if not is_cancelled:
            await workflow.wait_condition(lambda: bool(self._cancel_task) or handle.done())
            if not handle.done():
                handle.cancel()
        try:
            return await handle
        except (ActivityError, asyncio.CancelledError) as error:
            if queue and _is_worker_gone(error):
                self._task_queue = ""
                return await self._advance(batch_ref)
            if is_cancelled or not _is_cancellation(error):
                raise
            return BatchProgress(incomplete=True)

    def _set_priority(self, priority: int) -> None:
        """Set the priority of further activities."""
        self._priority = Priority(priority_key=priority) if priority else Priority.default

    async def _wait_for_wakeup(self, seen_wakeups: int, longest: timedelta | None) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._wakeups != seen_wakeups, timeout=longest)

    async def _watch_due_date(self, key: OrderKey, due_in: float) -> None:
        """Add an alert to the order when it is late."""
        while due_in > 0:
            await self._wait_for_wakeup(self._wakeups, timedelta(seconds=due_in))
            due_in = await self._run_local(OrderActivities.check_due_date, key)

    async def _wake_orders(self, orders: tuple[OrderKey, ...]) -> None:
        """Wake the orders that waited for this one."""
        for order in orders:
            handle: Any = workflow.get_external_workflow_handle(workflow_id(order))
            with suppress(Exception):  # that order may be finished by now
                await handle.signal(OrderWorkflow.wake_up)

    async def _run_local(self, local_activity: Any, argument: object) -> Any:  # noqa: ANN401
        """Run a local activity, which uses the database only."""
        return await workflow.execute_local_activity_method(
            local_activity,
            argument,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )


def workflow_id(key: OrderKey) -> str:
    """Return the id of an order's workflow, which is unique among all tenants."""
    return key.qualified_id


def _is_worker_gone(error: BaseException) -> bool:
    """Return whether no worker has taken an activity from the accepting worker's own queue."""
    cause = error.__cause__
    return isinstance(cause, exceptions.TimeoutError) and cause.type is SCHEDULE_TO_START


def _is_cancellation(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, CancelledError)
