"""Which subscription receives which event, as a delivery ready to send.

The query of a subscription is judged by MongoDB itself (``$documents`` and ``$match``), so that a
filter means the same over events as over lists of resources.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import json_util
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tmf_apis.events.envelope import Audience, EventRenderer, Json, field_projection
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.subscriptions import COLLECTION, can_see

#: Due at once, whatever a clock says.
IMMEDIATELY = datetime.fromtimestamp(0, UTC)
#: Most notifications and bytes judged in one go.
CHUNK_SIZE, CHUNK_BYTES = 200, 4 * 1024 * 1024
#: MongoDB error code: the query took too long.
MAX_TIME_MS_EXPIRED = 50

Document = dict[str, Any]
log = logging.getLogger(__name__)


class SubscriptionMatcher:
    """One batch of events against the subscriptions there are."""

    def __init__(self, database: Database[Document], render: EventRenderer) -> None:
        self._database = database
        self._render = render
        self.render_errors: dict[str, Exception] = {}

    def deliveries(self, events: Sequence[PendingEvent]) -> list[Document]:
        """Return a delivery for every event and subscription that belong together.

        Events that could not be rendered are left in ``render_errors`` by their id.
        """
        tenants = sorted({event["tenant"] for event in events})
        subscriptions = list(
            self._database[COLLECTION].find({"tenant": {"$in": tenants}, "state": "active"})
        )
        groups: dict[tuple[Audience, str], list[Document]] = {}
        for one in subscriptions:
            audience = Audience(one["api"], one["version"], one["base"])
            groups.setdefault((audience, one.get("filter", "")), []).append(one)
        rendered: dict[Audience, dict[str, Json]] = {}
        found: list[Document] = []
        for (audience, query), members in groups.items():
            if audience not in rendered:
                rendered[audience] = self._notifications(events, audience)
            notifications = rendered[audience]
            passed = self._matching_ids(query, notifications, members)
            found += _deliveries(events, notifications, passed, members)
        position = {event["id"]: n for n, event in enumerate(events)}
        return sorted(found, key=lambda delivery: position[delivery["event"]])

    def _notifications(self, events: Iterable[PendingEvent], audience: Audience) -> dict[str, Json]:
        notifications = {}
        for event in events:
            try:
                notification = self._render(event, audience)
            except Exception as error:
                log.exception("event cannot be rendered", extra={"event": event["id"]})
                self.render_errors[event["id"]] = error
                continue
            if notification is not None:
                notifications[event["id"]] = notification
        return notifications

    def _matching_ids(
        self, filter_json: str, notifications: Mapping[str, Json], subscriptions: list[Document]
    ) -> set[str]:
        """Return the ids of the events that pass a filter."""
        if not filter_json:
            return set(notifications)
        query = json_util.loads(filter_json)
        passed: set[str] = set()
        for documents in _chunks(notifications.values()):
            pipeline = [
                {"$documents": {"$literal": documents}},
                {"$match": query},
                {"$project": {"eventId": 1}},
            ]
            try:
                rows = list(self._database.aggregate(pipeline))
            except OperationFailure as error:
                if error.code == MAX_TIME_MS_EXPIRED or error.has_error_label(
                    "RetryableWriteError"
                ):
                    raise
                self._disable(subscriptions, error)
                return set()
            passed.update(row["eventId"] for row in rows)
        return passed

    def _disable(self, subscriptions: list[Document], error: OperationFailure) -> None:
        """Stop subscriptions whose filter the database cannot run: better said than lost."""
        ids = [one["_id"] for one in subscriptions]
        log.error("query of subscriptions cannot be run", extra={"ids": ids, "error": str(error)})
        self._database[COLLECTION].update_many(
            {"_id": {"$in": ids}},
            {"$set": {"state": "disabled", "reason": f"its query cannot be run: {error}"[:500]}},
        )


def _chunks(notifications: Iterable[Json]) -> Iterable[list[Json]]:
    documents: list[Json] = []
    size = 0
    for notification in notifications:
        length = len(orjson.dumps(notification, default=str))
        if documents and (len(documents) == CHUNK_SIZE or size + length > CHUNK_BYTES):
            yield documents
            documents, size = [], 0
        documents.append(notification)
        size += length
    if documents:
        yield documents


def _deliveries(
    events: Iterable[PendingEvent],
    notifications: Mapping[str, Json],
    matching_ids: set[str],
    subscriptions: list[Document],
) -> Iterable[Document]:
    now = datetime.now(UTC)
    for event in events:
        if event["id"] not in matching_ids:
            continue
        notification = notifications[event["id"]]
        whole = b""
        for one in subscriptions:
            if one["tenant"] != event["tenant"] or not can_see(one, event):
                continue
            if one["fields"]:
                payload = orjson.dumps(field_projection(notification, one["fields"]), default=str)
            else:
                payload = whole = whole or orjson.dumps(notification, default=str)
            yield _delivery(one, event, notification["eventType"], payload) | {"created": now}


def _delivery(subscription: Document, event: PendingEvent, type: str, payload: bytes) -> Document:
    return {
        "_id": f"{subscription['_id']}:{event['id']}",
        "subscription": subscription["_id"],
        "tenant": subscription["tenant"],
        "event": event["id"],
        "type": type,
        "at": event["at"],
        "resource": f"{event['kind']}:{event['resource']}",
        "seq": event["seq"],
        "state": "pending",
        "due": IMMEDIATELY,
        "tries": 0,
        "payload": payload,
    }
