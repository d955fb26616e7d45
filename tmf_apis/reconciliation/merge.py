"""Merge of a snapshot into the resources of an element; no I/O.

Only attributes that the network reports are written. Attributes that people and fulfilment have
written (services, reservations, places, notes, names) are kept, and so are those that could not be
read this time. A part that is no longer on the element is marked, not deleted.
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
#: Characteristic of a component: where it is on the element.
COMPONENT_PLACE = "componentPlace"
#: Characteristic of an element: the identifier by which it announces itself to its neighbours.
CHASSIS_ID = "chassisId"
#: Characteristics of a port: other names that its neighbours may have for it.
PORT_DESCRIPTION, PORT_ALIAS = "portDescription", "portAlias"
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
        **_read_values(
            old,
            {
                "name": ("systemName", facts.name),
                "vendor": ("vendor", facts.vendor),
                "model": ("model", facts.model),
                "software": ("software", facts.software),
            },
            facts.unread,
        ),
        MISSING_SINCE: None,
    }
    if facts.chassis_id:
        values[CHASSIS_ID] = facts.chassis_id
    new = with_characteristics(new, values)
    if facts.serial:
        new["serialNumber"] = facts.serial
    return _with_place(new, snapshot.place)


def _read_values(
    old: Resource, values: Mapping[str, tuple[str, Any]], unread: frozenset[str]
) -> dict[str, Any]:
    """Return the characteristics of attributes that were read; None removes one.

    Args:
        old: The resource.
        values: Attribute -> characteristic and value.
        unread: Attributes that could not be read; their values are substitutes.
    """
    known = resource_characteristics(old)
    return {
        characteristic: value or None
        for attribute, (characteristic, value) in values.items()
        if attribute not in unread or characteristic not in known
    }


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
    }
    if "up" not in port.unread:
        new["operationalState"] = "enabled" if port.up else "disabled"
    if old.get("name") == f"{old_element_name} {port.name}":
        new["name"] = f"{element['name']} {port.name}"
    neighbour = next(
        (candidate for candidate in snapshot.neighbours if candidate.port == port.name), None
    )
    unread = port.unread | (snapshot.unread & {"addresses", "neighbours"})
    characteristics: dict[str, Any] = {
        "portName": port.name,
        PORT_INDEX: port.index or None,
        **_read_values(
            old,
            {
                "mac": ("macAddress", port.mac),
                "speed": ("speed", port.speed // _MEGABIT),
                "description": (PORT_DESCRIPTION, port.description),
                "alias": (PORT_ALIAS, "" if port.access else port.alias),
                "addresses": ("ipAddress", ", ".join(port.addresses)),
                "neighbours": (NEIGHBOUR, neighbour_value(neighbour) if neighbour else None),
            },
            unread,
        ),
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
    old_name = resource_characteristics(old).get(COMPONENT_NAME)
    if "name" not in part.unread and old.get("name") == f"{element_name} {old_name}":
        new["name"] = f"{element_name} {part.name}"
    unread = part.unread | ({"parent"} if "name" in part.unread else set())
    characteristics = {
        **_read_values(
            old,
            {
                "name": (COMPONENT_NAME, part.name),
                "parent": (COMPONENT_PLACE, part.place),
                "model": ("model", part.model),
                "software": ("software", part.software),
            },
            unread,
        ),
        MISSING_SINCE: None,
    }
    new = with_characteristics(new, characteristics)
    if "parent" not in part.unread or not element_id_of(old):
        new = contained_in(new, container)
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
        "description": neighbour.remote_description,
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
