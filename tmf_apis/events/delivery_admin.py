"""What an administrator sees of deliveries, and may do about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.events import subscriptions
from tmf_apis.events.delivery_queue import COLLECTION, PENDING
from tmf_apis.events.matcher import IMMEDIATELY

Document = dict[str, Any]
DELIVERY_STATES = ("pending", "delivered", "parked")
#: What an administrator sees of a delivery.
VISIBLE_FIELDS = (
    "subscription tenant event type at resource seq state reason due tries log created expires"
)
PROJECTION = dict.fromkeys(VISIBLE_FIELDS.split(), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCriteria:
    """Which deliveries; None does not narrow the choice.

    Attributes:
        tenant: Whose.
        subscription: Who for.
        state: "pending", "delivered" or "parked".
        event: Of one event, by its eventId.
        type: Of one event type.
        resource: Of one resource, as "<kind>:<id>".
    """

    tenant: str | None = None
    subscription: str | None = None
    state: str | None = None
    event: str | None = None
    type: str | None = None
    resource: str | None = None

    def query(self) -> Document:
        """Return the choice as a query."""
        names = ("tenant", "subscription", "state", "event", "type", "resource")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def find_deliveries(
    database: Database[Document], criteria: DeliveryCriteria, *, limit: int = 100, offset: int = 0
) -> tuple[list[Document], int]:
    """Return deliveries with their last attempts, newest first, and how many there are in all."""
    collection = database[COLLECTION]
    query = criteria.query()
    cursor = collection.find(query, PROJECTION).sort([("created", DESCENDING), ("seq", DESCENDING)])
    return [
        _public_form(row) for row in cursor.skip(offset).limit(limit)
    ], collection.count_documents(query)


def delivery_payload(database: Database[Document], id: str, tenant: str | None = None) -> bytes:
    """Return the body of one delivery as it is sent.

    Raises:
        NotFound: There is none (HTTP 404).
    """
    found = database[COLLECTION].find_one({"_id": id, **DeliveryCriteria(tenant=tenant).query()})
    if found is None:
        raise NotFound(f"there is no delivery {id}")
    return bytes(found["payload"])


def replay_delivery(database: Database[Document], id: str, tenant: str | None = None) -> int:
    """Deliver one parked or delivered event again.

    Raises:
        NotFound: There is no such delivery (HTTP 404).
        Conflict: Its subscription is ended or disabled (HTTP 409).
    """
    found = database[COLLECTION].find_one(
        {"_id": id, **DeliveryCriteria(tenant=tenant).query()}, PROJECTION
    )
    if found is None:
        raise NotFound(f"there is no delivery {id}")
    _require_active(database, found["subscription"], tenant)
    return _requeue(database, {"_id": id, "state": {"$ne": "pending"}})


def replay_parked(
    database: Database[Document], subscription: str, tenant: str | None = None
) -> int:
    """Deliver everything again that is parked for a subscription; return how many.

    Raises:
        NotFound: There is no such subscription (HTTP 404).
        Conflict: It is disabled (HTTP 409).
    """
    _require_active(database, subscription, tenant)
    return _requeue(database, {"subscription": subscription, "state": "parked"})


def enable_subscription(
    database: Database[Document], subscription: str, tenant: str | None = None
) -> None:
    """Let a disabled subscription receive again; what is parked stays so until it is replayed.

    Raises:
        NotFound: There is no such subscription (HTTP 404).
    """
    result = database[subscriptions.COLLECTION].update_one(
        {"_id": subscription, **DeliveryCriteria(tenant=tenant).query()},
        {"$set": {"state": "active", "lane": {"failures": 0}}, "$unset": {"reason": ""}},
    )
    if not result.matched_count:
        raise NotFound(f"there is no hub subscription {subscription}")


def counts_by_subscription(
    database: Database[Document], ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return for each subscription how many deliveries are in each state, from an index alone."""
    found: dict[str, dict[str, int]] = {}
    for row in database[COLLECTION].aggregate(count_pipeline(ids)):
        found.setdefault(row["_id"]["for"], {})[row["_id"]["state"]] = row["count"]
    return found


def count_pipeline(ids: Sequence[str]) -> list[Document]:
    """Return the pipeline that counts the deliveries of subscriptions by their states."""
    group = {"_id": {"for": "$subscription", "state": "$state"}, "count": {"$sum": 1}}
    match: Document = {"subscription": {"$in": list(ids)}}
    return [{"$match": match}, {"$group": group}]


def delivery_statistics(database: Database[Document]) -> dict[str, float]:
    """Return numbers for monitoring.

    Shape: deliveries by state, ``oldest`` = age of the oldest pending delivery in seconds,
    subscriptions by state, and ``failing`` subscriptions.
    """
    collection, hub = database[COLLECTION], database[subscriptions.COLLECTION]
    found: dict[str, float] = {
        state: collection.count_documents({"state": state}) for state in DELIVERY_STATES
    }
    oldest = collection.find_one(PENDING, {"created": 1}, sort=[("created", 1)])
    age = datetime.now(UTC) - _as_utc(oldest["created"]) if oldest else None
    found["oldest"] = max(0.0, age.total_seconds()) if age else 0.0
    for state in ("active", "disabled"):
        found[state] = hub.count_documents({"state": state})
    found["failing"] = hub.count_documents({"state": "active", "lane.failures": {"$gt": 0}})
    return found


def _require_active(database: Database[Document], id: str, tenant: str | None) -> None:
    query = {"_id": id, **DeliveryCriteria(tenant=tenant).query()}
    found = database[subscriptions.COLLECTION].find_one(query, {"state": 1, "reason": 1})
    if found is None:
        raise NotFound(f"there is no hub subscription {id}")
    if found["state"] != "active":
        raise Conflict(f"hub subscription {id} is disabled: {found.get('reason', '')}")


def _requeue(database: Database[Document], query: Mapping[str, Any]) -> int:
    change = {
        "$set": {"state": "pending", "due": IMMEDIATELY, "tries": 0, "created": datetime.now(UTC)},
        "$unset": {"expires": "", "reason": ""},
    }
    return database[COLLECTION].update_many(query, change).modified_count


def _public_form(row: Document) -> Document:
    """Return a delivery with ``id`` in place of the database's name for it."""
    return {"id": row.pop("_id"), **row}


def _as_utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
