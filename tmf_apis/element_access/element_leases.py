"""Leases in the database: one worker at a time changes an element.

Within a process, adapters serialize single requests (``adapters.locks``). A lease serializes whole
changes, also between workers.
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
#: Duration of a lease, in seconds. After a crash other workers wait for this long.
LEASE_DURATION = 15.0
#: Longest wait for a lease, and the pause between two attempts, in seconds.
ACQUIRE_TIMEOUT, RETRY_PAUSE = 60.0, 0.1
#: Time for which a worker keeps an unused lease for its next change, and longest time for which it
#: holds a lease over several changes, so that other workers do not starve. In seconds.
LINGER, MAX_HOLD = 0.5, 5.0

T = TypeVar("T")
_log = logging.getLogger(__name__)


class ElementBusy(Unreachable):
    """Another change of the element lasted for longer than the permitted wait."""


@dataclass(slots=True)
class _LeaseState:
    """The lease of one element, as far as this worker knows.

    Attributes:
        lock: Held during a change; serializes the changes of this worker.
        owner: Owner name under which the lease was taken; empty: it is not held.
        acquired_at: Time when the lease was taken, on the loop's clock.
        expires_at: Time when the lease surely has ended, on the loop's clock.
        renewal_task: Renews the lease during a change.
        release_task: Releases the lease when it has been unused for a while.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str = ""
    acquired_at: float = 0.0
    expires_at: float = 0.0
    renewal_task: asyncio.Task[None] | None = None
    release_task: asyncio.Task[None] | None = None


class ElementLeases:
    """Leases of elements, for one worker and its event loop."""

    def __init__(
        self, database: MongoDatabase, executor: Executor | None = None, *, linger: float = 0.0
    ) -> None:
        """Create the leases of a worker.

        Args:
            database: The database that stores the leases.
            executor: Runs the blocking database calls; None: asyncio's default executor.
            linger: Time for which an unused lease is kept for the next change, in seconds.
        """
        self._collection = database[COLLECTION]
        self._executor = executor
        self._linger = linger
        self._states: dict[str, _LeaseState] = {}

    @asynccontextmanager
    async def hold(self, element: str, *, timeout: float = ACQUIRE_TIMEOUT) -> AsyncIterator[None]:
        """Hold the lease of an element while the block runs.

        Raises:
            ElementBusy: Another change lasted for longer than ``timeout`` seconds.
            Unreachable: The database that stores the leases does not answer.
        """
        state = self._states.setdefault(element, _LeaseState())
        deadline = _now() + timeout
        try:
            async with asyncio.timeout(timeout):
                await state.lock.acquire()
        except TimeoutError:
            raise _busy_error(element, timeout) from None
        try:
            if state.release_task:
                state.release_task.cancel()
            if not await self._reuse(element, state):
                await self._acquire(element, state, deadline, timeout)
            state.renewal_task = asyncio.ensure_future(self._renew(element, state))
            try:
                yield
            finally:
                state.renewal_task.cancel()
                if self._linger:
                    state.release_task = asyncio.ensure_future(self._release_later(element, state))
                else:
                    await self._release(element, state)
        finally:
            state.lock.release()

    async def close(self) -> None:
        """Release the unused leases."""
        for element, state in list(self._states.items()):
            if state.release_task:
                state.release_task.cancel()
            if not state.lock.locked():
                await self._release(element, state)

    async def _reuse(self, element: str, state: _LeaseState) -> bool:
        """Return whether the lease of the last change can be used again.

        A lease that was held for too long is released first, so that another worker gets it.
        """
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
            _log.warning(
                "a lease cannot be released and will expire: %s", error, extra={"element": element}
            )

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
            raise Unreachable(element, f"its lease cannot be taken: {error}") from error
        except BaseException:
            await self._release(element, state)  # a cancelled request may still have taken it
            raise
        if not state.owner:
            raise _busy_error(element, timeout)
        state.acquired_at = _now()

    async def _try_take(self, element: str, state: _LeaseState) -> bool:
        if await self._take(element, state):
            return True
        await self._run_in_thread(lambda: leases.create_if_absent(self._collection, element))
        return await self._take(element, state)  # the element had no lease document before

    async def _take(self, element: str, state: _LeaseState) -> bool:
        """Take or renew the lease; return whether this worker holds it."""
        requested_at, owner = _now(), state.owner
        lease = await self._run_in_thread(
            lambda: leases.acquire(self._collection, element, owner, LEASE_DURATION)
        )
        if lease is None:
            return False
        state.expires_at = requested_at + LEASE_DURATION
        return True

    async def _renew(self, element: str, state: _LeaseState) -> None:
        while True:
            await asyncio.sleep(LEASE_DURATION / 3)
            try:
                await self._take(element, state)
            except PyMongoError as error:
                _log.warning("a lease cannot be renewed: %s", error, extra={"element": element})

    async def _run_in_thread(self, operation: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, operation)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _busy_error(element: str, timeout: float) -> ElementBusy:
    return ElementBusy(element, f"another worker has been changing it for {timeout:g} s")
