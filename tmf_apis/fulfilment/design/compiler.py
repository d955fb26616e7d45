"""A recipe is compiled from specifications: everything that is wrong with them is found here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.decomposition import (
    CONTAINMENT_TYPES,
    MAPS_FROM,
    Decomposition,
    DecompositionFailed,
    Quantity,
    ResourceSlot,
    ServiceNode,
    SpecificationIndex,
    referenced_ids,
    relationships,
)
from tmf_apis.fulfilment.design.mapping import (
    CharacteristicMapping,
    CharacteristicSpecification,
    conversion_factor,
    parse_characteristic,
    value_specifications,
)
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.json_values import json_objects

#: Rates that adapters take in bits per second, whatever a specification leaves out.
_BIT_PER_SECOND = "bit/s"
_RATE_NAMES = frozenset({"downstream", "upstream", "bandwidth"})
#: What is drawn from a resource that many share.
_AMOUNT_NAME = "bandwidth"
#: Most services of one product.
_MAX_SERVICES = 200
_Characteristics = dict[str, CharacteristicSpecification]


def compile_decomposition(
    product: Mapping[str, Any], roots: list[str], index: SpecificationIndex
) -> Decomposition:
    """Return the recipe of a product specification.

    Args:
        product: The ProductSpecification.
        roots: Ids of the service specifications that it names, or that stand for its type.
        index: The specifications of services and resources.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    return _Compiler(product, index).compile(roots)


