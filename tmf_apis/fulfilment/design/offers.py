"""Offerings in the form in which they are ordered: compiled once, valid until they change; pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design import builtin_specifications
from tmf_apis.fulfilment.design.catalog import Catalog
from tmf_apis.fulfilment.design.characteristic_names import orderable_names
from tmf_apis.fulfilment.design.compiler import compile_decomposition
from tmf_apis.fulfilment.design.decomposition import (
    Decomposition,
    DecompositionFailed,
    SpecificationIndex,
)
from tmf_apis.fulfilment.design.mapping import (
    CharacteristicSpecification,
    parse_characteristic,
    value_specifications,
)
from tmf_apis.fulfilment.design.nearest_names import question
from tmf_apis.fulfilment.design.references import reference_id, referenced_ids
from tmf_apis.rest.pipeline.json_values import json_objects

#: Characteristic of a product specification that names a type of service.
SERVICE_TYPE = "serviceType"
#: Largest number of offers in a cache.
_MAX_OFFERS = 1000
#: Largest number of times that one offering is inside another.
_MAX_BUNDLED = 100


@dataclass(frozen=True, slots=True)
class Offer:
    """An offering in the form in which it is ordered.

    Attributes:
        id: Id of the offering.
        name: Its name.
        specification: Id of its product specification; empty: it has none.
        decomposition: The services and resources of its product; None: none on the network.
        characteristics: Specifications of the characteristics that the customer chooses, by name.
        bundled_offerings: Ids of the offerings inside it, each as often as it is inside.
        orderable_names: Names of the characteristics that an order may choose.
    """

    id: str
    name: str
    specification: str
    decomposition: Decomposition | None = None
    characteristics: Mapping[str, CharacteristicSpecification] = field(default_factory=dict)
    bundled_offerings: tuple[str, ...] = ()
    orderable_names: frozenset[str] = frozenset()

    def product_characteristics(
        self, ordered_values: Mapping[str, Any], current_values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the characteristics of a product of this offering.

        Args:
            ordered_values: Values from the order; values of unknown characteristics are ignored.
            current_values: Values of the product; values that the offering does not allow are
                ignored.

        Raises:
            DecompositionFailed: Ordered values are not allowed; the error has all reasons.
        """
        values, reasons = {}, []
        for name, characteristic in self.characteristics.items():
            try:
                value = _characteristic_value(characteristic, ordered_values, current_values)
            except Unfulfillable as error:
                reasons.append(str(error))
                continue
            if value is not None:
                values[name] = value
        if reasons:
            raise DecompositionFailed(reasons)
        return values


def _characteristic_value(
    characteristic: CharacteristicSpecification,
    ordered_values: Mapping[str, Any],
    current_values: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    name = characteristic.name
    if name in ordered_values:
        return characteristic.normalized_value(ordered_values[name], characteristic.unit)
    if name in current_values:
        try:
            return characteristic.normalized_value(current_values[name], characteristic.unit)
        except Unfulfillable:  # the product changes to an offering that does not allow the value
            return characteristic.default
    if characteristic.default is None and characteristic.required:
        raise Unfulfillable(f"{characteristic.owner_label}: a value for {name} is required")
    return characteristic.default


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A lookup in the catalogue, with its result."""

    section: Callable[[Catalog], Mapping[str, Any]]
    id: str
    result: object

    def is_current(self, catalog: Catalog) -> bool:
        current = self.section(catalog).get(self.id)
        return current is self.result or current == self.result


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """A compiled offer, or the reasons why there is none, with the lookups that it depends on."""

    lookups: list[_Lookup]
    offer: Offer | None
    reasons: tuple[str, ...] = ()


class OfferCache:
    """Caches compiled offers for as long as the catalogue entries they depend on are the same.

    Safe for use by several threads.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _CacheEntry] = {}

    def get(self, tenant: str, id: str, catalog: Catalog) -> Offer:
        """Return an offering in the form in which it is ordered.

        Raises:
            DecompositionFailed: It is unknown or cannot be fulfilled; the error has all reasons.
        """
        entry = self._entries.get((tenant, id))
        if entry is None or not all(lookup.is_current(catalog) for lookup in entry.lookups):
            if len(self._entries) >= _MAX_OFFERS:
                self._entries.clear()
            entry = self._entries[tenant, id] = _cache_entry(id, catalog)
        if entry.offer is None:
            raise DecompositionFailed(entry.reasons)
        return entry.offer


