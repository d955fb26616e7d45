"""Network elements in the inventory: their management addresses and their ports.

Discovery (``reconciliation``) writes them.
"""

from collections.abc import Mapping
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Target
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.inventory.ports import PORT_CATEGORIES, element_id_of
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most elements of a tenant, and most ports of an element.
MAX_RESULTS = 10_000
#: Characteristic of a port: its index on the element when it was discovered last.
PORT_INDEX = "portIndex"
_KIND = "Resource"


def target_of(element: Mapping[str, Any], tenant: str) -> Target:
    """Return the management target of an element.

    Args:
        element: The resource of the element.
        tenant: The tenant that it belongs to.

    Raises:
        Misconfigured: The element has no characteristic ``managementAddress``.
    """
    values, name = resource_characteristics(element), str(element.get("name") or element["id"])
    if not (address := values.get(MANAGEMENT_ADDRESS)):
        raise Misconfigured(name, "the inventory has no managementAddress for it")
    options = values.get("adapterOptions")
    if not isinstance(options, dict):
        options = {}
    return Target(
        name,
        str(address),
        str(values.get("adapter") or "snmp"),
        str(values.get("credentials") or ""),
        {str(key): str(value) for key, value in options.items()},
        tenant,
    )


def managed_elements(repository: Repository) -> list[Resource]:
    """Return the elements of a tenant that have a management address, of any category.

    What a party created is not an element.
    """
    query = {"resourceCharacteristic.name": MANAGEMENT_ADDRESS}
    resources = repository.for_network(None).find(_KIND, query, limit=MAX_RESULTS)
    return [
        resource
        for resource in resources
        if resource_characteristics(resource).get(MANAGEMENT_ADDRESS)
    ]


def ports_by_key(repository: Repository, element_id: str) -> dict[str, Resource]:
    """Return the ports of an element by natural key."""
    query = {
        "resourceRelationship.resource.id": element_id,
        "$or": [
            {"category": {"$in": PORT_CATEGORIES}},
            {"resourceCharacteristic.name": "portName"},
        ],
    }
    ports = [
        resource
        for resource in repository.for_network(None).find(_KIND, query, limit=MAX_RESULTS)
        if element_id_of(resource) == element_id
    ]
    # An uplink may have the name of a port: the port comes last and takes precedence.
    ports.sort(key=lambda port: port.get("category") in PORT_CATEGORIES)
    return {carrier_key(port): port for port in ports}


def carrier_key(carrier: Mapping[str, Any]) -> str:
    """Return the key of a service carrier (port, SIM card ...) on its element."""
    return natural_key(carrier) or str(carrier.get("name") or "")


def natural_key(carrier: Mapping[str, Any]) -> str:
    """Return the name of a carrier on its element from its characteristics; empty: it has none.

    The natural key of a SIM card is its IMSI.
    """
    values = resource_characteristics(carrier)
    return str(values.get("portName") or values.get("naturalKey") or values.get("imsi") or "")
