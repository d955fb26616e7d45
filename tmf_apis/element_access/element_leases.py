"""Exclusive access of one worker at a time to a network element.

Within a process an adapter serializes its single requests (``adapters.locks``). These leases cover
a change as a whole, and all workers.
"""

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.errors import ElementError, Unreachable
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.lease_locks import ACQUIRE_TIMEOUT, LeaseHeld, LeaseLocks, LeaseUnavailable
from tmf_apis.store.leases import ELEMENT_LEASE_COLLECTION

#: How long a worker keeps a lease for its next change, in seconds.
LINGER = 0.5


class ElementBusy(ElementError):
    """Other changes held the lease of the element for as long as the caller could wait.

    The element itself was not asked: it may well be reachable.
    """

    again = True


class ElementLeases:
    """Leases of elements, for one worker and its event loop."""

    def __init__(
        self,
        database: MongoDatabase,
        executor: Executor | None = None,
        *,
        linger: float = 0.0,
        acquire_timeout: float = ACQUIRE_TIMEOUT,
    ) -> None:
        """Create the leases; the database is not used yet.

        Args:
            database: Stores the leases.
            executor: Runs the database calls; None: the event loop's default executor.
            linger: How long a lease is kept for the next change, in seconds.
            acquire_timeout: How long to wait for other changes, in seconds.
        """
        self._acquire_timeout = acquire_timeout
        self._locks = LeaseLocks(database[ELEMENT_LEASE_COLLECTION], executor, linger=linger)

    @asynccontextmanager
    async def hold(self, element: str) -> AsyncIterator[None]:
        """Hold the lease of an element for the duration of the block.

        Raises:
            ElementBusy: Other changes held it for as long as to wait.
            Unreachable: The database that stores the leases does not answer.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(
                    self._locks.hold(element, acquire_timeout=self._acquire_timeout)
                )
            except LeaseHeld:
                raise ElementBusy(
                    element,
                    f"other changes have kept it busy for {self._acquire_timeout:g} s",
                ) from None
            except LeaseUnavailable as error:
                raise Unreachable(element, f"its lease cannot be acquired: {error}") from error
            yield

    async def close(self) -> None:
        """Release the leases that linger for further changes."""
        await self._locks.close()
