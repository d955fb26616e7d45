"""How products lie in the database, and what clients look for them by."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored

_LOOKED_FOR = (
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


class Product(Stored):
    """What a customer has."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Product",
        "indexes": [by(name) for name in _LOOKED_FOR],
    }
