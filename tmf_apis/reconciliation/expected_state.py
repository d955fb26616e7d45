"""Expected services of elements, read from the inventories in bulk."""

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
from tmf_apis.rest.pipeline.policy import Repository, Resource

RESOURCE_KIND, SERVICE_KIND = "Resource", "Service"
#: Maximum number of resources in use that are read; maximum number of ids in a query.
MAX_RESOURCES, QUERY_BATCH = 1_000_000, 1000
#: Final state of a service (TMF638).
STATE_TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ExpectedService:
    """A service on a port in the inventory.

    Attributes:
        service: Id of the service.
        port: Natural key of the resource that carries it.
        settings: Settings that fulfilment has applied.
        resource: Resource that carries it.
        state: State of the service in the service inventory; empty: it has no such service.
    """

    service: str
    port: str
    settings: Mapping[str, Setting]
    resource: Resource
    state: str = ""

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the port is marked with ``unknownStatus``."""
        return bool(self.resource.get("unknownStatus"))


@dataclass(slots=True)
class ExpectedState:
    """The state of one element in the inventory.

    Attributes:
        services: Services on the element, without those that an order has reserved.
        held_ports: Natural keys of resources that orders have reserved, on this element or on none.
        services_in_flight: Services that orders are changing.
        ports_in_flight: Number of ports of the element that orders have reserved.
        ports_in_doubt: Ports without a service that are marked with ``unknownStatus``, by natural
            key.
    """

    services: list[ExpectedService] = field(default_factory=list)
    held_ports: set[str] = field(default_factory=set)
    services_in_flight: set[str] = field(default_factory=set)
    ports_in_flight: int = 0
    ports_in_doubt: dict[str, Resource] = field(default_factory=dict)


def expected_states(
    repository: Repository, elements: Iterable[str], now: datetime
) -> dict[str, ExpectedState]:
    """Return the expected states of elements by id.

    Args:
        repository: Repository of the whole tenant.
        elements: Ids of the elements.
        now: Current time in UTC; reservations that have expired by then are ignored.
    """
    states = {id: ExpectedState() for id in elements}
    resources = list(_resources_in_use(repository, states))
    states_by_service = service_states(
        repository, sorted({service for resource in resources if (service := service_of(resource))})
    )
    for resource in resources:
        element, service = _element_id(resource), service_of(resource)
        if holder_of(resource) and not resource_state.is_reservation_expired(resource, now):
            for id, state in states.items():
                state.services_in_flight |= {service} - {""}
                if element in {id, ""}:
                    state.held_ports.add(carrier_key(resource))
                    state.ports_in_flight += element == id
        elif element in states and service and _is_carrier(resource):
            settings = resource_state.service_use(resource).usage.settings
            service_state = states_by_service.get(service, "")
            states[element].services.append(
                ExpectedService(service, carrier_key(resource), settings, resource, service_state)
            )
        elif element in states and resource.get("unknownStatus"):
            states[element].ports_in_doubt[carrier_key(resource)] = resource
    return states


def _resources_in_use(
    repository: Repository, elements: Mapping[str, ExpectedState]
) -> Iterator[Resource]:
    """Yield the resources that are in use, reserved or in doubt, of the elements or of none."""
    in_use = [
        {
            "externalIdentifier.externalIdentifierType": {
                "$in": [SERVICE_IDENTIFIER, HOLDER_IDENTIFIER]
            }
        },
        {"unknownStatus": True},
    ]
    query: dict[str, object] = {"$or": in_use}
    if len(elements) == 1:
        (id,) = elements
        provisioned = {"$elemMatch": {"name": resource_state.PROVISIONED_ON, "value": id}}
        on_element = [
            {"resourceRelationship.resource.id": id},
            {"resourceCharacteristic": provisioned},
            {"externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER},
        ]
        query = {"$and": [query, {"$or": on_element}]}
    yield from repository.for_network(None).find(RESOURCE_KIND, query, limit=MAX_RESOURCES)


def service_states(repository: Repository, services: list[str]) -> dict[str, str]:
    """Return the states of the services that are in the service inventory by id."""
    states: dict[str, str] = {}
    for start in range(0, len(services), QUERY_BATCH):
        ids = services[start : start + QUERY_BATCH]
        for service in repository.find(SERVICE_KIND, {"id": {"$in": ids}}, limit=QUERY_BATCH):
            states[service["id"]] = str(service.get("state") or "")
    return states


def _element_id(resource: Resource) -> str:
    return element_id_of(resource) or resource_state.service_use(resource).element


def _is_carrier(resource: Resource) -> bool:
    """Return whether a resource is the one by which the element knows a service."""
    characteristics = resource_characteristics(resource)
    port = resource.get("category") in PORT_CATEGORIES or "portName" in characteristics
    return (
        port
        or resource_state.SERVICE_SETTINGS in characteristics
        or resource_state.PROVISIONED_ON in characteristics
    )
