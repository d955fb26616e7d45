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

from tmf_apis.store.changes import Change, Reader
from tmf_apis.store.connection import Documents, translated
from tmf_apis.store.ledger import Ledger
from tmf_apis.store.model import GONE

#: Longest wait for another thread's count of the same total, in seconds.
TURN = 1.0
#: A count that took no longer is made again sooner than waited for, in seconds.
QUICK = 0.05
#: Most filtered totals that are kept of one kind.
KEPT = 512
#: A local write that the stream does not tell for so long shows that the stream is late. Seconds.
LATE = 5.0


class _Plain:
    """One tenant's total of a kind.

    Attributes:
        total: Documents at ``since`` and what was told of later ones; None while counting.
        since: Time of the snapshot that was counted.
        settled: Whether everything up to ``since`` has been told, so that what stands in the
            ledger is later than the snapshot.
        early: Changes told while the snapshot was counted.
        cost: How long the count took, in seconds.
    """

    __slots__ = ("cost", "early", "settled", "since", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        self.since = Timestamp(0, 0)
        self.settled = False
        self.early: list[tuple[Timestamp, int]] = []
        self.cost = 0.0

    def move(self, at: Timestamp, step: int) -> None:
        """Apply a change that was told."""
        if self.total is None:
            self.early.append((at, step))
        elif at > self.since:
            self.total += step

    def counted(self, total: int, since: Timestamp) -> None:
        """Take the result of the count."""
        self.since = since
        self.total = total + sum(step for at, step in self.early if at > since)
        self.early = []


class Counts:
    """Exact totals, cached in this process."""

    def __init__(
        self, database: Documents, *, query_time: int = 5000, base_time: int = 60_000
    ) -> None:
        """Take the database.

        Args:
            database: Where the kinds' collections are.
            query_time: Longest time of a filtered count, in milliseconds.
            base_time: Longest time of a tenant's first plain count, in milliseconds.
        """
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._query_time, self._base_time = query_time, base_time
        self._reader = Reader(database, self)
        self._change = threading.Condition()
        self._open = False
        self._opened_at = self._reached_at = Timestamp(0, 0)
        self._plain: dict[tuple[str, str], _Plain] = {}
        self._unsettled: list[_Plain] = []
        self._filtered: dict[str, dict[bytes, int]] = {}
        self._versions: dict[str, int] = {}
        self._ledger = Ledger()

    def start(self) -> None:
        """Begin to follow what other processes write; without it every total is counted anew."""
        self._reader.start()

    def stop(self) -> None:
        """Stop following."""
        self._reader.stop()

    @property
    def kept(self) -> bool:
        """Whether totals are kept now: the change stream is open and not late."""
        return self._open and self._reader.alive

    def total(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return how many documents of a kind match, everything this process wrote included.

        Raises:
            Unavailable: The database does not answer, or the count took too long (HTTP 503).
        """
        tenant = query.get("tenant")
        with translated():
            if not isinstance(tenant, str) or tenant == GONE or not self.kept:
                return self._count(kind, query)
            if len(query) == 1:
                return self._total_of(kind, tenant)
            return self._total_where(kind, query)

    def inserted(self, kind: str, key: str, tenant: str) -> None:
        """Note that this process has inserted a document; called once the write is acknowledged.

        Args:
            kind: The kind.
            key: The document's ``_id``.
            tenant: Its tenant.
        """
        self._noted(kind, key, tenant, 1)

    def deleted(self, kind: str, key: str, tenant: str) -> None:
        """Note that this process has taken a document out of ``tenant``."""
        self._noted(kind, key, tenant, -1)

    def changed(self, kind: str) -> None:
        """Note that this process has changed a document: filtered totals may be others now."""
        with self._change:
            self._outdate(kind)

    def opened(self, at: Timestamp) -> None:
        """Begin to keep totals; called by the reader."""
        with self._change:
            self._forget()
            self._opened_at = self._reached_at = at
            self._open = True

    def broken(self) -> None:
        """Keep nothing any more; called by the reader."""
        with self._change:
            self._open = False
            self._forget()

    def reached(self, at: Timestamp) -> None:
        """Settle totals whose snapshot the stream has passed; called by the reader."""
        with self._change:
            self._reached_at = at
            for plain in [one for one in self._unsettled if at >= one.since]:
                plain.settled = True
                self._unsettled.remove(plain)
                self._change.notify_all()
            if self._ledger.late(LATE):
                self._open = False
                self._forget()
                self._reader.again()

    def quiet(self, asked: float) -> None:
        """Drop from the ledger what can no longer be told; called by the reader."""
        with self._change:
            self._ledger.settle(asked)

    def happened(self, change: Change) -> None:
        """Apply a change that any process made; called by the reader."""
        with self._change:
            if change.what not in {"insert", "update", "replace", "delete"}:
                self._forget()
                return
            tenant, step = self._step(change)
            if step is None:
                self._plain = {
                    place: plain for place, plain in self._plain.items() if place[0] != change.kind
                }
                self._change.notify_all()
            known = False
            if step:
                known = self._ledger.told(change.kind, change.key, step)
                if plain := self._plain.get((change.kind, tenant)):
                    plain.move(change.at, step)
            if not known:
                self._outdate(change.kind)

    def _step(self, change: Change) -> tuple[str, int | None]:
        """Return whose total a change moves and by what; None where only counting can tell."""
        owner = change.key.partition(":")[0]
        if change.what == "insert":
            return change.tenant, 1 if change.tenant != GONE else 0
        if change.what == "delete":
            return owner, 0 if self._ledger.was_removed(change.kind, change.key) else None
        if change.tenant in {"", owner}:
            # A replacement keeps its tenant; an update that sets the owner brings it back.
            return owner, 0 if change.what == "replace" or not change.tenant else None
        if change.tenant == GONE and change.what == "update":
            self._ledger.removed(change.kind, change.key)
            return owner, -1
        return owner, None

    def _noted(self, kind: str, key: str, tenant: str, step: int) -> None:
        with self._change:
            if self._open:
                self._ledger.done(kind, key, tenant, step)
            self._outdate(kind)

    def _outdate(self, kind: str) -> None:
        self._versions[kind] = self._versions.get(kind, 0) + 1
        self._filtered.pop(kind, None)

    def _forget(self) -> None:
        self._plain, self._filtered, self._unsettled = {}, {}, []
        for kind in self._versions:
            self._versions[kind] += 1
        self._ledger.clear()
        self._change.notify_all()

    def _total_of(self, kind: str, tenant: str) -> int:
        """Return a tenant's plain total: the one that is kept, or a new count to keep."""
        place = (kind, tenant)
        with self._change:
            plain = self._settled(place)
            if plain is not None and plain.settled and plain.total is not None:
                return plain.total + self._ledger.waiting(kind, tenant)
            mine = None if plain else self._plain.setdefault(place, _Plain())
        if mine is None:
            return self._count(kind, {"tenant": tenant})
        try:
            return self._base(place, mine)
        finally:
            with self._change:
                if mine.total is None and self._plain.get(place) is mine:
                    del self._plain[place]
                self._change.notify_all()

    def _settled(self, place: tuple[str, str]) -> _Plain | None:
        """Return a total once it is settled, or as it is when that takes too long; None: none."""
        deadline = time.monotonic() + TURN
        while (plain := self._plain.get(place)) is not None and not plain.settled:
            quick = plain.total is not None and plain.cost < QUICK
            if quick or not self._change.wait(deadline - time.monotonic()):
                break
        return plain

    def _base(self, place: tuple[str, str], mine: _Plain) -> int:
        """Count on a snapshot and keep the result where everything since then will be told."""
        began = time.monotonic()
        total, since = self._snapshot(*place)
        mine.cost = time.monotonic() - began
        if since is None:
            return self._count(place[0], {"tenant": place[1]})
        with self._change:
            if self._plain.get(place) is mine and since >= self._opened_at:
                mine.counted(total, since)
                mine.settled = self._reached_at >= since
                if not mine.settled:
                    self._unsettled.append(mine)
        return total

    def _total_where(self, kind: str, query: Mapping[str, Any]) -> int:
        """Return the total of a filtered query, counted unless nothing was written since."""
        key = bson.encode({"": query})
        with self._change:
            found = self._filtered.get(kind, {}).get(key)
            version = self._versions.setdefault(kind, 0)
        if found is not None:
            return found
        total = self._count(kind, query)
        with self._change:
            if self._open and self._versions[kind] == version:
                kept = self._filtered.setdefault(kind, {})
                if len(kept) >= KEPT:
                    kept.clear()
                kept[key] = total
        return total

    def _count(self, kind: str, query: Mapping[str, Any]) -> int:
        """Count now."""
        limit = self._base_time if query.keys() == {"tenant"} else self._query_time
        command = {"count": kind, "query": query, "maxTimeMS": limit}
        return int(self._database.command(command)["n"])

    def _snapshot(self, kind: str, tenant: str) -> tuple[int, Timestamp | None]:
        """Count a tenant's documents and return with it the time that the count is true for.

        The time is None where the database has no snapshot to offer (the collection is too new).
        """
        command = {
            "aggregate": kind,
            "pipeline": [{"$match": {"tenant": tenant}}, {"$count": "total"}],
            "cursor": {},
            "readConcern": {"level": "snapshot"},
            "maxTimeMS": self._base_time,
        }
        try:
            cursor = self._database.command(command)["cursor"]
        except OperationFailure as error:
            if error.has_error_label("TransientTransactionError") or error.code in NO_SNAPSHOT:
                return 0, None
            raise
        batch = cursor["firstBatch"]
        return (batch[0]["total"] if batch else 0), cursor.get("atClusterTime")


#: MongoDB error codes: a snapshot is not to be had at this time.
NO_SNAPSHOT = frozenset({239, 246, 251})
