"""Many elements compared with the inventories at once.

Orders go on meanwhile: what they work on is left out, and what differs is looked at a second time,
in the inventory and on the element, before it counts.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adapters.base import Adapter
from adapters.errors import ElementError
from tmf_apis.elements.connections import Connections
from tmf_apis.fulfilment.elements import gateways, target_of
from tmf_apis.reconciliation.comparing import MISSING, Difference, compare
from tmf_apis.reconciliation.expecting import View, views
from tmf_apis.rest.law import Desk, Resource

#: Elements that are read at once; longest time of one, in seconds.
AT_ONCE, PATIENCE = 64, 120.0


@dataclass(slots=True)
class Result:
    """What an audit has found so far.

    Attributes:
        total: How many elements there are to look at.
        elements: How many were looked at.
        checked: How many services were compared.
        in_flight: How many ports were left alone because an order works on them.
        unreachable: Why elements could not be read, by their names.
        differences: Each with its element.
    """

    total: int
    elements: int = 0
    checked: int = 0
    in_flight: int = 0
    unreachable: dict[str, str] = field(default_factory=dict)
    differences: list[tuple[Resource, Difference]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many elements are done."""
        return self.elements + len(self.unreachable)

    @property
    def counts(self) -> dict[str, int]:
        """How many differences there are of each type."""
        return dict(sorted(Counter(one.type for _, one in self.differences).items()))


#: Told how far an audit is; what it raises ends it.
Tell = Callable[[Result], None]


class Audit:
    """Looks at elements; several at once, each on its own."""

    def __init__(self, desk: Desk, connections: Connections, *, at_once: int = AT_ONCE) -> None:
        """Take what it works with.

        Args:
            desk: Sees the whole tenant.
            connections: The way to the elements.
            at_once: Elements that are read at once.
        """
        self._desk = desk
        self._connections = connections
        self._turns = asyncio.Semaphore(at_once)

    async def run(self, elements: Iterable[Resource], tell: Tell = lambda _: None) -> Result:
        """Compare elements with the inventory."""
        chosen = {one["id"]: one for one in elements}
        result = Result(len(chosen))
        seen = await asyncio.to_thread(views, self._desk, chosen, datetime.now(UTC))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._element(one, seen[id], result, tell))
                for id, one in chosen.items()
            ]
        assert all(task.done() for task in tasks)  # noqa: S101
        result.differences.sort(key=lambda pair: (str(pair[0].get("name")), pair[1].port))
        await asyncio.to_thread(tell, result)
        return result

    async def _element(self, element: Resource, view: View, result: Result, tell: Tell) -> None:
        name = str(element.get("name") or element["id"])
        try:
            async with self._turns, asyncio.timeout(PATIENCE):
                found = await self._compared(element, view)
        except ElementError as error:
            result.unreachable[name] = error.message
        except TimeoutError:
            result.unreachable[name] = "it does not come to an end"
        else:
            result.elements += 1
            result.checked += len(view.expected)
            result.in_flight += view.in_flight
            result.differences += [(element, one) for one in found]
        await asyncio.to_thread(tell, result)

    async def _compared(self, element: Resource, view: View) -> list[Difference]:
        async with self._connections.to(target_of(element)) as adapter:
            first = await looked(adapter, view)
            if not first:
                return []
            fresh = await asyncio.to_thread(views, self._desk, [element["id"]], datetime.now(UTC))
            again = {one.key: one for one in await looked(adapter, fresh[element["id"]])}
        return [again[one.key] for one in first if one.key in again]

    async def again(self, element: Resource, key: tuple[str, str, str]) -> Difference | None:
        """Return a difference as it is now; None: it is none any more.

        Raises:
            ElementError: The element cannot be read.
        """
        now = datetime.now(UTC)
        view = (await asyncio.to_thread(views, self._desk, [element["id"]], now))[element["id"]]
        async with self._connections.to(target_of(element)) as adapter:
            found = await looked(adapter, view)
        return next((one for one in found if one.key == key), None)


async def looked(adapter: Adapter, view: View) -> list[Difference]:
    """Return the differences of one element, read now."""
    observed = await adapter.services()
    found = compare(view, observed)
    if not any(one.type == MISSING for one in found):
        return found
    ports = frozenset(one.name for one in (await adapter.inventory()).ports)
    return compare(view, observed, ports or None)


def chosen(desk: Desk, named: Iterable[str]) -> list[Resource]:
    """Return the elements of some ids or names; all where none is named.

    Raises:
        ValueError: There is none of that id or name.
    """
    every = gateways(desk)
    wanted = list(named)
    if not wanted:
        return every
    by_id = {one["id"]: one for one in every}
    by_name = {str(one.get("name")): one for one in every}
    if missing := [one for one in wanted if one not in by_id and one not in by_name]:
        raise ValueError(f"no such element in the inventory: {', '.join(missing[:10])}")
    return list({one["id"]: one for name in wanted for one in [by_id.get(name) or by_name[name]]}
                .values())  # fmt: skip