def _cache_entry(id: str, catalog: Catalog) -> _CacheEntry:
    lookups: list[_Lookup] = []
    try:
        return _CacheEntry(lookups, _compile_offer(id, catalog, lookups))
    except DecompositionFailed as error:
        return _CacheEntry(lookups, None, error.reasons)


class _RecordingMapping(Mapping[str, Any]):
    """A section of the catalogue that records lookups; built-in entries are the fallback."""

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
        entry = self._entries.get(id)
        self._lookups.append(_Lookup(self._section, id, entry))
        return self._builtin[id] if entry is None else entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _offerings(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.offerings


def _product_specifications(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.product_specifications


def _service_specifications(id: str, catalog: Catalog) -> Mapping[str, Any]:
    """Return the service specifications that apply to an offering, or to a standalone service."""
    if (standalone := catalog.standalone_specifications.get(id)) is None:
        return catalog.service_specifications
    return {**catalog.service_specifications, id: standalone}


def _resource_specifications(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.resource_specifications


def _specification_by_service_type(catalog: Catalog) -> Mapping[str, Any]:
    return catalog.specification_by_service_type


def compile_offer(id: str, catalog: Catalog) -> Offer:
    """Compile an offering into the form in which it is ordered.

    Raises:
        DecompositionFailed: It is unknown or cannot be fulfilled; the error has all reasons.
    """
    return _compile_offer(id, catalog, [])


def _compile_offer(id: str, catalog: Catalog, lookups: list[_Lookup]) -> Offer:
    label = offering_label(catalog, id)
    offering = _RecordingMapping(_offerings, catalog, lookups, {}).get(id)
    if offering is None:
        raise DecompositionFailed([f"the catalogue has no {label}"])
    specification = specification_id(offering)
    product = _RecordingMapping(_product_specifications, catalog, lookups, {}).get(specification)
    try:
        decomposition = _decomposition(id, product, catalog, lookups) if product else None
        characteristics = (
            _narrowed_characteristics(decomposition, offering, label) if decomposition else {}
        )
    except DecompositionFailed as error:
        raise DecompositionFailed(f"{label}: {reason}" for reason in error.reasons) from None
    except Unfulfillable as error:
        raise DecompositionFailed([f"{label}: {error}"]) from None
    return Offer(
        id,
        str(offering.get("name") or id),
        specification,
        decomposition,
        characteristics,
        tuple(bundled_offering_ids(offering)),
        orderable_names(product, decomposition),
    )


def offering_label(catalog: Catalog, id: str) -> str:
    """Return the name of an offering, or of a service that is ordered by itself, for messages."""
    is_service = id in catalog.standalone_specifications
    return f"{'service specification' if is_service else 'offering'} {id}"


def _decomposition(
    id: str, product: Mapping[str, Any], catalog: Catalog, lookups: list[_Lookup]
) -> Decomposition | None:
    """Return the decomposition of the product of an offering; None: nothing is on the network.

    Args:
        id: Id of the offering.
        product: The ProductSpecification.
        catalog: Has everything below it.
        lookups: Gets the lookups in the catalogue.

    Raises:
        DecompositionFailed: The product cannot be fulfilled; the error has all reasons.
    """
    index = SpecificationIndex(
        _RecordingMapping(
            partial(_service_specifications, id),
            catalog,
            lookups,
            builtin_specifications.SERVICE_SPECIFICATIONS,
        ),
        _RecordingMapping(
            _resource_specifications,
            catalog,
            lookups,
            builtin_specifications.RESOURCE_SPECIFICATIONS,
        ),
    )
    roots = referenced_ids(product, "serviceSpecification")
    if any(root in index.services for root in roots):
        return compile_decomposition(product, roots, index)
    types = service_types(product)
    if not types:
        return None
    specification_by_type = _RecordingMapping(
        _specification_by_service_type,
        catalog,
        lookups,
        builtin_specifications.SPECIFICATION_BY_SERVICE_TYPE,
    )
    if len(types) == 1 and (root := specification_by_type.get(types[0])):
        return compile_decomposition(product, [root], index)
    known = ", ".join(sorted(builtin_specifications.SPECIFICATION_BY_SERVICE_TYPE))
    reason = (
        f"serviceType {', '.join(types)} cannot be fulfilled: the service catalogue has no"
        f" specification of that name, and only {known} is built in"
    )
    raise DecompositionFailed([reason])


def service_types(product: Mapping[str, Any]) -> list[str]:
    """Return the values of ``serviceType`` in a product specification."""
    return [
        str(value.get("value"))
        for characteristic in json_objects(product.get("productSpecCharacteristic"))
        if characteristic.get("name") == SERVICE_TYPE
        for value in value_specifications(characteristic)
    ]


def _narrowed_characteristics(
    decomposition: Decomposition, offering: Mapping[str, Any], owner_label: str
) -> dict[str, CharacteristicSpecification]:
    """Return the characteristics of a product, narrowed to the values that the offering uses."""
    characteristics = {
        name: replace(characteristic, owner_label=owner_label)
        for name, characteristic in decomposition.characteristics.items()
    }
    for value_use in json_objects(offering.get("prodSpecCharValueUse")):
        name, values = str(value_use.get("name")), value_specifications(value_use)
        if name not in characteristics:
            raise Unfulfillable(
                f"prodSpecCharValueUse names {name}, which the product specification does not have"
                f"{question(name, characteristics)}"
            )
        if values:
            general = characteristics[name]
            use = parse_characteristic(
                {"valueType": general.type, **value_use}, values, owner_label, general.unit
            )
            characteristics[name] = _narrowed(general, use)
    return characteristics


def _narrowed(
    general: CharacteristicSpecification, use: CharacteristicSpecification
) -> CharacteristicSpecification:
    """Return a characteristic with the allowed values, default and range of its use, if any."""
    free = CharacteristicSpecification(
        general.name, general.owner_label, general.type, general.unit
    )
    narrowed = replace(
        general,
        minimum=general.minimum if use.minimum is None else use.minimum,
        maximum=general.maximum if use.maximum is None else use.maximum,
    )
    if not use.allowed_values:
        return narrowed
    return replace(
        narrowed,
        allowed_values=tuple(
            free.normalized_value(value, use.unit) for value in use.allowed_values
        ),
        default=None if use.default is None else free.normalized_value(use.default, use.unit),
    )


def specification_id(offering: Mapping[str, Any]) -> str:
    """Return the id of an offering's product specification; empty if it has none."""
    return reference_id(offering.get("productSpecification"))


def bundled_offering_ids(offering: Mapping[str, Any]) -> list[str]:
    """Return the ids of the offerings inside another, each as often as it is inside."""
    return [
        id
        for bundled in json_objects(offering.get("bundledProductOffering"))
        if (id := reference_id(bundled))
        for _ in range(_bundled_quantity(bundled.get("bundledProductOfferingOption")))
    ]


def _bundled_quantity(option: object) -> int:
    if not isinstance(option, Mapping):
        return 1
    for name in ("numberRelOfferDefault", "numberRelOfferLowerLimit"):
        if isinstance(number := option.get(name), int) and not isinstance(number, bool):
            return max(0, min(number, _MAX_BUNDLED))
    return 1
