"""An offering as it can be ordered: its recipe and what may be chosen, made once; pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design import builtin_specifications
from tmf_apis.fulfilment.design.compiler import compile_decomposition
from tmf_apis.fulfilment.design.decomposition import (
    Decomposition,
    DecompositionFailed,
    SpecificationIndex,
    referenced_ids,
)
from tmf_apis.fulfilment.design.mapping import (
    CharacteristicSpecification,
    parse_characteristic,
    value_specifications,
)
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: Characteristic of a product specification that names a blueprint.
SERVICE_TYPE = "serviceType"
#: Most offerings that are remembered.
_MAX_OFFERS = 1000


@dataclass(frozen=True, slots=True)
class InstalledService:
    """A resource facing service that is on a resource now.

    Attributes:
        id: Its id.
        specification: Id of its ServiceSpecification; empty: not known.
        settings: How it is set up; empty: not known.
        carrier_names: Ids, names and natural keys of its carrier.
        places: Ids of the places where its carrier is.
    """

    id: str
    specification: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    carrier_names: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InstalledProduct:
    """A product that is in operation, or a service that was ordered by itself.

    Attributes:
        services: Its resource facing services.
        offering: Id of its offering, of a service of its specification; empty: not known.
        characteristics: As they were chosen; empty: not known.
        status: ``active``, ``suspended``; empty: not known.
        bundled_products: Ids of the products inside it that have services.
        customer_facing_services: Its customer facing services, where they keep their ids: from ids to the ids of
            their specifications.
        change_obstacle: Why it is not to be changed by itself; empty: it may be.
    """

    services: tuple[InstalledService, ...] = ()
    offering: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    bundled_products: tuple[str, ...] = ()
    customer_facing_services: Mapping[str, str] = field(default_factory=dict)
    change_obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What planning knows beside the order.

    Attributes:
        offerings: By id.
        product_specifications: Product specifications by id.
        service_specifications: Service specifications by id.
        resource_specifications: Resource specifications by id.
        specification_by_service_type: From a ``serviceType`` to the id of the tenant's own service specification of that
            name.
        installed_base: Products in operation by id.
        standalone_specifications: Service specifications as they are where they are ordered by themselves, by id;
            ``offerings`` has an offering of each.
    """

    offerings: Mapping[str, Resource] = field(default_factory=dict)
    product_specifications: Mapping[str, Resource] = field(default_factory=dict)
    service_specifications: Mapping[str, Resource] = field(default_factory=dict)
    resource_specifications: Mapping[str, Resource] = field(default_factory=dict)
    specification_by_service_type: Mapping[str, str] = field(default_factory=dict)
    installed_base: Mapping[str, InstalledProduct] = field(default_factory=dict)
    standalone_specifications: Mapping[str, Resource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offering as it can be ordered.

    Attributes:
        id: Of the offering.
        name: What it is called.
        specification: Id of its product specification; empty: it has none.
        decomposition: What it takes; None: nothing on the network, by itself.
        characteristics: What may be chosen.
        bundled_offerings: Ids of the offerings inside it, each as often as it is inside.
    """

    id: str
    name: str
    specification: str
    decomposition: Decomposition | None = None
    characteristics: Mapping[str, CharacteristicSpecification] = field(default_factory=dict)
    bundled_offerings: tuple[str, ...] = ()

    def product_characteristics(
        self, ordered_values: Mapping[str, Any], current_values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the characteristics of a product of this offering.

        Args:
            ordered_values: What the order says; what the specification does not have is left out.
            current_values: What the product has; what the offering does not allow is left out.

        Raises:
            Faulty: What is wanted is not allowed; all reasons.
        """
        made, reasons = {}, []
        for name, choice in self.characteristics.items():
            try:
                value = _characteristic_value(choice, name, ordered_values, current_values)
            except Unfulfillable as error:
                reasons.append(str(error))
                continue
            if value is not None:
                made[name] = value
        if reasons:
            raise DecompositionFailed(reasons)
        return made


def _characteristic_value(
    characteristic: CharacteristicSpecification,
    name: str,
    ordered_values: Mapping[str, Any],
    current_values: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    if name in ordered_values:
        return characteristic.normalized_value(ordered_values[name], characteristic.unit)
    if name in current_values:
        try:
            return characteristic.normalized_value(current_values[name], characteristic.unit)
        except Unfulfillable:  # another offering by now
            return characteristic.default
    if characteristic.default is None and characteristic.required:
        raise Unfulfillable(f"{characteristic.owner_label}: nothing was chosen for {name}")
    return characteristic.default


class OfferCache:
    """Offers, each kept for as long as everything that it was made of stays the same."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], tuple[list[_Lookup], Offer | DecompositionFailed]] = {}

    def get(self, tenant: str, id: str, catalog: Catalog) -> Offer:
        """Return an offering as it can be ordered.

        Raises:
            Faulty: It is unknown or cannot be fulfilled; all reasons.
        """
        known = self._entries.get((tenant, id))
        if known is None or not all(read.is_current(catalog) for read in known[0]):
            if len(self._entries) >= _MAX_OFFERS:
                self._entries.clear()
            known = self._entries[tenant, id] = _compile_offer(id, catalog)
        if isinstance(known[1], DecompositionFailed):
            raise DecompositionFailed(known[1].reasons)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Something that was looked up in the catalogue, and what was found."""

    section: Callable[[Catalog], Mapping[str, Any]]
    id: str
    result: object

    def is_current(self, catalog: Catalog) -> bool:
        now = self.section(catalog).get(self.id)
        return now is self.result or now == self.result


class _RecordingMapping(Mapping[str, Any]):
    """A part of the catalogue that notes what is looked up."""

    def __init__(
        self,
        section: Callable[[Catalog], Mapping[str, Any]],
        catalog: Catalog,
        lookups: list[_Lookup],
        builtin: Mapping[str, Any],
    ) -> None:
        self._section, self._lookups = section, lookups
        self._entries, self._builtin = section(catalog), builtin

    def __getitem__(self, id: str) -> Any:  # noqa: ANN401
        found = self._entries.get(id)
        self._lookups.append(_Lookup(self._section, id, found))
        return self._builtin[id] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _offerings(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.offerings


def _product_specifications(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.product_specifications


def _service_specifications(id: str, catalog: Catalog) -> Mapping[str, Any]:
    """Return the service specifications as they are where one of them is ordered, or an offer."""
    if (root := catalog.standalone_specifications.get(id)) is None:
        return catalog.service_specifications
    return {**catalog.service_specifications, id: root}


def _resource_specifications(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.resource_specifications


def _specification_by_service_type(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.specification_by_service_type


def _compile_offer(id: str, catalog: Catalog) -> tuple[list[_Lookup], Offer | DecompositionFailed]:
    read: list[_Lookup] = []
    offering = _RecordingMapping(_offerings, catalog, read, {}).get(id)
    if offering is None:
        return read, DecompositionFailed([f"the catalogue has no {offering_label(catalog, id)}"])
    specification = specification_id(offering)
    product = _RecordingMapping(_product_specifications, catalog, read, {}).get(specification)
    shelf = SpecificationIndex(
        _RecordingMapping(
            partial(_service_specifications, id),
            catalog,
            read,
            builtin_specifications.SERVICE_SPECIFICATIONS,
        ),
        _RecordingMapping(
            _resource_specifications, catalog, read, builtin_specifications.RESOURCE_SPECIFICATIONS
        ),
    )
    name = str(offering.get("name") or id)
    where = offering_label(catalog, id)
    try:
        types = _RecordingMapping(
            _specification_by_service_type,
            catalog,
            read,
            builtin_specifications.SPECIFICATION_BY_SERVICE_TYPE,
        )
        recipe = decomposition_of(product, shelf, types) if product else None
        choices = _narrowed_characteristics(recipe, offering, where) if recipe else {}
    except DecompositionFailed as fault:
        return read, DecompositionFailed(f"{where}: {reason}" for reason in fault.reasons)
    except Unfulfillable as error:
        return read, DecompositionFailed([f"{where}: {error}"])
    return read, Offer(
        id, name, specification, recipe, choices, tuple(bundled_offering_ids(offering))
    )


def offering_label(catalog: Catalog, id: str) -> str:
    """Return what people call what is ordered: an offering, or a service by itself."""
    return (
        f"{'service specification' if id in catalog.standalone_specifications else 'offering'} {id}"
    )


def decomposition_of(
    product: Mapping[str, Any], index: SpecificationIndex, specification_by_type: Mapping[str, str]
) -> Decomposition | None:
    """Return the recipe of a product specification; None: it is nothing for the network.

    Args:
        product: The ProductSpecification.
        index: The specifications of services and resources.
        specification_by_type: From a ``serviceType`` to the id of the specification that stands for it.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    roots = referenced_ids(product, "serviceSpecification")
    if any(root in index.services for root in roots):
        return compile_decomposition(product, roots, index)
    kinds = service_types(product)
    if not kinds:
        return None
    if len(kinds) == 1 and (root := specification_by_type.get(kinds[0])):
        return compile_decomposition(product, [root], index)
    known = ", ".join(sorted(builtin_specifications.SPECIFICATION_BY_SERVICE_TYPE))
    reason = (
        f"there is no way to fulfil serviceType {', '.join(kinds)}: the service catalogue has no"
        f" specification of that name, and those that are shipped are {known}"
    )
    raise DecompositionFailed([reason])


def service_types(product: Mapping[str, Any]) -> list[str]:
    """Return the values of a product specification's ``serviceType``."""
    return [
        str(value.get("value"))
        for one in json_objects(product.get("productSpecCharacteristic"))
        if one.get("name") == SERVICE_TYPE
        for value in value_specifications(one)
    ]


def _narrowed_characteristics(
    decomposition: Decomposition, offering: Mapping[str, Any], owner_label: str
) -> dict[str, CharacteristicSpecification]:
    """Return what may be chosen: what the specification allows, less what the offering leaves."""
    made = dict(decomposition.characteristics)
    for one in json_objects(offering.get("prodSpecCharValueUse")):
        name, values = str(one.get("name")), value_specifications(one)
        if not values or (general := made.get(name)) is None:
            continue
        use = parse_characteristic(
            {"valueType": general.type, **one}, values, owner_label, general.unit
        )
        free = CharacteristicSpecification(name, owner_label, general.type, general.unit)
        options = tuple(free.normalized_value(value, use.unit) for value in use.allowed_values)
        default = None if use.default is None else free.normalized_value(use.default, use.unit)
        made[name] = CharacteristicSpecification(
            name, owner_label, general.type, general.unit, options or general.allowed_values,
            default if options else general.default, use.minimum or general.minimum,
            use.maximum or general.maximum, general.required,
        )  # fmt: skip
    return {name: _with_owner_label(choice, owner_label) for name, choice in made.items()}


def _with_owner_label(
    characteristic: CharacteristicSpecification, owner_label: str
) -> CharacteristicSpecification:
    return CharacteristicSpecification(
        characteristic.name, owner_label, characteristic.type, characteristic.unit, characteristic.allowed_values, characteristic.default, characteristic.minimum,
        characteristic.maximum, characteristic.required,
    )  # fmt: skip


def specification_id(offering: Mapping[str, Any]) -> str:
    """Return the id of an offering's product specification; empty where it has none."""
    return _reference_id(offering.get("productSpecification"))


def bundled_offering_ids(offering: Mapping[str, Any]) -> list[str]:
    """Return the ids of the offerings that are sold inside another, each as often as it is."""
    return [
        id
        for one in json_objects(offering.get("bundledProductOffering"))
        if (id := _reference_id(one))
        for _ in range(_quantity(one.get("bundledProductOfferingOption")))
    ]


def _quantity(option: object) -> int:
    if not isinstance(option, Mapping):
        return 1
    for name in ("numberRelOfferDefault", "numberRelOfferLowerLimit"):
        if isinstance(number := option.get(name), int) and not isinstance(number, bool):
            return max(0, min(number, 100))
    return 1


def _reference_id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
