"""Discovery: elements are read from the network and written into the inventory.

Only the given targets are contacted. They are read in batches, in an order that does not depend on
the order in which they are given. An element is read completely before any of it is written, so an
element that disappears in the middle leaves the inventory unchanged.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pymongo.errors import PyMongoError

from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import AdapterFailed, ElementError, InvalidAnswer, Unreachable
from adapters.values import Target
from tmf_apis.element_access.access_policy import COMMAND_LINE, AccessPolicy, create_adapter
from tmf_apis.errors import TmfError
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation import links, snapshots
from tmf_apis.reconciliation.inventory_update import StoredElement, store_snapshot
from tmf_apis.reconciliation.matching import ElementIndex, ElementMatch, match
from tmf_apis.reconciliation.snapshots import InconsistentSnapshot, Snapshot
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Number of elements that are read at the same time; number of targets in a batch.
CONCURRENCY, BATCH_SIZE = 64, 256
#: Maximum number of outcomes that a discovery lists.
MAX_REPORTED_OUTCOMES = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target of discovery and how to read it.

    Attributes:
        target: The address.
        adapter: Name of the adapter.
        credentials: Names of credentials, tried in this order; none: the empty name.
        options: Options of the adapter.
        site: Reference to the place of the element, used if the element is new.
    """

    target: DiscoveryTarget
    adapter: str = "snmp"
    credentials: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    site: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DiscoveryOutcome:
    """The outcome of discovery for one target.

    Attributes:
        address: Address of the target.
        status: "created", "updated", "unchanged", "unreachable", "refused", "inDoubt" or
            "silent". An address of a range or network that does not answer is silent; an element
            whose answers cannot be understood is in doubt.
        element: Resource of the element; None: there is none.
        ports: Number of its ports.
        message: Error or anomalies, for people.
    """

    address: str
    status: str
    element: Resource | None = None
    ports: int = 0
    message: str = ""


@dataclass(slots=True)
class DiscoveryResult:
    """The result of a discovery so far.

    Attributes:
        total: Number of targets.
        outcomes: Outcomes of the targets that are done, without the silent ones.
        counts: Number of targets by status.
        links_changed: Number of ports that were connected or disconnected.
    """

    total: int
    outcomes: list[DiscoveryOutcome] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    links_changed: int = 0

    @property
    def targets_done(self) -> int:
        """Number of targets that are done."""
        return sum(self.counts.values())

    def count(self, status: str) -> int:
        """Return the number of targets with a status."""
        return self.counts.get(status, 0)

    def add(self, outcome: DiscoveryOutcome) -> None:
        """Add the outcome of a target."""
        self.counts[outcome.status] = self.count(outcome.status) + 1
        if outcome.status != "silent":
            self.outcomes.append(outcome)


#: Called after each element; an exception that it raises ends the discovery.
ProgressCallback = Callable[[DiscoveryResult], None]
#: Called in a thread with a tenant and the id of an element.
StoredCallback = Callable[[str, str], None]
log = logging.getLogger(__name__)
_ReadResult = tuple[Candidate, Snapshot | DiscoveryOutcome]


