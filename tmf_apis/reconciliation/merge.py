"""Merge of a snapshot into the resources of an element; no I/O.

Only attributes that the network reports are written. Attributes that people and fulfilment have
written (services, reservations, places, notes, names) are kept. A part that is no longer on the
element is marked, not deleted.
"""

from collections.abc import Mapping
from typing import Any

from adapters.values import Component, Neighbour, Port
from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.inventory.elements import PORT_INDEX
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

#: Characteristic: the time when discovery first missed a part on its element.
MISSING_SINCE = "missingSince"
#: Characteristic of a port: its neighbour as reported by LLDP.
NEIGHBOUR = "neighbour"
#: Characteristic of a component: its natural key on the element.
COMPONENT_NAME = "componentName"
_MEGABIT = 10**6


def merged_element(old: Resource, snapshot: Snapshot, name: str = "") -> Resource:
    """Return the resource of an element, updated from a snapshot.

    Args:
        old: The resource; for a new element only its id.
        snapshot: The snapshot.
        name: Name of a new element.
    """
    facts, target = snapshot.facts, snapshot.target
    old_system_name = resource_characteristics(old).get("systemName")
    new = {"@type": "PhysicalResource", "category": snapshot.category, "name": name, **old}
    if facts.name and old_system_name and old.get("name") == old_system_name:
        new["name"] = facts.name  # no person has renamed it, so it follows the system name
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
    """Return the resource of a port, updated from a snapshot.

    Args:
        old: The resource; for a new port only its id.
        element: The updated element.
        port: The port in the snapshot.
        snapshot: The snapshot.
        old_element_name: Former name of the element.
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
    neighbour = next(
        (candidate for candidate in snapshot.neighbours if candidate.port == port.name), None
    )
    characteristics: dict[str, Any] = {
        "portName": port.name,
        PORT_INDEX: port.index or None,
        "macAddress": port.mac or None,
        "speed": port.speed // _MEGABIT or None,
        "ipAddress": ", ".join(port.addresses) or None,
        NEIGHBOUR: neighbour_value(neighbour) if neighbour else None,
        MISSING_SINCE: None,
    }
    new = contained_in(with_characteristics(new, characteristics), element)
    if service_of(new) or new.get("usageState") == "active":
        new["usageState"] = usage_state(new)
    return _with_place(new, snapshot.place)


def merged_component(
    old: Resource, container: Resource, part: Component, element_name: str
) -> Resource:
    """Return the resource of a component, updated from a snapshot.

    Args:
        old: The resource; for a new component only its id.
        container: The component or element that contains it.
        part: The component in the snapshot.
        element_name: Name of the element.
    """
    new = {
        "@type": "PhysicalResource",
        "category": part.kind,
        "name": f"{element_name} {part.name}",
        **old,
    }
    characteristics = {
        COMPONENT_NAME: part.name,
        "model": part.model or None,
        "software": part.software or None,
        MISSING_SINCE: None,
    }
    new = contained_in(with_characteristics(new, characteristics), container)
    if MISSING_SINCE in resource_characteristics(old):
        new["operationalState"] = "enabled"
    return {**new, "serialNumber": part.serial} if part.serial else new


def marked_missing(old: Resource, since: str) -> Resource:
    """Return a component or port that is no longer on its element; its services are kept."""
    if MISSING_SINCE in resource_characteristics(old):
        return old
    missing = with_characteristics(old, {MISSING_SINCE: since, NEIGHBOUR: None})
    if missing.get("usageState") in {"active", "busy"}:
        missing["usageState"] = "idle"
    return {**missing, "operationalState": "disabled"}


def neighbour_value(neighbour: Neighbour) -> dict[str, str]:
    """Return the value of the characteristic ``neighbour``."""
    members = {
        "system": neighbour.system,
        "chassis": neighbour.chassis,
        "port": neighbour.remote_port,
    }
    return {name: text for name, text in members.items() if text}


def contained_in(new: Resource, container: Resource) -> Resource:
    """Return a resource that is contained in a container and in no other resource."""
    if element_id_of(new) == container["id"]:
        return new
    inside = {
        "@type": "ResourceRelationship",
        "relationshipType": "isContainedIn",
        "resource": resource_reference(container),
    }
    others = [
        relationship
        for relationship in json_objects(new.get("resourceRelationship"))
        if relationship.get("relationshipType") != "isContainedIn"
    ]
    return {**new, "resourceRelationship": [*others, inside]}


def with_contents(new: Resource, parts: Mapping[str, Resource]) -> Resource:
    """Return a resource with a relationship "contains" to each of its parts."""
    contained_ids = {
        str((relationship.get("resource") or {}).get("id"))
        for relationship in json_objects(new.get("resourceRelationship"))
        if relationship.get("relationshipType") == "contains"
    }
    additions = [
        {
            "@type": "ResourceRelationship",
            "relationshipType": "contains",
            "resource": resource_reference(parts[id]),
        }
        for id in sorted(parts)
        if id not in contained_ids
    ]
    if not additions:
        return new
    return {
        **new,
        "resourceRelationship": [*json_objects(new.get("resourceRelationship")), *additions],
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
