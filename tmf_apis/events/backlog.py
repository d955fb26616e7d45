"""How much waits: pending events and deliveries by state, for monitoring."""

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pymongo
from pymongo.errors import PyMongoError

from tmf_apis.events import deliveries, subscriptions
from tmf_apis.events.admin import STATES, by_subscription
from tmf_apis.store.connection import Documents
from tmf_apis.store.indexes import PENDING

#: Longest time to find the figures out; how long they count as new; how long a reader waits for
#: new ones. In seconds.
LONGEST, AGE, WAIT = 2.0, 5.0, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What waits.

    Attributes:
        known: The database answered; if not, the rest says nothing.
        pending_events: Events that the relay has not handed on.
        deliveries: Deliveries by state.
        oldest: Age of the oldest pending delivery, in seconds; 0 where there is none.
        subscriptions: Subscriptions by state.
    """

    known: bool
    pending_events: int = 0
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest: float = 0.0
    subscriptions: dict[str, int] = field(default_factory=dict)


class Backlog:
    """The figures, looked up beside the requests for them and kept a few seconds."""

    def __init__(self, database: Documents, kinds: Sequence[str]) -> None:
        self._database = database
        self._kinds = kinds
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "backlog")
        self._known = Figures(known=False)
        self._at = 0.0
        self._fresh: threading.Event | None = None

    def figures(self) -> Figures:
        """Return the figures; waits a moment for new ones, not for a database that is down."""
        with self._lock:
            if self._at and time.monotonic() - self._at < AGE:
                return self._known
            if self._fresh is None:
                self._fresh = threading.Event()
                self._pool.submit(self._look)
            fresh = self._fresh
        fresh.wait(WAIT)
        return self._known

    def _look(self) -> None:
        try:
            with pymongo.timeout(LONGEST):
                found = read(self._database, self._kinds)
        except PyMongoError:
            found = Figures(known=False)
        with self._lock:
            self._known, self._at = found, time.monotonic()
            fresh, self._fresh = self._fresh, None
        if fresh:
            fresh.set()


def read(database: Documents, kinds: Sequence[str]) -> Figures:
    """Return the figures; each from an index."""
    hub = database[subscriptions.COLLECTION]
    states = {row["_id"]: row["state"] for row in hub.find({}, {"state": 1})}
    counts = by_subscription(database, list(states))
    return Figures(
        known=True,
        pending_events=sum(_pending(database, kind) for kind in kinds),
        deliveries={s: sum(one.get(s, 0) for one in counts.values()) for s in STATES},
        oldest=_oldest(database, [id for id, one in counts.items() if one.get("pending")]),
        subscriptions={s: list(states.values()).count(s) for s in ("active", "disabled")},
    )


def _pending(database: Documents, kind: str) -> int:
    """Return how many events wait in the resources of a kind."""
    stages = [
        {"$match": dict(PENDING)},
        {"$group": {"_id": None, "count": {"$sum": {"$size": "$events"}}}},
    ]
    return sum(row["count"] for row in database[kind].aggregate(stages, hint="pending"))


def _oldest(database: Documents, waiting: Collection[str]) -> float:
    """Return the age of the oldest delivery that waits for one of these subscriptions."""
    collection = database[deliveries.COLLECTION]
    oldest = datetime.now(UTC)
    for id in waiting:
        query = {"subscription": id, "state": "pending"}
        found = collection.find_one(query, {"_id": 0, "created": 1}, sort=[("created", 1)])
        if found:
            created = found["created"]
            oldest = min(oldest, created if created.tzinfo else created.replace(tzinfo=UTC))
    return (datetime.now(UTC) - oldest).total_seconds() if waiting else 0.0
