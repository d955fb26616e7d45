"""Collections of the catalogues, with the attributes that clients filter by."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


def _meta(kind: str, *attributes: str) -> dict[str, Any]:
    return {"collection": kind, "indexes": [body_index(name) for name in attributes]}


class ProductCatalog(StoredResource):
    """A collection of categories."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductCatalog", "name", "lifecycleStatus", "catalogType", "lastUpdate", "category.id"
    )


class Category(StoredResource):
    """A category of offerings."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "Category", "name", "lifecycleStatus", "parent.id", "isRoot", "lastUpdate"
    )


class ProductOffering(StoredResource):
    """A product as it is offered to customers."""

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
    """A price of an offering."""

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
    """A description of a product."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductSpecification",
        "name",
        "lifecycleStatus",
        "brand",
        "productNumber",
        "category.id",
        "lastUpdate",
        "bundledProductSpecification.id",
        "serviceSpecification.id",
        "resourceSpecification.id",
        "externalIdentifier.id",
    )


#: Attributes that clients filter by, by the last part of the kind.
_INDEXED_ATTRIBUTES = {
    "Catalog": ("name", "lifecycleStatus", "lastUpdate", "category.id"),
    "Category": ("name", "lifecycleStatus", "lastUpdate", "parentId", "isRoot"),
    "Candidate": ("name", "lifecycleStatus", "lastUpdate", "category.id"),
    "Specification": ("name", "lifecycleStatus", "lastUpdate", "isBundle", "version"),
    "ImportJob": ("status", "creationDate"),
    "ExportJob": ("status", "creationDate"),
}
#: Further attributes that clients filter by, by kind.
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


#: Models of the kinds of all catalogues, by kind.
MODELS: dict[str, type[StoredResource]] = {
    **{
        model.__name__: model
        for model in (
            ProductCatalog,
            Category,
            ProductOffering,
            ProductOfferingPrice,
            ProductSpecification,
        )
    },
    **{
        f"{prefix}{suffix}": _model(prefix, suffix)
        for prefix in ("Service", "Resource")
        for suffix in _INDEXED_ATTRIBUTES
    },
    **{kind: _model("", kind) for kind in ("ImportJob", "ExportJob")},
}
