"""The log of the datagrams that a receiver does not accept: once per source and reason."""

import logging
import time
from dataclasses import dataclass, field

#: Number of pairs of source and reason that are logged in an interval; the others are counted only.
CAPACITY = 1000
#: Time after which a source and reason are logged again, in seconds.
INTERVAL = 86_400.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class RefusalLog:
    """Logs each source and reason once in an interval; forged sources cannot fill memory or log.

    Attributes:
        interval_start: Start of the interval, a value of ``time.monotonic``.
    """

    interval_start: float = field(default_factory=time.monotonic)
    _logged: set[tuple[str, str]] = field(default_factory=set)

    def add(self, source: str, outcome: str, reason: str, detail: str = "") -> None:
        """Log a datagram, unless one of the same source and reason has been logged.

        Args:
            source: Address of the sender.
            outcome: What became of it, as in ``TrapReceiver.counts``.
            reason: The reason, one of few.
            detail: What else there is to say about this datagram.
        """
        now = time.monotonic()
        if now - self.interval_start >= INTERVAL:
            self._logged.clear()
            self.interval_start = now
        if (source, reason) in self._logged or len(self._logged) > CAPACITY:
            return
        self._logged.add((source, reason))
        if len(self._logged) > CAPACITY:
            log.warning("notifications of further sources are dropped and only counted")
            return
        log.warning(
            "notifications dropped",
            extra={"source": source, "outcome": outcome, "reason": reason, "detail": detail},
        )
