"""The dependency graph of a batch: pure functions on the journal's entries.

A unit is the smallest set of items that succeed or fail together: one item of an order with all its
tasks, or several items if the order, or the bundle item that they are part of, has
``allOrNothing``. A unit goes forward until it is complete, or is compensated completely. A unit
that depends on a compensated unit is compensated with it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.execution.journal import (
    COMPENSATE,
    DONE_STATES,
    ELEMENT_STATES,
    FORWARD,
    UNDONE_STATES,
    Batch,
    ItemEntry,
    TaskEntry,
)
from tmf_apis.fulfilment.values import OrderDesign, OrderKey
from tmf_apis.rest.pipeline.policy import Resource

#: Compensation reason of the units of a cancelled order.
CANCELLATION_REASON = "the order was cancelled"


def units_by_item(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of every item of an order, by the items' ids.

    >>> parts = [{"id": "1"}, {"id": "2", "allOrNothing": True, "productOrderItem": [{"id": "3"}]}]
    >>> units_by_item({"productOrderItem": parts})
    {'1': '1', '2': '2', '3': '2'}
    """
    units: dict[str, str] = {}

    def walk(items: Iterable[Resource], inherited: str | None) -> None:
        for item in items:
            unit = inherited if inherited is not None else item["id"]
            units[item["id"]] = unit
            shared = unit if inherited is not None or item.get("allOrNothing") is True else None
            walk(item.get("productOrderItem") or (), shared)

    whole_order = "*" if order.get("allOrNothing") is True else None
    walk(order.get("productOrderItem") or (), whole_order)
    return units


def split_into_batches(
    key: OrderKey, order: Mapping[str, Any], design: OrderDesign, size: int
) -> list[tuple[list[ItemEntry], list[TaskEntry]]]:
    """Return the items and tasks of an order in batches; connected units share a batch.

    Args:
        key: The order.
        order: The order, with its items as those of a product order.
        design: The design of the order.
        size: Minimum number of items or tasks of each batch but the last.
    """
    order_id, units = key.qualified_id, units_by_item(order)
    items = [
        ItemEntry(id=f"{order_id}/{plan.item}", item_id=plan.item, unit=units[plan.item], plan=plan)
        for plan in design.items
    ]
    items += [
        ItemEntry(
            id=f"{order_id}/{item}",
            item_id=item,
            unit=units[item],
            goal=COMPENSATE,
            reason=reason,
        )
        for item, reason in design.rejections.items()
    ]
    tasks = [
        TaskEntry(id=f"{order_id}/{task.id}", unit=units[task.item], task=task)
        for task in design.tasks
    ]
    batches: list[tuple[list[ItemEntry], list[TaskEntry]]] = []
    for connected_items, connected_tasks in _components(items, tasks):
        if batches and max(len(batches[-1][0]), len(batches[-1][1])) < size:
            batches[-1][0].extend(connected_items)
            batches[-1][1].extend(connected_tasks)
        else:
            batches.append((connected_items, connected_tasks))
    for number, (batch_items, batch_tasks) in enumerate(batches):
        graph = BatchGraph(Batch(key, number, batch_items, batch_tasks))
        for item in [item for item in batch_items if item.goal == COMPENSATE]:
            graph.compensate(item.unit, item.reason, item.item_id)
    return batches


def _components(
    items: Sequence[ItemEntry], entries: Sequence[TaskEntry]
) -> Iterator[tuple[list[ItemEntry], list[TaskEntry]]]:
    """Yield the connected components of the units, in the order of their first items."""
    parents = {item.unit: item.unit for item in items}

    def root(unit: str) -> str:
        while parents[unit] != unit:
            parents[unit] = parents[parents[unit]]
            unit = parents[unit]
        return unit

    units = {entry.task.id: entry.unit for entry in entries}
    for entry in entries:
        for dependency in entry.task.depends_on:
            parents[root(entry.unit)] = root(units[dependency])
    items_by_root: dict[str, list[ItemEntry]] = {}
    tasks_by_root: dict[str, list[TaskEntry]] = {}
    for item in items:
        items_by_root.setdefault(root(item.unit), []).append(item)
    for entry in entries:
        tasks_by_root.setdefault(root(entry.unit), []).append(entry)
    for unit, component_items in items_by_root.items():
        yield component_items, tasks_by_root.get(unit, [])


def reorder_moves(batch: Batch) -> list[TaskEntry]:
    """Cease services on their old carrier first if they move within one element.

    No element can have a service twice. Between two elements, the new carrier is set up before the
    old one is released, as planned.

    Returns:
        The tasks whose dependencies were changed.
    """
    changed: list[TaskEntry] = []
    for entry in batch.entries:
        if not entry.task.is_move or entry.state != "reserved":
            continue
        for other in batch.entries:
            is_cease = other.task.action == "cease" and other.task.service == entry.task.service
            if (
                is_cease
                and other.element == entry.element
                and entry.task.id in other.task.depends_on
            ):
                remaining = tuple(id for id in other.task.depends_on if id != entry.task.id)
                other.task = replace(other.task, depends_on=remaining)
                entry.task = replace(entry.task, depends_on=(*entry.task.depends_on, other.task.id))
                changed += [other, entry]
    return changed


