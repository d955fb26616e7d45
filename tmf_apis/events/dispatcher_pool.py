"""Delivery to all subscriptions: starts a dispatcher for each one that has due deliveries.

Delivery is at least once, with the same ``eventId`` in each attempt. The events of one resource
are delivered to a subscription in order. Failed attempts are repeated after growing pauses with
full jitter; after some days the delivery is parked. The subscriber's response decides:

    2xx            delivered
    410            disable the subscription and park its pending deliveries
    anything else  try again: 3xx (never followed), 4xx and 5xx alike, because a subscriber that
                   refuses today may be repaired tomorrow; ``Retry-After`` is respected, up to the
                   longest pause
    no response    try again
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from tmf_apis.events.dispatcher import FAILURE_THRESHOLD, DispatcherContext, SubscriptionDispatcher
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store.executor import run_blocking
from tmf_apis.store.leases import Lease

#: Interval between two checks for deliveries that are too old, in seconds.
EXPIRY_CHECK_INTERVAL = 60.0
#: Longest wait for deliveries in progress at shutdown, in seconds.
SHUTDOWN_GRACE = 5.0

Document = dict[str, Any]

log = logging.getLogger(__name__)


class DispatcherPool:
    """The dispatchers of this process."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context
        self._dispatchers: dict[str, tuple[SubscriptionDispatcher, asyncio.Task[None]]] = {}
        self._wakeup = asyncio.Event()
        self._backlog_checked_at = float("-inf")
        self._expiry_checked_at = 0.0
        self._unread = LastingCondition(
            log, "delivery queue cannot be read", "delivery queue can be read again"
        )
        self._excessive = LastingCondition(
            log, "too many pending events", "not too many pending events any more"
        )

    def wake(self, subscriptions: set[str]) -> None:
        """Read the queue now, because deliveries to these subscriptions were queued."""
        for id in subscriptions & self._dispatchers.keys():
            self._dispatchers[id][0].wakeup.set()
        if subscriptions - self._dispatchers.keys():
            self._wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then wait a few seconds for deliveries in progress."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            self._wakeup.clear()
            try:
                await self._start_dispatchers()
            except PyMongoError as error:
                self._unread.report(error=str(error))
            except Exception:
                log.exception("delivery queue cannot be read")
            else:
                self._unread.clear()
            woken = asyncio.create_task(self._wakeup.wait())
            await asyncio.wait(
                {woken, stopping},
                timeout=self._context.poll_interval,
                return_when=asyncio.FIRST_COMPLETED,
            )
            woken.cancel()
        for dispatcher, _ in self._dispatchers.values():
            dispatcher.stop()
        if tasks := [task for _, task in self._dispatchers.values()]:
            _, late = await asyncio.wait(tasks, timeout=SHUTDOWN_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_dispatchers(self) -> None:
        """Start a dispatcher for each subscription that has due deliveries and a free lease."""
        self._remove_finished()
        context = self._context
        pending = await run_blocking(context.executor, context.queue.pending_subscriptions)
        if time.monotonic() - self._backlog_checked_at > EXPIRY_CHECK_INTERVAL:
            self._backlog_checked_at = time.monotonic()
            await run_blocking(context.executor, self._park_excess, pending)
        ids = [id for id in pending if id not in self._dispatchers]
        if not ids:
            return
        subscriptions = await run_blocking(context.executor, self._load_subscriptions, ids)
        for id in ids:
            if await self._clear_if_inactive(id, subscriptions.get(id)):
                continue
            if subscriptions[id]["open"] and (
                lease := await run_blocking(context.executor, self._acquire_lease, id)
            ):
                dispatcher = SubscriptionDispatcher(context, lease)
                self._dispatchers[id] = dispatcher, asyncio.create_task(dispatcher.run())
        if time.monotonic() - self._expiry_checked_at > EXPIRY_CHECK_INTERVAL:
            self._expiry_checked_at = time.monotonic()
            await run_blocking(context.executor, self._park_expired, subscriptions)

    def _remove_finished(self) -> None:
        for id, (_, task) in list(self._dispatchers.items()):
            if not task.done():
                continue
            del self._dispatchers[id]
            if error := task.exception():
                log.error("dispatcher failed", exc_info=error, extra={"subscription": id})

    def _load_subscriptions(self, ids: list[str]) -> dict[str, Document]:
        """Return the subscriptions; ``open`` is set if a dispatcher can be started now."""
        is_free = {"$not": [{"$gt": [{"$ifNull": ["$lease.until", 0]}, "$$NOW"]}]}
        is_owner = {"$eq": ["$lease.owner", self._context.owner]}
        is_due = {"$not": [{"$gt": [{"$ifNull": ["$lane.next", 0]}, "$$NOW"]}]}
        can_start = {"$and": [{"$or": [is_free, is_owner]}, is_due]}
        projection = {"state": 1, "lane": 1, "open": can_start}
        rows = self._context.subscriptions.find({"_id": {"$in": ids}}, projection)
        return {row["_id"]: row for row in rows}

    def _acquire_lease(self, id: str) -> Lease | None:
        return self._context.acquire_lease(id) if self._context.queue.has_due(id) else None

    async def _clear_if_inactive(self, id: str, subscription: Document | None) -> bool:
        """Clear the queue of a subscription that has ended or is disabled; return whether it is."""
        context = self._context
        if subscription is None:
            await run_blocking(context.executor, context.queue.delete_pending, id)
            return True
        if subscription["state"] != "active":
            reason = "the subscription is disabled"
            await run_blocking(context.executor, context.queue.park, id, reason)
            return True
        return False

    def _park_expired(self, subscriptions: dict[str, Document]) -> None:
        """Park the deliveries that became too old while their subscriber was failing."""
        before = datetime.now(UTC) - self._context.max_age
        for id, subscription in subscriptions.items():
            if subscription.get("lane", {}).get("failures", 0) >= FAILURE_THRESHOLD:
                self._context.queue.park(id, "not delivered in time", before=before)

    def _park_excess(self, ids: list[str]) -> None:
        """Park the oldest deliveries of the subscriptions that have too many pending ones."""
        limit = self._context.max_backlog
        self._excessive.forget_others(ids)
        for id in ids:
            if limit and (count := self._context.queue.park_excess(id, limit)):
                self._excessive.report(id, subscription=id, parked=count)
            else:
                self._excessive.clear(id, subscription=id)
