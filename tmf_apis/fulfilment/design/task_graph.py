"""The items of an order put together: what waits for what, and what excludes each other; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Protocol

from tmf_apis.fulfilment.values import ItemPlan, OrderDesign, Task
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: ``relationshipType`` of an item to one that is done before it.
ITEM_DEPENDENCY_TYPES = frozenset({"reliesOn", "requires", "dependsOn", "dependency"})


class PlannedItem(Protocol):
    """An item as it was planned by itself; see ``planning.ItemDesign``."""

    plan: ItemPlan
    tasks: tuple[Task, ...]
    provided_specifications: frozenset[str]
    required_specifications: frozenset[str]
    is_leaf: bool


ItemsWithParents = list[tuple[Resource, Resource | None]]


def combined_design(
    planned_items: Mapping[str, PlannedItem], rejections: dict[str, str], items: ItemsWithParents
) -> OrderDesign:
    """Return the design of an order.

    Args:
        planned_items: Items that can be fulfilled by themselves, in order.
        rejections: The others; those that cannot be fulfilled beside each other are added.
        items: Every item with the one that it is in.
    """
    planned = dict(planned_items)
    leads = _dependencies(items, planned)
    _reject_duplicate_requests(planned, rejections)
    _resolve_required_specifications(planned, rejections, leads, items)
    if leads:
        _reject_cycles(planned, rejections, leads)
        _reject_dependents(planned, rejections, leads)
    tasks = _sorted_tasks(planned, leads)
    return OrderDesign(
        tuple(one.plan for one in planned.values()),
        tuple(tasks),
        tuple(id for id, one in planned.items() if one.is_leaf and not one.tasks),
        rejections,
    )


def _dependencies(
    items: ItemsWithParents, planned: Mapping[str, PlannedItem]
) -> dict[str, list[str]]:
    """Return from each innermost item to those that it waits for."""
    if not any(item.get("productOrderItemRelationship") for item, _ in items):
        return {}
    below: dict[str, list[str]] = {}
    for item, _ in items:
        if not item.get("productOrderItem"):
            for id in _id_and_ancestors(item["id"], items):
                below.setdefault(id, []).append(item["id"])
    leads: dict[str, list[str]] = {}
    for id, target in _dependency_pairs(items):
        for one, other in product(below[id], below.get(target, ())):
            first, second = _directed_dependency(one, other, planned)
            leads.setdefault(first, []).append(second)
    return leads


def _dependency_pairs(items: ItemsWithParents) -> Iterator[tuple[str, str]]:
    for item, _ in items:
        for relation in json_objects(item.get("productOrderItemRelationship")):
            if relation.get("relationshipType") in ITEM_DEPENDENCY_TYPES:
                yield item["id"], str(relation.get("id"))


def _directed_dependency(
    item: str, related_item: str, planned: Mapping[str, PlannedItem]
) -> tuple[str, str]:
    """Return a relation of two items; what ends goes before what it has relied on."""
    both = [planned.get(item), planned.get(related_item)]
    return (
        (related_item, item)
        if all(m and m.plan.action == "delete" for m in both)
        else (item, related_item)
    )


def _id_and_ancestors(id: str, items: ItemsWithParents) -> Iterable[str]:
    above = {item["id"]: held["id"] if held else "" for item, held in items}
    while id:
        yield id
        id = above[id]


def _reject_duplicate_requests(planned: dict[str, PlannedItem], rejections: dict[str, str]) -> None:
    """Refuse items that want a resource which another one of the order names already."""
    takers: dict[tuple[str, str], str] = {}
    for id, one in list(planned.items()):
        for task in one.tasks:
            for need in task.requirements:
                if not need.identifier or need.amount:
                    continue
                key = (need.category, need.identifier)
                if (other := takers.setdefault(key, task.id)) != task.id:
                    rejections[id] = (
                        f"{need.category} {need.identifier} is wanted by item {other.partition('#')[0]}"
                        " already"
                    )
                    planned.pop(id, None)


def _resolve_required_specifications(
    planned: dict[str, PlannedItem],
    rejections: dict[str, str],
    dependencies: dict[str, list[str]],
    items_with_parents: ItemsWithParents,
) -> None:
    """Have items wait for those that bring what they require, or refuse them."""
    if not any(one.required_specifications for one in planned.values()):
        return
    items: dict[str, Mapping[str, Any]] = {item["id"]: item for item, _ in items_with_parents}
    for id, one in list(planned.items()):
        for wanted in sorted(one.required_specifications):
            others = [
                o for o, p in planned.items() if o != id and wanted in p.provided_specifications
            ]
            if others:
                dependencies.setdefault(id, []).extend(others)
            elif not (items[id].get("product") or {}).get("productRelationship"):
                rejections[id] = (
                    f"it requires service specification {wanted}: order it too, or name the product"
                    " that has it in product.productRelationship"
                )
                planned.pop(id, None)


def _reject_cycles(
    planned: dict[str, PlannedItem],
    rejections: dict[str, str],
    dependencies: Mapping[str, list[str]],
) -> None:
    while circle := cycle(
        {id: [o for o in dependencies.get(id, ()) if o in planned] for id in planned}
    ):
        for id in circle:
            if planned.pop(id, None):
                rejections[id] = f"items wait for each other in a circle: {' -> '.join(circle)}"


def _reject_dependents(
    planned: dict[str, PlannedItem],
    rejections: dict[str, str],
    dependencies: Mapping[str, list[str]],
) -> None:
    changed = True
    while changed:
        changed = False
        for id in list(planned):
            if lost := next((o for o in dependencies.get(id, ()) if o in rejections), None):
                planned.pop(id)
                rejections[id] = f"it relies on item {lost}, which cannot be fulfilled"
                changed = True


def _sorted_tasks(
    planned: Mapping[str, PlannedItem], dependencies: Mapping[str, list[str]]
) -> list[Task]:
    """Return the tasks of all items, each after those that it waits for."""
    if not dependencies:
        return [task for one in planned.values() for task in one.tasks]
    done: dict[str, None] = {}

    def visit(id: str) -> None:
        if id in done or id not in planned:
            return
        for other in dependencies.get(id, ()):
            visit(other)
        done[id] = None

    for id in planned:
        visit(id)
    return [
        _with_dependencies(task, [t.id for o in dict.fromkeys(dependencies.get(id, ())) if o in planned
                      for t in planned[o].tasks])
        for id in done
        for task in planned[id].tasks
    ]  # fmt: skip


def _with_dependencies(task: Task, task_ids: list[str]) -> Task:
    return replace(task, depends_on=(*task.depends_on, *task_ids)) if task_ids else task
