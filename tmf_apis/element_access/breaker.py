"""Circuit breaker: an element that does not answer is not contacted for a while.

A caller then fails at once instead of waiting for a timeout.

Source: the circuit breaker of M. Nygard, Release It!: closed, open, half open.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from adapters.errors import ElementError, Unreachable

#: Consecutive failures that open the circuit.
FAILURE_THRESHOLD = 5
#: First and longest time that a circuit stays open, in seconds. Each failed retry doubles it.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0

_log = logging.getLogger(__name__)


class CircuitOpenError(Unreachable):
    """The element failed several times in a row and is not contacted before the next retry.

    Attributes:
        retry_at: Time of the next retry, in UTC.
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
    """The circuit breaker of one element, for one event loop.

    Attributes:
        element: Name of the element.
        clock: Monotonic clock, in seconds.
        failures: Number of consecutive failures.
        on_circuit_change: Called with True each time the circuit opens, also after a failed
            retry, and with False when it closes.
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
        """True if the circuit is open or half open."""
        return self._pause > 0

    @property
    def is_retry_due(self) -> bool:
        """True if the circuit is open and its pause is over."""
        return self.is_open and not self._probing and self.clock() >= self._open_until

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the block if the circuit permits it, and record the result.

        After the pause, one caller at a time may retry; the others still fail.

        Raises:
            CircuitOpenError: The circuit is open, or another caller is retrying.
        """
        is_retry = self._admit()
        try:
            yield
        except Unreachable:
            self._record_failure()
            raise
        except ElementError:
            self._record_success()  # the element refused, so it is reachable
            raise
        else:
            self._record_success()
        finally:
            if is_retry:
                self._probing = False

    def _admit(self) -> bool:
        """Return whether this call is the retry of an open circuit."""
        if not self.is_open:
            return False
        remaining = self._open_until - self.clock()
        if remaining > 0 or self._probing:
            raise CircuitOpenError(self.element, self.failures, max(remaining, FIRST_PAUSE))
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
        _log.warning("an element does not answer: its circuit is open", extra=facts)

    def _record_success(self) -> None:
        was_open, failures = self.is_open, self.failures
        self.failures, self._pause, self._open_until = 0, 0.0, 0.0
        if was_open:
            facts = {"element": self.element, "failures": failures}
            _log.warning("an element answers again: its circuit is closed", extra=facts)
            self.on_circuit_change(False)  # noqa: FBT003
