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
PAUSE = 1.0
#: Longest wait for a change before looking whether to stop, in milliseconds.
WAIT = 1000
#: Pause after a change, so that the next question is answered by many; and for how long changes are
#: taken without one, in seconds.
GATHER, TAKE = 0.04, 0.005

_THERE = {"$exists": True}
log = logging.getLogger(__name__)


class Watch(threading.Thread):
    """Follows the changes of some kinds and calls ``tell`` with a kind that has a new event.

    Attributes:
        open: Whether it follows now.
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        kinds: Iterable[str],
        tell: Callable[[str], None],
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what it follows.

        Args:
            database: Where the kinds are.
            kinds: Their names.
            tell: Called with a kind that has a new event.
            turned: Called when it begins to follow, or ceases to: what happened before is not told.
        """
        super().__init__(name="watch", daemon=True)
        self._database = database
        self._tell = tell
        self._turned = turned
        self.open = False
        self._stop_asked = threading.Event()
        has_events = [
            {"operationType": {"$in": ["insert", "replace"]}, "fullDocument.events.0": _THERE},
            {"operationType": "update", "updateDescription.updatedFields.events.0": _THERE},
        ]
        self._pipeline: list[dict[str, Any]] = [
            {"$match": {"ns.coll": {"$in": list(kinds)}, "$or": has_events}},
            {"$project": {"ns.coll": 1}},
        ]

    def stop(self) -> None:
        """End within a second or so."""
        self._stop_asked.set()

    def run(self) -> None:
        """Follow until stopped, opening the stream again when it breaks."""
        while not self._stop_asked.is_set():
            try:
                self._follow()
            except PyMongoError as error:
                log.warning("change stream broke: %s", error)
                if self.open:
                    self.open = False
                    self._turned()
                self._stop_asked.wait(PAUSE)

    def _follow(self) -> None:
        with self._database.watch(self._pipeline, max_await_time_ms=WAIT) as stream:
            self.open = True
            self._turned()
            paused = 0.0
            while stream.alive and not self._stop_asked.is_set():
                change = stream.try_next()
                if change is None:
                    continue
                self._tell(change["ns"]["coll"])
                if time.monotonic() - paused > TAKE:
                    self._stop_asked.wait(GATHER)
                    paused = time.monotonic()
