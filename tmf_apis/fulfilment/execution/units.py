"""What stands and falls together: the graph of a batch; pure, on the journal's entries.

A unit is an item of an order with all its tasks, or all items where the order, or the item around
them, says ``allOrNothing``. A unit goes forward until it is done, or back until nothing is left of
it; one that needs another goes back with it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.execution.journal import (
    BACK,
    DONE,
    FORWARD,
    GONE,
    TOUCHED,
    Batch,
    Entry,
    Item,
)
from tmf_apis.fulfilment.values import Design, OrderKey
from tmf_apis.rest.law import Resource

#: Why a unit goes back whose customer does not want it any more.
CANCELLED = "the order was cancelled"


def unit_of(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of every item of an order, by the items' ids.

    >>> parts = [{"id": "1"}, {"id": "2", "allOrNothing": True, "productOrderItem": [{"id": "3"}]}]
    >>> unit_of({"productOrderItem": parts})
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


def batched(
    key: OrderKey, order: Mapping[str, Any], design: Design, size: int
) -> list[tuple[list[Item], list[Entry]]]:
    """Return what an order wants in batches: whole units, with all that they wait for.

    Args:
        key: Which order.
        order: The order, with its items as those of a product order.
        design: What it wants.
        size: How many items or tasks a batch has at least, but for the last.
    """
    of, unit = key.name, unit_of(order)
    items = [Item(id=f"{of}/{one.item}", item=one.item, unit=unit[one.item], plan=one)
             for one in design.items]  # fmt: skip
    items += [
        Item(id=f"{of}/{item}", item=item, unit=unit[item], goal=BACK, reason=reason)
        for item, reason in design.refused.items()
    ]
    entries = [Entry(id=f"{of}/{one.id}", unit=unit[one.item], task=one) for one in design.tasks]
    wholes = _components(items, entries)
    batches: list[tuple[list[Item], list[Entry]]] = []
    for some, tasks in wholes:
        if batches and max(len(batches[-1][0]), len(batches[-1][1])) < size:
            batches[-1][0].extend(some)
            batches[-1][1].extend(tasks)
        else:
            batches.append((some, tasks))
    for number, (some, tasks) in enumerate(batches):
        graph = Graph(Batch(key, number, some, tasks))
        for item in [one for one in some if one.goal == BACK]:
            graph.turned(item.unit, item.reason, item.item)
    return batches


def _components(
    items: Sequence[Item], entries: Sequence[Entry]
) -> Iterator[tuple[list[Item], list[Entry]]]:
    """Yield units that wait for each other together, in the order of their first items."""
    home = {one.unit: one.unit for one in items}

    def root(unit: str) -> str:
        while home[unit] != unit:
            home[unit] = home[home[unit]]
            unit = home[unit]
        return unit

    units = {one.task.id: one.unit for one in entries}
    for one in entries:
        for needed in one.task.after:
            home[root(one.unit)] = root(units[needed])
    some: dict[str, list[Item]] = {}
    tasks: dict[str, list[Entry]] = {}
    for item in items:
        some.setdefault(root(item.unit), []).append(item)
    for entry in entries:
        tasks.setdefault(root(entry.unit), []).append(entry)
    for unit, held in some.items():
        yield held, tasks.get(unit, [])


def breaking(batch: Batch) -> list[Entry]:
    """Let services that move to another carrier of the same element leave the old one first.

    No element has a service twice. Elsewhere the new carrier is set up before the old one is
    freed, as it was planned. Returns the tasks whose order was changed.
    """
    changed: list[Entry] = []
    for entry in batch.entries:
        if not entry.task.replaces or entry.state != "reserved":
            continue
        for other in batch.entries:
            leaves = other.task.action == "cease" and other.task.service == entry.task.service
            if leaves and other.element == entry.element and entry.task.id in other.task.after:
                rest = tuple(id for id in other.task.after if id != entry.task.id)
                other.task = replace(other.task, after=rest)
                entry.task = replace(entry.task, after=(*entry.task.after, other.task.id))
                changed += [other, entry]
    return changed


class Graph:
    """The tasks of a batch and what waits for what."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._task = {one.task.id: one for one in batch.entries}
        self._needed_by: dict[str, list[Entry]] = {}
        for one in batch.entries:
            for needed in one.task.after:
                self._needed_by.setdefault(needed, []).append(one)

    def ready(self, now: float) -> list[Entry]:
        """Return the tasks that can be brought forward or back now."""
        return [one for one in self.batch.entries if one.again <= now and self._can_go(one)]

    def _can_go(self, entry: Entry) -> bool:
        if entry.goal == BACK:
            after = self._needed_by.get(entry.task.id, ())
            return entry.state in TOUCHED and not any(one.state in TOUCHED for one in after)
        before = [self._task[id] for id in entry.task.after if id in self._task]
        return entry.state in {"reserved", "planned", "applied"} and all(
            one.state in DONE for one in before
        )

    def turned(self, unit: str, reason: str, *items: str) -> list[Item | Entry]:
        """Turn a unit back, and every other that needs it; return what is not as it was.

        Args:
            unit: The unit.
            reason: Why, for the customer.
            *items: Ids of the items that the reason is about; the others of the unit have it
                at second hand.
        """
        changed: list[Item | Entry] = []
        for item in self.batch.items:
            if item.unit == unit and item.state == "open" and item.goal == FORWARD:
                second = items and item.item not in items
                item.reason = f"with item {', '.join(items)}: {reason}" if second else reason
                item.goal = BACK
                changed.append(item)
        mine = [one for one in self.batch.entries if one.unit == unit and one.state != "active"]
        for entry in mine:
            if entry.goal == FORWARD:
                entry.goal = BACK
                entry.attempts, entry.since, entry.again = 0, 0.0, 0.0
                changed.append(entry)
        needing = {one.unit for entry in mine for one in self._needed_by.get(entry.task.id, ())}
        for other in sorted(needing - {unit}):
            if any(one.unit == other and one.goal == FORWARD for one in self.batch.items):
                text = reason if reason == CANCELLED else f"it needs item {unit}, which failed"
                changed += self.turned(other, text)
        return changed

    def complete(self) -> list[str]:
        """Return the units that are on the network whole, with all that they need; not yet said."""
        open_ = [one for one in self.batch.items if one.state == "open" and one.goal == FORWARD]
        whole = {one.unit for one in open_}
        whole -= {one.unit for one in self.batch.entries if one.state not in DONE}
        whole -= {one.unit for one in self.batch.items if one.goal == BACK}
        while lacking := {unit for unit in whole if not self._needs(unit) <= whole}:
            whole -= lacking
        return sorted(whole)

    def _needs(self, unit: str) -> set[str]:
        """Return the units that a unit waits for and that are not said to be done."""
        needed = {id for one in self.batch.entries if one.unit == unit for id in one.task.after}
        return {self._task[id].unit for id in needed if self._task[id].state != "active"} - {unit}

    def cleared(self) -> list[str]:
        """Return the units of which nothing is left; not yet said."""
        back = {one.unit for one in self.batch.items if one.state == "open" and one.goal == BACK}
        return sorted(back - {one.unit for one in self.batch.entries if one.state not in GONE})

    def in_unit(self, unit: str) -> tuple[list[Item], list[Entry]]:
        """Return items and tasks of a unit."""
        return (
            [one for one in self.batch.items if one.unit == unit],
            [one for one in self.batch.entries if one.unit == unit],
        )
