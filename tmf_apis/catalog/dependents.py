"""The resources that rest on the entities of the catalogues, by the kind of the entity."""

from collections.abc import Mapping

from tmf_apis.catalog.rules import PREREQUISITE_TYPES
from tmf_apis.rest.pipeline.dependents import (
    ACTIVE_CATALOG_ENTITIES,
    ACTIVE_PRODUCTS,
    ACTIVE_SERVICES,
    Dependents,
)


def _entities(kind: str, path: str, types: frozenset[str] = frozenset()) -> Dependents:
    """Return the entities of a catalogue that are not retired."""
    return Dependents(kind, path, ACTIVE_CATALOG_ENTITIES, types)


NEEDED_BY: Mapping[str, tuple[Dependents, ...]] = {
    "Category": (
        _entities("ProductOffering", "category.id"),
        _entities("ProductSpecification", "category.id"),
        _entities("ProductCatalog", "category.id"),
    ),
    "ProductSpecification": (
        _entities("ProductOffering", "productSpecification.id"),
        _entities("ProductSpecification", "bundledProductSpecification.id"),
        Dependents("Product", "productSpecification.id", ACTIVE_PRODUCTS),
    ),
    "ProductOffering": (
        _entities("ProductOffering", "bundledProductOffering.id"),
        Dependents("Product", "productOffering.id", ACTIVE_PRODUCTS),
    ),
    "ProductOfferingPrice": (
        _entities("ProductOffering", "productOfferingPrice.id"),
        _entities("ProductOfferingPrice", "bundledPopRelationship.id"),
    ),
    "ServiceCategory": (
        _entities("ServiceCandidate", "category.id"),
        _entities("ServiceCatalog", "category.id"),
    ),
    "ServiceSpecification": (
        _entities("ServiceSpecification", "serviceSpecRelationship.id", PREREQUISITE_TYPES),
        _entities("ServiceCandidate", "serviceSpecification.id"),
        _entities("ProductSpecification", "serviceSpecification.id"),
        Dependents("Service", "serviceSpecification.id", ACTIVE_SERVICES),
    ),
    "ResourceCategory": (
        _entities("ResourceCandidate", "category.id"),
        _entities("ResourceCatalog", "category.id"),
    ),
    "ResourceSpecification": (
        _entities("ResourceSpecification", "resourceSpecRelationship.id", PREREQUISITE_TYPES),
        _entities("ResourceCandidate", "resourceSpecification.id"),
        _entities("ServiceSpecification", "resourceSpecification.id"),
        _entities("ProductSpecification", "resourceSpecification.id"),
        Dependents("Resource", "resourceSpecification.id"),
    ),
}
