"""The collections of the catalogue room and the attributes that clients look for."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


def _meta(kind: str, *attributes: str) -> dict[str, Any]:
    return {"collection": kind, "indexes": [body_index(name) for name in attributes]}


class ProductCatalog(StoredResource):
    """A collection of categories."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductCatalog", "name", "lifecycleStatus", "catalogType", "lastUpdate"
    )


class Category(StoredResource):
    """A node of the tree that offerings are sorted into."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "Category", "name", "lifecycleStatus", "parent.id", "isRoot", "lastUpdate"
    )


class ProductOffering(StoredResource):
    """What is sold."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductOffering",
        "name",
        "lifecycleStatus",
        "category.id",
        "isBundle",
        "isSellable",
        "version",
        "lastUpdate",
        "productSpecification.id",
        "productOfferingPrice.id",
        "bundledProductOffering.id",
        "externalIdentifier.id",
    )


class ProductOfferingPrice(StoredResource):
    """What it costs."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductOfferingPrice",
        "name",
        "lifecycleStatus",
        "priceType",
        "lastUpdate",
        "bundledPopRelationship.id",
        "externalIdentifier.id",
    )


class ProductSpecification(StoredResource):
    """What is behind what is sold."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductSpecification",
        "name",
        "lifecycleStatus",
        "brand",
        "productNumber",
        "category.id",
        "lastUpdate",
        "bundledProductSpecification.id",
        "externalIdentifier.id",
    )


#: What clients look for a catalogue, a category, a candidate and a specification by.
_INDEXED_ATTRIBUTES = {
    "Catalog": ("name", "lifecycleStatus", "lastUpdate", "category.id"),
    "Category": ("name", "lifecycleStatus", "lastUpdate", "parentId", "isRoot"),
    "Candidate": ("name", "lifecycleStatus", "lastUpdate", "category.id"),
    "Specification": ("name", "lifecycleStatus", "lastUpdate", "isBundle", "version"),
    "ImportJob": ("status", "creationDate"),
    "ExportJob": ("status", "creationDate"),
}
_EXTRA_INDEXED_ATTRIBUTES = {
    "ServiceCandidate": ("serviceSpecification.id",),
    "ServiceSpecification": ("serviceSpecRelationship.id", "resourceSpecification.id"),
    "ResourceCandidate": ("resourceSpecification.id",),
    "ResourceSpecification": ("resourceSpecRelationship.id", "category"),
}


def _model(prefix: str, suffix: str) -> type[StoredResource]:
    kind = f"{prefix}{suffix}"
    names = (*_INDEXED_ATTRIBUTES[suffix], *_EXTRA_INDEXED_ATTRIBUTES.get(kind, ()))
    return type(kind, (StoredResource,), {"meta": _meta(kind, *names), "__module__": __name__})


#: The model of each kind of a catalogue.
MODELS: dict[str, type[StoredResource]] = {
    **{
        one.__name__: one
        for one in (
            ProductCatalog,
            Category,
            ProductOffering,
            ProductOfferingPrice,
            ProductSpecification,
        )
    },
    **{
        f"{prefix}{ending}": _model(prefix, ending)
        for prefix in ("Service", "Resource")
        for ending in _INDEXED_ATTRIBUTES
    },
    **{ending: _model("", ending) for ending in ("ImportJob", "ExportJob")},
}
