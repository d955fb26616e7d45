"""How resources lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


class Resource(Stored):
    """A physical or logical resource of the network."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Resource",
        "indexes": [
            by("@type"),
            by("name"),
            by("category"),
            by("administrativeState"),
            by("operationalState"),
            by("usageState"),
            by("resourceStatus"),
            by("place.place.id"),
            by("resourceSpecification.id"),
            by("resourceRelationship.resource.id"),
            by("serialNumber"),
            by("externalIdentifier.id"),
            by("value"),
            by("category", "usageState"),
            by("category", "place.place.id", "usageState"),
            by("category", "resourceRelationship.resource.id", "usageState"),
            {  # the elements among all that is in the network
                **by("resourceCharacteristic.name"),
                "partialFilterExpression": {
                    "body.resourceCharacteristic.name": "managementAddress"
                },
            },
        ],
    }
