"""The remedies that can work for each difference; no I/O.

A service can be put right although another one is on its port, if that one is to move as well: two
swapped services are moved together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapters.values import Observed
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import carrier_key
from tmf_apis.inventory.ports import holder_of, service_of
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    IN_DOUBT,
    MISSING_ON_ELEMENT,
    PORT_DIFFERS,
    UNKNOWN_ON_ELEMENT,
    Difference,
)
from tmf_apis.reconciliation.expected_state import STATE_TERMINATED
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True)
class ElementView:
    """The services on an element, and the resources and services of the inventory for it.

    Attributes:
        occupants: Services on the element by port.
        ports: Resources of the inventory by natural key.
        service_states: States of services in the service inventory by id.
        keeps_tags: Whether the element stores the ids of services.
    """

    occupants: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, Resource] = field(default_factory=dict)
    service_states: Mapping[str, str] = field(default_factory=dict)
    keeps_tags: bool = True

    @classmethod
    def of(
        cls,
        observed: Iterable[Observed],
        ports: Mapping[str, Resource],
        service_states: Mapping[str, str],
    ) -> "ElementView":
        """Return the view of an element whose services were just read."""
        services = list(observed)
        occupants = {each.port: each.service_id for each in services}
        keeps_tags = all(each.service_id for each in services)
        return cls(occupants, ports, service_states, keeps_tags)


def with_possible_remedies(
    differences: Iterable[Difference], view: ElementView
) -> list[Difference]:
    """Return the differences of an element, each with the remedies that can work."""
    all_differences = list(differences)
    return [
        replace(each, remedies=_possible(each, all_differences, view)) for each in all_differences
    ]


def _possible(
    difference: Difference, differences: list[Difference], view: ElementView
) -> tuple[str, ...]:
    impossible = set()
    if difference.type in {MISSING_ON_ELEMENT, PORT_DIFFERS} and not network_chain(
        difference, differences, view
    ):
        impossible.add(CORRECT_NETWORK)
    if not _can_accept(difference, differences, view):
        impossible.add(ACCEPT_INTO_INVENTORY)
    return tuple(remedy for remedy in difference.remedies if remedy not in impossible)


def _can_accept(difference: Difference, differences: list[Difference], view: ElementView) -> bool:
    if difference.type == PORT_DIFFERS:
        return bool(inventory_chain(difference, differences, view))
    if difference.type == UNKNOWN_ON_ELEMENT:
        return _can_adopt(difference, view)
    if difference.type == IN_DOUBT:
        return can_resolve_doubt(difference, view.service_states)
    return True


def _can_adopt(difference: Difference, view: ElementView) -> bool:
    if difference.expected or view.service_states.get(difference.service) == STATE_TERMINATED:
        return False  # what was ended does not come back
    port = view.ports.get(difference.port)
    if port is None:
        return not view.keeps_tags  # a subscriber has a resource only while it has a service
    return not holder_of(port) and service_of(port) in {"", difference.service}


def can_resolve_doubt(difference: Difference, service_states: Mapping[str, str]) -> bool:
    """Return whether the state of a port in doubt follows from its element."""
    if difference.resource is None or "claimed" in difference.message:
        return False
    if difference.observed and difference.observed.get("port") != difference.port:
        return False
    is_ended = service_states.get(difference.service) == STATE_TERMINATED
    return bool(difference.resource.get("unknownStatus")) or (is_ended and not difference.observed)


def network_chain(
    difference: Difference, differences: Iterable[Difference], view: ElementView
) -> list[Difference]:
    """Return the services that have to move on the element to put one right, itself included.

    Returns:
        The differences; none if a service that does not move is on one of the ports.
    """
    moving = {each.service: each for each in differences if each.type == PORT_DIFFERS}
    chain = [difference]
    while occupant := view.occupants.get(_expected_port(chain[-1]), ""):
        if any(each.service == occupant for each in chain):
            return chain
        if occupant not in moving:
            return []
        chain.append(moving[occupant])
    return chain


def inventory_chain(
    difference: Difference, differences: Iterable[Difference], view: ElementView
) -> list[Difference]:
    """Return the services that have to move in the inventory to accept one, itself included.

    Returns:
        The differences; none if the inventory lacks a port, or has another service on it.
    """
    moving = {each.service: each for each in differences if each.type == PORT_DIFFERS}
    chain = [difference]
    while True:
        port = view.ports.get(str(chain[-1].observed["port"]))
        if port is None or chain[-1].resource is None or holder_of(port):
            return []
        occupant = resource_state.service_use(port).usage.service
        if not occupant or any(each.service == occupant for each in chain):
            return chain
        if occupant not in moving:
            return []
        chain.append(moving[occupant])


def _expected_port(difference: Difference) -> str:
    return carrier_key(difference.resource) if difference.resource else difference.port
