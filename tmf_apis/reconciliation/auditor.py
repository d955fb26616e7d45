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
from tmf_apis.element_access.connections import Connections
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.reconciliation.comparison import MISSING_ON_ELEMENT, Difference, compare
from tmf_apis.reconciliation.expected_state import ExpectedState, expected_states
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Elements that are read at once; longest time of one, in seconds.
CONCURRENCY, ELEMENT_TIMEOUT = 64, 120.0


@dataclass(slots=True)
class AuditResult:
    """What an audit has found so far.

    Attributes:
        total: How many elements there are to look at.
        elements: How many were looked at.
        services_checked: How many services were compared.
        ports_in_flight: How many ports were left alone because an order works on them.
        unreachable: Why elements could not be read, by their names.
        differences: Each with its element.
    """

    total: int
    elements: int = 0
    services_checked: int = 0
    ports_in_flight: int = 0
    unreachable: dict[str, str] = field(default_factory=dict)
    differences: list[tuple[Resource, Difference]] = field(default_factory=list)

    @property
    def elements_done(self) -> int:
        """How many elements are done."""
        return self.elements + len(self.unreachable)

    @property
    def counts(self) -> dict[str, int]:
        """How many differences there are of each type."""
        return dict(sorted(Counter(one.type for _, one in self.differences).items()))


#: Told how far an audit is; what it raises ends it.
ProgressCallback = Callable[[AuditResult], None]


class Auditor:
    """Looks at elements; several at once, each on its own."""

    def __init__(
        self, repository: Repository, connections: Connections, *, concurrency: int = CONCURRENCY
    ) -> None:
        """Take what it works with.

        Args:
            repository: Sees the whole tenant.
            connections: The way to the elements.
            concurrency: Elements that are read at once.
        """
        self._repository = repository
        self._connections = connections
        self._slots = asyncio.Semaphore(concurrency)

    async def run(
        self, elements: Iterable[Resource], on_progress: ProgressCallback = lambda _: None
    ) -> AuditResult:
        """Compare elements with the inventory."""
        chosen = {one["id"]: one for one in elements}
        result = AuditResult(len(chosen))
        seen = await asyncio.to_thread(expected_states, self._repository, chosen, datetime.now(UTC))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._audit_element(one, seen[id], result, on_progress))
                for id, one in chosen.items()
            ]
        assert all(task.done() for task in tasks)  # noqa: S101
        result.differences.sort(key=lambda pair: (str(pair[0].get("name")), pair[1].port))
        await asyncio.to_thread(on_progress, result)
        return result

    async def _audit_element(
        self,
        element: Resource,
        expected_state: ExpectedState,
        result: AuditResult,
        on_progress: ProgressCallback,
    ) -> None:
        name = str(element.get("name") or element["id"])
        try:
            async with self._slots, asyncio.timeout(ELEMENT_TIMEOUT):
                found = await self._confirmed_differences(element, expected_state)
        except ElementError as error:
            result.unreachable[name] = error.message
        except TimeoutError:
            result.unreachable[name] = "it does not come to an end"
        else:
            result.elements += 1
            result.services_checked += len(expected_state.services)
            result.ports_in_flight += expected_state.ports_in_flight
            result.differences += [(element, one) for one in found]
        await asyncio.to_thread(on_progress, result)

    async def _confirmed_differences(
        self, element: Resource, expected_state: ExpectedState
    ) -> list[Difference]:
        async with self._connections.acquire(target_of(element)) as adapter:
            first = await read_differences(adapter, expected_state)
            if not first:
                return []
            fresh = await asyncio.to_thread(
                expected_states, self._repository, [element["id"]], datetime.now(UTC)
            )
            again = {one.key: one for one in await read_differences(adapter, fresh[element["id"]])}
        return [again[one.key] for one in first if one.key in again]

    async def recheck(self, element: Resource, key: tuple[str, str, str]) -> Difference | None:
        """Return a difference as it is now; None: it is none any more.

        Raises:
            ElementError: The element cannot be read.
        """
        now = datetime.now(UTC)
        view = (await asyncio.to_thread(expected_states, self._repository, [element["id"]], now))[
            element["id"]
        ]
        async with self._connections.acquire(target_of(element)) as adapter:
            found = await read_differences(adapter, view)
        return next((one for one in found if one.key == key), None)


async def read_differences(adapter: Adapter, expected_state: ExpectedState) -> list[Difference]:
    """Return the differences of one element, read now."""
    observed = await adapter.services()
    found = compare(expected_state, observed)
    if not any(one.type == MISSING_ON_ELEMENT for one in found):
        return found
    ports = frozenset(one.name for one in (await adapter.inventory()).ports)
    return compare(expected_state, observed, ports or None)


def select_elements(repository: Repository, ids_or_names: Iterable[str]) -> list[Resource]:
    """Return the elements of some ids or names; all where none is named.

    Raises:
        ValueError: There is none of that id or name.
    """
    every = managed_elements(repository)
    wanted = list(ids_or_names)
    if not wanted:
        return every
    by_id = {one["id"]: one for one in every}
    by_name = {str(one.get("name")): one for one in every}
    if missing := [one for one in wanted if one not in by_id and one not in by_name]:
        raise ValueError(f"no such element in the inventory: {', '.join(missing[:10])}")
    return list({one["id"]: one for name in wanted for one in [by_id.get(name) or by_name[name]]}
                .values())  # fmt: skip
