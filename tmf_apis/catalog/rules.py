"""What catalogue entities are allowed to be; pure.

Source: TMF620 v4.1 and v5.0.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.catalog.states import ENTITY_LIFECYCLE
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, DEPENDENCY_TYPES, ON_SALE_STATES
from tmf_apis.rest.pipeline.periods import canonical_timestamp, check_valid_for
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, rfc3339

#: Version of an entity that does not say one.
FIRST_VERSION = "1.0"

#: What a patch cannot remove: it stays as it was.
_UNREMOVABLE_ATTRIBUTES = ("lifecycleStatus", "version")

#: Where a characteristic lists its values, unless said otherwise.
VALUES_ATTRIBUTE = "characteristicValueSpecification"

JsonObject = Mapping[str, Any]


def on_create(kind: str, resource: Resource, context: RequestContext) -> Resource:
    """Return a new catalogue entity with what the server fills in.

    Raises:
        InvalidBody: It contradicts itself (HTTP 400).
    """
    new = with_defaults(kind, resource)
    check_consistency(kind, new)
    if context.system and new.get("lastUpdate"):
        return new
    return {**new, "lastUpdate": context.timestamp}


def on_change(kind: str, old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return a changed catalogue entity, or the old one where nothing but the stamp changed.

    Raises:
        InvalidBody: It contradicts itself now (HTTP 400).
    """
    kept = {
        name: old[name] for name in _UNREMOVABLE_ATTRIBUTES if name in old and new.get(name) is None
    }
    new = with_defaults(kind, {**new, **kept})
    parent = PARENT_ATTRIBUTES.get(kind)
    if parent and bool(old.get(parent)) != bool(new.get(parent)):
        moved = new.get("isRoot") == old.get("isRoot")
        new = {**new, "isRoot": not new.get(parent)} if moved else new
    check_consistency(kind, new)
    if {**new, "lastUpdate": old.get("lastUpdate")} == {"lastUpdate": None, **old}:
        return old
    return {**new, "lastUpdate": context.timestamp}


def with_defaults(kind: str, resource: Resource) -> Resource:
    """Return an entity with a value for everything that has a default."""
    defaults: dict[str, Any] = {
        "lifecycleStatus": ENTITY_LIFECYCLE.initial_states[0],
        "version": FIRST_VERSION,
        **_DEFAULTS[kind](resource),
    }
    missing = {name: value for name, value in defaults.items() if resource.get(name) is None}
    return {**resource, **missing} if missing else resource


#: The attribute that names the category above.
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
#: Where each kind of specification has its relationships.
RELATIONSHIP_ATTRIBUTES = {
    "ServiceSpecification": "serviceSpecRelationship",
    "ResourceSpecification": "resourceSpecRelationship",
}


def related_ids(kind: str, resource: JsonObject, types: frozenset[str]) -> list[str]:
    """Return the ids of the specifications that one is related to in one of some ways."""
    relations = resource.get(RELATIONSHIP_ATTRIBUTES[kind]) or ()
    return _ids(one for one in relations if one.get("relationshipType") in types)


def component_ids(kind: str, resource: JsonObject) -> list[str]:
    """Return the ids of what a bundle of this kind is made of, groups included.

    Of a specification of services or resources also those that it needs.
    """
    if kind in RELATIONSHIP_ATTRIBUTES:
        return related_ids(kind, resource, PREREQUISITE_TYPES)
    found = _ids(resource.get(COMPONENT_ATTRIBUTES.get(kind, "")) or ())
    for group in resource.get("bundledGroupProductOffering") or ():
        found += component_ids(kind, group)
    return found


#: Where each kind of bundle lists what it is made of.
COMPONENT_ATTRIBUTES = {
    "ProductOffering": "bundledProductOffering",
    "ProductOfferingPrice": "bundledPopRelationship",
    "ProductSpecification": "bundledProductSpecification",
    **RELATIONSHIP_ATTRIBUTES,
}


def _ids(references: Iterable[JsonObject]) -> list[str]:
    return [one["id"] for one in references if isinstance(one.get("id"), str)]


def check_consistency(kind: str, resource: JsonObject) -> None:
    """Let an entity pass that does not contradict itself.

    Raises:
        InvalidBody: It does; the message has the JSON pointer (HTTP 400).
    """
    check_valid_for(resource)
    for one in _CHECKS.get(kind, ()):
        one(resource)


def _check_bundle(kind: str) -> Callable[[JsonObject], None]:
    def whole(resource: JsonObject) -> None:
        on_sale = resource.get("lifecycleStatus") in ON_SALE_STATES
        if resource.get("isBundle") and on_sale and not component_ids(kind, resource):
            raise InvalidBody(
                f"/{COMPONENT_ATTRIBUTES[kind]}: a bundle that is {resource['lifecycleStatus']} has parts"
            )

    return whole


def _check_bundle_options(offering: JsonObject, pointer: str = "") -> None:
    """Check how often each part may be in a bundle: lower limit, default, upper limit."""
    for name, option in (
        ("bundledProductOffering", "bundledProductOfferingOption"),
        ("bundledGroupProductOffering", "bundledGroupProductOfferingOption"),
    ):
        for place, part in enumerate(offering.get(name) or ()):
            here = f"{pointer}/{name}/{place}"
            _check_ascending(
                part.get(option) or {},
                ("numberRelOfferLowerLimit", "numberRelOfferDefault", "numberRelOfferUpperLimit"),
                f"{here}/{option}",
            )
            _check_bundle_options(part, here)


