"""The feed of a process: the keys that it has just written, for the caches of its siblings.

A ring of bytes with one writer. ``FEED_RESERVED`` and ``FEED_HEAD`` count the bytes that have ever
been begun and completed; a reader that is more than one ring behind has missed entries.
"""

import threading
from collections.abc import Sequence

import orjson

from tmf_apis.store.shared_state import FEED_BYTES, Cell, SharedState

#: Kind, ``_id``, tenant, and change of the tenant's total (0: an update).
Entry = tuple[str, str, str, int]


class WriteFeed:
    """The feeds of all processes, as one of them uses them."""

    def __init__(self, shared: SharedState) -> None:
        """Start to read behind the latest entries."""
        self._shared = shared
        self._own = shared.feed(shared.number)
        self._lock = threading.Lock()
        self._siblings = [n for n in range(1, shared.processes + 1) if n != shared.number]
        self._feeds = {number: shared.feed(number) for number in self._siblings}
        self._positions = {n: shared.get(Cell.FEED_HEAD, n) for n in self._siblings}
        shared.set(Cell.FEED_RESERVED, shared.get(Cell.FEED_HEAD))  # of a process that was killed

    def publish(self, entry: Entry) -> None:
        """Add a write of this process; call it once the write is acknowledged."""
        line = orjson.dumps(entry) + b"\n"
        with self._lock:
            head = self._shared.get(Cell.FEED_HEAD)
            self._shared.set(Cell.FEED_RESERVED, head + len(line))
            start = head % FEED_BYTES
            first = min(len(line), FEED_BYTES - start)
            self._own[start : start + first] = line[:first]
            self._own[: len(line) - first] = line[first:]
            self._shared.set(Cell.FEED_HEAD, head + len(line))

    @property
    def has_news(self) -> bool:
        """Return whether siblings have written since the last ``read``."""
        get, positions = self._shared.get, self._positions
        return any(get(Cell.FEED_HEAD, n) != positions[n] for n in self._siblings)

    def read(self) -> Sequence[Entry] | None:
        """Return the writes of siblings since the last call; None if some have been missed.

        One thread at a time may call it.
        """
        entries: list[Entry] = []
        is_complete = True
        for number in self._siblings:
            head = self._shared.get(Cell.FEED_HEAD, number)
            if head == (position := self._positions[number]):
                continue
            lines = self._copy(number, position, head)
            self._positions[number] = head
            if lines is None:
                is_complete = False
            else:
                entries.extend(tuple(orjson.loads(line)) for line in lines.splitlines())
        return entries if is_complete else None

    def _copy(self, number: int, position: int, head: int) -> bytes | None:
        """Return the bytes from ``position`` to ``head``; None if they are overwritten."""
        if not 0 <= head - position <= FEED_BYTES:
            return None
        feed, start, size = self._feeds[number], position % FEED_BYTES, head - position
        first = min(size, FEED_BYTES - start)
        content = bytes(feed[start : start + first]) + bytes(feed[: size - first])
        reserved = self._shared.get(Cell.FEED_RESERVED, number)
        return content if reserved - position <= FEED_BYTES else None
