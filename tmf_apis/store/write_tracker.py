"""Which writes of this process the change stream has told already, and which it has yet to tell."""

import time
from collections import OrderedDict

#: How long a told change is remembered for the local write that it may belong to, in seconds.
CHANGE_TTL = 10.0
#: Most told changes, and most removed documents, that are remembered.
MAX_ENTRIES = 20_000

_WriteKey = tuple[str, str, int]


class WriteTracker:
    """Matches local writes with what the change stream tells; not safe between threads.

    A write is noted when it is acknowledged, the stream may tell it before or after that. A told
    change that is nobody's here is another process's, and forgotten after a while.
    """

    def __init__(self) -> None:
        self._unmatched_changes: OrderedDict[_WriteKey, tuple[int, float]] = OrderedDict()
        self._pending_writes: OrderedDict[_WriteKey, tuple[int, float]] = OrderedDict()
        self._tenants: dict[_WriteKey, str] = {}
        self._pending_deltas: dict[tuple[str, str], int] = {}
        self._removals: OrderedDict[tuple[str, str], None] = OrderedDict()

    def record_write(self, kind: str, key: str, tenant: str, delta: int) -> None:
        """Note a local write that moves a tenant's total by ``delta``."""
        entry = (kind, key, delta)
        if not _decrement(self._unmatched_changes, entry):
            _increment(self._pending_writes, entry)
            self._tenants[entry] = tenant
            self._add_delta(kind, tenant, delta)

    def match_change(self, kind: str, key: str, delta: int) -> bool:
        """Note what the stream tells; return whether it is a local write noted before."""
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
        """Return by how much local writes move a total, beyond what the stream has told."""
        return self._pending_deltas.get((kind, tenant), 0)

    def is_late(self, limit: float) -> bool:
        """Return whether a local write has waited for the stream longer than ``limit`` seconds."""
        oldest = next(iter(self._pending_writes.values()), None)
        return oldest is not None and time.monotonic() - oldest[1] > limit

    def drop_writes_before(self, instant: float) -> None:
        """Drop local writes noted ``instant`` a time (monotonic): the stream has told all of them.

        One that is still here was told by a stream that broke since, or before it was noted.
        """
        while self._pending_writes and next(iter(self._pending_writes.values()))[1] < instant:
            entry, (times, _) = self._pending_writes.popitem(last=False)
            self._add_delta(entry[0], self._tenants.pop(entry), -entry[2] * times)

    def record_removal(self, kind: str, key: str) -> None:
        """Remember that a document has left its tenant; that it goes entirely changes nothing."""
        self._removals[kind, key] = None
        if len(self._removals) > MAX_ENTRIES:
            self._removals.popitem(last=False)

    def pop_removal(self, kind: str, key: str) -> bool:
        """Return whether a document is known to have left its tenant before; forgets it."""
        if known := (kind, key) in self._removals:
            del self._removals[kind, key]
        return known

    def clear(self) -> None:
        """Forget everything but which documents were removed."""
        self._unmatched_changes.clear()
        self._pending_writes.clear()
        self._tenants.clear()
        self._pending_deltas.clear()

    def _add_delta(self, kind: str, tenant: str, delta: int) -> None:
        place = (kind, tenant)
        self._pending_deltas[place] = self._pending_deltas.get(place, 0) + delta
        if not self._pending_deltas[place]:
            del self._pending_deltas[place]

    def _expire_changes(self) -> None:
        old = time.monotonic() - CHANGE_TTL
        while self._unmatched_changes and (
            len(self._unmatched_changes) > MAX_ENTRIES
            or next(iter(self._unmatched_changes.values()))[1] < old
        ):
            self._unmatched_changes.popitem(last=False)


def _increment(counter: OrderedDict[_WriteKey, tuple[int, float]], entry: _WriteKey) -> None:
    times, since = counter.get(entry, (0, time.monotonic()))
    counter[entry] = (times + 1, since)


def _decrement(counter: OrderedDict[_WriteKey, tuple[int, float]], entry: _WriteKey) -> bool:
    if (found := counter.get(entry)) is None:
        return False
    times, since = found
    if times == 1:
        del counter[entry]
    else:
        counter[entry] = (times - 1, since)
    return True
