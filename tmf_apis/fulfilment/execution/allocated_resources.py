"""The resources of a product or service, as its references and characteristics: pure edits."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tmf_apis.fulfilment.execution.journal import TaskEntry
from tmf_apis.fulfilment.values import Allocation, ItemPlan, ServicePlan
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

_VALUE_TYPES: Mapping[type, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    list: "array",
}
#: End of the slot of a further resource of the same category.
_NUMBERED_SLOT = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class AllocatedResources:
    """The resources of a product or service after an order.

    Attributes:
        allocations: What the order has allocated and released for it.
        other_services: Its resource facing services that the order leaves as they are.
    """

    allocations: Sequence[Allocation] = ()
    other_services: Sequence[Resource] = ()

    def references(self) -> list[Resource]:
        """Return references to the resources; empty if the order has allocated none."""
        references = [
            entity_reference(id, "Resource", allocation.names.get(slot, ""))
            for allocation in self.allocations
            if allocation.action != "cease"
            for slot, id in allocation.resources.items()
            if slot not in allocation.released_slots
        ]
        if not references:
            return []
        others = [
            reference
            for service in self.other_services
            for reference in json_objects(service.get("supportingResource"))
        ]
        return list({reference["id"]: reference for reference in (*others, *references)}.values())

    def with_values(
        self, resource: Resource, attribute: str, planned_values: Container[str]
    ) -> Resource:
        """Return a product or service with a characteristic for each category of its resources.

        Args:
            resource: The product or service.
            attribute: Its attribute with characteristics.
            planned_values: Names of characteristics that follow from the order; they stay if
                nothing of the category is allocated any more.
        """
        values: dict[str, list[Any]] = {}
        for category, value in self._values():
            if value not in values.setdefault(category, []):
                values[category].append(value)
        stale = [
            category
            for category in self._released_categories()
            if category not in values and category not in planned_values
        ]
        allocated = {
            category: several[0] if len(several) == 1 else several
            for category, several in values.items()
        }
        characteristics = merged_characteristics(
            without_characteristics(resource.get(attribute), stale), allocated
        )
        rest = {name: value for name, value in resource.items() if name != attribute}
        return {**rest, attribute: characteristics} if characteristics else rest

    def _values(self) -> Iterator[tuple[str, Any]]:
        """Yield category and value of each resource of the categories that the order allocates."""
        categories: dict[str, None] = {}
        values = []
        for allocation in self.allocations:
            for slot, value in allocation.values.items():
                if _is_kept(allocation, slot) and value is not None:
                    values.append((_category(slot), value))
                    categories[_category(slot)] = None
        for service in self.other_services:
            present = values_by_name(service.get("serviceCharacteristic"))
            for category in categories:
                other = present.get(category, [])
                for value in other if isinstance(other, list) else [other]:
                    yield category, value
        yield from values

    def _released_categories(self) -> list[str]:
        return [
            _category(slot)
            for allocation in self.allocations
            for slot in allocation.values
            if not _is_kept(allocation, slot)
        ]


class PlannedResources:
    """The resources of an item's product and of its services after the item."""

    def __init__(
        self, plan: ItemPlan, entries: Iterable[TaskEntry], other_services: Sequence[Resource]
    ) -> None:
        """Store the tasks.

        Args:
            plan: The plan of the item.
            entries: The completed tasks of the item.
            other_services: Resource facing services that the item leaves as they are.
        """
        self._entries = [entry for entry in entries if entry.allocation]
        self._other_services = other_services
        self._parts = {service.id: service.supporting_services for service in plan.services}
        self._has_services = bool(plan.services)

    def of_product(self) -> AllocatedResources:
        """Return the resources of the product; none if the item only suspends or resumes it."""
        if not self._has_services:
            return AllocatedResources()
        return AllocatedResources(
            [entry.allocation for entry in self._entries if entry.allocation], self._other_services
        )

    def of_service(self, service: ServicePlan) -> AllocatedResources:
        """Return the resources of a service and of the services that it consists of."""
        ids = self._with_parts(service.id)
        return AllocatedResources(
            [
                entry.allocation
                for entry in self._entries
                if entry.allocation and entry.allocation.service in ids
            ],
            [other for other in self._other_services if other["id"] in ids],
        )

    def with_derived_values(self, service: ServicePlan) -> ServicePlan:
        """Return a service with the settings that it gets from its allocated resources."""
        derived = {
            name: entry.allocation.settings[name]
            for entry in self._entries
            if entry.allocation and entry.task.service == service.id
            for name in entry.task.derived_settings
            if name in entry.allocation.settings
        }
        return replace(service, characteristics={**service.characteristics, **derived})

    def _with_parts(self, id: str) -> set[str]:
        ids, pending = set[str](), [id]
        while pending:
            if (service := pending.pop()) not in ids:
                ids.add(service)
                pending += self._parts.get(service, ())
        return ids


def _is_kept(allocation: Allocation, slot: str) -> bool:
    return allocation.action != "cease" and slot not in allocation.released_slots


def _category(slot: str) -> str:
    return _NUMBERED_SLOT.sub("", slot)


def without_characteristics(characteristics: object, names: Container[str]) -> list[Resource]:
    """Return characteristics without those of some names."""
    return [each for each in json_objects(characteristics) if each.get("name") not in names]


def merged_characteristics(
    characteristics: Iterable[Resource], values: Mapping[str, Any]
) -> list[Resource]:
    """Return characteristics with values set; the others stay.

    >>> merged_characteristics([{"name": "a", "value": 1}], {"a": 2, "b": True})[1]
    {'name': 'b', 'valueType': 'boolean', 'value': True}
    """
    merged = {old["name"]: old for old in characteristics if "name" in old and "value" in old}
    for name, value in values.items():
        new = {"name": name, "valueType": _VALUE_TYPES.get(type(value), "object")}
        old = merged.get(name, new)
        is_same_form = isinstance(old.get("value", value), list) == isinstance(value, list)
        merged[name] = {**(old if is_same_form else new), "value": value}
    return list(merged.values())


def entity_reference(id: str, type_: str, name: str = "") -> Resource:
    """Return a reference to an entity."""
    return {"id": id, **({"name": name} if name else {}), "@referredType": type_}
