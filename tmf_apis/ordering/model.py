"""The collections of the ordering room and the attributes that clients look for."""

from typing import Any, ClassVar

from tmf_apis.store.model import Stored


def _by(*attributes: str) -> list[dict[str, Any]]:
    return [{"fields": ["tenant", f"body.{name}", "_id"]} for name in attributes]


class ProductOrder(Stored):
    """An order for products."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "ProductOrder",
        "indexes": [
            *_by(
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
            ),
            {"fields": ["tenant", "parties", "_id"]},
        ],
    }


class CancelProductOrder(Stored):
    """A request to cancel an order."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CancelProductOrder",
        "indexes": [
            *_by("state", "productOrder.id", "creationDate"),
            {"fields": ["tenant", "parties", "_id"]},
        ],
    }
