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

from tmf_apis.events.delivery_queue import WINDOW_RESOURCES, Attempt, DeliveryQueue
from tmf_apis.events.sender import Subscriber, send
from tmf_apis.events.signatures import subscription_key
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.security.pinned_http import async_connection_pool
from tmf_apis.store import leases
from tmf_apis.store.leases import Lease

#: Deliveries to one subscription under way at once.
MAX_CONCURRENT = 8
#: Failures in a row that shut a lane.
FAILURE_THRESHOLD = 3
#: Outcomes that are written down at once, without waiting for more.
FLUSH_SIZE = 100
#: How long a lane with nothing to do is kept, in seconds.
IDLE_TIMEOUT = 2.0

Document = dict[str, Any]
T = TypeVar("T")
#: Delivery, attempt, and the seconds until the next try.
DeliveryOutcome = tuple[Document, Attempt, float | None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherContext:
    """What all lanes of a process share.

    Attributes:
        subscriptions: The subscriptions.
        queue: The queue.
        server_key: The server's key, which subscriptions' keys come from.
        policy: Where callbacks may lead.
        owner: Name of this process.
        executor: Where the database is waited for.
        process_limit: Bounds the deliveries under way in the whole process.
        attempt_timeout: Longest time of one attempt, in seconds.
        retry_first: Pause before the first retry, in seconds; it doubles with each.
        retry_longest: Longest pause, in seconds.
        max_age: Age at which a delivery that fails is parked.
        poll_interval: Time between two looks at the queue, in seconds.
        lease_margin: How much longer than an attempt a lane's lease lasts, in seconds: no attempt
            outlives the lease, so that two processes never deliver side by side.
    """

    subscriptions: Collection[Document]
    queue: DeliveryQueue
    server_key: bytes
    policy: OutboundPolicy
    owner: str
    executor: Executor
    process_limit: asyncio.Semaphore
    attempt_timeout: float
    retry_first: float
    retry_longest: float
    max_age: timedelta
    poll_interval: float
    lease_margin: float

    async def run_in_executor(self, call: Callable[..., T], *args: object, **keywords: object) -> T:
        """Return what a call to the database returns, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, partial(call, *args, **keywords))

    def backoff(self, tries: int) -> float:
        """Return a pause: exponential, with full jitter."""
        return random.uniform(0, min(self.retry_longest, self.retry_first * 2.0 ** min(tries, 40)))  # noqa: S311

    def acquire_lease(self, subscription: str) -> Lease | None:
        """Take or prolong the lease of a lane."""
        lasting = self.attempt_timeout + self.lease_margin
        return leases.acquire(self.subscriptions, subscription, self.owner, lasting, state="active")


class SubscriptionDispatcher:
    """One subscription's deliveries, while this process holds its lease."""

    def __init__(self, context: DispatcherContext, lease: Lease) -> None:
        self.wakeup = asyncio.Event()
        self._context = context
        self._lease = lease
        self._subscription_id: str = lease.document["_id"]
        self._failures: int = lease.document.get("lane", {}).get("failures", 0)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._finished_tasks: list[asyncio.Task[None]] = []
        self._progress = asyncio.Event()
        self._stored_failures = self._failures
        self._outcomes: list[DeliveryOutcome] = []
        self._subscriber = Subscriber(
            lease.document["url"],
            subscription_key(context.server_key, self._subscription_id),
            async_connection_pool(context.policy, max_connections=MAX_CONCURRENT),
        )
        self._limit = asyncio.Semaphore(MAX_CONCURRENT)
        self._next_poll = 0.0
        self._stopping = False
        self._circuit_open = False

    def stop(self) -> None:
        """Begin nothing more; what is under way is finished."""
        self._stopping = True
        self.wakeup.set()

    async def run(self) -> None:
        """Deliver until nothing is due, the subscriber is in trouble, or the lease is lost."""
        try:
            await self._deliver()
            await self._finish()
        except PyMongoError as error:
            log.warning("lane left: %s", error, extra={"subscription": self._subscription_id})
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._subscriber.pool.aclose()

    async def _deliver(self) -> None:
        busy_at = time.monotonic()
        while not self._is_ending() and await self._renew_lease():
            if self._has_capacity():
                for resource, queue in (await self._fetch_window()).items():
                    self._start_delivery(resource, queue)
            if self._tasks:
                busy_at = time.monotonic()
                await self._record_outcomes(wait=0.1)
            elif time.monotonic() - busy_at > IDLE_TIMEOUT:
                return
            else:
                await self._sleep()

    async def _finish(self) -> None:
        """Wait for what is under way, write it down and give the lease back."""
        while self._tasks and await self._renew_lease():
            await self._record_outcomes(wait=0.1)
        depot = self._context
        await depot.run_in_executor(
            leases.release, depot.subscriptions, self._subscription_id, depot.owner
        )

    def _is_ending(self) -> bool:
        return self._stopping or self._circuit_open

    async def _sleep(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wakeup.wait(), self._context.poll_interval)

    async def _renew_lease(self) -> bool:
        """Prolong the lease in good time; False when it is lost."""
        depot = self._context
        if self._lease.is_valid_for(depot.attempt_timeout + depot.lease_margin / 2):
            return True
        lease = await depot.run_in_executor(depot.acquire_lease, self._subscription_id)
        if (
            lease is None or lease.fencing_token > self._lease.fencing_token + 1
        ):  # one more: it had only run out
            return False
        self._lease = lease
        return True

    def _has_capacity(self) -> bool:
        if not self.wakeup.is_set() and time.monotonic() < self._next_poll:
            return False
        return (
            not self._tasks
            if self._failures >= FAILURE_THRESHOLD
            else len(self._tasks) < MAX_CONCURRENT
        )

    async def _fetch_window(self) -> dict[str, list[Document]]:
        """Return deliveries of resources that are not under way; of one alone after failures."""
        self.wakeup.clear()
        found = await self._context.run_in_executor(
            self._context.queue.fetch_window,
            self._subscription_id,
            list(self._tasks.values()),
            1 if self._failures >= FAILURE_THRESHOLD else WINDOW_RESOURCES,
        )
        self._next_poll = 0.0 if found else time.monotonic() + self._context.poll_interval
        return found

    def _start_delivery(self, resource: str, queue: list[Document]) -> None:
        task = asyncio.create_task(self._deliver_in_order(queue))
        self._tasks[task] = resource
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._finished_tasks.append(task)
        if (
            len(self._tasks) - len(self._finished_tasks) < MAX_CONCURRENT
            or len(self._outcomes) >= FLUSH_SIZE
        ):
            self._progress.set()

    async def _deliver_in_order(self, queue: list[Document]) -> None:
        """Deliver one resource's events in order, up to the first that fails."""
        depot = self._context
        for delivery in queue:
            async with self._limit, depot.process_limit:
                if self._is_ending() or not self._lease.is_valid_for(depot.attempt_timeout):
                    return
                attempt = await send(
                    self._subscriber, delivery["payload"], depot.policy, depot.attempt_timeout
                )
            self._outcomes.append((delivery, attempt, self._retry_pause(delivery, attempt)))
            if attempt.is_delivered:
                self._failures = 0
                continue
            if not self._circuit_open:
                self._failures += 1
            self._circuit_open |= self._failures >= FAILURE_THRESHOLD or attempt.is_gone
            return

    def _retry_pause(self, delivery: Document, attempt: Attempt) -> float | None:
        """Return the seconds until the next try; None when there is none."""
        depot = self._context
        if attempt.is_delivered or attempt.is_gone:
            return None
        if datetime.now(UTC) - delivery["created"] > depot.max_age:
            return None
        return max(depot.backoff(delivery["tries"]), min(attempt.retry_after, depot.retry_longest))

    async def _record_outcomes(self, *, wait: float) -> None:
        """Wait a little for what is under way and write down what came of it, many at a time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._progress.wait(), wait)
        self._progress.clear()
        finished, self._finished_tasks = self._finished_tasks, []
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            await self._context.run_in_executor(
                self._context.queue.record_attempts, self._lease.fencing_token, outcomes
            )
            await self._store_failures(outcomes)
        for task in finished:
            del self._tasks[task]
            task.result()

    async def _store_failures(self, outcomes: list[DeliveryOutcome]) -> None:
        """Keep, beside the subscription, how it goes; a subscriber that is gone is let go."""
        depot = self._context
        if any(attempt.is_gone for _, attempt, _ in outcomes):
            reason = "the subscriber answered 410 Gone"
            change: Document = {"state": "disabled", "reason": reason}
            await self._update_subscription(change)
            await depot.run_in_executor(depot.queue.park, self._subscription_id, reason)
            return
        if self._failures == self._stored_failures:
            return
        pause = (
            depot.backoff(self._failures - FAILURE_THRESHOLD)
            if self._failures >= FAILURE_THRESHOLD
            else 0.0
        )
        asked = max(attempt.retry_after for _, attempt, _ in outcomes)
        pause = max(pause, min(asked, depot.retry_longest)) if self._failures else 0.0
        change = {"failures": self._failures, "next": {"$add": ["$$NOW", int(pause * 1000)]}}
        if self._failures >= FAILURE_THRESHOLD:
            error = next((one.error for _, one, _ in reversed(outcomes) if one.error), "")
            change["error"] = {"$literal": error[:300]}
        await self._update_subscription({"lane": change})
        self._stored_failures = self._failures

    async def _update_subscription(self, change: Document) -> None:
        await self._context.run_in_executor(
            self._context.subscriptions.update_one,
            {"_id": self._subscription_id, "lease.fence": self._lease.fencing_token},
            [{"$set": change}],
        )
