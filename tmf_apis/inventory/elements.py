"""Elements in the inventory: how one is reached, and which ports it has.

How one gets there is ``reconciliation.encode_discovery``.
"""

from collections.abc import Mapping
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Target
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.ports import MANAGEMENT_ADDRESS, PORT_CATEGORIES, element_id_of
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most elements, and most ports of one.
MAX_RESULTS = 10_000
_KIND = "Resource"


def target_of(element: Mapping[str, Any]) -> Target:
    """Return how an element is reached.

    Raises:
        Misconfigured: Its resource does not say (characteristic ``managementAddress``).
    """
    found, name = resource_characteristics(element), str(element.get("name") or element["id"])
    if not (address := found.get(MANAGEMENT_ADDRESS)):
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


def managed_elements(repository: Repository) -> list[Resource]:
    """Return the elements of a tenant that can be reached, of whichever category."""
    found = repository.find(
        _KIND, {"resourceCharacteristic.name": MANAGEMENT_ADDRESS}, limit=MAX_RESULTS
    )
    return [one for one in found if resource_characteristics(one).get(MANAGEMENT_ADDRESS)]


def ports_by_key(repository: Repository, element_id: str) -> dict[str, Resource]:
    """Return the ports of an element by their natural keys."""
    query = {
        "resourceRelationship.resource.id": element_id,
        "$or": [
            {"category": {"$in": PORT_CATEGORIES}},
            {"resourceCharacteristic.name": "portName"},
        ],
    }
    found = [
        one
        for one in repository.find(_KIND, query, limit=MAX_RESULTS)
        if element_id_of(one) == element_id
    ]
    found.sort(
        key=lambda one: one.get("category") in PORT_CATEGORIES
    )  # an uplink may have a port's name
    return {carrier_key(one): one for one in found}


def carrier_key(carrier: Mapping[str, Any]) -> str:
    """Return the natural key of a port, or what else carries a service, on its element."""
    return natural_key(carrier) or str(carrier.get("name") or "")


def natural_key(carrier: Mapping[str, Any]) -> str:
    """Return what a carrier says that it is called on its element; empty: it says nothing.

    A SIM card goes by its IMSI.
    """
    found = resource_characteristics(carrier)
    return str(found.get("portName") or found.get("naturalKey") or found.get("imsi") or "")
