"""Value types of the package: capacity objects and their utilisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

#: Categories of capacity objects; ``UNITS`` has the unit of each.
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
    """An object with a capacity: a port, an uplink, the ports of an element or site, a pool.

    Attributes:
        id: Id of the resource, or of the place of a site.
        name: Its name.
        category: One of the keys of ``UNITS``.
        capacity: Its capacity in the unit of the category; 0: unknown.
        element: Name of its element, or its own name; the source of its alarms.
        places: Ids of its places.
        threshold: Utilisation at which an alarm is raised; None: the operator's setting; 0: never.
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
        """Key of its history, unique within a tenant."""
        return f"{self.category}:{self.id}"


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Utilisation of a capacity object at a point in time.

    Attributes:
        capacity_object: The object.
        used: Used amount; of a port: the busier direction in the busiest hour of the last day.
        reserved: Amount that is reserved in addition.
        measured_at: Time of the measurement in UTC.
        incoming: Of a port: bits per second received by the element in the latest hour.
        outgoing: Of a port: bits per second sent by the element in the latest hour.
    """

    capacity_object: CapacityObject
    used: float
    reserved: float
    measured_at: datetime
    incoming: float | None = None
    outgoing: float | None = None

    @property
    def series(self) -> str:
        """Key of the history of the object, unique within a tenant."""
        return self.capacity_object.series

    @property
    def ratio(self) -> float:
        """Share of the capacity that is used or reserved; 0 if the capacity is unknown."""
        capacity = self.capacity_object.capacity
        return (self.used + self.reserved) / capacity if capacity else 0.0