def _check_ascending(holder: JsonObject, names: Iterable[str], pointer: str) -> None:
    """Let ``holder`` pass if those of its numbers that are there do not fall, nor start under 0."""
    last, last_name = 0.0, ""
    for name in names:
        value = holder.get(name)
        if not isinstance(value, int | float):
            continue
        if value < last:
            bound = f"under {last_name} {last:g}" if last_name else "negative"
            raise InvalidBody(f"{pointer}/{name}: {value} is {bound}")
        last, last_name = value, name


def _check_prices(offering: JsonObject) -> None:
    """Check the prices that stand in the offering itself, and their alterations (v4)."""
    for place, price in enumerate(offering.get("productOfferingPrice") or ()):
        at = f"/productOfferingPrice/{place}"
        _check_price(price, at)
        for number, alteration in enumerate(price.get("priceAlteration") or ()):
            _check_price(alteration, f"{at}/priceAlteration/{number}")


def _check_price(price: JsonObject, pointer: str = "") -> None:
    check_valid_for(price, pointer=pointer)
    _check_ascending(price, ("recurringChargePeriodLength",), pointer)
    _check_ascending(price, ("priority",), pointer)
    _check_ascending(
        price.get("applicationDuration") or {}, ("amount",), f"{pointer}/applicationDuration"
    )
    for holder, here in ((price, pointer), (price.get("price") or {}, f"{pointer}/price")):
        percentage = holder.get("percentage")
        if isinstance(percentage, int | float) and not 0 <= percentage <= 100:  # noqa: PLR2004
            raise InvalidBody(f"{here}/percentage: {percentage} is not from 0 to 100")


def _check_characteristics(
    attribute: str, values_attribute: str = VALUES_ATTRIBUTE
) -> Callable[[JsonObject], None]:
    def check_each(resource: JsonObject) -> None:
        for place, characteristic in enumerate(resource.get(attribute) or ()):
            _check_characteristic(characteristic, f"/{attribute}/{place}", values_attribute)

    return check_each


def _check_unique_names(attribute: str) -> Callable[[JsonObject], None]:
    """Check that characteristics can be told apart: values are mapped from one to another."""

    def check_each(resource: JsonObject) -> None:
        seen: set[str] = set()
        for place, characteristic in enumerate(resource.get(attribute) or ()):
            own = characteristic.get("name")
            if own in seen:
                raise InvalidBody(
                    f"/{attribute}/{place}/name: another characteristic is named {own}"
                )
            seen |= {own} if own else set()

    return check_each


def _check_relationships(attribute: str) -> Callable[[JsonObject], None]:
    """Check how many there are of each related specification, and for how long."""

    def check_each(resource: JsonObject) -> None:
        for place, relation in enumerate(resource.get(attribute) or ()):
            check_valid_for(relation, pointer=f"/{attribute}/{place}")
            _check_ascending(
                relation,
                ("minimumQuantity", "defaultQuantity", "maximumQuantity"),
                f"/{attribute}/{place}",
            )

    return check_each


def _check_characteristic(characteristic: JsonObject, pointer: str, values_attribute: str) -> None:
    check_valid_for(characteristic, pointer=pointer)
    _check_ascending(characteristic, ("minCardinality", "maxCardinality"), pointer)
    values = characteristic.get(values_attribute) or ()
    for place, value in enumerate(values):
        here = f"{pointer}/{values_attribute}/{place}"
        check_valid_for(value, pointer=here)
        low, high = value.get("valueFrom"), value.get("valueTo")
        if isinstance(low, int | float) and isinstance(high, int | float) and high < low:
            raise InvalidBody(f"{here}/valueTo: {high} is under valueFrom {low}")
    defaults = sum(value.get("isDefault") is True for value in values)
    if defaults > 1 and characteristic.get("maxCardinality") == 1:
        raise InvalidBody(f"{pointer}: one value at most, but {defaults} of them are defaults")


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
    """Return the id under which an earlier version stays readable.

    Source: TMF630 part 1, versioned entities: ``{id}:(version={version})``.

    >>> version_id({"id": "42", "version": "1.0"})
    '42:(version=1.0)'
    """
    return f"{resource['id']}:(version={resource['version']})"


def superseded_version(old: Resource, now: datetime) -> Resource:
    """Return the version that a new one takes the place of: retired, valid until now."""
    stamp = rfc3339(now)
    period = old.get("validFor") or {}
    start, end = (
        canonical_timestamp(period.get("startDateTime")),
        canonical_timestamp(period.get("endDateTime")),
    )
    if (start is None or start <= stamp) and (end is None or end > stamp):
        period = {**period, "endDateTime": stamp}
    return {
        **old,
        "id": version_id(old),
        "lifecycleStatus": "Retired",
        "validFor": period,
        "lastUpdate": stamp,
    }


def is_new_version(old: JsonObject, new: JsonObject) -> bool:
    """Return whether a change asks for a new version: another number, while on sale."""
    return old.get("lifecycleStatus") in ON_SALE_STATES and old.get("version") != new.get("version")


def public_parties(resource: Resource) -> tuple[str, ...]:  # noqa: ARG001
    """Return the parties of a catalogue entity: all may read it, none may change it."""
    return ("*",)


def on_create_job(job: Resource, context: RequestContext) -> Resource:
    """Return a new job with its date.

    Raises:
        InvalidBody: It has no URL (HTTP 400).
    """
    if not job.get("url"):
        raise InvalidBody("/url: expected where the file is")
    if context.system and job.get("creationDate"):
        return job
    return {**job, "creationDate": context.timestamp}
