"""The steps of an order that touch the world; each is safe to repeat.

What becomes of each task is said in the journal and in the order. A step fails only where the
database, or this program, does; Temporal tries it again, with growing pauses.
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

#: Pause between two signs of life of a step that waits for an element, in seconds.
HEARTBEAT_INTERVAL = 1.0
#: How long whoever takes an order up waits for its only batch, in seconds; how many do so at once,
#: fewer than take up orders; and how many orders are worked on so at once.
INLINE_TIMEOUT, MAX_INLINE_WAITS, MAX_EAGER_BATCHES = 1.0, 12, 50

log = logging.getLogger(__name__)


class OrderActivities:
    """The steps, bound to the database and to the elements."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        intake: OrderIntake,
        runner: BatchRunner,
        cancellation_resolver: CancellationResolver,
        failure_reporter: RepeatedFailureReporter,
        executor: Executor,
        task_queue: str = "",
    ) -> None:
        """Take what the steps do.

        Args:
            intake: Takes orders up.
            runner: Works on batches.
            cancellation_resolver: Says what became of a cancellation.
            failure_reporter: Tells people of steps that fail again and again.
            executor: Where the database is waited for.
            task_queue: From which only this worker takes ``advance``; empty: there is none.
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
        """Return every step, to be given to a Temporal worker."""
        return [
            self.accept,
            self.reserve,
            self.advance,
            self.check_due_date,
            self.resolve_cancellation,
        ]

    @activity.defn(name="order-accept")
    async def accept(self, key: OrderKey) -> IntakeResult:
        """Take an order up: plan it, say that it is in progress, reserve for a small one.

        A small one is begun at once. What is quick is done with that; what is not goes on, and
        ``advance`` waits for it.
        """
        async with self._report_failures(key, "taking up"):
            work, batch = await run_in_thread(self._executor, partial(self._intake.accept, key))
            if batch is None or len(self._eager_runs) >= MAX_EAGER_BATCHES:
                return work
            doing = asyncio.create_task(self._runner.run(batch))
            self._eager_runs[key] = doing
            doing.add_done_callback(partial(self._forget, key))
            self._inline_waits += 1
            try:
                await asyncio.wait(
                    {doing}, timeout=INLINE_TIMEOUT if self._inline_waits <= MAX_INLINE_WAITS else 0
                )
            finally:
                self._inline_waits -= 1
            report = doing.result() if doing.done() else None
            return replace(work, maybe_running=True, task_queue=self._task_queue, progress=report)

    async def close(self) -> None:
        """Stop what was begun; it is gone on with from the journal."""
        for doing in list(self._eager_runs.values()):
            await _cancel(doing)

    def _forget(self, key: OrderKey, run: "asyncio.Task[BatchProgress]") -> None:
        if self._eager_runs.get(key) is run:
            del self._eager_runs[key]
        if not run.cancelled() and (error := run.exception()):
            log.info("a batch is left: %s", error, extra={"order": key.order})

    @activity.defn(name="order-reserve")
    async def reserve(self, batch_ref: BatchRef) -> None:
        """Reserve what a batch needs."""
        async with (
            _heartbeat(),
            self._report_failures(batch_ref.key, f"reserving for batch {batch_ref.number}"),
        ):
            await run_in_thread(self._executor, partial(self._intake.reserve, batch_ref))

    @activity.defn(name="order-advance")
    async def advance(self, batch_ref: BatchRef) -> BatchProgress:
        """Bring a batch as far as it goes now: forward, or back."""
        again = activity.info().attempt > 1 or batch_ref.stop
        async with (
            _heartbeat(),
            self._report_failures(batch_ref.key, f"work on batch {batch_ref.number}"),
        ):
            if batch_ref.maybe_running and (doing := self._eager_runs.get(batch_ref.key)):
                if not again:
                    return await _wait_for(doing)
                await _cancel(doing)
            return await self._runner.advance(batch_ref, take_over=again or batch_ref.maybe_running)

    @activity.defn(name="order-late")
    async def check_due_date(self, key: OrderKey) -> float:
        """Say that an order is late; return the seconds until it may be."""
        async with self._report_failures(key, "looking at the date"):
            return await run_in_thread(self._executor, partial(self._intake.check_due_date, key))

    @activity.defn(name="order-settle")
    async def resolve_cancellation(self, cancellation: Cancellation) -> BatchProgress:
        """Say what became of a request to cancel: everything that was done is undone."""
        async with self._report_failures(cancellation.order, "cancelling"):
            return await run_in_thread(
                self._executor, partial(self._cancellation_resolver.resolve, cancellation)
            )

    @asynccontextmanager
    async def _report_failures(self, key: OrderKey, step: str) -> AsyncIterator[None]:
        """Have people told when a step fails again and again; its attempts go on."""
        attempt = activity.info().attempt
        try:
            yield
        except Exception as error:
            work = partial(self._failure_reporter.report_failure, key, step, error, attempt)
            await run_in_thread(self._executor, work)
            raise
        if attempt > 1:
            await run_in_thread(
                self._executor, partial(self._failure_reporter.report_recovery, key, step, attempt)
            )


async def _wait_for(run: "asyncio.Task[BatchProgress]") -> BatchProgress:
    """Wait for work that somebody else has begun; whoever is cancelled stops it."""
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
    """Tell Temporal that the step is alive, so that a worker's death is noticed in seconds."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
