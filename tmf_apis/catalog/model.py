"""The collections of the catalogue room and the attributes that clients look for."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


def _meta(kind: str, *attributes: str) -> dict[str, Any]:
    return {"collection": kind, "indexes": [by(name) for name in attributes]}


class ProductCatalog(Stored):
    """A collection of categories."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "ProductCatalog", "name", "lifecycleStatus", "catalogType", "lastUpdate"
    )


class Category(Stored):
    """A node of the tree that offerings are sorted into."""

    meta: ClassVar[dict[str, Any]] = _meta(
        "Category", "name", "lifecycleStatus", "parent.id", "isRoot", "lastUpdate"
    )


class ProductOffering(Stored):
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


class ProductOfferingPrice(Stored):
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


class ProductSpecification(Stored):
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


class ImportJob(Stored):
    """A file that is carried in."""

    meta: ClassVar[dict[str, Any]] = _meta("ImportJob", "status", "creationDate")


class ExportJob(Stored):
    """A file that is carried out."""

    meta: ClassVar[dict[str, Any]] = _meta("ExportJob", "status", "creationDate")
