"""What becomes of the documents once their events have been handed on."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteMany, DeleteOne, UpdateMany, UpdateOne

from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store.model import DELETED_TENANT

#: First and longest pause of an event that fails, in seconds.
FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE = 1.0, 300.0

#: A deleted document that waits for its events alone.
AWAITING_PURGE: Mapping[str, Any] = {"tenant": DELETED_TENANT, "todo": {"$exists": False}}

Document = dict[str, Any]
Write = UpdateOne | UpdateMany | DeleteOne | DeleteMany


@dataclass(slots=True)
class EventBatch:
    """Documents of one kind and what becomes of their events.

    Attributes:
        documents: As they were read.
        completed_ids: By document, ids of the events that are to be removed.
        failures: By document, the event that could not be dealt with.
        queued_ids: By document, ids of the events that the subscriptions have.
        has_more: There is, or may be, something to be done at once that was not in it.
    """

    documents: list[Document]
    completed_ids: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, PendingEvent] = field(default_factory=dict)
    queued_ids: dict[str, list[str]] = field(default_factory=dict)
    has_more: bool = False


def removal_writes(batch: EventBatch, event_ids: list[str]) -> list[Write]:
    """Return what empties the documents that nothing has been added to since they were read."""
    single: dict[bool, list[str]] = {True: [], False: []}
    writes: list[Write] = []
    for document in batch.documents:
        key, events, gone = (
            document["_id"],
            document["events"],
            document["tenant"] == DELETED_TENANT,
        )
        if len(batch.completed_ids.get(key, ())) < len(events):
            continue
        if len(events) == 1:
            single[gone].append(key)
            continue
        last = len(events) - 1
        query = {"_id": key, "events": {"$size": len(events)}}
        query[f"events.{last}.id"] = events[last]["id"]
        writes.append(
            DeleteOne({**query, **AWAITING_PURGE})
            if gone
            else UpdateOne(query, {"$unset": {"events": ""}})
        )
    same = {"events": {"$size": 1}, "events.id": {"$in": event_ids}}
    if single[False]:
        query = {"_id": {"$in": single[False]}, "tenant": {"$ne": DELETED_TENANT}, **same}
        writes.append(UpdateMany(query, {"$unset": {"events": ""}}))
    if single[True]:
        writes.append(DeleteMany({"_id": {"$in": single[True]}, **AWAITING_PURGE, **same}))
    return writes


def retry_writes(batch: EventBatch) -> list[Write]:
    """Return what marks the events that stay: handed on already, and when to try again."""
    writes: list[Write] = []
    for key, ids in batch.queued_ids.items():
        done = set(batch.completed_ids.get(key, ()))
        left = [one for one in ids if one not in done]
        if left:
            writes.append(
                UpdateOne(
                    {"_id": key},
                    {"$set": {"events.$[one].fanned": True}},
                    array_filters=[{"one.id": {"$in": left}}],
                )
            )
    for key, event in batch.failures.items():
        pause = random.uniform(0.5, 1) * min(
            MAX_RETRY_PAUSE, FIRST_RETRY_PAUSE * 2 ** min(event["tries"], 16)
        )  # noqa: S311
        due = int((time.time() + pause) * 1000)
        writes.append(
            UpdateOne(
                {"_id": key, "events.id": event["id"]},
                {"$set": {"events.$.due": due, "events.$.tries": event["tries"] + 1}},
            )
        )
    return writes
