"""Elements in the inventory: how one is reached, and how it gets there with its ports."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.base import Adapter
from adapters.errors import Misconfigured
from adapters.values import Facts, Inventory, Port, Target
from tmf_apis.errors import Conflict
from tmf_apis.fulfilment.characteristics import objects, of_resource, with_values
from tmf_apis.fulfilment.ports import ACCESS_PORT, FREE, GATEWAY, PORT, is_on, service_of, usage
from tmf_apis.rest.law import Desk, Resource

#: Most ports of one element.
PORTS = 10_000
_KIND = "Resource"


@dataclass(frozen=True, slots=True)
class Registered:
    """An element in the inventory.

    Attributes:
        gateway: Id of the element's resource.
        ports: From the ports' natural keys to the ids of their resources.
    """

    gateway: str
    ports: Mapping[str, str]


def target_of(gateway: Mapping[str, Any]) -> Target:
    """Return how an element is reached.

    Raises:
        Misconfigured: Its resource does not say (characteristic ``managementAddress``).
    """
    found, name = of_resource(gateway), str(gateway.get("name") or gateway["id"])
    if not (address := found.get("managementAddress")):
        raise Misconfigured(name, "the inventory has no managementAddress for it")
    options = found.get("adapterOptions")
    return Target(
        name,
        str(address),
        str(found.get("adapter") or "snmp"),
        str(found.get("credentials") or ""),
        {str(key): str(value) for key, value in options.items()}
        if isinstance(options, dict)
        else {},
    )


def gateways(desk: Desk) -> list[Resource]:
    """Return the elements of a tenant that can be reached."""
    found = desk.find(_KIND, {"category": GATEWAY}, limit=PORTS)
    return [one for one in found if of_resource(one).get("managementAddress")]


def ports_of(desk: Desk, gateway: str) -> dict[str, Resource]:
    """Return the ports of an element by their natural keys."""
    query = {"resourceRelationship.resource.id": gateway, "category": {"$in": [ACCESS_PORT, PORT]}}
    found = desk.find(_KIND, query, limit=PORTS)
    return {key_of(one): one for one in found if is_on(one) == gateway}


def key_of(port: Mapping[str, Any]) -> str:
    """Return the natural key of a port on its element: ``portName``, or else its name."""
    return str(of_resource(port).get("portName") or port.get("name") or "")


async def register(
    desk: Desk, adapter: Adapter, *, place: Mapping[str, Any] | None = None
) -> Registered:
    """Read an element and put it and its ports into the inventory, or bring them up to date.

    Safe to repeat, also by two at once: an element is known by its name, a port by its natural
    key. What fulfilment has written on a port (service, reservation) stays.

    Args:
        desk: Of the tenant.
        adapter: Open.
        place: Reference to the place where the element is, as TMF639 has it in ``place.place``.

    Raises:
        ElementError: The element cannot be read.
    """
    seen = await adapter.inventory()
    return await asyncio.to_thread(_store, desk, adapter.target, seen, place)


def _store(
    desk: Desk, target: Target, seen: Inventory, place: Mapping[str, Any] | None
) -> Registered:
    known = desk.find(_KIND, {"category": GATEWAY, "name": target.name}, limit=1)
    id = known[0]["id"] if known else _fixed(desk, target.name)
    gateway = _put(desk, id, lambda old: _gateway(old, target, seen.facts, place))
    before = ports_of(desk, id)
    ids = {}
    for port in seen.ports:
        old = before.get(port.name)
        key = old["id"] if old else _fixed(desk, f"{target.name}/{port.name}")
        made = _put(desk, key, lambda old, port=port: _port(old, gateway, port, place))
        ids[port.name] = made["id"]
    return Registered(id, ids)


def _put(desk: Desk, id: str, edit: Any) -> Resource:  # noqa: ANN401
    if not desk.find(_KIND, {"id": id}, limit=1):
        try:
            return desk.create(_KIND, edit({"id": id}))
        except Conflict:  # somebody else was faster
            pass
    return desk.change(_KIND, id, edit)


def _fixed(desk: Desk, name: str) -> str:
    """Return an id that is the same for everybody who registers the same thing."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{desk.tenant}:element:{name}"))


def _gateway(
    old: Resource, target: Target, facts: Facts, place: Mapping[str, Any] | None
) -> Resource:
    new = {"@type": "PhysicalResource", "category": GATEWAY, "name": target.name, **old}
    new = with_values(
        new,
        {
            "managementAddress": target.address,
            "adapter": target.adapter,
            "credentials": target.credentials,
            "adapterOptions": dict(target.options) or None,
            "vendor": facts.vendor or None,
            "model": facts.model or None,
            "software": facts.software or None,
        },
    )
    return _placed(new, place) | ({"serialNumber": facts.serial} if facts.serial else {})


def _port(
    old: Resource, gateway: Resource, port: Port, place: Mapping[str, Any] | None
) -> Resource:
    allocation, status = FREE
    new = {
        "@type": "PhysicalResource",
        "category": ACCESS_PORT if port.access else PORT,
        "name": f"{gateway['name']} {port.name}",
        **({"allocationStatus": allocation, "resourceStatus": status} if port.access else {}),
        **old,
        "operationalState": "enabled" if port.up else "disabled",
    }
    facts = {
        "portName": port.name,
        "macAddress": port.mac or None,
        "speed": port.speed // 10**6 or None,
    }
    new = with_values(new, facts)
    if is_on(new) != gateway["id"]:
        contained = {
            "@type": "ResourceRelationship",
            "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": gateway["id"], "name": gateway["name"]},
        }
        new["resourceRelationship"] = [*objects(new.get("resourceRelationship")), contained]
    if service_of(new) or new.get("usageState") == "active":
        new["usageState"] = usage(new)
    return _placed(new, place)


def _placed(resource: Resource, place: Mapping[str, Any] | None) -> Resource:
    if place is None or resource.get("place"):
        return resource
    return {
        **resource,
        "place": [{"@type": "RelatedPlaceRef", "role": "site", "place": dict(place)}],
    }
