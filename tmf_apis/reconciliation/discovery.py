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
from tmf_apis.fulfilment.elements import gateways, target_of
from tmf_apis.network.targets import Place
from tmf_apis.reconciliation import links, pictures
from tmf_apis.reconciliation.matching import Elements, Match, match
from tmf_apis.reconciliation.pictures import Doubtful, Picture
from tmf_apis.reconciliation.writing import Stored, store
from tmf_apis.rest.law import Desk, Resource

#: Elements that are read at once, and places that are gone through together.
AT_ONCE, TOGETHER = 64, 256
#: Most outcomes that are told one by one.
TOLD = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to look at, and how.

    Attributes:
        place: The address.
        adapter: Name of the adapter.
        credentials: Names of credentials, tried in this order; none: the empty name.
        options: Options of the adapter.
        site: Reference to the place where the element is, if it is new.
    """

    place: Place
    adapter: str = "snmp"
    credentials: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    site: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one place.

    Attributes:
        address: The place.
        outcome: "created", "updated", "unchanged", "unreachable", "refused", "inDoubt" or
            "silent": one of a range or block that does not answer.
        element: Its resource, where it has one.
        ports: How many ports it has.
        message: What went wrong, or what is odd.
    """

    address: str
    outcome: str
    element: Resource | None = None
    ports: int = 0
    message: str = ""


@dataclass(slots=True)
class Found:
    """What a discovery has found so far.

    Attributes:
        total: How many places there are.
        outcomes: What came of each that is done, silent ones apart.
        counts: How many there are of each outcome.
        links: How many ports were connected or disconnected.
    """

    total: int
    outcomes: list[Outcome] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    links: int = 0

    @property
    def done(self) -> int:
        """How many places are done."""
        return sum(self.counts.values())

    def count(self, outcome: str) -> int:
        """Return how many places had an outcome."""
        return self.counts.get(outcome, 0)

    def add(self, one: Outcome) -> None:
        """Take what came of a place."""
        self.counts[one.outcome] = self.count(one.outcome) + 1
        if one.outcome != "silent":
            self.outcomes.append(one)


#: Told how far a discovery is; what it raises ends it.
Tell = Callable[[Found], None]
_Seen = tuple[Candidate, Picture | Outcome]


