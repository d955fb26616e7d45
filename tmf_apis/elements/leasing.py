"""One changer at a time on an element, among all workers: a lease in the database.

Within a process adapters take turns for each question (``adapters.turns``); this is for a change as
a whole, and for several workers.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pymongo.errors import PyMongoError

from adapters.errors import Unreachable
from tmf_apis.events import leases
from tmf_apis.store.connection import Documents

COLLECTION = "element_leases"
#: How long a lease lasts unless it is prolonged, in seconds: so long others wait after a crash.
LASTS = 15.0
#: Longest wait for the others, and the pause between two attempts, in seconds.
PATIENCE, PAUSE = 60.0, 0.1
#: How long a worker keeps a lease for its next change; and how long it may change an element, one
#: order after another, before it lets others have a turn. In seconds.
LINGER, LONGEST = 0.5, 5.0

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Busy(Unreachable):
    """Somebody else has been changing the element for as long as we could wait."""


@dataclass(slots=True)
class _Element:
    """What this worker has of one element: a turn for each change, and the lease for all of them.

    Attributes:
        turn: Whoever changes the element.
        owner: The name under which the lease was taken; empty: it is not ours.
        since, until: When it was taken and when it surely is no longer ours, on the loop's clock.
        ending: Gives it back when nobody has wanted it for a while.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str = ""
    since: float = 0.0
    until: float = 0.0
    ending: asyncio.Task[None] | None = None


class Leasing:
    """Leases of elements, for one worker and its event loop."""

    def __init__(
        self, database: Documents, threads: Executor | None = None, *, linger: float = 0.0
    ) -> None:
        """Keep what is needed.

        Args:
            database: Where the leases lie.
            threads: Where the database is waited for; None: asyncio's own.
            linger: How long a lease is kept for the next change, in seconds.
        """
        self._collection = database[COLLECTION]
        self._threads = threads
        self._linger = linger
        self._elements: dict[str, _Element] = {}

    @asynccontextmanager
    async def held(self, element: str, *, patience: float = PATIENCE) -> AsyncIterator[None]:
        """Hold the lease of an element as long as the block lasts.

        Raises:
            Busy: Another had it for longer than ``patience`` seconds.
            Unreachable: The database that keeps the leases cannot be asked.
        """
        one = self._elements.setdefault(element, _Element())
        end = _now() + patience
        try:
            async with asyncio.timeout(patience):
                await one.turn.acquire()
        except TimeoutError:
            raise _busy(element, patience) from None
        try:
            if one.ending:
                one.ending.cancel()
            if not await self._kept(element, one):
                await self._wait(element, one, end, patience)
            prolonging = asyncio.ensure_future(self._prolong(element, one))
            try:
                yield
            finally:
                prolonging.cancel()
                if self._linger:
                    one.ending = asyncio.ensure_future(self._end(element, one))
                else:
                    await self._release(element, one)
        finally:
            one.turn.release()

    async def close(self) -> None:
        """Give back what is kept for changes that may come."""
        for element, one in list(self._elements.items()):
            if one.ending:
                one.ending.cancel()
            if not one.turn.locked():
                await self._release(element, one)

    async def _kept(self, element: str, one: _Element) -> bool:
        """Return whether the lease of the last change serves for one more; others wait, too."""
        if one.owner and _now() - one.since > LONGEST:
            await self._release(element, one)
            await asyncio.sleep(2 * PAUSE)
        if one.owner and one.until - _now() < LASTS / 2:
            with suppress(PyMongoError):
                await self._take(element, one)
        if one.owner and one.until - _now() >= LASTS / 2:
            return True
        await self._release(element, one)
        return False

    async def _end(self, element: str, one: _Element) -> None:
        await asyncio.sleep(self._linger)
        async with one.turn:
            one.ending = None
            await self._release(element, one)

    async def _release(self, element: str, one: _Element) -> None:
        owner, one.owner, one.until = one.owner, "", 0.0
        if not owner:
            return
        try:
            await self._ask(lambda: leases.release(self._collection, element, owner))
        except PyMongoError as error:
            _log.warning("a lease ends by itself: %s", error, extra={"element": element})

    async def _wait(self, element: str, one: _Element, end: float, patience: float) -> None:
        one.owner, one.until = uuid.uuid4().hex, 0.0
        try:
            while not await self._took(element, one):
                if _now() >= end:
                    one.owner = ""
                    break
                await asyncio.sleep(PAUSE)
        except PyMongoError as error:
            one.owner = ""
            raise Unreachable(element, f"its lease cannot be had: {error}") from error
        except BaseException:
            await self._release(element, one)  # it may have been taken while nobody listened
            raise
        if not one.owner:
            raise _busy(element, patience)
        one.since = _now()

    async def _took(self, element: str, one: _Element) -> bool:
        if await self._take(element, one):
            return True
        await self._ask(lambda: leases.prepare(self._collection, element))
        return await self._take(element, one)  # nobody had it before

    async def _take(self, element: str, one: _Element) -> bool:
        """Take or prolong the lease; return whether it is ours."""
        asked, owner = _now(), one.owner
        lease = await self._ask(lambda: leases.take(self._collection, element, owner, LASTS))
        if lease is None:
            return False
        one.until = asked + LASTS
        return True

    async def _prolong(self, element: str, one: _Element) -> None:
        while True:
            await asyncio.sleep(LASTS / 3)
            try:
                await self._take(element, one)
            except PyMongoError as error:
                _log.warning("a lease is not prolonged: %s", error, extra={"element": element})

    async def _ask(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, question)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _busy(element: str, patience: float) -> Busy:
    return Busy(element, f"somebody else changes it, for {patience:g} s already")
