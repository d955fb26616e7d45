"""A port in the inventory: free, reserved for an order, in use; pure edits of the resource.

Who holds a port stands in ``externalIdentifier``, where it can be looked for: the service
(type ``service``) and the order item that reserves it (type ``orderItem``). For people the same
stands in characteristics and in ``allocationStatus`` (v5) and ``resourceStatus`` (v4).
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.characteristics import objects, of_resource, with_values
from tmf_apis.fulfilment.values import Refused, Use
from tmf_apis.inventory.rules import out_of_service
from tmf_apis.rest.law import Resource

#: ``category`` of a port that a customer's service can be put on, of another port, of an element.
ACCESS_PORT, PORT, GATEWAY = "accessPort", "port", "accessGateway"
SERVICE, HOLDER = "service", "orderItem"
#: Who owns the identifiers that fulfilment writes.
OWNER = "tmf-apis"
#: ``allocationStatus`` and ``resourceStatus``.
FREE, RESERVED = ("free", "available"), ("reserved", "reserved")
ALLOCATED, UNKNOWN = ("allocated", "reserved"), ("unknown", "unknown")


def service_of(port: Mapping[str, Any]) -> str:
    """Return the id of the service on a port; empty: none."""
    return _identifier(port, SERVICE)


def holder_of(port: Mapping[str, Any]) -> str:
    """Return the order item that a port is reserved for; empty: none."""
    return _identifier(port, HOLDER)


def is_free(port: Mapping[str, Any]) -> bool:
    """Return whether any order may take a port."""
    taken = service_of(port) or holder_of(port) or port.get("usageState", "idle") != "idle"
    return not (taken or port.get("unknownStatus") or out_of_service(dict(port)))


def is_on(port: Mapping[str, Any]) -> str:
    """Return the id of the element that a port is contained in; empty: none."""
    for one in objects(port.get("resourceRelationship")):
        if one.get("relationshipType") == "isContainedIn" and isinstance(one.get("resource"), dict):
            return str(one["resource"].get("id", ""))
    return ""


def reserved(port: Resource, holder: str, service: str) -> Resource:
    """Return a port reserved for an order item.

    Args:
        port: The port.
        holder: The order item.
        service: The service that must be on it already; empty: none may be.

    Raises:
        Refused: It is not to be had.
    """
    name = port.get("name", port["id"])
    if (other := holder_of(port)) and other != holder:
        raise Refused(f"port {name} is reserved for order item {other}")
    if port.get("unknownStatus"):
        raise Refused(f"port {name} is in doubt and kept out of use")
    if port.get("administrativeState", "unlocked") != "unlocked":
        raise Refused(f"port {name} is {port['administrativeState']}")
    if service_of(port) != service:
        raise Refused(
            f"port {name} has {service_of(port) or 'no service'}, not {service or 'free'}"
        )
    if not service and not other and port.get("usageState", "idle") != "idle":
        raise Refused(f"port {name} is {port['usageState']}")
    return _held(port, holder, service)


def in_use(port: Resource, use: Use) -> Resource:
    """Return a port with a service on it, or without, reserved for nobody."""
    held = _held(port, "", use.service)
    speeds = {"downstreamSpeed": use.downstream, "upstreamSpeed": use.upstream}
    shown = {name: megabits(bits) or None for name, bits in speeds.items()}
    return with_values(held, {**shown, "orderedBy": use.ordered or None})


def in_doubt(port: Resource, holder: str, why: str) -> Resource:
    """Return a port that is kept out of use until a person has looked at it."""
    note = {"@type": "Note", "author": OWNER, "text": f"order item {holder}: {why}"}
    notes = list(objects(port.get("note")))
    if not any(one.get("text") == note["text"] for one in notes):
        notes.append(note)
    allocation, status = UNKNOWN
    return {
        **_held(port, "", service_of(port)),
        "unknownStatus": True,
        "allocationStatus": allocation,
        "resourceStatus": status,
        "note": notes,
    }


def use_of(port: Mapping[str, Any]) -> Use:
    """Return what is on a port."""
    found = of_resource(port)
    down, up = (found.get(name) for name in ("downstreamSpeed", "upstreamSpeed"))
    return Use(
        service_of(port),
        round(down * 10**6) if isinstance(down, int | float) else 0,
        round(up * 10**6) if isinstance(up, int | float) else 0,
        str(found.get("orderedBy", "")),
    )


def megabits(bits: int) -> float:
    """Return a speed in Mbit/s.

    >>> megabits(2_500_000), megabits(100_000_000)
    (2.5, 100)
    """
    return bits / 10**6 if bits % 10**6 else bits // 10**6


def usage(port: Mapping[str, Any]) -> str:
    """Return the usage state that goes with the service on a port."""
    return "active" if service_of(port) and not out_of_service(dict(port)) else "idle"


def _held(port: Resource, holder: str, service: str) -> Resource:
    others = [
        one
        for one in objects(port.get("externalIdentifier"))
        if one.get("owner") != OWNER or one.get("externalIdentifierType") not in {SERVICE, HOLDER}
    ]
    made = [_made(SERVICE, service), _made(HOLDER, holder)]
    identifiers = others + [one for one in made if one["id"]]
    allocation, status = RESERVED if holder else ALLOCATED if service else FREE
    rest = {key: value for key, value in port.items() if key != "externalIdentifier"}
    new = with_values(rest, {"serviceId": service or None, "reservedFor": holder or None})
    if identifiers:
        new["externalIdentifier"] = identifiers
    new |= {"allocationStatus": allocation, "resourceStatus": status}
    return {**new, "usageState": usage(new)}


def _made(type_: str, id: str) -> dict[str, str]:
    return {
        "@type": "ExternalIdentifier",
        "externalIdentifierType": type_,
        "id": id,
        "owner": OWNER,
    }


def _identifier(port: Mapping[str, Any], type_: str) -> str:
    for one in objects(port.get("externalIdentifier")):
        if one.get("externalIdentifierType") == type_ and one.get("owner") == OWNER:
            return str(one.get("id", ""))
    return ""
