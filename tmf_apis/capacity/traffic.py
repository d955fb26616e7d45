"""From two readings of counters to traffic, and from traffic to hours: pure, no I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.observations import Sample

OCTETS_IN, OCTETS_OUT = "octets_in", "octets_out"
#: After so long a silence of the element nobody knows when the octets went: they are left out.
MAX_INTERVAL = timedelta(hours=2)
#: More than this many times its speed a port cannot have carried: clock or counter jumped.
MAX_SPEED_FACTOR = 1.5
_HOUR = timedelta(hours=1)
_BITS = 8

Readings = Mapping[tuple[str, str], Sample]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a port carried between two readings.

    Attributes:
        port: Natural key of the port.
        since: Start, in UTC.
        until: End, in UTC.
        incoming: Bits received by the element.
        outgoing: Bits sent by the element.
    """

    port: str
    since: datetime
    until: datetime
    incoming: float
    outgoing: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.until - self.since).total_seconds()

    def is_plausible(self, speed: int) -> bool:
        """Return whether a port of a speed can have carried it; any can where that is 0.

        Args:
            speed: In bits per second.
        """
        return (
            not speed
            or max(self.incoming, self.outgoing) <= MAX_SPEED_FACTOR * speed * self.seconds
        )

    def hourly_parts(self) -> Iterator["Traffic"]:
        """Yield its parts hour by hour, each with its share of the bits."""
        start, whole = self.since, self.seconds
        while start < self.until:
            end = min(start.replace(minute=0, second=0, microsecond=0) + _HOUR, self.until)
            share = (end - start).total_seconds() / whole
            yield Traffic(self.port, start, end, self.incoming * share, self.outgoing * share)
            start = end


def octet_readings(samples: Iterable[Sample]) -> dict[tuple[str, str], Sample]:
    """Return the octet counters among samples by port and counter."""
    return {
        (one.port, one.counter): one for one in samples if one.counter in {OCTETS_IN, OCTETS_OUT}
    }


def traffic_between(before: Readings, after: Readings) -> Iterator[Traffic]:
    """Yield what each port carried from one reading to the next.

    Left out are ports that are new or gone, counters that started anew, and times that run
    backwards or are too far apart.
    """
    for port in sorted({port for port, _ in after}):
        pairs = [
            (before.get((port, name)), after.get((port, name))) for name in (OCTETS_IN, OCTETS_OUT)
        ]
        rises = [_counter_increase(earlier, later) for earlier, later in pairs]
        earlier, later = pairs[0]
        if earlier is None or later is None or None in rises:
            continue
        if timedelta(0) < later.taken_at - earlier.taken_at <= MAX_INTERVAL:
            incoming, outgoing = (_BITS * (rise or 0) for rise in rises)
            yield Traffic(port, earlier.taken_at, later.taken_at, incoming, outgoing)


def _counter_increase(earlier: Sample | None, later: Sample | None) -> int | None:
    return None if earlier is None or later is None else later.increase_since(earlier)
