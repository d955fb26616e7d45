"""One changer at a time on an element, among all workers: a lease in the database.

Within a process adapters take turns by themselves (``adapters.turns``); this is for several.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
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

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Busy(Unreachable):
    """Somebody else has been changing the element for as long as we could wait."""


class Leasing:
    """Leases of elements, for one worker."""

    def __init__(self, database: Documents, threads: Executor | None = None) -> None:
        """Keep what is needed.

        Args:
            database: Where the leases lie.
            threads: Where the database is waited for; None: asyncio's own.
        """
        self._collection = database[COLLECTION]
        self._threads = threads

    @asynccontextmanager
    async def held(self, element: str, *, patience: float = PATIENCE) -> AsyncIterator[None]:
        """Hold the lease of an element as long as the block lasts.

        Raises:
            Busy: Another had it for longer than ``patience`` seconds.
            Unreachable: The database that keeps the leases cannot be asked.
        """
        owner = uuid.uuid4().hex
        await self._wait(element, owner, patience)
        prolonging = asyncio.ensure_future(self._prolong(element, owner))
        try:
            yield
        finally:
            prolonging.cancel()
            try:
                await self._ask(lambda: leases.release(self._collection, element, owner))
            except PyMongoError as error:
                _log.warning("a lease ends by itself: %s", error, extra={"element": element})

    async def _wait(self, element: str, owner: str, patience: float) -> None:
        end = asyncio.get_running_loop().time() + patience
        while True:
            try:
                if await self._take(element, owner):
                    return
                await self._ask(lambda: leases.prepare(self._collection, element))
                if await self._take(element, owner):  # nobody had it before
                    return
            except PyMongoError as error:
                message = f"its lease cannot be had: {error}"
                raise Unreachable(element, message) from error
            if asyncio.get_running_loop().time() >= end:
                raise Busy(element, f"somebody else changes it, for {patience:g} s already")
            await asyncio.sleep(PAUSE)

    async def _take(self, element: str, owner: str) -> bool:
        lease = await self._ask(lambda: leases.take(self._collection, element, owner, LASTS))
        return lease is not None

    async def _prolong(self, element: str, owner: str) -> None:
        while True:
            await asyncio.sleep(LASTS / 3)
            try:
                await self._take(element, owner)
            except PyMongoError as error:
                _log.warning("a lease is not prolonged: %s", error, extra={"element": element})

    async def _ask(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, question)
