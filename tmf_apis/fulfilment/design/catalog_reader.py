"""Reading offerings and specifications, with everything below them, from the catalogues."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.design import builtin_specifications, offers
from tmf_apis.fulfilment.design.catalog import Catalog, InstalledProduct
from tmf_apis.fulfilment.design.catalog_cache import ResourceFinder
from tmf_apis.fulfilment.design.references import (
    CONTAINMENT_TYPES,
    referenced_ids,
    relationships,
)
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: Number of levels of specifications that are read at most.
_MAX_DEPTH = 20


def read_service_specifications(
    repository: ResourceFinder,
    specification_ids: Iterable[str],
    installed_base: Mapping[str, InstalledProduct] | None = None,
) -> Catalog:
    """Return service specifications, each as an offering, with everything below them.

    Specifications with neither parts nor resources are left out: they are fulfilled elsewhere.
    """
    ids = set(specification_ids)
    builtin = {
        id: dict(specification)
        for id, specification in builtin_specifications.SERVICE_SPECIFICATIONS.items()
        if id in ids
    }
    existing = builtin | read_by_id(repository, "ServiceSpecification", ids)
    specifications = {
        id: specification
        for id, specification in existing.items()
        if _is_fulfillable(specification)
    }
    standalone = {
        id: _standalone_specification(specification) for id, specification in specifications.items()
    }
    products = {
        id: {
            "id": id,
            "productSpecCharacteristic": [
                characteristic
                for characteristic in json_objects(specification.get("specCharacteristic"))
                if not characteristic.get("charSpecRelationship")
            ],
            "serviceSpecification": [{"id": id}],
        }
        for id, specification in standalone.items()
    }
    offerings: dict[str, Resource] = {
        id: {
            "id": id,
            "name": specification.get("name"),
            "lifecycleStatus": specification.get("lifecycleStatus"),
            "productSpecification": {"id": id},
        }
        for id, specification in specifications.items()
    }
    catalog = read_product_specifications(repository, offerings, products, installed_base or {})
    return replace(
        catalog,
        standalone_specifications=standalone,
        fulfilled_elsewhere=frozenset(existing.keys() - specifications.keys()),
        offering_noun="service specification",
    )


def _is_fulfillable(specification: Mapping[str, Any]) -> bool:
    resources = referenced_ids(specification, "resourceSpecification")
    return bool(resources or relationships(specification, COMPOSITION_TYPES))


def _standalone_specification(specification: Mapping[str, Any]) -> Resource:
    """Return a service specification in the form that applies when it is ordered by itself.

    The customer chooses the values of its characteristics, except those that are mapped from its
    own characteristics or its resources.
    """
    own_ids = {*referenced_ids(specification, "resourceSpecification"), specification.get("id")}

    def standalone(characteristic: Resource) -> Resource:
        sources = [
            source
            for source in json_objects(characteristic.get("charSpecRelationship"))
            if source.get("parentSpecificationId") in own_ids
        ]
        rest = {k: v for k, v in characteristic.items() if k != "charSpecRelationship"}
        return {**rest, "charSpecRelationship": sources} if sources else rest

    characteristics = json_objects(specification.get("specCharacteristic"))
    return {**specification, "specCharacteristic": list(map(standalone, characteristics))}


def read_offerings(
    repository: ResourceFinder,
    offering_ids: Iterable[str],
    installed_base: Mapping[str, InstalledProduct] | None = None,
) -> Catalog:
    """Return offerings with everything below them."""
    offerings = read_by_id(repository, "ProductOffering", set(offering_ids))
    level = offerings
    for _ in range(_MAX_DEPTH):
        ids = {id for offering in level.values() for id in offers.bundled_offering_ids(offering)}
        if not (level := read_by_id(repository, "ProductOffering", ids - offerings.keys())):
            break
        offerings |= level
    specification_ids = {
        id for offering in offerings.values() if (id := offers.specification_id(offering))
    }
    specifications = read_by_id(repository, "ProductSpecification", specification_ids)
    return read_product_specifications(repository, offerings, specifications, installed_base or {})


def read_product_specifications(
    repository: ResourceFinder,
    offerings: Mapping[str, Resource],
    specifications: Mapping[str, Resource],
    installed_base: Mapping[str, InstalledProduct],
) -> Catalog:
    """Return product specifications with everything below them."""
    service_types = {
        name for product in specifications.values() for name in offers.service_types(product)
    }
    specification_by_service_type = _read_by_service_type(repository, service_types)
    roots = {
        id
        for product in specifications.values()
        for id in referenced_ids(product, "serviceSpecification")
    }
    roots |= set(specification_by_service_type.values())
    services = _read_service_tree(repository, roots)
    return Catalog(
        offerings,
        specifications,
        services,
        _read_resource_specifications(repository, services.values()),
        specification_by_service_type,
        installed_base,
    )


def _read_service_tree(repository: ResourceFinder, roots: set[str]) -> dict[str, Resource]:
    """Return service specifications with their parts and dependencies at all levels, by id."""
    specifications: dict[str, Resource] = {}
    ids = roots
    for _ in range(_MAX_DEPTH):
        if not (ids := ids - specifications.keys()):
            break
        level = read_by_id(repository, "ServiceSpecification", ids)
        specifications |= level
        ids = {
            str(relationship["id"])
            for specification in level.values()
            for relationship in relationships(specification, COMPOSITION_TYPES | DEPENDENCY_TYPES)
        }
    return specifications


def _read_resource_specifications(
    repository: ResourceFinder, services: Iterable[Resource]
) -> dict[str, Resource]:
    """Return the resource specifications of services and of the elements they are on, by id."""
    ids = {id for service in services for id in referenced_ids(service, "resourceSpecification")}
    resources = read_by_id(repository, "ResourceSpecification", ids)
    element_ids = {
        str(relationship["id"])
        for resource in resources.values()
        for relationship in relationships(resource, CONTAINMENT_TYPES, "resourceSpecRelationship")
    }
    return resources | read_by_id(repository, "ResourceSpecification", element_ids - set(resources))


def _read_by_service_type(repository: ResourceFinder, service_types: set[str]) -> dict[str, str]:
    """Return the ids of the tenant's own customer facing specifications named like a type."""
    if not service_types:
        return {}
    specifications = repository.find(
        "ServiceSpecification", {"name": {"$in": sorted(service_types)}}, limit=100
    )
    return {
        str(specification["name"]): specification["id"]
        for specification in reversed(specifications)
        if not referenced_ids(specification, "resourceSpecification")
    }


def read_by_id(repository: ResourceFinder, kind: str, ids: set[str]) -> dict[str, Resource]:
    """Return the existing resources among some ids, by id; empty ids are ignored."""
    if not (ids := ids - {""}):
        return {}
    query = {"id": {"$in": sorted(ids)}}
    return {resource["id"]: resource for resource in repository.find(kind, query, limit=len(ids))}
