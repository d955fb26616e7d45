"""Matches events with subscriptions and builds a delivery for each match.

MongoDB itself evaluates the query of a subscription (``$documents`` and ``$match``), so a filter
has the same meaning for events as for lists of resources. It runs on events that a subscriber is
permitted to receive; an event that it must not see has no effect on its subscription.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import json_util
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tmf_apis.events.envelope import Audience, EventRenderer, Json, field_projection
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.subscriptions import (
    COLLECTION,
    can_see,
    is_active_at,
    sees_personal_data,
)

#: A due time that is in the past on every clock.
IMMEDIATELY = datetime.fromtimestamp(0, UTC)
#: Most notifications and bytes in one query.
CHUNK_SIZE, CHUNK_BYTES = 200, 4 * 1024 * 1024
#: MongoDB error code: the query exceeded its time limit.
MAX_TIME_MS_EXPIRED = 50

Document = dict[str, Any]
log = logging.getLogger(__name__)


class SubscriptionMatcher:
    """Matches batches of events with the active subscriptions.

    Attributes:
        render_errors: Exceptions of the events that could not be rendered, by event id.
    """

    def __init__(self, database: Database[Document], render: EventRenderer) -> None:
        self._database = database
        self._render = render
        self.render_errors: dict[str, Exception] = {}

    def deliveries(self, events: Sequence[PendingEvent]) -> list[Document]:
        """Return a delivery for each event and each subscription that matches it.

        The deliveries are in the order of the events. Events that cannot be rendered are added to
        ``render_errors``.
        """
        rendered: dict[Audience, dict[str, Json]] = {}
        deliveries: list[Document] = []
        for (audience, filter_json), subscriptions in self._groups(events).items():
            masked = replace(audience, sees_personal_data=False)
            for form in (audience, masked) if filter_json else (audience,):
                if form not in rendered:
                    rendered[form] = self._notifications(events, form)
            notifications = rendered[audience]
            # filters name no personal attributes, so personal values are not sent to the database
            visible = rendered[masked] if filter_json else notifications
            for matched, ids in self._matches(events, filter_json, visible, subscriptions):
                deliveries += _deliveries(events, notifications, ids, matched)
        position = {event["id"]: n for n, event in enumerate(events)}
        return sorted(deliveries, key=lambda delivery: position[delivery["event"]])

    def _groups(self, events: Iterable[PendingEvent]) -> dict[tuple[Audience, str], list[Document]]:
        """Return the active subscriptions of the events' tenants, by audience and filter."""
        tenants = sorted({event["tenant"] for event in events})
        query = {"tenant": {"$in": tenants}, "state": "active"}
        groups: dict[tuple[Audience, str], list[Document]] = {}
        for row in self._database[COLLECTION].find(query):
            audience = Audience(row["api"], row["version"], row["base"], sees_personal_data(row))
            groups.setdefault((audience, row.get("filter", "")), []).append(row)
        return groups

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

    def _matches(
        self,
        events: Sequence[PendingEvent],
        filter_json: str,
        notifications: Mapping[str, Json],
        subscriptions: list[Document],
    ) -> Iterator[tuple[list[Document], set[str]]]:
        """Yield subscriptions of one filter with the ids of the events that match it.

        If the filter cannot be run, it is run for the subscriptions of each set of parties alone,
        because it may fail on an event that the others must not see.
        """
        if not filter_json:
            yield subscriptions, set(notifications)
            return
        visible = [
            notifications[event["id"]]
            for event in events
            if event["id"] in notifications
            and any(_can_receive(subscription, event) for subscription in subscriptions)
        ]
        try:
            yield subscriptions, self._matching_ids(filter_json, visible)
        except OperationFailure as error:
            if error.code == MAX_TIME_MS_EXPIRED or error.has_error_label("RetryableWriteError"):
                raise
            groups = _by_parties(subscriptions)
            if len(groups) == 1:
                self._disable(subscriptions, error)
                return
            for group in groups:
                yield from self._matches(events, filter_json, notifications, group)

    def _matching_ids(self, filter_json: str, notifications: Iterable[Json]) -> set[str]:
        """Return the ids of the notifications that match a filter."""
        query = json_util.loads(filter_json)
        ids: set[str] = set()
        for documents in _chunks(notifications):
            pipeline = [
                {"$documents": {"$literal": documents}},
                {"$match": query},
                {"$project": {"eventId": 1}},
            ]
            ids.update(row["eventId"] for row in self._database.aggregate(pipeline))
        return ids

    def _disable(self, subscriptions: list[Document], error: OperationFailure) -> None:
        """Disable subscriptions whose filter fails, so that administrators see the failure."""
        ids = [subscription["_id"] for subscription in subscriptions]
        log.error(
            "subscriptions disabled: query cannot be run", extra={"ids": ids, "error": str(error)}
        )
        self._database[COLLECTION].update_many(
            {"_id": {"$in": ids}},
            {"$set": {"state": "disabled", "reason": f"its query cannot be run: {error}"[:500]}},
        )


def _can_receive(subscription: Document, event: PendingEvent) -> bool:
    return (
        subscription["tenant"] == event["tenant"]
        and can_see(subscription, event)
        and is_active_at(subscription, event)
    )


def _by_parties(subscriptions: Iterable[Document]) -> list[list[Document]]:
    """Return the subscriptions of each tenant and set of parties."""
    groups: dict[tuple[str, str], list[Document]] = {}
    for subscription in subscriptions:
        key = (subscription["tenant"], repr(subscription.get("parties")))
        groups.setdefault(key, []).append(subscription)
    return list(groups.values())


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
        full_payload = b""
        for subscription in subscriptions:
            if not _can_receive(subscription, event):
                continue
            if fields := subscription["fields"]:
                payload = orjson.dumps(field_projection(notification, fields), default=str)
            else:
                payload = full_payload = full_payload or orjson.dumps(notification, default=str)
            delivery = _delivery(subscription, event, notification["eventType"], payload)
            if trace := event.get("trace"):
                delivery["trace"] = trace
            if (seal := event.get("seal")) and sees_personal_data(subscription):
                delivery["key"] = seal["key"]
            yield delivery | {"created": now}


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
