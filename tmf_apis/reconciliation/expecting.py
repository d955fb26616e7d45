"""What services say should be on elements, read from the inventories in bulk."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.values import Setting
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import key_of
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.reservation.ports import (
    HOLDER,
    PORTS,
    SERVICE,
    holder_of,
    is_on,
    service_of,
)
from tmf_apis.reconciliation.merging import MISSING
from tmf_apis.rest.law import Desk, Resource

KIND, SERVICES = "Resource", "Service"
#: Most resources in use that are read, and ids of one question.
MOST, BATCH = 1_000_000, 1000
#: State of a service that is no more (TMF638).
ENDED = "terminated"


@dataclass(frozen=True, slots=True)
class Expected:
    """A service on a port, as the inventory has it.

    Attributes:
        service: Its id.
        port: Natural key of what carries it.
        settings: As fulfilment has set it.
        resource: What carries it.
        state: State of the service in the service inventory; empty: it is not there.
    """

    service: str
    port: str
    settings: Mapping[str, Setting]
    resource: Resource
    state: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether somebody has said that it is not known what is on the port."""
        return bool(self.resource.get("unknownStatus"))


@dataclass(slots=True)
class View:
    """What the inventory says of one element.

    Attributes:
        expected: What should be on it; nothing that an order works on.
        held: Natural keys of what orders work on, there or nowhere yet.
        moving: Services that orders work on.
        in_flight: How many ports of the element orders work on.
        doubtful: Natural keys of ports without service whose state nobody knows, with resource.
    """

    expected: list[Expected] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    in_flight: int = 0
    doubtful: dict[str, Resource] = field(default_factory=dict)


def views(desk: Desk, elements: Iterable[str], now: datetime) -> dict[str, View]:
    """Return what the inventory says of some elements.

    Args:
        desk: Sees the whole tenant.
        elements: Their ids.
        now: The time, in UTC: reservations that are over count for nothing.
    """
    made = {id: View() for id in elements}
    taken = list(_taken(desk, made))
    states = _states(desk, sorted({service for one in taken if (service := service_of(one))}))
    for one in taken:
        element, service = _element(one), service_of(one)
        if holder_of(one) and not holdings.expired(one, now):
            for id, view in made.items():
                view.moving |= {service} - {""}
                if element in {id, ""}:
                    view.held.add(key_of(one))
                    view.in_flight += element == id
        elif element in made and service and _carries(one):
            settings = holdings.use_of(one).usage.settings
            state = states.get(service, "")
            made[element].expected.append(Expected(service, key_of(one), settings, one, state))
        elif element in made and one.get("unknownStatus"):
            made[element].doubtful[key_of(one)] = one
    return made


def _taken(desk: Desk, elements: Mapping[str, View]) -> Iterator[Resource]:
    """Yield the resources that are in use, reserved or in doubt, on some elements or on none."""
    taken = [
        {"externalIdentifier.externalIdentifierType": {"$in": [SERVICE, HOLDER]}},
        {"unknownStatus": True},
    ]
    query: dict[str, object] = {"$or": taken}
    if len(elements) == 1:
        (id,) = elements
        brought = {"$elemMatch": {"name": holdings.ELEMENT, "value": id}}
        where = [
            {"resourceRelationship.resource.id": id},
            {"resourceCharacteristic": brought},
            {"externalIdentifier.externalIdentifierType": HOLDER},
        ]
        query = {"$and": [query, {"$or": where}]}
    yield from desk.find(KIND, query, limit=MOST)


def _states(desk: Desk, services: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(services), BATCH):
        ids = services[start : start + BATCH]
        for one in desk.find(SERVICES, {"id": {"$in": ids}}, limit=BATCH):
            found[one["id"]] = str(one.get("state") or "")
    return found


def _element(resource: Resource) -> str:
    return is_on(resource) or holdings.use_of(resource).element


def _carries(resource: Resource) -> bool:
    """Return whether it is this resource of a service that the element knows it by."""
    said = of_resource(resource)
    port = resource.get("category") in PORTS or "portName" in said
    return port or holdings.SETTINGS in said or holdings.ELEMENT in said


def gone(resource: Resource) -> bool:
    """Return whether discovery has missed a resource on its element."""
    return MISSING in of_resource(resource)
