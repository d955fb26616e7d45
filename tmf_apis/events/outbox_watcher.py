"""Notifies the relay of new events immediately, from the database's change stream.

The relay also polls at intervals, so no event is lost while the stream is down.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tmf_apis.lasting_conditions import LastingCondition

#: Pause before the stream is reopened after an error, in seconds.
REOPEN_PAUSE = 1.0
#: Longest wait for a change before the stop flag is checked, in milliseconds.
MAX_AWAIT_MS = 1000
#: Pause after a change, so that the next read returns many changes at once; and time for which
#: changes are read without such a pause, in seconds.
BATCH_PAUSE, BATCH_WINDOW = 0.04, 0.005

_EXISTS = {"$exists": True}

log = logging.getLogger(__name__)


class OutboxWatcher(threading.Thread):
    """Calls ``notify`` with the kind of each resource that has a new event.

    Attributes:
        is_open: The change stream is open.
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        kinds: Iterable[str],
        notify: Callable[[str], None],
        on_state_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the thread; ``start`` starts it.

        Args:
            database: The database to watch.
            kinds: The kinds to watch.
            notify: Called with the kind of a resource that has a new event.
            on_state_change: Called when the stream opens or breaks. Changes while it was not open
                are not notified.
        """
        super().__init__(name="outbox-watcher", daemon=True)
        self._database = database
        self._notify = notify
        self._on_state_change = on_state_change
        self.is_open = False
        self._broken = LastingCondition(log, "change stream broken", "change stream open again")
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
        """Request the end of the thread; it ends within about a second."""
        self._stop_requested.set()

    def run(self) -> None:
        """Watch until stopped; reopen the stream after errors."""
        while not self._stop_requested.is_set():
            try:
                self._watch()
            except PyMongoError as error:
                self._broken.report(error=str(error)[:300])
                if self.is_open:
                    self.is_open = False
                    self._on_state_change()
                self._stop_requested.wait(REOPEN_PAUSE)

    def _watch(self) -> None:
        with self._database.watch(self._pipeline, max_await_time_ms=MAX_AWAIT_MS) as stream:
            self.is_open = True
            self._broken.clear()
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
