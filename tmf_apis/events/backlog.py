"""How much waits: pending events and deliveries by state, for monitoring."""

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pymongo
from pymongo.errors import PyMongoError

from tmf_apis.events import delivery_queue, subscriptions
from tmf_apis.events.delivery_admin import DELIVERY_STATES, counts_by_subscription
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.indexes import PENDING_EVENTS

#: Longest time to find the figures out; how long they count as new; how long a reader waits for
#: new ones. In seconds.
QUERY_TIMEOUT, CACHE_TTL, REFRESH_WAIT = 2.0, 5.0, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogSnapshot:
    """What waits.

    Attributes:
        is_available: The database answered; if not, the rest says nothing.
        pending_events: Events that the relay has not handed on.
        deliveries: Deliveries by state.
        oldest_age: Age of the oldest pending delivery, in seconds; 0 where there is none.
        subscriptions: Subscriptions by state.
    """

    is_available: bool
    pending_events: int = 0
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest_age: float = 0.0
    subscriptions: dict[str, int] = field(default_factory=dict)


class BacklogMonitor:
    """The figures, looked up beside the requests for them and kept a few seconds."""

    def __init__(self, database: MongoDatabase, kinds: Sequence[str]) -> None:
        self._database = database
        self._kinds = kinds
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "backlog")
        self._snapshot = BacklogSnapshot(is_available=False)
        self._refreshed_at = 0.0
        self._refresh_done: threading.Event | None = None

    def snapshot(self) -> BacklogSnapshot:
        """Return the figures; waits a moment for new ones, not for a database that is down."""
        with self._lock:
            if self._refreshed_at and time.monotonic() - self._refreshed_at < CACHE_TTL:
                return self._snapshot
            if self._refresh_done is None:
                self._refresh_done = threading.Event()
                self._pool.submit(self._refresh)
            fresh = self._refresh_done
        fresh.wait(REFRESH_WAIT)
        return self._snapshot

    def _refresh(self) -> None:
        try:
            with pymongo.timeout(QUERY_TIMEOUT):
                found = read_backlog(self._database, self._kinds)
        except PyMongoError:
            found = BacklogSnapshot(is_available=False)
        with self._lock:
            self._snapshot, self._refreshed_at = found, time.monotonic()
            fresh, self._refresh_done = self._refresh_done, None
        if fresh:
            fresh.set()


def read_backlog(database: MongoDatabase, kinds: Sequence[str]) -> BacklogSnapshot:
    """Return the figures; each from an index."""
    hub = database[subscriptions.COLLECTION]
    states = {row["_id"]: row["state"] for row in hub.find({}, {"state": 1})}
    counts = counts_by_subscription(database, list(states))
    return BacklogSnapshot(
        is_available=True,
        pending_events=sum(_pending_event_count(database, kind) for kind in kinds),
        deliveries={s: sum(one.get(s, 0) for one in counts.values()) for s in DELIVERY_STATES},
        oldest_age=_oldest_pending_age(
            database, [id for id, one in counts.items() if one.get("pending")]
        ),
        subscriptions={s: list(states.values()).count(s) for s in ("active", "disabled")},
    )


def _pending_event_count(database: MongoDatabase, kind: str) -> int:
    """Return how many events wait in the resources of a kind."""
    stages = [
        {"$match": dict(PENDING_EVENTS)},
        {"$group": {"_id": None, "count": {"$sum": {"$size": "$events"}}}},
    ]
    return sum(row["count"] for row in database[kind].aggregate(stages, hint="pending"))


def _oldest_pending_age(database: MongoDatabase, subscription_ids: Collection[str]) -> float:
    """Return the age of the oldest delivery that waits for one of these subscriptions."""
    collection = database[delivery_queue.COLLECTION]
    oldest = datetime.now(UTC)
    for id in subscription_ids:
        query = {"subscription": id, "state": "pending"}
        found = collection.find_one(query, {"_id": 0, "created": 1}, sort=[("created", 1)])
        if found:
            created = found["created"]
            oldest = min(oldest, created if created.tzinfo else created.replace(tzinfo=UTC))
    return (datetime.now(UTC) - oldest).total_seconds() if subscription_ids else 0.0
