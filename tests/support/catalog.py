"""Catalogue entries in the form of TMF620, TMF633 and TMF634, for tests of planning."""

from tmf_apis.fulfilment.design.catalog import Catalog


def _value_specifications(values):
    """Return value specifications; ``values`` is a value, or a list of values or of objects."""
    listed = values if isinstance(values, list) else [values]
    return [value if isinstance(value, dict) else {"value": value} for value in listed]


def product_specification(id="access", *, services=(), **values):
    """Return a product specification with values for its characteristics."""
    specification = {
        "id": id,
        "productSpecCharacteristic": [
            {"name": name, "characteristicValueSpecification": _value_specifications(value)}
            for name, value in values.items()
        ],
    }
    if services:
        specification["serviceSpecification"] = [{"id": service} for service in services]
    return specification


def offering(id="fibre", *, value_use=None, parts=(), specification="access"):
    """Return an offering; ``parts`` are ids, or pairs of id and quantity."""
    attributes = {"id": id, "name": id}
    if specification:
        attributes["productSpecification"] = {"id": specification}
    if value_use:
        attributes["prodSpecCharValueUse"] = [
            {"name": name, "productSpecCharacteristicValue": [{"value": value}]}
            for name, value in value_use.items()
        ]
    bundled = []
    for part in parts:
        part_id, number = part if isinstance(part, tuple) else (part, 1)
        option = {"bundledProductOfferingOption": {"numberRelOfferDefault": number}}
        bundled.append({"id": part_id, **(option if number != 1 else {})})
    return {**attributes, "bundledProductOffering": bundled}


def characteristic(name, *, values=(), source=None, type=None, **more):
    """Return a characteristic of a service or resource.

    ``source`` is (specification, name), or (specification, name, value map).
    """
    attributes = {"name": name, **({"valueType": type} if type else {}), **more}
    if values:
        attributes["characteristicValueSpecification"] = _value_specifications(list(values))
    if source:
        parent, source_name, *value_map = source
        relationship = {"relationshipType": "mapsFrom", "name": source_name}
        if parent:
            relationship["parentSpecificationId"] = parent
        if value_map:
            relationship["valueMap"] = value_map[0]
        attributes["charSpecRelationship"] = [relationship]
    return attributes


def service(id, *characteristics, parts=(), requires=(), resources=()):
    """Return a service specification.

    ``parts`` are ids or relationships, ``resources`` ids or references.
    """
    relationships = [
        part if isinstance(part, dict) else {"id": part, "relationshipType": "consistsOf"}
        for part in parts
    ]
    relationships += [{"id": other, "relationshipType": "requires"} for other in requires]
    return {
        "id": id,
        "name": id,
        "specCharacteristic": list(characteristics),
        "serviceSpecRelationship": relationships,
        "resourceSpecification": [
            resource if isinstance(resource, dict) else {"id": resource} for resource in resources
        ],
    }


def resource(id, category, *characteristics, contained_in=None):
    """Return a resource specification."""
    specification = {
        "id": id,
        "name": id,
        "category": category,
        "resourceSpecCharacteristic": list(characteristics),
    }
    if contained_in:
        specification["resourceSpecRelationship"] = [
            {"id": contained_in, "relationshipType": "isContainedIn"}
        ]
    return specification


def catalog(offerings, specifications, services=(), resources=(), **more):
    """Return a catalogue of offerings and specifications of products, services and resources."""
    sections = (offerings, specifications, services, resources)
    return Catalog(*({entry["id"]: entry for entry in section} for section in sections), **more)


def item(  # noqa: PLR0913
    action="add",
    *,
    offering_id="fibre",
    id="1",
    product=None,
    places=(),
    status=None,
    **characteristics,
):
    """Return an item of a product order."""
    attributes = {"id": id, "action": action}
    if offering_id:
        attributes["productOffering"] = {"id": offering_id}
    product_attributes = {}
    if product:
        product_attributes["id"] = product
    if status:
        product_attributes["status"] = status
    if characteristics:
        product_attributes["productCharacteristic"] = [
            {"name": name, "value": value} for name, value in characteristics.items()
        ]
    if places:
        product_attributes["place"] = [{"place": {"id": place}} for place in places]
    if product_attributes:
        attributes["product"] = product_attributes
    return attributes


ACCESS = product_specification(
    serviceType="broadband", downstreamSpeed=[100, 1000], upstreamSpeed=50
)
FIBRE = offering()
MBIT_PER_SECOND = [{"unitOfMeasure": "Mbit/s"}]
BIT_PER_SECOND = [{"unitOfMeasure": "bit/s"}]
