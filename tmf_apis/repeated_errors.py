"""Errors that repeat are logged once a minute, with a count.

An error with the same origin (logger, message, exception and place) as one that was logged less
than a minute ago is counted instead of written. After the minute, and when the process ends, one
line with the count follows. An error of a new origin is always written at once.
"""

import logging
import threading
import time
from dataclasses import dataclass
from typing import TextIO

#: Time from an error to the line with the count of its repetitions, in seconds.
PERIOD = 60.0
#: Most origins that are observed at the same time; the oldest gives way.
MAX_ORIGINS = 500

#: Logger, message, type of the exception, file and line.
Origin = tuple[str, str, str, str, int]


@dataclass(slots=True)
class _Repetitions:
    """The repetitions of an error since it was last written.

    Attributes:
        until: When the count is written, as ``time.monotonic()``.
        count: The number of repetitions.
        record: The last of them; None if there are none.
    """

    until: float
    count: int = 0
    record: logging.LogRecord | None = None


class ErrorLimitingHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream; errors that repeat, once per period with their count.

    ``logging.shutdown`` writes the counts that are pending.
    """

    def __init__(self, stream: TextIO | None = None, *, period: float = PERIOD) -> None:
        """Create the handler.

        Args:
            stream: Where to write; None: standard error.
            period: Time from an error to the line with the count, in seconds.
        """
        super().__init__(stream)
        self._period = period
        self._repetitions: dict[Origin, _Repetitions] = {}
        self._is_reporter_running = False
        self._is_closed = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it; ``handle`` holds the lock of the handler."""
        if record.levelno < logging.ERROR and not record.exc_info:
            super().emit(record)
            return
        origin, now = _origin(record), time.monotonic()
        self._write_counts(now)
        if (repetitions := self._repetitions.get(origin)) is not None:
            repetitions.count += 1
            repetitions.record = record
            return
        super().emit(record)
        if len(self._repetitions) >= MAX_ORIGINS:
            self._write_count(next(iter(self._repetitions)))
        self._repetitions[origin] = _Repetitions(now + self._period)
        self._start_reporter()

    def close(self) -> None:
        """Write the pending counts and close the handler."""
        with self._handler_lock():
            for origin in list(self._repetitions):
                self._write_count(origin)
        self._is_closed.set()
        super().close()

    def _handler_lock(self) -> threading.RLock:
        assert self.lock is not None  # noqa: S101 - created by logging.Handler
        return self.lock

    def _write_counts(self, now: float) -> None:
        """Write the counts of the origins whose period is over, and forget those without any.

        An error that was repeated is observed for a further period.
        """
        for origin, repetitions in list(self._repetitions.items()):
            if repetitions.until > now:
                return  # the origins are in the order of their periods
            was_repeated = repetitions.count > 0
            self._write_count(origin)
            if was_repeated:
                self._repetitions[origin] = _Repetitions(now + self._period)

    def _write_count(self, origin: Origin) -> None:
        """Write the last repetition with the count, without its traceback; forget the origin."""
        repetitions = self._repetitions.pop(origin)
        if repetitions.record is not None:
            summary = logging.makeLogRecord(vars(repetitions.record))
            summary.exc_info = summary.exc_text = None
            summary.repeated = repetitions.count
            super().emit(summary)

    def _start_reporter(self) -> None:
        if not self._is_reporter_running:
            self._is_reporter_running = True
            threading.Thread(target=self._report, name="repeated errors", daemon=True).start()

    def _report(self) -> None:
        """Write counts when they are due; return when no origin is observed."""
        while True:
            with self._handler_lock():
                now = time.monotonic()
                self._write_counts(now)
                if not self._repetitions:
                    self._is_reporter_running = False
                    return
                pause = next(iter(self._repetitions.values())).until - now
            if self._is_closed.wait(max(pause, 0.01)):
                return


def _origin(record: logging.LogRecord) -> Origin:
    """Return the origin of an error: the place of its exception, otherwise of the log call."""
    exception, file, line = "", record.pathname, record.lineno
    if record.exc_info and record.exc_info[0]:
        exception = record.exc_info[0].__qualname__
        traceback = record.exc_info[2]
        while traceback is not None:
            file, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            traceback = traceback.tb_next
    return record.name, str(record.msg), exception, file, line
