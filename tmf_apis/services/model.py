"""How services lie in the database, and what clients look for them by."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored

_LOOKED_FOR = (
    "name",
    "state",
    "category",
    "serviceType",
    "startDate",
    "relatedParty.id",
    "place.id",
    "serviceSpecification.id",
    "serviceOrderItem.serviceOrderId",
    "serviceRelationship.service.id",
    "supportingService.id",
    "supportingResource.id",
    "relatedEntity.id",
)


class Service(Stored):
    """A service that runs, customer-facing or resource-facing."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Service",
        "indexes": [by(name) for name in _LOOKED_FOR],
    }
