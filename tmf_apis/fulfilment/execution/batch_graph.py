"""What stands and falls together: the graph of a batch; pure, on the journal's entries.

A unit is an item of an order with all its tasks, or all items where the order, or the item around
them, says ``allOrNothing``. A unit goes forward until it is done, or back until nothing is left of
it; one that needs another goes back with it.
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

#: Why a unit goes back whose customer does not want it any more.
CANCELLATION_REASON = "the order was cancelled"


def units_by_item(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of every item of an order, by the items' ids.

    >>> parts = [{"id": "1"}, {"id": "2", "allOrNothing": True, "productOrderItem": [{"id": "3"}]}]
    >>> units_by_item({"productOrderItem": parts})
    {'1': '1', '2': '2', '3': '2'}
    """
    found: dict[str, str] = {}

    def walk(items: Iterable[Resource], unit: str | None) -> None:
        for item in items:
            own = unit if unit is not None else item["id"]
            found[item["id"]] = own
            inner = own if unit is not None or item.get("allOrNothing") is True else None
            walk(item.get("productOrderItem") or (), inner)

    everything = "*" if order.get("allOrNothing") is True else None
    walk(order.get("productOrderItem") or (), everything)
    return found


def split_into_batches(
    key: OrderKey, order: Mapping[str, Any], design: OrderDesign, size: int
) -> list[tuple[list[ItemEntry], list[TaskEntry]]]:
    """Return what an order wants in batches: whole units, with all that they wait for.

    Args:
        key: Which order.
        order: The order, with its items as those of a product order.
        design: What it wants.
        size: How many items or tasks a batch has at least, but for the last.
    """
    of, unit = key.qualified_id, units_by_item(order)
    items = [ItemEntry(id=f"{of}/{one.item}", item_id=one.item, unit=unit[one.item], plan=one)
             for one in design.items]  # fmt: skip
    items += [
        ItemEntry(id=f"{of}/{item}", item_id=item, unit=unit[item], goal=COMPENSATE, reason=reason)
        for item, reason in design.rejections.items()
    ]
    entries = [
        TaskEntry(id=f"{of}/{one.id}", unit=unit[one.item], task=one) for one in design.tasks
    ]
    wholes = _components(items, entries)
    batches: list[tuple[list[ItemEntry], list[TaskEntry]]] = []
    for some, tasks in wholes:
        if batches and max(len(batches[-1][0]), len(batches[-1][1])) < size:
            batches[-1][0].extend(some)
            batches[-1][1].extend(tasks)
        else:
            batches.append((some, tasks))
    for number, (some, tasks) in enumerate(batches):
        graph = BatchGraph(Batch(key, number, some, tasks))
        for item in [one for one in some if one.goal == COMPENSATE]:
            graph.compensate(item.unit, item.reason, item.item_id)
    return batches


def _components(
    items: Sequence[ItemEntry], entries: Sequence[TaskEntry]
) -> Iterator[tuple[list[ItemEntry], list[TaskEntry]]]:
    """Yield units that wait for each other together, in the order of their first items."""
    home = {one.unit: one.unit for one in items}

    def root(unit: str) -> str:
        while home[unit] != unit:
            home[unit] = home[home[unit]]
            unit = home[unit]
        return unit

    units = {one.task.id: one.unit for one in entries}
    for one in entries:
        for needed in one.task.depends_on:
            home[root(one.unit)] = root(units[needed])
    some: dict[str, list[ItemEntry]] = {}
    tasks: dict[str, list[TaskEntry]] = {}
    for item in items:
        some.setdefault(root(item.unit), []).append(item)
    for entry in entries:
        tasks.setdefault(root(entry.unit), []).append(entry)
    for unit, held in some.items():
        yield held, tasks.get(unit, [])


def reorder_moves(batch: Batch) -> list[TaskEntry]:
    """Let services that move to another carrier of the same element leave the old one first.

    No element has a service twice. Elsewhere the new carrier is set up before the old one is
    freed, as it was planned. Returns the tasks whose order was changed.
    """
    changed: list[TaskEntry] = []
    for entry in batch.entries:
        if not entry.task.is_move or entry.state != "reserved":
            continue
        for other in batch.entries:
            leaves = other.task.action == "cease" and other.task.service == entry.task.service
            if leaves and other.element == entry.element and entry.task.id in other.task.depends_on:
                rest = tuple(id for id in other.task.depends_on if id != entry.task.id)
                other.task = replace(other.task, depends_on=rest)
                entry.task = replace(entry.task, depends_on=(*entry.task.depends_on, other.task.id))
                changed += [other, entry]
    return changed


