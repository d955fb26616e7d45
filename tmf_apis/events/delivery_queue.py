"""The queue of deliveries: one document for each event and each subscription that matches it.

Collection ``deliveries``::

    _id           "<subscription>:<eventId>": queuing an event twice has no effect
    subscription, tenant, event, type, at
    resource      "<kind>:<id>"; deliveries of one resource are sent in the order of ``seq``
    seq           order of the events of one resource
    state         "pending", "delivered" or "parked"; "parked" has a ``reason``
    due           time of the next attempt, on the database server's clock
    tries, log    number of attempts, and the last attempts: {at, status, error, took}
    fence         fencing token of the lease under which the last attempt was made
    payload       the request body; encrypted if the delivery has a ``key``
    trace         ``traceparent`` of the request that has caused the event; absent if it had none
    key           id of the data key of a payload with personal attributes; absent if it has none
    created       time when it was queued
    expires       time when the database deletes it, once it is delivered or parked
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import DESCENDING, IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from tmf_apis.events.payloads import open_payloads, sealed_payloads
from tmf_apis.store.bulk import insert_new
from tmf_apis.store.data_keys import DataKeys

COLLECTION = "deliveries"
#: Most attempts in the log of a delivery.
MAX_LOGGED_ATTEMPTS = 10
#: Most resources, deliveries and bytes in one window.
WINDOW_RESOURCES, WINDOW_DELIVERIES, WINDOW_BYTES = 200, 500, 8 * 1024 * 1024

Document = dict[str, Any]
PENDING = {"state": "pending"}
DUE = {"$expr": {"$lte": ["$due", "$$NOW"]}}

INDEXES = [
    IndexModel([("state", 1), ("subscription", 1), ("due", 1)], partialFilterExpression=PENDING),
    IndexModel(
        [("state", 1), ("subscription", 1), ("resource", 1), ("seq", 1)],
        partialFilterExpression=PENDING,
    ),
    IndexModel([("tenant", 1), ("created", DESCENDING)]),
    IndexModel([("subscription", 1), ("state", 1), ("created", DESCENDING)]),
    IndexModel(
        "expires", expireAfterSeconds=0, partialFilterExpression={"expires": {"$exists": True}}
    ),
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt to deliver.

    Attributes:
        is_delivered: The subscriber has accepted the event.
        status: HTTP status; None without a response.
        error: Description of the failure; empty on success.
        duration: Duration of the attempt, in seconds.
        retry_after: Pause that the subscriber requests, in seconds; 0 if it requests none.
    """

    is_delivered: bool
    status: int | None
    error: str
    duration: float
    retry_after: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Return whether the subscriber permanently refuses events."""
        return self.status == 410  # noqa: PLR2004


class DeliveryQueue:
    """The deliveries of one database."""

    def __init__(
        self,
        database: Database[Document],
        *,
        delivered_retention: timedelta,
        parked_retention: timedelta,
        keys: DataKeys | None = None,
    ) -> None:
        utc = database.codec_options.with_options(tz_aware=True, tzinfo=UTC)
        self.collection: Collection[Document] = database[COLLECTION].with_options(utc)
        self._keys = keys
        self._delivered_retention = delivered_retention
        self._parked_retention = parked_retention

    def prepare(self) -> None:
        """Create the indexes."""
        self.collection.create_indexes(INDEXES)

    def enqueue(self, documents: Sequence[Document]) -> None:
        """Queue deliveries; those that are queued already stay unchanged."""
        if self._keys and any("key" in document for document in documents):
            documents = sealed_payloads(documents, self._keys)
        insert_new(self.collection, documents)

    def pending_subscriptions(self) -> list[str]:
        """Return the ids of the subscriptions that have pending deliveries."""
        return list(self.collection.distinct("subscription", PENDING))

    def has_due(self, subscription: str) -> bool:
        """Return whether a delivery of the subscription is due."""
        query = {**PENDING, "subscription": subscription, **DUE}
        return self.collection.find_one(query, {"_id": 1}) is not None

    def fetch_window(
        self, subscription: str, busy: Iterable[str], resources: int = WINDOW_RESOURCES
    ) -> dict[str, list[Document]]:
        """Return deliveries that are due, by resource, in the order of their events.

        Args:
            subscription: Id of the subscription.
            busy: Resources whose deliveries are in progress; they are left out.
            resources: Most resources to return.
        """
        query = {**PENDING, "subscription": subscription, "resource": {"$nin": list(busy)}, **DUE}
        rows = self.collection.find(query, {"resource": 1}).sort("due", 1).limit(resources)
        names = sorted({row["resource"] for row in rows})
        if not names:
            return {}
        queues: dict[str, list[Document]] = {}
        size = 0
        cursor = self.collection.find(
            {**PENDING, "subscription": subscription, "resource": {"$in": names}},
            {"resource": 1, "seq": 1, "tries": 1, "due": 1, "created": 1, "payload": 1, "key": 1}
            | {"trace": 1, "wait": {"$gt": ["$due", "$$NOW"]}},
        )
        with cursor.sort([("resource", 1), ("seq", 1)]).limit(WINDOW_DELIVERIES).batch_size(50):
            for delivery in cursor:
                queues.setdefault(delivery["resource"], []).append(delivery)
                size += len(delivery["payload"])
                if size > WINDOW_BYTES:
                    break
        blocked = {name: queue[0]["due"] for name, queue in queues.items() if queue[0]["wait"]}
        self._defer(subscription, blocked)
        due = {name: queue for name, queue in queues.items() if name not in blocked}
        return self._readable(due)

    def _readable(self, queues: dict[str, list[Document]]) -> dict[str, list[Document]]:
        """Return deliveries with decrypted payloads; park those whose data key is destroyed."""
        sealed = [row for queue in queues.values() for row in queue if "key" in row]
        if not sealed or self._keys is None:
            return queues
        erased = open_payloads(sealed, self._keys)
        if erased:
            expires = datetime.now(UTC) + self._parked_retention
            change = {"state": "parked", "reason": "its personal data was erased"}
            query = {**PENDING, "_id": {"$in": sorted(erased)}}
            self.collection.update_many(query, {"$set": {**change, "expires": expires}})
        readable = {
            name: [row for row in queue if row["_id"] not in erased]
            for name, queue in queues.items()
        }
        return {name: queue for name, queue in readable.items() if queue}

    def _defer(self, subscription: str, blocked: dict[str, datetime]) -> None:
        """Defer the deliveries of each resource until its first one is due."""
        for resource, due in blocked.items():
            self.collection.update_many(
                {**PENDING, "subscription": subscription, "resource": resource}
                | {"due": {"$lt": due}},
                {"$set": {"due": due}},
            )

    def record_attempts(
        self, fencing_token: int, outcomes: Iterable[tuple[Document, Attempt, float | None]]
    ) -> None:
        """Store the results of attempts.

        Args:
            fencing_token: Fencing token of the lease; deliveries that a later holder of the lease
                has updated stay unchanged.
            outcomes: Delivery, attempt, and the pause until the next attempt in seconds; None:
                there is no further attempt.
        """
        self.collection.bulk_write(
            [self._attempt_update(fencing_token, *outcome) for outcome in outcomes], ordered=False
        )

    def _attempt_update(
        self, fencing_token: int, delivery: Document, attempt: Attempt, pause: float | None
    ) -> UpdateOne:
        now = datetime.now(UTC)
        entry: Document = {"at": now, "status": attempt.status, "took": round(attempt.duration, 3)}
        if attempt.error:
            entry["error"] = attempt.error[:300]
        query = {
            "_id": delivery["_id"],
            **PENDING,
            "$or": [{"fence": {"$exists": False}}, {"fence": {"$lte": fencing_token}}],
        }
        log = {"$concatArrays": [{"$ifNull": ["$log", []]}, [{"$literal": entry}]]}
        change: Document = {
            "fence": fencing_token,
            "tries": {"$add": ["$tries", 1]},
            "log": {"$slice": [log, -MAX_LOGGED_ATTEMPTS]},
        }
        if attempt.is_delivered:
            change |= {"state": "delivered", "expires": now + self._delivered_retention}
        elif pause is None:
            change |= {"state": "parked", "expires": now + self._parked_retention}
            change["reason"] = {"$literal": f"given up: {attempt.error}"[:300]}
        else:
            change["due"] = {"$add": ["$$NOW", int(pause * 1000)]}
        return UpdateOne(query, [{"$set": change}])

    def park(self, subscription: str, reason: str, *, before: datetime | None = None) -> int:
        """Park the pending deliveries of a subscription; return how many were parked.

        With ``before``, park those only that were queued before that time.
        """
        query: Document = {**PENDING, "subscription": subscription}
        if before:
            query["created"] = {"$lt": before}
        expires = datetime.now(UTC) + self._parked_retention
        change = {"state": "parked", "reason": reason, "expires": expires}
        return self.collection.update_many(query, {"$set": change}).modified_count

    def park_excess(self, subscription: str, limit: int) -> int:
        """Park the oldest pending deliveries of a subscription that has more than ``limit``."""
        query = {**PENDING, "subscription": subscription}
        newest = self.collection.find(query, {"created": 1}).sort("created", DESCENDING)
        for delivery in newest.skip(limit).limit(1):
            before = delivery["created"] + timedelta(milliseconds=1)
            return self.park(subscription, f"more than {limit} events were pending", before=before)
        return 0

    def delete_pending(self, subscription: str) -> None:
        """Delete the pending deliveries of a subscription that has ended."""
        self.collection.delete_many({**PENDING, "subscription": subscription})
