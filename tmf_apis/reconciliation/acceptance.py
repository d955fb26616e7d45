"""The inventory brought to what an element has, because a person has said that this is right."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

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
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

RESOURCE_KIND, SERVICE_KIND = "Resource", "Service"
_VALUE_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


def accept(repository: Repository, element: Resource, difference: Difference) -> str:
    """Write into the inventories what is on the element; return what was done, for people.

    Raises:
        Refused: An order works on the port, or there is nothing in the inventory to write it to.
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
    """Return a service whose characteristics follow the settings, each in its own unit."""
    changed = []
    for one in json_objects(service.get("serviceCharacteristic")):
        name, value = str(one.get("name")), one.get("value")
        old, new = before.get(name), after.get(name)
        if name in before and name in after and old != new:
            if value == old:
                one = {**one, "value": new}  # noqa: PLW2901
            elif _is_nonzero_number(value) and _is_nonzero_number(old) and _is_nonzero_number(new):
                scaled = value * new / old  # type: ignore[operator]
                one = {**one, "value": int(scaled) if scaled == int(scaled) else scaled}  # noqa: PLW2901
        changed.append(one)
    return {**service, "serviceCharacteristic": changed} if changed else service


def _is_nonzero_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _accept_port_change(repository: Repository, element: Resource, difference: Difference) -> str:
    port = str(difference.observed["port"])
    target = _find_port(repository, element, port)
    if difference.resource is None:
        raise Unfulfillable("the inventory has nothing that carries the service")
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
    """Take a service into the inventories that nobody knew of."""
    settings = _observed_settings(difference)
    known = repository.find(SERVICE_KIND, {"id": difference.service}, limit=1)
    if known and known[0].get("state") == "terminated":
        raise Unfulfillable(
            f"service {difference.service} is terminated and cannot be taken up again"
        )
    target = _find_port(repository, element, difference.port)
    _occupy_port(repository, target, ServiceUse(ResourceUsage(difference.service, settings)))
    if not known:
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
            "supportingResource": [_reference(target)],
        }
        with suppress(Conflict):
            repository.create(SERVICE_KIND, service)
    return "the inventories have the service"


def _resolve_doubt(repository: Repository, difference: Difference) -> str:
    """End the doubt about a port: it is as the element has it."""
    if difference.resource is None or not difference.resource.get("unknownStatus"):
        raise Unfulfillable(
            "the inventory contradicts itself, a person has to decide which is right"
        )
    here = bool(difference.observed) and difference.observed.get("port") == difference.port
    if difference.observed and not here:
        raise Unfulfillable(f"the service is on {difference.observed.get('port')}")

    def edit(old: Resource) -> Resource:
        use = resource_state.service_use(old)
        sure = {name: value for name, value in old.items() if name != "unknownStatus"}
        if not here:
            return resource_state.set_use(sure, ServiceUse())
        settings = {**use.usage.settings, **_observed_settings(difference)}
        return resource_state.set_use(
            sure, replace(use, usage=replace(use.usage, settings=settings))
        )

    _edit_resource(repository, difference, edit)
    return "the port is as the element has it"


def _occupy_port(repository: Repository, port: Resource, use: ServiceUse) -> None:
    def edit(old: Resource) -> Resource:
        there = resource_state.service_use(old).usage.service
        if there == use.usage.service and not holder_of(old):
            return old
        if there or holder_of(old):
            raise Unfulfillable(f"{resource_state.display_name(old)} is not free in the inventory")
        sure = {name: value for name, value in old.items() if name != "unknownStatus"}
        return resource_state.set_use(sure, use)

    repository.change(RESOURCE_KIND, port["id"], edit)


def _edit_resource(repository: Repository, difference: Difference, edit: Any) -> None:  # noqa: ANN401
    def checked(old: Resource) -> Resource:
        if holder_of(old) and not resource_state.is_reservation_expired(old, repository.now):
            raise Unfulfillable(
                f"{resource_state.display_name(old)} is reserved for {holder_of(old)}"
            )
        new: Resource = edit(old)
        return new

    if difference.resource is None:
        raise Unfulfillable("the inventory has nothing that it could be written to")
    repository.change(RESOURCE_KIND, difference.resource["id"], checked)


def _deactivate_service(repository: Repository, service: str) -> None:
    def edit(old: Resource) -> Resource:
        if old.get("state") != "active":
            return old
        return {**old, "state": "inactive", "isServiceEnabled": False}

    with suppress(NotFound):
        repository.change(SERVICE_KIND, service, edit)


def _service_on_port(service: Resource, old_port: Resource | None, new_port: Resource) -> Resource:
    others = [
        one
        for one in json_objects(service.get("supportingResource"))
        if one.get("id") not in {new_port["id"], (old_port or {}).get("id")}
    ]
    return {**service, "supportingResource": [*others, _reference(new_port)]}


def _find_port(repository: Repository, element: Resource, port: str) -> Resource:
    found = ports_by_key(repository, element["id"]).get(port)
    if found is None:
        raise Unfulfillable(
            f"the inventory has no port {port} on {element.get('name')}; discover it"
        )
    return found


def _observed_settings(difference: Difference) -> dict[str, Setting]:
    return {name: value for name, value in difference.observed.items() if name != "port"}


def _reference(resource: Mapping[str, Any]) -> dict[str, str]:
    name = str(resource.get("name", ""))
    return {"id": resource["id"], "name": name, "@referredType": "Resource"}
