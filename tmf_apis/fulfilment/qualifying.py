"""Whether a service can be had: planned and tried like an order for it, and nothing is touched."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design import servicing, shelves
from tmf_apis.fulfilment.reservation import reserving
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.law import Desk

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
    catalogue = shelves.for_services(desk, [id])
    if id not in catalogue.offerings:
        return _why_not(desk, id)
    item = {"id": _ITEM, "action": "add", "service": service}
    key = OrderKey(desk.tenant, _ASKED, "ServiceOrder")
    design = servicing.plan(key, {"id": _ASKED, "serviceOrderItem": [item]}, catalogue)
    missing = reserving.feasible(desk, key, design.tasks)
    return [*design.refused.values(), *dict.fromkeys(one.reason for one in missing)]


def _why_not(desk: Desk, id: str) -> list[str]:
    if not desk.find("ServiceSpecification", {"id": id}, limit=1):
        return [f"there is no service specification {id}"]
    lacking = "neither services that it consists of nor resources"
    return [f"service specification {id} has {lacking}: it is not fulfilled here"]
