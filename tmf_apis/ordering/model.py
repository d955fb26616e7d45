"""The collections of the ordering room and the attributes that clients look for."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored

#: What clients look for orders by.
_ORDER = (
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
)


class ProductOrder(Stored):
    """An order for products."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "ProductOrder",
        "indexes": [by(name) for name in _ORDER],
    }


class CancelProductOrder(Stored):
    """A request to cancel an order."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CancelProductOrder",
        "indexes": [by("state"), by("productOrder.id"), by("creationDate")],
    }


_SERVICE_ORDER = (
    "state",
    "orderDate",
    "completionDate",
    "requestedCompletionDate",
    "category",
    "priority",
    "externalId",
    "relatedParty.id",
    "serviceOrderItem.service.id",
    "serviceOrderItem.service.serviceSpecification.id",
)


class ServiceOrder(Stored):
    """An order for services."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "ServiceOrder",
        "indexes": [by(name) for name in _SERVICE_ORDER],
    }


class CancelServiceOrder(Stored):
    """A request to cancel a service order."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CancelServiceOrder",
        "indexes": [by("state"), by("serviceOrder.id")],
    }
