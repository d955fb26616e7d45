"""Delivery to one subscription, by the one process that holds its lease.

Deliveries of one resource are sent one after another, those of different resources concurrently.
After several failures in a row the circuit opens: a single delivery is tried after each pause, and
the pauses grow, until one succeeds. The state that must survive the process is in the database:
the queue, the number of failures, and the time of the next attempt.
"""

import asyncio
import logging
import random
import time
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from tmf_apis import tracing
from tmf_apis.events.delivery_queue import WINDOW_RESOURCES, Attempt, DeliveryQueue
from tmf_apis.events.sender import Subscriber, send
from tmf_apis.events.signatures import sender_id, subscription_key
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.security.pinned_http import async_connection_pool
from tmf_apis.security.request_origin import RequestOrigin, current_origin
from tmf_apis.store import leases
from tmf_apis.store.executor import run_blocking
from tmf_apis.store.leases import Lease

#: Most concurrent deliveries to one subscription.
MAX_CONCURRENT = 8
#: Failures in a row that open the circuit.
FAILURE_THRESHOLD = 3
#: Number of outcomes that are stored at once, without waiting for more.
FLUSH_SIZE = 100
#: Time after which a dispatcher without deliveries ends, in seconds.
IDLE_TIMEOUT = 2.0

Document = dict[str, Any]
#: Delivery, attempt, and the pause until the next attempt in seconds; None: there is none.
DeliveryOutcome = tuple[Document, Attempt, float | None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherContext:
    """Objects and limits that all dispatchers of a process share.

    Attributes:
        subscriptions: The collection of subscriptions.
        queue: The queue of deliveries.
        server_key: The server's key, from which the keys of subscriptions are derived.
        policy: Hosts that callbacks may have.
        owner: Name of this process, as the owner of leases.
        executor: Runs the database calls.
        process_limit: Limits the concurrent deliveries of the whole process.
        attempt_timeout: Time limit of one attempt, in seconds.
        retry_first: Pause before the first retry, in seconds; it doubles with each retry.
        retry_longest: Longest pause, in seconds.
        max_age: Age at which a failing delivery is parked.
        max_backlog: Most pending deliveries of a subscription; older ones are parked.
        poll_interval: Interval between two reads of the queue, in seconds.
        lease_margin: Difference between the duration of a lease and ``attempt_timeout``, in
            seconds. No attempt outlives the lease, so two processes never deliver to one
            subscription at the same time.
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
    max_backlog: int
    poll_interval: float
    lease_margin: float

    def backoff(self, tries: int) -> float:
        """Return a pause in seconds: exponential backoff with full jitter."""
        return random.uniform(0, min(self.retry_longest, self.retry_first * 2.0 ** min(tries, 40)))  # noqa: S311

    def acquire_lease(self, subscription: str) -> Lease | None:
        """Acquire or renew the lease of an active subscription; None: another process has it."""
        duration = self.attempt_timeout + self.lease_margin
        return leases.acquire(
            self.subscriptions, subscription, self.owner, duration, state="active"
        )


class SubscriptionDispatcher:
    """Sends the deliveries of one subscription while this process holds its lease."""

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
            sender_id(context.server_key),
            async_connection_pool(context.policy, max_connections=MAX_CONCURRENT),
        )
        self._limit = asyncio.Semaphore(MAX_CONCURRENT)
        self._next_poll = 0.0
        self._is_stopping = False
        self._circuit_open = False

    def stop(self) -> None:
        """Start no more deliveries; those in progress are completed."""
        self._is_stopping = True
        self.wakeup.set()

    async def run(self) -> None:
        """Deliver until stopped, nothing is due, the circuit opens, or the lease is lost."""
        try:
            await self._deliver()
            await self._finish()
        except PyMongoError as error:
            log.warning(
                "dispatcher stopped by a database error",
                extra={"subscription": self._subscription_id, "error": str(error)},
            )
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._subscriber.pool.aclose()

    async def _deliver(self) -> None:
        busy_at = time.monotonic()
        while not self._is_ending and await self._renew_lease():
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
        """Complete and store the deliveries in progress, then release the lease."""
        while self._tasks and await self._renew_lease():
            await self._record_outcomes(wait=0.1)
        context = self._context
        await run_blocking(
            context.executor,
            leases.release,
            context.subscriptions,
            self._subscription_id,
            context.owner,
        )

    @property
    def _is_ending(self) -> bool:
        return self._is_stopping or self._circuit_open

    @property
    def _is_probing(self) -> bool:
        """Return whether single deliveries are tried, after several failures in a row."""
        return self._failures >= FAILURE_THRESHOLD

    async def _sleep(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wakeup.wait(), self._context.poll_interval)

    async def _renew_lease(self) -> bool:
        """Renew the lease before it expires; return False if another process has it."""
        context = self._context
        if self._lease.is_valid_for(context.attempt_timeout + context.lease_margin / 2):
            return True
        lease = await run_blocking(context.executor, context.acquire_lease, self._subscription_id)
        # If the token is higher by one, the lease had expired, but no other process acquired it.
        if lease is None or lease.fencing_token > self._lease.fencing_token + 1:
            return False
        self._lease = lease
        return True

    def _has_capacity(self) -> bool:
        if not self.wakeup.is_set() and time.monotonic() < self._next_poll:
            return False
        return len(self._tasks) < (1 if self._is_probing else MAX_CONCURRENT)

    async def _fetch_window(self) -> dict[str, list[Document]]:
        """Return due deliveries of idle resources; of one resource only while probing."""
        self.wakeup.clear()
        window = await run_blocking(
            self._context.executor,
            self._context.queue.fetch_window,
            self._subscription_id,
            list(self._tasks.values()),
            1 if self._is_probing else WINDOW_RESOURCES,
        )
        self._next_poll = 0.0 if window else time.monotonic() + self._context.poll_interval
        return window

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
        """Deliver the events of one resource in order, up to the first failure."""
        context = self._context
        for delivery in queue:
            async with self._limit, context.process_limit:
                if self._is_ending or not self._lease.is_valid_for(context.attempt_timeout):
                    return
                attempt = await self._send(delivery)
            self._outcomes.append((delivery, attempt, self._retry_pause(delivery, attempt)))
            if attempt.is_delivered:
                self._failures = 0
                continue
            if not self._circuit_open:
                self._failures += 1
            self._circuit_open |= self._is_probing or attempt.is_gone
            return

    async def _send(self, delivery: Document) -> Attempt:
        """Send a delivery once, as a part of the trace of its event."""
        context = self._context
        current_origin.set(RequestOrigin(trace=delivery.get("trace", "")))
        facts = {"messaging.message.id": delivery["_id"], "tmf.attempt": delivery["tries"] + 1}
        with tracing.span("deliver event", facts, kind="producer") as span:
            attempt = await send(
                self._subscriber,
                delivery["payload"],
                context.policy,
                context.attempt_timeout,
                current_origin.get().trace,
            )
            if span and attempt.error:
                tracing.set_error(span, attempt.error)
        return attempt

    def _retry_pause(self, delivery: Document, attempt: Attempt) -> float | None:
        """Return the seconds until the next attempt; None if there is none."""
        context = self._context
        if attempt.is_delivered or attempt.is_gone:
            return None
        if datetime.now(UTC) - delivery["created"] > context.max_age:
            return None
        return max(
            context.backoff(delivery["tries"]), min(attempt.retry_after, context.retry_longest)
        )

    async def _record_outcomes(self, *, wait: float) -> None:
        """Wait up to ``wait`` seconds for deliveries in progress; store their outcomes at once."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._progress.wait(), wait)
        self._progress.clear()
        finished, self._finished_tasks = self._finished_tasks, []
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            await run_blocking(
                self._context.executor,
                self._context.queue.record_attempts,
                self._lease.fencing_token,
                outcomes,
            )
            await self._store_failures(outcomes)
        for task in finished:
            del self._tasks[task]
            task.result()

    async def _store_failures(self, outcomes: list[DeliveryOutcome]) -> None:
        """Store the number of failures in the subscription; disable one that answered 410."""
        context = self._context
        if any(attempt.is_gone for _, attempt, _ in outcomes):
            reason = "the subscriber answered 410 Gone"
            change: Document = {"state": "disabled", "reason": reason}
            await self._update_subscription(change)
            await run_blocking(context.executor, context.queue.park, self._subscription_id, reason)
            return
        if self._failures == self._stored_failures:
            return
        pause = self._subscription_pause(outcomes)
        change = {"failures": self._failures, "next": {"$add": ["$$NOW", int(pause * 1000)]}}
        if self._is_probing:
            errors = (attempt.error for _, attempt, _ in reversed(outcomes) if attempt.error)
            change["error"] = {"$literal": next(errors, "")[:300]}
        await self._update_subscription({"lane": change})
        self._stored_failures = self._failures

    def _subscription_pause(self, outcomes: list[DeliveryOutcome]) -> float:
        """Return the seconds until any delivery to the subscription is tried again."""
        if not self._failures:
            return 0.0
        requested = max(attempt.retry_after for _, attempt, _ in outcomes)
        pause = min(requested, self._context.retry_longest)
        if self._is_probing:
            pause = max(pause, self._context.backoff(self._failures - FAILURE_THRESHOLD))
        return pause

    async def _update_subscription(self, change: Document) -> None:
        await run_blocking(
            self._context.executor,
            self._context.subscriptions.update_one,
            {"_id": self._subscription_id, "lease.fence": self._lease.fencing_token},
            [{"$set": change}],
        )
