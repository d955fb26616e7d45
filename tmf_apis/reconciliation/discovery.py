"""Elements found on the network and brought into the inventory, many at once.

What is looked at is what was named, nothing else. Places are gone through in an order of their
own, a part of them at a time: the whole of each element is read before anything of it is written,
so one that vanishes in the middle leaves the inventory as it was.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters import registry
from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import ElementError, Unreachable
from adapters.values import Target
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation import links, snapshots
from tmf_apis.reconciliation.inventory_update import StoredElement, store_snapshot
from tmf_apis.reconciliation.matching import ElementIndex, ElementMatch, match
from tmf_apis.reconciliation.snapshots import InconsistentSnapshot, Snapshot
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Elements that are read at once, and places that are gone through together.
CONCURRENCY, BATCH_SIZE = 64, 256
#: Most outcomes that are told one by one.
MAX_REPORTED_OUTCOMES = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to look at, and how.

    Attributes:
        target: The address.
        adapter: Name of the adapter.
        credentials: Names of credentials, tried in this order; none: the empty name.
        options: Options of the adapter.
        site: Reference to the place where the element is, if it is new.
    """

    target: DiscoveryTarget
    adapter: str = "snmp"
    credentials: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    site: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DiscoveryOutcome:
    """What came of one place.

    Attributes:
        address: The place.
        status: "created", "updated", "unchanged", "unreachable", "refused", "inDoubt" or
            "silent": one of a range or block that does not answer.
        element: Its resource, where it has one.
        ports: How many ports it has.
        message: What went wrong, or what is odd.
    """

    address: str
    status: str
    element: Resource | None = None
    ports: int = 0
    message: str = ""


@dataclass(slots=True)
class DiscoveryResult:
    """What a discovery has found so far.

    Attributes:
        total: How many places there are.
        outcomes: What came of each that is done, silent ones apart.
        counts: How many there are of each outcome.
        links_changed: How many ports were connected or disconnected.
    """

    total: int
    outcomes: list[DiscoveryOutcome] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    links_changed: int = 0

    @property
    def targets_done(self) -> int:
        """How many places are done."""
        return sum(self.counts.values())

    def count(self, status: str) -> int:
        """Return how many places had an outcome."""
        return self.counts.get(status, 0)

    def add(self, outcome: DiscoveryOutcome) -> None:
        """Take what came of a place."""
        self.counts[outcome.status] = self.count(outcome.status) + 1
        if outcome.status != "silent":
            self.outcomes.append(outcome)


#: Told how far a discovery is; what it raises ends it.
ProgressCallback = Callable[[DiscoveryResult], None]
_ReadResult = tuple[Candidate, Snapshot | DiscoveryOutcome]


