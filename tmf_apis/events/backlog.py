"""Backlog for monitoring: pending events, and deliveries by state."""

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pymongo
from pymongo.errors import PyMongoError

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.events import delivery_queue, subscriptions
from tmf_apis.events.delivery_admin import DELIVERY_STATES, counts_by_subscription
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.indexes import PENDING_EVENTS

#: Time limit of the queries, in seconds.
QUERY_TIMEOUT = 2.0
#: Age up to which a snapshot is reused, in seconds.
CACHE_TTL = 5.0
#: Longest time that a reader waits for a refresh, in seconds.
REFRESH_WAIT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogSnapshot:
    """The backlog at one point in time.

    Attributes:
        is_available: The database answered; if not, the other attributes mean nothing.
        pending_events: Events that the relay has not processed yet.
        pending_audit_entries: Audit entries that are not sealed yet.
        deliveries: Number of deliveries by state.
        oldest_age: Age of the oldest pending delivery, in seconds; 0 if there is none.
        subscriptions: Number of subscriptions by state.
    """

    is_available: bool
    pending_events: int = 0
    pending_audit_entries: int = 0
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest_age: float = 0.0
    subscriptions: dict[str, int] = field(default_factory=dict)


class BacklogMonitor:
    """Reads the backlog in a thread of its own and caches it for a few seconds."""

    def __init__(self, database: MongoDatabase, kinds: Sequence[str]) -> None:
        self._database = database
        self._kinds = kinds
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(1, "backlog")
        self._snapshot = BacklogSnapshot(is_available=False)
        self._refreshed_at = 0.0
        self._refresh_done: threading.Event | None = None

    def snapshot(self) -> BacklogSnapshot:
        """Return the last snapshot, refreshed if it is old.

        Waits for the refresh for ``REFRESH_WAIT`` at most, so an unreachable database does not
        delay the caller.
        """
        with self._lock:
            if self._refreshed_at and time.monotonic() - self._refreshed_at < CACHE_TTL:
                return self._snapshot
            if self._refresh_done is None:
                self._refresh_done = threading.Event()
                self._executor.submit(self._refresh)
            refresh_done = self._refresh_done
        refresh_done.wait(REFRESH_WAIT)
        return self._snapshot

    def _refresh(self) -> None:
        try:
            with pymongo.timeout(QUERY_TIMEOUT):
                snapshot = read_backlog(self._database, self._kinds)
        except PyMongoError:
            snapshot = BacklogSnapshot(is_available=False)
        with self._lock:
            self._snapshot, self._refreshed_at = snapshot, time.monotonic()
            refresh_done, self._refresh_done = self._refresh_done, None
        if refresh_done:
            refresh_done.set()


def read_backlog(database: MongoDatabase, kinds: Sequence[str]) -> BacklogSnapshot:
    """Return the backlog of these kinds; each number is read from an index."""
    rows = database[subscriptions.COLLECTION].find({}, {"state": 1})
    states = {row["_id"]: row["state"] for row in rows}
    counts = counts_by_subscription(database, list(states))
    return BacklogSnapshot(
        is_available=True,
        pending_events=sum(_pending_event_count(database, kind) for kind in kinds),
        pending_audit_entries=AuditLog(database).pending_count(),
        deliveries={
            state: sum(by_state.get(state, 0) for by_state in counts.values())
            for state in DELIVERY_STATES
        },
        oldest_age=_oldest_pending_age(
            database, [id for id, by_state in counts.items() if by_state.get("pending")]
        ),
        subscriptions={
            state: list(states.values()).count(state) for state in ("active", "disabled")
        },
    )


def _pending_event_count(database: MongoDatabase, kind: str) -> int:
    """Return the number of events in the outboxes of a kind."""
    stages = [
        {"$match": dict(PENDING_EVENTS)},
        {"$group": {"_id": None, "count": {"$sum": {"$size": "$events"}}}},
    ]
    return sum(row["count"] for row in database[kind].aggregate(stages, hint="pending"))


def _oldest_pending_age(database: MongoDatabase, subscription_ids: Collection[str]) -> float:
    """Return the age of the oldest pending delivery of these subscriptions, in seconds."""
    collection = database[delivery_queue.COLLECTION]
    oldest = datetime.now(UTC)
    for id in subscription_ids:
        query = {"subscription": id, "state": "pending"}
        delivery = collection.find_one(query, {"_id": 0, "created": 1}, sort=[("created", 1)])
        if delivery:
            created = delivery["created"]
            oldest = min(oldest, created if created.tzinfo else created.replace(tzinfo=UTC))
    return (datetime.now(UTC) - oldest).total_seconds() if subscription_ids else 0.0
