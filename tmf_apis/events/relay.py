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

from tmf_apis.events import leases
from tmf_apis.events.batches import Batch, put_off, removals
from tmf_apis.events.deliveries import Deliveries
from tmf_apis.events.envelope import Render
from tmf_apis.events.matching import Matching
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.store.indexes import PENDING
from tmf_apis.store.model import DONE_FOR

LEASES = "leases"
#: Most documents and bytes in one batch.
BATCH, BATCH_BYTES = 500, 16 * 1024 * 1024
#: Longest time that listeners may take of one batch, in seconds; the rest waits for the next.
LISTENING = 3.0

Document = dict[str, Any]
#: Told of an event inside the server, at least once; an exception keeps the event.
Listener = Callable[[PendingEvent], None]
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
        self._leases: dict[str, leases.Lease] = {}
        self._later: set[str] = set()

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
        *,
        keep: bool = False,
    ) -> set[str]:
        """Hand on every pending event of a kind, unless another relay is at it.

        Args:
            kind: The kind.
            stop: Asked before each batch.
            tell: Told of subscriptions as soon as they have something new.
            keep: Keep the lease until ``release``, for there will be more soon.

        Returns:
            The subscriptions that have something new.
        """
        told: set[str] = set()
        self._later.add(kind)  # until it is known better
        if not self._holds(kind) and not self._pending(kind, 1)[0]:
            self._later.discard(kind)
            return told
        try:
            more, later = True, False
            while more and not stop():
                if (lease := self._taken(kind)) is None:
                    later = True
                    break
                documents, more = self._pending(kind, BATCH)
                if documents:
                    batch = Batch(documents)
                    told |= self._one(kind, batch, lease, tell)
                    more = more or batch.left
                    later = later or bool(batch.failed)
            if not later:
                self._later.discard(kind)
        finally:
            if not keep:
                self.release(kind)
        return told

    def _one(
        self, kind: str, batch: Batch, lease: leases.Lease, tell: Callable[[set[str]], object]
    ) -> set[str]:
        """Hand on a batch; return the subscriptions that have something new."""
        queued = self._hand_on(batch)
        if queued:
            tell(queued)
        self._tell(kind, batch, lease)
        self._remove(kind, batch)
        if writes := put_off(batch):
            self._database[kind].bulk_write(writes, ordered=False)
        return queued

    def waits(self, kind: str) -> bool:
        """Return whether the last look left something that is to be looked at again soon."""
        return kind in self._later or kind in self._leases

    def release(self, kind: str) -> None:
        """Give the lease of a kind back, if we have it."""
        if self._leases.pop(kind, None):
            leases.release(self._database[LEASES], kind, self._owner)

    def _holds(self, kind: str) -> bool:
        held = self._leases.get(kind)
        return held is not None and held.lasts(self._lease / 2)

    def _taken(self, kind: str) -> leases.Lease | None:
        """Return the lease of a kind, taken or prolonged where it does not last."""
        if not self._holds(kind):
            self._leases.pop(kind, None)
            if lease := leases.take(self._database[LEASES], kind, self._owner, self._lease):
                self._leases[kind] = lease
        return self._leases.get(kind)

    def _pending(self, kind: str, most: int) -> tuple[list[Document], bool]:
        """Return documents with events that are due, and whether there may be more."""
        query = {"events.0.due": {"$lte": int(time.time() * 1000)}}
        view = {"events": 1, "tenant": 1, "size": {"$bsonSize": "$$ROOT"}}
        documents = []
        size = 0
        with self._database[kind].find(query, view).sort("events.0.due", 1).limit(most) as cursor:
            for document in cursor.batch_size(100):
                documents.append(document)
                size += document["size"]
                if size > BATCH_BYTES:
                    return documents, True
        return documents, len(documents) == most

    def _hand_on(self, batch: Batch) -> set[str]:
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

    def _remove(self, kind: str, batch: Batch) -> None:
        """Take the events that are done out of their documents, and nothing that came since."""
        ids = [one for some in batch.done.values() for one in some]
        if not ids:
            return
        writes = removals(batch, ids)
        emptied = 0
        if writes:
            result = self._database[kind].bulk_write(writes, ordered=False)
            emptied = result.modified_count + result.deleted_count
        if emptied < len([1 for some in batch.done.values() if some]):
            batch.left = True
            self._database[kind].update_many(
                {"_id": {"$in": list(batch.done)}, "events.id": {"$in": ids}},
                {"$pull": {"events": {"id": {"$in": ids}}}},
            )
            self._database[kind].delete_many({"_id": {"$in": list(batch.done)}, **DONE_FOR})

    def _tell(self, kind: str, batch: Batch, lease: leases.Lease) -> None:
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
                    batch.left = True
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
