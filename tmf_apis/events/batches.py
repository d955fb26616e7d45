"""What becomes of the documents once their events have been handed on."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteMany, DeleteOne, UpdateMany, UpdateOne

from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store.model import GONE

#: First and longest pause of an event that fails, in seconds.
FIRST, LONGEST = 1.0, 300.0

#: A deleted document that waits for its events alone.
GOING: Mapping[str, Any] = {"tenant": GONE, "todo": {"$exists": False}}

Document = dict[str, Any]
Write = UpdateOne | UpdateMany | DeleteOne | DeleteMany


@dataclass(slots=True)
class Batch:
    """Documents of one kind and what becomes of their events.

    Attributes:
        documents: As they were read.
        done: By document, ids of the events that are to be removed.
        failed: By document, the event that could not be dealt with.
        handed: By document, ids of the events that the subscriptions have.
        left: There is, or may be, something to be done at once that was not in it.
    """

    documents: list[Document]
    done: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, PendingEvent] = field(default_factory=dict)
    handed: dict[str, list[str]] = field(default_factory=dict)
    left: bool = False


def removals(batch: Batch, ids: list[str]) -> list[Write]:
    """Return what empties the documents that nothing has been added to since they were read."""
    single: dict[bool, list[str]] = {True: [], False: []}
    writes: list[Write] = []
    for document in batch.documents:
        key, events, gone = document["_id"], document["events"], document["tenant"] == GONE
        if len(batch.done.get(key, ())) < len(events):
            continue
        if len(events) == 1:
            single[gone].append(key)
            continue
        last = len(events) - 1
        query = {"_id": key, "events": {"$size": len(events)}}
        query[f"events.{last}.id"] = events[last]["id"]
        writes.append(
            DeleteOne({**query, **GOING}) if gone else UpdateOne(query, {"$unset": {"events": ""}})
        )
    same = {"events": {"$size": 1}, "events.id": {"$in": ids}}
    if single[False]:
        query = {"_id": {"$in": single[False]}, "tenant": {"$ne": GONE}, **same}
        writes.append(UpdateMany(query, {"$unset": {"events": ""}}))
    if single[True]:
        writes.append(DeleteMany({"_id": {"$in": single[True]}, **GOING, **same}))
    return writes


def put_off(batch: Batch) -> list[Write]:
    """Return what marks the events that stay: handed on already, and when to try again."""
    writes: list[Write] = []
    for key, ids in batch.handed.items():
        done = set(batch.done.get(key, ()))
        left = [one for one in ids if one not in done]
        if left:
            writes.append(
                UpdateOne(
                    {"_id": key},
                    {"$set": {"events.$[one].fanned": True}},
                    array_filters=[{"one.id": {"$in": left}}],
                )
            )
    for key, event in batch.failed.items():
        pause = random.uniform(0.5, 1) * min(LONGEST, FIRST * 2 ** min(event["tries"], 16))  # noqa: S311
        due = int((time.time() + pause) * 1000)
        writes.append(
            UpdateOne(
                {"_id": key, "events.id": event["id"]},
                {"$set": {"events.$.due": due, "events.$.tries": event["tries"] + 1}},
            )
        )
    return writes
