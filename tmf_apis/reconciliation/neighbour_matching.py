"""Matching of neighbours that elements report (LLDP) with elements and ports; no I/O.

A neighbour is identified by its chassis identifier, by its system name with or without the domain,
or by both. Its port is identified by the port identifier, of any subtype, or by the description.

Source: IEEE 802.1AB (LldpChassisIdSubtype, LldpPortIdSubtype).
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapters.values import Target
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import PORT_INDEX
from tmf_apis.inventory.ports import element_id_of
from tmf_apis.reconciliation.merge import (
    CHASSIS_ID,
    MISSING_SINCE,
    PORT_ALIAS,
    PORT_DESCRIPTION,
)
from tmf_apis.rest.pipeline.policy import Resource

Neighbour = Mapping[str, Any]
MAC_DIGITS = 12


def normalised_mac(text: object) -> str:
    """Return a hardware address in the notation of the inventory; empty: the text is not one."""
    digits = str(text or "").replace(":", "").replace("-", "").replace(".", "").lower()
    if is_ip_address(text) or len(digits) != MAC_DIGITS:
        return ""
    if any(digit not in "0123456789abcdef" for digit in digits):
        return ""
    return ":".join(digits[start : start + 2] for start in range(0, MAC_DIGITS, 2))


def is_ip_address(text: object) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def identifier(text: object) -> str:
    """Return a chassis or port identifier in a form that can be compared."""
    return normalised_mac(text) or str(text or "").strip().casefold()


def short_name(name: object) -> str:
    """Return a system name without its domain, in a form that can be compared.

    >>> short_name("Core-1.example.net"), short_name("192.0.2.1")
    ('core-1', '192.0.2.1')
    """
    text = str(name or "").strip().rstrip(".").casefold()
    return text if is_ip_address(text) else text.partition(".")[0] or text


class ElementFinder:
    """Finds the element of a neighbour among candidates."""

    def __init__(self, elements: Iterable[Resource], ports: Iterable[Resource]) -> None:
        self._names: dict[str, set[str]] = defaultdict(set)
        self._short_names: dict[str, set[str]] = defaultdict(set)
        self._chassis: dict[str, set[str]] = defaultdict(set)
        for element in elements:
            values = resource_characteristics(element)
            for name in filter(None, (element.get("name"), values.get("systemName"))):
                self._names[str(name).rstrip(".").casefold()].add(element["id"])
                self._short_names[short_name(name)].add(element["id"])
            for key in _chassis_identifiers(element):
                self._chassis[key].add(element["id"])
        self._macs: dict[str, set[str]] = defaultdict(set)
        for port in ports:
            if mac := normalised_mac(resource_characteristics(port).get("macAddress")):
                self._macs[mac].add(element_id_of(port))

    def find(self, neighbour: Neighbour) -> str:
        """Return the id of the element of a neighbour; empty: unknown or ambiguous."""
        chassis = identifier(neighbour.get("chassis"))
        by_chassis = self._chassis.get(chassis) or self._macs.get(chassis) or set[str]()
        system = str(neighbour.get("system") or "").strip().rstrip(".").casefold()
        by_name = self._names.get(system, set()) if system else set[str]()
        by_short_name = self._short_names.get(short_name(system), set()) if system else set[str]()
        for choice in (
            by_name & by_chassis,
            by_short_name & by_chassis,
            by_name,
            by_chassis,
            by_short_name,
        ):
            if len(choice) == 1:
                return next(iter(choice))
        return ""


def _chassis_identifiers(element: Resource) -> Iterator[str]:
    """Yield the identifiers by which an element may announce itself."""
    values = resource_characteristics(element)
    yield from filter(None, map(identifier, (values.get(CHASSIS_ID), element.get("serialNumber"))))
    address = str(values.get("managementAddress") or "")
    try:
        host, _ = Target("", address).endpoint(0)
    except ValueError:
        return
    if is_ip_address(host):
        yield identifier(host)


class PortFinder:
    """Finds the port of a neighbour by the names and numbers that the neighbour may use for it."""

    def __init__(self, ports: Iterable[Resource]) -> None:
        #: By kind of identifier, element and identifier.
        self._ports: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for port in ports:
            values = resource_characteristics(port)
            if MISSING_SINCE in values:
                continue
            for kind, key in _port_identifiers(values):
                self._ports[kind, element_id_of(port), key].add(port["id"])

    def find(self, element_id: str, neighbour: Neighbour) -> str:
        """Return the id of the port at the other end; empty: unknown or ambiguous."""
        port, description = neighbour.get("port"), neighbour.get("description")
        for kind, text in (
            ("name", port),
            ("mac", port),
            ("address", port),
            ("description", port),
            ("name", description),
            ("description", description),
            ("alias", port),
            ("index", port),
            ("alias", description),
        ):
            ids = self._ports.get((kind, element_id, identifier(text)), set()) if text else set()
            if len(ids) == 1:
                return next(iter(ids))
        return ""


def _port_identifiers(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the kinds and identifiers of a port from its characteristics."""
    kinds = {
        "name": "portName",
        "mac": "macAddress",
        "description": PORT_DESCRIPTION,
        "alias": PORT_ALIAS,
        "index": PORT_INDEX,
    }
    for kind, characteristic in kinds.items():
        if key := identifier(values.get(characteristic)):
            yield kind, key
    for address in str(values.get("ipAddress") or "").split(", "):
        if address:
            yield "address", identifier(address.partition("/")[0])