class _Compiler:
    """Goes down the tree once; what is wrong is gathered, so that all of it can be told."""

    def __init__(self, product: Mapping[str, Any], index: SpecificationIndex) -> None:
        self.product = product
        self.index = index
        self.errors: list[str] = []
        self.nodes: list[ServiceNode] = []
        self.characteristics: list[_Characteristics] = [self._product_characteristics(product)]

    def compile(self, roots: list[str]) -> Decomposition:
        for id in roots:
            self._add_tree(id, 0, {}, ())
        if self.errors:
            raise DecompositionFailed(self.errors)
        order = self._provisioning_order()
        if self.errors:
            raise DecompositionFailed(self.errors)
        id = str(self.product.get("id"))
        provides = frozenset(node.specification for node in self.nodes)
        requires = frozenset(one for node in self.nodes for one in node.external_dependencies)
        return Decomposition(
            id, self.characteristics[0], tuple(self.nodes), order, provides, requires
        )

    @contextmanager
    def _collecting_errors(self) -> Iterator[None]:
        try:
            yield
        except Unfulfillable as error:
            self.errors.append(str(error))

    def _product_characteristics(self, product: Mapping[str, Any]) -> _Characteristics:
        where = f"product specification {_label(product)}"
        return self._parse_characteristics(product, "productSpecCharacteristic", where)

    def _parse_characteristics(
        self, specification: Mapping[str, Any], member: str, owner_label: str
    ) -> _Characteristics:
        made: _Characteristics = {}
        for one in json_objects(specification.get(member)):
            unit = (
                _BIT_PER_SECOND
                if one.get("name") in _RATE_NAMES and member != _PRODUCT_CHARACTERISTICS
                else ""
            )
            with self._collecting_errors():
                choice = parse_characteristic(one, value_specifications(one), owner_label, unit)
                made[choice.name] = choice
        return made

    def _add_tree(
        self, id: str, parent: int, relationship: Mapping[str, Any], path: tuple[str, ...]
    ) -> None:
        if id in path:
            circle = " -> ".join([*path[path.index(id) :], id])
            self.errors.append(f"service specification {id} consists of itself: {circle}")
            return
        if (found := self.index.services.get(id)) is None:
            by = f"service specification {path[-1]}" if path else "the product specification"
            self.errors.append(f"{by} names service specification {id}, which is not there")
            return
        if len(self.nodes) >= _MAX_SERVICES:
            self.errors.append(f"the product consists of more than {_MAX_SERVICES} services")
            return
        self._add_node(id, found, parent, relationship)
        level, parts = len(self.nodes), relationships(found, COMPOSITION_TYPES)
        if not parts and not referenced_ids(found, "resourceSpecification"):
            self.errors.append(
                f"service specification {_label(found)} has neither services that it consists of"
                " (serviceSpecRelationship) nor resources (resourceSpecification)"
            )
        for part in parts:
            self._add_tree(str(part["id"]), level, part, (*path, id))

    def _add_node(
        self,
        id: str,
        specification: Mapping[str, Any],
        parent: int,
        relationship: Mapping[str, Any],
    ) -> None:
        where, level = f"service specification {_label(specification)}", len(self.nodes) + 1
        self.characteristics.append(
            self._parse_characteristics(specification, "specCharacteristic", where)
        )
        refers = [
            one for one in json_objects(specification.get("resourceSpecification")) if one.get("id")
        ]
        takes = self._resource_references(where, refers)
        self.nodes.append(
            ServiceNode(
                level,
                parent,
                id,
                str(specification.get("name") or id),
                "resource" if refers else "customer",
            )
        )
        slots = {str(spec.get("id")): name for name, _, spec in reversed(takes)}
        feeds = self._mappings(level, specification, "specCharacteristic", slots)
        node = ServiceNode(
            number=level,
            parent=parent,
            specification=id,
            name=str(specification.get("name") or id),
            facing="resource" if refers else "customer",
            quantity=self._quantity(where, relationship, parent),
            mappings=self._sorted_mappings(where, level, feeds),
            slots=self._slots(
                level, takes, {feed.characteristic.name for feed in feeds if feed.source_slot}
            ),
        )
        self.nodes[-1] = node

    def _quantity(self, owner_label: str, relationship: Mapping[str, Any], parent: int) -> Quantity:
        low, usual, high = (
            relationship.get(f"{name}Quantity") for name in ("minimum", "default", "maximum")
        )
        least = low if isinstance(low, int) else 1
        normal = usual if isinstance(usual, int) else max(least, 1) if low != 0 else 0
        most, of = high if isinstance(high, int) else 0, str(relationship.get("quantityFrom") or "")
        if least < 0 or normal < least or (most and normal > most):
            self.errors.append(
                f"{owner_label}: there are from {least} to {most or 'any number'} of it,"
                f" but usually {normal}"
            )
        if of and of not in self.characteristics[parent]:
            self.errors.append(
                f"{owner_label}: quantityFrom names {of}, which is not a characteristic above"
            )
        return Quantity(least, normal, most, of)

    def _mappings(
        self, number: int, specification: Mapping[str, Any], member: str, slots: Mapping[str, str]
    ) -> list[CharacteristicMapping]:
        """Return where each characteristic of a service has its value from."""
        return [
            feed
            for one in json_objects(specification.get(member))
            if (choice := self.characteristics[number].get(str(one.get("name"))))
            and (feed := self._mapping(choice, one, number, slots))
        ]

    def _mapping(
        self,
        characteristic: CharacteristicSpecification,
        described_by: Mapping[str, Any],
        number: int,
        slots: Mapping[str, str],
    ) -> CharacteristicMapping | None:
        relation = _maps_from_relationship(described_by)
        above = self.nodes[number - 1].parent
        if relation is None:
            number, of = above, characteristic.name
            if of not in self.characteristics[above]:
                return CharacteristicMapping(characteristic)
        else:
            of = str(relation.get("name") or characteristic.name)
            parent = _source_specification(relation)
            if parent in slots:
                return CharacteristicMapping(
                    characteristic, source_name=of, source_slot=slots[parent]
                )
            found = self._source_node(characteristic, parent, of, number)
            if found is None:
                return None
            number = found
        source = self.characteristics[number][of]
        table = (relation or {}).get("valueMap") or {}
        return self._valid_mapping(
            CharacteristicMapping(characteristic, number, of, source.unit, table), source
        )

    def _source_node(
        self,
        characteristic: CharacteristicSpecification,
        specification: str,
        name: str,
        number: int,
    ) -> int | None:
        """Return the number of the level that a characteristic maps from."""
        chain = self._node_and_ancestors(number)
        if not specification:
            usual = [one for one in chain if name in self.characteristics[one] and one != number]
            if usual:
                return usual[0]
        for one in chain if specification else ():
            spec = self.nodes[one - 1].specification if one else str(self.product.get("id"))
            if spec == specification:
                if name in self.characteristics[one]:
                    return one
                self.errors.append(
                    f"{characteristic.owner_label}: {characteristic.name} maps from {name}, which specification {specification}"
                    " does not have"
                )
                return None
        above = (
            f"specification {specification}, which is not above it"
            if specification
            else f"{name}, which is nowhere above it"
        )
        self.errors.append(f"{characteristic.owner_label}: {characteristic.name} maps from {above}")
        return None

    def _node_and_ancestors(self, number: int) -> list[int]:
        chain = [number]
        while chain[-1]:
            chain.append(self.nodes[chain[-1] - 1].parent)
        return chain

    def _valid_mapping(
        self, mapping: CharacteristicMapping, source: CharacteristicSpecification
    ) -> CharacteristicMapping | None:
        """Return a feed if what its source says can become one of its own values at all."""
        choice = mapping.characteristic
        with self._collecting_errors():
            for value in mapping.value_map.values():
                choice.normalized_value(value)
            if not mapping.value_map and choice.type in {"integer", "number"}:
                try:
                    conversion_factor(mapping.source_unit, choice.unit)
                except Unfulfillable as error:
                    raise Unfulfillable(
                        f"{choice.owner_label}: {choice.name} maps from {mapping.source_name} of {source.owner_label}:"
                        f" {error}"
                    ) from None
            return mapping
        return None

    def _sorted_mappings(
        self, owner_label: str, number: int, mappings: list[CharacteristicMapping]
    ) -> tuple[CharacteristicMapping, ...]:
        """Return characteristics, each after those of the same service that it maps from."""
        within = {
            f.characteristic.name: [f.source_name]
            if f.source_node == number and not f.source_slot
            else []
            for f in mappings
        }
        if circle := cycle(within):
            self.errors.append(
                f"{owner_label}: characteristics map in a circle: {' -> '.join(circle)}"
            )
            return ()

        def depth(name: str) -> int:
            return 1 + max((depth(one) for one in within.get(name, ())), default=0)

        return tuple(sorted(mappings, key=lambda feed: depth(feed.characteristic.name)))

    def _resource_references(
        self, owner_label: str, references: list[dict[str, Any]]
    ) -> list[tuple[str, dict[str, Any], Mapping[str, Any]]]:
        """Return name, reference and specification of the resources that a service takes."""
        made: list[tuple[str, dict[str, Any], Mapping[str, Any]]] = []
        taken: dict[str, int] = {}
        for one in references:
            if (spec := self.index.resources.get(str(one["id"]))) is None:
                self.errors.append(
                    f"{owner_label} names resource specification {one['id']}, which is not there"
                )
                continue
            if not (category := str(spec.get("category") or "")):
                self.errors.append(
                    f"resource specification {_label(spec)} has no category: nothing in the"
                    " inventory can be found by it"
                )
                continue
            count = one.get("defaultQuantity")
            for _ in range(count if isinstance(count, int) and 0 < count <= _MAX_SERVICES else 1):
                number = taken[category] = taken.get(category, 0) + 1
                made.append((category if number == 1 else f"{category}.{number}", one, spec))
        return made

    def _slots(
        self,
        number: int,
        references: list[tuple[str, dict[str, Any], Mapping[str, Any]]],
        resource_derived: set[str],
    ) -> tuple[ResourceSlot, ...]:
        slots = []
        for name, reference, spec in references:
            where = f"resource specification {_label(spec)}"
            self.characteristics.append(
                self._parse_characteristics(spec, "resourceSpecCharacteristic", where)
            )
            feeds = [
                feed
                for one in json_objects(spec.get("resourceSpecCharacteristic"))
                if (choice := self.characteristics[-1].get(str(one.get("name"))))
                and (feed := self._resource_mapping(choice, one, number))
            ]
            self.characteristics.pop()
            for feed in feeds:
                if feed.source_node == number and feed.source_name in resource_derived:
                    self.errors.append(
                        f"{where}: {feed.characteristic.name} maps from {feed.source_name}, which is read from a"
                        " resource itself: that is a circle"
                    )
            slots.append(
                ResourceSlot(
                    name,
                    str(spec.get("id")),
                    str(spec.get("category")),
                    tuple(
                        f for f in feeds if f.characteristic.name != _AMOUNT_NAME and _has_value(f)
                    ),
                    next((f for f in feeds if f.characteristic.name == _AMOUNT_NAME), None),
                    reference.get("role") == "carrier",
                    self._element_category(where, spec),
                    reference.get("minimumQuantity") == 0,
                )
            )
        return _with_carrier(slots)

    def _resource_mapping(
        self,
        characteristic: CharacteristicSpecification,
        described_by: Mapping[str, Any],
        number: int,
    ) -> CharacteristicMapping | None:
        """Return where a resource's characteristic has its value from: only what it says itself."""
        if (relation := _maps_from_relationship(described_by)) is None:
            return CharacteristicMapping(characteristic)
        of = str(relation.get("name") or characteristic.name)
        parent = _source_specification(relation)
        if not parent and of in self.characteristics[number]:
            found: int | None = number
        else:
            found = self._source_node(characteristic, parent, of, number)
        if found is None:
            return None
        source, table = self.characteristics[found][of], relation.get("valueMap") or {}
        return self._valid_mapping(
            CharacteristicMapping(characteristic, found, of, source.unit, table), source
        )

    def _element_category(self, owner_label: str, spec: Mapping[str, Any]) -> str:
        for relation in relationships(spec, CONTAINMENT_TYPES, "resourceSpecRelationship"):
            element = self.index.resources.get(str(relation["id"]))
            if element is None or not element.get("category"):
                self.errors.append(
                    f"{owner_label} is on {relation['id']}, which is not there or has no category"
                )
                continue
            return str(element["category"])
        return ""

    def _provisioning_order(self) -> tuple[int, ...]:
        """Return the resource facing services, each after those that have to be there before."""
        facing = [node.number for node in self.nodes if node.facing == "resource"]
        leads: dict[str, list[str]] = {str(level): [] for level in facing}
        for place, node in enumerate(self.nodes):
            before, outside = self._dependencies(node)
            for level in self._resource_facing_below(node.number, facing):
                leads[str(level)] += [str(one) for one in sorted(before)]
            if outside:
                self.nodes[place] = replace(node, external_dependencies=tuple(outside))
        if circle := cycle(leads):
            names = " -> ".join(self.nodes[int(one) - 1].name for one in circle)
            self.errors.append(f"services require each other in a circle: {names}")
            return ()
        for level in facing:
            before_it = tuple(sorted({int(one) for one in leads[str(level)]}))
            self.nodes[level - 1] = replace(self.nodes[level - 1], depends_on=before_it)
        return _topological_order(facing, {int(k): {int(v) for v in vs} for k, vs in leads.items()})

    def _dependencies(self, node: ServiceNode) -> tuple[set[int], list[str]]:
        facing = [one.number for one in self.nodes if one.facing == "resource"]
        before: set[int] = set()
        outside = []
        for relation in relationships(self.index.services[node.specification], DEPENDENCY_TYPES):
            inside = [one for one in self.nodes if one.specification == relation["id"]]
            before |= {
                low for one in inside for low in self._resource_facing_below(one.number, facing)
            }
            if not inside:
                outside.append(str(relation["id"]))
        return before, outside

    def _resource_facing_below(self, number: int, facing: list[int]) -> list[int]:
        return [one for one in facing if number in self._node_and_ancestors(one)]


