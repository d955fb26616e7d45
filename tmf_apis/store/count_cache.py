"""Exact numbers of matching resources, cached until resources change.

The unfiltered total of a tenant is counted once, on a snapshot of the database at a known time.
From then on the change stream updates it. Writes of this process count immediately: the write
tracker holds those that the stream has not reported yet, and matches each with its report, so that
no write counts twice. So do the writes of its siblings, the other HTTP processes of the server,
which report them through shared memory. Totals of filtered queries are cached until a resource of
their kind is written. While the change stream is broken or late, nothing is cached and each total
is counted.
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
from tmf_apis.store.write_feed import WriteFeed
from tmf_apis.store.write_tracker import WriteTracker

#: Longest wait for another thread's count of the same total, in seconds.
COUNT_WAIT = 1.0
#: If the count took less than this, other threads repeat it instead of waiting, in seconds.
QUICK_COUNT = 0.05
#: Most cached totals of filtered queries, for each kind.
MAX_FILTERED_TOTALS = 512
#: Time without a report of a local write after which the stream is considered late, in seconds.
MAX_STREAM_LAG = 5.0
#: MongoDB error codes: no snapshot is available at this time.
NO_SNAPSHOT_CODES = frozenset({239, 246, 251})


class _TenantTotal:
    """The total of one tenant and kind.

    Attributes:
        total: Number of documents at ``snapshot_time``, updated by later changes; None while
            counting.
        snapshot_time: Time of the snapshot that was counted.
        is_settled: The stream has reported every change up to ``snapshot_time``, so the writes in
            the write tracker are later than the snapshot.
        buffered_changes: Changes that were reported during the count.
        duration: Duration of the count, in seconds.
    """

    __slots__ = ("buffered_changes", "duration", "is_settled", "snapshot_time", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        self.snapshot_time = Timestamp(0, 0)
        self.is_settled = False
        self.buffered_changes: list[tuple[Timestamp, int]] = []
        self.duration = 0.0

    def apply(self, at: Timestamp, delta: int) -> None:
        """Apply a reported change."""
        if self.total is None:
            self.buffered_changes.append((at, delta))
        elif at > self.snapshot_time:
            self.total += delta

    def set_base(self, total: int, snapshot_time: Timestamp) -> None:
        """Set the result of the count."""
        self.snapshot_time = snapshot_time
        self.total = total + sum(delta for at, delta in self.buffered_changes if at > snapshot_time)
        self.buffered_changes = []


class CountCache:
    """Exact totals, cached in this process; a listener of the change stream."""

    def __init__(
        self,
        database: MongoDatabase,
        *,
        query_time: int = 5000,
        base_count_time: int = 60_000,
        feed: WriteFeed | None = None,
    ) -> None:
        """Create an empty cache; ``start`` begins to cache.

        Args:
            database: The database of the resources.
            query_time: Time limit of a filtered count, in milliseconds.
            base_count_time: Time limit of an unfiltered count, in milliseconds.
            feed: The writes of siblings; None: this process has none.
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
        self._feed = feed

    def start(self) -> None:
        """Start the reader of the change stream; before that each total is counted."""
        self._reader.start()

    def stop(self) -> None:
        """Stop the reader of the change stream."""
        self._reader.stop()

    @property
    def is_caching(self) -> bool:
        """Return whether totals are cached now: the change stream is open and not late."""
        return self._is_open and self._reader.is_alive

    def total(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return the number of documents that match, including all writes of this server.

        Raises:
            Unavailable: The database does not answer, or the count took too long (HTTP 503).
        """
        self._apply_sibling_writes()
        tenant = query.get("tenant")
        with translate_errors():
            if not isinstance(tenant, str) or tenant == DELETED_TENANT or not self.is_caching:
                return self._count(kind, query)
            if len(query) == 1:
                return self._tenant_total(kind, tenant)
            return self._filtered_total(kind, query)

    def record_insert(self, kind: str, key: str, tenant: str) -> None:
        """Note an insert by this process; call it once the write is acknowledged.

        Args:
            kind: The kind.
            key: The document's ``_id``.
            tenant: Its tenant.
        """
        self._record(kind, key, tenant, 1)
        self._publish(kind, key, tenant, 1)

    def record_delete(self, kind: str, key: str, tenant: str) -> None:
        """Note that this process has removed a document from ``tenant``."""
        self._record(kind, key, tenant, -1)
        self._publish(kind, key, tenant, -1)

    def record_update(self, kind: str) -> None:
        """Note an update by this process; it invalidates the filtered totals of the kind."""
        with self._condition:
            self._invalidate(kind)
        self._publish(kind, "", "", 0)

    def on_open(self, at: Timestamp) -> None:
        """Begin to cache totals; called by the reader."""
        with self._condition:
            if self._feed:
                self._feed.read()  # every later count includes these writes
            self._invalidate_all()
            self._opened_at = self._watermark = at
            self._is_open = True

    def on_disconnect(self) -> None:
        """Drop all totals and stop caching; called by the reader."""
        with self._condition:
            self._is_open = False
            self._invalidate_all()

    def on_watermark(self, at: Timestamp) -> None:
        """Settle the totals whose snapshot is older than ``at``; called by the reader."""
        self._apply_sibling_writes()
        with self._condition:
            self._watermark = at
            for total in [t for t in self._unsettled_totals if at >= t.snapshot_time]:
                total.is_settled = True
                self._unsettled_totals.remove(total)
                self._condition.notify_all()
            if self._write_tracker.is_late(MAX_STREAM_LAG):
                self._is_open = False
                self._invalidate_all()
                self._reader.reopen()

    def on_idle(self, polled_at: float) -> None:
        """Drop local writes that will not be reported any more; called by the reader."""
        with self._condition:
            self._write_tracker.drop_writes_before(polled_at)

    def on_change(self, change: Change) -> None:
        """Apply a change by any process; called by the reader."""
        with self._condition:
            if change.operation not in {"insert", "update", "replace", "delete"}:
                self._invalidate_all()
                return
            tenant, delta = self._tenant_delta(change)
            if delta is None:
                self._tenant_totals = {
                    key: total
                    for key, total in self._tenant_totals.items()
                    if key[0] != change.kind
                }
                self._condition.notify_all()
            is_local = False
            if delta:
                is_local = self._write_tracker.match_change(change.kind, change.key, delta)
                if total := self._tenant_totals.get((change.kind, tenant)):
                    total.apply(change.at, delta)
            if not is_local:
                self._invalidate(change.kind)

    def _tenant_delta(self, change: Change) -> tuple[str, int | None]:
        """Return the tenant whose total changes, and by how much; None: it must be counted."""
        owner = change.key.partition(":")[0]
        if change.operation == "insert":
            return change.tenant, 1 if change.tenant != DELETED_TENANT else 0
        if change.operation == "delete":
            return owner, 0 if self._write_tracker.pop_removal(change.kind, change.key) else None
        if change.tenant in {"", owner}:
            # A replacement keeps the tenant. An update that sets the owner restores the document.
            return owner, 0 if change.operation == "replace" or not change.tenant else None
        if change.tenant == DELETED_TENANT and change.operation == "update":
            self._write_tracker.record_removal(change.kind, change.key)
            return owner, -1
        return owner, None

    def _publish(self, kind: str, key: str, tenant: str, delta: int) -> None:
        if self._feed:
            self._feed.publish((kind, key, tenant, delta))

    def _apply_sibling_writes(self) -> None:
        """Count the latest writes of siblings; drop all totals if some have been missed."""
        if self._feed is None or not self._feed.has_news:
            return
        with self._condition:
            entries = self._feed.read()
            if entries is None:
                self._invalidate_all()
                return
            for kind, key, tenant, delta in entries:
                if delta:
                    self._record(kind, key, tenant, delta)
                else:
                    self._invalidate(kind)

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
        """Return the unfiltered total of a tenant, from the cache or counted and cached."""
        key = (kind, tenant)
        with self._condition:
            cached = self._wait_until_settled(key)
            if cached is not None and cached.is_settled and cached.total is not None:
                return cached.total + self._write_tracker.pending_delta(kind, tenant)
            new = None if cached else self._tenant_totals.setdefault(key, _TenantTotal())
        if new is None:
            return self._count(kind, {"tenant": tenant})
        try:
            return self._count_base(key, new)
        finally:
            with self._condition:
                if new.total is None and self._tenant_totals.get(key) is new:
                    del self._tenant_totals[key]
                self._condition.notify_all()

    def _wait_until_settled(self, key: tuple[str, str]) -> _TenantTotal | None:
        """Return a total once it is settled, or after ``COUNT_WAIT``; None: it is not cached."""
        deadline = time.monotonic() + COUNT_WAIT
        while (cached := self._tenant_totals.get(key)) is not None and not cached.is_settled:
            is_quick = cached.total is not None and cached.duration < QUICK_COUNT
            if is_quick or not self._condition.wait(deadline - time.monotonic()):
                break
        return cached

    def _count_base(self, key: tuple[str, str], tenant_total: _TenantTotal) -> int:
        """Count on a snapshot; cache the result if all later changes will be reported."""
        started = time.monotonic()
        total, snapshot_time = self._snapshot_count(*key)
        tenant_total.duration = time.monotonic() - started
        if snapshot_time is None:
            return self._count(key[0], {"tenant": key[1]})
        with self._condition:
            if self._tenant_totals.get(key) is tenant_total and snapshot_time >= self._opened_at:
                tenant_total.set_base(total, snapshot_time)
                tenant_total.is_settled = self._watermark >= snapshot_time
                if not tenant_total.is_settled:
                    self._unsettled_totals.append(tenant_total)
        return total

    def _filtered_total(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return the total of a filtered query, from the cache or counted."""
        key = bson.encode({"": query})
        with self._condition:
            cached = self._filtered_totals.get(kind, {}).get(key)
            version = self._versions.setdefault(kind, 0)
        if cached is not None:
            return cached
        total = self._count(kind, query)
        with self._condition:
            if self._is_open and self._versions[kind] == version:
                totals = self._filtered_totals.setdefault(kind, {})
                if len(totals) >= MAX_FILTERED_TOTALS:
                    totals.clear()
                totals[key] = total
        return total

    def _count(self, kind: str, query: Mapping[str, Any]) -> int:
        """Count in the database."""
        limit = self._base_count_time if query.keys() == {"tenant"} else self._query_time
        command = {"count": kind, "query": query, "maxTimeMS": limit}
        return int(self._database.command(command)["n"])

    def _snapshot_count(self, kind: str, tenant: str) -> tuple[int, Timestamp | None]:
        """Count the documents of a tenant on a snapshot; return the total and the snapshot's time.

        The time is None if no snapshot is available because the collection is too new.
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
