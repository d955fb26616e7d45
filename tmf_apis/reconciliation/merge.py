"""What a picture makes of the resources of an element; pure.

Only what the network says is written: what people and fulfilment have written (services,
reservations, places, notes, names that were given) stays. What is not on the element any more is
marked, not deleted.
"""

from collections.abc import Mapping
from typing import Any

from adapters.values import Component, Neighbour, Port
from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.inventory.ports import (
    FREE,
    PORT,
    element_id_of,
    service_of,
    usage_state,
)
from tmf_apis.reconciliation.snapshots import Snapshot
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: Characteristic: since when something is not on its element any more.
MISSING_SINCE = "missingSince"
#: Characteristic of a port: who is at the other end of its cable, as LLDP says.
NEIGHBOUR = "neighbour"
#: Characteristic of a part: its natural key on the element.
COMPONENT_NAME = "componentName"
_MEGABIT = 10**6


def merged_element(old: Resource, snapshot: Snapshot, name: str = "") -> Resource:
    """Return an element as a picture shows it.

    Args:
        old: Its resource; of a new one the id alone.
        snapshot: What it says.
        name: Name of a new one.
    """
    facts, target = snapshot.facts, snapshot.target
    before = resource_characteristics(old).get("systemName")
    new = {"@type": "PhysicalResource", "category": snapshot.category, "name": name, **old}
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
        MISSING_SINCE: None,
    }
    new = with_characteristics(new, values)
    if facts.serial:
        new["serialNumber"] = facts.serial
    return _with_place(new, snapshot.place)


def merged_port(
    old: Resource, element: Resource, port: Port, snapshot: Snapshot, old_element_name: str = ""
) -> Resource:
    """Return a port as it is now.

    Args:
        old: Its resource; of a new one the id alone.
        element: The element.
        port: What the element says of it.
        snapshot: What the element says of the rest.
        old_element_name: The element's name before.
    """
    allocation, status = FREE
    free = {"allocationStatus": allocation, "resourceStatus": status} if port.access else {}
    new = {
        "@type": "PhysicalResource",
        "category": snapshot.port_category if port.access else PORT,
        "name": f"{element['name']} {port.name}",
        **free,
        **old,
        "operationalState": "enabled" if port.up else "disabled",
    }
    if old.get("name") == f"{old_element_name} {port.name}":
        new["name"] = f"{element['name']} {port.name}"
    neighbour = next((one for one in snapshot.neighbours if one.port == port.name), None)
    facts: dict[str, Any] = {
        "portName": port.name,
        "macAddress": port.mac or None,
        "speed": port.speed // _MEGABIT or None,
        "ipAddress": ", ".join(port.addresses) or None,
        NEIGHBOUR: neighbour_value(neighbour) if neighbour else None,
        MISSING_SINCE: None,
    }
    new = contained_in(with_characteristics(new, facts), element)
    if service_of(new) or new.get("usageState") == "active":
        new["usageState"] = usage_state(new)
    return _with_place(new, snapshot.place)


def merged_component(
    old: Resource, container: Resource, part: Component, element_name: str
) -> Resource:
    """Return a part of an element as it is now; ``container`` is what it is in, ``element_name`` the element's."""
    new = {
        "@type": "PhysicalResource",
        "category": part.kind,
        "name": f"{element_name} {part.name}",
        **old,
    }
    facts = {
        COMPONENT_NAME: part.name,
        "model": part.model or None,
        "software": part.software or None,
        MISSING_SINCE: None,
    }
    new = contained_in(with_characteristics(new, facts), container)
    if MISSING_SINCE in resource_characteristics(old):
        new["operationalState"] = "enabled"
    return {**new, "serialNumber": part.serial} if part.serial else new


def marked_missing(old: Resource, since: str) -> Resource:
    """Return a part or port that is not on its element any more; its services stay."""
    if MISSING_SINCE in resource_characteristics(old):
        return old
    gone = with_characteristics(old, {MISSING_SINCE: since, NEIGHBOUR: None})
    if gone.get("usageState") in {"active", "busy"}:
        gone["usageState"] = "idle"
    return {**gone, "operationalState": "disabled"}


def neighbour_value(neighbour: Neighbour) -> dict[str, str]:
    """Return a neighbour as it stands in a characteristic."""
    found = {
        "system": neighbour.system,
        "chassis": neighbour.chassis,
        "port": neighbour.remote_port,
    }
    return {name: text for name, text in found.items() if text}


def contained_in(new: Resource, container: Resource) -> Resource:
    """Return a resource inside another one, and inside no other."""
    if element_id_of(new) == container["id"]:
        return new
    inside = {
        "@type": "ResourceRelationship",
        "relationshipType": "isContainedIn",
        "resource": resource_reference(container),
    }
    others = [
        one
        for one in json_objects(new.get("resourceRelationship"))
        if one.get("relationshipType") != "isContainedIn"
    ]
    return {**new, "resourceRelationship": [*others, inside]}


def with_contents(new: Resource, parts: Mapping[str, Resource]) -> Resource:
    """Return a resource that says of its parts that it contains them; what is said stays."""
    there = {
        str((one.get("resource") or {}).get("id"))
        for one in json_objects(new.get("resourceRelationship"))
        if one.get("relationshipType") == "contains"
    }
    more = [
        {
            "@type": "ResourceRelationship",
            "relationshipType": "contains",
            "resource": resource_reference(parts[id]),
        }
        for id in sorted(parts)
        if id not in there
    ]
    if not more:
        return new
    return {
        **new,
        "resourceRelationship": [*json_objects(new.get("resourceRelationship")), *more],
    }


def resource_reference(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return a reference to a resource."""
    return {
        "@type": "ResourceRef",
        "id": resource["id"],
        "name": str(resource.get("name", "")),
        "@referredType": str(resource.get("@type", "PhysicalResource")),
    }


def _with_place(resource: Resource, place: Mapping[str, Any] | None) -> Resource:
    if place is None or resource.get("place"):
        return resource
    role = {"@type": "RelatedPlaceRef", "role": "site", "place": dict(place)}
    return {**resource, "place": [role]}
