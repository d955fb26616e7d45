"""Delivery to one subscription, by the one process that holds its lease.

Deliveries of one resource go one after another; those of different resources side by side. After
some failures in a row the lane is shut and only one delivery at a time is tried, ever more
seldom, until one gets through. All that must outlive the process is in the database: the queue,
the number of failures, and when to try again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from tmf_apis.events import leases
from tmf_apis.events.deliveries import RESOURCES, Attempt, Deliveries
from tmf_apis.events.leases import Lease
from tmf_apis.events.sending import Subscriber, send
from tmf_apis.events.signing import subscription_key
from tmf_apis.security.outbound import Policy
from tmf_apis.security.pinned import async_pool

#: Deliveries to one subscription under way at once.
WIDTH = 8
#: Failures in a row that shut a lane.
SHUT = 3
#: Outcomes that are written down at once, without waiting for more.
ENOUGH = 100
#: How long a lane with nothing to do is kept, in seconds.
LINGER = 2.0

Document = dict[str, Any]
T = TypeVar("T")
#: Delivery, attempt, and the seconds until the next try.
Outcome = tuple[Document, Attempt, float | None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depot:
    """What all lanes of a process share.

    Attributes:
        subscriptions: The subscriptions.
        deliveries: The queue.
        key: The server's key, which subscriptions' keys come from.
        policy: Where callbacks may lead.
        owner: Name of this process.
        threads: Where the database is waited for.
        slots: Bounds the deliveries under way in the whole process.
        patience: Longest time of one attempt, in seconds.
        first: Pause before the first retry, in seconds; it doubles with each.
        longest: Longest pause, in seconds.
        give_up: Age at which a delivery that fails is parked.
        pause: Time between two looks at the queue, in seconds.
        margin: How much longer than an attempt a lane's lease lasts, in seconds: no attempt
            outlives the lease, so that two processes never deliver side by side.
    """

    subscriptions: Collection[Document]
    deliveries: Deliveries
    key: bytes
    policy: Policy
    owner: str
    threads: Executor
    slots: asyncio.Semaphore
    patience: float
    first: float
    longest: float
    give_up: timedelta
    pause: float
    margin: float

    async def ask(self, call: Callable[..., T], *args: object, **more: object) -> T:
        """Return what a call to the database returns, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, partial(call, *args, **more))

    def backoff(self, tries: int) -> float:
        """Return a pause: exponential, with full jitter."""
        return random.uniform(0, min(self.longest, self.first * 2.0 ** min(tries, 40)))  # noqa: S311

    def take(self, subscription: str) -> Lease | None:
        """Take or prolong the lease of a lane."""
        lasting = self.patience + self.margin
        return leases.take(self.subscriptions, subscription, self.owner, lasting, state="active")


