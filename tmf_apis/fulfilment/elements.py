"""Elements in the inventory: how one is reached, and which ports it has.

How one gets there is ``reconciliation.discovery``.
"""

from collections.abc import Mapping
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Target
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.ports import ACCESS_PORT, GATEWAY, PORT, is_on
from tmf_apis.rest.law import Desk, Resource

#: Most ports of one element.
PORTS = 10_000
_KIND = "Resource"


def target_of(gateway: Mapping[str, Any]) -> Target:
    """Return how an element is reached.

    Raises:
        Misconfigured: Its resource does not say (characteristic ``managementAddress``).
    """
    found, name = of_resource(gateway), str(gateway.get("name") or gateway["id"])
    if not (address := found.get("managementAddress")):
        raise Misconfigured(name, "the inventory has no managementAddress for it")
    options = found.get("adapterOptions")
    return Target(
        name,
        str(address),
        str(found.get("adapter") or "snmp"),
        str(found.get("credentials") or ""),
        {str(key): str(value) for key, value in options.items()}
        if isinstance(options, dict)
        else {},
    )


def gateways(desk: Desk) -> list[Resource]:
    """Return the elements of a tenant that can be reached."""
    found = desk.find(_KIND, {"category": GATEWAY}, limit=PORTS)
    return [one for one in found if of_resource(one).get("managementAddress")]


def ports_of(desk: Desk, gateway: str) -> dict[str, Resource]:
    """Return the ports of an element by their natural keys."""
    query = {"resourceRelationship.resource.id": gateway, "category": {"$in": [ACCESS_PORT, PORT]}}
    found = desk.find(_KIND, query, limit=PORTS)
    return {key_of(one): one for one in found if is_on(one) == gateway}


def key_of(port: Mapping[str, Any]) -> str:
    """Return the natural key of a port on its element: ``portName``, or else its name."""
    return str(of_resource(port).get("portName") or port.get("name") or "")
