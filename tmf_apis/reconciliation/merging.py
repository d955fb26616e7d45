"""What a picture makes of the resources of an element; pure.

Only what the network says is written: what people and fulfilment have written (services,
reservations, places, notes, names that were given) stays. What is not on the element any more is
marked, not deleted.
"""

from collections.abc import Mapping
from typing import Any

from adapters.values import Component, Neighbour, Port
from tmf_apis.fulfilment.characteristics import objects, of_resource, with_values
from tmf_apis.fulfilment.reservation.ports import (
    FREE,
    PORT,
    is_on,
    service_of,
    usage,
)
from tmf_apis.reconciliation.pictures import Picture
from tmf_apis.rest.law import Resource

#: Characteristic: since when something is not on its element any more.
MISSING = "missingSince"
#: Characteristic of a port: who is at the other end of its cable, as LLDP says.
NEIGHBOUR = "neighbour"
#: Characteristic of a part: its natural key on the element.
COMPONENT = "componentName"
_MEGABIT = 10**6


def element(old: Resource, picture: Picture, name: str = "") -> Resource:
    """Return an element as a picture shows it.

    Args:
        old: Its resource; of a new one the id alone.
        picture: What it says.
        name: Name of a new one.
    """
    facts, target = picture.facts, picture.target
    before = of_resource(old).get("systemName")
    new = {"@type": "PhysicalResource", "category": picture.category, "name": name, **old}
    if facts.name and before and old.get("name") == before:
        new["name"] = facts.name  # its name is the one that it gives itself, then and now
    values: dict[str, Any] = {
        "managementAddress": target.address,
        "adapter": target.adapter,
        "credentials": target.credentials or None,
        "adapterOptions": dict(target.options) or None,
        "systemName": facts.name or None,
        "vendor": facts.vendor or None,
        "model": facts.model or None,
        "software": facts.software or None,
        MISSING: None,
    }
    new = with_values(new, values)
    if facts.serial:
        new["serialNumber"] = facts.serial
    return _placed(new, picture.place)


def port(old: Resource, on: Resource, port: Port, picture: Picture, was: str = "") -> Resource:
    """Return a port as it is now.

    Args:
        old: Its resource; of a new one the id alone.
        on: The element.
        port: What the element says of it.
        picture: What the element says of the rest.
        was: The element's name before.
    """
    allocation, status = FREE
    free = {"allocationStatus": allocation, "resourceStatus": status} if port.access else {}
    new = {
        "@type": "PhysicalResource",
        "category": picture.port_category if port.access else PORT,
        "name": f"{on['name']} {port.name}",
        **free,
        **old,
        "operationalState": "enabled" if port.up else "disabled",
    }
    if old.get("name") == f"{was} {port.name}":
        new["name"] = f"{on['name']} {port.name}"
    neighbour = next((one for one in picture.neighbours if one.port == port.name), None)
    facts: dict[str, Any] = {
        "portName": port.name,
        "macAddress": port.mac or None,
        "speed": port.speed // _MEGABIT or None,
        "ipAddress": ", ".join(port.addresses) or None,
        NEIGHBOUR: seen_as(neighbour) if neighbour else None,
        MISSING: None,
    }
    new = contained(with_values(new, facts), on)
    if service_of(new) or new.get("usageState") == "active":
        new["usageState"] = usage(new)
    return _placed(new, picture.place)


def component(old: Resource, on: Resource, part: Component, name: str) -> Resource:
    """Return a part of an element as it is now; ``on`` is what it is in, ``name`` the element's."""
    new = {
        "@type": "PhysicalResource",
        "category": part.kind,
        "name": f"{name} {part.name}",
        **old,
    }
    facts = {
        COMPONENT: part.name,
        "model": part.model or None,
        "software": part.software or None,
        MISSING: None,
    }
    new = contained(with_values(new, facts), on)
    if MISSING in of_resource(old):
        new["operationalState"] = "enabled"
    return {**new, "serialNumber": part.serial} if part.serial else new


def missing(old: Resource, since: str) -> Resource:
    """Return a part or port that is not on its element any more; its services stay."""
    if MISSING in of_resource(old):
        return old
    gone = with_values(old, {MISSING: since, NEIGHBOUR: None})
    if gone.get("usageState") in {"active", "busy"}:
        gone["usageState"] = "idle"
    return {**gone, "operationalState": "disabled"}


def seen_as(neighbour: Neighbour) -> dict[str, str]:
    """Return a neighbour as it stands in a characteristic."""
    found = {
        "system": neighbour.system,
        "chassis": neighbour.chassis,
        "port": neighbour.remote_port,
    }
    return {name: text for name, text in found.items() if text}


def contained(new: Resource, on: Resource) -> Resource:
    """Return a resource inside another one, and inside no other."""
    if is_on(new) == on["id"]:
        return new
    inside = {
        "@type": "ResourceRelationship",
        "relationshipType": "isContainedIn",
        "resource": reference(on),
    }
    others = [
        one
        for one in objects(new.get("resourceRelationship"))
        if one.get("relationshipType") != "isContainedIn"
    ]
    return {**new, "resourceRelationship": [*others, inside]}


def containing(new: Resource, parts: Mapping[str, Resource]) -> Resource:
    """Return a resource that says of its parts that it contains them; what is said stays."""
    there = {
        str((one.get("resource") or {}).get("id"))
        for one in objects(new.get("resourceRelationship"))
        if one.get("relationshipType") == "contains"
    }
    more = [
        {
            "@type": "ResourceRelationship",
            "relationshipType": "contains",
            "resource": reference(parts[id]),
        }
        for id in sorted(parts)
        if id not in there
    ]
    if not more:
        return new
    return {
        **new,
        "resourceRelationship": [*objects(new.get("resourceRelationship")), *more],
    }


def reference(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return a reference to a resource."""
    return {
        "@type": "ResourceRef",
        "id": resource["id"],
        "name": str(resource.get("name", "")),
        "@referredType": str(resource.get("@type", "PhysicalResource")),
    }


def _placed(resource: Resource, place: Mapping[str, Any] | None) -> Resource:
    if place is None or resource.get("place"):
        return resource
    role = {"@type": "RelatedPlaceRef", "role": "site", "place": dict(place)}
    return {**resource, "place": [role]}
