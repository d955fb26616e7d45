"""What services say should be on elements, read from the inventories in bulk."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.values import Setting
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import carrier_key
from tmf_apis.inventory.ports import (
    HOLDER_IDENTIFIER,
    PORT_CATEGORIES,
    SERVICE_IDENTIFIER,
    element_id_of,
    holder_of,
    service_of,
)
from tmf_apis.reconciliation.merge import MISSING_SINCE
from tmf_apis.rest.pipeline.policy import Repository, Resource

RESOURCE_KIND, SERVICE_KIND = "Resource", "Service"
#: Most resources in use that are read, and ids of one question.
MAX_RESOURCES, QUERY_BATCH = 1_000_000, 1000
#: State of a service that is no more (TMF638).
STATE_TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ExpectedService:
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
    def is_in_doubt(self) -> bool:
        """Whether somebody has said that it is not known what is on the port."""
        return bool(self.resource.get("unknownStatus"))


@dataclass(slots=True)
class ExpectedState:
    """What the inventory says of one element.

    Attributes:
        services: What should be on it; nothing that an order works on.
        held_ports: Natural keys of what orders work on, there or nowhere yet.
        services_in_flight: Services that orders work on.
        ports_in_flight: How many ports of the element orders work on.
        ports_in_doubt: Natural keys of ports without service whose state nobody knows, with resource.
    """

    services: list[ExpectedService] = field(default_factory=list)
    held_ports: set[str] = field(default_factory=set)
    services_in_flight: set[str] = field(default_factory=set)
    ports_in_flight: int = 0
    ports_in_doubt: dict[str, Resource] = field(default_factory=dict)


def expected_states(
    repository: Repository, elements: Iterable[str], now: datetime
) -> dict[str, ExpectedState]:
    """Return what the inventory says of some elements.

    Args:
        repository: Sees the whole tenant.
        elements: Their ids.
        now: The time, in UTC: reservations that are over count for nothing.
    """
    made = {id: ExpectedState() for id in elements}
    taken = list(_resources_in_use(repository, made))
    states = _service_states(
        repository, sorted({service for one in taken if (service := service_of(one))})
    )
    for one in taken:
        element, service = _element_id(one), service_of(one)
        if holder_of(one) and not resource_state.is_reservation_expired(one, now):
            for id, view in made.items():
                view.services_in_flight |= {service} - {""}
                if element in {id, ""}:
                    view.held_ports.add(carrier_key(one))
                    view.ports_in_flight += element == id
        elif element in made and service and _is_carrier(one):
            settings = resource_state.service_use(one).usage.settings
            state = states.get(service, "")
            made[element].services.append(
                ExpectedService(service, carrier_key(one), settings, one, state)
            )
        elif element in made and one.get("unknownStatus"):
            made[element].ports_in_doubt[carrier_key(one)] = one
    return made


def _resources_in_use(
    repository: Repository, elements: Mapping[str, ExpectedState]
) -> Iterator[Resource]:
    """Yield the resources that are in use, reserved or in doubt, on some elements or on none."""
    taken = [
        {
            "externalIdentifier.externalIdentifierType": {
                "$in": [SERVICE_IDENTIFIER, HOLDER_IDENTIFIER]
            }
        },
        {"unknownStatus": True},
    ]
    query: dict[str, object] = {"$or": taken}
    if len(elements) == 1:
        (id,) = elements
        brought = {"$elemMatch": {"name": resource_state.PROVISIONED_ON, "value": id}}
        where = [
            {"resourceRelationship.resource.id": id},
            {"resourceCharacteristic": brought},
            {"externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER},
        ]
        query = {"$and": [query, {"$or": where}]}
    yield from repository.find(RESOURCE_KIND, query, limit=MAX_RESOURCES)


def _service_states(repository: Repository, services: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(services), QUERY_BATCH):
        ids = services[start : start + QUERY_BATCH]
        for one in repository.find(SERVICE_KIND, {"id": {"$in": ids}}, limit=QUERY_BATCH):
            found[one["id"]] = str(one.get("state") or "")
    return found


def _element_id(resource: Resource) -> str:
    return element_id_of(resource) or resource_state.service_use(resource).element


def _is_carrier(resource: Resource) -> bool:
    """Return whether it is this resource of a service that the element knows it by."""
    said = resource_characteristics(resource)
    port = resource.get("category") in PORT_CATEGORIES or "portName" in said
    return port or resource_state.SERVICE_SETTINGS in said or resource_state.PROVISIONED_ON in said


def gone(resource: Resource) -> bool:
    """Return whether discovery has missed a resource on its element."""
    return MISSING_SINCE in resource_characteristics(resource)
