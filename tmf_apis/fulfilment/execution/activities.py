"""Temporal activities that carry out an order; each is safe to repeat.

The outcome of every task is written to the journal and to the order. An activity fails only if the
database or this program fails; Temporal then retries it with growing pauses.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from temporalio import activity

from tmf_apis.fulfilment.execution.batch_runner import BatchRunner
from tmf_apis.fulfilment.execution.cancellation import CancellationResolver
from tmf_apis.fulfilment.execution.failure_reporter import RepeatedFailureReporter
from tmf_apis.fulfilment.execution.intake import OrderIntake
from tmf_apis.fulfilment.execution.payloads import (
    BatchProgress,
    BatchRef,
    Cancellation,
    IntakeResult,
)
from tmf_apis.fulfilment.execution.provisioning import run_in_thread
from tmf_apis.fulfilment.values import OrderKey

#: Pause between two heartbeats of an activity that waits for an element, in seconds.
HEARTBEAT_INTERVAL = 1.0
#: Longest wait of ``accept`` for the only batch of an order, in seconds.
INLINE_TIMEOUT = 1.0
#: Most ``accept`` activities that wait for a batch at once. It is less than the number of
#: activities that a worker runs at once, so that others can run meanwhile.
MAX_INLINE_WAITS = 12
#: Most batches that run at once after ``accept`` started them.
MAX_EAGER_BATCHES = 50

log = logging.getLogger(__name__)


class OrderActivities:
    """The activities, bound to the database and to the elements."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        intake: OrderIntake,
        runner: BatchRunner,
        cancellation_resolver: CancellationResolver,
        failure_reporter: RepeatedFailureReporter,
        executor: Executor,
        task_queue: str = "",
    ) -> None:
        """Store the collaborators.

        Args:
            intake: Plans orders and reserves their resources.
            runner: Runs batches.
            cancellation_resolver: Answers requests to cancel.
            failure_reporter: Creates fallout tasks for steps that fail repeatedly.
            executor: Runs blocking database calls.
            task_queue: The queue of this worker alone, for ``advance`` activities; empty if there
                is none.
        """
        self._task_queue = task_queue
        self._inline_waits = 0
        self._intake = intake
        self._runner = runner
        self._cancellation_resolver = cancellation_resolver
        self._failure_reporter = failure_reporter
        self._executor = executor
        self._eager_runs: dict[OrderKey, asyncio.Task[BatchProgress]] = {}

    def activity_functions(self) -> list[Callable[..., object]]:
        """Return all activities, for a Temporal worker."""
        return [
            self.accept,
            self.reserve,
            self.advance,
            self.check_due_date,
            self.resolve_cancellation,
        ]

    @activity.defn(name="order-accept")
    async def accept(self, key: OrderKey) -> IntakeResult:
        """Plan an order, mark it as in progress and reserve the resources of a small one.

        The only batch of a small order starts at once. If it ends within ``INLINE_TIMEOUT``, the
        result has its progress; otherwise it continues, and ``advance`` waits for it.
        """
        async with self._report_failures(key, "acceptance"):
            result, batch = await run_in_thread(self._executor, partial(self._intake.accept, key))
            if batch is None or len(self._eager_runs) >= MAX_EAGER_BATCHES:
                return result
            run = asyncio.create_task(self._runner.run(batch))
            self._eager_runs[key] = run
            run.add_done_callback(partial(self._forget, key))
            await self._wait_inline(run)
            progress = run.result() if run.done() else None
            return replace(
                result, maybe_running=True, task_queue=self._task_queue, progress=progress
            )

    async def _wait_inline(self, run: "asyncio.Task[BatchProgress]") -> None:
        """Wait for a batch for a short time, or not at all if many orders wait already."""
        self._inline_waits += 1
        try:
            timeout = INLINE_TIMEOUT if self._inline_waits <= MAX_INLINE_WAITS else 0
            await asyncio.wait({run}, timeout=timeout)
        finally:
            self._inline_waits -= 1

    async def close(self) -> None:
        """Stop the batches that ``accept`` started; they continue from the journal."""
        for run in list(self._eager_runs.values()):
            await _cancel(run)

    def _forget(self, key: OrderKey, run: "asyncio.Task[BatchProgress]") -> None:
        if self._eager_runs.get(key) is run:
            del self._eager_runs[key]
        if not run.cancelled() and (error := run.exception()):
            context = {"order": key.order, "error": str(error)}
            log.info("a batch that intake started has stopped", extra=context)

    @activity.defn(name="order-reserve")
    async def reserve(self, batch_ref: BatchRef) -> None:
        """Reserve the resources of a batch."""
        async with (
            _heartbeat(),
            self._report_failures(batch_ref.key, f"reserving for batch {batch_ref.number}"),
        ):
            await run_in_thread(self._executor, partial(self._intake.reserve, batch_ref))

    @activity.defn(name="order-advance")
    async def advance(self, batch_ref: BatchRef) -> BatchProgress:
        """Run a batch as far as possible now, forward or in compensation."""
        must_take_over = activity.info().attempt > 1 or batch_ref.stop
        async with (
            _heartbeat(),
            self._report_failures(batch_ref.key, f"work on batch {batch_ref.number}"),
        ):
            if batch_ref.maybe_running and (run := self._eager_runs.get(batch_ref.key)):
                if not must_take_over:
                    return await _wait_for(run)
                await _cancel(run)
            return await self._runner.advance(
                batch_ref, take_over=must_take_over or batch_ref.maybe_running
            )

    @activity.defn(name="order-late")
    async def check_due_date(self, key: OrderKey) -> float:
        """Add an alert to an order that is late; return the seconds until the next check."""
        async with self._report_failures(key, "due date check"):
            return await run_in_thread(self._executor, partial(self._intake.check_due_date, key))

    @activity.defn(name="order-settle")
    async def resolve_cancellation(self, cancellation: Cancellation) -> BatchProgress:
        """Answer a request to cancel after all compensation is done."""
        async with self._report_failures(cancellation.order, "cancelling"):
            return await run_in_thread(
                self._executor, partial(self._cancellation_resolver.resolve, cancellation)
            )

    @asynccontextmanager
    async def _report_failures(self, key: OrderKey, step: str) -> AsyncIterator[None]:
        """Report a step that fails repeatedly, and its recovery; failures are raised again."""
        attempt = activity.info().attempt
        reporter = self._failure_reporter
        try:
            yield
        except Exception as error:
            report = partial(reporter.report_failure, key, step, error, attempt)
            await run_in_thread(self._executor, report)
            raise
        if attempt > 1:
            await run_in_thread(
                self._executor, partial(reporter.report_recovery, key, step, attempt)
            )


async def _wait_for(run: "asyncio.Task[BatchProgress]") -> BatchProgress:
    """Wait for a batch that ``accept`` started; cancelling the wait stops the batch."""
    try:
        return await asyncio.shield(run)
    except asyncio.CancelledError:
        await _cancel(run)
        raise


async def _cancel(run: "asyncio.Task[BatchProgress]") -> None:
    run.cancel()
    await asyncio.wait({run})


@asynccontextmanager
async def _heartbeat() -> AsyncIterator[None]:
    """Send heartbeats to Temporal, so that it notices a worker's death within seconds."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
