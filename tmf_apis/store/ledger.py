"""Which writes of this process the change stream has told already, and which it has yet to tell."""

import time
from collections import OrderedDict

#: How long a told change is remembered for the local write that it may belong to, in seconds.
MEMORY = 10.0
#: Most told changes, and most removed documents, that are remembered.
MOST = 20_000

_Entry = tuple[str, str, int]


class Ledger:
    """Matches local writes with what the change stream tells; not safe between threads.

    A write is noted when it is acknowledged, the stream may tell it before or after that. A told
    change that is nobody's here is another process's, and forgotten after a while.
    """

    def __init__(self) -> None:
        self._told: OrderedDict[_Entry, tuple[int, float]] = OrderedDict()
        self._done: OrderedDict[_Entry, tuple[int, float]] = OrderedDict()
        self._tenants: dict[_Entry, str] = {}
        self._waiting: dict[tuple[str, str], int] = {}
        self._removed: OrderedDict[tuple[str, str], None] = OrderedDict()

    def done(self, kind: str, key: str, tenant: str, step: int) -> None:
        """Note a local write that moves a tenant's total by ``step``."""
        entry = (kind, key, step)
        if not _take(self._told, entry):
            _put(self._done, entry)
            self._tenants[entry] = tenant
            self._wait(kind, tenant, step)

    def told(self, kind: str, key: str, step: int) -> bool:
        """Note what the stream tells; return whether it is a local write noted before."""
        entry = (kind, key, step)
        if _take(self._done, entry):
            self._wait(kind, self._tenants[entry], -step)
            if entry not in self._done:
                del self._tenants[entry]
            return True
        _put(self._told, entry)
        self._age()
        return False

    def waiting(self, kind: str, tenant: str) -> int:
        """Return by how much local writes move a total, beyond what the stream has told."""
        return self._waiting.get((kind, tenant), 0)

    def late(self, limit: float) -> bool:
        """Return whether a local write has waited for the stream longer than ``limit`` seconds."""
        oldest = next(iter(self._done.values()), None)
        return oldest is not None and time.monotonic() - oldest[1] > limit

    def settle(self, before: float) -> None:
        """Drop local writes noted ``before`` a time (monotonic): the stream has told all of them.

        One that is still here was told by a stream that broke since, or before it was noted.
        """
        while self._done and next(iter(self._done.values()))[1] < before:
            entry, (times, _) = self._done.popitem(last=False)
            self._wait(entry[0], self._tenants.pop(entry), -entry[2] * times)

    def removed(self, kind: str, key: str) -> None:
        """Remember that a document has left its tenant; that it goes entirely changes nothing."""
        self._removed[kind, key] = None
        if len(self._removed) > MOST:
            self._removed.popitem(last=False)

    def was_removed(self, kind: str, key: str) -> bool:
        """Return whether a document is known to have left its tenant before; forgets it."""
        if known := (kind, key) in self._removed:
            del self._removed[kind, key]
        return known

    def clear(self) -> None:
        """Forget everything but which documents were removed."""
        self._told.clear()
        self._done.clear()
        self._tenants.clear()
        self._waiting.clear()

    def _wait(self, kind: str, tenant: str, step: int) -> None:
        place = (kind, tenant)
        self._waiting[place] = self._waiting.get(place, 0) + step
        if not self._waiting[place]:
            del self._waiting[place]

    def _age(self) -> None:
        old = time.monotonic() - MEMORY
        while self._told and (len(self._told) > MOST or next(iter(self._told.values()))[1] < old):
            self._told.popitem(last=False)


def _put(book: OrderedDict[_Entry, tuple[int, float]], entry: _Entry) -> None:
    times, since = book.get(entry, (0, time.monotonic()))
    book[entry] = (times + 1, since)


def _take(book: OrderedDict[_Entry, tuple[int, float]], entry: _Entry) -> bool:
    if (found := book.get(entry)) is None:
        return False
    times, since = found
    if times == 1:
        del book[entry]
    else:
        book[entry] = (times - 1, since)
    return True
