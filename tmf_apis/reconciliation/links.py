"""Links between ports, derived from the neighbours that elements report (LLDP).

Discovery marks the relationships that it creates and removes no others. A link is created as soon
as one of its ends reports it and both ends are in the inventory.

Source: IEEE 802.1AB.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.ports import PORT_CATEGORIES, element_id_of
from tmf_apis.reconciliation.merge import MISSING_SINCE, NEIGHBOUR, resource_reference
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: ``relationshipType`` of a link, at both of its ends.
CONNECTED_TO = "connectedTo"
#: Characteristic of a relationship that discovery has created.
SOURCE_CHARACTERISTIC = {
    "@type": "StringCharacteristic",
    "name": "source",
    "valueType": "string",
    "value": "discovery",
}
_KIND = "Resource"
#: Maximum number of ports that are read.
_MAX_PORTS = 200_000

LinkTable = Mapping[str, frozenset[str]]


def update_links(repository: Repository) -> int:
    """Update the links of a tenant from the reported neighbours.

    Returns:
        Number of ports that were changed.
    """
    query = {
        "category": {"$in": PORT_CATEGORIES},
        "$or": [
            {"resourceCharacteristic.name": NEIGHBOUR},
            {"resourceRelationship.relationshipType": CONNECTED_TO},
        ],
    }
    reporting_ports = {
        port["id"]: port
        for port in repository.for_network(None).find(_KIND, query, limit=_MAX_PORTS)
    }
    if not reporting_ports:
        return 0
    elements, ports = _possible_ends(repository, reporting_ports.values())
    link_table = port_links(elements, ports, reporting_ports.values())
    ports_by_id = {port["id"]: port for port in ports} | reporting_ports
    changed = 0
    for id in sorted({*link_table, *reporting_ports}):
        port = ports_by_id.get(id)
        ends = {end: ports_by_id[end] for end in link_table.get(id, ()) if end in ports_by_id}
        if port is None or with_links(port, ends) == port:
            continue
        try:
            repository.change(_KIND, id, lambda old, ends=ends: with_links(old, ends))  # type: ignore[misc]
        except (NotFound, Conflict):  # changed in the meantime: left to the next run
            continue
        changed += 1
    return changed


def _possible_ends(
    repository: Repository, reporting_ports: Iterable[Resource]
) -> tuple[list[Resource], list[Resource]]:
    """Return the elements that are reported as neighbours, and their ports."""
    neighbours = [
        value
        for port in reporting_ports
        if isinstance(value := resource_characteristics(port).get(NEIGHBOUR), dict)
    ]
    names = sorted(
        {str(neighbour["system"]) for neighbour in neighbours if neighbour.get("system")}
    )
    macs = sorted(
        {mac for neighbour in neighbours if (mac := _normalised_mac(neighbour.get("chassis")))}
    )
    macs += sorted(
        {mac for neighbour in neighbours if (mac := _normalised_mac(neighbour.get("port")))}
    )
    by_mac = {
        "category": {"$in": PORT_CATEGORIES},
        "resourceCharacteristic": {"$elemMatch": {"name": "macAddress", "value": {"$in": macs}}},
    }
    element_ids = (
        {
            element_id_of(port)
            for port in repository.for_network(None).find(_KIND, by_mac, limit=_MAX_PORTS)
        }
        if macs
        else set()
    )
    elements = repository.for_network(None).find(
        _KIND,
        {
            "resourceCharacteristic.name": "managementAddress",
            "$or": [
                {"name": {"$in": names}},
                {
                    "resourceCharacteristic": {
                        "$elemMatch": {"name": "systemName", "value": {"$in": names}}
                    }
                },
                {"id": {"$in": sorted(element_ids)}},
            ],
        },
        limit=_MAX_PORTS,
    )
    ids = [element["id"] for element in elements]
    query = {
        "resourceRelationship.resource.id": {"$in": ids},
        "category": {"$in": PORT_CATEGORIES},
    }
    ports = repository.for_network(None).find(_KIND, query, limit=_MAX_PORTS) if ids else []
    return elements, [port for port in ports if element_id_of(port) in set(ids)]


def port_links(
    elements: Iterable[Resource], ports: Iterable[Resource], reporting_ports: Iterable[Resource]
) -> LinkTable:
    """Return the ids of the ports that each port is connected to; no I/O.

    Args:
        elements: Elements that may be neighbours.
        ports: Ports of these elements.
        reporting_ports: Ports that report a neighbour.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for element in elements:
        for name in {
            str(element.get("name")),
            str(resource_characteristics(element).get("systemName")),
        }:
            names[name].add(element["id"])
    index = _PortIndex(ports)
    table: dict[str, set[str]] = defaultdict(set)
    for port in reporting_ports:
        neighbour = resource_characteristics(port).get(NEIGHBOUR)
        if not isinstance(neighbour, dict):
            continue
        far_end = index.find(names.get(str(neighbour.get("system") or ""), set()), neighbour)
        if far_end and far_end != port["id"]:
            table[port["id"]].add(far_end)
            table[far_end].add(port["id"])
    return {id: frozenset(ends) for id, ends in table.items()}


