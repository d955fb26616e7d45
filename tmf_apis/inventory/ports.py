"""A port in the inventory: what it is called, whose it is and where; pure reads of the resource."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.pipeline.json_values import json_objects

#: ``category`` of a port that a customer's service can be put on, of another port, of an element,
#: where the adapter knows no better.
ACCESS_PORT, PORT, ACCESS_GATEWAY = "accessPort", "port", "accessGateway"
#: ``category`` of a switch's port that a customer's service can be put on.
SWITCH_PORT = "switchPort"
#: What is a port by its category; anything else is one if it has the characteristic ``portName``.
PORT_CATEGORIES = (ACCESS_PORT, PORT, SWITCH_PORT)
#: The characteristic by which a resource is an element.
MANAGEMENT_ADDRESS = "managementAddress"
SERVICE_IDENTIFIER, HOLDER_IDENTIFIER = "service", "orderItem"
#: Who owns the identifiers that fulfilment writes.
OWNER = "tmf-apis"
#: ``allocationStatus`` and ``resourceStatus``.
FREE, RESERVED = ("free", "available"), ("reserved", "reserved")
ALLOCATED, UNKNOWN = ("allocated", "reserved"), ("unknown", "unknown")


def service_of(port: Mapping[str, Any]) -> str:
    """Return the id of the service on a port; empty: none."""
    return _external_id(port, SERVICE_IDENTIFIER)


def holder_of(port: Mapping[str, Any]) -> str:
    """Return the order item that a port is reserved for; empty: none."""
    return _external_id(port, HOLDER_IDENTIFIER)


def element_id_of(port: Mapping[str, Any]) -> str:
    """Return the id of the element that a port is contained in; empty: none."""
    for one in json_objects(port.get("resourceRelationship")):
        if one.get("relationshipType") == "isContainedIn" and isinstance(one.get("resource"), dict):
            return str(one["resource"].get("id", ""))
    return ""


def megabits(bits: int) -> float:
    """Return a speed in Mbit/s.

    >>> megabits(2_500_000), megabits(100_000_000)
    (2.5, 100)
    """
    return bits / 10**6 if bits % 10**6 else bits // 10**6


def usage_state(port: Mapping[str, Any]) -> str:
    """Return the usage state that goes with the service on a port."""
    return "active" if service_of(port) and not out_of_service_reason(dict(port)) else "idle"


def _external_id(port: Mapping[str, Any], type_: str) -> str:
    for one in json_objects(port.get("externalIdentifier")):
        if one.get("externalIdentifierType") == type_ and one.get("owner") == OWNER:
            return str(one.get("id", ""))
    return ""
