"""Compiling specifications into the decomposition of a product; reports all of their errors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tmf_apis.fulfilment.design.decomposition import (
    Decomposition,
    DecompositionFailed,
    Quantity,
    ResourceSlot,
    ServiceNode,
    SpecificationIndex,
)
from tmf_apis.fulfilment.design.mapping import (
    CharacteristicMapping,
    parse_characteristic,
    value_specifications,
)
from tmf_apis.fulfilment.design.mapping_compiler import MappingCompiler
from tmf_apis.fulfilment.design.nearest_names import question
from tmf_apis.fulfilment.design.provisioning_order import set_provisioning_order
from tmf_apis.fulfilment.design.references import (
    CONTAINMENT_TYPES,
    referenced_ids,
    relationships,
)
from tmf_apis.fulfilment.design.setting_sources import missing_sources
from tmf_apis.fulfilment.design.specification_tree import Characteristics, SpecificationTree
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES
from tmf_apis.rest.pipeline.json_values import json_objects

#: Unit of a rate whose specification names none: adapters expect bits per second. Names of the
#: characteristics that are rates.
_RATE_UNIT = "bit/s"
_RATE_NAMES = frozenset({"downstream", "upstream", "bandwidth"})
#: Name of the characteristic with the part of a shared resource's capacity that a service uses.
_AMOUNT_NAME = "bandwidth"
#: Largest number of services of one product.
_MAX_SERVICES = 200


def compile_decomposition(
    product: Mapping[str, Any], roots: list[str], index: SpecificationIndex
) -> Decomposition:
    """Return the decomposition of a product specification.

    Args:
        product: The ProductSpecification.
        roots: Ids of the service specifications that it names, or that its ``serviceType`` names.
        index: The specifications of services and resources.

    Raises:
        DecompositionFailed: The product cannot be fulfilled; the error has all reasons.
    """
    return _Compiler(product, index).compile(roots)


@dataclass(frozen=True, slots=True)
class _RequiredResource:
    """A resource that a service requires: slot name, reference and ResourceSpecification."""

    slot: str
    reference: Mapping[str, Any]
    specification: Mapping[str, Any]

    @property
    def label(self) -> str:
        return f"resource specification {_label(self.specification)}"


class _Compiler:
    """Walks the tree of specifications once and collects all errors."""

    def __init__(self, product: Mapping[str, Any], index: SpecificationIndex) -> None:
        self._tree = SpecificationTree(product, index)
        self._mappings = MappingCompiler(self._tree)

    def compile(self, roots: list[str]) -> Decomposition:
        tree = self._tree
        label = f"product specification {_label(tree.product)}"
        tree.characteristics.append(
            self._parse_characteristics(tree.product, "productSpecCharacteristic", label)
        )
        for id in roots:
            self._add_tree(id, 0, {}, ())
        self._raise_errors()
        tree.errors += missing_sources(tree.nodes)
        provisioning_order = set_provisioning_order(tree)
        self._raise_errors()
        return Decomposition(
            specification=str(tree.product.get("id")),
            characteristics=tree.characteristics[0],
            nodes=tuple(tree.nodes),
            provisioning_order=provisioning_order,
            provided_specifications=frozenset(node.specification for node in tree.nodes),
            required_specifications=frozenset(
                specification for node in tree.nodes for specification in node.external_dependencies
            ),
        )

    def _raise_errors(self) -> None:
        if self._tree.errors:
            raise DecompositionFailed(self._tree.errors)

    def _parse_characteristics(
        self,
        specification: Mapping[str, Any],
        attribute: str,
        owner_label: str,
        *,
        rate_unit: str = "",
    ) -> Characteristics:
        """Return the characteristics of a specification by name; rates are in ``rate_unit``."""
        characteristics: Characteristics = {}
        for definition in json_objects(specification.get(attribute)):
            unit = rate_unit if definition.get("name") in _RATE_NAMES else ""
            with self._tree.collecting_errors():
                characteristic = parse_characteristic(
                    definition, value_specifications(definition), owner_label, unit
                )
                characteristics[characteristic.name] = characteristic
        return characteristics

    def _add_tree(
        self, id: str, parent: int, relationship: Mapping[str, Any], path: tuple[str, ...]
    ) -> None:
        """Add a service and everything below it.

        Args:
            id: Id of the ServiceSpecification.
            parent: Number of the parent node.
            relationship: The relationship from the parent.
            path: Ids of the specifications above, from the top.
        """
        if (specification := self._specification(id, path)) is None:
            return
        self._add_node(id, specification, parent, relationship)
        number, parts = len(self._tree.nodes), relationships(specification, COMPOSITION_TYPES)
        if not parts and not referenced_ids(specification, "resourceSpecification"):
            self._tree.errors.append(
                f"service specification {_label(specification)} has neither services that it"
                " consists of (serviceSpecRelationship) nor resources (resourceSpecification)"
            )
        for part in parts:
            self._add_tree(str(part["id"]), number, part, (*path, id))

    def _specification(self, id: str, path: tuple[str, ...]) -> Mapping[str, Any] | None:
        """Return a service specification that can be added to the tree; None after an error."""
        errors = self._tree.errors
        if id in path:
            cycle = " -> ".join([*path[path.index(id) :], id])
            errors.append(f"service specification {id} consists of itself: {cycle}")
            return None
        specification = self._tree.index.services.get(id)
        if specification is None:
            referrer = f"service specification {path[-1]}" if path else "the product specification"
            errors.append(f"{referrer} names service specification {id}, which does not exist")
        elif len(self._tree.nodes) >= _MAX_SERVICES:
            errors.append(f"the product consists of more than {_MAX_SERVICES} services")
            return None
        return specification

    def _add_node(
        self,
        id: str,
        specification: Mapping[str, Any],
        parent: int,
        relationship: Mapping[str, Any],
    ) -> None:
        tree = self._tree
        label = f"service specification {_label(specification)}"
        tree.characteristics.append(
            self._parse_characteristics(
                specification, "specCharacteristic", label, rate_unit=_RATE_UNIT
            )
        )
        references = [
            reference
            for reference in json_objects(specification.get("resourceSpecification"))
            if reference.get("id")
        ]
        node = ServiceNode(
            number=len(tree.nodes) + 1,
            parent=parent,
            specification=id,
            name=str(specification.get("name") or id),
            facing="resource" if references else "customer",
        )
        tree.nodes.append(node)
        resources = list(self._required_resources(label, references))
        slots = {
            str(resource.specification.get("id")): resource.slot for resource in reversed(resources)
        }
        mappings = self._mappings.service_mappings(specification, node.number, slots)
        tree.nodes[-1] = replace(
            node,
            quantity=self._quantity(label, relationship, parent),
            mappings=self._mappings.sorted_mappings(mappings, node.number, label),
            slots=self._slots(node.number, resources, mappings),
        )

    def _quantity(self, owner_label: str, relationship: Mapping[str, Any], parent: int) -> Quantity:
        low, default_number, high = (
            relationship.get(f"{name}Quantity") for name in ("minimum", "default", "maximum")
        )
        minimum = low if isinstance(low, int) else 1
        default = 0 if low == 0 else max(minimum, 1)
        if isinstance(default_number, int):
            default = default_number
        maximum = high if isinstance(high, int) else 0
        source_name = str(relationship.get("quantityFrom") or "")
        if minimum < 0 or default < minimum or (maximum and default > maximum):
            self._tree.errors.append(
                f"{owner_label}: the default quantity {default} is not in the range from {minimum}"
                f" to {maximum or 'any number'}"
            )
        if source_name and source_name not in self._tree.characteristics[parent]:
            self._tree.errors.append(
                f"{owner_label}: quantityFrom names {source_name}, which is not a characteristic"
                f" of the parent{question(source_name, self._tree.characteristics[parent])}"
            )
        return Quantity(minimum, default, maximum, source_name)

    def _required_resources(
        self, owner_label: str, references: list[dict[str, Any]]
    ) -> Iterator[_RequiredResource]:
        """Yield the resources that a service requires, each as often as it requires it."""
        counts: dict[str, int] = {}
        for reference in references:
            specification = self._tree.index.resources.get(str(reference["id"]))
            if specification is None:
                self._tree.errors.append(
                    f"{owner_label} names resource specification {reference['id']}, which does"
                    " not exist"
                )
                continue
            if not (category := str(specification.get("category") or "")):
                self._tree.errors.append(
                    f"resource specification {_label(specification)} has no category, by which"
                    " resources are selected"
                )
                continue
            quantity = reference.get("defaultQuantity")
            if not isinstance(quantity, int) or not 0 < quantity <= _MAX_SERVICES:
                quantity = 1
            for _ in range(quantity):
                count = counts[category] = counts.get(category, 0) + 1
                slot = category if count == 1 else f"{category}.{count}"
                yield _RequiredResource(slot, reference, specification)

    def _slots(
        self,
        number: int,
        resources: list[_RequiredResource],
        service_mappings: list[CharacteristicMapping],
    ) -> tuple[ResourceSlot, ...]:
        """Return the resource slots of a service.

        Args:
            number: Number of the node.
            resources: The resources that the service requires.
            service_mappings: The mappings of the service's characteristics.
        """
        resource_derived = {
            mapping.characteristic.name for mapping in service_mappings if mapping.source_slot
        }
        slots = []
        for resource in resources:
            mappings = self._resource_mappings(resource, number)
            for mapping in mappings:
                if mapping.source_node == number and mapping.source_name in resource_derived:
                    self._tree.errors.append(
                        f"{resource.label}: {mapping.characteristic.name} maps from"
                        f" {mapping.source_name}, which is derived from a resource: that is a"
                        " cycle"
                    )
            slots.append(self._slot(resource, mappings))
        return _with_carrier(slots)

    def _resource_mappings(
        self, resource: _RequiredResource, number: int
    ) -> list[CharacteristicMapping]:
        characteristics = self._parse_characteristics(
            resource.specification,
            "resourceSpecCharacteristic",
            resource.label,
            rate_unit=_RATE_UNIT,
        )
        return self._mappings.resource_mappings(resource.specification, characteristics, number)

    def _slot(
        self, resource: _RequiredResource, mappings: list[CharacteristicMapping]
    ) -> ResourceSlot:
        amounts = [m for m in mappings if m.characteristic.name == _AMOUNT_NAME]
        return ResourceSlot(
            name=resource.slot,
            specification=str(resource.specification.get("id")),
            category=str(resource.specification.get("category")),
            mappings=tuple(m for m in mappings if m not in amounts and _has_value(m)),
            amount=next(iter(amounts), None),
            is_carrier=resource.reference.get("role") == "carrier",
            element_category=self._element_category(resource),
            optional=resource.reference.get("minimumQuantity") == 0,
        )

    def _element_category(self, resource: _RequiredResource) -> str:
        """Return the category of the element that a resource is on; empty: none is named."""
        for relationship in relationships(
            resource.specification, CONTAINMENT_TYPES, "resourceSpecRelationship"
        ):
            element = self._tree.index.resources.get(str(relationship["id"]))
            if element and element.get("category"):
                return str(element["category"])
            self._tree.errors.append(
                f"{resource.label} is on {relationship['id']}, which does not exist or has"
                " no category"
            )
        return ""


def _has_value(mapping: CharacteristicMapping) -> bool:
    return mapping.source_node >= 0 or mapping.characteristic.default is not None


def _with_carrier(slots: list[ResourceSlot]) -> tuple[ResourceSlot, ...]:
    """Return slots of which one is the carrier: the declared one, or the first on an element."""
    if any(slot.is_carrier for slot in slots):
        return tuple(slots)
    for index, slot in enumerate(slots):
        if slot.amount is None and (slot.element_category or slot.category == "accessPort"):
            slots[index] = replace(slot, is_carrier=True)
            break
    return tuple(slots)


def _label(specification: Mapping[str, Any]) -> str:
    name, id = specification.get("name"), specification.get("id")
    return f"{name} ({id})" if name and name != id else str(id)
