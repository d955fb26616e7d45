"""Tells at once when a resource has a new event: a change stream over the database.

Only a help: the relay looks for itself at intervals, so nothing is lost while the stream is down.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

#: Pause before a broken stream is opened again, in seconds.
REOPEN_PAUSE = 1.0
#: Longest wait for a change before looking whether to stop, in milliseconds.
MAX_AWAIT_MS = 1000
#: Pause after a change, so that the next question is answered by many; and for how long changes are
#: taken without one, in seconds.
BATCH_PAUSE, BATCH_WINDOW = 0.04, 0.005

_EXISTS = {"$exists": True}
log = logging.getLogger(__name__)


class OutboxWatcher(threading.Thread):
    """Follows the changes of some kinds and calls ``tell`` with a kind that has a new event.

    Attributes:
        is_open: Whether it follows now.
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        kinds: Iterable[str],
        notify: Callable[[str], None],
        on_state_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what it follows.

        Args:
            database: Where the kinds are.
            kinds: Their names.
            notify: Called with a kind that has a new event.
            on_state_change: Called when it begins to follow, or ceases to: what happened before is not told.
        """
        super().__init__(name="watch", daemon=True)
        self._database = database
        self._notify = notify
        self._on_state_change = on_state_change
        self.is_open = False
        self._stop_requested = threading.Event()
        has_events = [
            {"operationType": {"$in": ["insert", "replace"]}, "fullDocument.events.0": _EXISTS},
            {"operationType": "update", "updateDescription.updatedFields.events.0": _EXISTS},
        ]
        self._pipeline: list[dict[str, Any]] = [
            {"$match": {"ns.coll": {"$in": list(kinds)}, "$or": has_events}},
            {"$project": {"ns.coll": 1}},
        ]

    def stop(self) -> None:
        """End within a second or so."""
        self._stop_requested.set()

    def run(self) -> None:
        """Follow until stopped, opening the stream again when it breaks."""
        while not self._stop_requested.is_set():
            try:
                self._follow()
            except PyMongoError as error:
                log.warning("change stream broke: %s", error)
                if self.is_open:
                    self.is_open = False
                    self._on_state_change()
                self._stop_requested.wait(REOPEN_PAUSE)

    def _follow(self) -> None:
        with self._database.watch(self._pipeline, max_await_time_ms=MAX_AWAIT_MS) as stream:
            self.is_open = True
            self._on_state_change()
            paused = 0.0
            while stream.alive and not self._stop_requested.is_set():
                change = stream.try_next()
                if change is None:
                    continue
                self._notify(change["ns"]["coll"])
                if time.monotonic() - paused > BATCH_WINDOW:
                    self._stop_requested.wait(BATCH_PAUSE)
                    paused = time.monotonic()