class Discovery:
    """One run over some places."""

    def __init__(self, desk: Desk, credentials: Credentials, *, at_once: int = AT_ONCE) -> None:
        """Take what it works with.

        Args:
            desk: Whose inventory.
            credentials: The secrets.
            at_once: Elements that are read at once.
        """
        self._desk = desk
        self._credentials = credentials
        self._turns = asyncio.Semaphore(at_once)
        self._elements = Elements()

    async def run(self, candidates: Iterable[Candidate], tell: Tell = lambda _: None) -> Found:
        """Look at every place and bring the inventory up to date."""
        places = sorted(candidates, key=lambda one: one.place.address)
        found = Found(len(places))
        for element in await asyncio.to_thread(gateways, self._desk):
            self._elements.put(element)
        parts = [places[at : at + TOGETHER] for at in range(0, len(places), TOGETHER)]
        reading = asyncio.create_task(self._read(parts[0])) if parts else None
        for place, _ in enumerate(parts):
            assert reading  # noqa: S101
            seen = await reading
            more = place + 1 < len(parts)
            reading = asyncio.create_task(self._read(parts[place + 1])) if more else None
            try:
                await self._settle(seen, found, tell)
            except BaseException:
                if reading:
                    reading.cancel()
                raise
        found.links = await asyncio.to_thread(links.connect, self._desk)
        await asyncio.to_thread(tell, found)
        return found

    async def _read(self, candidates: Iterable[Candidate]) -> list[_Seen]:
        async with asyncio.TaskGroup() as group:
            tasks = [(one, group.create_task(self._look(one))) for one in candidates]
        return [(one, task.result()) for one, task in tasks]

    async def _settle(self, seen: list[_Seen], found: Found, tell: Tell) -> None:
        """Write what was read and note what came of each place."""
        for _, one in seen:
            if isinstance(one, Outcome):
                found.add(one)
        shown = [one for _, one in seen if isinstance(one, Picture)]
        for matched in match(shown, self._elements):
            settled = await self._moved(matched)
            found.add(await asyncio.to_thread(self._store, settled))
            await asyncio.to_thread(tell, found)

    async def _look(self, candidate: Candidate) -> Picture | Outcome:
        """Read one element, with whichever credentials it takes."""
        address, named = candidate.place.address, candidate.place.named
        failures: list[ElementError] = []
        known = self._elements.at(address)
        for target in _targets(candidate, known):
            try:
                async with self._turns:
                    return await self._picture(target, candidate)
            except ElementError as error:
                failures.append(error)
            except Doubtful as error:
                return Outcome(address, "inDoubt", message=str(error))
            except TimeoutError:
                return Outcome(address, "inDoubt", message="it does not come to an end")
        refused = [one for one in failures if not isinstance(one, Unreachable)]
        outcome = "refused" if refused else "unreachable" if named or known else "silent"
        last = (refused or failures)[-1]
        return Outcome(address, outcome, known[0] if known else None, message=last.message)

    async def _picture(self, target: Target, candidate: Candidate) -> Picture:
        async with self._open(target) as adapter:
            facts = await adapter.probe()
            seen = await pictures.read(adapter, facts)
        return replace(seen, place=candidate.site)

    def _open(self, target: Target) -> Adapter:
        return registry.connect(target, self._credentials)

    async def _moved(self, one: Match) -> Match:
        """Return what becomes of an element that was known at another address.

        Where it still answers there it has several addresses, and the known one stays.
        """
        known = one.known if not one.doubt and not one.same else None
        here, there = one.picture, await self._at_old_address(known, one.picture)
        if there is None:
            return one
        if here.serial and there.serial == here.serial:
            return replace(one, same=True)
        if not here.serial and there.facts.name == here.facts.name:
            at = there.target.address
            message = f"{at} calls itself {here.facts.name!r} too, and neither has a serial"
            return replace(one, doubt=message)
        return one

    async def _at_old_address(self, known: Resource | None, here: Picture) -> Picture | None:
        """Return what answers where an element was known to be, if that is somewhere else."""
        try:
            if known and (old := target_of(known)).address != here.target.address:
                async with asyncio.timeout(pictures.PATIENCE), self._open(old) as adapter:
                    return await pictures.read(adapter)
        except (ElementError, Doubtful, TimeoutError):
            return None
        return None

    def _store(self, one: Match) -> Outcome:
        address, picture = one.picture.target.address, one.picture
        if one.doubt:
            return Outcome(address, "inDoubt", message=f"{picture.facts.name}: {one.doubt}")
        if one.same:
            message = "another address of an element that is known"
            return Outcome(address, "unchanged", one.known, len(picture.ports), message)
        stored = store(self._desk, picture, one.known, self._elements)
        message = "; ".join(picture.odd[:5])
        return Outcome(address, stored.outcome, stored.element, len(picture.ports), message)


def _targets(candidate: Candidate, known: list[Resource]) -> list[Target]:
    """Return the ways to reach a place, the one that the inventory knows first."""
    found = [target_of(element) for element in known]
    address = candidate.place.address
    for name in candidate.credentials or ("",):
        one = Target(address, address, candidate.adapter, name, dict(candidate.options))
        if not any((one.adapter, name) == (old.adapter, old.credentials) for old in found):
            found.append(one)
    return found


def known_places(desk: Desk) -> list[Candidate]:
    """Return the elements that the inventory has as places to look at."""
    found: dict[str, Candidate] = {}
    for element in gateways(desk):
        target = target_of(element)
        found[target.address] = Candidate(
            Place(target.address, named=True),
            target.adapter,
            (target.credentials,) if target.credentials else (),
            target.options,
        )
    return list(found.values())


async def register(
    desk: Desk, adapter: Adapter, *, place: Mapping[str, Any] | None = None
) -> Stored:
    """Read one element and bring it into the inventory under the name that its target has.

    Args:
        desk: Whose inventory.
        adapter: Open, to the element.
        place: Reference to the place where it is.

    Raises:
        ElementError: It does not answer, or refuses.
        Doubtful: It contradicts itself, or it cannot be told which one it is.
    """
    elements = Elements()
    for one in await asyncio.to_thread(gateways, desk):
        elements.put(one)
    seen = await pictures.read(adapter)
    seen = replace(seen, place=dict(place) if place else None)
    known = elements.named(adapter.target.name)
    (found,) = match([seen], elements) if not known else [Match(seen, known[0])]
    if found.doubt:
        raise Doubtful(found.doubt)
    name = adapter.target.name
    return await asyncio.to_thread(store, desk, seen, found.known, elements, name)
