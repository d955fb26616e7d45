"""An element that does not answer is left alone for a while, so that nobody waits for it in vain.

Source: the circuit breaker of M. Nygard, Release It!: closed, open, half open.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from adapters.errors import ElementError, Unreachable

#: Failures in a row after which an element is left alone.
FAILURE_THRESHOLD = 5
#: How long it is left alone the first time, and at most, in seconds; each time twice as long.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0

_log = logging.getLogger(__name__)


class CircuitOpenError(Unreachable):
    """The element did not answer several times in a row and is not asked before the next try.

    Attributes:
        retry_at: When it may be asked again, in UTC.
    """

    def __init__(self, element: str, failures: int, seconds: float) -> None:
        self.retry_at = datetime.now(UTC) + timedelta(seconds=seconds)
        super().__init__(
            element,
            f"did not answer {failures} times in a row; the next try is at"
            f" {self.retry_at:%H:%M:%S} UTC, in {seconds:.0f} s",
        )


@dataclass(slots=True)
class Breaker:
    """The record of one element; for one event loop.

    Attributes:
        element: Name of the element.
        failures: How often in a row it has not answered.
        on_circuit_change: Called with True whenever it is left alone, with False when it answers again.
    """

    element: str
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    on_circuit_change: Callable[[bool], None] = lambda _: None
    _pause: float = 0.0
    _open_until: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the element is left alone, or tried by one for the others."""
        return self._pause > 0

    @property
    def is_retry_due(self) -> bool:
        """Whether the element is left alone and may be tried again."""
        return self.is_open and not self._probing and self.clock() >= self._open_until

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let a use of the element happen, and note how it ends.

        Raises:
            LeftAlone: Not now; or somebody else tries it at this moment.
        """
        tries = self._admit()
        try:
            yield
        except Unreachable:
            self._record_failure()
            raise
        except ElementError:
            self._record_success()  # it may refuse, but it is there
            raise
        else:
            self._record_success()
        finally:
            if tries:
                self._probing = False

    def _admit(self) -> bool:
        if not self.is_open:
            return False
        left = self._open_until - self.clock()
        if left > 0 or self._probing:
            raise CircuitOpenError(self.element, self.failures, max(left, FIRST_PAUSE))
        self._probing = True
        return True

    def _record_failure(self) -> None:
        self.failures += 1
        if self.failures < FAILURE_THRESHOLD or (self.is_open and not self._probing):
            return
        self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
        self._open_until = self.clock() + self._pause
        self.on_circuit_change(True)  # noqa: FBT003
        facts = {"element": self.element, "failures": self.failures, "seconds": self._pause}
        _log.warning("an element does not answer and is left alone", extra=facts)

    def _record_success(self) -> None:
        if self.is_open:
            facts = {"element": self.element, "failures": self.failures}
            _log.warning("an element answers again", extra=facts)
        was, self.failures, self._pause, self._open_until = self.is_open, 0, 0.0, 0.0
        if was:
            self.on_circuit_change(False)  # noqa: FBT003
