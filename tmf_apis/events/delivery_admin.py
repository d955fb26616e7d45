"""Administration of deliveries: list, replay, and enable subscriptions again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.events import subscriptions
from tmf_apis.events.delivery_queue import COLLECTION
from tmf_apis.events.matcher import IMMEDIATELY

Document = dict[str, Any]
DELIVERY_STATES = ("pending", "delivered", "parked")
#: Members of a delivery that administrators can see; the payload is not one of them.
VISIBLE_FIELDS = (
    "subscription tenant event type at resource seq state reason due tries log created expires"
)
PROJECTION = dict.fromkeys(VISIBLE_FIELDS.split(), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCriteria:
    """Criteria that select deliveries; None does not restrict the selection.

    Attributes:
        tenant: Tenant of the subscription.
        subscription: Id of the subscription.
        state: "pending", "delivered" or "parked".
        event: The eventId.
        type: The event type.
        resource: The resource, as "<kind>:<id>".
    """

    tenant: str | None = None
    subscription: str | None = None
    state: str | None = None
    event: str | None = None
    type: str | None = None
    resource: str | None = None

    def query(self) -> Document:
        """Return the criteria as a MongoDB query."""
        names = ("tenant", "subscription", "state", "event", "type", "resource")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def find_deliveries(
    database: Database[Document], criteria: DeliveryCriteria, *, limit: int = 100, offset: int = 0
) -> tuple[list[Document], int]:
    """Return a page of deliveries, newest first, and the number of all that match."""
    collection = database[COLLECTION]
    query = criteria.query()
    newest_first = [("created", DESCENDING), ("seq", DESCENDING)]
    rows = collection.find(query, PROJECTION).sort(newest_first).skip(offset).limit(limit)
    return [_public_form(row) for row in rows], collection.count_documents(query)


def replay_delivery(
    database: Database[Document],
    id: str,
    tenant: str | None = None,
    session: ClientSession | None = None,
) -> int:
    """Queue a parked or delivered delivery again; return how many were queued, 0 or 1.

    Raises:
        NotFound: There is no such delivery, or its subscription has ended (HTTP 404).
        Conflict: Its subscription is disabled (HTTP 409).
    """
    query = {"_id": id, **DeliveryCriteria(tenant=tenant).query()}
    delivery = database[COLLECTION].find_one(query, PROJECTION)
    if delivery is None:
        raise NotFound(f"there is no delivery {id}")
    _require_active(database, delivery["subscription"], tenant)
    return _requeue(database, {"_id": id, "state": {"$ne": "pending"}}, session)


def replay_parked(
    database: Database[Document],
    subscription: str,
    tenant: str | None = None,
    session: ClientSession | None = None,
) -> int:
    """Queue all parked deliveries of a subscription again; return how many were queued.

    Raises:
        NotFound: There is no such subscription (HTTP 404).
        Conflict: It is disabled (HTTP 409).
    """
    _require_active(database, subscription, tenant)
    return _requeue(database, {"subscription": subscription, "state": "parked"}, session)


def enable_subscription(
    database: Database[Document],
    subscription: str,
    tenant: str | None = None,
    session: ClientSession | None = None,
) -> None:
    """Enable a disabled subscription; its parked deliveries stay parked until they are replayed.

    Raises:
        NotFound: There is no such subscription (HTTP 404).
    """
    result = database[subscriptions.COLLECTION].update_one(
        {"_id": subscription, **DeliveryCriteria(tenant=tenant).query()},
        {"$set": {"state": "active", "lane": {"failures": 0}}, "$unset": {"reason": ""}},
        session=session,
    )
    if not result.matched_count:
        raise NotFound(f"there is no hub subscription {subscription}")


def counts_by_subscription(
    database: Database[Document], ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return the number of deliveries by subscription and state; reads an index only."""
    counts: dict[str, dict[str, int]] = {}
    for row in database[COLLECTION].aggregate(count_pipeline(ids)):
        counts.setdefault(row["_id"]["for"], {})[row["_id"]["state"]] = row["count"]
    return counts


def count_pipeline(ids: Sequence[str]) -> list[Document]:
    """Return the pipeline that counts the deliveries of subscriptions by state."""
    group = {"_id": {"for": "$subscription", "state": "$state"}, "count": {"$sum": 1}}
    match: Document = {"subscription": {"$in": list(ids)}}
    return [{"$match": match}, {"$group": group}]


def _require_active(database: Database[Document], id: str, tenant: str | None) -> None:
    query = {"_id": id, **DeliveryCriteria(tenant=tenant).query()}
    row = database[subscriptions.COLLECTION].find_one(query, {"state": 1, "reason": 1})
    if row is None:
        raise NotFound(f"there is no hub subscription {id}")
    if row["state"] != "active":
        raise Conflict(f"hub subscription {id} is disabled: {row.get('reason', '')}")


def _requeue(
    database: Database[Document], query: Mapping[str, Any], session: ClientSession | None
) -> int:
    change = {
        "$set": {"state": "pending", "due": IMMEDIATELY, "tries": 0, "created": datetime.now(UTC)},
        "$unset": {"expires": "", "reason": ""},
    }
    return database[COLLECTION].update_many(query, change, session=session).modified_count


def _public_form(row: Document) -> Document:
    """Return a delivery with ``id`` instead of ``_id``."""
    return {"id": row.pop("_id"), **row}
