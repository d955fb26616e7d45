"""What catalogue entities are allowed to be; pure.

Source: TMF620 v4.1 and v5.0.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.catalog.states import ENTITY, ON_SALE
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.law import Circumstances, Resource, rfc3339
from tmf_apis.rest.periods import moment, valid_for

#: Version of an entity that does not say one.
FIRST_VERSION = "1.0"

#: What a patch cannot remove: it stays as it was.
_NEVER_LOST = ("lifecycleStatus", "version")

#: Where a characteristic lists its values, unless said otherwise.
VALUES = "characteristicValueSpecification"

Part = Mapping[str, Any]


def on_create(kind: str, resource: Resource, circumstances: Circumstances) -> Resource:
    """Return a new catalogue entity with what the server fills in.

    Raises:
        InvalidBody: It contradicts itself (HTTP 400).
    """
    new = completed(kind, resource)
    check(kind, new)
    if circumstances.system and new.get("lastUpdate"):
        return new
    return {**new, "lastUpdate": circumstances.timestamp}


def on_change(kind: str, old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return a changed catalogue entity, or the old one where nothing but the stamp changed.

    Raises:
        InvalidBody: It contradicts itself now (HTTP 400).
    """
    kept = {name: old[name] for name in _NEVER_LOST if name in old and new.get(name) is None}
    new = completed(kind, {**new, **kept})
    parent = PARENTS.get(kind)
    if parent and bool(old.get(parent)) != bool(new.get(parent)):
        moved = new.get("isRoot") == old.get("isRoot")
        new = {**new, "isRoot": not new.get(parent)} if moved else new
    check(kind, new)
    if {**new, "lastUpdate": old.get("lastUpdate")} == {"lastUpdate": None, **old}:
        return old
    return {**new, "lastUpdate": circumstances.timestamp}


def completed(kind: str, resource: Resource) -> Resource:
    """Return an entity with a value for everything that has a default."""
    defaults: dict[str, Any] = {
        "lifecycleStatus": ENTITY.initial[0],
        "version": FIRST_VERSION,
        **_DEFAULTS[kind](resource),
    }
    missing = {name: value for name, value in defaults.items() if resource.get(name) is None}
    return {**resource, **missing} if missing else resource


#: The attribute that names the category above.
PARENTS = {"Category": "parent", "ServiceCategory": "parentId", "ResourceCategory": "parentId"}


def _of_category(kind: str) -> Callable[[Resource], dict[str, Any]]:
    return lambda category: {"isRoot": not category.get(PARENTS[kind])}


def _of_technical(kind: str) -> Callable[[Resource], dict[str, Any]]:
    return lambda resource: {"isBundle": bool(related(kind, resource, PARTS_OF))}


def _of_offering(offering: Resource) -> dict[str, Any]:
    return {"isBundle": any(parts("ProductOffering", offering)), "isSellable": True}


def _of_price(price: Resource) -> dict[str, Any]:
    return {"isBundle": any(parts("ProductOfferingPrice", price))}


def _of_specification(specification: Resource) -> dict[str, Any]:
    return {"isBundle": any(parts("ProductSpecification", specification))}


_DEFAULTS: Mapping[str, Callable[[Resource], dict[str, Any]]] = {
    "ProductCatalog": lambda _: {},
    "Category": _of_category("Category"),
    "ProductOffering": _of_offering,
    "ProductOfferingPrice": _of_price,
    "ProductSpecification": _of_specification,
    "ServiceCatalog": lambda _: {},
    "ServiceCategory": _of_category("ServiceCategory"),
    "ServiceCandidate": lambda _: {},
    "ServiceSpecification": _of_technical("ServiceSpecification"),
    "ResourceCatalog": lambda _: {},
    "ResourceCategory": _of_category("ResourceCategory"),
    "ResourceCandidate": lambda _: {},
    "ResourceSpecification": _of_technical("ResourceSpecification"),
}

#: ``relationshipType`` of a specification to those that it is made of, and to those that have to
#: be there before; a circle of either can never be built.
PARTS_OF = frozenset({"consistsOf", "composedOf", "bundled"})
LEADING = PARTS_OF | {"requires", "dependency", "reliesOn"}
#: Where each kind of specification has its relationships.
RELATIONS = {
    "ServiceSpecification": "serviceSpecRelationship",
    "ResourceSpecification": "resourceSpecRelationship",
}


