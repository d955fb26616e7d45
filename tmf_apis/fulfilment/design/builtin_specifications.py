"""Built-in specifications for products with a known ``serviceType``.

They fulfil products whose tenant has no specification for the service type. Their form is that of
TMF633 and TMF634, like that of a tenant's own. A tenant's own customer facing ServiceSpecification
takes precedence if its ``name`` is the service type.
"""

from collections.abc import Mapping
from typing import Any

BROADBAND = "broadband"

#: From the service type to the id of the customer facing specification.
SPECIFICATION_BY_SERVICE_TYPE: Mapping[str, str] = {BROADBAND: "standard-broadband"}

_DIRECTIONS = ("downstream", "upstream")

_MBIT_PER_SECOND = {"unitOfMeasure": "Mbit/s", "valueType": "number"}
_BIT_PER_SECOND = {
    "unitOfMeasure": "bit/s",
    "valueType": "integer",
    "valueFrom": 1,
    "valueTo": 10**15,
}

_CUSTOMER_FACING: Mapping[str, Any] = {
    "@type": "CustomerFacingServiceSpecification",
    "id": "standard-broadband",
    "name": BROADBAND,
    "description": "Access to the internet at a speed in each direction",
    "lifecycleStatus": "active",
    "specCharacteristic": [
        {
            "name": f"{direction}Speed",
            "valueType": "number",
            "minCardinality": 1,
            "characteristicValueSpecification": [_MBIT_PER_SECOND],
        }
        for direction in _DIRECTIONS
    ],
    "serviceSpecRelationship": [
        {"id": "standard-access-line", "relationshipType": "consistsOf", "name": "Access line"}
    ],
}

_RESOURCE_FACING: Mapping[str, Any] = {
    "@type": "ResourceFacingServiceSpecification",
    "id": "standard-access-line",
    "name": "Access line",
    "description": "A port of an access element that is limited to a speed in each direction",
    "lifecycleStatus": "active",
    "specCharacteristic": [
        {
            "name": direction,
            "valueType": "integer",
            "minCardinality": 1,
            "characteristicValueSpecification": [_BIT_PER_SECOND],
            "charSpecRelationship": [
                {
                    "relationshipType": "mapsFrom",
                    "parentSpecificationId": "standard-broadband",
                    "name": f"{direction}Speed",
                }
            ],
        }
        for direction in _DIRECTIONS
    ],
    "resourceSpecification": [
        {"id": "standard-access-port", "name": "Access port"},
        {"id": "standard-uplink", "name": "Uplink", "minimumQuantity": 0},
    ],
}

#: ServiceSpecifications by id.
SERVICE_SPECIFICATIONS: Mapping[str, Mapping[str, Any]] = {
    specification["id"]: specification for specification in (_CUSTOMER_FACING, _RESOURCE_FACING)
}

_CONTAINED_IN_GATEWAY = [{"id": "standard-access-gateway", "relationshipType": "isContainedIn"}]

_ACCESS_PORT: Mapping[str, Any] = {
    "@type": "PhysicalResourceSpecification",
    "id": "standard-access-port",
    "name": "Access port",
    "category": "accessPort",
    "lifecycleStatus": "active",
    "resourceSpecRelationship": _CONTAINED_IN_GATEWAY,
}

_UPLINK: Mapping[str, Any] = {
    "@type": "PhysicalResourceSpecification",
    "id": "standard-uplink",
    "name": "Uplink",
    "description": "Shared by the ports of an element; not checked if none is recorded",
    "category": "uplink",
    "lifecycleStatus": "active",
    "resourceSpecCharacteristic": [
        {
            "name": "bandwidth",
            "valueType": "integer",
            "resourceSpecCharacteristicValue": [{"unitOfMeasure": "bit/s"}],
            "resourceSpecCharRelationship": [
                {"relationshipType": "mapsFrom", "name": "downstream"}
            ],
        }
    ],
    "resourceSpecRelationship": _CONTAINED_IN_GATEWAY,
}

_ACCESS_GATEWAY: Mapping[str, Any] = {
    "@type": "PhysicalResourceSpecification",
    "id": "standard-access-gateway",
    "name": "Access gateway",
    "category": "accessGateway",
    "lifecycleStatus": "active",
}

#: ResourceSpecifications by id.
RESOURCE_SPECIFICATIONS: Mapping[str, Mapping[str, Any]] = {
    specification["id"]: specification for specification in (_ACCESS_PORT, _UPLINK, _ACCESS_GATEWAY)
}
