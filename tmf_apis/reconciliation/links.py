"""Cables: which port is connected to which, worked out from what the elements say (LLDP).

Discovery marks the relationships that it makes, and takes away only those. A link is known as
soon as one of its ends tells of it and both ends are in the inventory.

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

#: Type of the relationship, from both of its ends.
CONNECTED_TO = "connectedTo"
#: Characteristic of a relationship: who has made it.
SOURCE_CHARACTERISTIC = {
    "@type": "StringCharacteristic",
    "name": "source",
    "valueType": "string",
    "value": "discovery",
}
_KIND = "Resource"
#: Most ports that are looked at for links.
_MAX_PORTS = 200_000

LinkTable = Mapping[str, frozenset[str]]


def update_links(repository: Repository) -> int:
    """Bring the links of a tenant in step with what its elements say; return what has changed."""
    telling = {
        "category": {"$in": PORT_CATEGORIES},
        "$or": [
            {"resourceCharacteristic.name": NEIGHBOUR},
            {"resourceRelationship.relationshipType": CONNECTED_TO},
        ],
    }
    told = {one["id"]: one for one in repository.find(_KIND, telling, limit=_MAX_PORTS)}
    if not told:
        return 0
    elements, ports = _possible_ends(repository, told.values())
    wanted = port_links(elements, ports, told.values())
    everything = {one["id"]: one for one in ports} | told
    changed = 0
    for id in sorted({*wanted, *told}):
        port = everything.get(id)
        ends = {end: everything[end] for end in wanted.get(id, ()) if end in everything}
        if port is None or with_links(port, ends) == port:
            continue
        try:
            repository.change(_KIND, id, lambda old, ends=ends: with_links(old, ends))  # type: ignore[misc]
        except (NotFound, Conflict):  # deleted meanwhile; the next run sees what is left
            continue
        changed += 1
    return changed


def _possible_ends(
    repository: Repository, reporting_ports: Iterable[Resource]
) -> tuple[list[Resource], list[Resource]]:
    """Return the elements that are told of, and the ports of those."""
    seen = [
        value
        for one in reporting_ports
        if isinstance(value := resource_characteristics(one).get(NEIGHBOUR), dict)
    ]
    names = sorted({str(one["system"]) for one in seen if one.get("system")})
    macs = sorted({mac for one in seen if (mac := _normalised_mac(one.get("chassis")))})
    macs += sorted({mac for one in seen if (mac := _normalised_mac(one.get("port")))})
    by_value = {
        "category": {"$in": PORT_CATEGORIES},
        "resourceCharacteristic": {"$elemMatch": {"name": "macAddress", "value": {"$in": macs}}},
    }
    ported = (
        {element_id_of(one) for one in repository.find(_KIND, by_value, limit=_MAX_PORTS)}
        if macs
        else set()
    )
    named = repository.find(
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
                {"id": {"$in": sorted(ported)}},
            ],
        },
        limit=_MAX_PORTS,
    )
    ids = [one["id"] for one in named]
    query = {
        "resourceRelationship.resource.id": {"$in": ids},
        "category": {"$in": PORT_CATEGORIES},
    }
    ports = repository.find(_KIND, query, limit=_MAX_PORTS) if ids else []
    return named, [one for one in ports if element_id_of(one) in set(ids)]


def port_links(
    elements: Iterable[Resource], ports: Iterable[Resource], reporting_ports: Iterable[Resource]
) -> LinkTable:
    """Return which ports each port is connected to; pure.

    Args:
        elements: Those that may be at the other ends.
        ports: Their ports.
        reporting_ports: Ports that tell of a neighbour.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for one in elements:
        for name in {str(one.get("name")), str(resource_characteristics(one).get("systemName"))}:
            names[name].add(one["id"])
    table = _PortIndex(ports)
    found: dict[str, set[str]] = defaultdict(set)
    for port in reporting_ports:
        said = resource_characteristics(port).get(NEIGHBOUR)
        if not isinstance(said, dict):
            continue
        far = table.find(names.get(str(said.get("system") or ""), set()), said)
        if far and far != port["id"]:
            found[port["id"]].add(far)
            found[far].add(port["id"])
    return {id: frozenset(ends) for id, ends in found.items()}


class _PortIndex:
    """Ports looked up by what a neighbour may call them."""

    def __init__(self, ports: Iterable[Resource]) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._macs: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for one in ports:
            said = resource_characteristics(one)
            if MISSING_SINCE in said:
                continue
            self._names[element_id_of(one), str(said.get("portName"))] = one["id"]
            if mac := _normalised_mac(said.get("macAddress")):
                self._macs[mac].add((element_id_of(one), one["id"]))

    def find(self, elements: set[str], neighbour: Mapping[str, Any]) -> str:
        """Return the port that is meant; empty where that cannot be told."""
        chassis = {on for on, _ in self._macs.get(_normalised_mac(neighbour.get("chassis")), ())}
        if len(elements) != 1 and len(chassis) == 1:
            elements = chassis  # known by its hardware address, or told from its namesakes
        if len(elements) != 1:
            return ""
        (element,) = elements
        port = str(neighbour.get("port") or "")
        if (element, port) in self._names:
            return self._names[element, port]
        ids = {id for on, id in self._macs.get(_normalised_mac(port), ()) if on == element}
        return ids.pop() if len(ids) == 1 else ""


def with_links(port: Resource, ends: Mapping[str, Resource]) -> Resource:
    """Return a port connected to others as discovery sees it; what others have written stays."""
    before = list(json_objects(port.get("resourceRelationship")))
    kept = [one for one in before if not _is_discovered(one) or _far_end_id(one) in ends]
    there = {_far_end_id(one) for one in kept if one.get("relationshipType") == CONNECTED_TO}
    made = [
        {
            "@type": "ResourceRelationship",
            "relationshipType": CONNECTED_TO,
            "resource": resource_reference(ends[id]),
            "resourceRelationshipCharacteristic": [SOURCE_CHARACTERISTIC],
        }
        for id in sorted(ends)
        if id not in there
    ]
    after = kept + made
    if after == before:
        return port
    rest = {name: value for name, value in port.items() if name != "resourceRelationship"}
    return {**rest, "resourceRelationship": after} if after else rest


def _is_discovered(relationship: Mapping[str, Any]) -> bool:
    return relationship.get("relationshipType") == CONNECTED_TO and any(
        one.get("name") == "source" and one.get("value") == "discovery"
        for one in json_objects(relationship.get("resourceRelationshipCharacteristic"))
    )


def _far_end_id(relationship: Mapping[str, Any]) -> str:
    return str((relationship.get("resource") or {}).get("id"))


def _normalised_mac(text: object) -> str:
    """Return a hardware address as ports have it; empty where it is none."""
    digits = str(text or "").replace(":", "").replace("-", "").replace(".", "").lower()
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        pass
    else:
        return ""
    if len(digits) != 12 or any(one not in "0123456789abcdef" for one in digits):  # noqa: PLR2004
        return ""
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))
