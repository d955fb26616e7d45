"""Service catalogue (TMF633) and resource catalogue (TMF634) of the demo operator.

Internet access is a customer facing service. It consists of a line, a resource facing service that
needs a port of a gateway, limited to the speed of the offering, and bandwidth of the uplink.
Products without an access need no resources.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tmf_apis.demo.builders import OPERATOR, catalogue_entity
from tmf_apis.rest.pipeline.policy import Resource

#: Ids of the specifications of the customer facing and of the resource facing service.
ACCESS_SERVICE, LINE_SERVICE = "service-internet-access", "service-access-line"
#: Names of the two specifications.
SERVICE_NAMES = {ACCESS_SERVICE: "Internet access", LINE_SERVICE: "Access line"}
#: Name of the specification, and True if it is physical, by category of the resource.
_CATEGORIES = {
    "site": ("Exchange building", True),
    "rack": ("Rack", True),
    "chassis": ("Optical line terminal", True),
    "card": ("Line card", True),
    "ponPort": ("PON port", True),
    "accessGateway": ("Access gateway", True),
    "accessPort": ("Access port", True),
    "uplink": ("Uplink", True),
    "cable": ("Fibre cable", True),
    "addressPool": ("Address pool", False),
    "subnet": ("Subnet", False),
    "vlan": ("VLAN", False),
}
_DIRECTIONS = ("downstream", "upstream")
_OWNER = {"id": OPERATOR[0], "name": OPERATOR[1], "role": "owner", "@referredType": "Organization"}


def v4_reference(kind: str, id: str, name: str, **attributes: Any) -> Resource:  # noqa: ANN401
    """Return a reference in the form of version 4."""
    return {"id": id, "name": name, **attributes, "@referredType": kind}


def specification_of(category: str) -> tuple[str, str]:
    """Return id and name of the resource specification of a category."""
    return f"specification-{category}", _CATEGORIES[category][0]


def technical_catalogue_resources(now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield kind and body of all entities of both catalogues."""
    for category in _CATEGORIES:
        yield "ResourceSpecification", _resource_specification(category, now)
        yield "ResourceCandidate", _resource_candidate(category, now)
    for physical in (True, False):
        yield "ResourceCategory", _resource_category(now, physical=physical)
    yield (
        "ResourceCatalog",
        catalogue_entity(
            "ResourceCatalog",
            "catalogue-network",
            "Larkspur network",
            now,
            description=f"Resources of the network of {OPERATOR[1]}",
            category=[_resource_category_ref(physical=physical) for physical in (True, False)],
            relatedParty=[_OWNER],
        ),
    )
    yield from _service_catalogue(now)


def _resource_category_ref(*, physical: bool) -> Resource:
    id, name = ("equipment", "Equipment") if physical else ("identifiers", "Identifiers")
    return v4_reference("ResourceCategory", f"resource-category-{id}", name, version="1.0")


def _resource_category(now: datetime, *, physical: bool) -> Resource:
    category = _resource_category_ref(physical=physical)
    members = [
        resource_category
        for resource_category, (_, is_physical) in _CATEGORIES.items()
        if is_physical is physical
    ]
    return catalogue_entity(
        "ResourceCategory",
        category["id"],
        category["name"],
        now,
        description=f"{category['name']}: {len(members)} kinds of resources",
        isRoot=True,
        resourceCandidate=[
            v4_reference(
                "ResourceCandidate",
                f"candidate-{resource_category}",
                _CATEGORIES[resource_category][0],
                version="1.0",
            )
            for resource_category in members
        ],
    )


def _resource_candidate(category: str, now: datetime) -> Resource:
    id, name = specification_of(category)
    return catalogue_entity(
        "ResourceCandidate",
        f"candidate-{category}",
        name,
        now,
        category=[_resource_category_ref(physical=_CATEGORIES[category][1])],
        resourceSpecification=v4_reference("ResourceSpecification", id, name, version="1.0"),
    )


