"""Matching of the components of an element with those of the inventory; no I/O.

A component is identified by its serial number, or else by its place on the element, or else by its
name: several components may have the same name, and a name may go from one component to another.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from adapters.values import Component
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.reconciliation.merge import COMPONENT_NAME, COMPONENT_PLACE
from tmf_apis.rest.pipeline.policy import Resource

ItemT = TypeVar("ItemT")
#: How to compare a component with its resource: both values are equal and not empty.
_Keys = tuple[Callable[[Component], object], Callable[[Resource], object]]
_BY_SERIAL: _Keys = (
    lambda part: part.serial and (part.kind, part.serial),
    lambda resource: (
        resource.get("serialNumber") and (resource.get("category"), resource["serialNumber"])
    ),
)
_BY_PLACE: _Keys = (
    lambda part: "" if part.unread & {"name", "parent"} else part.place,
    lambda resource: resource_characteristics(resource).get(COMPONENT_PLACE),
)
_BY_NAME: _Keys = (
    lambda part: "" if "name" in part.unread else part.name,
    lambda resource: resource_characteristics(resource).get(COMPONENT_NAME),
)


def match_components(
    parts: Sequence[Component], resources: Iterable[Resource]
) -> dict[str, Resource]:
    """Return the resources of components by name; new components are missing."""
    matches: dict[str, Resource] = {}
    remaining = {resource["id"]: resource for resource in resources}
    for part_key, resource_key in (_BY_SERIAL, _BY_PLACE, _BY_NAME):
        waiting = [part for part in parts if part.name not in matches]
        wanted = _unique(waiting, part_key)
        stored = _unique(remaining.values(), resource_key)
        for key in wanted.keys() & stored.keys():
            matches[wanted[key].name] = remaining.pop(stored[key]["id"])
    return matches


def _unique(items: Iterable[ItemT], key: Callable[[ItemT], object]) -> dict[object, ItemT]:
    """Return the items by key, without those that share a key or have none."""
    groups: dict[object, list[ItemT]] = defaultdict(list)
    for item in items:
        if value := key(item):
            groups[value].append(item)
    return {value: group[0] for value, group in groups.items() if len(group) == 1}
