"""Reading what planning has to know: what of catalogue and inventory an order speaks of."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.design import (
    builtin_specifications,
    offers,
    service_order_planner,
)
from tmf_apis.fulfilment.design.catalog_cache import ResourceFinder
from tmf_apis.fulfilment.design.decomposition import (
    CONTAINMENT_TYPES,
    referenced_ids,
    relationships,
)
from tmf_apis.fulfilment.design.offers import Catalog, InstalledProduct, InstalledService
from tmf_apis.fulfilment.reservation import resource_queries
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.inventory.elements import carrier_key
from tmf_apis.inventory.ports import SERVICE_IDENTIFIER, element_id_of, service_of
from tmf_apis.ordering import service_orders
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Deepest tree of specifications that is read.
_MAX_DEPTH = 20
_PRODUCT, _SERVICE = "Product", "Service"


def read_service_specifications(
    repository: ResourceFinder,
    specification_ids: Iterable[str],
    installed_base: Mapping[str, InstalledProduct] | None = None,
) -> Catalog:
    """Return service specifications as offerings of their own, with everything below them.

    Those that say nothing of how they are fulfilled are left out: others look after them.
    """
    ids = set(specification_ids)
    shipped = {
        id: dict(one)
        for id, one in builtin_specifications.SERVICE_SPECIFICATIONS.items()
        if id in ids
    }
    found = shipped | _read_by_id(repository, "ServiceSpecification", ids)
    found = {id: one for id, one in found.items() if _is_fulfillable(one)}
    roots = {id: _standalone_specification(one) for id, one in found.items()}
    products = {
        id: {
            "id": id,
            "productSpecCharacteristic": [
                one
                for one in json_objects(root.get("specCharacteristic"))
                if not one.get("charSpecRelationship")
            ],
            "serviceSpecification": [{"id": id}],
        }
        for id, root in roots.items()
    }
    offerings: dict[str, Resource] = {
        id: {"id": id, "name": one.get("name"), "productSpecification": {"id": id}}
        for id, one in found.items()
    }
    made = read_product_specifications(repository, offerings, products, installed_base or {})
    return replace(made, standalone_specifications=roots)


def _is_fulfillable(specification: Mapping[str, Any]) -> bool:
    taken = referenced_ids(specification, "resourceSpecification")
    return bool(taken or relationships(specification, COMPOSITION_TYPES))


def _standalone_specification(specification: Mapping[str, Any]) -> Resource:
    """Return a service specification whose values are chosen, but for what its resources say."""
    taken = {*referenced_ids(specification, "resourceSpecification"), specification.get("id")}

    def one(characteristic: Resource) -> Resource:
        sources = json_objects(characteristic.get("charSpecRelationship"))
        own = [each for each in sources if each.get("parentSpecificationId") in taken]
        rest = {k: v for k, v in characteristic.items() if k != "charSpecRelationship"}
        return {**rest, "charSpecRelationship": own} if own else rest

    every = json_objects(specification.get("specCharacteristic"))
    return {**specification, "specCharacteristic": [one(each) for each in every]}


def read_offerings(
    repository: ResourceFinder,
    offering_ids: Iterable[str],
    installed_base: Mapping[str, InstalledProduct] | None = None,
) -> Catalog:
    """Return offerings with everything below them."""
    found = _read_by_id(repository, "ProductOffering", set(offering_ids))
    inside = {id for one in found.values() for id in offers.bundled_offering_ids(one)} - set(found)
    found |= _read_by_id(repository, "ProductOffering", inside)
    needed = {id for one in found.values() if (id := offers.specification_id(one))}
    specifications = _read_by_id(repository, "ProductSpecification", needed)
    return read_product_specifications(repository, found, specifications, installed_base or {})


def read_product_specifications(
    repository: ResourceFinder,
    offerings: Mapping[str, Resource],
    specifications: Mapping[str, Resource],
    installed_base: Mapping[str, InstalledProduct],
) -> Catalog:
    """Return product specifications with everything below them."""
    named = [_roots(one) for one in specifications.values()]
    types = _read_types(repository, {kind for _, kinds in named for kind in kinds})
    level = {id for ids, _ in named for id in ids} | set(types.values())
    known: dict[str, Resource] = {}
    for _ in range(_MAX_DEPTH):
        if not (level := level - known.keys()):
            break
        found = _read_by_id(repository, "ServiceSpecification", level)
        known |= found
        level = {
            str(o["id"])
            for one in found.values()
            for o in relationships(one, COMPOSITION_TYPES | DEPENDENCY_TYPES)
        }
    taken = {id for one in known.values() for id in referenced_ids(one, "resourceSpecification")}
    resources = _read_by_id(repository, "ResourceSpecification", taken)
    on = {
        str(other["id"])
        for one in resources.values()
        for other in relationships(one, CONTAINMENT_TYPES, "resourceSpecRelationship")
    }
    resources |= _read_by_id(repository, "ResourceSpecification", on - set(resources))
    return Catalog(offerings, specifications, known, resources, types, installed_base)


def _roots(product: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return referenced_ids(product, "serviceSpecification"), offers.service_types(product)


def _read_types(repository: ResourceFinder, service_types: set[str]) -> dict[str, str]:
    """Return the tenant's own customer facing specifications that are called like a type."""
    if not service_types:
        return {}
    found = repository.find(
        "ServiceSpecification", {"name": {"$in": sorted(service_types)}}, limit=100
    )
    own = [one for one in found if not referenced_ids(one, "resourceSpecification")]
    return {str(one["name"]): one["id"] for one in reversed(own)}


