"""How many resources match: exact totals that cost nothing while nothing changes.

A tenant's plain total is counted once, on a snapshot of the database at a known time, and from
then on moved by what the change stream tells. Writes of this process count at once: a local
write that the stream has not told yet stands in the ledger, one that it has told does not count
twice, whichever comes first. Totals of filtered queries are kept until anything of their kind is
written. While the change stream is broken or late, nothing is kept and everything is counted.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import bson
from bson import Timestamp
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from tmf_apis.store.change_stream import Change, ChangeStreamReader
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT
from tmf_apis.store.write_tracker import WriteTracker

#: Longest wait for another thread's count of the same total, in seconds.
COUNT_WAIT = 1.0
#: A count that took no longer is made again sooner than waited for, in seconds.
QUICK_COUNT = 0.05
#: Most filtered totals that are kept of one kind.
MAX_FILTERED_TOTALS = 512
#: A local write that the stream does not tell for so long shows that the stream is late. Seconds.
MAX_STREAM_LAG = 5.0


class _TenantTotal:
    """One tenant's total of a kind.

    Attributes:
        total: Documents at ``snapshot_time`` and what was told of later ones; None while counting.
        snapshot_time: Time of the snapshot that was counted.
        is_settled: Whether everything up to ``snapshot_time`` has been told, so that what stands in the
            ledger is later than the snapshot.
        buffered_changes: Changes told while the snapshot was counted.
        duration: How long the count took, in seconds.
    """

    __slots__ = ("buffered_changes", "duration", "is_settled", "snapshot_time", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        self.snapshot_time = Timestamp(0, 0)
        self.is_settled = False
        self.buffered_changes: list[tuple[Timestamp, int]] = []
        self.duration = 0.0

    def apply(self, at: Timestamp, delta: int) -> None:
        """Apply a change that was told."""
        if self.total is None:
            self.buffered_changes.append((at, delta))
        elif at > self.snapshot_time:
            self.total += delta

    def set_base(self, total: int, snapshot_time: Timestamp) -> None:
        """Take the result of the count."""
        self.snapshot_time = snapshot_time
        self.total = total + sum(step for at, step in self.buffered_changes if at > snapshot_time)
        self.buffered_changes = []


class CountCache:
    """Exact totals, cached in this process."""

    def __init__(
        self, database: MongoDatabase, *, query_time: int = 5000, base_count_time: int = 60_000
    ) -> None:
        """Take the database.

        Args:
            database: Where the kinds' collections are.
            query_time: Longest time of a filtered count, in milliseconds.
            base_count_time: Longest time of a tenant's first plain count, in milliseconds.
        """
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._query_time, self._base_count_time = query_time, base_count_time
        self._reader = ChangeStreamReader(database, self)
        self._condition = threading.Condition()
        self._is_open = False
        self._opened_at = self._watermark = Timestamp(0, 0)
        self._tenant_totals: dict[tuple[str, str], _TenantTotal] = {}
        self._unsettled_totals: list[_TenantTotal] = []
        self._filtered_totals: dict[str, dict[bytes, int]] = {}
        self._versions: dict[str, int] = {}
        self._write_tracker = WriteTracker()

    def start(self) -> None:
        """Begin to follow what other processes write; without it every total is counted anew."""
        self._reader.start()

    def stop(self) -> None:
        """Stop following."""
        self._reader.stop()

    @property
    def is_caching(self) -> bool:
        """Whether totals are kept now: the change stream is open and not late."""
        return self._is_open and self._reader.is_alive

    def total(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return how many documents of a kind match, everything this process wrote included.

        Raises:
            Unavailable: The database does not answer, or the count took too long (HTTP 503).
        """
        tenant = query.get("tenant")
        with translate_errors():
            if not isinstance(tenant, str) or tenant == DELETED_TENANT or not self.is_caching:
                return self._count(kind, query)
            if len(query) == 1:
                return self._tenant_total(kind, tenant)
            return self._filtered_total(kind, query)

    def record_insert(self, kind: str, key: str, tenant: str) -> None:
        """Note that this process has inserted a document; called once the write is acknowledged.

        Args:
            kind: The kind.
            key: The document's ``_id``.
            tenant: Its tenant.
        """
        self._record(kind, key, tenant, 1)

    def record_delete(self, kind: str, key: str, tenant: str) -> None:
        """Note that this process has taken a document out of ``tenant``."""
        self._record(kind, key, tenant, -1)

    def record_update(self, kind: str) -> None:
        """Note that this process has changed a document: filtered totals may be others now."""
        with self._condition:
            self._invalidate(kind)

    def on_open(self, at: Timestamp) -> None:
        """Begin to keep totals; called by the reader."""
        with self._condition:
            self._invalidate_all()
            self._opened_at = self._watermark = at
            self._is_open = True

    def on_disconnect(self) -> None:
        """Keep nothing any more; called by the reader."""
        with self._condition:
            self._is_open = False
            self._invalidate_all()

    def on_watermark(self, at: Timestamp) -> None:
        """Settle totals whose snapshot the stream has passed; called by the reader."""
        with self._condition:
            self._watermark = at
            for plain in [one for one in self._unsettled_totals if at >= one.snapshot_time]:
                plain.is_settled = True
                self._unsettled_totals.remove(plain)
                self._condition.notify_all()
            if self._write_tracker.is_late(MAX_STREAM_LAG):
                self._is_open = False
                self._invalidate_all()
                self._reader.reopen()

    def on_idle(self, polled_at: float) -> None:
        """Drop from the ledger what can no longer be told; called by the reader."""
        with self._condition:
            self._write_tracker.drop_writes_before(polled_at)

    def on_change(self, change: Change) -> None:
        """Apply a change that any process made; called by the reader."""
        with self._condition:
            if change.operation not in {"insert", "update", "replace", "delete"}:
                self._invalidate_all()
                return
            tenant, step = self._tenant_delta(change)
            if step is None:
                self._tenant_totals = {
                    place: plain
                    for place, plain in self._tenant_totals.items()
                    if place[0] != change.kind
                }
                self._condition.notify_all()
            known = False
            if step:
                known = self._write_tracker.match_change(change.kind, change.key, step)
                if plain := self._tenant_totals.get((change.kind, tenant)):
                    plain.apply(change.at, step)
            if not known:
                self._invalidate(change.kind)

    def _tenant_delta(self, change: Change) -> tuple[str, int | None]:
        """Return whose total a change moves and by what; None where only counting can tell."""
        owner = change.key.partition(":")[0]
        if change.operation == "insert":
            return change.tenant, 1 if change.tenant != DELETED_TENANT else 0
        if change.operation == "delete":
            return owner, 0 if self._write_tracker.pop_removal(change.kind, change.key) else None
        if change.tenant in {"", owner}:
            # A replacement keeps its tenant; an update that sets the owner brings it back.
            return owner, 0 if change.operation == "replace" or not change.tenant else None
        if change.tenant == DELETED_TENANT and change.operation == "update":
            self._write_tracker.record_removal(change.kind, change.key)
            return owner, -1
        return owner, None

    def _record(self, kind: str, key: str, tenant: str, delta: int) -> None:
        with self._condition:
            if self._is_open:
                self._write_tracker.record_write(kind, key, tenant, delta)
            self._invalidate(kind)

    def _invalidate(self, kind: str) -> None:
        self._versions[kind] = self._versions.get(kind, 0) + 1
        self._filtered_totals.pop(kind, None)

    def _invalidate_all(self) -> None:
        self._tenant_totals, self._filtered_totals, self._unsettled_totals = {}, {}, []
        for kind in self._versions:
            self._versions[kind] += 1
        self._write_tracker.clear()
        self._condition.notify_all()

    def _tenant_total(self, kind: str, tenant: str) -> int:
        """Return a tenant's plain total: the one that is kept, or a new count to keep."""
        place = (kind, tenant)
        with self._condition:
            plain = self._wait_until_settled(place)
            if plain is not None and plain.is_settled and plain.total is not None:
                return plain.total + self._write_tracker.pending_delta(kind, tenant)
            mine = None if plain else self._tenant_totals.setdefault(place, _TenantTotal())
        if mine is None:
            return self._count(kind, {"tenant": tenant})
        try:
            return self._count_base(place, mine)
        finally:
            with self._condition:
                if mine.total is None and self._tenant_totals.get(place) is mine:
                    del self._tenant_totals[place]
                self._condition.notify_all()

    def _wait_until_settled(self, key: tuple[str, str]) -> _TenantTotal | None:
        """Return a total once it is settled, or as it is when that takes too long; None: none."""
        deadline = time.monotonic() + COUNT_WAIT
        while (plain := self._tenant_totals.get(key)) is not None and not plain.is_settled:
            quick = plain.total is not None and plain.duration < QUICK_COUNT
            if quick or not self._condition.wait(deadline - time.monotonic()):
                break
        return plain

    def _count_base(self, key: tuple[str, str], tenant_total: _TenantTotal) -> int:
        """Count on a snapshot and keep the result where everything since then will be told."""
        began = time.monotonic()
        total, since = self._snapshot_count(*key)
        tenant_total.duration = time.monotonic() - began
        if since is None:
            return self._count(key[0], {"tenant": key[1]})
        with self._condition:
            if self._tenant_totals.get(key) is tenant_total and since >= self._opened_at:
                tenant_total.set_base(total, since)
                tenant_total.is_settled = self._watermark >= since
                if not tenant_total.is_settled:
                    self._unsettled_totals.append(tenant_total)
        return total

    def _filtered_total(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return the total of a filtered query, counted unless nothing was written since."""
        key = bson.encode({"": query})
        with self._condition:
            found = self._filtered_totals.get(kind, {}).get(key)
            version = self._versions.setdefault(kind, 0)
        if found is not None:
            return found
        total = self._count(kind, query)
        with self._condition:
            if self._is_open and self._versions[kind] == version:
                kept = self._filtered_totals.setdefault(kind, {})
                if len(kept) >= MAX_FILTERED_TOTALS:
                    kept.clear()
                kept[key] = total
        return total

    def _count(self, kind: str, query: Mapping[str, Any]) -> int:
        """Count now."""
        limit = self._base_count_time if query.keys() == {"tenant"} else self._query_time
        command = {"count": kind, "query": query, "maxTimeMS": limit}
        return int(self._database.command(command)["n"])

    def _snapshot_count(self, kind: str, tenant: str) -> tuple[int, Timestamp | None]:
        """Count a tenant's documents and return with it the time that the count is true for.

        The time is None where the database has no snapshot to offer (the collection is too new).
        """
        command = {
            "aggregate": kind,
            "pipeline": [{"$match": {"tenant": tenant}}, {"$count": "total"}],
            "cursor": {},
            "readConcern": {"level": "snapshot"},
            "maxTimeMS": self._base_count_time,
        }
        try:
            cursor = self._database.command(command)["cursor"]
        except OperationFailure as error:
            if (
                error.has_error_label("TransientTransactionError")
                or error.code in NO_SNAPSHOT_CODES
            ):
                return 0, None
            raise
        batch = cursor["firstBatch"]
        return (batch[0]["total"] if batch else 0), cursor.get("atClusterTime")


#: MongoDB error codes: a snapshot is not to be had at this time.
NO_SNAPSHOT_CODES = frozenset({239, 246, 251})
