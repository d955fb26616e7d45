"""From the resource to the queue: takes pending events out of the documents they lie in.

For each event: a delivery for every subscription it matches is written (idempotent), the
application's listeners are called, and only then the event is removed. Killed at any point, the
relay does the rest again; a delivery is queued once, a listener may be called twice.

One relay at a time works on a kind (a lease), any number may run. An event that fails (a listener
raises, or it cannot be rendered) stays, and with it the later ones of its resource; those of
other resources go on.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.envelope import EventRenderer
from tmf_apis.events.event_batch import EventBatch, removal_writes, retry_writes
from tmf_apis.events.matcher import SubscriptionMatcher
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store import leases
from tmf_apis.store.indexes import PENDING_EVENTS
from tmf_apis.store.leases import LEASE_COLLECTION
from tmf_apis.store.model import PURGEABLE

#: Most documents and bytes in one batch.
BATCH_SIZE, BATCH_BYTES = 500, 16 * 1024 * 1024
#: Longest time that listeners may take of one batch, in seconds; the rest waits for the next.
LISTENER_TIME_LIMIT = 3.0

Document = dict[str, Any]
#: Told of an event inside the server, at least once; an exception keeps the event.
EventListener = Callable[[PendingEvent], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventHandlers:
    """What the application makes of events.

    Attributes:
        render: Turns an event into what an audience receives.
        listeners: Whom to tell inside the server, by kind.
    """

    render: EventRenderer
    listeners: Mapping[str, Sequence[EventListener]] = field(default_factory=dict)


class Relay:
    """Hands on the pending events of some kinds; its methods may run in any thread."""

    def __init__(
        self,
        database: Database[Document],
        queue: DeliveryQueue,
        handlers: EventHandlers,
        *,
        owner: str,
        lease_duration: float = 10.0,
    ) -> None:
        """Take what it works with.

        Args:
            database: Where the resources are.
            queue: The queue.
            handlers: What it makes of events.
            owner: Name of this process, different from all others.
            lease_duration: How long a kind is held without a sign of life, in seconds.
        """
        self._database = database
        self._queue = queue
        self._handlers = handlers
        self._owner = owner
        self._lease_duration = lease_duration
        self._leases: dict[str, leases.Lease] = {}
        self._unfinished_kinds: set[str] = set()

    def prepare(self, kinds: Iterable[str]) -> None:
        """Make the indexes and leases for some kinds."""
        for kind in kinds:
            self._database[kind].create_index(
                "events.0.due", name="pending", partialFilterExpression=dict(PENDING_EVENTS)
            )
            leases.create_if_absent(self._database[LEASE_COLLECTION], kind)

    def drain(
        self,
        kind: str,
        should_stop: Callable[[], bool] = lambda: False,
        notify: Callable[[set[str]], object] = lambda _: None,
        *,
        keep_lease: bool = False,
    ) -> set[str]:
        """Hand on every pending event of a kind, unless another relay is at it.

        Args:
            kind: The kind.
            should_stop: Asked before each batch.
            notify: Told of subscriptions as soon as they have something new.
            keep_lease: Keep the lease until ``release``, for there will be more soon.

        Returns:
            The subscriptions that have something new.
        """
        told: set[str] = set()
        self._unfinished_kinds.add(kind)  # until it is known better
        if not self._has_lease(kind) and not self._pending_documents(kind, 1)[0]:
            self._unfinished_kinds.discard(kind)
            return told
        try:
            more, later = True, False
            while more and not should_stop():
                if (lease := self._acquire_lease(kind)) is None:
                    later = True
                    break
                documents, more = self._pending_documents(kind, BATCH_SIZE)
                if documents:
                    batch = EventBatch(documents)
                    told |= self._relay_batch(kind, batch, lease, notify)
                    more = more or batch.has_more
                    later = later or bool(batch.failures)
            if not later:
                self._unfinished_kinds.discard(kind)
        finally:
            if not keep_lease:
                self.release(kind)
        return told

    def _relay_batch(
        self,
        kind: str,
        batch: EventBatch,
        lease: leases.Lease,
        notify: Callable[[set[str]], object],
    ) -> set[str]:
        """Hand on a batch; return the subscriptions that have something new."""
        queued = self._enqueue_deliveries(batch)
        if queued:
            notify(queued)
        self._call_listeners(kind, batch, lease)
        self._remove_completed(kind, batch)
        if writes := retry_writes(batch):
            self._database[kind].bulk_write(writes, ordered=False)
        return queued

    def has_more(self, kind: str) -> bool:
        """Return whether the last look left something that is to be looked at again soon."""
        return kind in self._unfinished_kinds or kind in self._leases

    def release(self, kind: str) -> None:
        """Give the lease of a kind back, if we have it."""
        if self._leases.pop(kind, None):
            leases.release(self._database[LEASE_COLLECTION], kind, self._owner)

    def _has_lease(self, kind: str) -> bool:
        held = self._leases.get(kind)
        return held is not None and held.is_valid_for(self._lease_duration / 2)

    def _acquire_lease(self, kind: str) -> leases.Lease | None:
        """Return the lease of a kind, taken or prolonged where it does not last."""
        if not self._has_lease(kind):
            self._leases.pop(kind, None)
            if lease := leases.acquire(
                self._database[LEASE_COLLECTION], kind, self._owner, self._lease_duration
            ):
                self._leases[kind] = lease
        return self._leases.get(kind)

    def _pending_documents(self, kind: str, limit: int) -> tuple[list[Document], bool]:
        """Return documents with events that are due, and whether there may be more."""
        query = {"events.0.due": {"$lte": int(time.time() * 1000)}}
        view = {"events": 1, "tenant": 1, "size": {"$bsonSize": "$$ROOT"}}
        documents = []
        size = 0
        with self._database[kind].find(query, view).sort("events.0.due", 1).limit(limit) as cursor:
            for document in cursor.batch_size(100):
                documents.append(document)
                size += document["size"]
                if size > BATCH_BYTES:
                    return documents, True
        return documents, len(documents) == limit

    def _enqueue_deliveries(self, batch: EventBatch) -> set[str]:
        """Queue what the subscriptions are to receive of a batch."""
        events: list[PendingEvent] = [
            event for document in batch.documents for event in document["events"]
        ]
        matching = SubscriptionMatcher(self._database, self._handlers.render)
        fresh = [event for event in events if not event["fanned"]]
        deliveries = matching.deliveries(fresh) if fresh else []
        for document in batch.documents:
            good = _renderable_prefix(document["events"], matching.render_errors)
            batch.queued_ids[document["_id"]] = [event["id"] for event in good]
            if len(good) < len(document["events"]):
                batch.failures[document["_id"]] = document["events"][len(good)]
        handed = {one for ids in batch.queued_ids.values() for one in ids}
        deliveries = [one for one in deliveries if one["event"] in handed]
        if deliveries:
            self._queue.enqueue(deliveries)
        return {one["subscription"] for one in deliveries}

    def _remove_completed(self, kind: str, batch: EventBatch) -> None:
        """Take the events that are done out of their documents, and nothing that came since."""
        ids = [one for some in batch.completed_ids.values() for one in some]
        if not ids:
            return
        writes = removal_writes(batch, ids)
        emptied = 0
        if writes:
            result = self._database[kind].bulk_write(writes, ordered=False)
            emptied = result.modified_count + result.deleted_count
        if emptied < len([1 for some in batch.completed_ids.values() if some]):
            batch.has_more = True
            self._database[kind].update_many(
                {"_id": {"$in": list(batch.completed_ids)}, "events.id": {"$in": ids}},
                {"$pull": {"events": {"id": {"$in": ids}}}},
            )
            self._database[kind].delete_many(
                {"_id": {"$in": list(batch.completed_ids)}, **PURGEABLE}
            )

    def _call_listeners(self, kind: str, batch: EventBatch, lease: leases.Lease) -> None:
        """Call the listeners for what has been handed on, as long as there is time."""
        listeners = self._handlers.listeners.get(kind, ())
        if not listeners:
            batch.completed_ids = batch.queued_ids
            return
        end = min(time.monotonic() + LISTENER_TIME_LIMIT, lease.until)
        for document in batch.documents:
            key = document["_id"]
            done = batch.completed_ids[key] = []
            for event in document["events"][: len(batch.queued_ids[key])]:
                if time.monotonic() > end:
                    batch.has_more = True
                    return
                if not _call_each(listeners, event):
                    batch.failures[key] = event
                    break
                done.append(event["id"])


def _call_each(listeners: Sequence[EventListener], event: PendingEvent) -> bool:
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


def _renderable_prefix(
    events: Sequence[PendingEvent], render_errors: Mapping[str, Exception]
) -> list[PendingEvent]:
    good: list[PendingEvent] = []
    for event in events:
        if event["id"] in render_errors:
            break
        good.append(event)
    return good
