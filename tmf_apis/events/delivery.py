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

from tmf_apis.events.lane import SHUT, Depot, Lane
from tmf_apis.events.leases import Lease

#: Time between two looks for what is too old or belongs to nobody, in seconds.
TIDY = 60.0
#: Longest wait at the end for what is under way, in seconds.
GRACE = 5.0

Document = dict[str, Any]
log = logging.getLogger(__name__)


class Deliverer:
    """Keeps the lanes of this process."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._tidied = 0.0

    def wake(self, subscriptions: set[str]) -> None:
        """Look at the queue now: something has been added for these subscriptions."""
        for id in subscriptions & self._lanes.keys():
            self._lanes[id][0].wake.set()
        if subscriptions - self._lanes.keys():
            self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; what is under way then is given a few seconds."""
        waiting = asyncio.create_task(stop.wait())
        while not stop.is_set():
            self._wake.clear()
            try:
                await self._look()
            except PyMongoError as error:
                log.warning("queue cannot be read: %s", error)
            except Exception:
                log.exception("queue cannot be read")
            woken = asyncio.create_task(self._wake.wait())
            await asyncio.wait(
                {woken, waiting}, timeout=self._depot.pause, return_when=asyncio.FIRST_COMPLETED
            )
            woken.cancel()
        for lane, _ in self._lanes.values():
            lane.stop()
        if tasks := [task for _, task in self._lanes.values()]:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Open a lane for every subscription that something is due for."""
        self._close_finished()
        depot = self._depot
        ids = await depot.ask(depot.deliveries.waiting)
        ids = [one for one in ids if one not in self._lanes]
        if not ids:
            return
        known = await depot.ask(self._known, ids)
        for id in ids:
            if await self._abandoned(id, known.get(id)):
                continue
            if known[id]["open"] and (lease := await depot.ask(self._claim, id)):
                lane = Lane(depot, lease)
                self._lanes[id] = lane, asyncio.create_task(lane.run())
        if time.monotonic() - self._tidied > TIDY:
            self._tidied = time.monotonic()
            await depot.ask(self._tidy, known)

    def _close_finished(self) -> None:
        for id, (_, task) in list(self._lanes.items()):
            if not task.done():
                continue
            del self._lanes[id]
            if error := task.exception():
                log.error("lane broke", exc_info=error, extra={"subscription": id})

    def _known(self, ids: list[str]) -> dict[str, Document]:
        """Return the subscriptions, and whether a lane may be opened for each now."""
        free = {"$not": [{"$gt": [{"$ifNull": ["$lease.until", 0]}, "$$NOW"]}]}
        mine = {"$eq": ["$lease.owner", self._depot.owner]}
        rested = {"$not": [{"$gt": [{"$ifNull": ["$lane.next", 0]}, "$$NOW"]}]}
        view = {"state": 1, "lane": 1, "open": {"$and": [{"$or": [free, mine]}, rested]}}
        rows = self._depot.subscriptions.find({"_id": {"$in": ids}}, view)
        return {row["_id"]: row for row in rows}

    def _claim(self, id: str) -> Lease | None:
        return self._depot.take(id) if self._depot.deliveries.is_due(id) else None

    async def _abandoned(self, id: str, subscription: Document | None) -> bool:
        """Clear the queue of a subscription that is no more or is disabled."""
        deliveries = self._depot.deliveries
        if subscription is None:
            await self._depot.ask(deliveries.forget, id)
            return True
        if subscription["state"] != "active":
            reason = "the subscription is disabled"
            await self._depot.ask(deliveries.park, id, reason)
            return True
        return False

    def _tidy(self, known: dict[str, Document]) -> None:
        """Park what has become too old behind a subscriber that does not answer."""
        before = datetime.now(UTC) - self._depot.give_up
        for id, subscription in known.items():
            if subscription.get("lane", {}).get("failures", 0) >= SHUT:
                self._depot.deliveries.park(id, "not delivered in time", before=before)
