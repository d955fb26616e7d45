"""The inventory brought to what an element has, because a person has said that this is right."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from adapters.values import Setting
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.elements import ports_of
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.reservation.holdings import Use
from tmf_apis.fulfilment.reservation.ports import holder_of
from tmf_apis.fulfilment.values import Refused, Usage
from tmf_apis.reconciliation import merging
from tmf_apis.reconciliation.comparing import DOUBT, GONE, MISSING, PORT, SETTING, Difference
from tmf_apis.rest.law import Desk, Resource, rfc3339

KIND, SERVICES = "Resource", "Service"
_VALUE_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


def accept(desk: Desk, element: Resource, found: Difference) -> str:
    """Write into the inventories what is on the element; return what was done, for people.

    Raises:
        Refused: An order works on the port, or there is nothing in the inventory to write it to.
    """
    if found.type == SETTING:
        return _settings(desk, found)
    if found.type == GONE:
        _edit(desk, found, lambda old: merging.missing(old, rfc3339(desk.now)))
        return "the port is marked as missing"
    if found.type == MISSING:
        _edit(desk, found, lambda old: holdings.in_use(old, Use()))
        _stop(desk, found.service)
        return "the port is free, and the service is inactive"
    if found.type == PORT:
        return _moved(desk, element, found)
    if found.type == DOUBT:
        return _settled(desk, found)
    return _taken_in(desk, element, found)


def _settings(desk: Desk, found: Difference) -> str:
    observed = _observed(found)
    before = {name: value for name, value in found.expected.items() if name != "port"}

    def edit(old: Resource) -> Resource:
        use = holdings.use_of(old)
        settings = {**use.usage.settings, **{n: v for n, v in observed.items() if n in before}}
        return holdings.in_use(old, replace(use, usage=replace(use.usage, settings=settings)))

    _edit(desk, found, edit)
    with suppress(NotFound):
        desk.change(SERVICES, found.service, lambda old: _scaled(old, before, observed))
    return "the inventory has the settings of the element"


def _scaled(
    service: Resource, before: Mapping[str, Setting], after: Mapping[str, Setting]
) -> Resource:
    """Return a service whose characteristics follow the settings, each in its own unit."""
    changed = []
    for one in objects(service.get("serviceCharacteristic")):
        name, value = str(one.get("name")), one.get("value")
        old, new = before.get(name), after.get(name)
        if name in before and name in after and old != new:
            if value == old:
                one = {**one, "value": new}  # noqa: PLW2901
            elif _number(value) and _number(old) and _number(new):
                scaled = value * new / old  # type: ignore[operator]
                one = {**one, "value": int(scaled) if scaled == int(scaled) else scaled}  # noqa: PLW2901
        changed.append(one)
    return {**service, "serviceCharacteristic": changed} if changed else service


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _moved(desk: Desk, element: Resource, found: Difference) -> str:
    port = str(found.observed["port"])
    target = _port(desk, element, port)
    if found.resource is None:
        raise Refused("the inventory has nothing that carries the service")
    use = holdings.use_of(found.resource)
    _take(desk, target, use)
    _edit(desk, found, lambda old: holdings.in_use(old, Use()))
    with suppress(NotFound):
        desk.change(SERVICES, found.service, lambda old: _on(old, found.resource, target))
    return f"the inventory has the service on {port}"


def _taken_in(desk: Desk, element: Resource, found: Difference) -> str:
    """Take a service into the inventories that nobody knew of."""
    settings = _observed(found)
    known = desk.find(SERVICES, {"id": found.service}, limit=1)
    if known and known[0].get("state") == "terminated":
        raise Refused(f"service {found.service} is terminated and cannot be taken up again")
    target = _port(desk, element, found.port)
    _take(desk, target, Use(Usage(found.service, settings)))
    if not known:
        service = {
            "@type": "Service",
            "id": found.service,
            "name": found.service,
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
            desk.create(SERVICES, service)
    return "the inventories have the service"


def _settled(desk: Desk, found: Difference) -> str:
    """End the doubt about a port: it is as the element has it."""
    if found.resource is None or not found.resource.get("unknownStatus"):
        raise Refused("the inventory contradicts itself, a person has to decide which is right")
    here = bool(found.observed) and found.observed.get("port") == found.port
    if found.observed and not here:
        raise Refused(f"the service is on {found.observed.get('port')}")

    def edit(old: Resource) -> Resource:
        use = holdings.use_of(old)
        sure = {name: value for name, value in old.items() if name != "unknownStatus"}
        if not here:
            return holdings.in_use(sure, Use())
        settings = {**use.usage.settings, **_observed(found)}
        return holdings.in_use(sure, replace(use, usage=replace(use.usage, settings=settings)))

    _edit(desk, found, edit)
    return "the port is as the element has it"


def _take(desk: Desk, port: Resource, use: Use) -> None:
    def edit(old: Resource) -> Resource:
        there = holdings.use_of(old).usage.service
        if there == use.usage.service and not holder_of(old):
            return old
        if there or holder_of(old):
            raise Refused(f"{holdings.called(old)} is not free in the inventory")
        sure = {name: value for name, value in old.items() if name != "unknownStatus"}
        return holdings.in_use(sure, use)

    desk.change(KIND, port["id"], edit)


def _edit(desk: Desk, found: Difference, edit: Any) -> None:  # noqa: ANN401
    def checked(old: Resource) -> Resource:
        if holder_of(old) and not holdings.expired(old, desk.now):
            raise Refused(f"{holdings.called(old)} is reserved for {holder_of(old)}")
        new: Resource = edit(old)
        return new

    if found.resource is None:
        raise Refused("the inventory has nothing that it could be written to")
    desk.change(KIND, found.resource["id"], checked)


def _stop(desk: Desk, service: str) -> None:
    def edit(old: Resource) -> Resource:
        if old.get("state") != "active":
            return old
        return {**old, "state": "inactive", "isServiceEnabled": False}

    with suppress(NotFound):
        desk.change(SERVICES, service, edit)


def _on(service: Resource, was: Resource | None, now: Resource) -> Resource:
    others = [
        one
        for one in objects(service.get("supportingResource"))
        if one.get("id") not in {now["id"], (was or {}).get("id")}
    ]
    return {**service, "supportingResource": [*others, _reference(now)]}


def _port(desk: Desk, element: Resource, port: str) -> Resource:
    found = ports_of(desk, element["id"]).get(port)
    if found is None:
        raise Refused(f"the inventory has no port {port} on {element.get('name')}; discover it")
    return found


def _observed(found: Difference) -> dict[str, Setting]:
    return {name: value for name, value in found.observed.items() if name != "port"}


def _reference(resource: Mapping[str, Any]) -> dict[str, str]:
    name = str(resource.get("name", ""))
    return {"id": resource["id"], "name": name, "@referredType": "Resource"}
