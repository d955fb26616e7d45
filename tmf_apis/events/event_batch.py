"""A batch of pending events, and the writes that remove or postpone them."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteMany, DeleteOne, UpdateMany, UpdateOne

from tmf_apis.audit_log.entries import entry_of_event
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store import write_times
from tmf_apis.store.model import DELETED_TENANT

#: First and longest pause before a failed event is processed again, in seconds.
FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE = 1.0, 300.0

#: Matches a deleted document that is kept for its pending events only.
AWAITING_PURGE: Mapping[str, Any] = {"tenant": DELETED_TENANT, "todo": {"$exists": False}}

#: Removes all events of a document, and the times of their writes.
_REMOVAL: Mapping[str, Any] = {"$unset": dict.fromkeys(("events", *write_times.MEMBERS), "")}

Document = dict[str, Any]
Write = UpdateOne | UpdateMany | DeleteOne | DeleteMany


@dataclass(slots=True)
class EventBatch:
    """Documents of one kind and the progress of their events.

    Attributes:
        documents: The documents as they were read.
        completed_ids: Ids of the events that can be removed, by document.
        failures: The event that failed, by document.
        queued_ids: Ids of the events whose deliveries are queued, by document.
        has_more: There are or may be more events that can be processed immediately.
    """

    documents: list[Document]
    completed_ids: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, PendingEvent] = field(default_factory=dict)
    queued_ids: dict[str, list[str]] = field(default_factory=dict)
    has_more: bool = False


def audit_entries(batch: EventBatch) -> list[Document]:
    """Return the audit entries of the writes whose events are processed for the first time."""
    entries = (
        entry_of_event(event)
        for document in batch.documents
        for event in document["events"]
        if not event["fanned"]
    )
    return [entry for entry in entries if entry]


def removal_writes(batch: EventBatch, event_ids: list[str]) -> list[Write]:
    """Return the writes that remove all events of completed documents.

    They match only documents that no event was added to since they were read. A deleted document
    is removed itself.
    """
    with_single_event: dict[bool, list[str]] = {True: [], False: []}
    writes: list[Write] = []
    for document in batch.documents:
        key, events = document["_id"], document["events"]
        is_deleted = document["tenant"] == DELETED_TENANT
        if len(batch.completed_ids.get(key, ())) < len(events):
            continue
        if len(events) == 1:
            with_single_event[is_deleted].append(key)
            continue
        last = len(events) - 1
        query = {"_id": key, "events": {"$size": len(events)}}
        query[f"events.{last}.id"] = events[last]["id"]
        writes.append(
            DeleteOne({**query, **AWAITING_PURGE}) if is_deleted else UpdateOne(query, _REMOVAL)
        )
    unchanged = {"events": {"$size": 1}, "events.id": {"$in": event_ids}}
    if keys := with_single_event[False]:
        query = {"_id": {"$in": keys}, "tenant": {"$ne": DELETED_TENANT}, **unchanged}
        writes.append(UpdateMany(query, _REMOVAL))
    if keys := with_single_event[True]:
        writes.append(DeleteMany({"_id": {"$in": keys}, **AWAITING_PURGE, **unchanged}))
    return writes


def retry_writes(batch: EventBatch) -> list[Write]:
    """Return the writes that mark queued events as fanned out and postpone failed ones."""
    writes: list[Write] = []
    for key, ids in batch.queued_ids.items():
        completed = set(batch.completed_ids.get(key, ()))
        if remaining := [id for id in ids if id not in completed]:
            writes.append(
                UpdateOne(
                    {"_id": key},
                    {"$set": {"events.$[event].fanned": True}},
                    array_filters=[{"event.id": {"$in": remaining}}],
                )
            )
    for key, event in batch.failures.items():
        due = int((time.time() + _retry_pause(event["tries"])) * 1000)
        writes.append(
            UpdateOne(
                {"_id": key, "events.id": event["id"]},
                {"$set": {"events.$.due": due, "events.$.tries": event["tries"] + 1}},
            )
        )
    return writes


def _retry_pause(tries: int) -> float:
    """Return the seconds until an event is processed again: exponential backoff with jitter."""
    pause = min(MAX_RETRY_PAUSE, FIRST_RETRY_PAUSE * 2.0 ** min(tries, 16))
    return random.uniform(0.5, 1) * pause  # noqa: S311
