"""What a product takes: a product specification and all below it, compiled into a recipe; pure.

A product specification names customer facing services (TMF633), these consist of others, and those
that face resources name what they take (TMF634). ``docs/fulfilment.md`` describes the data.

Source: TMF633 v4, ServiceSpecification; TMF634 v4, ResourceSpecification; GB922 for the words
customer facing and resource facing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.design.mapping import Choice, Feed
from tmf_apis.fulfilment.values import Need, Refused

#: ``relationshipType`` of a specification to those that it decomposes into, and to those that have
#: to be there before; of a resource to the element that it is on.
PARTS = frozenset({"consistsOf", "composedOf", "bundled"})
BEFORE = frozenset({"requires", "dependency", "reliesOn"})
ON = frozenset({"isContainedIn", "isProvisionedOn", "isManagedBy"})
#: ``relationshipType`` of a characteristic to the one that it has its value from.
MAPS_FROM = "mapsFrom"


class Faulty(Refused):
    """Catalogue data from which nothing can be fulfilled.

    Attributes:
        reasons: Everything that is wrong, for whoever looks after the catalogue.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(dict.fromkeys(reasons))
        super().__init__("; ".join(self.reasons))


@dataclass(frozen=True, slots=True)
class Shelf:
    """The specifications of services and resources by id."""

    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slot:
    """A resource that a service takes.

    Attributes:
        name: Its name within the service.
        specification: Id of the ResourceSpecification.
        category: Category of the TMF639 resource.
        wanted: What it must have.
        amount: How much is drawn of it; None: it is taken whole.
        carrier: The service is set up on it.
        on: Category of the element that it is on; empty: it does not matter.
        optional: It is taken only where there is one.
    """

    name: str
    specification: str
    category: str
    wanted: tuple[Feed, ...] = ()
    amount: Feed | None = None
    carrier: bool = False
    on: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many there are of a service.

    Attributes:
        low: Least.
        usual: Where nobody says.
        high: Most; 0: no limit.
        of: Name of the characteristic above that says how many; empty: always ``usual``.
    """

    low: int = 1
    usual: int = 1
    high: int = 0
    of: str = ""

    def count(self, name: str, above: Mapping[str, Any]) -> int:
        """Return how many of a service there are.

        Raises:
            Refused: That is too few, too many or no number.
        """
        wanted = above.get(self.of, self.usual) if self.of else self.usual
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            raise Refused(f"{name}: {self.of} {wanted} is no number of services")
        if wanted < self.low or (self.high and wanted > self.high):
            most = self.high or "any number"
            raise Refused(f"{name}: {wanted} of it, but there are from {self.low} to {most}")
        return wanted


@dataclass(frozen=True, slots=True)
class Node:
    """A service of the recipe.

    Attributes:
        level: Its number; 0 is the product.
        above: Number of what it is a part of.
        specification: Id of its ServiceSpecification.
        name: What that is called.
        facing: ``customer`` or ``resource``.
        quantity: How many there are of it.
        feeds: Its characteristics, each after those that it has its value from.
        slots: The resources that each takes.
        before: Numbers of the resource facing services that are provided before it.
        outside: Ids of ServiceSpecifications that have to be there and are in other products.
    """

    level: int
    above: int
    specification: str
    name: str
    facing: str
    quantity: Quantity = field(default_factory=Quantity)
    feeds: tuple[Feed, ...] = ()
    slots: tuple[Slot, ...] = ()
    before: tuple[int, ...] = ()
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a product takes.

    Attributes:
        specification: Id of the ProductSpecification.
        choices: What the product's characteristics may be.
        nodes: Its services; each after the one that it is a part of.
        order: Numbers of the resource facing ones, each after those that come before it.
        provides: Ids of the service specifications in it.
        requires: Ids of those that have to be there and are in other products.
    """

    specification: str
    choices: Mapping[str, Choice] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    order: tuple[int, ...] = ()
    provides: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    _known: dict[Any, "Figures"] = field(default_factory=dict, repr=False, compare=False)

    def figures(self, product: dict[str, Any]) -> "Figures":
        """Return what follows from the characteristics of a product.

        Raises:
            Faulty: Some do not follow; all reasons.
        """
        key = tuple(product.items())
        try:
            if (known := self._known.get(key)) is not None:
                return known
        except TypeError:  # a value that is an object or an array
            return self._figures(product)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        found = self._known[key] = self._figures(product)
        return found

    def _figures(self, product: dict[str, Any]) -> "Figures":
        levels: list[dict[str, Any]] = [product]
        failed: dict[tuple[int, str], str] = {}
        needs: list[tuple[Need, ...]] = [()]
        for node in self.nodes:
            levels.append({})
            for feed in node.feeds:
                self._put(feed, levels, levels[-1], failed, node.level)
            needs.append(tuple(self._need(slot, levels, failed) for slot in node.slots))
        if reasons := [reason for reason in failed.values() if reason]:
            raise Faulty(reasons)
        return Figures(tuple(levels), tuple(needs))

    def _need(
        self, slot: Slot, levels: list[dict[str, Any]], failed: dict[tuple[int, str], str]
    ) -> Need:
        wanted: dict[str, Any] = {}
        for feed in (*slot.wanted, *((slot.amount,) if slot.amount else ())):
            self._put(feed, levels, wanted, failed, -len(failed) - 1)
        amount = wanted.pop(slot.amount.choice.name, 0) if slot.amount else 0
        return Need(
            slot.name,
            slot.specification,
            slot.category,
            wanted,
            amount=int(amount),
            carrier=slot.carrier,
            on=slot.on,
            optional=slot.optional,
        )

    @staticmethod
    def _put(
        feed: Feed,
        levels: list[dict[str, Any]],
        made: dict[str, Any],
        failed: dict[tuple[int, str], str],
        level: int,
    ) -> None:
        """Put a value where it belongs; what hangs on one that failed fails without a word."""
        if feed.level >= 0 and (feed.level, feed.of) in failed:
            failed[level, feed.choice.name] = ""
            return
        try:
            value = feed.value(levels)
        except Refused as error:
            failed[level, feed.choice.name] = str(error)
            return
        if value is not None:
            made[feed.choice.name] = value


@dataclass(frozen=True, slots=True)
class Figures:
    """What follows from the characteristics of a product; nobody may change it.

    Attributes:
        levels: Characteristics of product and services, by the numbers of the services.
        needs: What each of the services takes, by the same numbers.
    """

    levels: tuple[Mapping[str, Any], ...]
    needs: tuple[tuple[Need, ...], ...]


#: Most combinations of values of which a recipe remembers what they lead to.
_REMEMBERED = 1000


def related(
    specification: Mapping[str, Any], types: frozenset[str], member: str = "serviceSpecRelationship"
) -> list[dict[str, Any]]:
    """Return a specification's relationships of some types."""
    return [
        one
        for one in objects(specification.get(member))
        if one.get("relationshipType") in types and one.get("id")
    ]


def refers_to(specification: Mapping[str, Any], member: str) -> list[str]:
    """Return the ids that a specification names in a list of references."""
    return [str(one["id"]) for one in objects(specification.get(member)) if one.get("id")]
