"""The collection of services and its indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource

_INDEXED_ATTRIBUTES = (
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


class Service(StoredResource):
    """A customer-facing or resource-facing service."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Service",
        "indexes": [body_index(name) for name in _INDEXED_ATTRIBUTES],
    }
