"""The items of an order put together: what waits for what, and what excludes each other; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Protocol

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.values import Design, ItemPlan, Task
from tmf_apis.rest.cycles import cycle
from tmf_apis.rest.law import Resource

#: ``relationshipType`` of an item to one that is done before it.
RELIES = frozenset({"reliesOn", "requires", "dependsOn", "dependency"})


class Planned(Protocol):
    """An item as it was planned by itself; see ``planning.Made``."""

    plan: ItemPlan
    tasks: tuple[Task, ...]
    provides: frozenset[str]
    requires: frozenset[str]
    leaf: bool


Found = list[tuple[Resource, Resource | None]]


def graph(made: Mapping[str, Planned], refused: dict[str, str], found: Found) -> Design:
    """Return the design of an order.

    Args:
        made: Items that can be fulfilled by themselves, in order.
        refused: The others; those that cannot be fulfilled beside each other are added.
        found: Every item with the one that it is in.
    """
    planned = dict(made)
    leads = _relations(found, planned)
    _named_twice(planned, refused)
    _required(planned, refused, leads, found)
    if leads:
        _circles(planned, refused, leads)
        _with_refused(planned, refused, leads)
    tasks = _tasks(planned, leads)
    return Design(
        tuple(one.plan for one in planned.values()),
        tuple(tasks),
        tuple(id for id, one in planned.items() if one.leaf and not one.tasks),
        refused,
    )


def _relations(found: Found, planned: Mapping[str, Planned]) -> dict[str, list[str]]:
    """Return from each innermost item to those that it waits for."""
    if not any(item.get("productOrderItemRelationship") for item, _ in found):
        return {}
    below: dict[str, list[str]] = {}
    for item, _ in found:
        if not item.get("productOrderItem"):
            for id in _upwards(item["id"], found):
                below.setdefault(id, []).append(item["id"])
    leads: dict[str, list[str]] = {}
    for id, target in _relied_on(found):
        for one, other in product(below[id], below.get(target, ())):
            first, second = _turned(one, other, planned)
            leads.setdefault(first, []).append(second)
    return leads


def _relied_on(found: Found) -> Iterator[tuple[str, str]]:
    for item, _ in found:
        for relation in objects(item.get("productOrderItemRelationship")):
            if relation.get("relationshipType") in RELIES:
                yield item["id"], str(relation.get("id"))


def _turned(one: str, other: str, planned: Mapping[str, Planned]) -> tuple[str, str]:
    """Return a relation of two items; what ends goes before what it has relied on."""
    both = [planned.get(one), planned.get(other)]
    return (other, one) if all(m and m.plan.action == "delete" for m in both) else (one, other)


def _upwards(id: str, found: Found) -> Iterable[str]:
    above = {item["id"]: held["id"] if held else "" for item, held in found}
    while id:
        yield id
        id = above[id]


def _named_twice(planned: dict[str, Planned], refused: dict[str, str]) -> None:
    """Refuse items that want a resource which another one of the order names already."""
    takers: dict[tuple[str, str], str] = {}
    for id, one in list(planned.items()):
        for task in one.tasks:
            for need in task.needs:
                if not need.named or need.amount:
                    continue
                key = (need.category, need.named)
                if (other := takers.setdefault(key, task.id)) != task.id:
                    refused[id] = (
                        f"{need.category} {need.named} is wanted by item {other.partition('#')[0]}"
                        " already"
                    )
                    planned.pop(id, None)


def _required(
    planned: dict[str, Planned],
    refused: dict[str, str],
    leads: dict[str, list[str]],
    found: Found,
) -> None:
    """Have items wait for those that bring what they require, or refuse them."""
    if not any(one.requires for one in planned.values()):
        return
    items: dict[str, Mapping[str, Any]] = {item["id"]: item for item, _ in found}
    for id, one in list(planned.items()):
        for wanted in sorted(one.requires):
            others = [o for o, p in planned.items() if o != id and wanted in p.provides]
            if others:
                leads.setdefault(id, []).extend(others)
            elif not (items[id].get("product") or {}).get("productRelationship"):
                refused[id] = (
                    f"it requires service specification {wanted}: order it too, or name the product"
                    " that has it in product.productRelationship"
                )
                planned.pop(id, None)


def _circles(
    planned: dict[str, Planned], refused: dict[str, str], leads: Mapping[str, list[str]]
) -> None:
    while circle := cycle({id: [o for o in leads.get(id, ()) if o in planned] for id in planned}):
        for id in circle:
            if planned.pop(id, None):
                refused[id] = f"items wait for each other in a circle: {' -> '.join(circle)}"


def _with_refused(
    planned: dict[str, Planned], refused: dict[str, str], leads: Mapping[str, list[str]]
) -> None:
    changed = True
    while changed:
        changed = False
        for id in list(planned):
            if lost := next((o for o in leads.get(id, ()) if o in refused), None):
                planned.pop(id)
                refused[id] = f"it relies on item {lost}, which cannot be fulfilled"
                changed = True


def _tasks(planned: Mapping[str, Planned], leads: Mapping[str, list[str]]) -> list[Task]:
    """Return the tasks of all items, each after those that it waits for."""
    if not leads:
        return [task for one in planned.values() for task in one.tasks]
    done: dict[str, None] = {}

    def visit(id: str) -> None:
        if id in done or id not in planned:
            return
        for other in leads.get(id, ()):
            visit(other)
        done[id] = None

    for id in planned:
        visit(id)
    return [
        _after(task, [t.id for o in dict.fromkeys(leads.get(id, ())) if o in planned
                      for t in planned[o].tasks])
        for id in done
        for task in planned[id].tasks
    ]  # fmt: skip


def _after(task: Task, others: list[str]) -> Task:
    return replace(task, after=(*task.after, *others)) if others else task
