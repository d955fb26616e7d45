"""Audit: the comparison of many elements with the inventories.

Orders continue during an audit. The audit skips the ports that they have reserved, and reads
inventory and element a second time before it reports a difference.
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

#: Number of elements that are read at the same time; maximum time for each, in seconds.
CONCURRENCY, ELEMENT_TIMEOUT = 64, 120.0


@dataclass(slots=True)
class AuditResult:
    """The result of an audit so far.

    Attributes:
        total: Number of elements to audit.
        elements: Number of elements that were compared.
        services_checked: Number of services that were compared.
        ports_in_flight: Number of ports that were skipped because an order has reserved them.
        unreachable: Reasons why elements could not be read, by name of the element.
        differences: The differences, each with its element.
    """

    total: int
    elements: int = 0
    services_checked: int = 0
    ports_in_flight: int = 0
    unreachable: dict[str, str] = field(default_factory=dict)
    differences: list[tuple[Resource, Difference]] = field(default_factory=list)

    @property
    def elements_done(self) -> int:
        """Number of elements that were compared or could not be read."""
        return self.elements + len(self.unreachable)

    @property
    def counts(self) -> dict[str, int]:
        """Number of differences by type."""
        return dict(sorted(Counter(difference.type for _, difference in self.differences).items()))


#: Called after each element; an exception that it raises ends the audit.
ProgressCallback = Callable[[AuditResult], None]


class Auditor:
    """Compares elements with the inventory, several at the same time."""

    def __init__(
        self, repository: Repository, connections: Connections, *, concurrency: int = CONCURRENCY
    ) -> None:
        """Create an auditor.

        Args:
            repository: Repository of the whole tenant.
            connections: Connections to the elements.
            concurrency: Number of elements that are read at the same time.
        """
        self._repository = repository
        self._connections = connections
        self._slots = asyncio.Semaphore(concurrency)

    async def run(
        self, elements: Iterable[Resource], on_progress: ProgressCallback = lambda _: None
    ) -> AuditResult:
        """Compare elements with the inventory and return the result."""
        elements_by_id = {element["id"]: element for element in elements}
        result = AuditResult(len(elements_by_id))
        states = await asyncio.to_thread(
            expected_states, self._repository, elements_by_id, datetime.now(UTC)
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._audit_element(element, states[id], result, on_progress))
                for id, element in elements_by_id.items()
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
                differences = await self._confirmed_differences(element, expected_state)
        except ElementError as error:
            result.unreachable[name] = error.message
        except TimeoutError:
            result.unreachable[name] = f"not read within {ELEMENT_TIMEOUT:g} s"
        else:
            result.elements += 1
            result.services_checked += len(expected_state.services)
            result.ports_in_flight += expected_state.ports_in_flight
            result.differences += [(element, difference) for difference in differences]
        await asyncio.to_thread(on_progress, result)

    async def _confirmed_differences(
        self, element: Resource, expected_state: ExpectedState
    ) -> list[Difference]:
        target = target_of(element, self._repository.tenant)
        async with self._connections.acquire(target) as adapter:
            differences = await read_differences(adapter, expected_state)
            if not differences:
                return []
            new_states = await asyncio.to_thread(
                expected_states, self._repository, [element["id"]], datetime.now(UTC)
            )
            confirmed = {
                difference.key: difference
                for difference in await read_differences(adapter, new_states[element["id"]])
            }
        return [
            confirmed[difference.key] for difference in differences if difference.key in confirmed
        ]

    async def recheck(self, element: Resource, key: tuple[str, str, str]) -> Difference | None:
        """Return the current state of a difference; None: inventory and element agree now.

        Raises:
            ElementError: The element cannot be read.
        """
        now = datetime.now(UTC)
        expected_state = (
            await asyncio.to_thread(expected_states, self._repository, [element["id"]], now)
        )[element["id"]]
        target = target_of(element, self._repository.tenant)
        async with self._connections.acquire(target) as adapter:
            differences = await read_differences(adapter, expected_state)
        return next((difference for difference in differences if difference.key == key), None)


async def read_differences(adapter: Adapter, expected_state: ExpectedState) -> list[Difference]:
    """Read an element and return its differences from the expected state."""
    observed = await adapter.services()
    differences = compare(expected_state, observed)
    if not any(difference.type == MISSING_ON_ELEMENT for difference in differences):
        return differences
    ports = frozenset(port.name for port in (await adapter.inventory()).ports)
    return compare(expected_state, observed, ports or None)


def select_elements(repository: Repository, ids_or_names: Iterable[str]) -> list[Resource]:
    """Return the elements with the given ids or names; without any: all elements.

    Raises:
        ValueError: An id or name matches no element.
    """
    elements = managed_elements(repository)
    selectors = list(ids_or_names)
    if not selectors:
        return elements
    by_id = {element["id"]: element for element in elements}
    by_name = {str(element.get("name")): element for element in elements}
    if unknown := [name for name in selectors if name not in by_id and name not in by_name]:
        raise ValueError(f"no such element in the inventory: {', '.join(unknown[:10])}")
    chosen = [by_id.get(name) or by_name[name] for name in selectors]
    return list({element["id"]: element for element in chosen}.values())
