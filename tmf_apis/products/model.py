"""The collection of products and its indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource

_INDEXED_ATTRIBUTES = (
    "name",
    "status",
    "startDate",
    "productSerialNumber",
    "relatedParty.id",
    "billingAccount.id",
    "place.id",
    "productOffering.id",
    "productSpecification.id",
    "productOrderItem.productOrderId",
    "productRelationship.product.id",
    "realizingService.id",
    "realizingResource.id",
)


class Product(StoredResource):
    """A product that a customer has."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Product",
        "indexes": [body_index(name) for name in _INDEXED_ATTRIBUTES],
    }