class BatchGraph:
    """The tasks of a batch and what waits for what."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._entries_by_task = {one.task.id: one for one in batch.entries}
        self._dependents: dict[str, list[TaskEntry]] = {}
        for one in batch.entries:
            for needed in one.task.depends_on:
                self._dependents.setdefault(needed, []).append(one)

    def ready_entries(self, now: float) -> list[TaskEntry]:
        """Return the tasks that can be brought forward or back now."""
        return [one for one in self.batch.entries if one.retry_at <= now and self._is_ready(one)]

    def _is_ready(self, entry: TaskEntry) -> bool:
        if entry.goal == COMPENSATE:
            after = self._dependents.get(entry.task.id, ())
            return entry.state in ELEMENT_STATES and not any(
                one.state in ELEMENT_STATES for one in after
            )
        before = [
            self._entries_by_task[id] for id in entry.task.depends_on if id in self._entries_by_task
        ]
        return entry.state in {"reserved", "planned", "applied"} and all(
            one.state in DONE_STATES for one in before
        )

    def compensate(self, unit: str, reason: str, *items: str) -> list[ItemEntry | TaskEntry]:
        """Turn a unit back, and every other that needs it; return what is not as it was.

        Args:
            unit: The unit.
            reason: Why, for the customer.
            *items: Ids of the items that the reason is about; the others of the unit have it
                at second hand.
        """
        changed: list[ItemEntry | TaskEntry] = []
        for item in self.batch.items:
            if item.unit == unit and item.state == "open" and item.goal == FORWARD:
                second = items and item.item_id not in items
                item.reason = f"with item {', '.join(items)}: {reason}" if second else reason
                item.goal = COMPENSATE
                changed.append(item)
        mine = [one for one in self.batch.entries if one.unit == unit and one.state != "active"]
        for entry in mine:
            if entry.goal == FORWARD:
                entry.goal = COMPENSATE
                entry.attempts, entry.failing_since, entry.retry_at = 0, 0.0, 0.0
                changed.append(entry)
        needing = {one.unit for entry in mine for one in self._dependents.get(entry.task.id, ())}
        for other in sorted(needing - {unit}):
            if any(one.unit == other and one.goal == FORWARD for one in self.batch.items):
                text = (
                    reason
                    if reason == CANCELLATION_REASON
                    else f"it needs item {unit}, which failed"
                )
                changed += self.compensate(other, text)
        return changed

    def complete_units(self) -> list[str]:
        """Return the units that are on the network whole, with all that they need; not yet said."""
        open_ = [one for one in self.batch.items if one.state == "open" and one.goal == FORWARD]
        whole = {one.unit for one in open_}
        whole -= {one.unit for one in self.batch.entries if one.state not in DONE_STATES}
        whole -= {one.unit for one in self.batch.items if one.goal == COMPENSATE}
        while lacking := {unit for unit in whole if not self._open_dependencies(unit) <= whole}:
            whole -= lacking
        return sorted(whole)

    def _open_dependencies(self, unit: str) -> set[str]:
        """Return the units that a unit waits for and that are not said to be done."""
        needed = {
            id for one in self.batch.entries if one.unit == unit for id in one.task.depends_on
        }
        return {
            self._entries_by_task[id].unit
            for id in needed
            if self._entries_by_task[id].state != "active"
        } - {unit}

    def compensated_units(self) -> list[str]:
        """Return the units of which nothing is left; not yet said."""
        back = {
            one.unit for one in self.batch.items if one.state == "open" and one.goal == COMPENSATE
        }
        return sorted(
            back - {one.unit for one in self.batch.entries if one.state not in UNDONE_STATES}
        )

    def members(self, unit: str) -> tuple[list[ItemEntry], list[TaskEntry]]:
        """Return items and tasks of a unit."""
        return (
            [one for one in self.batch.items if one.unit == unit],
            [one for one in self.batch.entries if one.unit == unit],
        )