def related(kind: str, resource: Part, types: frozenset[str]) -> list[str]:
    """Return the ids of the specifications that one is related to in one of some ways."""
    relations = resource.get(RELATIONS[kind]) or ()
    return _ids(one for one in relations if one.get("relationshipType") in types)


def parts(kind: str, resource: Part) -> list[str]:
    """Return the ids of what a bundle of this kind is made of, groups included.

    Of a specification of services or resources also those that it needs.
    """
    if kind in RELATIONS:
        return related(kind, resource, LEADING)
    found = _ids(resource.get(PARTS.get(kind, "")) or ())
    for group in resource.get("bundledGroupProductOffering") or ():
        found += parts(kind, group)
    return found


#: Where each kind of bundle lists what it is made of.
PARTS = {
    "ProductOffering": "bundledProductOffering",
    "ProductOfferingPrice": "bundledPopRelationship",
    "ProductSpecification": "bundledProductSpecification",
    **RELATIONS,
}


def _ids(references: Iterable[Part]) -> list[str]:
    return [one["id"] for one in references if isinstance(one.get("id"), str)]


def check(kind: str, resource: Part) -> None:
    """Let an entity pass that does not contradict itself.

    Raises:
        InvalidBody: It does; the message has the JSON pointer (HTTP 400).
    """
    valid_for(resource)
    for one in _CHECKS.get(kind, ()):
        one(resource)


def _check_bundle(kind: str) -> Callable[[Part], None]:
    def whole(resource: Part) -> None:
        on_sale = resource.get("lifecycleStatus") in ON_SALE
        if resource.get("isBundle") and on_sale and not parts(kind, resource):
            raise InvalidBody(
                f"/{PARTS[kind]}: a bundle that is {resource['lifecycleStatus']} has parts"
            )

    return whole


def _check_options(offering: Part, at: str = "") -> None:
    """Check how often each part may be in a bundle: lower limit, default, upper limit."""
    for name, option in (
        ("bundledProductOffering", "bundledProductOfferingOption"),
        ("bundledGroupProductOffering", "bundledGroupProductOfferingOption"),
    ):
        for place, part in enumerate(offering.get(name) or ()):
            here = f"{at}/{name}/{place}"
            _rising(
                part.get(option) or {},
                ("numberRelOfferLowerLimit", "numberRelOfferDefault", "numberRelOfferUpperLimit"),
                f"{here}/{option}",
            )
            _check_options(part, here)


def _rising(holder: Part, names: Iterable[str], at: str) -> None:
    """Let ``holder`` pass if those of its numbers that are there do not fall, nor start under 0."""
    last, last_name = 0.0, ""
    for name in names:
        value = holder.get(name)
        if not isinstance(value, int | float):
            continue
        if value < last:
            bound = f"under {last_name} {last:g}" if last_name else "negative"
            raise InvalidBody(f"{at}/{name}: {value} is {bound}")
        last, last_name = value, name


def _check_prices(offering: Part) -> None:
    """Check the prices that stand in the offering itself, and their alterations (v4)."""
    for place, price in enumerate(offering.get("productOfferingPrice") or ()):
        at = f"/productOfferingPrice/{place}"
        _check_price(price, at)
        for number, alteration in enumerate(price.get("priceAlteration") or ()):
            _check_price(alteration, f"{at}/priceAlteration/{number}")


def _check_price(price: Part, at: str = "") -> None:
    valid_for(price, at=at)
    _rising(price, ("recurringChargePeriodLength",), at)
    _rising(price, ("priority",), at)
    _rising(price.get("applicationDuration") or {}, ("amount",), f"{at}/applicationDuration")
    for holder, here in ((price, at), (price.get("price") or {}, f"{at}/price")):
        percentage = holder.get("percentage")
        if isinstance(percentage, int | float) and not 0 <= percentage <= 100:  # noqa: PLR2004
            raise InvalidBody(f"{here}/percentage: {percentage} is not from 0 to 100")


