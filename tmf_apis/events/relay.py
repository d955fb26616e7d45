"""From the resource to the queue: takes pending events out of the documents they lie in.

For each event: a delivery for every subscription it matches is written (idempotent), the
application's listeners are called, and only then the event is removed. Killed at any point, the
relay does the rest again; a delivery is queued once, a listener may be called twice.

One relay at a time works on a kind (a lease), any number may run. An event that fails (a listener
raises, or it cannot be rendered) stays, and with it the later ones of its resource; those of
other resources go on.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteMany, DeleteOne, UpdateMany, UpdateOne
from pymongo.database import Database

from tmf_apis.events import leases
from tmf_apis.events.deliveries import Deliveries
from tmf_apis.events.envelope import Render
from tmf_apis.events.matching import Matching
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store.indexes import PENDING
from tmf_apis.store.model import GONE

LEASES = "leases"
#: Most documents and bytes in one batch.
BATCH, BATCH_BYTES = 500, 16 * 1024 * 1024
#: Longest time that listeners may take of one batch, in seconds; the rest waits for the next.
LISTENING = 3.0
#: First and longest pause of an event that fails, in seconds.
FIRST, LONGEST = 1.0, 300.0

Document = dict[str, Any]
#: Told of an event inside the server, at least once; an exception keeps the event.
Listener = Callable[[PendingEvent], None]
Write = UpdateOne | UpdateMany | DeleteOne | DeleteMany
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Application:
    """What the application makes of events.

    Attributes:
        render: Turns an event into what an audience receives.
        listeners: Whom to tell inside the server, by kind.
    """

    render: Render
    listeners: Mapping[str, Sequence[Listener]] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """Documents of one kind and what becomes of their events."""

    documents: list[Document]
    done: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, PendingEvent] = field(default_factory=dict)
    handed: dict[str, list[str]] = field(default_factory=dict)


class Relay:
    """Hands on the pending events of some kinds; its methods may run in any thread."""

    def __init__(
        self,
        database: Database[Document],
        deliveries: Deliveries,
        application: Application,
        *,
        owner: str,
        lease: float = 10.0,
    ) -> None:
        """Take what it works with.

        Args:
            database: Where the resources are.
            deliveries: The queue.
            application: What it makes of events.
            owner: Name of this process, different from all others.
            lease: How long a kind is held without a sign of life, in seconds.
        """
        self._database = database
        self._deliveries = deliveries
        self._application = application
        self._owner = owner
        self._lease = lease

    def prepare(self, kinds: Iterable[str]) -> None:
        """Make the indexes and leases for some kinds."""
        for kind in kinds:
            self._database[kind].create_index(
                "events.0.due", name="pending", partialFilterExpression=dict(PENDING)
            )
            leases.prepare(self._database[LEASES], kind)

    def drain(
        self,
        kind: str,
        stop: Callable[[], bool] = lambda: False,
        tell: Callable[[set[str]], object] = lambda _: None,
    ) -> set[str]:
        """Hand on every pending event of a kind, unless another relay is at it.

        Args:
            kind: The kind.
            stop: Asked before each batch.
            tell: Told of subscriptions as soon as they have something new.

        Returns:
            The subscriptions that have something new.
        """
        told: set[str] = set()
        if not self._pending(kind, 1):
            return told
        table = self._database[LEASES]
        try:
            while not stop() and (lease := leases.take(table, kind, self._owner, self._lease)):
                if not (documents := self._pending(kind, BATCH)):
                    break
                batch = _Batch(documents)
                queued = self._hand_on(batch)
                if queued:
                    tell(queued)
                self._tell(kind, batch, lease)
                self._remove(kind, batch)
                if writes := _put_off(batch):
                    self._database[kind].bulk_write(writes, ordered=False)
                told |= queued
        finally:
            leases.release(table, kind, self._owner)
        return told

    def _pending(self, kind: str, most: int) -> list[Document]:
        query = {"events.0.due": {"$lte": int(time.time() * 1000)}}
        view = {"events": 1, "tenant": 1, "size": {"$bsonSize": "$$ROOT"}}
        documents = []
        size = 0
        with self._database[kind].find(query, view).sort("events.0.due", 1).limit(most) as cursor:
            for document in cursor.batch_size(100):
                documents.append(document)
                size += document["size"]
                if size > BATCH_BYTES:
                    break
        return documents

    def _hand_on(self, batch: _Batch) -> set[str]:
        """Queue what the subscriptions are to receive of a batch."""
        events: list[PendingEvent] = [
            event for document in batch.documents for event in document["events"]
        ]
        matching = Matching(self._database, self._application.render)
        fresh = [event for event in events if not event["fanned"]]
        deliveries = matching.deliveries(fresh) if fresh else []
        for document in batch.documents:
            good = _until_broken(document["events"], matching.broken)
            batch.handed[document["_id"]] = [event["id"] for event in good]
            if len(good) < len(document["events"]):
                batch.failed[document["_id"]] = document["events"][len(good)]
        handed = {one for ids in batch.handed.values() for one in ids}
        deliveries = [one for one in deliveries if one["event"] in handed]
        if deliveries:
            self._deliveries.add(deliveries)
        return {one["subscription"] for one in deliveries}

    def _remove(self, kind: str, batch: _Batch) -> None:
        """Take the events that are done out of their documents, and nothing that came since."""
        ids = [one for some in batch.done.values() for one in some]
        if not ids:
            return
        writes = _removals(batch, ids)
        emptied = 0
        if writes:
            result = self._database[kind].bulk_write(writes, ordered=False)
            emptied = result.modified_count + result.deleted_count
        if emptied < len([1 for some in batch.done.values() if some]):
            self._database[kind].update_many(
                {"_id": {"$in": list(batch.done)}, "events.id": {"$in": ids}},
                {"$pull": {"events": {"id": {"$in": ids}}}},
            )
            self._database[kind].delete_many(
                {"_id": {"$in": list(batch.done)}, "tenant": GONE, "events.0": {"$exists": False}}
            )

    def _tell(self, kind: str, batch: _Batch, lease: leases.Lease) -> None:
        """Call the listeners for what has been handed on, as long as there is time."""
        listeners = self._application.listeners.get(kind, ())
        if not listeners:
            batch.done = batch.handed
            return
        end = min(time.monotonic() + LISTENING, lease.until)
        for document in batch.documents:
            key = document["_id"]
            done = batch.done[key] = []
            for event in document["events"][: len(batch.handed[key])]:
                if time.monotonic() > end:
                    return
                if not _heard(listeners, event):
                    batch.failed[key] = event
                    break
                done.append(event["id"])


def _heard(listeners: Sequence[Listener], event: PendingEvent) -> bool:
    try:
        for listener in listeners:
            listener(event)
    except Exception:
        log.exception(
            "listener failed, the event is kept",
            extra={"kind": event["kind"], "resource": event["resource"], "event": event["id"]},
        )
        return False
    return True


def _until_broken(
    events: Sequence[PendingEvent], broken: Mapping[str, Exception]
) -> list[PendingEvent]:
    good: list[PendingEvent] = []
    for event in events:
        if event["id"] in broken:
            break
        good.append(event)
    return good


def _removals(batch: _Batch, ids: list[str]) -> list[Write]:
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
            DeleteOne(query | {"tenant": GONE})
            if gone
            else UpdateOne(query, {"$unset": {"events": ""}})
        )
    same = {"events": {"$size": 1}, "events.id": {"$in": ids}}
    if single[False]:
        query = {"_id": {"$in": single[False]}, "tenant": {"$ne": GONE}, **same}
        writes.append(UpdateMany(query, {"$unset": {"events": ""}}))
    if single[True]:
        writes.append(DeleteMany({"_id": {"$in": single[True]}, "tenant": GONE, **same}))
    return writes


def _put_off(batch: _Batch) -> list[Write]:
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
