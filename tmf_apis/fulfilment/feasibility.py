"""Whether a service can be had: planned and tried like an order for it, and nothing is touched."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design import catalog_reader, service_order_planner
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Repository

#: The order that the question is put as.
_ORDER_ID = "qualification"
_ITEM_ID = "1"


def obstacles(offers: OfferCache, repository: Repository, service: Mapping[str, Any]) -> list[str]:
    """Return why a service cannot be had as things are; nothing where it can.

    Args:
        offers: The compiled offers.
        repository: Sees the whole tenant.
        service: As TMF645 and TMF641 have it: ``serviceSpecification.id``,
            ``serviceCharacteristic``, ``place``.
    """
    id = str((service.get("serviceSpecification") or {}).get("id") or "")
    catalogue = catalog_reader.read_service_specifications(repository, [id])
    if id not in catalogue.offerings:
        return _specification_obstacles(repository, id)
    item = {"id": _ITEM_ID, "action": "add", "service": service}
    key = OrderKey(repository.tenant, _ORDER_ID, "ServiceOrder")
    design = service_order_planner.service_order_design(
        key, {"id": _ORDER_ID, "serviceOrderItem": [item]}, catalogue, offers
    )
    missing = reservations.unmet_requirements(repository, key, design.tasks)
    return [*design.rejections.values(), *dict.fromkeys(one.reason for one in missing)]


def _specification_obstacles(repository: Repository, id: str) -> list[str]:
    if not repository.find("ServiceSpecification", {"id": id}, limit=1):
        return [f"there is no service specification {id}"]
    lacking = "neither services that it consists of nor resources"
    return [f"service specification {id} has {lacking}: it is not fulfilled here"]
