"""Remedy ``acceptIntoInventory``: write the state of the element into the inventories."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeGuard

from adapters.values import Setting
from tmf_apis.errors import Conflict, NotFound, Unfulfillable
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.inventory.ports import holder_of
from tmf_apis.inventory.resource_state import ResourceUsage, ServiceUse
from tmf_apis.reconciliation import merge
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
_VALUE_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


def accept(repository: Repository, element: Resource, difference: Difference) -> str:
    """Write the observed state of a difference into the inventories.

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
        return _accept_port_change(repository, element, difference)
    if difference.type == IN_DOUBT:
        return _resolve_doubt(repository, difference)
    return _accept_unknown_service(repository, element, difference)


def _accept_settings(repository: Repository, difference: Difference) -> str:
    observed = _observed_settings(difference)
    before = {name: value for name, value in difference.expected.items() if name != "port"}

    def edit(old: Resource) -> Resource:
        use = resource_state.service_use(old)
        settings = {**use.usage.settings, **{n: v for n, v in observed.items() if n in before}}
        return resource_state.set_use(
            old, replace(use, usage=replace(use.usage, settings=settings))
        )

    _edit_resource(repository, difference, edit)
    with suppress(NotFound):
        repository.change(
            SERVICE_KIND, difference.service, lambda old: _scaled_service(old, before, observed)
        )
    return "the inventory has the settings of the element"


def _scaled_service(
    service: Resource, before: Mapping[str, Setting], after: Mapping[str, Setting]
) -> Resource:
    """Return a service with its characteristics changed like the settings, each in its own unit."""
    characteristics = []
    for characteristic in json_objects(service.get("serviceCharacteristic")):
        name, value = str(characteristic.get("name")), characteristic.get("value")
        if name in before and name in after and "value" in characteristic:
            new_value = _scaled_value(value, before[name], after[name])
            characteristics.append({**characteristic, "value": new_value})
        else:
            characteristics.append(characteristic)
    return {**service, "serviceCharacteristic": characteristics} if characteristics else service


def _scaled_value(value: object, before: Setting, after: Setting) -> object:
    """Return the value of a characteristic after its setting has changed."""
    if before == after:
        return value
    if value == before:
        return after
    if _is_nonzero_number(value) and _is_nonzero_number(before) and _is_nonzero_number(after):
        scaled = value * after / before
        return int(scaled) if scaled == int(scaled) else scaled
    return value


def _is_nonzero_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _accept_port_change(repository: Repository, element: Resource, difference: Difference) -> str:
    port = str(difference.observed["port"])
    target = _find_port(repository, element, port)
    if difference.resource is None:
        raise Unfulfillable("the inventory has no resource that carries the service")
    use = resource_state.service_use(difference.resource)
    _occupy_port(repository, target, use)
    _edit_resource(repository, difference, lambda old: resource_state.set_use(old, ServiceUse()))
    with suppress(NotFound):
        repository.change(
            SERVICE_KIND,
            difference.service,
            lambda old: _service_on_port(old, difference.resource, target),
        )
    return f"the inventory has the service on {port}"


def _accept_unknown_service(
    repository: Repository, element: Resource, difference: Difference
) -> str:
    """Add a service that is only on the element to the inventories."""
    settings = _observed_settings(difference)
    known_services = repository.find(SERVICE_KIND, {"id": difference.service}, limit=1)
    if known_services and known_services[0].get("state") == "terminated":
        raise Unfulfillable(
            f"service {difference.service} is terminated and cannot be accepted again"
        )
    target = _find_port(repository, element, difference.port)
    _occupy_port(repository, target, ServiceUse(ResourceUsage(difference.service, settings)))
    if not known_services:
        service = {
            "@type": "Service",
            "id": difference.service,
            "name": difference.service,
            "category": "RFS",
            "state": "active",
            "hasStarted": True,
            "isServiceEnabled": settings.get("enabled") is not False,
            "serviceCharacteristic": [
                {"name": name, "valueType": _VALUE_TYPES[type(value)], "value": value}
                for name, value in settings.items()
            ],
            "supportingResource": [_supporting_resource(target)],
        }
        with suppress(Conflict):
            repository.create(SERVICE_KIND, service)
    return "the inventories have the service"


def _resolve_doubt(repository: Repository, difference: Difference) -> str:
    """Clear ``unknownStatus`` of a port and write the state that it has on the element."""
    if difference.resource is None or not difference.resource.get("unknownStatus"):
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
