"""Rules for catalogue entities on creation and change; pure.

Source: TMF620 v4.1 and v5.0.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.catalog.states import ENTITY_LIFECYCLE
from tmf_apis.errors import Faults, InvalidBody, shortened
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, DEPENDENCY_TYPES, ON_SALE_STATES
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.periods import canonical_timestamp, check_valid_for
from tmf_apis.rest.pipeline.policy import RequestContext, Resource

#: Version of an entity that names none.
FIRST_VERSION = "1.0"

#: Attributes that keep their value if a change removes them.
_UNREMOVABLE_ATTRIBUTES = ("lifecycleStatus", "version")

#: Attribute of a characteristic that lists its values, by default.
VALUES_ATTRIBUTE = "characteristicValueSpecification"

JsonObject = Mapping[str, Any]


def on_create(kind: str, resource: Resource, context: RequestContext) -> Resource:
    """Return a new catalogue entity with the attributes that the server sets.

    Raises:
        InvalidBody: The entity contradicts itself (HTTP 400).
    """
    new = with_defaults(kind, resource)
    check_consistency(kind, new)
    if context.system and new.get("lastUpdate"):
        return new
    return {**new, "lastUpdate": context.timestamp}


def on_change(kind: str, old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return a changed catalogue entity, or the old one if only ``lastUpdate`` changed.

    Raises:
        InvalidBody: The entity contradicts itself (HTTP 400).
    """
    unremovable = {
        name: old[name] for name in _UNREMOVABLE_ATTRIBUTES if name in old and new.get(name) is None
    }
    new = with_defaults(kind, {**new, **unremovable})
    parent = PARENT_ATTRIBUTES.get(kind)
    if parent and bool(old.get(parent)) != bool(new.get(parent)):
        client_sets_root = new.get("isRoot") != old.get("isRoot")
        new = new if client_sets_root else {**new, "isRoot": not new.get(parent)}
    check_consistency(kind, new)
    if {**new, "lastUpdate": old.get("lastUpdate")} == {"lastUpdate": None, **old}:
        return old
    return {**new, "lastUpdate": context.timestamp}


def with_defaults(kind: str, resource: Resource) -> Resource:
    """Return an entity with the default values of the attributes that it lacks."""
    defaults: dict[str, Any] = {
        "lifecycleStatus": ENTITY_LIFECYCLE.initial_states[0],
        "version": FIRST_VERSION,
        **_DEFAULTS[kind](resource),
    }
    missing = {name: value for name, value in defaults.items() if resource.get(name) is None}
    return {**resource, **missing} if missing else resource


#: Attribute with the parent of a category, by kind.
PARENT_ATTRIBUTES = {
    "Category": "parent",
    "ServiceCategory": "parentId",
    "ResourceCategory": "parentId",
}


def _category_defaults(kind: str) -> Callable[[Resource], dict[str, Any]]:
    return lambda category: {"isRoot": not category.get(PARENT_ATTRIBUTES[kind])}


def _technical_specification_defaults(kind: str) -> Callable[[Resource], dict[str, Any]]:
    return lambda resource: {"isBundle": bool(related_ids(kind, resource, COMPOSITION_TYPES))}


def _offering_defaults(offering: Resource) -> dict[str, Any]:
    return {"isBundle": any(component_ids("ProductOffering", offering)), "isSellable": True}


def _price_defaults(price: Resource) -> dict[str, Any]:
    return {"isBundle": any(component_ids("ProductOfferingPrice", price))}


def _product_specification_defaults(specification: Resource) -> dict[str, Any]:
    return {"isBundle": any(component_ids("ProductSpecification", specification))}


_DEFAULTS: Mapping[str, Callable[[Resource], dict[str, Any]]] = {
    "ProductCatalog": lambda _: {},
    "Category": _category_defaults("Category"),
    "ProductOffering": _offering_defaults,
    "ProductOfferingPrice": _price_defaults,
    "ProductSpecification": _product_specification_defaults,
    "ServiceCatalog": lambda _: {},
    "ServiceCategory": _category_defaults("ServiceCategory"),
    "ServiceCandidate": lambda _: {},
    "ServiceSpecification": _technical_specification_defaults("ServiceSpecification"),
    "ResourceCatalog": lambda _: {},
    "ResourceCategory": _category_defaults("ResourceCategory"),
    "ResourceCandidate": lambda _: {},
    "ResourceSpecification": _technical_specification_defaults("ResourceSpecification"),
}

#: ``relationshipType`` of a specification to those without which it cannot be provided: its
#: components and its dependencies. A cycle of these can never be provided.
PREREQUISITE_TYPES = COMPOSITION_TYPES | DEPENDENCY_TYPES
#: Attribute with the relationships of a specification, by kind.
RELATIONSHIP_ATTRIBUTES = {
    "ServiceSpecification": "serviceSpecRelationship",
    "ResourceSpecification": "resourceSpecRelationship",
}


