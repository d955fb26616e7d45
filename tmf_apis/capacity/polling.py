"""The poller: one worker among any number, at an interval, many elements at once."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from pymongo.errors import PyMongoError

from adapters import base
from adapters.errors import ElementError
from tmf_apis.assurance.network import Element, Network
from tmf_apis.capacity.measuring import Measuring
from tmf_apis.elements.connections import Connections
from tmf_apis.errors import TmfError
from tmf_apis.events import leases
from tmf_apis.events.relay import LEASES
from tmf_apis.store.connection import Documents

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Name of the lease; how long it lasts without a sign of life, in seconds.
TURN, LEASE = "capacity", 60.0
#: Longest pause between two looks whether it is time, in seconds.
LOOK = 10.0
#: Elements that are read at once; longest time of one, in seconds.
AT_ONCE, PATIENCE = 32, 30.0


class Polling:
    """Reads counters and counts in the inventory, again and again."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a worker has
        self,
        database: Documents,
        measuring: Measuring,
        network: Network,
        connections: Connections,
        threads: Executor,
        interval: float,
    ) -> None:
        """Take what it works with.

        Args:
            database: Where the lease is.
            measuring: Writes what is found.
            network: Which elements there are.
            connections: Open adapters.
            threads: Where the database is waited for.
            interval: Pause between the beginnings of two rounds, in seconds; 0: there are none.
        """
        self._leases = database[LEASES]
        self._measuring = measuring
        self._network = network
        self._connections = connections
        self._threads = threads
        self._interval = interval
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until ``stop`` is set."""
        if not self._interval:
            return
        prepared = False
        while not stop.is_set():
            try:
                if not prepared:
                    await self._in_thread(self._prepare)
                    prepared = True
                if await self._in_thread(self._take):
                    await self._round(stop)
            except (PyMongoError, TmfError) as error:
                log.warning("capacity waits: %s", error)
            except Exception:
                log.exception("capacity cannot be measured")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(self._interval, LOOK))

    def _prepare(self) -> None:
        self._measuring.prepare()
        leases.prepare(self._leases, TURN)

    def _take(self) -> bool:
        """Take the turn if it is time for a round."""
        now = datetime.now(UTC)
        due = [{"next": {"$exists": False}}, {"next": {"$lte": now}}]
        return leases.take(self._leases, TURN, self._owner, LEASE, **{"$or": due}) is not None

    async def _round(self, stop: asyncio.Event) -> None:
        following = datetime.now(UTC) + timedelta(seconds=self._interval)
        keeping = asyncio.create_task(self._keep())
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (keeping, working, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
            await self._in_thread(self._give_back, following)

    def _give_back(self, following: datetime) -> None:
        mine = {"_id": TURN, "lease.owner": self._owner}
        self._leases.update_one(mine, {"$set": {"next": following}})
        leases.release(self._leases, TURN, self._owner)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 4)
            with suppress(PyMongoError):
                await self._in_thread(leases.take, self._leases, TURN, self._owner, LEASE)

    async def _work(self) -> None:
        started = datetime.now(UTC)
        await self._in_thread(self._measuring.sum_up, started)
        elements = await self._in_thread(self._network.read)
        slots = asyncio.Semaphore(AT_ONCE)
        read = await asyncio.gather(*(self._read(one, slots) for one in elements.values()))
        for tenant in await self._in_thread(self._measuring.tenants):
            await self._in_thread(self._measuring.count, tenant, datetime.now(UTC))
        took = (datetime.now(UTC) - started).total_seconds()
        log.info(
            "capacity measured",
            extra={"elements": len(read), "reached": sum(read), "seconds": round(took, 2)},
        )

    async def _read(self, one: Element, slots: asyncio.Semaphore) -> bool:
        """Take the counters of an element; return whether it could be read."""
        async with slots:
            try:
                async with asyncio.timeout(PATIENCE), self._connections.to(one.target) as adapter:
                    if base.COUNTERS not in adapter.capabilities:
                        return False
                    samples = await adapter.counters()
                await self._in_thread(self._measuring.measure, one, samples)
            except (ElementError, TimeoutError, PyMongoError, TmfError) as error:
                log.info("no counters: %s", error, extra={"element": one.target.name})
                return False
            except Exception:
                log.exception("no counters", extra={"element": one.target.name})
                return False
            return True

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments))