class Lane:
    """One subscription's deliveries, while this process holds its lease."""

    def __init__(self, depot: Depot, lease: Lease) -> None:
        self.wake = asyncio.Event()
        self._depot = depot
        self._lease = lease
        self._id: str = lease.document["_id"]
        self._failures: int = lease.document.get("lane", {}).get("failures", 0)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._finished: list[asyncio.Task[None]] = []
        self._progress = asyncio.Event()
        self._known = self._failures
        self._outcomes: list[Outcome] = []
        self._subscriber = Subscriber(
            lease.document["url"],
            subscription_key(depot.key, self._id),
            async_pool(depot.policy, connections=WIDTH),
        )
        self._width = asyncio.Semaphore(WIDTH)
        self._look_at = 0.0
        self._stopping = False
        self._in_trouble = False

    def stop(self) -> None:
        """Begin nothing more; what is under way is finished."""
        self._stopping = True
        self.wake.set()

    async def run(self) -> None:
        """Deliver until nothing is due, the subscriber is in trouble, or the lease is lost."""
        try:
            await self._deliver()
            await self._finish()
        except PyMongoError as error:
            log.warning("lane left: %s", error, extra={"subscription": self._id})
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._subscriber.pool.aclose()

    async def _deliver(self) -> None:
        busy_at = time.monotonic()
        while not self._over() and await self._keep():
            if self._has_room():
                for resource, queue in (await self._ready()).items():
                    self._begin(resource, queue)
            if self._tasks:
                busy_at = time.monotonic()
                await self._settle(wait=0.1)
            elif time.monotonic() - busy_at > LINGER:
                return
            else:
                await self._sleep()

    async def _finish(self) -> None:
        """Wait for what is under way, write it down and give the lease back."""
        while self._tasks and await self._keep():
            await self._settle(wait=0.1)
        depot = self._depot
        await depot.ask(leases.release, depot.subscriptions, self._id, depot.owner)

    def _over(self) -> bool:
        return self._stopping or self._in_trouble

    async def _sleep(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), self._depot.pause)

    async def _keep(self) -> bool:
        """Prolong the lease in good time; False when it is lost."""
        depot = self._depot
        if self._lease.lasts(depot.patience + depot.margin / 2):
            return True
        lease = await depot.ask(depot.take, self._id)
        if lease is None or lease.fence > self._lease.fence + 1:  # one more: it had only run out
            return False
        self._lease = lease
        return True

    def _has_room(self) -> bool:
        if not self.wake.is_set() and time.monotonic() < self._look_at:
            return False
        return not self._tasks if self._failures >= SHUT else len(self._tasks) < WIDTH

    async def _ready(self) -> dict[str, list[Document]]:
        """Return deliveries of resources that are not under way; of one alone after failures."""
        self.wake.clear()
        found = await self._depot.ask(
            self._depot.deliveries.window,
            self._id,
            list(self._tasks.values()),
            1 if self._failures >= SHUT else RESOURCES,
        )
        self._look_at = 0.0 if found else time.monotonic() + self._depot.pause
        return found

    def _begin(self, resource: str, queue: list[Document]) -> None:
        task = asyncio.create_task(self._one_by_one(queue))
        self._tasks[task] = resource
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._finished.append(task)
        if len(self._tasks) - len(self._finished) < WIDTH or len(self._outcomes) >= ENOUGH:
            self._progress.set()

    async def _one_by_one(self, queue: list[Document]) -> None:
        """Deliver one resource's events in order, up to the first that fails."""
        depot = self._depot
        for delivery in queue:
            async with self._width, depot.slots:
                if self._over() or not self._lease.lasts(depot.patience):
                    return
                attempt = await send(
                    self._subscriber, delivery["payload"], depot.policy, depot.patience
                )
            self._outcomes.append((delivery, attempt, self._pause(delivery, attempt)))
            if attempt.ok:
                self._failures = 0
                continue
            if not self._in_trouble:
                self._failures += 1
            self._in_trouble |= self._failures >= SHUT or attempt.gone
            return

    def _pause(self, delivery: Document, attempt: Attempt) -> float | None:
        """Return the seconds until the next try; None when there is none."""
        depot = self._depot
        if attempt.ok or attempt.gone:
            return None
        if datetime.now(UTC) - delivery["created"] > depot.give_up:
            return None
        return max(depot.backoff(delivery["tries"]), min(attempt.retry_after, depot.longest))

    async def _settle(self, *, wait: float) -> None:
        """Wait a little for what is under way and write down what came of it, many at a time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._progress.wait(), wait)
        self._progress.clear()
        finished, self._finished = self._finished, []
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            await self._depot.ask(self._depot.deliveries.settle, self._lease.fence, outcomes)
            await self._remember(outcomes)
        for task in finished:
            del self._tasks[task]
            task.result()

    async def _remember(self, outcomes: list[Outcome]) -> None:
        """Keep, beside the subscription, how it goes; a subscriber that is gone is let go."""
        depot = self._depot
        if any(attempt.gone for _, attempt, _ in outcomes):
            reason = "the subscriber answered 410 Gone"
            change: Document = {"state": "disabled", "reason": reason}
            await self._write(change)
            await depot.ask(depot.deliveries.park, self._id, reason)
            return
        if self._failures == self._known:
            return
        pause = depot.backoff(self._failures - SHUT) if self._failures >= SHUT else 0.0
        asked = max(attempt.retry_after for _, attempt, _ in outcomes)
        pause = max(pause, min(asked, depot.longest)) if self._failures else 0.0
        change = {"failures": self._failures, "next": {"$add": ["$$NOW", int(pause * 1000)]}}
        if self._failures >= SHUT:
            error = next((one.error for _, one, _ in reversed(outcomes) if one.error), "")
            change["error"] = {"$literal": error[:300]}
        await self._write({"lane": change})
        self._known = self._failures

    async def _write(self, change: Document) -> None:
        await self._depot.ask(
            self._depot.subscriptions.update_one,
            {"_id": self._id, "lease.fence": self._lease.fence},
            [{"$set": change}],
        )
