"""Decomposition of a product into services and resource requirements; pure.

A product specification names customer facing services (TMF633). These consist of further services,
and resource facing services name the resources that they require (TMF634). The module ``compiler``
turns the specifications into a ``Decomposition``; ``docs/fulfilment.md`` describes the data.

Source: TMF633 v4, ServiceSpecification; TMF634 v4, ResourceSpecification; GB922 for the terms
customer facing and resource facing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.mapping import CharacteristicMapping, CharacteristicSpecification
from tmf_apis.fulfilment.values import ResourceRequirement

#: Settings that limit a rate.
RATE_SETTINGS = frozenset({"downstream", "upstream"})
#: Number of combinations of values whose derived values a decomposition caches.
_MAX_CACHED = 1000


class DecompositionFailed(Unfulfillable):
    """A product cannot be decomposed: its catalogue data or the chosen values are invalid.

    Attributes:
        reasons: Everything that is wrong, for the maintainers of the catalogue.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(dict.fromkeys(reasons))
        super().__init__("; ".join(self.reasons))


@dataclass(frozen=True, slots=True)
class SpecificationIndex:
    """The specifications of services and resources by id."""

    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceSlot:
    """A resource that a service requires.

    Attributes:
        name: Its name within the service.
        specification: Id of the ResourceSpecification.
        category: Category of the TMF639 resource.
        mappings: The characteristics that the resource must have.
        amount: The part of the resource's capacity that the service uses; None: all of it.
        is_carrier: The service is set up on this resource.
        element_category: Category of the element that the resource is on; empty: any.
        optional: The service can be provided without it if the inventory has no such resource.
    """

    name: str
    specification: str
    category: str
    mappings: tuple[CharacteristicMapping, ...] = ()
    amount: CharacteristicMapping | None = None
    is_carrier: bool = False
    element_category: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """Number of instances of a service within its parent.

    Attributes:
        minimum: Smallest number.
        default: Number if the order does not choose one.
        maximum: Largest number; 0: no limit.
        source_name: Name of the parent's characteristic with the number; empty: the number is
            always ``default``.
    """

    minimum: int = 1
    default: int = 1
    maximum: int = 0
    source_name: str = ""

    def count(self, name: str, characteristics: Mapping[str, Any]) -> int:
        """Return the number of instances of a service.

        Args:
            name: Name of the service, for messages.
            characteristics: Characteristics of the parent.

        Raises:
            Unfulfillable: The chosen number is out of range or not an integer.
        """
        number = self.default
        if self.source_name:
            number = characteristics.get(self.source_name, self.default)
        if not isinstance(number, int) or isinstance(number, bool):
            raise Unfulfillable(f"{name}: {self.source_name} {number} is not a number of services")
        if number < self.minimum or (self.maximum and number > self.maximum):
            most = self.maximum or "any number"
            raise Unfulfillable(
                f"{name}: the quantity {number} is not in the range from {self.minimum} to {most}"
            )
        return number


@dataclass(frozen=True, slots=True)
class ServiceNode:
    """A service of a decomposition.

    Attributes:
        number: Its number, from 1; 0 is the product.
        parent: Number of the node that it is a part of.
        specification: Id of its ServiceSpecification.
        name: Name of the specification.
        facing: ``customer`` or ``resource``.
        quantity: Number of instances within the parent.
        mappings: Its characteristics, each after those that it gets its value from.
        slots: The resources that each instance requires.
        depends_on: Numbers of the resource facing services that are provided before it.
        external_dependencies: Ids of ServiceSpecifications that it requires and that are part of
            other products.
    """

    number: int
    parent: int
    specification: str
    name: str
    facing: str
    quantity: Quantity = field(default_factory=Quantity)
    mappings: tuple[CharacteristicMapping, ...] = ()
    slots: tuple[ResourceSlot, ...] = ()
    depends_on: tuple[int, ...] = ()
    external_dependencies: tuple[str, ...] = ()

    @property
    def carrier(self) -> ResourceSlot | None:
        """The resource that the service is set up on; None: it changes no element."""
        return next((slot for slot in self.slots if slot.is_carrier), None)


