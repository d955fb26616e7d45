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
from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import TmfError
from tmf_apis.fault_management.element_registry import Element, ElementRegistry
from tmf_apis.store import leases
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.leases import LEASE_COLLECTION

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Name of the lease; how long it lasts without a sign of life, in seconds.
LEASE_ID, LEASE_DURATION = "capacity", 60.0
#: Longest pause between two looks whether it is time, in seconds.
CHECK_INTERVAL = 10.0
#: Elements that are read at once; longest time of one, in seconds.
CONCURRENCY, ELEMENT_TIMEOUT = 32, 30.0


class CapacityPoller:
    """Reads counters and counts in the inventory, again and again."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a worker has
        self,
        database: MongoDatabase,
        meter: CapacityMeter,
        registry: ElementRegistry,
        connections: Connections,
        threads: Executor,
        interval: float,
    ) -> None:
        """Take what it works with.

        Args:
            database: Where the lease is.
            meter: Writes what is found.
            registry: Which elements there are.
            connections: Open adapters.
            threads: Where the database is waited for.
            interval: Pause between the beginnings of two rounds, in seconds; 0: there are none.
        """
        self._leases = database[LEASE_COLLECTION]
        self._meter = meter
        self._registry = registry
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
                    await self._run_in_thread(self._prepare)
                    prepared = True
                if await self._run_in_thread(self._acquire_lease):
                    await self._run_round(stop)
            except (PyMongoError, TmfError) as error:
                log.warning("capacity waits: %s", error)
            except Exception:
                log.exception("capacity cannot be measured")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(self._interval, CHECK_INTERVAL))

    def _prepare(self) -> None:
        self._meter.prepare()
        leases.create_if_absent(self._leases, LEASE_ID)

    def _acquire_lease(self) -> bool:
        """Take the turn if it is time for a round."""
        now = datetime.now(UTC)
        due = [{"next": {"$exists": False}}, {"next": {"$lte": now}}]
        return (
            leases.acquire(self._leases, LEASE_ID, self._owner, LEASE_DURATION, **{"$or": due})
            is not None
        )

    async def _run_round(self, stop: asyncio.Event) -> None:
        following = datetime.now(UTC) + timedelta(seconds=self._interval)
        keeping = asyncio.create_task(self._renew_lease())
        working = asyncio.create_task(self._measure_all())
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
            await self._run_in_thread(self._release_lease, following)

    def _release_lease(self, next_round: datetime) -> None:
        mine = {"_id": LEASE_ID, "lease.owner": self._owner}
        self._leases.update_one(mine, {"$set": {"next": next_round}})
        leases.release(self._leases, LEASE_ID, self._owner)

    async def _renew_lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE_DURATION / 4)
            with suppress(PyMongoError):
                await self._run_in_thread(
                    leases.acquire, self._leases, LEASE_ID, self._owner, LEASE_DURATION
                )

    async def _measure_all(self) -> None:
        started = datetime.now(UTC)
        await self._run_in_thread(self._meter.summarise_days, started)
        elements = await self._run_in_thread(self._registry.read)
        slots = asyncio.Semaphore(CONCURRENCY)
        read = await asyncio.gather(*(self._read_counters(one, slots) for one in elements.values()))
        for tenant in await self._run_in_thread(self._meter.tenants):
            await self._run_in_thread(self._meter.count_inventory, tenant, datetime.now(UTC))
        took = (datetime.now(UTC) - started).total_seconds()
        log.info(
            "capacity measured",
            extra={"elements": len(read), "reached": sum(read), "seconds": round(took, 2)},
        )

    async def _read_counters(self, element: Element, slots: asyncio.Semaphore) -> bool:
        """Take the counters of an element; return whether it could be read."""
        async with slots:
            try:
                async with (
                    asyncio.timeout(ELEMENT_TIMEOUT),
                    self._connections.acquire(element.target) as adapter,
                ):
                    if base.COUNTERS not in adapter.capabilities:
                        return False
                    samples = await adapter.counters()
                await self._run_in_thread(self._meter.record_counters, element, samples)
            except (ElementError, TimeoutError, PyMongoError, TmfError) as error:
                log.info("no counters: %s", error, extra={"element": element.target.name})
                return False
            except Exception:
                log.exception("no counters", extra={"element": element.target.name})
                return False
            return True

    async def _run_in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments))
