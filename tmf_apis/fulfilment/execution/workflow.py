"""An order as a durable sequence of steps.

The code is run again from the start after every crash and must then do the same: no time, no
chance, no input but what steps have returned. What is done and what is left stands in the
journal, not here: a step is called until it says that nothing is left. It runs outside Temporal's
sandbox, which would load the modules anew for every order; ``tests/test_thread.py`` replays
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

from tmf_apis.fulfilment.execution.activities import Activities
from tmf_apis.fulfilment.execution.steps import Cancellation, Part, Report, Work
from tmf_apis.fulfilment.values import OrderKey

#: Longest time of one attempt: at the database, at elements.
QUICK, SLOW = timedelta(minutes=1), timedelta(hours=2)
#: A step that gives no sign of life for so long is begun again elsewhere.
HEARTBEAT = timedelta(seconds=5)
#: An order that waits for another looks for itself after so long, should nobody tell it.
TURN = timedelta(minutes=10)
#: Batches of one order that are worked on at once.
ABREAST = 4
#: How Temporal says that nobody has come for a step.
UNTAKEN = exceptions.TimeoutType.SCHEDULE_TO_START
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=30))


@workflow.defn(name="ProductOrder", sandboxed=False)
class OrderWorkflow:
    """Works on one order until it has a final state."""

    def __init__(self) -> None:
        self._task = ""
        self._news = 0
        self._priority = Priority.default
        self._queue = ""

    @workflow.signal
    def cancel(self, task: str) -> None:
        """Undo what was done; ``task`` is the id of the request to cancel."""
        self._task = task
        self._news += 1

    @workflow.signal
    def look(self) -> None:
        """Go on: the order was changed, a person has decided, another order is finished."""
        self._news += 1

    @workflow.run
    async def run(self, key: OrderKey) -> str:
        """Work on an order.

        Returns:
            What was done, for people who look at the workflow.
        """
        work = await self._work(key)
        if not work.batches:
            return "nothing to be done"
        self._queue = work.queue
        watch = asyncio.create_task(self._watch(key, work.due)) if work.due else None
        self._rank(work.priority)
        abreast = asyncio.Semaphore(ABREAST)
        parts = [Part(key, number, work.begun) for number in range(work.batches)]
        if not work.reserved and not self._task:
            await asyncio.gather(*(self._reserve(one, abreast) for one in parts))
        await asyncio.gather(*(self._bring(one, abreast, work.report) for one in parts))
        if watch is not None:
            watch.cancel()
        if self._task:
            cancellation = Cancellation(key, self._task)
            report = await self._quick(Activities.settle, cancellation)
            await self._wake(report.wake)
        return f"{work.batches} batches"

    async def _work(self, key: OrderKey) -> Work:
        """Take the order up as soon as its time has come."""
        while True:
            seen = self._news
            work: Work = await self._quick(Activities.accept, key)
            await self._wake(work.wake)
            if not (work.wait or work.turn):
                return work
            await self._until_news(seen, timedelta(seconds=work.wait) if work.wait else TURN)

    async def _reserve(self, part: Part, abreast: asyncio.Semaphore) -> None:
        async with abreast:
            await workflow.execute_activity_method(
                Activities.reserve,
                part,
                start_to_close_timeout=SLOW,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=AGAIN,
            )

    async def _bring(
        self, part: Part, abreast: asyncio.Semaphore, report: Report | None = None
    ) -> None:
        """Bring a batch to its end: done, failed or taken back; ``report``: how far it is."""
        seen = 0
        while True:
            if report is None:
                seen = self._news
                async with abreast:
                    report = await self._advance(part)
                if not self._task:
                    part = Part(part.key, part.number)
            self._rank(report.priority)
            await self._wake(report.wake)
            if not report.open:
                return
            await self._until_news(seen, timedelta(seconds=report.wait) if report.wait else None)
            report = None

    async def _advance(self, part: Part) -> Report:
        """Go on with a batch; a step that goes forward is given up when it is cancelled."""
        cancelled = bool(self._task)
        part = replace(part, stop=cancelled and part.begun)
        queue = self._queue if part.begun else ""
        doing = workflow.start_activity_method(
            Activities.advance,
            part,
            task_queue=queue or None,
            schedule_to_start_timeout=HEARTBEAT if queue else None,
            start_to_close_timeout=SLOW,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
            priority=self._priority,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if not cancelled:
            await workflow.wait_condition(lambda: bool(self._task) or doing.done())
            if not doing.done():
                doing.cancel()
        try:
            return await doing
        except (ActivityError, asyncio.CancelledError) as error:
            if queue and _is_alone(error):
                self._queue = ""
                return await self._advance(part)
            if cancelled or not _is_cancel(error):
                raise
            return Report(open=True)

    def _rank(self, priority: int) -> None:
        """Let further steps queue by what the order's priority is now."""
        self._priority = Priority(priority_key=priority) if priority else Priority.default

    async def _until_news(self, seen: int, longest: timedelta | None) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._news != seen, timeout=longest)

    async def _watch(self, key: OrderKey, due: float) -> None:
        """Say so when the order is not finished in time."""
        while due > 0:
            seen = self._news
            await self._until_news(seen, timedelta(seconds=due))
            due = await self._quick(Activities.late, key)

    async def _wake(self, orders: tuple[OrderKey, ...]) -> None:
        """Tell orders that waited for this one that it is finished."""
        for one in orders:
            handle: Any = workflow.get_external_workflow_handle(workflow_id(one))
            with suppress(Exception):  # it is finished, too
                await handle.signal(OrderWorkflow.look)

    async def _quick(self, step: Any, argument: object) -> Any:  # noqa: ANN401
        """Do a step at the database, however often it takes."""
        return await workflow.execute_local_activity_method(
            step, argument, start_to_close_timeout=QUICK, retry_policy=AGAIN
        )


def workflow_id(order: OrderKey) -> str:
    """Return the id of an order's workflow; an order's id is one of its tenant's."""
    return order.name


def _is_alone(error: BaseException) -> bool:
    """Return whether nobody has come for a step: the worker that it was meant for is gone."""
    cause = error.__cause__
    return isinstance(cause, exceptions.TimeoutError) and cause.type is UNTAKEN


def _is_cancel(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, CancelledError)