@dataclass(frozen=True, slots=True)
class DerivedValues:
    """The values that follow from the characteristics of a product; shared, so read only.

    Attributes:
        characteristics: Characteristics of the product and its services, by node number.
        requirements: Resource requirements of an instance of each service, by node number.
    """

    characteristics: tuple[Mapping[str, Any], ...]
    requirements: tuple[tuple[ResourceRequirement, ...], ...]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The services and resources that a product consists of.

    Attributes:
        specification: Id of the ProductSpecification.
        characteristics: Specifications of the product's characteristics, by name.
        nodes: Its services, each after its parent.
        provisioning_order: Numbers of the resource facing services, each after those that are
            provided before it.
        provided_specifications: Ids of the service specifications in it.
        required_specifications: Ids of those that it requires and that are part of other products.
    """

    specification: str
    characteristics: Mapping[str, CharacteristicSpecification] = field(default_factory=dict)
    nodes: tuple[ServiceNode, ...] = ()
    provisioning_order: tuple[int, ...] = ()
    provided_specifications: frozenset[str] = frozenset()
    required_specifications: frozenset[str] = frozenset()
    _cache: dict[Any, DerivedValues] = field(default_factory=dict, repr=False, compare=False)

    def derived_values(self, characteristics: dict[str, Any]) -> DerivedValues:
        """Return the values that follow from the characteristics of a product.

        Raises:
            DecompositionFailed: Some values cannot be derived; the error has all reasons.
        """
        key = tuple(characteristics.items())
        try:
            values = self._cache.get(key)
        except TypeError:  # not hashable: a value is an object or an array
            return self._derive_values(characteristics)
        if values is None:
            values = self._derive_values(characteristics)
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key] = values
        return values

    def _derive_values(self, characteristics: dict[str, Any]) -> DerivedValues:
        derivation = _Derivation(characteristics)
        requirements = [(), *map(derivation.add_node, self.nodes)]
        if derivation.reasons:
            raise DecompositionFailed(derivation.reasons)
        return DerivedValues(tuple(derivation.characteristics), tuple(requirements))


def _is_unlimited(mapping: CharacteristicMapping, characteristics: Mapping[str, Any]) -> bool:
    """Return whether a rate has no value, which an element takes for no limit."""
    name = mapping.characteristic.name
    return name in RATE_SETTINGS and not mapping.source_slot and name not in characteristics


class _Derivation:
    """Derives the values of one service after the other.

    Attributes:
        characteristics: Characteristics of the product and of the services so far, by node number.
        reasons: Reasons why values could not be derived.
    """

    def __init__(self, product: dict[str, Any]) -> None:
        self.characteristics: list[dict[str, Any]] = [product]
        self.reasons: list[str] = []
        self._failed: set[tuple[int, str]] = set()

    def add_node(self, node: ServiceNode) -> tuple[ResourceRequirement, ...]:
        """Derive the characteristics of a service; return its resource requirements."""
        characteristics: dict[str, Any] = {}
        self.characteristics.append(characteristics)
        for mapping in node.mappings:
            if not self._derive(mapping, characteristics):
                self._failed.add((node.number, mapping.characteristic.name))
            elif node.carrier and _is_unlimited(mapping, characteristics):
                self.reasons.append(
                    f"{mapping.characteristic.owner_label}: {mapping.characteristic.name} would be"
                    f" unlimited; choose a value for {mapping.source_name} (0: no limit)"
                )
        return tuple(map(self._requirement, node.slots))

    def _requirement(self, slot: ResourceSlot) -> ResourceRequirement:
        characteristics: dict[str, Any] = {}
        for mapping in slot.mappings:
            self._derive(mapping, characteristics)
        amounts: dict[str, Any] = {}
        if slot.amount:
            self._derive(slot.amount, amounts)
        return ResourceRequirement(
            slot.name,
            slot.specification,
            slot.category,
            characteristics,
            amount=int(next(iter(amounts.values()), 0)),
            is_carrier=slot.is_carrier,
            element_category=slot.element_category,
            optional=slot.optional,
        )

    def _derive(self, mapping: CharacteristicMapping, target: dict[str, Any]) -> bool:
        """Derive one value into ``target``; return False if it cannot be derived.

        A value that depends on a failed one fails without a further reason.
        """
        if mapping.source_node >= 0 and (mapping.source_node, mapping.source_name) in self._failed:
            return False
        try:
            value = mapping.value(self.characteristics)
        except Unfulfillable as error:
            self.reasons.append(str(error))
            return False
        if value is not None:
            target[mapping.characteristic.name] = value
        return True
