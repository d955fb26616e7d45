"""A lock per key: requests with the same key run one after another, others concurrently."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

#: Longest wait for a key, in seconds; after that the unique index of the database decides.
ACQUIRE_TIMEOUT = 10.0


class KeyedLock:
    """Locks of the threads of this process, one per key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders: dict[str, Event] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of a key; proceed without it after ``ACQUIRE_TIMEOUT`` seconds.

        >>> locks = KeyedLock()
        >>> with locks.hold("a"), locks.hold("b"):
        ...     pass
        """
        release_event = Event()
        while holder_event := self._try_acquire(key, release_event):
            if not holder_event.wait(ACQUIRE_TIMEOUT):
                break
        try:
            yield
        finally:
            with self._lock:
                if self._holders.get(key) is release_event:
                    del self._holders[key]
            release_event.set()

    def _try_acquire(self, key: str, release_event: Event) -> Event | None:
        """Acquire a key if it is free; otherwise return the event of its release."""
        with self._lock:
            holder_event = self._holders.setdefault(key, release_event)
            return None if holder_event is release_event else holder_event