def _check_characteristics(name: str, choices: str = VALUES) -> Callable[[Part], None]:
    def check_each(resource: Part) -> None:
        for place, characteristic in enumerate(resource.get(name) or ()):
            _check_characteristic(characteristic, f"/{name}/{place}", choices)

    return check_each


def _check_names(name: str) -> Callable[[Part], None]:
    """Check that characteristics can be told apart: values are mapped from one to another."""

    def check_each(resource: Part) -> None:
        seen: set[str] = set()
        for place, characteristic in enumerate(resource.get(name) or ()):
            own = characteristic.get("name")
            if own in seen:
                raise InvalidBody(f"/{name}/{place}/name: another characteristic is named {own}")
            seen |= {own} if own else set()

    return check_each


def _check_relations(name: str) -> Callable[[Part], None]:
    """Check how many there are of each related specification, and for how long."""

    def check_each(resource: Part) -> None:
        for place, relation in enumerate(resource.get(name) or ()):
            valid_for(relation, at=f"/{name}/{place}")
            _rising(
                relation,
                ("minimumQuantity", "defaultQuantity", "maximumQuantity"),
                f"/{name}/{place}",
            )

    return check_each


def _check_characteristic(characteristic: Part, at: str, choices: str) -> None:
    valid_for(characteristic, at=at)
    _rising(characteristic, ("minCardinality", "maxCardinality"), at)
    values = characteristic.get(choices) or ()
    for place, value in enumerate(values):
        here = f"{at}/{choices}/{place}"
        valid_for(value, at=here)
        low, high = value.get("valueFrom"), value.get("valueTo")
        if isinstance(low, int | float) and isinstance(high, int | float) and high < low:
            raise InvalidBody(f"{here}/valueTo: {high} is under valueFrom {low}")
    defaults = sum(value.get("isDefault") is True for value in values)
    if defaults > 1 and characteristic.get("maxCardinality") == 1:
        raise InvalidBody(f"{at}: one value at most, but {defaults} of them are defaults")


_CHECKS: Mapping[str, tuple[Callable[[Part], None], ...]] = {
    "ProductOffering": (
        _check_bundle("ProductOffering"),
        _check_options,
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
        _check_names("specCharacteristic"),
        _check_relations("serviceSpecRelationship"),
    ),
    "ResourceSpecification": (
        _check_characteristics("resourceSpecCharacteristic", "resourceSpecCharacteristicValue"),
        _check_names("resourceSpecCharacteristic"),
        _check_relations("resourceSpecRelationship"),
    ),
}


def kept_id(resource: Part) -> str:
    """Return the id under which an earlier version stays readable.

    Source: TMF630 part 1, versioned entities: ``{id}:(version={version})``.

    >>> kept_id({"id": "42", "version": "1.0"})
    '42:(version=1.0)'
    """
    return f"{resource['id']}:(version={resource['version']})"


def superseded(old: Resource, now: datetime) -> Resource:
    """Return the version that a new one takes the place of: retired, valid until now."""
    stamp = rfc3339(now)
    period = old.get("validFor") or {}
    start, end = moment(period.get("startDateTime")), moment(period.get("endDateTime"))
    if (start is None or start <= stamp) and (end is None or end > stamp):
        period = {**period, "endDateTime": stamp}
    return {
        **old,
        "id": kept_id(old),
        "lifecycleStatus": "Retired",
        "validFor": period,
        "lastUpdate": stamp,
    }


def is_new_version(old: Part, new: Part) -> bool:
    """Return whether a change asks for a new version: another number, while on sale."""
    return old.get("lifecycleStatus") in ON_SALE and old.get("version") != new.get("version")


def everybody(resource: Resource) -> tuple[str, ...]:  # noqa: ARG001
    """Return the parties of a catalogue entity: all may read it, none may change it."""
    return ("*",)


def on_create_job(job: Resource, circumstances: Circumstances) -> Resource:
    """Return a new job with its date.

    Raises:
        InvalidBody: It has no URL (HTTP 400).
    """
    if not job.get("url"):
        raise InvalidBody("/url: expected where the file is")
    if circumstances.system and job.get("creationDate"):
        return job
    return {**job, "creationDate": circumstances.timestamp}
