"""The relay: moves pending events from the outbox to the queue of deliveries.

For each event the relay adds the entry of its write to the audit log (idempotent), queues a
delivery for each matching subscription (idempotent), calls the listeners inside the server, and
then removes the event from the outbox. A relay that is killed at any point repeats the steps that
it has not completed: a delivery is queued once, a listener can be called twice.

Any number of relays can run; a lease gives each kind to one of them. An event fails if a listener
raises an exception or if it cannot be rendered. It stays in the outbox, with the later events of
the same resource; events of other resources are processed.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pymongo.database import Database

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.envelope import EventRenderer
from tmf_apis.events.event_batch import EventBatch, audit_entries, removal_writes, retry_writes
from tmf_apis.events.matcher import SubscriptionMatcher
from tmf_apis.events.outbox import MAX_EVENTS, UNANNOUNCED, PendingEvent
from tmf_apis.security.request_origin import current_origin, resumed_origin
from tmf_apis.store import leases, write_times
from tmf_apis.store.data_keys import DataKeys
from tmf_apis.store.indexes import PENDING_INDEX
from tmf_apis.store.leases import LEASE_COLLECTION
from tmf_apis.store.model import PURGEABLE

#: Most documents and bytes in one batch.
BATCH_SIZE, BATCH_BYTES = 500, 16 * 1024 * 1024
#: Time limit of the listeners in one batch, in seconds; the next batch has the remaining events.
LISTENER_TIME_LIMIT = 3.0

Document = dict[str, Any]
#: Receives an event inside the server, at least once; an exception keeps the event in the outbox.
EventListener = Callable[[PendingEvent], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventHandlers:
    """The application's functions for events.

    Attributes:
        render: Returns the notification of an event for an audience.
        listeners: Listeners inside the server, by kind.
        data_keys: Encrypt payloads with personal attributes; None: payloads are not encrypted.
    """

    render: EventRenderer
    listeners: Mapping[str, Sequence[EventListener]] = field(default_factory=dict)
    data_keys: DataKeys | None = None


class Relay:
    """Relays the pending events of some kinds; its methods may run in any thread."""

    def __init__(
        self,
        database: Database[Document],
        queue: DeliveryQueue,
        handlers: EventHandlers,
        *,
        owner: str,
        lease_duration: float = 10.0,
    ) -> None:
        """Create a relay.

        Args:
            database: The database of the resources.
            queue: The queue of deliveries.
            handlers: Renders events and receives them inside the server.
            owner: Name of this process as the owner of leases; unique.
            lease_duration: Duration of the lease of a kind, in seconds.
        """
        self._database = database
        self._queue = queue
        self._audit_log = AuditLog(database)
        self._handlers = handlers
        self._owner = owner
        self._lease_duration = lease_duration
        self._leases: dict[str, leases.Lease] = {}
        self._unfinished_kinds: set[str] = set()

    def prepare(self, kinds: Iterable[str]) -> None:
        """Create the index and the lease of each kind, and the audit log."""
        self._audit_log.prepare()
        for kind in kinds:
            self._database[kind].create_indexes([PENDING_INDEX])
            leases.create_if_absent(self._database[LEASE_COLLECTION], kind)

    def drain(
        self,
        kind: str,
        should_stop: Callable[[], bool] = lambda: False,
        notify: Callable[[set[str]], object] = lambda _: None,
        *,
        keep_lease: bool = False,
    ) -> set[str]:
        """Relay all pending events of a kind, unless another relay holds its lease.

        Args:
            kind: The kind.
            should_stop: Called before each batch; True ends the method.
            notify: Called after each batch with the subscriptions that have new deliveries.
            keep_lease: Keep the lease until ``release``, because more events are expected soon.

        Returns:
            The subscriptions that have new deliveries.
        """
        subscriptions: set[str] = set()
        self._unfinished_kinds.add(kind)  # until all events are processed
        if not self._has_lease(kind) and not self._pending_documents(kind, 1)[0]:
            self._unfinished_kinds.discard(kind)
            return subscriptions
        try:
            has_more, is_unfinished = True, False
            while has_more and not should_stop():
                if (lease := self._acquire_lease(kind)) is None:
                    is_unfinished = True
                    break
                documents, has_more = self._pending_documents(kind, BATCH_SIZE)
                if documents:
                    batch = EventBatch(documents)
                    subscriptions |= self._relay_batch(kind, batch, lease, notify)
                    has_more = has_more or batch.has_more
                    is_unfinished = is_unfinished or bool(batch.failures)
            if not is_unfinished:
                self._unfinished_kinds.discard(kind)
        finally:
            if not keep_lease:
                self.release(kind)
        return subscriptions

    def _relay_batch(
        self,
        kind: str,
        batch: EventBatch,
        lease: leases.Lease,
        notify: Callable[[set[str]], object],
    ) -> set[str]:
        """Relay a batch; return the subscriptions that have new deliveries."""
        self._audit_log.append_writes(audit_entries(batch))
        queued = self._enqueue_deliveries(batch)
        if queued:
            notify(queued)
        self._call_listeners(kind, batch, lease)
        self._remove_completed(kind, batch)
        if writes := retry_writes(batch):
            self._database[kind].bulk_write(writes, ordered=False)
        return queued

    def has_more(self, kind: str) -> bool:
        """Return whether a kind has unprocessed events, or more are expected soon."""
        return kind in self._unfinished_kinds or kind in self._leases

    def release(self, kind: str) -> None:
        """Release the lease of a kind, if this relay holds it."""
        if self._leases.pop(kind, None):
            leases.release(self._database[LEASE_COLLECTION], kind, self._owner)

    def _has_lease(self, kind: str) -> bool:
        lease = self._leases.get(kind)
        return lease is not None and lease.is_valid_for(self._lease_duration / 2)

    def _acquire_lease(self, kind: str) -> leases.Lease | None:
        """Acquire or renew the lease of a kind if need be; None: another relay has it."""
        if not self._has_lease(kind):
            self._leases.pop(kind, None)
            if lease := leases.acquire(
                self._database[LEASE_COLLECTION], kind, self._owner, self._lease_duration
            ):
                self._leases[kind] = lease
        return self._leases.get(kind)

    def _pending_documents(self, kind: str, limit: int) -> tuple[list[Document], bool]:
        """Return up to ``limit`` documents with due events, and whether there may be more."""
        query = {"events.0.due": {"$lte": int(time.time() * 1000)}}
        members = dict.fromkeys(("events", "tenant", *write_times.MEMBERS), 1)
        projection = {**members, "size": {"$bsonSize": "$$ROOT"}}
        documents = []
        size = 0
        cursor = self._database[kind].find(query, projection).sort("events.0.due", 1).limit(limit)
        with cursor.batch_size(100):
            for document in cursor:
                documents.append(_with_write_times(document))
                size += document["size"]
                if size > BATCH_BYTES:
                    return documents, True
        return documents, len(documents) == limit

    def _enqueue_deliveries(self, batch: EventBatch) -> set[str]:
        """Queue the deliveries of a batch; return the subscriptions that have new deliveries."""
        events: list[PendingEvent] = [
            event for document in batch.documents for event in document["events"]
        ]
        matcher = SubscriptionMatcher(self._database, self._handlers.render)
        new_events = [
            event for event in events if not event["fanned"] and event["what"] != UNANNOUNCED
        ]
        deliveries = matcher.deliveries(new_events) if new_events else []
        for document in batch.documents:
            renderable = _renderable_prefix(document["events"], matcher.render_errors)
            batch.queued_ids[document["_id"]] = [event["id"] for event in renderable]
            if len(renderable) < len(document["events"]):
                batch.failures[document["_id"]] = document["events"][len(renderable)]
        queued_ids = {id for ids in batch.queued_ids.values() for id in ids}
        deliveries = [delivery for delivery in deliveries if delivery["event"] in queued_ids]
        if deliveries:
            self._queue.enqueue(deliveries)
        return {delivery["subscription"] for delivery in deliveries}

    def _remove_completed(self, kind: str, batch: EventBatch) -> None:
        """Remove the completed events from their documents; keep events that were added since."""
        event_ids = [id for ids in batch.completed_ids.values() for id in ids]
        if not event_ids:
            return
        writes = removal_writes(batch, event_ids)
        emptied_count = 0
        if writes:
            result = self._database[kind].bulk_write(writes, ordered=False)
            emptied_count = result.modified_count + result.deleted_count
        if emptied_count < sum(bool(ids) for ids in batch.completed_ids.values()):
            batch.has_more = True
            keys = {"$in": list(batch.completed_ids)}
            self._database[kind].update_many(
                {"_id": keys, "events.id": {"$in": event_ids}},
                {"$pull": {"events": {"id": {"$in": event_ids}}}},
            )
            self._database[kind].delete_many({"_id": keys, **PURGEABLE})

    def _call_listeners(self, kind: str, batch: EventBatch, lease: leases.Lease) -> None:
        """Call the listeners for the queued events, within the time limit."""
        listeners = self._handlers.listeners.get(kind, ())
        if not listeners:
            batch.completed_ids = batch.queued_ids
            return
        end = min(time.monotonic() + LISTENER_TIME_LIMIT, lease.until)
        for document in batch.documents:
            key = document["_id"]
            completed_ids = batch.completed_ids[key] = []
            for event in document["events"][: len(batch.queued_ids[key])]:
                if time.monotonic() > end:
                    batch.has_more = True
                    return
                if event["what"] != UNANNOUNCED and not _call_each(listeners, event):
                    batch.failures[key] = event
                    break
                completed_ids.append(event["id"])


def _with_write_times(document: Document) -> Document:
    """Return a document whose events have the times of their writes."""
    for event in document["events"]:
        if time_ := write_times.write_time(document, event["seq"] // MAX_EVENTS):
            event["written"] = time_
    return document


def _call_each(listeners: Sequence[EventListener], event: PendingEvent) -> bool:
    """Call the listeners of an event; return False if one raises an exception."""
    token = current_origin.set(resumed_origin(event.get("request", ""), event.get("trace", "")))
    try:
        for listener in listeners:
            listener(event)
    except Exception:
        log.exception(
            "event listener failed; the event stays in the outbox",
            extra={"kind": event["kind"], "resource": event["resource"], "event": event["id"]},
        )
        return False
    finally:
        current_origin.reset(token)
    return True


def _renderable_prefix(
    events: Sequence[PendingEvent], render_errors: Mapping[str, Exception]
) -> list[PendingEvent]:
    """Return the events before the first one that cannot be rendered."""
    return list(takewhile(lambda event: event["id"] not in render_errors, events))