class _PortIndex:
    """Index of ports by the names and hardware addresses that a neighbour may report."""

    def __init__(self, ports: Iterable[Resource]) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._macs: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for port in ports:
            characteristics = resource_characteristics(port)
            if MISSING_SINCE in characteristics:
                continue
            self._names[element_id_of(port), str(characteristics.get("portName"))] = port["id"]
            if mac := _normalised_mac(characteristics.get("macAddress")):
                self._macs[mac].add((element_id_of(port), port["id"]))

    def find(self, elements: set[str], neighbour: Mapping[str, Any]) -> str:
        """Return the id of the port at the other end; empty: unknown or ambiguous."""
        chassis = {
            element for element, _ in self._macs.get(_normalised_mac(neighbour.get("chassis")), ())
        }
        if len(elements) != 1 and len(chassis) == 1:
            elements = chassis  # identified by its hardware address
        if len(elements) != 1:
            return ""
        (element_id,) = elements
        port = str(neighbour.get("port") or "")
        if (element_id, port) in self._names:
            return self._names[element_id, port]
        ids = {
            id for element, id in self._macs.get(_normalised_mac(port), ()) if element == element_id
        }
        return ids.pop() if len(ids) == 1 else ""


def with_links(port: Resource, ends: Mapping[str, Resource]) -> Resource:
    """Return a port with the discovered links; relationships from other sources are kept."""
    relationships = list(json_objects(port.get("resourceRelationship")))
    remaining = [
        relationship
        for relationship in relationships
        if not _is_discovered(relationship) or _far_end_id(relationship) in ends
    ]
    connected_ids = {
        _far_end_id(relationship)
        for relationship in remaining
        if relationship.get("relationshipType") == CONNECTED_TO
    }
    new_relationships = [
        {
            "@type": "ResourceRelationship",
            "relationshipType": CONNECTED_TO,
            "resource": resource_reference(ends[id]),
            "resourceRelationshipCharacteristic": [SOURCE_CHARACTERISTIC],
        }
        for id in sorted(ends)
        if id not in connected_ids
    ]
    updated = remaining + new_relationships
    if updated == relationships:
        return port
    without_relationships = {
        name: value for name, value in port.items() if name != "resourceRelationship"
    }
    return (
        {**without_relationships, "resourceRelationship": updated}
        if updated
        else without_relationships
    )


def _is_discovered(relationship: Mapping[str, Any]) -> bool:
    return relationship.get("relationshipType") == CONNECTED_TO and any(
        characteristic.get("name") == "source" and characteristic.get("value") == "discovery"
        for characteristic in json_objects(relationship.get("resourceRelationshipCharacteristic"))
    )


def _far_end_id(relationship: Mapping[str, Any]) -> str:
    return str((relationship.get("resource") or {}).get("id"))


def _normalised_mac(text: object) -> str:
    """Return a hardware address in the notation of the inventory; empty: the text is not one."""
    digits = str(text or "").replace(":", "").replace("-", "").replace(".", "").lower()
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        pass
    else:
        return ""
    if len(digits) != 12 or any(digit not in "0123456789abcdef" for digit in digits):  # noqa: PLR2004
        return ""
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))
