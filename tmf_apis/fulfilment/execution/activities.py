"""The steps of an order that touch the world; each is safe to repeat.

What becomes of each task is said in the journal and in the order. A step fails only where the
database, or this program, does; Temporal tries it again, with growing pauses.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
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


class Activities:
    """The steps, bound to the database and to the elements."""

    def __init__(
        self,
        accepting: Accepting,
        advancing: Advancing,
        cancelling: Cancelling,
        mistakes: Mistakes,
        threads: Executor,
    ) -> None:
        """Take what the steps do.

        Args:
            accepting: Takes orders up.
            advancing: Works on batches.
            cancelling: Says what became of a cancellation.
            mistakes: Tells people of steps that fail again and again.
            threads: Where the database is waited for.
        """
        self._accepting = accepting
        self._advancing = advancing
        self._cancelling = cancelling
        self._mistakes = mistakes
        self._threads = threads

    def all(self) -> list[Callable[..., object]]:
        """Return every step, to be given to a Temporal worker."""
        return [self.accept, self.reserve, self.advance, self.late, self.settle]

    @activity.defn(name="order-accept")
    async def accept(self, key: OrderKey) -> Work:
        """Take an order up: plan it, say that it is in progress, reserve for a small one."""
        async with self._told(key, "taking up"):
            return await in_thread(self._threads, partial(self._accepting.accept, key))

    @activity.defn(name="order-reserve")
    async def reserve(self, part: Part) -> None:
        """Reserve what a batch needs."""
        async with _beating(), self._told(part.key, f"reserving for batch {part.number}"):
            await in_thread(self._threads, partial(self._accepting.reserve, part))

    @activity.defn(name="order-advance")
    async def advance(self, part: Part) -> Report:
        """Bring a batch as far as it goes now: forward, or back."""
        again = activity.info().attempt > 1
        async with _beating(), self._told(part.key, f"work on batch {part.number}"):
            return await self._advancing.advance(part, again=again)

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