def read_installed_products(
    repository: Repository, ids: Iterable[str]
) -> dict[str, InstalledProduct]:
    """Return those of some products that have a service on a resource now."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    products = _read_by_id(repository, _PRODUCT, set(wanted))
    parts = _read_part_ids(repository, wanted) if products else {}
    every = [*wanted, *(id for inner in parts.values() for id in inner)]
    held: dict[str, list[Resource]] = {}
    for one in resource_queries.find_by_identifier(
        repository, resource_state.PRODUCT_IDENTIFIER, every
    ):
        held.setdefault(
            resource_state.external_id(one, resource_state.PRODUCT_IDENTIFIER), []
        ).append(one)
    bare = [id for id in wanted if id not in held]
    for one in resource_queries.find_by_identifier(repository, SERVICE_IDENTIFIER, bare):
        held.setdefault(service_of(one), []).append(one)
    named = {service_of(one) for ones in held.values() for one in ones} - {""}
    found = _read_by_id(repository, _SERVICE, named)
    sites = _read_by_id(
        repository, "Resource", {element_id_of(o) for ones in held.values() for o in ones}
    )
    held = {id: [_with_place(one, sites) for one in ones] for id, ones in held.items()}
    return {
        id: _installed_product(held, found, products.get(id, {}), id, parts.get(id, []))
        for id in wanted
        if id in held or any(part in held for part in parts.get(id, ()))
    }


def read_installed_services(
    repository: Repository, ids: Iterable[str]
) -> dict[str, InstalledProduct]:
    """Return those of some services that are, with what they rest on, on a resource now."""
    tops = _read_by_id(repository, _SERVICE, set(ids))
    every, level = dict(tops), tops
    for _ in range(_MAX_DEPTH):
        below = {id for one in level.values() for id in referenced_ids(one, "supportingService")}
        if not (level := _read_by_id(repository, _SERVICE, below - every.keys())):
            break
        every |= level
    held: dict[str, list[Resource]] = {}
    for one in resource_queries.find_by_identifier(repository, SERVICE_IDENTIFIER, sorted(every)):
        held.setdefault(service_of(one), []).append(one)
    sites = _read_by_id(
        repository, "Resource", {element_id_of(o) for ones in held.values() for o in ones}
    )
    held = {id: [_with_place(one, sites) for one in ones] for id, ones in held.items()}
    masters = service_orders.service_owners(repository, tops.values())
    bound = {
        id: f"service {id} belongs to a {what}; order a change of that one"
        for id, (what, _) in masters.items()
    }
    made = {id: _standalone_service(id, every, held, bound.get(id, "")) for id in tops}
    return {id: one for id, one in made.items() if one.services}


def _standalone_service(
    id: str,
    services: Mapping[str, Resource],
    resources_by_service: Mapping[str, list[Resource]],
    change_obstacle: str,
) -> InstalledProduct:
    tree: dict[str, None] = {}
    below = [id]
    while below:
        if (one := below.pop(0)) not in tree and one in services:
            tree[one] = None
            below += referenced_ids(services[one], "supportingService")
    inner = {one: _specification_id(services[one]) for one in tree}
    top = services[id]
    return InstalledProduct(
        tuple(
            _installed_service(one, resources_by_service[one], services[one])
            for one in tree
            if one in resources_by_service
        ),
        inner[id],
        values_by_name(top.get("serviceCharacteristic")),
        service_order_planner.PRODUCT_STATUS_BY_STATE.get(str(top.get("state")), ""),
        customer_facing_services={
            one: of for one, of in inner.items() if one not in resources_by_service
        },
        change_obstacle=change_obstacle,
    )


def _specification_id(service: Mapping[str, Any]) -> str:
    return str((service.get("serviceSpecification") or {}).get("id") or "")


def _with_place(resource: Resource, elements: Mapping[str, Resource]) -> Resource:
    """Return a resource at the places of its element where it says none itself."""
    there = elements.get(element_id_of(resource), {}).get("place")
    return {"place": there, **resource} if there and not resource.get("place") else resource


def _read_part_ids(repository: Repository, ids: list[str]) -> dict[str, list[str]]:
    """Return the ids of the products that are part of others."""
    query = {"productRelationship.product.id": {"$in": ids}}
    made: dict[str, list[str]] = {}
    for one in repository.find(_PRODUCT, query):
        for relation in json_objects(one.get("productRelationship")):
            above = (relation.get("product") or {}).get("id")
            if relation.get("relationshipType") == "isPartOf" and above in ids:
                made.setdefault(above, []).append(one["id"])
    return made


def _installed_product(
    resources_by_owner: Mapping[str, list[Resource]],
    services: Mapping[str, Resource],
    product: Mapping[str, Any],
    id: str,
    parts: list[str],
) -> InstalledProduct:
    inner = [part for part in parts if part in resources_by_owner]
    alone = not product and bool(services.get(id, {}).get("serviceOrderItem"))
    grouped: dict[str, list[Resource]] = {}
    for one in (o for key in (id, *inner) for o in resources_by_owner.get(key, ())):
        grouped.setdefault(service_of(one), []).append(one)
    return InstalledProduct(
        tuple(
            _installed_service(key, ones, services.get(key, {}))
            for key, ones in grouped.items()
            if key
        ),
        str((product.get("productOffering") or {}).get("id") or ""),
        values_by_name(product.get("productCharacteristic")),
        str(product.get("status") or ""),
        tuple(inner),
        change_obstacle=f"{id} is a service that was ordered by itself (TMF641)" if alone else "",
    )


def _installed_service(
    id: str, resources: list[Resource], service: Mapping[str, Any]
) -> InstalledService:
    carrier = resource_queries.carrier_of(resources)
    return InstalledService(
        id,
        _specification_id(service),
        resource_state.service_use(carrier).usage.settings,
        frozenset({carrier["id"], str(carrier.get("name")), carrier_key(carrier)}),
        resource_queries.places_of(carrier),
    )


def _read_by_id(repository: ResourceFinder, kind: str, ids: set[str]) -> dict[str, Resource]:
    if not (ids := ids - {""}):
        return {}
    query = {"id": {"$in": sorted(ids)}}
    return {one["id"]: one for one in repository.find(kind, query, limit=len(ids))}
