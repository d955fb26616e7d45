"""Delivery to all subscriptions: gives each one that something waits for a lane of its own.

At least once, with the same ``eventId`` every time; in order per resource and subscription; tried
again with growing pauses and full jitter; parked after some days. What an answer means:

    2xx            delivered
    410            the subscription is disabled, and what waits for it is parked
    anything else  tried again: 3xx (never followed), 4xx and 5xx alike, because a subscriber that
                   refuses today may have been mended tomorrow; ``Retry-After`` is heeded, up to
                   the longest pause
    no answer      tried again
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from tmf_apis.events.dispatcher import FAILURE_THRESHOLD, DispatcherContext, SubscriptionDispatcher
from tmf_apis.store.leases import Lease

#: Time between two looks for what is too old or belongs to nobody, in seconds.
EXPIRY_CHECK_INTERVAL = 60.0
#: Longest wait at the end for what is under way, in seconds.
SHUTDOWN_GRACE = 5.0

Document = dict[str, Any]
log = logging.getLogger(__name__)


class DispatcherPool:
    """Keeps the lanes of this process."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context
        self._dispatchers: dict[str, tuple[SubscriptionDispatcher, asyncio.Task[None]]] = {}
        self._wakeup = asyncio.Event()
        self._expiry_checked_at = 0.0

    def wake(self, subscriptions: set[str]) -> None:
        """Look at the queue now: something has been added for these subscriptions."""
        for id in subscriptions & self._dispatchers.keys():
            self._dispatchers[id][0].wakeup.set()
        if subscriptions - self._dispatchers.keys():
            self._wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; what is under way then is given a few seconds."""
        waiting = asyncio.create_task(stop.wait())
        while not stop.is_set():
            self._wakeup.clear()
            try:
                await self._start_dispatchers()
            except PyMongoError as error:
                log.warning("queue cannot be read: %s", error)
            except Exception:
                log.exception("queue cannot be read")
            woken = asyncio.create_task(self._wakeup.wait())
            await asyncio.wait(
                {woken, waiting},
                timeout=self._context.poll_interval,
                return_when=asyncio.FIRST_COMPLETED,
            )
            woken.cancel()
        for lane, _ in self._dispatchers.values():
            lane.stop()
        if tasks := [task for _, task in self._dispatchers.values()]:
            _, late = await asyncio.wait(tasks, timeout=SHUTDOWN_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_dispatchers(self) -> None:
        """Open a lane for every subscription that something is due for."""
        self._remove_finished()
        depot = self._context
        ids = await depot.run_in_executor(depot.queue.pending_subscriptions)
        ids = [one for one in ids if one not in self._dispatchers]
        if not ids:
            return
        known = await depot.run_in_executor(self._load_subscriptions, ids)
        for id in ids:
            if await self._clear_if_inactive(id, known.get(id)):
                continue
            if known[id]["open"] and (
                lease := await depot.run_in_executor(self._acquire_lease, id)
            ):
                lane = SubscriptionDispatcher(depot, lease)
                self._dispatchers[id] = lane, asyncio.create_task(lane.run())
        if time.monotonic() - self._expiry_checked_at > EXPIRY_CHECK_INTERVAL:
            self._expiry_checked_at = time.monotonic()
            await depot.run_in_executor(self._park_expired, known)

    def _remove_finished(self) -> None:
        for id, (_, task) in list(self._dispatchers.items()):
            if not task.done():
                continue
            del self._dispatchers[id]
            if error := task.exception():
                log.error("lane broke", exc_info=error, extra={"subscription": id})

    def _load_subscriptions(self, ids: list[str]) -> dict[str, Document]:
        """Return the subscriptions, and whether a lane may be opened for each now."""
        free = {"$not": [{"$gt": [{"$ifNull": ["$lease.until", 0]}, "$$NOW"]}]}
        mine = {"$eq": ["$lease.owner", self._context.owner]}
        rested = {"$not": [{"$gt": [{"$ifNull": ["$lane.next", 0]}, "$$NOW"]}]}
        view = {"state": 1, "lane": 1, "open": {"$and": [{"$or": [free, mine]}, rested]}}
        rows = self._context.subscriptions.find({"_id": {"$in": ids}}, view)
        return {row["_id"]: row for row in rows}

    def _acquire_lease(self, id: str) -> Lease | None:
        return self._context.acquire_lease(id) if self._context.queue.has_due(id) else None

    async def _clear_if_inactive(self, id: str, subscription: Document | None) -> bool:
        """Clear the queue of a subscription that is no more or is disabled."""
        deliveries = self._context.queue
        if subscription is None:
            await self._context.run_in_executor(deliveries.delete_pending, id)
            return True
        if subscription["state"] != "active":
            reason = "the subscription is disabled"
            await self._context.run_in_executor(deliveries.park, id, reason)
            return True
        return False

    def _park_expired(self, known: dict[str, Document]) -> None:
        """Park what has become too old behind a subscriber that does not answer."""
        before = datetime.now(UTC) - self._context.max_age
        for id, subscription in known.items():
            if subscription.get("lane", {}).get("failures", 0) >= FAILURE_THRESHOLD:
                self._context.queue.park(id, "not delivered in time", before=before)
