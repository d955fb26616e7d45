"""Reading the products and services in operation, with the resources that they are on."""

from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.fulfilment.design import service_order_planner
from tmf_apis.fulfilment.design.catalog import InstalledProduct, InstalledService
from tmf_apis.fulfilment.design.catalog_reader import read_by_id
from tmf_apis.fulfilment.design.references import reference_id, referenced_ids
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.reservation import resource_queries
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.inventory.ports import (
    SERVICE_IDENTIFIER,
    element_id_of,
    external_id,
    service_of,
)
from tmf_apis.ordering import service_orders
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Number of levels of supporting services that are read at most.
_MAX_DEPTH = 20
_PRODUCT, _SERVICE = "Product", "Service"
_IS_PART_OF = "isPartOf"
_FINAL_STATUSES = frozenset({"cancelled", "aborted", "terminated"})
_ResourcesByOwner = dict[str, list[Resource]]


def read_installed_products(rights: OrderRights, ids: Iterable[str]) -> dict[str, InstalledProduct]:
    """Return the products among some ids that have a service on a resource, by id.

    An id may also be that of a service that belongs to no product. What the orderer cannot see
    does not exist.
    """
    network = rights.network
    products = read_by_id(rights.orderer, _PRODUCT, set(ids))
    if not (wanted_ids := _visible_ids(rights, ids, products)):
        return {}
    parts, part_products = _read_parts(rights.orderer, products)
    products |= part_products
    product_ids = list(dict.fromkeys([*wanted_ids, *part_products]))
    resources = _resources_by_product(network, product_ids)
    owners = _owners_of_services(products, [id for id in product_ids if id not in resources])
    for service, carriers in _resources_by_service(network, sorted(owners)).items():
        resources.setdefault(owners[service], []).extend(carriers)
    service_ids = {service_of(resource) for owned in resources.values() for resource in owned} - {
        ""
    }
    services = read_by_id(rights.services, _SERVICE, service_ids)
    resources = _with_places(network, resources)
    return {
        id: _installed_product(resources, services, products.get(id, {}), id, parts.get(id, []))
        for id in product_ids
        if id in resources or parts.get(id) or _parents(products.get(id, {}))
    }


def _visible_ids(
    rights: OrderRights, ids: Iterable[str], products: Mapping[str, Resource]
) -> list[str]:
    """Return the ids of the products and services that the orderer can see, sorted.

    For the staff, all ids: a product may be older than the inventory of products.
    """
    if rights.parties is None:
        return sorted(set(ids))
    return sorted({*products, *rights.visible_ids(_SERVICE, set(ids) - products.keys())})


def read_installed_services(rights: OrderRights, ids: Iterable[str]) -> dict[str, InstalledProduct]:
    """Return the services among some ids that are on a resource, directly or by a part, by id.

    What the orderer cannot see does not exist.
    """
    repository = rights.orderer
    ordered_services = read_by_id(repository, _SERVICE, set(ids))
    services, level = dict(ordered_services), ordered_services
    for _ in range(_MAX_DEPTH):
        part_ids = {
            id for service in level.values() for id in referenced_ids(service, "supportingService")
        }
        if not (level := read_by_id(repository, _SERVICE, part_ids - services.keys())):
            break
        services |= level
    network = rights.network
    resources = _with_places(network, _resources_by_service(network, sorted(services)))
    change_obstacles = {
        id: f"service {id} belongs to a {owner_type}; order a change of that {owner_type}"
        for id, (owner_type, _) in service_orders.service_owners(
            repository, ordered_services.values()
        ).items()
    }
    installed_base = {
        id: _standalone_service(id, services, resources, change_obstacles.get(id, ""))
        for id in ordered_services
    }
    return {id: service for id, service in installed_base.items() if service.services}


def _resources_by_product(repository: Repository, ids: list[str]) -> _ResourcesByOwner:
    resources: _ResourcesByOwner = {}
    for resource in resource_queries.find_by_identifier(
        repository, resource_state.PRODUCT_IDENTIFIER, ids
    ):
        product = external_id(resource, resource_state.PRODUCT_IDENTIFIER)
        resources.setdefault(product, []).append(resource)
    return resources


def _resources_by_service(repository: Repository, ids: list[str]) -> _ResourcesByOwner:
    resources: _ResourcesByOwner = {}
    for resource in resource_queries.find_by_identifier(repository, SERVICE_IDENTIFIER, ids):
        resources.setdefault(service_of(resource), []).append(resource)
    return resources


def _with_places(repository: Repository, resources: _ResourcesByOwner) -> _ResourcesByOwner:
    """Return resources with the places of their elements if they have no place themselves."""
    element_ids = {element_id_of(resource) for owned in resources.values() for resource in owned}
    elements = read_by_id(repository, "Resource", element_ids)

    def with_place(resource: Resource) -> Resource:
        place = elements.get(element_id_of(resource), {}).get("place")
        return {"place": place, **resource} if place and not resource.get("place") else resource

    return {owner: list(map(with_place, owned)) for owner, owned in resources.items()}


