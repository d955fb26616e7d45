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
FAILURES = 5
#: How long it is left alone the first time, and at most, in seconds; each time twice as long.
FIRST, LONGEST = 1.0, 60.0

_log = logging.getLogger(__name__)


class LeftAlone(Unreachable):
    """The element did not answer several times in a row and is not asked before the next try.

    Attributes:
        next_try: When it may be asked again, in UTC.
    """

    def __init__(self, element: str, failures: int, seconds: float) -> None:
        self.next_try = datetime.now(UTC) + timedelta(seconds=seconds)
        super().__init__(
            element,
            f"did not answer {failures} times in a row; the next try is at"
            f" {self.next_try:%H:%M:%S} UTC, in {seconds:.0f} s",
        )


@dataclass(slots=True)
class Breaker:
    """The record of one element; for one event loop.

    Attributes:
        element: Name of the element.
        failures: How often in a row it has not answered.
        told: Called with True whenever it is left alone, with False when it answers again.
    """

    element: str
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    told: Callable[[bool], None] = lambda _: None
    _pause: float = 0.0
    _until: float = 0.0
    _trying: bool = False

    @property
    def open(self) -> bool:
        """Whether the element is left alone, or tried by one for the others."""
        return self._pause > 0

    @property
    def due(self) -> bool:
        """Whether the element is left alone and may be tried again."""
        return self.open and not self._trying and self.clock() >= self._until

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Let a use of the element happen, and note how it ends.

        Raises:
            LeftAlone: Not now; or somebody else tries it at this moment.
        """
        tries = self._admit()
        try:
            yield
        except Unreachable:
            self._failed()
            raise
        except ElementError:
            self._answered()  # it may refuse, but it is there
            raise
        else:
            self._answered()
        finally:
            if tries:
                self._trying = False

    def _admit(self) -> bool:
        if not self.open:
            return False
        left = self._until - self.clock()
        if left > 0 or self._trying:
            raise LeftAlone(self.element, self.failures, max(left, FIRST))
        self._trying = True
        return True

    def _failed(self) -> None:
        self.failures += 1
        if self.failures < FAILURES or (self.open and not self._trying):
            return
        self._pause = min(self._pause * 2 or FIRST, LONGEST)
        self._until = self.clock() + self._pause
        self.told(True)  # noqa: FBT003
        facts = {"element": self.element, "failures": self.failures, "seconds": self._pause}
        _log.warning("an element does not answer and is left alone", extra=facts)

    def _answered(self) -> None:
        if self.open:
            facts = {"element": self.element, "failures": self.failures}
            _log.warning("an element answers again", extra=facts)
        was, self.failures, self._pause, self._until = self.open, 0, 0.0, 0.0
        if was:
            self.told(False)  # noqa: FBT003
