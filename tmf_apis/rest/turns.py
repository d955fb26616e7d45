"""Turns: requests with the same key go one after another, those with other keys do not wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

#: Longest wait for the request before, in seconds; the database decides then.
PATIENCE = 10.0


class Turns:
    """Who is at which key in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._busy: dict[str, Event] = {}

    @contextmanager
    def one_at_a_time(self, key: str) -> Iterator[None]:
        """Wait until nobody else is at a key, and be at it.

        >>> turns = Turns()
        >>> with turns.one_at_a_time("a"), turns.one_at_a_time("b"):
        ...     pass
        """
        mine = Event()
        while before := self._before(key, mine):
            if not before.wait(PATIENCE):
                break
        try:
            yield
        finally:
            with self._lock:
                if self._busy.get(key) is mine:
                    del self._busy[key]
            mine.set()

    def _before(self, key: str, mine: Event) -> Event | None:
        """Take a key if nobody has it; return what to wait for if somebody does."""
        with self._lock:
            taken = self._busy.setdefault(key, mine)
            return None if taken is mine else taken
