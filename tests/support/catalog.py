"""Catalogue data for tests of planning: specifications in the form of TMF620, 633 and 634."""

from tmf_apis.fulfilment.design.catalog import Catalog


def _value_specifications(value, **more):
    found = value if isinstance(value, list) else [value]
    return [{**(one if isinstance(one, dict) else {"value": one}), **more} for one in found]


def product_specification(id="access", *, services=(), **values):
    """A product specification with values for its characteristics."""
    made = {
        "id": id,
        "productSpecCharacteristic": [
            {"name": name, "characteristicValueSpecification": _value_specifications(value)}
            for name, value in values.items()
        ],
    }
    if services:
        made["serviceSpecification"] = [{"id": one} for one in services]
    return made


def offering(id="fibre", *, value_use=None, parts=(), specification="access"):
    """An offering of a specification; ``parts`` are ids, or pairs of id and number."""
    made = {
        "id": id,
        "name": id,
        **({"productSpecification": {"id": specification}} if specification else {}),
    }
    if value_use:
        made["prodSpecCharValueUse"] = [
            {"name": name, "productSpecCharacteristicValue": [{"value": value}]}
            for name, value in value_use.items()
        ]
    inside = []
    for part in parts:
        name, number = part if isinstance(part, tuple) else (part, 1)
        option = {"bundledProductOfferingOption": {"numberRelOfferDefault": number}}
        inside.append({"id": name, **(option if number != 1 else {})})
    return {**made, "bundledProductOffering": inside}


def characteristic(name, *, values=(), source=None, type=None, **more):
    """A characteristic of a service or resource; ``source`` is (specification, name)."""
    made = {"name": name, **({"valueType": type} if type else {}), **more}
    if values:
        made["characteristicValueSpecification"] = _value_specifications(list(values))
    if source:
        parent, of, *table = source
        relation = {"relationshipType": "mapsFrom", "name": of}
        if parent:
            relation["parentSpecificationId"] = parent
        if table:
            relation["valueMap"] = table[0]
        made["charSpecRelationship"] = [relation]
    return made


def service(id, *characteristics, parts=(), requires=(), resources=()):
    """A service specification; ``parts`` are ids or relationships."""
    relations = [
        one if isinstance(one, dict) else {"id": one, "relationshipType": "consistsOf"}
        for one in parts
    ]
    relations += [{"id": one, "relationshipType": "requires"} for one in requires]
    return {
        "id": id,
        "name": id,
        "specCharacteristic": list(characteristics),
        "serviceSpecRelationship": relations,
        "resourceSpecification": [
            one if isinstance(one, dict) else {"id": one} for one in resources
        ],
    }


def resource(id, category, *characteristics, contained_in=None):
    """A resource specification."""
    made = {"id": id, "name": id, "category": category}
    made["resourceSpecCharacteristic"] = list(characteristics)
    if contained_in:
        made["resourceSpecRelationship"] = [
            {"id": contained_in, "relationshipType": "isContainedIn"}
        ]
    return made


def catalog(offerings, specifications, services=(), resources=(), **more):
    """All of it together."""
    by_id = [{one["id"]: one for one in many} for many in
             (offerings, specifications, services, resources)]  # fmt: skip
    return Catalog(*by_id, **more)


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
    """An order item."""
    made = {
        "id": id,
        "action": action,
        **({"productOffering": {"id": offering_id}} if offering_id else {}),
    }
    inner = {}
    if product:
        inner["id"] = product
    if status:
        inner["status"] = status
    if characteristics:
        inner["productCharacteristic"] = [
            {"name": n, "value": v} for n, v in characteristics.items()
        ]
    if places:
        inner["place"] = [{"place": {"id": one}} for one in places]
    return {**made, **({"product": inner} if inner else {})}


ACCESS = product_specification(
    serviceType="broadband", downstreamSpeed=[100, 1000], upstreamSpeed=50
)
FIBRE = offering()
MBIT_PER_SECOND = [{"unitOfMeasure": "Mbit/s"}]
BIT_PER_SECOND = [{"unitOfMeasure": "bit/s"}]
