"""Deliveries: one document for each event and subscription that belong together.

Collection ``deliveries``::

    _id           "<subscription>:<eventId>": writing it twice is writing it once
    subscription, tenant, event, type, at
    resource      "<kind>:<id>"; deliveries of one resource go out in the order of ``seq``
    seq
    state         "pending", "delivered" or "parked", the latter with a ``reason``
    due           when it may be tried next, on the server's clock
    tries, log    number of attempts, and the last of them: {at, status, error, took}
    fence         number of the lease that tried it last
    payload       the body, as it is sent
    created       when it was queued
    expires       when the database forgets it, once it is delivered or parked
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import DESCENDING, IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

COLLECTION = "deliveries"
#: Attempts that are kept in a delivery.
MAX_LOGGED_ATTEMPTS = 10
#: Resources looked at, deliveries and bytes read in one go.
WINDOW_RESOURCES, WINDOW_DELIVERIES, WINDOW_BYTES = 200, 500, 8 * 1024 * 1024
#: MongoDB error code: the document is there already.
DUPLICATE_KEY = 11000

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
    """How one try to deliver went.

    Attributes:
        is_delivered: The subscriber has it.
        status: HTTP status; None when there was no answer.
        error: What went wrong; empty when nothing did.
        duration: Seconds.
        retry_after: What the subscriber asked for, in seconds; 0 when it did not.
    """

    is_delivered: bool
    status: int | None
    error: str
    duration: float
    retry_after: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the subscriber wants no more, ever."""
        return self.status == 410  # noqa: PLR2004


class DeliveryQueue:
    """The deliveries of one database."""

    def __init__(
        self,
        database: Database[Document],
        *,
        delivered_retention: timedelta,
        parked_retention: timedelta,
    ) -> None:
        utc = database.codec_options.with_options(tz_aware=True, tzinfo=UTC)
        self.collection: Collection[Document] = database[COLLECTION].with_options(utc)
        self._delivered_retention = delivered_retention
        self._parked_retention = parked_retention

    def prepare(self) -> None:
        """Make the indexes."""
        self.collection.create_indexes(INDEXES)

    def enqueue(self, documents: Sequence[Document]) -> None:
        """Queue deliveries; those that are there already stay as they are."""
        try:
            self.collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failures = error.details.get("writeErrors", [])
            if any(one["code"] != DUPLICATE_KEY for one in failures) or error.details.get(
                "writeConcernErrors"
            ):
                raise

    def pending_subscriptions(self) -> list[str]:
        """Return the subscriptions that anything waits for."""
        return list(self.collection.distinct("subscription", PENDING))

    def has_due(self, subscription: str) -> bool:
        """Return whether anything may be tried now."""
        query = {**PENDING, "subscription": subscription, **DUE}
        return self.collection.find_one(query, {"_id": 1}) is not None

    def fetch_window(
        self, subscription: str, busy: Iterable[str], resources: int = WINDOW_RESOURCES
    ) -> dict[str, list[Document]]:
        """Return what may be delivered now, by resource, each in its order.

        Args:
            subscription: Who for.
            busy: Resources that are being delivered.
            resources: Most resources to return.
        """
        query = {**PENDING, "subscription": subscription, "resource": {"$nin": list(busy)}, **DUE}
        rows = self.collection.find(query, {"resource": 1}).sort("due", 1).limit(resources)
        names = sorted({row["resource"] for row in rows})
        if not names:
            return {}
        found: dict[str, list[Document]] = {}
        size = 0
        cursor = self.collection.find(
            {**PENDING, "subscription": subscription, "resource": {"$in": names}},
            {"resource": 1, "seq": 1, "tries": 1, "due": 1, "created": 1, "payload": 1}
            | {"wait": {"$gt": ["$due", "$$NOW"]}},
        )
        with cursor.sort([("resource", 1), ("seq", 1)]).limit(WINDOW_DELIVERIES).batch_size(50):
            for document in cursor:
                found.setdefault(document["resource"], []).append(document)
                size += len(document["payload"])
                if size > WINDOW_BYTES:
                    break
        blocked = {name: queue[0]["due"] for name, queue in found.items() if queue[0]["wait"]}
        self._defer(subscription, blocked)
        return {name: queue for name, queue in found.items() if name not in blocked}

    def _defer(self, subscription: str, blocked: dict[str, datetime]) -> None:
        """Let what stands behind a delivery that waits wait as long."""
        for resource, due in blocked.items():
            self.collection.update_many(
                {**PENDING, "subscription": subscription, "resource": resource}
                | {"due": {"$lt": due}},
                {"$set": {"due": due}},
            )

    def record_attempts(
        self, fencing_token: int, outcomes: Iterable[tuple[Document, Attempt, float | None]]
    ) -> None:
        """Write down how attempts went.

        Args:
            fencing_token: Number of the lease; what a later holder has touched is left alone.
            outcomes: Delivery, attempt, and the seconds until the next; None: there is none.
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
        }
        change["log"] = {"$slice": [log, -MAX_LOGGED_ATTEMPTS]}
        if attempt.is_delivered:
            change |= {"state": "delivered", "expires": now + self._delivered_retention}
        elif pause is None:
            change |= {"state": "parked", "expires": now + self._parked_retention}
            change["reason"] = {"$literal": f"given up: {attempt.error}"[:300]}
        else:
            change["due"] = {"$add": ["$$NOW", int(pause * 1000)]}
        return UpdateOne(query, [{"$set": change}])

    def park(self, subscription: str, reason: str, *, before: datetime | None = None) -> int:
        """Park what waits for a subscription; only what is older than ``before``, if given."""
        query: Document = {**PENDING, "subscription": subscription}
        if before:
            query["created"] = {"$lt": before}
        expires = datetime.now(UTC) + self._parked_retention
        change = {"state": "parked", "reason": reason, "expires": expires}
        return self.collection.update_many(query, {"$set": change}).modified_count

    def delete_pending(self, subscription: str) -> None:
        """Drop what waits for a subscription that is no more."""
        self.collection.delete_many({**PENDING, "subscription": subscription})
