"""Matches the writes of this process with their reports in the change stream."""

import time
from collections import OrderedDict

#: Time for which an unmatched change is kept, because a local write may match it, in seconds.
CHANGE_TTL = 10.0
#: Most unmatched changes, and most removed documents, that are kept.
MAX_ENTRIES = 20_000

#: Kind, ``_id`` and change of the tenant's total.
_WriteKey = tuple[str, str, int]


class WriteTracker:
    """Tracks local writes that the change stream has not reported; not thread-safe.

    A write is recorded once it is acknowledged. The stream can report it before or after that. A
    reported change without a local write is kept for a while; then it counts as a write of another
    process and is dropped.
    """

    def __init__(self) -> None:
        self._unmatched_changes: OrderedDict[_WriteKey, tuple[int, float]] = OrderedDict()
        self._pending_writes: OrderedDict[_WriteKey, tuple[int, float]] = OrderedDict()
        self._tenants: dict[_WriteKey, str] = {}
        self._pending_deltas: dict[tuple[str, str], int] = {}
        self._removals: OrderedDict[tuple[str, str], None] = OrderedDict()

    def record_write(self, kind: str, key: str, tenant: str, delta: int) -> None:
        """Record a local write that changes a tenant's total by ``delta``."""
        entry = (kind, key, delta)
        if not _decrement(self._unmatched_changes, entry):
            _increment(self._pending_writes, entry)
            self._tenants[entry] = tenant
            self._add_delta(kind, tenant, delta)

    def match_change(self, kind: str, key: str, delta: int) -> bool:
        """Record a change from the stream; return whether it matches a recorded local write."""
        entry = (kind, key, delta)
        if _decrement(self._pending_writes, entry):
            self._add_delta(kind, self._tenants[entry], -delta)
            if entry not in self._pending_writes:
                del self._tenants[entry]
            return True
        _increment(self._unmatched_changes, entry)
        self._expire_changes()
        return False

    def pending_delta(self, kind: str, tenant: str) -> int:
        """Return the change of a total by local writes that the stream has not reported."""
        return self._pending_deltas.get((kind, tenant), 0)

    def is_late(self, limit: float) -> bool:
        """Return whether a local write was not reported for longer than ``limit`` seconds."""
        oldest = next(iter(self._pending_writes.values()), None)
        return oldest is not None and time.monotonic() - oldest[1] > limit

    def drop_writes_before(self, instant: float) -> None:
        """Drop the local writes that were recorded before ``instant``, on the monotonic clock.

        The stream has reported all of them: before they were recorded, or before it was reopened.
        """
        while self._pending_writes and next(iter(self._pending_writes.values()))[1] < instant:
            entry, (count, _) = self._pending_writes.popitem(last=False)
            self._add_delta(entry[0], self._tenants.pop(entry), -entry[2] * count)

    def record_removal(self, kind: str, key: str) -> None:
        """Record that a document has left its tenant; its later deletion changes no total."""
        self._removals[kind, key] = None
        if len(self._removals) > MAX_ENTRIES:
            self._removals.popitem(last=False)

    def pop_removal(self, kind: str, key: str) -> bool:
        """Return whether a document is recorded as removed, and drop the record."""
        if is_recorded := (kind, key) in self._removals:
            del self._removals[kind, key]
        return is_recorded

    def clear(self) -> None:
        """Drop everything except the records of removed documents."""
        self._unmatched_changes.clear()
        self._pending_writes.clear()
        self._tenants.clear()
        self._pending_deltas.clear()

    def _add_delta(self, kind: str, tenant: str, delta: int) -> None:
        key = (kind, tenant)
        self._pending_deltas[key] = self._pending_deltas.get(key, 0) + delta
        if not self._pending_deltas[key]:
            del self._pending_deltas[key]

    def _expire_changes(self) -> None:
        oldest = time.monotonic() - CHANGE_TTL
        while self._unmatched_changes and (
            len(self._unmatched_changes) > MAX_ENTRIES
            or next(iter(self._unmatched_changes.values()))[1] < oldest
        ):
            self._unmatched_changes.popitem(last=False)


def _increment(counter: OrderedDict[_WriteKey, tuple[int, float]], entry: _WriteKey) -> None:
    count, since = counter.get(entry, (0, time.monotonic()))
    counter[entry] = (count + 1, since)


def _decrement(counter: OrderedDict[_WriteKey, tuple[int, float]], entry: _WriteKey) -> bool:
    if entry not in counter:
        return False
    count, since = counter[entry]
    if count == 1:
        del counter[entry]
    else:
        counter[entry] = (count - 1, since)
    return True
