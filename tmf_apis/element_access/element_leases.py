"""One changer at a time on an element, among all workers: a lease in the database.

Within a process adapters take turns for each question (``adapters.locks``); this is for a change as
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
from tmf_apis.store import leases
from tmf_apis.store.connection import MongoDatabase

COLLECTION = "element_leases"
#: How long a lease lasts unless it is prolonged, in seconds: so long others wait after a crash.
LEASE_DURATION = 15.0
#: Longest wait for the others, and the pause between two attempts, in seconds.
ACQUIRE_TIMEOUT, RETRY_PAUSE = 60.0, 0.1
#: How long a worker keeps a lease for its next change; and how long it may change an element, one
#: order after another, before it lets others have a turn. In seconds.
LINGER, MAX_HOLD = 0.5, 5.0

T = TypeVar("T")
_log = logging.getLogger(__name__)


class ElementBusy(Unreachable):
    """Somebody else has been changing the element for as long as we could wait."""


@dataclass(slots=True)
class _LeaseState:
    """What this worker has of one element: a turn for each change, and the lease for all of them.

    Attributes:
        lock: Whoever changes the element.
        owner: The name under which the lease was taken; empty: it is not ours.
        acquired_at, until: When it was taken and when it surely is no longer ours, on the loop's clock.
        release_task: Gives it back when nobody has wanted it for a while.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str = ""
    acquired_at: float = 0.0
    expires_at: float = 0.0
    release_task: asyncio.Task[None] | None = None


class ElementLeases:
    """Leases of elements, for one worker and its event loop."""

    def __init__(
        self, database: MongoDatabase, threads: Executor | None = None, *, linger: float = 0.0
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
        self._states: dict[str, _LeaseState] = {}

    @asynccontextmanager
    async def hold(self, element: str, *, timeout: float = ACQUIRE_TIMEOUT) -> AsyncIterator[None]:
        """Hold the lease of an element as long as the block lasts.

        Raises:
            Busy: Another had it for longer than ``timeout`` seconds.
            Unreachable: The database that keeps the leases cannot be asked.
        """
        one = self._states.setdefault(element, _LeaseState())
        end = _now() + timeout
        try:
            async with asyncio.timeout(timeout):
                await one.lock.acquire()
        except TimeoutError:
            raise _busy_error(element, timeout) from None
        try:
            if one.release_task:
                one.release_task.cancel()
            if not await self._reuse(element, one):
                await self._acquire(element, one, end, timeout)
            prolonging = asyncio.ensure_future(self._renew(element, one))
            try:
                yield
            finally:
                prolonging.cancel()
                if self._linger:
                    one.release_task = asyncio.ensure_future(self._release_later(element, one))
                else:
                    await self._release(element, one)
        finally:
            one.lock.release()

    async def close(self) -> None:
        """Give back what is kept for changes that may come."""
        for element, one in list(self._states.items()):
            if one.release_task:
                one.release_task.cancel()
            if not one.lock.locked():
                await self._release(element, one)

    async def _reuse(self, element: str, state: _LeaseState) -> bool:
        """Return whether the lease of the last change serves for one more; others wait, too."""
        if state.owner and _now() - state.acquired_at > MAX_HOLD:
            await self._release(element, state)
            await asyncio.sleep(2 * RETRY_PAUSE)
        if state.owner and state.expires_at - _now() < LEASE_DURATION / 2:
            with suppress(PyMongoError):
                await self._take(element, state)
        if state.owner and state.expires_at - _now() >= LEASE_DURATION / 2:
            return True
        await self._release(element, state)
        return False

    async def _release_later(self, element: str, state: _LeaseState) -> None:
        await asyncio.sleep(self._linger)
        async with state.lock:
            state.release_task = None
            await self._release(element, state)

    async def _release(self, element: str, state: _LeaseState) -> None:
        owner, state.owner, state.expires_at = state.owner, "", 0.0
        if not owner:
            return
        try:
            await self._run_in_thread(lambda: leases.release(self._collection, element, owner))
        except PyMongoError as error:
            _log.warning("a lease ends by itself: %s", error, extra={"element": element})

    async def _acquire(
        self, element: str, state: _LeaseState, deadline: float, timeout: float
    ) -> None:
        state.owner, state.expires_at = uuid.uuid4().hex, 0.0
        try:
            while not await self._try_take(element, state):
                if _now() >= deadline:
                    state.owner = ""
                    break
                await asyncio.sleep(RETRY_PAUSE)
        except PyMongoError as error:
            state.owner = ""
            raise Unreachable(element, f"its lease cannot be had: {error}") from error
        except BaseException:
            await self._release(element, state)  # it may have been taken while nobody listened
            raise
        if not state.owner:
            raise _busy_error(element, timeout)
        state.acquired_at = _now()

    async def _try_take(self, element: str, state: _LeaseState) -> bool:
        if await self._take(element, state):
            return True
        await self._run_in_thread(lambda: leases.create_if_absent(self._collection, element))
        return await self._take(element, state)  # nobody had it before

    async def _take(self, element: str, state: _LeaseState) -> bool:
        """Take or prolong the lease; return whether it is ours."""
        asked, owner = _now(), state.owner
        lease = await self._run_in_thread(
            lambda: leases.acquire(self._collection, element, owner, LEASE_DURATION)
        )
        if lease is None:
            return False
        state.expires_at = asked + LEASE_DURATION
        return True

    async def _renew(self, element: str, state: _LeaseState) -> None:
        while True:
            await asyncio.sleep(LEASE_DURATION / 3)
            try:
                await self._take(element, state)
            except PyMongoError as error:
                _log.warning("a lease is not prolonged: %s", error, extra={"element": element})

    async def _run_in_thread(self, operation: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, operation)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _busy_error(element: str, timeout: float) -> ElementBusy:
    return ElementBusy(element, f"somebody else changes it, for {timeout:g} s already")
