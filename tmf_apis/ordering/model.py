"""Collections of product and service ordering, with the attributes that clients filter by."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource

#: Attributes that clients filter product orders by.
_PRODUCT_ORDER_INDEXES = (
    "state",
    "creationDate",
    "completionDate",
    "requestedCompletionDate",
    "category",
    "priority",
    "externalId.id",
    "relatedParty.partyOrPartyRole.id",
    "billingAccount.id",
    "productOrderItem.productOffering.id",
    "productOrderItem.product.id",
    "productOrderItem.productOrderItem.product.id",
)


class ProductOrder(StoredResource):
    """An order for products."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "ProductOrder",
        "indexes": [body_index(name) for name in _PRODUCT_ORDER_INDEXES],
    }


class CancelProductOrder(StoredResource):
    """A task that cancels a product order."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CancelProductOrder",
        "indexes": [body_index("state"), body_index("productOrder.id"), body_index("creationDate")],
    }


#: Attributes that clients filter service orders by.
_SERVICE_ORDER_INDEXES = (
    "state",
    "orderDate",
    "completionDate",
    "requestedCompletionDate",
    "category",
    "priority",
    "externalId",
    "relatedParty.id",
    "serviceOrderItem.service.id",
    "serviceOrderItem.serviceOrderItem.service.id",
    "serviceOrderItem.service.serviceSpecification.id",
)


class ServiceOrder(StoredResource):
    """An order for services."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "ServiceOrder",
        "indexes": [body_index(name) for name in _SERVICE_ORDER_INDEXES],
    }


class CancelServiceOrder(StoredResource):
    """A task that cancels a service order."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CancelServiceOrder",
        "indexes": [body_index("state"), body_index("serviceOrder.id")],
    }
