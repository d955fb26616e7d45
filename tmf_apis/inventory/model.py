"""The collection of resources and its indexes."""

from typing import Any, ClassVar

from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class Resource(StoredResource):
    """A physical or logical resource of the network."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Resource",
        "indexes": [
            body_index("@type"),
            body_index("name"),
            body_index("category"),
            body_index("administrativeState"),
            body_index("operationalState"),
            body_index("usageState"),
            body_index("resourceStatus"),
            body_index("place.place.id"),
            body_index("resourceSpecification.id"),
            body_index("resourceRelationship.resource.id"),
            body_index("serialNumber"),
            body_index("externalIdentifier.id"),
            body_index("value"),
            body_index("category", "usageState"),
            body_index("category", "place.place.id", "usageState"),
            body_index("category", "resourceRelationship.resource.id", "usageState"),
            {  # only elements, to find them among all resources
                **body_index("resourceCharacteristic.name"),
                "partialFilterExpression": {"body.resourceCharacteristic.name": MANAGEMENT_ADDRESS},
            },
        ],
    }