class Discovery:
    """One run over some places."""

    def __init__(
        self, repository: Repository, credentials: Credentials, *, concurrency: int = CONCURRENCY
    ) -> None:
        """Take what it works with.

        Args:
            repository: Whose inventory.
            credentials: The secrets.
            concurrency: Elements that are read at once.
        """
        self._repository = repository
        self._credentials = credentials
        self._slots = asyncio.Semaphore(concurrency)
        self._index = ElementIndex()

    async def run(
        self, candidates: Iterable[Candidate], on_progress: ProgressCallback = lambda _: None
    ) -> DiscoveryResult:
        """Look at every place and bring the inventory up to date."""
        places = sorted(candidates, key=lambda one: one.target.address)
        found = DiscoveryResult(len(places))
        for element in await asyncio.to_thread(managed_elements, self._repository):
            self._index.put(element)
        parts = [places[at : at + BATCH_SIZE] for at in range(0, len(places), BATCH_SIZE)]
        reading = asyncio.create_task(self._read_batch(parts[0])) if parts else None
        for place, _ in enumerate(parts):
            assert reading  # noqa: S101
            seen = await reading
            more = place + 1 < len(parts)
            reading = asyncio.create_task(self._read_batch(parts[place + 1])) if more else None
            try:
                await self._write_batch(seen, found, on_progress)
            except BaseException:
                if reading:
                    reading.cancel()
                raise
        found.links_changed = await asyncio.to_thread(links.update_links, self._repository)
        await asyncio.to_thread(on_progress, found)
        return found

    async def _read_batch(self, candidates: Iterable[Candidate]) -> list[_ReadResult]:
        async with asyncio.TaskGroup() as group:
            tasks = [(one, group.create_task(self._read_element(one))) for one in candidates]
        return [(one, task.result()) for one, task in tasks]

    async def _write_batch(
        self,
        read_results: list[_ReadResult],
        result: DiscoveryResult,
        on_progress: ProgressCallback,
    ) -> None:
        """Write what was read and note what came of each place."""
        for _, one in read_results:
            if isinstance(one, DiscoveryOutcome):
                result.add(one)
        shown = [one for _, one in read_results if isinstance(one, Snapshot)]
        for matched in match(shown, self._index):
            settled = await self._resolve_address_change(matched)
            result.add(await asyncio.to_thread(self._store_match, settled))
            await asyncio.to_thread(on_progress, result)

    async def _read_element(self, candidate: Candidate) -> Snapshot | DiscoveryOutcome:
        """Read one element, with whichever credentials it takes."""
        address, named = candidate.target.address, candidate.target.is_explicit
        failures: list[ElementError] = []
        known = self._index.by_address(address)
        for target in _connection_targets(candidate, known):
            try:
                async with self._slots:
                    return await self._read_snapshot(target, candidate)
            except ElementError as error:
                failures.append(error)
            except InconsistentSnapshot as error:
                return DiscoveryOutcome(address, "inDoubt", message=str(error))
            except TimeoutError:
                return DiscoveryOutcome(address, "inDoubt", message="it does not come to an end")
        refused = [one for one in failures if not isinstance(one, Unreachable)]
        outcome = "refused" if refused else "unreachable" if named or known else "silent"
        last = (refused or failures)[-1]
        return DiscoveryOutcome(address, outcome, known[0] if known else None, message=last.message)

    async def _read_snapshot(self, target: Target, candidate: Candidate) -> Snapshot:
        async with self._connect(target) as adapter:
            facts = await adapter.probe()
            seen = await snapshots.read_snapshot(adapter, facts)
        return replace(seen, place=candidate.site)

    def _connect(self, target: Target) -> Adapter:
        return registry.create_adapter(target, self._credentials)

    async def _resolve_address_change(self, element_match: ElementMatch) -> ElementMatch:
        """Return what becomes of an element that was known at another address.

        Where it still answers there it has several addresses, and the known one stays.
        """
        known = (
            element_match.known_element
            if not element_match.inconsistency and not element_match.is_duplicate
            else None
        )
        here, there = (
            element_match.snapshot,
            await self._snapshot_at_old_address(known, element_match.snapshot),
        )
        if there is None:
            return element_match
        if here.serial and there.serial == here.serial:
            return replace(element_match, is_duplicate=True)
        if not here.serial and there.facts.name == here.facts.name:
            at = there.target.address
            message = f"{at} calls itself {here.facts.name!r} too, and neither has a serial"
            return replace(element_match, inconsistency=message)
        return element_match

    async def _snapshot_at_old_address(
        self, known_element: Resource | None, snapshot: Snapshot
    ) -> Snapshot | None:
        """Return what answers where an element was known to be, if that is somewhere else."""
        try:
            if (
                known_element
                and (old := target_of(known_element)).address != snapshot.target.address
            ):
                async with asyncio.timeout(snapshots.READ_TIMEOUT), self._connect(old) as adapter:
                    return await snapshots.read_snapshot(adapter)
        except (ElementError, InconsistentSnapshot, TimeoutError):
            return None
        return None

    def _store_match(self, element_match: ElementMatch) -> DiscoveryOutcome:
        address, picture = element_match.snapshot.target.address, element_match.snapshot
        if element_match.inconsistency:
            return DiscoveryOutcome(
                address, "inDoubt", message=f"{picture.facts.name}: {element_match.inconsistency}"
            )
        if element_match.is_duplicate:
            message = "another address of an element that is known"
            return DiscoveryOutcome(
                address, "unchanged", element_match.known_element, len(picture.ports), message
            )
        stored = store_snapshot(self._repository, picture, element_match.known_element, self._index)
        message = "; ".join(picture.anomalies[:5])
        return DiscoveryOutcome(address, stored.status, stored.element, len(picture.ports), message)


def _connection_targets(candidate: Candidate, known_elements: list[Resource]) -> list[Target]:
    """Return the ways to reach a place, the one that the inventory knows first."""
    found = [target_of(element) for element in known_elements]
    address = candidate.target.address
    for name in candidate.credentials or ("",):
        one = Target(address, address, candidate.adapter, name, dict(candidate.options))
        if not any((one.adapter, name) == (old.adapter, old.credentials) for old in found):
            found.append(one)
    return found


def known_candidates(repository: Repository) -> list[Candidate]:
    """Return the elements that the inventory has as places to look at."""
    found: dict[str, Candidate] = {}
    for element in managed_elements(repository):
        target = target_of(element)
        found[target.address] = Candidate(
            DiscoveryTarget(target.address, is_explicit=True),
            target.adapter,
            (target.credentials,) if target.credentials else (),
            target.options,
        )
    return list(found.values())


async def register(
    repository: Repository, adapter: Adapter, *, place: Mapping[str, Any] | None = None
) -> StoredElement:
    """Read one element and bring it into the inventory under the name that its target has.

    Args:
        repository: Whose inventory.
        adapter: Open, to the element.
        place: Reference to the place where it is.

    Raises:
        ElementError: It does not answer, or refuses.
        Doubtful: It contradicts itself, or it cannot be told which one it is.
    """
    elements = ElementIndex()
    for one in await asyncio.to_thread(managed_elements, repository):
        elements.put(one)
    seen = await snapshots.read_snapshot(adapter)
    seen = replace(seen, place=dict(place) if place else None)
    known = elements.by_name(adapter.target.name)
    (found,) = match([seen], elements) if not known else [ElementMatch(seen, known[0])]
    if found.inconsistency:
        raise InconsistentSnapshot(found.inconsistency)
    name = adapter.target.name
    return await asyncio.to_thread(
        store_snapshot, repository, seen, found.known_element, elements, name
    )