def _owners_of_services(products: Mapping[str, Resource], ids: Iterable[str]) -> dict[str, str]:
    """Return the services that may carry products without resources of their own.

    An id may be that of a service itself. A bundle of an earlier release realizes the services of
    its parts, which were no products.
    """
    owners: dict[str, str] = {}
    for id in ids:
        owners[id] = id
        for service in referenced_ids(products.get(id, {}), "realizingService"):
            owners.setdefault(service, id)
    return owners


def read_part_ids(repository: Repository, ids: Iterable[str]) -> set[str]:
    """Return the ids of the products that are part of others, at all levels."""
    return set(_read_parts(repository, {id: {} for id in ids})[1])


def _read_parts(
    repository: Repository, products: Mapping[str, Resource]
) -> tuple[dict[str, list[str]], dict[str, Resource]]:
    """Return the products inside others that have not ended.

    Returns:
        From the ids of bundles to those of all products inside them; and these products by id.
    """
    children: dict[str, list[str]] = {}
    parts: dict[str, Resource] = {}
    level: set[str] = set(products)
    for _ in range(_MAX_DEPTH):
        if not level:
            break
        query = {"productRelationship.product.id": {"$in": sorted(level)}}
        next_level: set[str] = set()
        for product in repository.find(_PRODUCT, query):
            if product.get("status") in _FINAL_STATUSES:
                continue
            for parent in _parents(product) & level:
                children.setdefault(parent, []).append(product["id"])
                next_level.add(product["id"])
                parts[product["id"]] = product
        level = next_level - products.keys()
    return {id: _descendants(id, children) for id in children}, parts


def _parents(product: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that a product is part of."""
    return {
        reference_id(relationship.get("product"))
        for relationship in json_objects(product.get("productRelationship"))
        if relationship.get("relationshipType") == _IS_PART_OF
    } - {""}


def _descendants(id: str, children: Mapping[str, list[str]]) -> list[str]:
    """Return the ids of all products inside a product, each after the one that it is part of."""
    descendants: dict[str, None] = {}
    pending = list(children.get(id, ()))
    while pending:
        if (part := pending.pop(0)) != id and part not in descendants:
            descendants[part] = None
            pending += children.get(part, ())
    return list(descendants)


def _installed_product(
    resources: Mapping[str, list[Resource]],
    services: Mapping[str, Resource],
    product: Mapping[str, Any],
    id: str,
    part_ids: list[str],
) -> InstalledProduct:
    """Return an installed product.

    Args:
        resources: Resources by the id of their product or service.
        services: Services by id.
        product: The product; empty if ``id`` is that of a service.
        id: Its id.
        part_ids: Ids of the products inside it.
    """
    is_standalone_service = not product and bool(services.get(id, {}).get("serviceOrderItem"))
    by_service: _ResourcesByOwner = {}
    for resource in resources.get(id, ()):
        by_service.setdefault(service_of(resource), []).append(resource)
    return InstalledProduct(
        services=tuple(
            _installed_service(service, owned, services.get(service, {}))
            for service, owned in by_service.items()
            if service
        ),
        offering=str((product.get("productOffering") or {}).get("id") or ""),
        characteristics=values_by_name(product.get("productCharacteristic")),
        status=str(product.get("status") or ""),
        bundled_products=tuple(part_ids),
        change_obstacle=(
            f"{id} is a service that was ordered by itself (TMF641)"
            if is_standalone_service
            else ""
        ),
        has_places=bool(product.get("place")),
        specification=reference_id(product.get("productSpecification")),
    )


def _standalone_service(
    id: str,
    services: Mapping[str, Resource],
    resources: Mapping[str, list[Resource]],
    change_obstacle: str,
) -> InstalledProduct:
    """Return a service that was ordered by itself, with the services that it consists of."""
    specifications = {
        part: reference_id(services[part].get("serviceSpecification"))
        for part in _service_tree(id, services)
    }
    service = services[id]
    return InstalledProduct(
        services=tuple(
            _installed_service(part, resources[part], services[part])
            for part in specifications
            if part in resources
        ),
        offering=specifications[id],
        characteristics=values_by_name(service.get("serviceCharacteristic")),
        status=service_order_planner.PRODUCT_STATUS_BY_STATE.get(str(service.get("state")), ""),
        customer_facing_services={
            part: specification
            for part, specification in specifications.items()
            if part not in resources
        },
        change_obstacle=change_obstacle,
        has_places=bool(service.get("place")),
    )


def _service_tree(id: str, services: Mapping[str, Resource]) -> list[str]:
    """Return the ids of a service and of the services that it consists of, level by level."""
    tree: dict[str, None] = {}
    pending = [id]
    while pending:
        if (service := pending.pop(0)) not in tree and service in services:
            tree[service] = None
            pending += referenced_ids(services[service], "supportingService")
    return list(tree)


def _installed_service(
    id: str, resources: list[Resource], service: Mapping[str, Any]
) -> InstalledService:
    carrier = resource_queries.carrier_of(resources)
    installed_carrier = resource_queries.installed_resource(carrier)
    return InstalledService(
        id,
        reference_id(service.get("serviceSpecification")),
        resource_state.service_use(carrier).usage.settings,
        installed_carrier.names,
        resource_queries.places_of(carrier),
        installed_carrier,
        tuple(
            resource_queries.installed_resource(each) for each in resources if each is not carrier
        ),
    )
