"""Tells at once when a resource has a new event: a change stream over the database.

Only a help: the relay looks for itself at intervals, so nothing is lost while the stream is down.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

#: Pause before a broken stream is opened again, in seconds.
PAUSE = 1.0
#: Longest wait for a change before looking whether to stop, in milliseconds.
WAIT = 500

_THERE = {"$exists": True}
log = logging.getLogger(__name__)


class Watch(threading.Thread):
    """Follows the changes of some kinds and calls ``tell`` with a kind that has a new event."""

    def __init__(
        self, database: Database[dict[str, Any]], kinds: Iterable[str], tell: Callable[[str], None]
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._database = database
        self._tell = tell
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
        """End within half a second."""
        self._stop_asked.set()

    def run(self) -> None:
        """Follow until stopped, opening the stream again when it breaks."""
        while not self._stop_asked.is_set():
            try:
                self._follow()
            except PyMongoError as error:
                log.warning("change stream broke: %s", error)
                self._stop_asked.wait(PAUSE)

    def _follow(self) -> None:
        with self._database.watch(self._pipeline, max_await_time_ms=WAIT) as stream:
            while stream.alive and not self._stop_asked.is_set():
                change = stream.try_next()
                if change is not None:
                    self._tell(change["ns"]["coll"])
