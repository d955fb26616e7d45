"""Whether a service can be had: planned and tried like an order for it, and nothing is touched."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment import blueprints, planning, reserving, shelves
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.offers import Catalogue
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.law import Desk, Resource

#: The order that the question is put as.
_ASKED = "qualification"
_ITEM = "1"


def obstacles(desk: Desk, service: Mapping[str, Any]) -> list[str]:
    """Return why a service cannot be had as things are; nothing where it can.

    Args:
        desk: Sees the whole tenant.
        service: As TMF645 and TMF641 have it: ``serviceSpecification.id``,
            ``serviceCharacteristic``, ``place``.
    """
    id = str((service.get("serviceSpecification") or {}).get("id") or "")
    found = desk.find("ServiceSpecification", {"id": id}, limit=1)
    specification = found[0] if found else blueprints.SERVICES.get(id)
    if specification is None:
        return [f"there is no service specification {id}"]
    key = OrderKey(desk.tenant, _ASKED)
    design = planning.plan(key, _order(id, service), _catalogue(desk, id, specification))
    missing = reserving.feasible(desk, key, design.tasks)
    return [*design.refused.values(), *dict.fromkeys(one.reason for one in missing)]


def _order(id: str, service: Mapping[str, Any]) -> Resource:
    """Return the order for a product that is the service and nothing else."""
    product = {
        "productCharacteristic": list(objects(service.get("serviceCharacteristic"))),
        "place": list(objects(service.get("place"))),
    }
    item = {"id": _ITEM, "action": "add", "productOffering": {"id": id}, "product": product}
    return {"id": _ASKED, "productOrderItem": [item]}


def _catalogue(desk: Desk, id: str, specification: Mapping[str, Any]) -> Catalogue:
    """Return a catalogue with an offering of the service by itself, whose values it has."""
    own = [
        {name: value for name, value in one.items() if name != "charSpecRelationship"}
        for one in objects(specification.get("specCharacteristic"))
    ]
    root = {**specification, "specCharacteristic": own}
    product = {
        "id": id,
        "productSpecCharacteristic": own,
        "serviceSpecification": [{"id": id}],
    }
    offering = {"id": id, "name": root.get("name"), "productSpecification": {"id": id}}
    found = shelves.for_specifications(desk, {id: offering}, {id: product}, {})
    return replace(found, services={**found.services, id: root})
