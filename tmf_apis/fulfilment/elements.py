"""Elements in the inventory: how one is reached, and which ports it has.

How one gets there is ``reconciliation.discovery``.
"""

from collections.abc import Mapping
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Target
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.reservation.ports import ADDRESS, PORTS, is_on
from tmf_apis.rest.law import Desk, Resource

#: Most elements, and most ports of one.
MOST = 10_000
_KIND = "Resource"


def target_of(gateway: Mapping[str, Any]) -> Target:
    """Return how an element is reached.

    Raises:
        Misconfigured: Its resource does not say (characteristic ``managementAddress``).
    """
    found, name = of_resource(gateway), str(gateway.get("name") or gateway["id"])
    if not (address := found.get(ADDRESS)):
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
    """Return the elements of a tenant that can be reached, of whichever category."""
    found = desk.find(_KIND, {"resourceCharacteristic.name": ADDRESS}, limit=MOST)
    return [one for one in found if of_resource(one).get(ADDRESS)]


def ports_of(desk: Desk, gateway: str) -> dict[str, Resource]:
    """Return the ports of an element by their natural keys."""
    query = {
        "resourceRelationship.resource.id": gateway,
        "$or": [{"category": {"$in": PORTS}}, {"resourceCharacteristic.name": "portName"}],
    }
    found = [one for one in desk.find(_KIND, query, limit=MOST) if is_on(one) == gateway]
    found.sort(key=lambda one: one.get("category") in PORTS)  # an uplink may have a port's name
    return {key_of(one): one for one in found}


def key_of(carrier: Mapping[str, Any]) -> str:
    """Return the natural key of a port, or what else carries a service, on its element."""
    return natural_key(carrier) or str(carrier.get("name") or "")


def natural_key(carrier: Mapping[str, Any]) -> str:
    """Return what a carrier says that it is called on its element; empty: it says nothing.

    A SIM card goes by its IMSI.
    """
    found = of_resource(carrier)
    return str(found.get("portName") or found.get("naturalKey") or found.get("imsi") or "")
