"""Observes whether the database answers, apart from the requests that wait for it."""

import logging
import threading
import time
from collections.abc import Callable

from tmf_apis.store.connection import MongoDatabase, ping

log = logging.getLogger(__name__)

#: Pause between two questions, in seconds.
PAUSE = 0.5
#: Time without an answer after which the database counts as not answering, in seconds.
SILENCE = 2.0


class AnswerMonitor:
    """Asks the database twice a second whether it accepts writes.

    Attributes:
        last_answer: Time of the last answer, as ``time.monotonic()``.
    """

    def __init__(
        self, database: MongoDatabase, timeout: float, observe: Callable[[], None]
    ) -> None:
        """Store the collaborators; ``start`` starts a thread.

        Args:
            database: The database.
            timeout: Longest wait for one answer, in seconds.
            observe: Called after each answer, in the thread of the monitor.
        """
        self.last_answer = time.monotonic()
        self._database = database
        self._timeout = timeout
        self._observe = observe
        self._stopping = threading.Event()

    @property
    def is_answering(self) -> bool:
        """Return whether the database has answered lately."""
        return time.monotonic() - self.last_answer <= SILENCE

    def start(self) -> None:
        """Start to ask."""
        threading.Thread(target=self._run, name="database-monitor", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def _run(self) -> None:
        was_answering = True
        while not self._stopping.is_set():
            is_answering = ping(self._database, self._timeout)
            if self._stopping.is_set():
                return
            if is_answering:
                self.last_answer = time.monotonic()
                self._observe()
            if is_answering and not was_answering:
                log.warning("the database answers again")
            elif was_answering and not is_answering:
                log.error("the database does not answer")
            was_answering = is_answering
            self._stopping.wait(PAUSE)
