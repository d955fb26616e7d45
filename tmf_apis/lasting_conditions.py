"""Lasting conditions in the log: one line when a condition begins and one when it ends.

What a loop finds again and again (a database that does not answer, an element without credentials)
is a condition. What happens once, such as a given up task, is an event; log it directly.
"""

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

#: Most causes of one condition that are logged before it ends.
_MAX_CAUSES = 10


@dataclass(slots=True)
class _Occurrence:
    """A condition that has begun: when, as ``time.monotonic()``, and its causes so far."""

    since: float
    causes: set[str] = field(default_factory=set)


class LastingCondition:
    """Logs a condition of some subjects when it begins and when it ends; safe for threads."""

    def __init__(
        self, log: logging.Logger, begin: str, end: str, *, level: int = logging.WARNING
    ) -> None:
        """Store the messages.

        Args:
            log: The logger.
            begin: Message when the condition begins.
            end: Message when it ends.
            level: Level of both messages.
        """
        self._log, self._begin, self._end, self._level = log, begin, end, level
        self._occurrences: dict[str, _Occurrence] = {}
        self._lock = threading.Lock()

    def report(self, subject: str = "", *, cause: str = "", **context: object) -> None:
        """Record that the condition holds; log it if it is new.

        Args:
            subject: Whose condition it is.
            cause: A cause is logged once until the condition ends; texts with times or counts are
                no causes.
            context: Facts for the log line.
        """
        with self._lock:
            is_new = subject not in self._occurrences
            occurrence = self._occurrences.setdefault(subject, _Occurrence(time.monotonic()))
            if not is_new and (cause in occurrence.causes or len(occurrence.causes) >= _MAX_CAUSES):
                return
            occurrence.causes.add(cause)
        self._log.log(self._level, self._begin, extra=context)

    def clear(self, subject: str = "", **context: object) -> None:
        """Record that the condition does not hold; log its end if it held."""
        if not self._occurrences:
            return
        with self._lock:
            occurrence = self._occurrences.pop(subject, None)
        if occurrence:
            seconds = round(time.monotonic() - occurrence.since)
            self._log.log(self._level, self._end, extra={**context, "seconds": seconds})

    def forget_others(self, subjects: Collection[str]) -> None:
        """Forget the condition of all other subjects, because they do not exist any more."""
        with self._lock:
            for subject in self._occurrences.keys() - set(subjects):
                del self._occurrences[subject]
