"""Traffic of ports, computed from two readings of their counters; no I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.observations import Sample

OCTETS_IN, OCTETS_OUT = "octets_in", "octets_out"
#: Maximum time between two readings; beyond it the traffic cannot be assigned to hours.
MAX_INTERVAL = timedelta(hours=2)
#: Traffic above this multiple of the port's speed is implausible: a clock or counter jumped.
MAX_SPEED_FACTOR = 1.5
_HOUR = timedelta(hours=1)
_BITS = 8

Readings = Mapping[tuple[str, str], Sample]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a port between two readings.

    Attributes:
        port: Natural key of the port.
        since: Start in UTC.
        until: End in UTC.
        incoming: Number of bits received by the element.
        outgoing: Number of bits sent by the element.
    """

    port: str
    since: datetime
    until: datetime
    incoming: float
    outgoing: float

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.until - self.since).total_seconds()

    def is_plausible(self, speed: int) -> bool:
        """Return whether a port can have carried the traffic.

        Args:
            speed: Speed of the port in bits per second; 0: unknown, any traffic is plausible.
        """
        return (
            not speed
            or max(self.incoming, self.outgoing) <= MAX_SPEED_FACTOR * speed * self.seconds
        )

    def hourly_parts(self) -> Iterator["Traffic"]:
        """Yield the traffic of each hour, each with its share of the bits."""
        start, duration = self.since, self.seconds
        while start < self.until:
            end = min(start.replace(minute=0, second=0, microsecond=0) + _HOUR, self.until)
            share = (end - start).total_seconds() / duration
            yield Traffic(self.port, start, end, self.incoming * share, self.outgoing * share)
            start = end


def octet_readings(samples: Iterable[Sample]) -> dict[tuple[str, str], Sample]:
    """Return the octet counters among samples by port and counter."""
    return {
        (sample.port, sample.counter): sample
        for sample in samples
        if sample.counter in {OCTETS_IN, OCTETS_OUT}
    }


def traffic_between(before: Readings, after: Readings) -> Iterator[Traffic]:
    """Yield the traffic of each port between two readings.

    Ports that are new or have disappeared, counters that were reset, and readings that are in the
    wrong order or too far apart are omitted.
    """
    for port in sorted({port for port, _ in after}):
        pairs = [
            (before.get((port, name)), after.get((port, name))) for name in (OCTETS_IN, OCTETS_OUT)
        ]
        increases = [_counter_increase(earlier, later) for earlier, later in pairs]
        earlier, later = pairs[0]
        if earlier is None or later is None or None in increases:
            continue
        if timedelta(0) < later.taken_at - earlier.taken_at <= MAX_INTERVAL:
            incoming, outgoing = (_BITS * (increase or 0) for increase in increases)
            yield Traffic(port, earlier.taken_at, later.taken_at, incoming, outgoing)


def _counter_increase(earlier: Sample | None, later: Sample | None) -> int | None:
    return None if earlier is None or later is None else later.increase_since(earlier)
