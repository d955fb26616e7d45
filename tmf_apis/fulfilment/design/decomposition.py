"""What a product takes: a product specification and all below it, compiled into a recipe; pure.

A product specification names customer facing services (TMF633), these consist of others, and those
that face resources name what they take (TMF634). ``docs/fulfilment.md`` describes the data.

Source: TMF633 v4, ServiceSpecification; TMF634 v4, ResourceSpecification; GB922 for the words
customer facing and resource facing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.mapping import CharacteristicMapping, CharacteristicSpecification
from tmf_apis.fulfilment.values import ResourceRequirement
from tmf_apis.rest.pipeline.json_values import json_objects

#: ``relationshipType`` of a resource to the element that it is on.
CONTAINMENT_TYPES = frozenset({"isContainedIn", "isProvisionedOn", "isManagedBy"})
#: ``relationshipType`` of a characteristic to the one that it has its value from.
MAPS_FROM = "mapsFrom"


class DecompositionFailed(Unfulfillable):
    """Catalogue data from which nothing can be fulfilled.

    Attributes:
        reasons: Everything that is wrong, for whoever looks after the catalogue.
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
    """A resource that a service takes.

    Attributes:
        name: Its name within the service.
        specification: Id of the ResourceSpecification.
        category: Category of the TMF639 resource.
        mappings: What it must have.
        amount: How much is drawn of it; None: it is taken whole.
        is_carrier: The service is set up on it.
        element_category: Category of the element that it is on; empty: it does not matter.
        optional: It is taken only where there is one.
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
    """How many there are of a service.

    Attributes:
        minimum: Least.
        default: Where nobody says.
        maximum: Most; 0: no limit.
        source_name: Name of the characteristic above that says how many; empty: always ``default``.
    """

    minimum: int = 1
    default: int = 1
    maximum: int = 0
    source_name: str = ""

    def count(self, name: str, characteristics: Mapping[str, Any]) -> int:
        """Return how many of a service there are.

        Raises:
            Refused: That is too few, too many or no number.
        """
        wanted = (
            characteristics.get(self.source_name, self.default)
            if self.source_name
            else self.default
        )
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            raise Unfulfillable(f"{name}: {self.source_name} {wanted} is no number of services")
        if wanted < self.minimum or (self.maximum and wanted > self.maximum):
            most = self.maximum or "any number"
            raise Unfulfillable(
                f"{name}: {wanted} of it, but there are from {self.minimum} to {most}"
            )
        return wanted


@dataclass(frozen=True, slots=True)
class ServiceNode:
    """A service of the recipe.

    Attributes:
        number: Its number; 0 is the product.
        parent: Number of what it is a part of.
        specification: Id of its ServiceSpecification.
        name: What that is called.
        facing: ``customer`` or ``resource``.
        quantity: How many there are of it.
        mappings: Its characteristics, each after those that it has its value from.
        slots: The resources that each takes.
        depends_on: Numbers of the resource facing services that are provided before it.
        external_dependencies: Ids of ServiceSpecifications that have to be there and are in other products.
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


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What a product takes.

    Attributes:
        specification: Id of the ProductSpecification.
        characteristics: What the product's characteristics may be.
        nodes: Its services; each after the one that it is a part of.
        provisioning_order: Numbers of the resource facing ones, each after those that come before it.
        provided_specifications: Ids of the service specifications in it.
        required_specifications: Ids of those that have to be there and are in other products.
    """

    specification: str
    characteristics: Mapping[str, CharacteristicSpecification] = field(default_factory=dict)
    nodes: tuple[ServiceNode, ...] = ()
    provisioning_order: tuple[int, ...] = ()
    provided_specifications: frozenset[str] = frozenset()
    required_specifications: frozenset[str] = frozenset()
    _cache: dict[Any, "DerivedValues"] = field(default_factory=dict, repr=False, compare=False)

    def derived_values(self, product: dict[str, Any]) -> "DerivedValues":
        """Return what follows from the characteristics of a product.

        Raises:
            Faulty: Some do not follow; all reasons.
        """
        key = tuple(product.items())
        try:
            if (known := self._cache.get(key)) is not None:
                return known
        except TypeError:  # a value that is an object or an array
            return self._derive_values(product)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        found = self._cache[key] = self._derive_values(product)
        return found

    def _derive_values(self, product: dict[str, Any]) -> "DerivedValues":
        levels: list[dict[str, Any]] = [product]
        failed: dict[tuple[int, str], str] = {}
        needs: list[tuple[ResourceRequirement, ...]] = [()]
        for node in self.nodes:
            levels.append({})
            for feed in node.mappings:
                self._put_value(feed, levels, levels[-1], failed, node.number)
            needs.append(tuple(self._requirement(slot, levels, failed) for slot in node.slots))
        if reasons := [reason for reason in failed.values() if reason]:
            raise DecompositionFailed(reasons)
        return DerivedValues(tuple(levels), tuple(needs))

    def _requirement(
        self,
        slot: ResourceSlot,
        characteristics: list[dict[str, Any]],
        failures: dict[tuple[int, str], str],
    ) -> ResourceRequirement:
        wanted: dict[str, Any] = {}
        for feed in (*slot.mappings, *((slot.amount,) if slot.amount else ())):
            self._put_value(feed, characteristics, wanted, failures, -len(failures) - 1)
        amount = wanted.pop(slot.amount.characteristic.name, 0) if slot.amount else 0
        return ResourceRequirement(
            slot.name,
            slot.specification,
            slot.category,
            wanted,
            amount=int(amount),
            is_carrier=slot.is_carrier,
            element_category=slot.element_category,
            optional=slot.optional,
        )

    @staticmethod
    def _put_value(
        mapping: CharacteristicMapping,
        characteristics: list[dict[str, Any]],
        target: dict[str, Any],
        failures: dict[tuple[int, str], str],
        node_number: int,
    ) -> None:
        """Put a value where it belongs; what hangs on one that failed fails without a word."""
        if mapping.source_node >= 0 and (mapping.source_node, mapping.source_name) in failures:
            failures[node_number, mapping.characteristic.name] = ""
            return
        try:
            value = mapping.value(characteristics)
        except Unfulfillable as error:
            failures[node_number, mapping.characteristic.name] = str(error)
            return
        if value is not None:
            target[mapping.characteristic.name] = value


@dataclass(frozen=True, slots=True)
class DerivedValues:
    """What follows from the characteristics of a product; nobody may change it.

    Attributes:
        characteristics: Characteristics of product and services, by the numbers of the services.
        requirements: What each of the services takes, by the same numbers.
    """

    characteristics: tuple[Mapping[str, Any], ...]
    requirements: tuple[tuple[ResourceRequirement, ...], ...]


#: Most combinations of values of which a recipe remembers what they lead to.
_MAX_CACHED = 1000


def relationships(
    specification: Mapping[str, Any], types: frozenset[str], member: str = "serviceSpecRelationship"
) -> list[dict[str, Any]]:
    """Return a specification's relationships of some types."""
    return [
        one
        for one in json_objects(specification.get(member))
        if one.get("relationshipType") in types and one.get("id")
    ]


def referenced_ids(specification: Mapping[str, Any], member: str) -> list[str]:
    """Return the ids that a specification names in a list of references."""
    return [str(one["id"]) for one in json_objects(specification.get(member)) if one.get("id")]