class Discovery:
    """One discovery run."""

    def __init__(
        self,
        repository: Repository,
        credentials: Credentials,
        *,
        concurrency: int = CONCURRENCY,
        policy: AccessPolicy = COMMAND_LINE,
        on_stored: StoredCallback = lambda *_: None,
    ) -> None:
        """Create a run.

        Args:
            repository: Repository of the tenant.
            credentials: The operator's secrets.
            concurrency: Number of elements that are read at the same time.
            policy: The rules for connections to elements.
            on_stored: Called with the tenant and the id of each element that was stored.
        """
        self._policy = policy
        self._on_stored = on_stored
        self._repository = repository
        self._credentials = credentials
        self._slots = asyncio.Semaphore(concurrency)
        self._index = ElementIndex()

    async def run(
        self, candidates: Iterable[Candidate], on_progress: ProgressCallback = lambda _: None
    ) -> DiscoveryResult:
        """Read all targets and update the inventory; write one batch while the next is read."""
        ordered = sorted(candidates, key=lambda candidate: candidate.target.address)
        result = DiscoveryResult(len(ordered))
        for element in await asyncio.to_thread(managed_elements, self._repository):
            self._index.put(element)
        batches = [ordered[at : at + BATCH_SIZE] for at in range(0, len(ordered), BATCH_SIZE)]
        reading = asyncio.create_task(self._read_batch(batches[0])) if batches else None
        for number in range(len(batches)):
            assert reading  # noqa: S101
            read_results = await reading
            has_next = number + 1 < len(batches)
            reading = (
                asyncio.create_task(self._read_batch(batches[number + 1])) if has_next else None
            )
            try:
                await self._write_batch(read_results, result, on_progress)
            except BaseException:
                if reading:
                    reading.cancel()
                raise
        result.links_changed = await asyncio.to_thread(links.update_links, self._repository)
        await asyncio.to_thread(on_progress, result)
        return result

    async def _read_batch(self, candidates: Iterable[Candidate]) -> list[_ReadResult]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                (candidate, group.create_task(self._read_element(candidate)))
                for candidate in candidates
            ]
        return [(candidate, task.result()) for candidate, task in tasks]

    async def _write_batch(
        self,
        read_results: list[_ReadResult],
        result: DiscoveryResult,
        on_progress: ProgressCallback,
    ) -> None:
        """Write the elements of a batch and add the outcomes to the result."""
        for _, read_result in read_results:
            if isinstance(read_result, DiscoveryOutcome):
                result.add(read_result)
        new_snapshots = [
            read_result for _, read_result in read_results if isinstance(read_result, Snapshot)
        ]
        for element_match in match(new_snapshots, self._index):
            resolved = await self._resolve_address_change(element_match)
            result.add(await asyncio.to_thread(self._store_or_report, resolved))
            await asyncio.to_thread(on_progress, result)

    async def _read_element(self, candidate: Candidate) -> Snapshot | DiscoveryOutcome:
        """Read one element with the first credentials that it accepts."""
        address, is_explicit = candidate.target.address, candidate.target.is_explicit
        failures: list[ElementError] = []
        known_elements = self._index.by_address(address)
        for target in _connection_targets(candidate, known_elements, self._repository.tenant):
            try:
                async with self._slots:
                    return await self._read_snapshot(target, candidate)
            except ElementError as error:
                failures.append(error)
            except InconsistentSnapshot as error:
                return DiscoveryOutcome(address, "inDoubt", message=str(error))
            except TimeoutError:
                message = f"not read within {snapshots.READ_TIMEOUT:g} s"
                return DiscoveryOutcome(address, "inDoubt", message=message)
        silent = [error for error in failures if _is_silent(error)]
        element = known_elements[0] if known_elements else None
        if len(silent) == len(failures):
            status = "unreachable" if is_explicit or known_elements else "silent"
            return DiscoveryOutcome(address, status, element, message=failures[-1].message)
        failure = [failure for failure in failures if not _is_silent(failure)][-1]
        is_nonsense = isinstance(failure, InvalidAnswer | AdapterFailed)
        status = "inDoubt" if is_nonsense else "refused"
        return DiscoveryOutcome(address, status, element, message=failure.message)

    async def _read_snapshot(self, target: Target, candidate: Candidate) -> Snapshot:
        async with await self._connect(target) as adapter:
            facts = await adapter.probe()
            snapshot = await snapshots.read_snapshot(adapter, facts)
        # the target as the inventory has it: the adapter connects to its checked address
        return replace(snapshot, target=target, place=candidate.site)

    async def _connect(self, target: Target) -> Adapter:
        return await create_adapter(target, self._credentials, self._policy)

    async def _resolve_address_change(self, element_match: ElementMatch) -> ElementMatch:
        """Return the match of an element after checking its known address, if that is another one.

        An element that still answers at its known address has several addresses and keeps that one.
        """
        if element_match.inconsistency or element_match.is_duplicate:
            return element_match
        snapshot = element_match.snapshot
        old_snapshot = await self._snapshot_at_old_address(element_match.known_element, snapshot)
        if old_snapshot is None:
            return element_match
        if snapshot.serial and old_snapshot.serial == snapshot.serial:
            return replace(element_match, is_duplicate=True)
        if not snapshot.serial and old_snapshot.facts.name == snapshot.facts.name:
            message = (
                f"{old_snapshot.target.address} calls itself {snapshot.facts.name!r} too, and "
                "neither has a serial number"
            )
            return replace(element_match, inconsistency=message)
        return element_match

    async def _snapshot_at_old_address(
        self, known_element: Resource | None, snapshot: Snapshot
    ) -> Snapshot | None:
        """Read the known address of an element, if the snapshot comes from another address."""
        if known_element is None:
            return None
        try:
            target = target_of(known_element, self._repository.tenant)
            if target.address == snapshot.target.address:
                return None
            async with (
                asyncio.timeout(snapshots.READ_TIMEOUT),
                await self._connect(target) as adapter,
            ):
                snapshot = await snapshots.read_snapshot(adapter)
                return replace(snapshot, target=target)
        except (ElementError, InconsistentSnapshot, TimeoutError):
            return None

    def _store_or_report(self, element_match: ElementMatch) -> DiscoveryOutcome:
        """Write an element; what the inventory cannot hold is reported as its failure."""
        try:
            return self._store_match(element_match)
        except (TmfError, PyMongoError):
            raise
        except Exception as error:
            address = element_match.snapshot.target.address
            name = element_match.snapshot.facts.name
            log.exception("an element cannot be stored", extra={"element": name or address})
            message = f"{name}: its data cannot be stored: {type(error).__name__}: {error}"
            return DiscoveryOutcome(
                address, "inDoubt", element_match.known_element, message=message[:500]
            )

    def _store_match(self, element_match: ElementMatch) -> DiscoveryOutcome:
        address, snapshot = element_match.snapshot.target.address, element_match.snapshot
        if element_match.inconsistency:
            return DiscoveryOutcome(
                address, "inDoubt", message=f"{snapshot.facts.name}: {element_match.inconsistency}"
            )
        if element_match.is_duplicate:
            message = "another address of a known element"
            return DiscoveryOutcome(
                address, "unchanged", element_match.known_element, len(snapshot.ports), message
            )
        stored = store_snapshot(
            self._repository, snapshot, element_match.known_element, self._index
        )
        self._on_stored(self._repository.tenant, stored.element_id)
        return DiscoveryOutcome(
            address, stored.status, stored.element, len(snapshot.ports), snapshot.remarks
        )


