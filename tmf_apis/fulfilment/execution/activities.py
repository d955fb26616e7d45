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

from tmf_apis.fulfilment.execution.accepting import Accepting
from tmf_apis.fulfilment.execution.advancing import Advancing
from tmf_apis.fulfilment.execution.cancelling import Cancelling
from tmf_apis.fulfilment.execution.mistakes import Mistakes
from tmf_apis.fulfilment.execution.provisioning import in_thread
from tmf_apis.fulfilment.execution.steps import Cancellation, Part, Report, Work
from tmf_apis.fulfilment.values import OrderKey

#: Pause between two signs of life of a step that waits for an element, in seconds.
BEAT = 1.0
#: How long whoever takes an order up waits for its only batch, in seconds; how many do so at once,
#: fewer than take up orders; and how many orders are worked on so at once.
QUICK, WAITING, ABREAST = 1.0, 12, 50

log = logging.getLogger(__name__)


class Activities:
    """The steps, bound to the database and to the elements."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        accepting: Accepting,
        advancing: Advancing,
        cancelling: Cancelling,
        mistakes: Mistakes,
        threads: Executor,
        queue: str = "",
    ) -> None:
        """Take what the steps do.

        Args:
            accepting: Takes orders up.
            advancing: Works on batches.
            cancelling: Says what became of a cancellation.
            mistakes: Tells people of steps that fail again and again.
            threads: Where the database is waited for.
            queue: From which only this worker takes ``advance``; empty: there is none.
        """
        self._queue = queue
        self._waiting = 0
        self._accepting = accepting
        self._advancing = advancing
        self._cancelling = cancelling
        self._mistakes = mistakes
        self._threads = threads
        self._begun: dict[OrderKey, asyncio.Task[Report]] = {}

    def all(self) -> list[Callable[..., object]]:
        """Return every step, to be given to a Temporal worker."""
        return [self.accept, self.reserve, self.advance, self.late, self.settle]

    @activity.defn(name="order-accept")
    async def accept(self, key: OrderKey) -> Work:
        """Take an order up: plan it, say that it is in progress, reserve for a small one.

        A small one is begun at once. What is quick is done with that; what is not goes on, and
        ``advance`` waits for it.
        """
        async with self._told(key, "taking up"):
            work, batch = await in_thread(self._threads, partial(self._accepting.accept, key))
            if batch is None or len(self._begun) >= ABREAST:
                return work
            doing = asyncio.create_task(self._advancing.go_on(batch))
            self._begun[key] = doing
            doing.add_done_callback(partial(self._forget, key))
            self._waiting += 1
            try:
                await asyncio.wait({doing}, timeout=QUICK if self._waiting <= WAITING else 0)
            finally:
                self._waiting -= 1
            report = doing.result() if doing.done() else None
            return replace(work, begun=True, queue=self._queue, report=report)

    async def close(self) -> None:
        """Stop what was begun; it is gone on with from the journal."""
        for doing in list(self._begun.values()):
            await _stopped(doing)

    def _forget(self, key: OrderKey, done: "asyncio.Task[Report]") -> None:
        if self._begun.get(key) is done:
            del self._begun[key]
        if not done.cancelled() and (error := done.exception()):
            log.info("a batch is left: %s", error, extra={"order": key.order})

    @activity.defn(name="order-reserve")
    async def reserve(self, part: Part) -> None:
        """Reserve what a batch needs."""
        async with _beating(), self._told(part.key, f"reserving for batch {part.number}"):
            await in_thread(self._threads, partial(self._accepting.reserve, part))

    @activity.defn(name="order-advance")
    async def advance(self, part: Part) -> Report:
        """Bring a batch as far as it goes now: forward, or back."""
        again = activity.info().attempt > 1 or part.stop
        async with _beating(), self._told(part.key, f"work on batch {part.number}"):
            if part.begun and (doing := self._begun.get(part.key)):
                if not again:
                    return await _until(doing)
                await _stopped(doing)
            return await self._advancing.advance(part, again=again or part.begun)

    @activity.defn(name="order-late")
    async def late(self, key: OrderKey) -> float:
        """Say that an order is late; return the seconds until it may be."""
        async with self._told(key, "looking at the date"):
            return await in_thread(self._threads, partial(self._accepting.late, key))

    @activity.defn(name="order-settle")
    async def settle(self, cancellation: Cancellation) -> Report:
        """Say what became of a request to cancel: everything that was done is undone."""
        async with self._told(cancellation.order, "cancelling"):
            return await in_thread(self._threads, partial(self._cancelling.settle, cancellation))

    @asynccontextmanager
    async def _told(self, key: OrderKey, step: str) -> AsyncIterator[None]:
        """Have people told when a step fails again and again; its attempts go on."""
        attempt = activity.info().attempt
        try:
            yield
        except Exception as error:
            work = partial(self._mistakes.failed, key, step, error, attempt)
            await in_thread(self._threads, work)
            raise
        if attempt > 1:
            await in_thread(self._threads, partial(self._mistakes.passed, key, step, attempt))


async def _until(doing: "asyncio.Task[Report]") -> Report:
    """Wait for work that somebody else has begun; whoever is cancelled stops it."""
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await _stopped(doing)
        raise


async def _stopped(doing: "asyncio.Task[Report]") -> None:
    doing.cancel()
    await asyncio.wait({doing})


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    """Tell Temporal that the step is alive, so that a worker's death is noticed in seconds."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