_PRODUCT_CHARACTERISTICS = "productSpecCharacteristic"


def _topological_order(numbers: list[int], dependencies: Mapping[int, set[int]]) -> tuple[int, ...]:
    made: dict[int, None] = {}
    while len(made) < len(numbers):
        for level in numbers:
            if level not in made and dependencies[level] <= made.keys():
                made[level] = None
                break
    return tuple(made)


def _maps_from_relationship(characteristic: Mapping[str, Any]) -> dict[str, Any] | None:
    for member in ("charSpecRelationship", "resourceSpecCharRelationship"):
        for one in json_objects(characteristic.get(member)):
            if one.get("relationshipType") == MAPS_FROM:
                return one
    return None


def _source_specification(relationship: Mapping[str, Any]) -> str:
    return str(
        relationship.get("parentSpecificationId")
        or relationship.get("resourceSpecificationId")
        or ""
    )


def _has_value(mapping: CharacteristicMapping) -> bool:
    return mapping.source_node >= 0 or mapping.characteristic.default is not None


def _with_carrier(slots: list[ResourceSlot]) -> tuple[ResourceSlot, ...]:
    """Return slots of which one carries the service: the named one, or the first on an element."""
    if any(slot.is_carrier for slot in slots):
        return tuple(slots)
    for place, slot in enumerate(slots):
        if slot.amount is None and (slot.element_category or slot.category == "accessPort"):
            slots[place] = replace(slot, is_carrier=True)
            break
    return tuple(slots)


def _label(specification: Mapping[str, Any]) -> str:
    name, id = specification.get("name"), specification.get("id")
    return f"{name} ({id})" if name and name != id else str(id)
