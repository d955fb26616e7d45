"""What an element tells of itself while it works: counters, usage and faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.values import Setting


@dataclass(frozen=True, slots=True)
class Sample:
    """A counter at one moment.

    Attributes:
        port: Natural key of the port.
        counter: "octets_in", "octets_out" (seen from the element) and others of the adapter's.
        value: It only rises, until the counter starts anew.
        unit: Unit of the value ("octets", "packets").
        taken_at: When it was read, in UTC.
        epoch: Another text as soon as the counter has started anew.
    """

    port: str
    counter: str
    value: int
    unit: str
    taken_at: datetime
    epoch: str

    def increase_since(self, earlier: "Sample") -> int | None:
        """Return by how much it rose since an earlier sample; None if it started anew between."""
        if (self.port, self.counter, self.epoch) != (earlier.port, earlier.counter, earlier.epoch):
            return None
        return self.value - earlier.value if self.value >= earlier.value else None


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What a service used in an interval; (element, port, epoch, until) is its identity.

    Attributes:
        element: Name of the element.
        service_id: Who used it.
        port: Natural key of the port.
        downstream: Octets towards the customer.
        upstream: Octets from the customer.
        since: Start of the interval, in UTC.
        until: End of the interval, in UTC.
        epoch: As in ``Sample``.
    """

    element: str
    service_id: str
    port: str
    downstream: int
    upstream: int
    since: datetime
    until: datetime
    epoch: str


@dataclass(frozen=True, slots=True)
class RawFault:
    """A condition of an element, in its own terms; rules make an alarm of it.

    Attributes:
        element: Name of the element.
        condition: Object identifier of the notification that reports it (LINK_DOWN, ...).
        port: Natural key of the port it is on; empty: the element itself.
        active: True while it lasts, False once it has gone.
        seen_at: When it was seen, in UTC.
        attributes: What else the element says about it.
    """

    element: str
    condition: str
    port: str
    active: bool
    seen_at: datetime
    attributes: Mapping[str, Setting] = field(default_factory=dict)