def related_ids(kind: str, resource: JsonObject, types: frozenset[str]) -> list[str]:
    """Return the ids of the specifications that one has relationships of some types to."""
    relationships = resource.get(RELATIONSHIP_ATTRIBUTES[kind]) or ()
    return _ids(
        relationship
        for relationship in relationships
        if relationship.get("relationshipType") in types
    )


def component_ids(kind: str, resource: JsonObject) -> list[str]:
    """Return the ids of the components of a bundle, those in groups included.

    For a specification of services or resources, the ids of its dependencies are included, too.
    """
    if kind in RELATIONSHIP_ATTRIBUTES:
        return related_ids(kind, resource, PREREQUISITE_TYPES)
    ids = _ids(resource.get(COMPONENT_ATTRIBUTES.get(kind, "")) or ())
    for group in json_objects(resource.get("bundledGroupProductOffering")):
        ids += component_ids(kind, group)
    return ids


#: Attribute that lists the components of a bundle, by kind.
COMPONENT_ATTRIBUTES = {
    "ProductOffering": "bundledProductOffering",
    "ProductOfferingPrice": "bundledPopRelationship",
    "ProductSpecification": "bundledProductSpecification",
    **RELATIONSHIP_ATTRIBUTES,
}


def _ids(references: Iterable[JsonObject]) -> list[str]:
    return [reference["id"] for reference in references if isinstance(reference.get("id"), str)]


def check_consistency(kind: str, resource: JsonObject) -> None:
    """Check that an entity does not contradict itself.

    Raises:
        InvalidBody: The entity contradicts itself; the message has the JSON pointer (HTTP 400).
    """
    faults = Faults()
    with faults.collect():
        check_valid_for(resource)
    for check in _CHECKS.get(kind, ()):
        with faults.collect():
            check(resource)
    faults.refuse()


def _check_bundle(kind: str) -> Callable[[JsonObject], None]:
    """Return a check that a bundle on sale has components."""

    def check(bundle: JsonObject) -> None:
        status = bundle.get("lifecycleStatus")
        is_on_sale = status in ON_SALE_STATES
        if bundle.get("isBundle") and is_on_sale and not component_ids(kind, bundle):
            raise InvalidBody(
                f"/{COMPONENT_ATTRIBUTES[kind]}: a bundle that is {status} needs parts"
            )

    return check


def _check_bundle_options(offering: JsonObject, pointer: str = "") -> None:
    """Check the lower limit, default and upper limit of each part of a bundle."""
    for name, option in (
        ("bundledProductOffering", "bundledProductOfferingOption"),
        ("bundledGroupProductOffering", "bundledGroupProductOfferingOption"),
    ):
        for index, part in enumerate(offering.get(name) or ()):
            part_pointer = f"{pointer}/{name}/{index}"
            _check_ascending(
                part.get(option) or {},
                ("numberRelOfferLowerLimit", "numberRelOfferDefault", "numberRelOfferUpperLimit"),
                f"{part_pointer}/{option}",
            )
            _check_bundle_options(part, part_pointer)


def _check_ascending(holder: JsonObject, names: Iterable[str], pointer: str) -> None:
    """Check that the existing numbers among some attributes are not negative and do not fall."""
    previous, previous_name = 0.0, ""
    for name in names:
        value = holder.get(name)
        if not isinstance(value, int | float):
            continue
        if value < previous:
            bound = f"under {previous_name} {previous:g}" if previous_name else "negative"
            raise InvalidBody(f"{pointer}/{name}: {value} is {bound}")
        previous, previous_name = value, name


def _check_prices(offering: JsonObject) -> None:
    """Check the prices that are embedded in an offering, and their alterations (v4)."""
    faults = Faults()
    for index, price in enumerate(offering.get("productOfferingPrice") or ()):
        pointer = f"/productOfferingPrice/{index}"
        with faults.collect():
            _check_price(price, pointer)
        for alteration_index, alteration in enumerate(price.get("priceAlteration") or ()):
            with faults.collect():
                _check_price(alteration, f"{pointer}/priceAlteration/{alteration_index}")
    faults.refuse()


def _check_price(price: JsonObject, pointer: str = "") -> None:
    faults = Faults()
    with faults.collect():
        check_valid_for(price, pointer=pointer)
    duration = price.get("applicationDuration") or {}
    for holder, name, holder_pointer in (
        (price, "recurringChargePeriodLength", pointer),
        (price, "priority", pointer),
        (duration, "amount", f"{pointer}/applicationDuration"),
    ):
        with faults.collect():
            _check_ascending(holder, (name,), holder_pointer)
    inner_price = price.get("price") or {}
    for holder, holder_pointer in ((price, pointer), (inner_price, f"{pointer}/price")):
        percentage = holder.get("percentage")
        if isinstance(percentage, int | float) and not 0 <= percentage <= 100:  # noqa: PLR2004
            faults.add(f"{holder_pointer}/percentage: {percentage} is not from 0 to 100")
    faults.refuse()


def _check_characteristics(
    attribute: str, values_attribute: str = VALUES_ATTRIBUTE
) -> Callable[[JsonObject], None]:
    """Return a check of each characteristic by itself."""

    def check(resource: JsonObject) -> None:
        faults = Faults()
        for index, characteristic in enumerate(json_objects(resource.get(attribute))):
            with faults.collect():
                _check_characteristic(characteristic, f"/{attribute}/{index}", values_attribute)
        faults.refuse()

    return check


