"""Audit: the comparison of many elements with the inventories.

Orders continue during an audit. The audit skips the ports that they have reserved, and reads
inventory and element a second time before it reports a difference.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from adapters.base import Adapter
from adapters.errors import ElementError
from adapters.values import Observed
from tmf_apis.element_access.connections import Connections
from tmf_apis.inventory.elements import managed_elements, ports_by_key, target_of
from tmf_apis.reconciliation.comparison import MISSING_ON_ELEMENT, Difference, compare
from tmf_apis.reconciliation.expected_state import ExpectedState, expected_states, service_states
from tmf_apis.reconciliation.possible_remedies import ElementView, with_possible_remedies
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
        compared: The elements that were compared.
    """

    total: int
    elements: int = 0
    services_checked: int = 0
    ports_in_flight: int = 0
    unreachable: dict[str, str] = field(default_factory=dict)
    differences: list[tuple[Resource, Difference]] = field(default_factory=list)
    compared: list[Resource] = field(default_factory=list)

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
            result.compared.append(element)
        await asyncio.to_thread(on_progress, result)

    async def _confirmed_differences(
        self, element: Resource, expected_state: ExpectedState
    ) -> list[Difference]:
        target = target_of(element, self._repository.tenant)
        async with self._connections.acquire(target) as adapter:
            differences = await read_differences(adapter, expected_state)
            if not differences:
                return []
            confirmed = {each.key: each for each in await self._read(adapter, element)}
        return [
            confirmed[difference.key] for difference in differences if difference.key in confirmed
        ]

    async def recheck(self, element: Resource) -> tuple[list[Difference], ElementView]:
        """Return the current differences of an element, and what is on it.

        Raises:
            ElementError: The element cannot be read.
        """
        target = target_of(element, self._repository.tenant)
        async with self._connections.acquire(target) as adapter:
            return await self._read_with_view(adapter, element)

    async def _read(self, adapter: Adapter, element: Resource) -> list[Difference]:
        return (await self._read_with_view(adapter, element))[0]

    async def _read_with_view(
        self, adapter: Adapter, element: Resource
    ) -> tuple[list[Difference], ElementView]:
        """Compare an element with the inventory as it is now; offer what can work."""
        states = await asyncio.to_thread(
            expected_states, self._repository, [element["id"]], datetime.now(UTC)
        )
        observed = await adapter.services()
        differences = await _differences(adapter, states[element["id"]], observed)
        if not differences:
            return [], ElementView()
        read_inventory = partial(self._inventory_of, element, differences)
        view = ElementView.of(observed, *await asyncio.to_thread(read_inventory))
        return with_possible_remedies(differences, view), view

    def _inventory_of(
        self, element: Resource, differences: Iterable[Difference]
    ) -> tuple[dict[str, Resource], dict[str, str]]:
        services = sorted({difference.service for difference in differences} - {""})
        ports = ports_by_key(self._repository, element["id"])
        return ports, service_states(self._repository, services)


async def read_differences(adapter: Adapter, expected_state: ExpectedState) -> list[Difference]:
    """Read an element and return its differences from the expected state."""
    return await _differences(adapter, expected_state, await adapter.services())


async def _differences(
    adapter: Adapter, expected_state: ExpectedState, observed: list[Observed]
) -> list[Difference]:
    differences = compare(expected_state, observed)
    if not any(difference.type == MISSING_ON_ELEMENT for difference in differences):
        return differences
    inventory = await adapter.inventory()
    if any(table.part == "ports" for table in inventory.unread):
        return differences  # a port that was not read may exist
    ports = frozenset(port.name for port in inventory.ports)
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
