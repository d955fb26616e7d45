"""Named locks that exclude all workers: each lock is a lease in the database.

Holders within one process and event loop share the lease and use it one after another.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store import leases
from tmf_apis.store.executor import run_blocking
from tmf_apis.store.leases import Lease

#: Lifetime of a lease that is not renewed, in seconds: after a crash other workers wait for it.
LEASE_DURATION = 15.0
#: Default limit for waiting for a lock, and the pause between two attempts, in seconds.
ACQUIRE_TIMEOUT, RETRY_PAUSE = 60.0, 0.1
#: Longest time that a worker reuses a lease before it lets other workers acquire it, in seconds.
MAX_HOLD = 5.0


log = logging.getLogger(__name__)


class LeaseHeld(Exception):
    """Another holder kept the lease for the whole time that the caller could wait."""


class LeaseUnavailable(Exception):
    """The database that stores the leases does not answer."""


@dataclass(slots=True)
class _LockState:
    """A lock of this process and the lease behind it.

    Attributes:
        lock: Serializes the holders within this process.
        owner: Unique name under which the lease was requested; empty: it is not held.
        lease: The lease; None while it is not held.
        acquired_at: When the lease was acquired, on the monotonic clock, in seconds.
        release_task: Releases the lease if no further holder needs it in time.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str = ""
    lease: Lease | None = None
    acquired_at: float = 0.0
    release_task: asyncio.Task[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Return whether the lease is held and lasts long enough for another holder."""
        return self.lease is not None and self.lease.is_valid_for(LEASE_DURATION / 2)


class LeaseLocks:
    """The locks of one collection, for one worker and its event loop."""

    def __init__(
        self,
        collection: Collection[dict[str, Any]],
        executor: Executor | None = None,
        *,
        linger: float = 0.0,
    ) -> None:
        """Create the locks; the database is not used yet.

        Args:
            collection: Stores one document for each lease.
            executor: Runs the database calls; None: the event loop's default executor.
            linger: How long a lease is kept for the next holder in this process, in seconds.
        """
        self._collection = collection
        self._executor = executor
        self._linger = linger
        self._states: dict[str, _LockState] = {}

    @asynccontextmanager
    async def hold(
        self, id: str, *, acquire_timeout: float = ACQUIRE_TIMEOUT
    ) -> AsyncIterator[None]:
        """Hold the lock ``id`` for the duration of the block.

        Raises:
            LeaseHeld: Another holder kept the lock for ``acquire_timeout`` seconds.
            LeaseUnavailable: The database does not answer.
        """
        state = self._states.setdefault(id, _LockState())
        deadline = time.monotonic() + acquire_timeout
        try:
            async with asyncio.timeout(acquire_timeout):
                await state.lock.acquire()
        except TimeoutError:
            raise LeaseHeld(id) from None
        try:
            if state.release_task:
                state.release_task.cancel()
            if not await self._reuse(id, state):
                await self._acquire(id, state, deadline)
            renewal = asyncio.ensure_future(self._renew(id, state))
            try:
                yield
            finally:
                renewal.cancel()
                if self._linger:
                    state.release_task = asyncio.ensure_future(self._release_later(id, state))
                else:
                    await self._release(id, state)
        finally:
            state.lock.release()

    async def close(self) -> None:
        """Release the leases that are kept for further holders."""
        for id, state in list(self._states.items()):
            if state.release_task:
                state.release_task.cancel()
            if not state.lock.locked():
                await self._release(id, state)

    async def _reuse(self, id: str, state: _LockState) -> bool:
        """Return whether the lease of the last holder can be used again; renew it if need be.

        A lease that was held for ``MAX_HOLD`` is released for a moment, so that other workers can
        acquire it.
        """
        if state.owner and time.monotonic() - state.acquired_at > MAX_HOLD:
            await self._release(id, state)
            await asyncio.sleep(2 * RETRY_PAUSE)
        if state.owner and not state.is_reusable:
            with suppress(PyMongoError):
                await self._try_acquire(id, state)
        if state.owner and state.is_reusable:
            return True
        await self._release(id, state)
        return False

    async def _release_later(self, id: str, state: _LockState) -> None:
        await asyncio.sleep(self._linger)
        async with state.lock:
            state.release_task = None
            await self._release(id, state)

    async def _release(self, id: str, state: _LockState) -> None:
        owner, state.owner, state.lease = state.owner, "", None
        if not owner:
            return
        try:
            await run_blocking(self._executor, leases.release, self._collection, id, owner)
        except PyMongoError as error:
            log.warning(
                "lease not released; it expires", extra={"element": id, "error": str(error)}
            )

    async def _acquire(self, id: str, state: _LockState, deadline: float) -> None:
        state.owner, state.lease = uuid.uuid4().hex, None
        try:
            while not await self._create_and_acquire(id, state):
                if time.monotonic() >= deadline:
                    break
                await asyncio.sleep(RETRY_PAUSE)
        except PyMongoError as error:
            state.owner = ""
            raise LeaseUnavailable(str(error)) from error
        except BaseException:
            await self._release(id, state)  # a cancelled call may have acquired it
            raise
        if state.lease is None:
            state.owner = ""
            raise LeaseHeld(id)
        state.acquired_at = time.monotonic()

    async def _create_and_acquire(self, id: str, state: _LockState) -> bool:
        """Try to acquire the lease; create its document first if it does not exist."""
        if await self._try_acquire(id, state):
            return True
        await run_blocking(self._executor, leases.create_if_absent, self._collection, id)
        return await self._try_acquire(id, state)

    async def _try_acquire(self, id: str, state: _LockState) -> bool:
        """Acquire or renew the lease; return whether this process holds it."""
        owner = state.owner
        lease = await run_blocking(
            self._executor, leases.acquire, self._collection, id, owner, LEASE_DURATION
        )
        if lease is None:
            return False
        state.lease = lease
        return True

    async def _renew(self, id: str, state: _LockState) -> None:
        unrenewed = LastingCondition(log, "lease not renewed", "lease renewed again")
        while True:
            await asyncio.sleep(LEASE_DURATION / 3)
            try:
                await self._try_acquire(id, state)
            except PyMongoError as error:
                unrenewed.report(element=id, error=str(error))
            else:
                unrenewed.clear(element=id)
