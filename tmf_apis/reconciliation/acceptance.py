"""Remedy ``acceptIntoInventory``: write the state of the element into the inventories."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.values import Setting
from tmf_apis.errors import Conflict, NotFound, Unfulfillable
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.inventory.ports import holder_of
from tmf_apis.inventory.resource_state import ResourceUsage, ServiceUse
from tmf_apis.reconciliation import merge, upward_values
from tmf_apis.reconciliation.comparison import (
    IN_DOUBT,
    MISSING_ON_ELEMENT,
    PORT_DIFFERS,
    PORT_GONE,
    SETTING_DIFFERS,
    Difference,
)
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

RESOURCE_KIND, SERVICE_KIND = "Resource", "Service"
#: Category of the resource of a subscriber.
SIM_CARD = "simCard"
_VALUE_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


def accept(
    repository: Repository,
    element: Resource,
    difference: Difference,
    chain: Sequence[Difference] = (),
) -> str:
    """Write the observed state of a difference into the inventories.

    Args:
        repository: Repository of the whole tenant.
        element: The element.
        difference: The difference.
        chain: For a service on another port: all services that have to move with it.

    Returns:
        A message for people that says what was done.

    Raises:
        Unfulfillable: An order has reserved the port, or the inventory has no resource to change.
    """
    if difference.type == SETTING_DIFFERS:
        return _accept_settings(repository, difference)
    if difference.type == PORT_GONE:
        _edit_resource(
            repository, difference, lambda old: merge.marked_missing(old, rfc3339(repository.now))
        )
        return "the port is marked as missing"
    if difference.type == MISSING_ON_ELEMENT:
        _edit_resource(
            repository, difference, lambda old: resource_state.set_use(old, ServiceUse())
        )
        _deactivate_service(repository, difference.service)
        return "the port is free, and the service is inactive"
    if difference.type == PORT_DIFFERS:
        return _accept_port_changes(repository, element, chain or (difference,))
    if difference.type == IN_DOUBT:
        return _resolve_doubt(repository, difference)
    return _accept_unknown_service(repository, element, difference)


def _accept_settings(repository: Repository, difference: Difference) -> str:
    observed = _observed_settings(difference)
    before = {name: value for name, value in difference.expected.items() if name != "port"}
    changes = upward_values.setting_changes(before, observed)

    def edit(old: Resource) -> Resource:
        use = resource_state.service_use(old)
        settings = {**use.usage.settings, **{n: v for n, v in observed.items() if n in before}}
        return resource_state.set_use(
            old, replace(use, usage=replace(use.usage, settings=settings))
        )

    _edit_resource(repository, difference, edit)
    upward_values.carry_up(repository, difference.service, changes)
    return "the inventory has the settings of the element"


def _accept_port_changes(
    repository: Repository, element: Resource, chain: Sequence[Difference]
) -> str:
    """Move services in the inventory to the ports that they are on, all or none of them."""
    ports = [_find_port(repository, element, str(each.observed["port"])) for each in chain]
    uses = [resource_state.service_use(each.resource or {}) for each in chain]
    for each in chain:
        if each.resource is None:
            raise Unfulfillable("the inventory has no resource that carries the service")
        _edit_resource(repository, each, lambda old: resource_state.set_use(old, ServiceUse()))
    for each, port, use in zip(chain, ports, uses, strict=True):
        _occupy_port(repository, port, use)
        edit = partial(_service_on_port, old_port=each.resource, new_port=port)
        with suppress(NotFound):
            repository.change(SERVICE_KIND, each.service, edit)
        for product in upward_values.holders_of(repository, each.service)[1]:
            move = partial(_product_on_port, old_port=each.resource, new_port=port)
            repository.change("Product", product["id"], move)
    _exchange_port_values(repository, chain, ports)
    moved = (f"{each.service} on {each.observed['port']}" for each in chain)
    return f"the inventory has service {', '.join(moved)}"


def _exchange_port_values(
    repository: Repository, chain: Sequence[Difference], ports: Sequence[Resource]
) -> None:
    """Write the new ports into the characteristics of services and products, each of them once."""
    replaced: dict[tuple[str, str], dict[str, str]] = {}
    for each, port in zip(chain, ports, strict=True):
        old_name = str((each.resource or {}).get("name"))
        services, products = upward_values.holders_of(repository, each.service)
        for kind, holders in (("Service", services), ("Product", products)):
            for holder in holders:
                replaced.setdefault((kind, holder["id"]), {})[old_name] = str(port.get("name"))
    categories = {str(port.get("category")) for port in ports}
    for (kind, id), names in replaced.items():
        attribute = upward_values.VALUES[kind]
        edit = partial(upward_values.with_replaced_values, attribute, categories, names)
        with suppress(NotFound):
            repository.change(kind, id, edit)


def _accept_unknown_service(
    repository: Repository, element: Resource, difference: Difference
) -> str:
    """Add a service that is only on the element to the inventories."""
    settings = _observed_settings(difference)
    if not difference.service:
        return _adopt_subscriber(repository, element, difference, settings)
    known_services = repository.find(SERVICE_KIND, {"id": difference.service}, limit=1)
    if known_services and known_services[0].get("state") == "terminated":
        raise Unfulfillable(
            f"service {difference.service} is terminated and cannot be accepted again"
        )
    target = _find_port(repository, element, difference.port)
    _occupy_port(repository, target, ServiceUse(ResourceUsage(difference.service, settings)))
    if not known_services:
        _create_service(repository, difference.service, settings, target)
    return "the inventories have the service"


def _create_service(
    repository: Repository, id: str, settings: Mapping[str, Setting], carrier: Resource
) -> None:
    is_enabled = settings.get("enabled") is not False
    service = {
        "@type": "Service",
        "id": id,
        "name": id,
        "category": "RFS",
        "state": "active" if is_enabled else "inactive",
        "hasStarted": True,
        "isServiceEnabled": is_enabled,
        "serviceCharacteristic": [
            {"name": name, "valueType": _VALUE_TYPES[type(value)], "value": value}
            for name, value in settings.items()
            if name != "enabled"
        ],
        "supportingResource": [_supporting_resource(carrier)],
    }
    with suppress(Conflict):
        repository.create(SERVICE_KIND, service)


def _adopt_subscriber(
    repository: Repository, element: Resource, difference: Difference, settings: dict[str, Setting]
) -> str:
    """Add a subscriber, whom the element knows by the IMSI only, to the inventories."""
    imsi = difference.port
    name = f"{repository.tenant}:{element['id']}:{imsi}"
    service = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    is_card = [
        {"resourceCharacteristic": {"$elemMatch": {"name": key, "value": imsi}}}
        for key in ("imsi", "naturalKey")
    ]
    query = {"$or": [*is_card, {"category": SIM_CARD, "name": imsi}]}
    cards = repository.for_network(None).find(RESOURCE_KIND, query, limit=2)
    card = cards[0] if cards else None
    if card is None:
        values = [{"name": "imsi", "valueType": "string", "value": imsi}]
        body = {"@type": "LogicalResource", "category": SIM_CARD, "name": imsi}
        card = repository.create(RESOURCE_KIND, {**body, "resourceCharacteristic": values})
    use = ServiceUse(ResourceUsage(service, settings), element=str(element["id"]))
    _occupy_port(repository, card, use)
    _create_service(repository, service, settings, card)
    return f"the inventories have the subscriber as service {service}"


def _resolve_doubt(repository: Repository, difference: Difference) -> str:
    """Clear ``unknownStatus`` of a port and write the state that it has on the element."""
    if difference.resource is None:
        raise Unfulfillable(
            "the inventory contradicts itself: a person must decide which entry is right"
        )
    is_on_port = bool(difference.observed) and difference.observed.get("port") == difference.port
    if difference.observed and not is_on_port:
        raise Unfulfillable(f"the service is on {difference.observed.get('port')}")

    def edit(old: Resource) -> Resource:
        use = resource_state.service_use(old)
        resolved = {name: value for name, value in old.items() if name != "unknownStatus"}
        if not is_on_port:
            return resource_state.set_use(resolved, ServiceUse())
        settings = {**use.usage.settings, **_observed_settings(difference)}
        return resource_state.set_use(
            resolved, replace(use, usage=replace(use.usage, settings=settings))
        )

    _edit_resource(repository, difference, edit)
    return "the inventory has the port as it is on the element"


def _occupy_port(repository: Repository, port: Resource, use: ServiceUse) -> None:
    """Put a service on a port of the inventory, which must be free or have the service already."""

    def edit(old: Resource) -> Resource:
        current_service = resource_state.service_use(old).usage.service
        if current_service == use.usage.service and not holder_of(old):
            return old
        if current_service or holder_of(old):
            raise Unfulfillable(f"{resource_state.display_name(old)} is not free in the inventory")
        resolved = {name: value for name, value in old.items() if name != "unknownStatus"}
        return resource_state.set_use(resolved, use)

    repository.change(RESOURCE_KIND, port["id"], edit)


def _edit_resource(
    repository: Repository, difference: Difference, edit: Callable[[Resource], Resource]
) -> None:
    """Change the resource of a difference, unless an order has reserved it."""

    def checked_edit(old: Resource) -> Resource:
        if holder_of(old) and not resource_state.is_reservation_expired(old, repository.now):
            raise Unfulfillable(
                f"{resource_state.display_name(old)} is reserved for {holder_of(old)}"
            )
        return edit(old)

    if difference.resource is None:
        raise Unfulfillable("the inventory has no resource to change")
    repository.change(RESOURCE_KIND, difference.resource["id"], checked_edit)


def _deactivate_service(repository: Repository, service: str) -> None:
    def edit(old: Resource) -> Resource:
        if old.get("state") != "active":
            return old
        return {**old, "state": "inactive", "isServiceEnabled": False}

    with suppress(NotFound):
        repository.change(SERVICE_KIND, service, edit)


def _service_on_port(service: Resource, old_port: Resource | None, new_port: Resource) -> Resource:
    others = [
        reference
        for reference in json_objects(service.get("supportingResource"))
        if reference.get("id") not in {new_port["id"], (old_port or {}).get("id")}
    ]
    return {**service, "supportingResource": [*others, _supporting_resource(new_port)]}


def _product_on_port(product: Resource, old_port: Resource | None, new_port: Resource) -> Resource:
    if not product.get("realizingResource"):
        return product
    others = [
        reference
        for reference in json_objects(product["realizingResource"])
        if reference.get("id") not in {new_port["id"], (old_port or {}).get("id")}
    ]
    return {**product, "realizingResource": [*others, _supporting_resource(new_port)]}


def _find_port(repository: Repository, element: Resource, port: str) -> Resource:
    resource = ports_by_key(repository, element["id"]).get(port)
    if resource is None:
        raise Unfulfillable(
            f"the inventory has no port {port} on {element.get('name')}; discover it"
        )
    return resource


def _observed_settings(difference: Difference) -> dict[str, Setting]:
    return {name: value for name, value in difference.observed.items() if name != "port"}


def _supporting_resource(resource: Mapping[str, Any]) -> dict[str, str]:
    name = str(resource.get("name", ""))
    return {"id": resource["id"], "name": name, "@referredType": "Resource"}
