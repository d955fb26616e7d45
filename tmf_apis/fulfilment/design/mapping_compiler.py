"""Compiling the characteristics of services and resources: the sources of their values."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.mapping import (
    CharacteristicMapping,
    CharacteristicSpecification,
    conversion_factor,
)
from tmf_apis.fulfilment.design.nearest_names import question
from tmf_apis.fulfilment.design.references import MAPS_FROM
from tmf_apis.fulfilment.design.specification_tree import Characteristics, SpecificationTree
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.json_values import json_objects


class MappingCompiler:
    """Finds the sources of characteristic values in a specification tree.

    A characteristic gets its value from a characteristic of the same service or of an ancestor. A
    characteristic of a resource facing service can also get it from a required resource.
    """

    def __init__(self, tree: SpecificationTree) -> None:
        self._tree = tree

    def service_mappings(
        self, specification: Mapping[str, Any], number: int, slots: Mapping[str, str]
    ) -> list[CharacteristicMapping]:
        """Return the mappings of the characteristics of a service that have valid ones.

        Args:
            specification: The ServiceSpecification.
            number: Number of the node.
            slots: Names of the slots of the service, by the id of their ResourceSpecification.
        """
        mappings = (
            self._service_mapping(characteristic, definition, number, slots)
            for definition in json_objects(specification.get("specCharacteristic"))
            if (characteristic := self._characteristic(number, definition))
        )
        return [mapping for mapping in mappings if mapping]

    def _characteristic(
        self, number: int, definition: Mapping[str, Any]
    ) -> CharacteristicSpecification | None:
        return self._tree.characteristics[number].get(str(definition.get("name")))

    def _service_mapping(
        self,
        characteristic: CharacteristicSpecification,
        definition: Mapping[str, Any],
        number: int,
        slots: Mapping[str, str],
    ) -> CharacteristicMapping | None:
        """Return the mapping of a characteristic; None after an error.

        Without a ``mapsFrom`` relationship, the source is the parent's characteristic of the same
        name, if there is one.
        """
        relationship = _maps_from_relationship(definition)
        if relationship is None:
            parent = self._tree.nodes[number - 1].parent
            if characteristic.name not in self._tree.characteristics[parent]:
                return CharacteristicMapping(characteristic)
            return self._mapping(characteristic, parent, characteristic.name, {})
        source_name = str(relationship.get("name") or characteristic.name)
        specification = _source_specification(relationship)
        if specification in slots:
            return CharacteristicMapping(
                characteristic, source_name=source_name, source_slot=slots[specification]
            )
        source = self._source_node(characteristic, specification, source_name, number)
        if source is None:
            return None
        return self._mapping(characteristic, source, source_name, _value_map(relationship))

    def resource_mappings(
        self, specification: Mapping[str, Any], characteristics: Characteristics, number: int
    ) -> list[CharacteristicMapping]:
        """Return the mappings of the characteristics of a resource that have valid ones.

        Args:
            specification: The ResourceSpecification.
            characteristics: Its characteristics.
            number: Number of the node that requires the resource.
        """
        mappings = (
            self._resource_mapping(characteristic, definition, number)
            for definition in json_objects(specification.get("resourceSpecCharacteristic"))
            if (characteristic := characteristics.get(str(definition.get("name"))))
        )
        return [mapping for mapping in mappings if mapping]

    def _resource_mapping(
        self,
        characteristic: CharacteristicSpecification,
        definition: Mapping[str, Any],
        number: int,
    ) -> CharacteristicMapping | None:
        """Return the mapping of a characteristic; None after an error.

        A characteristic of a resource has a source only if it has a ``mapsFrom`` relationship.
        """
        if (relationship := _maps_from_relationship(definition)) is None:
            return CharacteristicMapping(characteristic)
        source_name = str(relationship.get("name") or characteristic.name)
        specification = _source_specification(relationship)
        source: int | None = number
        if specification or source_name not in self._tree.characteristics[number]:
            source = self._source_node(characteristic, specification, source_name, number)
        if source is None:
            return None
        return self._mapping(characteristic, source, source_name, _value_map(relationship))

    def _source_node(
        self,
        characteristic: CharacteristicSpecification,
        specification: str,
        name: str,
        number: int,
    ) -> int | None:
        """Return the number of the node that a characteristic gets its value from.

        Args:
            characteristic: The characteristic.
            specification: Id of the specification of the node; empty: the nearest ancestor that
                has the source characteristic.
            name: Name of the source characteristic.
            number: Number of the node where the search begins.

        Returns:
            The number; None after an error.
        """
        tree = self._tree
        ancestors = tree.node_and_ancestors(number)
        if not specification:
            for ancestor in ancestors[1:]:
                if name in tree.characteristics[ancestor]:
                    return ancestor
            names = {name for each in ancestors for name in tree.characteristics[each]}
            nearest = question(name, sorted(names))
            self._add_error(characteristic, f"{name}, which is nowhere above it{nearest}")
            return None
        for ancestor in ancestors:
            if tree.specification_id(ancestor) == specification:
                if name in tree.characteristics[ancestor]:
                    return ancestor
                nearest = question(name, tree.characteristics[ancestor])
                self._add_error(
                    characteristic,
                    f"{name}, which specification {specification} does not have{nearest}",
                )
                return None
        self._add_error(characteristic, f"specification {specification}, which is not above it")
        return None

    def _add_error(self, characteristic: CharacteristicSpecification, source: str) -> None:
        self._tree.errors.append(
            f"{characteristic.owner_label}: {characteristic.name} maps from {source}"
        )

    def _mapping(
        self,
        characteristic: CharacteristicSpecification,
        source_node: int,
        source_name: str,
        value_map: Mapping[str, Any],
    ) -> CharacteristicMapping | None:
        """Return a mapping if values of the source can become values of the characteristic."""
        source = self._tree.characteristics[source_node][source_name]
        with self._tree.collecting_errors():
            for value in value_map.values():
                characteristic.normalized_value(value)
            if not value_map and characteristic.type in {"integer", "number"}:
                _check_units(characteristic, source)
            return CharacteristicMapping(
                characteristic, source_node, source_name, source.unit, value_map
            )
        return None

    def sorted_mappings(
        self, mappings: list[CharacteristicMapping], number: int, owner_label: str
    ) -> tuple[CharacteristicMapping, ...]:
        """Return the mappings of a service, each after those of the same service it depends on."""
        dependencies = {
            mapping.characteristic.name: (
                [mapping.source_name]
                if mapping.source_node == number and not mapping.source_slot
                else []
            )
            for mapping in mappings
        }
        if path := cycle(dependencies):
            self._tree.errors.append(
                f"{owner_label}: characteristics map in a cycle: {' -> '.join(path)}"
            )
            return ()

        def depth(name: str) -> int:
            return 1 + max(map(depth, dependencies.get(name, ())), default=0)

        return tuple(sorted(mappings, key=lambda mapping: depth(mapping.characteristic.name)))


def _check_units(
    characteristic: CharacteristicSpecification, source: CharacteristicSpecification
) -> None:
    try:
        conversion_factor(source.unit, characteristic.unit)
    except Unfulfillable as error:
        raise Unfulfillable(
            f"{characteristic.owner_label}: {characteristic.name} maps from {source.name} of"
            f" {source.owner_label}: {error}"
        ) from None


def _maps_from_relationship(characteristic: Mapping[str, Any]) -> dict[str, Any] | None:
    for attribute in ("charSpecRelationship", "resourceSpecCharRelationship"):
        for relationship in json_objects(characteristic.get(attribute)):
            if relationship.get("relationshipType") == MAPS_FROM:
                return relationship
    return None


def _source_specification(relationship: Mapping[str, Any]) -> str:
    return str(
        relationship.get("parentSpecificationId")
        or relationship.get("resourceSpecificationId")
        or ""
    )


def _value_map(relationship: Mapping[str, Any]) -> Mapping[str, Any]:
    return relationship.get("valueMap") or {}
