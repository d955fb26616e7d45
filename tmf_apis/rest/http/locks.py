"""Turns: requests with the same key go one after another, those with other keys do not wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

#: Longest wait for the request before, in seconds; the database decides then.
ACQUIRE_TIMEOUT = 10.0


class KeyedLock:
    """Who is at which key in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders: dict[str, Event] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Wait until nobody else is at a key, and be at it.

        >>> turns = KeyedLock()
        >>> with turns.hold("a"), turns.hold("b"):
        ...     pass
        """
        mine = Event()
        while before := self._try_acquire(key, mine):
            if not before.wait(ACQUIRE_TIMEOUT):
                break
        try:
            yield
        finally:
            with self._lock:
                if self._holders.get(key) is mine:
                    del self._holders[key]
            mine.set()

    def _try_acquire(self, key: str, release_event: Event) -> Event | None:
        """Take a key if nobody has it; return what to wait for if somebody does."""
        with self._lock:
            taken = self._holders.setdefault(key, release_event)
            return None if taken is release_event else taken