class BatchGraph:
    """The tasks of a batch and their dependencies."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._entries_by_task = {entry.task.id: entry for entry in batch.entries}
        self._dependents: dict[str, list[TaskEntry]] = {}
        for entry in batch.entries:
            for dependency in entry.task.depends_on:
                self._dependents.setdefault(dependency, []).append(entry)

    def ready_entries(self, now: float) -> list[TaskEntry]:
        """Return the tasks that can be done or compensated now."""
        return [
            entry for entry in self.batch.entries if entry.retry_at <= now and self._is_ready(entry)
        ]

    def _is_ready(self, entry: TaskEntry) -> bool:
        if entry.goal == COMPENSATE:
            dependents = self._dependents.get(entry.task.id, ())
            return entry.state in ELEMENT_STATES and not any(
                dependent.state in ELEMENT_STATES for dependent in dependents
            )
        dependencies = [
            self._entries_by_task[id] for id in entry.task.depends_on if id in self._entries_by_task
        ]
        return entry.state in {"reserved", "planned", "applied"} and all(
            dependency.state in DONE_STATES for dependency in dependencies
        )

    def compensate(
        self, unit: str, reason: str, *items: str, public_reason: str = ""
    ) -> list[ItemEntry | TaskEntry]:
        """Set the goal of a unit, and of the units that depend on it, to compensation.

        Args:
            unit: The unit.
            reason: The reason.
            *items: Ids of the items that caused it; other items of the unit refer to them.
            public_reason: The reason for customers, if it differs.

        Returns:
            The entries that were changed.
        """
        changed: list[ItemEntry | TaskEntry] = []
        for item in self.batch.items:
            if item.unit == unit and item.state == "open" and item.goal == FORWARD:
                is_other = items and item.item_id not in items
                prefix = f"with item {', '.join(items)}: " if is_other else ""
                item.reason = prefix + reason
                item.public_reason = prefix + public_reason if public_reason else ""
                item.goal = COMPENSATE
                changed.append(item)
        entries = [
            entry for entry in self.batch.entries if entry.unit == unit and entry.state != "active"
        ]
        for entry in entries:
            if entry.goal == FORWARD:
                entry.goal, entry.cause = COMPENSATE, reason
                entry.attempts, entry.failing_since, entry.retry_at = 0, 0.0, 0.0
                changed.append(entry)
        dependents = {
            dependent.unit
            for entry in entries
            for dependent in self._dependents.get(entry.task.id, ())
        }
        for other in sorted(dependents - {unit}):
            if any(item.unit == other and item.goal == FORWARD for item in self.batch.items):
                inherited = f"it needs item {unit}, which failed"
                if reason == CANCELLATION_REASON:
                    inherited = reason
                changed += self.compensate(other, inherited)
        return changed

    def complete_units(self) -> list[str]:
        """Return the open units whose tasks, and all they depend on, are done, the latter first."""
        units = {
            item.unit for item in self.batch.items if item.state == "open" and item.goal == FORWARD
        }
        units -= {entry.unit for entry in self.batch.entries if entry.state not in DONE_STATES}
        units -= {item.unit for item in self.batch.items if item.goal == COMPENSATE}
        while blocked := {unit for unit in units if not self._open_dependencies(unit) <= units}:
            units -= blocked
        ordered: list[str] = []
        while remaining := sorted(units.difference(ordered)):
            free = [unit for unit in remaining if self._open_dependencies(unit) <= {*ordered}]
            ordered += free or remaining
        return ordered

    def _open_dependencies(self, unit: str) -> set[str]:
        """Return the units that a unit depends on and that are not active."""
        task_ids = {
            id for entry in self.batch.entries if entry.unit == unit for id in entry.task.depends_on
        }
        dependencies = [self._entries_by_task[id] for id in task_ids]
        return {entry.unit for entry in dependencies if entry.state != "active"} - {unit}

    def compensated_units(self) -> list[str]:
        """Return the open units whose compensation is complete."""
        units = {
            item.unit
            for item in self.batch.items
            if item.state == "open" and item.goal == COMPENSATE
        }
        units -= {entry.unit for entry in self.batch.entries if entry.state not in UNDONE_STATES}
        return sorted(units)

    def members(self, unit: str) -> tuple[list[ItemEntry], list[TaskEntry]]:
        """Return the items and tasks of a unit."""
        return (
            [item for item in self.batch.items if item.unit == unit],
            [entry for entry in self.batch.entries if entry.unit == unit],
        )