def _is_silent(error: ElementError) -> bool:
    """Return whether the element gave no answer at all."""
    return isinstance(error, Unreachable) and not isinstance(error, InvalidAnswer)


def _connection_targets(
    candidate: Candidate, known_elements: list[Resource], tenant: str
) -> list[Target]:
    """Return the connection targets to try, beginning with those in the inventory."""
    targets = [target_of(element, tenant) for element in known_elements]
    address = candidate.target.address
    for name in candidate.credentials or ("",):
        options = dict(candidate.options)
        target = Target(address, address, candidate.adapter, name, options, tenant)
        if not any((target.adapter, name) == (old.adapter, old.credentials) for old in targets):
            targets.append(target)
    return targets


def known_candidates(repository: Repository) -> list[Candidate]:
    """Return the elements of the inventory as candidates."""
    candidates: dict[str, Candidate] = {}
    for element in managed_elements(repository):
        target = target_of(element, repository.tenant)
        candidates[target.address] = Candidate(
            DiscoveryTarget(target.address, is_explicit=True),
            target.adapter,
            (target.credentials,) if target.credentials else (),
            target.options,
        )
    return list(candidates.values())


async def register(
    repository: Repository, adapter: Adapter, *, place: Mapping[str, Any] | None = None
) -> StoredElement:
    """Read one element and write it into the inventory under the name of its target.

    Args:
        repository: Repository of the tenant.
        adapter: Open adapter of the element.
        place: Reference to the place of the element.

    Raises:
        ElementError: The element does not answer or refuses the request.
        InconsistentSnapshot: The element contradicts itself, or its identity is ambiguous.
    """
    index = ElementIndex()
    for element in await asyncio.to_thread(managed_elements, repository):
        index.put(element)
    snapshot = await snapshots.read_snapshot(adapter)
    snapshot = replace(snapshot, place=dict(place) if place else None)
    known_elements = index.by_name(adapter.target.name)
    (element_match,) = (
        match([snapshot], index)
        if not known_elements
        else [ElementMatch(snapshot, known_elements[0])]
    )
    if element_match.inconsistency:
        raise InconsistentSnapshot(element_match.inconsistency)
    name = adapter.target.name
    return await asyncio.to_thread(
        store_snapshot, repository, snapshot, element_match.known_element, index, name
    )
