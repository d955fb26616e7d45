"""A recipe is compiled from specifications: everything that is wrong with them is found here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.design.mapping import Choice, Feed, described, factor, specified
from tmf_apis.fulfilment.design.recipes import (
    BEFORE,
    MAPS_FROM,
    ON,
    PARTS,
    Faulty,
    Node,
    Quantity,
    Recipe,
    Shelf,
    Slot,
    refers_to,
    related,
)
from tmf_apis.fulfilment.values import Refused
from tmf_apis.rest.cycles import cycle

#: Rates that adapters take in bits per second, whatever a specification leaves out.
_BITS = "bit/s"
_RATES = frozenset({"downstream", "upstream", "bandwidth"})
#: What is drawn from a resource that many share.
_AMOUNT = "bandwidth"
#: Most services of one product.
_MOST = 200
_Names = dict[str, Choice]


def compiled(product: Mapping[str, Any], roots: list[str], shelf: Shelf) -> Recipe:
    """Return the recipe of a product specification.

    Args:
        product: The ProductSpecification.
        roots: Ids of the service specifications that it names, or that stand for its type.
        shelf: The specifications of services and resources.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    return _Compiler(product, shelf).recipe(roots)


class _Compiler:
    """Goes down the tree once; what is wrong is gathered, so that all of it can be told."""

    def __init__(self, product: Mapping[str, Any], shelf: Shelf) -> None:
        self.product = product
        self.shelf = shelf
        self.faults: list[str] = []
        self.nodes: list[Node] = []
        self.names: list[_Names] = [self._of_product(product)]

    def recipe(self, roots: list[str]) -> Recipe:
        for id in roots:
            self._descend(id, 0, {}, ())
        if self.faults:
            raise Faulty(self.faults)
        order = self._order()
        if self.faults:
            raise Faulty(self.faults)
        id = str(self.product.get("id"))
        provides = frozenset(node.specification for node in self.nodes)
        requires = frozenset(one for node in self.nodes for one in node.outside)
        return Recipe(id, self.names[0], tuple(self.nodes), order, provides, requires)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            self.faults.append(str(error))

    def _of_product(self, product: Mapping[str, Any]) -> _Names:
        where = f"product specification {_called(product)}"
        return self._described(product, "productSpecCharacteristic", where)

    def _described(self, specification: Mapping[str, Any], member: str, where: str) -> _Names:
        made: _Names = {}
        for one in objects(specification.get(member)):
            unit = _BITS if one.get("name") in _RATES and member != _OF_PRODUCT else ""
            with self._told():
                choice = described(one, specified(one), where, unit)
                made[choice.name] = choice
        return made

    def _descend(
        self, id: str, above: int, relation: Mapping[str, Any], path: tuple[str, ...]
    ) -> None:
        if id in path:
            circle = " -> ".join([*path[path.index(id) :], id])
            self.faults.append(f"service specification {id} consists of itself: {circle}")
            return
        if (found := self.shelf.services.get(id)) is None:
            by = f"service specification {path[-1]}" if path else "the product specification"
            self.faults.append(f"{by} names service specification {id}, which is not there")
            return
        if len(self.nodes) >= _MOST:
            self.faults.append(f"the product consists of more than {_MOST} services")
            return
        self._add(id, found, above, relation)
        level, parts = len(self.nodes), related(found, PARTS)
        if not parts and not refers_to(found, "resourceSpecification"):
            self.faults.append(
                f"service specification {_called(found)} has neither services that it consists of"
                " (serviceSpecRelationship) nor resources (resourceSpecification)"
            )
        for part in parts:
            self._descend(str(part["id"]), level, part, (*path, id))

    def _add(
        self, id: str, found: Mapping[str, Any], above: int, relation: Mapping[str, Any]
    ) -> None:
        where, level = f"service specification {_called(found)}", len(self.nodes) + 1
        self.names.append(self._described(found, "specCharacteristic", where))
        refers = [one for one in objects(found.get("resourceSpecification")) if one.get("id")]
        takes = self._takes(where, refers)
        self.nodes.append(
            Node(
                level, above, id, str(found.get("name") or id), "resource" if refers else "customer"
            )
        )
        slots = {str(spec.get("id")): name for name, _, spec in reversed(takes)}
        feeds = self._feeds(level, found, "specCharacteristic", slots)
        node = Node(
            level=level,
            above=above,
            specification=id,
            name=str(found.get("name") or id),
            facing="resource" if refers else "customer",
            quantity=self._quantity(where, relation, above),
            feeds=self._sorted(where, level, feeds),
            slots=self._slots(level, takes, {feed.choice.name for feed in feeds if feed.slot}),
        )
        self.nodes[-1] = node

    def _quantity(self, where: str, relation: Mapping[str, Any], above: int) -> Quantity:
        low, usual, high = (
            relation.get(f"{name}Quantity") for name in ("minimum", "default", "maximum")
        )
        least = low if isinstance(low, int) else 1
        normal = usual if isinstance(usual, int) else max(least, 1) if low != 0 else 0
        most, of = high if isinstance(high, int) else 0, str(relation.get("quantityFrom") or "")
        if least < 0 or normal < least or (most and normal > most):
            self.faults.append(
                f"{where}: there are from {least} to {most or 'any number'} of it,"
                f" but usually {normal}"
            )
        if of and of not in self.names[above]:
            self.faults.append(
                f"{where}: quantityFrom names {of}, which is not a characteristic above"
            )
        return Quantity(least, normal, most, of)

    def _feeds(
        self, level: int, specification: Mapping[str, Any], member: str, slots: Mapping[str, str]
    ) -> list[Feed]:
        """Return where each characteristic of a service has its value from."""
        return [
            feed
            for one in objects(specification.get(member))
            if (choice := self.names[level].get(str(one.get("name"))))
            and (feed := self._feed(choice, one, level, slots))
        ]

    def _feed(
        self, choice: Choice, one: Mapping[str, Any], level: int, slots: Mapping[str, str]
    ) -> Feed | None:
        relation = _source(one)
        above = self.nodes[level - 1].above
        if relation is None:
            level, of = above, choice.name
            if of not in self.names[above]:
                return Feed(choice)
        else:
            of = str(relation.get("name") or choice.name)
            parent = _parent(relation)
            if parent in slots:
                return Feed(choice, of=of, slot=slots[parent])
            found = self._found(choice, parent, of, level)
            if found is None:
                return None
            level = found
        source = self.names[level][of]
        table = (relation or {}).get("valueMap") or {}
        return self._checked(Feed(choice, level, of, source.unit, table), source)

    def _found(self, choice: Choice, parent: str, of: str, level: int) -> int | None:
        """Return the number of the level that a characteristic maps from."""
        chain = self._chain(level)
        if not parent:
            usual = [one for one in chain if of in self.names[one] and one != level]
            if usual:
                return usual[0]
        for one in chain if parent else ():
            spec = self.nodes[one - 1].specification if one else str(self.product.get("id"))
            if spec == parent:
                if of in self.names[one]:
                    return one
                self.faults.append(
                    f"{choice.where}: {choice.name} maps from {of}, which specification {parent}"
                    " does not have"
                )
                return None
        above = (
            f"specification {parent}, which is not above it"
            if parent
            else f"{of}, which is nowhere above it"
        )
        self.faults.append(f"{choice.where}: {choice.name} maps from {above}")
        return None

    def _chain(self, level: int) -> list[int]:
        chain = [level]
        while chain[-1]:
            chain.append(self.nodes[chain[-1] - 1].above)
        return chain

    def _checked(self, feed: Feed, source: Choice) -> Feed | None:
        """Return a feed if what its source says can become one of its own values at all."""
        choice = feed.choice
        with self._told():
            for value in feed.table.values():
                choice.take(value)
            if not feed.table and choice.type in {"integer", "number"}:
                try:
                    factor(feed.unit, choice.unit)
                except Refused as error:
                    raise Refused(
                        f"{choice.where}: {choice.name} maps from {feed.of} of {source.where}:"
                        f" {error}"
                    ) from None
            return feed
        return None

    def _sorted(self, where: str, level: int, feeds: list[Feed]) -> tuple[Feed, ...]:
        """Return characteristics, each after those of the same service that it maps from."""
        within = {f.choice.name: [f.of] if f.level == level and not f.slot else [] for f in feeds}
        if circle := cycle(within):
            self.faults.append(f"{where}: characteristics map in a circle: {' -> '.join(circle)}")
            return ()

        def depth(name: str) -> int:
            return 1 + max((depth(one) for one in within.get(name, ())), default=0)

        return tuple(sorted(feeds, key=lambda feed: depth(feed.choice.name)))

    def _takes(
        self, where: str, refers: list[dict[str, Any]]
    ) -> list[tuple[str, dict[str, Any], Mapping[str, Any]]]:
        """Return name, reference and specification of the resources that a service takes."""
        made: list[tuple[str, dict[str, Any], Mapping[str, Any]]] = []
        taken: dict[str, int] = {}
        for one in refers:
            if (spec := self.shelf.resources.get(str(one["id"]))) is None:
                self.faults.append(
                    f"{where} names resource specification {one['id']}, which is not there"
                )
                continue
            if not (category := str(spec.get("category") or "")):
                self.faults.append(
                    f"resource specification {_called(spec)} has no category: nothing in the"
                    " inventory can be found by it"
                )
                continue
            count = one.get("defaultQuantity")
            for _ in range(count if isinstance(count, int) and 0 < count <= _MOST else 1):
                number = taken[category] = taken.get(category, 0) + 1
                made.append((category if number == 1 else f"{category}.{number}", one, spec))
        return made

    def _slots(
        self, level: int, takes: list[tuple[str, dict[str, Any], Mapping[str, Any]]], late: set[str]
    ) -> tuple[Slot, ...]:
        slots = []
        for name, reference, spec in takes:
            where = f"resource specification {_called(spec)}"
            self.names.append(self._described(spec, "resourceSpecCharacteristic", where))
            feeds = [
                feed
                for one in objects(spec.get("resourceSpecCharacteristic"))
                if (choice := self.names[-1].get(str(one.get("name"))))
                and (feed := self._resource_feed(choice, one, level))
            ]
            self.names.pop()
            for feed in feeds:
                if feed.level == level and feed.of in late:
                    self.faults.append(
                        f"{where}: {feed.choice.name} maps from {feed.of}, which is read from a"
                        " resource itself: that is a circle"
                    )
            slots.append(
                Slot(
                    name,
                    str(spec.get("id")),
                    str(spec.get("category")),
                    tuple(f for f in feeds if f.choice.name != _AMOUNT and _says(f)),
                    next((f for f in feeds if f.choice.name == _AMOUNT), None),
                    reference.get("role") == "carrier",
                    self._on(where, spec),
                    reference.get("minimumQuantity") == 0,
                )
            )
        return _with_carrier(slots)

    def _resource_feed(self, choice: Choice, one: Mapping[str, Any], level: int) -> Feed | None:
        """Return where a resource's characteristic has its value from: only what it says itself."""
        if (relation := _source(one)) is None:
            return Feed(choice)
        of = str(relation.get("name") or choice.name)
        parent = _parent(relation)
        if not parent and of in self.names[level]:
            found: int | None = level
        else:
            found = self._found(choice, parent, of, level)
        if found is None:
            return None
        source, table = self.names[found][of], relation.get("valueMap") or {}
        return self._checked(Feed(choice, found, of, source.unit, table), source)

    def _on(self, where: str, spec: Mapping[str, Any]) -> str:
        for relation in related(spec, ON, "resourceSpecRelationship"):
            element = self.shelf.resources.get(str(relation["id"]))
            if element is None or not element.get("category"):
                self.faults.append(
                    f"{where} is on {relation['id']}, which is not there or has no category"
                )
                continue
            return str(element["category"])
        return ""

    def _order(self) -> tuple[int, ...]:
        """Return the resource facing services, each after those that have to be there before."""
        facing = [node.level for node in self.nodes if node.facing == "resource"]
        leads: dict[str, list[str]] = {str(level): [] for level in facing}
        for place, node in enumerate(self.nodes):
            before, outside = self._before(node)
            for level in self._below(node.level, facing):
                leads[str(level)] += [str(one) for one in sorted(before)]
            if outside:
                self.nodes[place] = replace(node, outside=tuple(outside))
        if circle := cycle(leads):
            names = " -> ".join(self.nodes[int(one) - 1].name for one in circle)
            self.faults.append(f"services require each other in a circle: {names}")
            return ()
        for level in facing:
            before_it = tuple(sorted({int(one) for one in leads[str(level)]}))
            self.nodes[level - 1] = replace(self.nodes[level - 1], before=before_it)
        return _in_order(facing, {int(k): {int(v) for v in vs} for k, vs in leads.items()})

    def _before(self, node: Node) -> tuple[set[int], list[str]]:
        facing = [one.level for one in self.nodes if one.facing == "resource"]
        before: set[int] = set()
        outside = []
        for relation in related(self.shelf.services[node.specification], BEFORE):
            inside = [one for one in self.nodes if one.specification == relation["id"]]
            before |= {low for one in inside for low in self._below(one.level, facing)}
            if not inside:
                outside.append(str(relation["id"]))
        return before, outside

    def _below(self, level: int, facing: list[int]) -> list[int]:
        return [one for one in facing if level in self._chain(one)]


