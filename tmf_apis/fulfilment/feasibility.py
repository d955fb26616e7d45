"""Feasibility of a service: planned and allocated like a service order, without any change."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design import catalog_reader, service_order_planner
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Repository

#: Ids of the order with one item that a service is planned as.
_ORDER_ID = "qualification"
_ITEM_ID = "1"


def obstacles(offers: OfferCache, repository: Repository, service: Mapping[str, Any]) -> list[str]:
    """Return the reasons why a service cannot be provided at the moment; none if it can.

    Args:
        offers: The compiled offers.
        repository: Sees the whole tenant.
        service: Has ``serviceSpecification.id``, ``serviceCharacteristic`` and ``place`` as in
            TMF645 and TMF641.
    """
    specification = reference_id(service.get("serviceSpecification"))
    catalog = catalog_reader.read_service_specifications(repository, [specification])
    if specification not in catalog.offerings:
        return _specification_obstacles(repository, specification)
    item = {"id": _ITEM_ID, "action": "add", "service": service}
    key = OrderKey(repository.tenant, _ORDER_ID, "ServiceOrder")
    design = service_order_planner.service_order_design(
        key, {"id": _ORDER_ID, "serviceOrderItem": [item]}, catalog, offers
    )
    network = repository.for_network(repository.context.parties)
    unmet_requirements = reservations.unmet_requirements(network, key, design.tasks)
    reasons = [requirement.reason for requirement in unmet_requirements]
    return [*design.rejections.values(), *dict.fromkeys(reasons)]


def _specification_obstacles(repository: Repository, id: str) -> list[str]:
    if not repository.find("ServiceSpecification", {"id": id}, limit=1):
        return [f"there is no service specification {id}"]
    missing = "neither services that it consists of nor resources"
    return [f"service specification {id} has {missing}: it is not fulfilled here"]
