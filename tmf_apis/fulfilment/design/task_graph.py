"""Combining the items of an order: dependencies, conflicts and the order of all tasks; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from tmf_apis.fulfilment.design.item_planner import ItemDesign
from tmf_apis.fulfilment.design.order_items import ItemsWithParents, is_leaf
from tmf_apis.fulfilment.values import OrderDesign, Task
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.json_values import json_objects

#: ``relationshipType`` from an item to one that is done before it.
ITEM_DEPENDENCY_TYPES = frozenset({"reliesOn", "requires", "dependsOn", "dependency"})

_Dependencies = dict[str, list[str]]


def combined_design(
    designs: Mapping[str, ItemDesign], rejections: dict[str, str], items: ItemsWithParents
) -> OrderDesign:
    """Return the design of an order.

    Args:
        designs: Designs of the items that can be fulfilled by themselves, by item id, in order.
        rejections: From the ids of the other items to the reasons; extended by the items that
            cannot be fulfilled together.
        items: Every item with the bundle item that it is part of.
    """
    accepted = dict(designs)
    dependencies = _dependencies(items, accepted)
    _reject_duplicate_requests(accepted, rejections)
    _resolve_required_specifications(accepted, rejections, dependencies, items)
    if dependencies:
        _reject_cycles(accepted, rejections, dependencies)
        _reject_dependents(accepted, rejections, dependencies)
    return OrderDesign(
        items=tuple(design.plan for design in accepted.values()),
        tasks=tuple(_sorted_tasks(accepted, dependencies)),
        rejections=rejections,
    )


def _dependencies(items: ItemsWithParents, designs: Mapping[str, ItemDesign]) -> _Dependencies:
    """Return from each item without parts to the items that are done before it."""
    if not any(item.get("productOrderItemRelationship") for item, _ in items):
        return {}
    parents = {item["id"]: parent["id"] if parent else "" for item, parent in items}
    leaves: dict[str, list[str]] = {}
    for item, _ in items:
        if is_leaf(item):
            for id in _id_and_ancestors(item["id"], parents):
                leaves.setdefault(id, []).append(item["id"])
    dependencies: _Dependencies = {}
    for id, other_id in _related_items(items):
        for leaf, other_leaf in product(leaves[id], leaves.get(other_id, ())):
            dependent, required = _directed(leaf, other_leaf, designs)
            dependencies.setdefault(dependent, []).append(required)
    return dependencies


def _id_and_ancestors(id: str, parents: Mapping[str, str]) -> Iterator[str]:
    while id:
        yield id
        id = parents[id]


def _related_items(items: ItemsWithParents) -> Iterator[tuple[str, str]]:
    """Yield the ids of items with the ids of those that they depend on."""
    for item, _ in items:
        for relationship in json_objects(item.get("productOrderItemRelationship")):
            if relationship.get("relationshipType") in ITEM_DEPENDENCY_TYPES:
                yield item["id"], str(relationship.get("id"))


def _directed(item: str, required: str, designs: Mapping[str, ItemDesign]) -> tuple[str, str]:
    """Return a dependent item and the required one; reversed if both end their products."""
    both_end = all(id in designs and designs[id].plan.action == "delete" for id in (item, required))
    return (required, item) if both_end else (item, required)


def _reject_duplicate_requests(designs: dict[str, ItemDesign], rejections: dict[str, str]) -> None:
    """Reject items that request a resource by name that another item requests as well."""
    requests: dict[tuple[str, str], str] = {}
    for id, design in list(designs.items()):
        for task in design.tasks:
            for requirement in task.requirements:
                if not requirement.identifier or requirement.amount:
                    continue
                key = (requirement.category, requirement.identifier)
                if (other := requests.setdefault(key, task.id)) != task.id:
                    rejections[id] = (
                        f"{requirement.category} {requirement.identifier} is requested by item"
                        f" {other.partition('#')[0]} already"
                    )
                    designs.pop(id, None)


def _resolve_required_specifications(
    designs: dict[str, ItemDesign],
    rejections: dict[str, str],
    dependencies: _Dependencies,
    items: ItemsWithParents,
) -> None:
    """Make items depend on those that provide the services they require; reject the others.

    A required service may also belong to a product in operation that the item is related to.
    """
    if not any(design.required_specifications for design in designs.values()):
        return
    has_related_product = {
        item["id"]: bool((item.get("product") or {}).get("productRelationship"))
        for item, _ in items
    }
    for id, design in list(designs.items()):
        for required in sorted(design.required_specifications):
            providers = [
                other_id
                for other_id, other in designs.items()
                if other_id != id and required in other.provided_specifications
            ]
            if providers:
                dependencies.setdefault(id, []).extend(providers)
            elif not has_related_product[id]:
                rejections[id] = (
                    f"it requires service specification {required}: order it too, or name the"
                    " product that has it in product.productRelationship"
                )
                designs.pop(id, None)


def _reject_cycles(
    designs: dict[str, ItemDesign], rejections: dict[str, str], dependencies: _Dependencies
) -> None:
    while path := cycle(
        {id: [o for o in dependencies.get(id, ()) if o in designs] for id in designs}
    ):
        for id in path:
            if designs.pop(id, None):
                rejections[id] = f"items wait for each other in a cycle: {' -> '.join(path)}"


def _reject_dependents(
    designs: dict[str, ItemDesign], rejections: dict[str, str], dependencies: _Dependencies
) -> None:
    """Reject items that depend on rejected ones, directly or through others."""
    changed = True
    while changed:
        changed = False
        for id in list(designs):
            rejected = next((o for o in dependencies.get(id, ()) if o in rejections), None)
            if rejected:
                designs.pop(id)
                rejections[id] = f"it relies on item {rejected}, which cannot be fulfilled"
                changed = True


def _sorted_tasks(designs: Mapping[str, ItemDesign], dependencies: _Dependencies) -> list[Task]:
    """Return the tasks of all items, each after its dependencies."""
    if not dependencies:
        return [task for design in designs.values() for task in design.tasks]
    visited: dict[str, None] = {}

    def visit(id: str) -> None:
        if id in visited or id not in designs:
            return
        for required in dependencies.get(id, ()):
            visit(required)
        visited[id] = None

    for id in designs:
        visit(id)
    tasks: list[Task] = []
    for id in visited:
        required_tasks = tuple(
            task.id
            for required in dict.fromkeys(dependencies.get(id, ()))
            if required in designs
            for task in designs[required].tasks
        )
        tasks += [_with_dependencies(task, required_tasks) for task in designs[id].tasks]
    return tasks


def _with_dependencies(task: Task, task_ids: tuple[str, ...]) -> Task:
    return replace(task, depends_on=(*task.depends_on, *task_ids)) if task_ids else task