_OF_PRODUCT = "productSpecCharacteristic"


def _in_order(levels: list[int], after: Mapping[int, set[int]]) -> tuple[int, ...]:
    made: dict[int, None] = {}
    while len(made) < len(levels):
        for level in levels:
            if level not in made and after[level] <= made.keys():
                made[level] = None
                break
    return tuple(made)


def _source(characteristic: Mapping[str, Any]) -> dict[str, Any] | None:
    for member in ("charSpecRelationship", "resourceSpecCharRelationship"):
        for one in objects(characteristic.get(member)):
            if one.get("relationshipType") == MAPS_FROM:
                return one
    return None


def _parent(relation: Mapping[str, Any]) -> str:
    return str(
        relation.get("parentSpecificationId") or relation.get("resourceSpecificationId") or ""
    )


def _says(feed: Feed) -> bool:
    return feed.level >= 0 or feed.choice.default is not None


def _with_carrier(slots: list[Slot]) -> tuple[Slot, ...]:
    """Return slots of which one carries the service: the named one, or the first on an element."""
    if any(slot.carrier for slot in slots):
        return tuple(slots)
    for place, slot in enumerate(slots):
        if slot.amount is None and (slot.on or slot.category == "accessPort"):
            slots[place] = replace(slot, carrier=True)
            break
    return tuple(slots)


def _called(specification: Mapping[str, Any]) -> str:
    name, id = specification.get("name"), specification.get("id")
    return f"{name} ({id})" if name and name != id else str(id)