def _resource_specification(category: str, now: datetime) -> Resource:
    id, name = specification_of(category)
    physical = _CATEGORIES[category][1]
    resource = catalogue_entity(
        f"{'Physical' if physical else 'Logical'}ResourceSpecification",
        id,
        name,
        now,
        category=category,
        description=f"{name} of {OPERATOR[1]}",
        isBundle=False,
        relatedParty=[_OWNER],
        **{"@baseType": "ResourceSpecification"},
    )
    if category in {"accessPort", "uplink"}:
        gateway = v4_reference("ResourceSpecification", *specification_of("accessGateway"))
        resource["resourceSpecRelationship"] = [{**gateway, "relationshipType": "isContainedIn"}]
    if category == "uplink":
        resource["resourceSpecCharacteristic"] = [
            {
                "name": "bandwidth",
                "description": "Bandwidth of the uplink that a line needs",
                "valueType": "integer",
                "resourceSpecCharacteristicValue": [{"unitOfMeasure": "bit/s"}],
                "resourceSpecCharRelationship": [
                    {"relationshipType": "mapsFrom", "name": "downstream"}
                ],
            }
        ]
    return resource


def _service_catalogue(now: datetime) -> Iterator[tuple[str, Resource]]:
    yield "ServiceSpecification", _line_specification(now)
    yield "ServiceSpecification", _access_specification(now)
    category = v4_reference("ServiceCategory", "service-category-access", "Access", version="1.0")
    candidate = v4_reference(
        "ServiceCandidate", "candidate-internet-access", SERVICE_NAMES[ACCESS_SERVICE]
    )
    yield (
        "ServiceCandidate",
        catalogue_entity(
            "ServiceCandidate",
            candidate["id"],
            candidate["name"],
            now,
            category=[category],
            serviceSpecification=v4_reference(
                "ServiceSpecification", ACCESS_SERVICE, SERVICE_NAMES[ACCESS_SERVICE], version="1.0"
            ),
        ),
    )
    yield (
        "ServiceCategory",
        catalogue_entity(
            "ServiceCategory",
            category["id"],
            category["name"],
            now,
            description="Services that connect customers to the network",
            isRoot=True,
            serviceCandidate=[candidate],
        ),
    )
    yield (
        "ServiceCatalog",
        catalogue_entity(
            "ServiceCatalog",
            "catalogue-services",
            "Larkspur services",
            now,
            description=f"Services of {OPERATOR[1]}",
            category=[category],
            relatedParty=[_OWNER],
        ),
    )


def _access_specification(now: datetime) -> Resource:
    return catalogue_entity(
        "CustomerFacingServiceSpecification",
        ACCESS_SERVICE,
        SERVICE_NAMES[ACCESS_SERVICE],
        now,
        description="Access to the internet at a speed in each direction",
        isBundle=True,
        relatedParty=[_OWNER],
        specCharacteristic=[
            {
                "name": f"{direction}Speed",
                "valueType": "number",
                "configurable": True,
                "minCardinality": 1,
                "maxCardinality": 1,
                "characteristicValueSpecification": [
                    {"unitOfMeasure": "Mbit/s", "valueType": "number"}
                ],
            }
            for direction in _DIRECTIONS
        ],
        serviceSpecRelationship=[
            {
                **v4_reference("ServiceSpecification", LINE_SERVICE, SERVICE_NAMES[LINE_SERVICE]),
                "relationshipType": "consistsOf",
            }
        ],
        **{"@baseType": "ServiceSpecification"},
    )


def _line_specification(now: datetime) -> Resource:
    port, uplink = (
        v4_reference("ResourceSpecification", *specification_of(category), version="1.0")
        for category in ("accessPort", "uplink")
    )
    return catalogue_entity(
        "ResourceFacingServiceSpecification",
        LINE_SERVICE,
        SERVICE_NAMES[LINE_SERVICE],
        now,
        description="A port of a gateway that is limited to a speed in each direction",
        isBundle=False,
        relatedParty=[_OWNER],
        specCharacteristic=[
            {
                "name": direction,
                "valueType": "integer",
                "configurable": False,
                "minCardinality": 1,
                "maxCardinality": 1,
                "characteristicValueSpecification": [
                    {"unitOfMeasure": "bit/s", "valueType": "integer"}
                ],
                "charSpecRelationship": [
                    {
                        "relationshipType": "mapsFrom",
                        "parentSpecificationId": ACCESS_SERVICE,
                        "name": f"{direction}Speed",
                    }
                ],
            }
            for direction in _DIRECTIONS
        ],
        resourceSpecification=[port, {**uplink, "minimumQuantity": 0}],
        **{"@baseType": "ServiceSpecification"},
    )
