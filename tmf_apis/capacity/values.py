"""How full one thing is: what the parts of this package hand to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

#: Categories of what is measured, with the unit of each.
PORT, UPLINK, ACCESS_PORTS, SITE = "port", "uplink", "accessPort", "site"
ADDRESSES, NUMBERS, VLANS = "addressPool", "numberRange", "vlanRange"
UNITS: Mapping[str, str] = {
    PORT: "bit/s",
    UPLINK: "bit/s",
    ACCESS_PORTS: "ports",
    SITE: "ports",
    ADDRESSES: "addresses",
    NUMBERS: "numbers",
    VLANS: "numbers",
}


@dataclass(frozen=True, slots=True)
class CapacityObject:
    """Something that can be full: a port, an uplink, the ports of an element, a pool.

    Attributes:
        id: Id of the resource; of a site: of the place.
        name: Its name.
        category: One of ``RATE_UNITS``.
        capacity: How much there is, in the unit of the category; 0: not known.
        element: Name of the element that it is on, or the like; says whose problem it is.
        places: Ids of the places where it is.
        threshold: Utilisation from which an alarm is raised; None: the operator's; 0: none is.
    """

    id: str
    name: str
    category: str
    capacity: float
    element: str = ""
    places: tuple[str, ...] = ()
    threshold: float | None = None

    @property
    def series(self) -> str:
        """Name of its history among those of its tenant."""
        return f"{self.category}:{self.id}"


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How much of a thing is used at a time.

    Attributes:
        capacity_object: What.
        used: How much; of a port the busier direction in the busiest hour of the last day.
        reserved: How much more is promised.
        measured_at: When that was seen, in UTC.
        incoming: Of a port: bits per second received by the element, in the latest hour.
        outgoing: Of a port: bits per second sent by it, in the latest hour.
    """

    capacity_object: CapacityObject
    used: float
    reserved: float
    measured_at: datetime
    incoming: float | None = None
    outgoing: float | None = None

    @property
    def ratio(self) -> float:
        """Share that is used or reserved; 0 where the capacity is not known."""
        capacity = self.capacity_object.capacity
        return (self.used + self.reserved) / capacity if capacity else 0.0
