"""Observations of a working element: counters, usage records and faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.values import Setting

#: Attribute of a condition: True if the port was in another state since the element started.
CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of a counter at one time.

    Attributes:
        port: Natural key of the port.
        counter: "octets_in", "octets_out" (direction as seen from the element), or another name
            that the adapter defines.
        value: The value, which only increases within an epoch.
        unit: Unit of the value ("octets", "packets").
        taken_at: Time of the read, in UTC.
        epoch: Identifies the period since the last reset of the counter; a reset changes it.
    """

    port: str
    counter: str
    value: int
    unit: str
    taken_at: datetime
    epoch: str

    def increase_since(self, earlier: "Sample") -> int | None:
        """Return the increase since an earlier sample; None if the counter was reset since."""
        if (self.port, self.counter, self.epoch) != (earlier.port, earlier.counter, earlier.epoch):
            return None
        return self.value - earlier.value if self.value >= earlier.value else None


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """The usage of a service in an interval, identified by (element, port, epoch, until).

    Attributes:
        element: Name of the element.
        service_id: Id of the service.
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
    """The beginning or the end of a condition of an element, in the element's terms.

    Rules of fault management turn it into an alarm.

    Attributes:
        element: Name of the element.
        condition: Object identifier of the notification that reports it (LINK_DOWN, ...).
        port: Natural key of the affected port; empty: the element itself.
        active: True while the condition lasts, False once it has ended.
        seen_at: Time of the observation, in UTC.
        attributes: Further attributes that the element reports.
    """

    element: str
    condition: str
    port: str
    active: bool
    seen_at: datetime
    attributes: Mapping[str, Setting] = field(default_factory=dict)