def _check_unique_names(attribute: str) -> Callable[[JsonObject], None]:
    """Return a check that names are unique, because mappings refer to characteristics by name."""

    def check(resource: JsonObject) -> None:
        names: set[str] = set()
        faults = Faults()
        for index, characteristic in enumerate(resource.get(attribute) or ()):
            name = characteristic.get("name")
            if name in names:
                faults.add(
                    f"/{attribute}/{index}/name: another characteristic is named {shortened(name)}"
                )
            if name:
                names.add(name)
        faults.refuse()

    return check


def _check_relationships(attribute: str) -> Callable[[JsonObject], None]:
    """Return a check of the quantities and validity of each related specification."""

    def check(resource: JsonObject) -> None:
        faults = Faults()
        for index, relationship in enumerate(resource.get(attribute) or ()):
            pointer = f"/{attribute}/{index}"
            with faults.collect():
                check_valid_for(relationship, pointer=pointer)
            with faults.collect():
                _check_ascending(
                    relationship, ("minimumQuantity", "defaultQuantity", "maximumQuantity"), pointer
                )
        faults.refuse()

    return check


def _check_characteristic(characteristic: JsonObject, pointer: str, values_attribute: str) -> None:
    faults = Faults()
    with faults.collect():
        check_valid_for(characteristic, pointer=pointer)
    with faults.collect():
        _check_ascending(characteristic, ("minCardinality", "maxCardinality"), pointer)
    values = characteristic.get(values_attribute) or ()
    for index, value in enumerate(values):
        value_pointer = f"{pointer}/{values_attribute}/{index}"
        with faults.collect():
            check_valid_for(value, pointer=value_pointer)
        low, high = value.get("valueFrom"), value.get("valueTo")
        if isinstance(low, int | float) and isinstance(high, int | float) and high < low:
            faults.add(f"{value_pointer}/valueTo: {high} is under valueFrom {low}")
    default_count = sum(value.get("isDefault") is True for value in values)
    if default_count > 1 and characteristic.get("maxCardinality") == 1:
        faults.add(f"{pointer}: at most one value, but {default_count} default values")
    faults.refuse()


_CHECKS: Mapping[str, tuple[Callable[[JsonObject], None], ...]] = {
    "ProductOffering": (
        _check_bundle("ProductOffering"),
        _check_bundle_options,
        _check_prices,
        _check_characteristics("productOfferingCharacteristic"),
    ),
    "ProductOfferingPrice": (_check_bundle("ProductOfferingPrice"), _check_price),
    "ProductSpecification": (
        _check_bundle("ProductSpecification"),
        _check_characteristics("productSpecCharacteristic"),
    ),
    "ServiceSpecification": (
        _check_characteristics("specCharacteristic"),
        _check_unique_names("specCharacteristic"),
        _check_relationships("serviceSpecRelationship"),
    ),
    "ResourceSpecification": (
        _check_characteristics("resourceSpecCharacteristic", "resourceSpecCharacteristicValue"),
        _check_unique_names("resourceSpecCharacteristic"),
        _check_relationships("resourceSpecRelationship"),
    ),
}


def version_id(resource: JsonObject) -> str:
    """Return the id under which an earlier version can be read.

    Source: TMF630 part 1, versioned entities: ``{id}:(version={version})``.

    >>> version_id({"id": "42", "version": "1.0"})
    '42:(version=1.0)'
    """
    return f"{resource['id']}:(version={resource['version']})"


def superseded_version(old: Resource, now: datetime) -> Resource:
    """Return the version that a new one replaces: retired, and no longer valid."""
    timestamp = rfc3339(now)
    period = old.get("validFor") or {}
    start = canonical_timestamp(period.get("startDateTime"))
    end = canonical_timestamp(period.get("endDateTime"))
    if (start is None or start <= timestamp) and (end is None or end > timestamp):
        period = {**period, "endDateTime": timestamp}
    return {
        **old,
        "id": version_id(old),
        "lifecycleStatus": "Retired",
        "validFor": period,
        "lastUpdate": timestamp,
    }


def is_new_version(old: JsonObject, new: JsonObject) -> bool:
    """Return whether a change creates a new version: another number, while on sale."""
    return old.get("lifecycleStatus") in ON_SALE_STATES and old.get("version") != new.get("version")


def public_parties(resource: Resource) -> tuple[str, ...]:  # noqa: ARG001
    """Return the parties of a catalogue entity: all parties can read it, none can change it."""
    return ("*",)


def on_create_job(job: Resource, context: RequestContext) -> Resource:
    """Return a new job with its creation date.

    Raises:
        InvalidBody: The job has no URL (HTTP 400).
    """
    if not job.get("url"):
        raise InvalidBody("/url: expected the URL of the file")
    if context.system and job.get("creationDate"):
        return job
    return {**job, "creationDate": context.timestamp}
