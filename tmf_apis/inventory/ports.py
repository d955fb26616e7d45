"""Read the service, reservation, element and usage of a port from its resource."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.pipeline.json_values import json_objects

#: Default ``category`` of a port for customer services, of another port, and of an element.
ACCESS_PORT, PORT, ACCESS_GATEWAY = "accessPort", "port", "accessGateway"
#: ``category`` of a port of a switch for customer services.
SWITCH_PORT = "switchPort"
#: Categories of ports; other resources are ports if they have the characteristic ``portName``.
PORT_CATEGORIES = (ACCESS_PORT, PORT, SWITCH_PORT)
#: ``externalIdentifierType`` of the service on a resource, and of the order item that holds it.
SERVICE_IDENTIFIER, HOLDER_IDENTIFIER = "service", "orderItem"
#: ``owner`` of the external identifiers that fulfilment writes.
OWNER = "tmf-apis"
#: ``allocationStatus`` and ``resourceStatus`` of each state of a resource.
FREE, RESERVED = ("free", "available"), ("reserved", "reserved")
ALLOCATED, UNKNOWN = ("allocated", "reserved"), ("unknown", "unknown")


def service_of(port: Mapping[str, Any]) -> str:
    """Return the id of the service on a port; empty: none."""
    return external_id(port, SERVICE_IDENTIFIER)


def holder_of(port: Mapping[str, Any]) -> str:
    """Return the order item that a port is reserved for; empty: none."""
    return external_id(port, HOLDER_IDENTIFIER)


def external_id(resource: Mapping[str, Any], type_: str) -> str:
    """Return an external identifier that fulfilment has written on a resource; empty: none."""
    for identifier in json_objects(resource.get("externalIdentifier")):
        is_own = identifier.get("owner") == OWNER
        if is_own and identifier.get("externalIdentifierType") == type_:
            return str(identifier.get("id", ""))
    return ""


def element_id_of(port: Mapping[str, Any]) -> str:
    """Return the id of the element that a port is contained in; empty: none."""
    for relationship in json_objects(port.get("resourceRelationship")):
        element = relationship.get("resource")
        if relationship.get("relationshipType") == "isContainedIn" and isinstance(element, dict):
            return str(element.get("id", ""))
    return ""


def megabits(bits: int) -> float:
    """Return a speed in Mbit/s.

    >>> megabits(2_500_000), megabits(100_000_000)
    (2.5, 100)
    """
    return bits / 10**6 if bits % 10**6 else bits // 10**6


def usage_state(port: Mapping[str, Any]) -> str:
    """Return the usage state of a port: active if it has a service and is not out of service."""
    return "active" if service_of(port) and not out_of_service_reason(port) else "idle"
