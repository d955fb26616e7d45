"""Links between ports, derived from the neighbours that elements report (LLDP).

Discovery marks the relationships that it creates and removes no others. A link is created as soon
as one of its ends reports it and both ends are in the inventory.

Source: IEEE 802.1AB.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.inventory.ports import PORT_CATEGORIES, element_id_of
from tmf_apis.reconciliation.merge import CHASSIS_ID, NEIGHBOUR, resource_reference
from tmf_apis.reconciliation.neighbour_matching import (
    ElementFinder,
    PortFinder,
    normalised_mac,
    short_name,
)
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
#: Number of system names in one query: their pattern must not exceed 32 kB.
_NAMES_IN_A_QUERY = 100

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
    """Return the elements that may be the reported neighbours, and their ports."""
    network = repository.for_network(None)
    neighbours = [
        value
        for port in reporting_ports
        if isinstance(value := resource_characteristics(port).get(NEIGHBOUR), dict)
    ]
    texts = {
        str(neighbour.get(key) or "") for neighbour in neighbours for key in ("chassis", "port")
    }
    macs = sorted(filter(None, map(normalised_mac, texts)))
    by_mac = {
        "category": {"$in": PORT_CATEGORIES},
        "resourceCharacteristic": {"$elemMatch": {"name": "macAddress", "value": {"$in": macs}}},
    }
    owners = (
        {element_id_of(port) for port in network.find(_KIND, by_mac, limit=_MAX_PORTS)}
        if macs
        else set()
    )
    elements: dict[str, Resource] = {}
    for condition in _element_conditions(neighbours, owners):
        query = {"resourceCharacteristic.name": MANAGEMENT_ADDRESS, **condition}
        candidates = network.find(_KIND, query, limit=_MAX_PORTS)
        elements |= {element["id"]: element for element in candidates}
    query = {
        "resourceRelationship.resource.id": {"$in": sorted(elements)},
        "category": {"$in": PORT_CATEGORIES},
    }
    ports = network.find(_KIND, query, limit=_MAX_PORTS) if elements else []
    return list(elements.values()), [port for port in ports if element_id_of(port) in elements]


def _element_conditions(
    neighbours: Iterable[Mapping[str, Any]], owners: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield the queries for the elements of neighbours."""
    neighbours = list(neighbours)
    yield {"id": {"$in": sorted(owners)}}
    chassis = sorted(
        {str(neighbour["chassis"]) for neighbour in neighbours if "chassis" in neighbour}
    )
    yield {
        "$or": [
            {"serialNumber": {"$in": chassis}},
            _characteristic(CHASSIS_ID, {"$in": chassis}),
            _characteristic(MANAGEMENT_ADDRESS, {"$in": chassis}),
        ]
    }
    names = sorted({short_name(neighbour.get("system")) for neighbour in neighbours} - {""})
    for names_of_query in _batches(names):
        choices = "|".join(re.escape(name) for name in names_of_query)
        pattern = {"$regex": rf"^\s*(?:{choices})(?:\.|\s*$)", "$options": "i"}
        yield {"$or": [{"name": pattern}, _characteristic("systemName", pattern)]}


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(names)
    while batch := list(islice(iterator, _NAMES_IN_A_QUERY)):
        yield batch


def _characteristic(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"resourceCharacteristic": {"$elemMatch": {"name": name, "value": value}}}


def port_links(
    elements: Iterable[Resource], ports: Iterable[Resource], reporting_ports: Iterable[Resource]
) -> LinkTable:
    """Return the ids of the ports that each port is connected to; no I/O.

    Args:
        elements: Elements that may be neighbours.
        ports: Ports of these elements.
        reporting_ports: Ports that report a neighbour.
    """
    ports = list(ports)
    element_finder, port_finder = ElementFinder(elements, ports), PortFinder(ports)
    table: dict[str, set[str]] = defaultdict(set)
    for port in reporting_ports:
        neighbour = resource_characteristics(port).get(NEIGHBOUR)
        if not isinstance(neighbour, dict):
            continue
        element_id = element_finder.find(neighbour)
        far_end = port_finder.find(element_id, neighbour) if element_id else ""
        if far_end and far_end != port["id"]:
            table[port["id"]].add(far_end)
            table[far_end].add(port["id"])
    return {id: frozenset(ends) for id, ends in table.items()}


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
