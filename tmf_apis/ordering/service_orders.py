"""Rules of service orders (TMF641) that product orders do not share.

Source: TMF641 v4.1.0, ServiceOrder, ServiceOrderItem.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict
from tmf_apis.ordering.items import SERVICE_ORDER_ITEMS
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.references import Reference

#: States of a product that has no services any more; the published enumeration has one of them
#: with a trailing space.
_ENDED_PRODUCT_STATUSES = ("terminated", "cancelled", "aborted", "aborted ")


def parties(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all parties that an order and its services name."""
    yield from party_ids(order)
    for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order):
        yield from party_ids(item.get("service") or {})


def check_services(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check the services and specifications that an order refers to.

    They must exist, if the operator asks for that check (``TMF_CHECK_REFERENCES``). A service that
    belongs to a product or to another service is changed only by an order for its owner.

    Raises:
        InvalidBody: A service or specification does not exist (HTTP 400).
        Conflict: A service belongs to a product or to another service (HTTP 409).
    """
    if new is None:
        return
    references.check_targets_exist(repository, _references(old or {}), _references(new))
    changed_services = _changed_services(new)
    is_initial = new.get("state") == SERVICE_ORDER_SCHEMA.lifecycle.initial_states[0]
    if is_initial and changed_services != _changed_services(old or {}):
        _check_standalone(repository, changed_services)


def _changed_services(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the JSON pointers of the services that an order changes or ends, by their ids."""
    return {
        str(service["id"]): f"{pointer}/service"
        for pointer, item in SERVICE_ORDER_ITEMS.items_with_pointers(order)
        if item.get("action") in {"modify", "delete"}
        if (service := item.get("service") or {}).get("id")
    }


def _check_standalone(repository: Repository, pointers: Mapping[str, str]) -> None:
    """Check that services have no owner; services that the client cannot see are not checked."""
    ids = sorted(pointers)
    services = repository.find("Service", {"id": {"$in": ids}}, limit=len(ids)) if ids else []
    client = repository.context.parties
    visible = [
        service for service in services if client is None or client & set(party_ids(service))
    ]
    for id, (owner_type, owner) in service_owners(repository, visible).items():
        raise Conflict(
            f"{pointers[id]}: service {id} belongs to {owner_type} {owner}; order a change of that"
            f" {owner_type} ({'TMF622' if owner_type == 'product' else 'TMF641'})"
        )


def service_owners(
    repository: Repository, services: Iterable[Resource]
) -> dict[str, tuple[str, str]]:
    """Return the owners of services that have one: ``product`` or ``service`` and its id.

    A service that realizes a product is changed by an order for the product, and a service that
    supports another by an order for the latter, so that they stay consistent.

    Args:
        repository: Sees the whole tenant.
        services: The services.
    """
    services_by_id = {service["id"]: service for service in services}
    if not services_by_id:
        return {}
    ids = {"$in": sorted(services_by_id)}
    supported_services = repository.find(
        "Service", {"supportingService.id": ids, "state": {"$ne": "terminated"}}
    )
    products = repository.find(
        "Product",
        {"realizingService.id": ids, "status": {"$nin": list(_ENDED_PRODUCT_STATUSES)}},
    )
    owners = [
        *_owners_by_reference(supported_services, "supportingService", "service"),
        *_owning_products(services_by_id.values()),
        *_owners_by_reference(products, "realizingService", "product"),
    ]
    return {id: (owner_type, owner) for id, owner_type, owner in owners if id in services_by_id}


def _owners_by_reference(
    owners: Iterable[Resource], attribute: str, owner_type: str
) -> Iterator[tuple[str, str, str]]:
    """Yield service id, owner type and owner id for the services that owners refer to."""
    for owner in owners:
        for reference in owner.get(attribute) or ():
            yield str(reference.get("id")), owner_type, owner["id"]


def _owning_products(services: Iterable[Resource]) -> Iterator[tuple[str, str, str]]:
    """Yield service id, ``product`` and product id for the services that refer to a product."""
    for service in services:
        for entity in service.get("relatedEntity") or ():
            if entity.get("@referredType") == "Product":
                yield service["id"], "product", str(entity.get("id"))


def _references(order: Resource) -> Iterator[Reference]:
    for pointer, item in SERVICE_ORDER_ITEMS.items_with_pointers(order):
        service = item.get("service") or {}
        yield from references.reference_at(
            service, "ServiceSpecification", "serviceSpecification", f"{pointer}/service"
        )
        if item.get("action") != "add":
            yield from references.reference_at(item, "Service", "service", pointer)
