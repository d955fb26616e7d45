"""Capacity poller: one of the workers measures at an interval, many elements at the same time."""

import asyncio
import logging
import os
import socket
import uuid
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from adapters import base
from adapters.errors import ElementError
from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import TmfError
from tmf_apis.fault_management.element_registry import Element, ElementRegistry
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store import leases
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.executor import run_blocking
from tmf_apis.store.leases import LEASE_COLLECTION

log = logging.getLogger(__name__)

#: Id of the lease; its duration without renewal, in seconds.
LEASE_ID, LEASE_DURATION = "capacity", 60.0
#: Longest pause between two checks for a due round, in seconds.
CHECK_INTERVAL = 10.0
#: Number of elements that are read at the same time; maximum time for each, in seconds.
CONCURRENCY, ELEMENT_TIMEOUT = 32, 30.0


class CapacityPoller:
    """Reads the counters of elements and counts the inventory at an interval."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a worker
        self,
        database: MongoDatabase,
        meter: CapacityMeter,
        registry: ElementRegistry,
        connections: Connections,
        executor: Executor,
        interval: float,
    ) -> None:
        """Create a poller.

        Args:
            database: Holds the lease.
            meter: Writes the measurements.
            registry: Lists the elements.
            connections: Connections to the elements.
            executor: Runs blocking database calls.
            interval: Time between the starts of two rounds, in seconds; 0: never poll.
        """
        self._leases = database[LEASE_COLLECTION]
        self._meter = meter
        self._registry = registry
        self._connections = connections
        self._executor = executor
        self._interval = interval
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
        self._delayed = LastingCondition(
            log, "capacity measurement delayed", "capacity is measured again"
        )
        self._unread = LastingCondition(
            log, "counters not read", "counters are read again", level=logging.INFO
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until ``stop`` is set."""
        if not self._interval:
            return
        prepared = False
        while not stop.is_set():
            try:
                if not prepared:
                    await run_blocking(self._executor, self._prepare)
                    prepared = True
                if await run_blocking(self._executor, self._acquire_lease):
                    await self._run_round(stop)
            except (PyMongoError, TmfError) as error:
                self._delayed.report(error=str(error))
            except Exception:
                log.exception("capacity cannot be measured")
            else:
                self._delayed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(self._interval, CHECK_INTERVAL))

    def _prepare(self) -> None:
        self._meter.prepare()
        leases.create_if_absent(self._leases, LEASE_ID)

    def _acquire_lease(self) -> bool:
        """Acquire the lease if a round is due; return whether it was acquired."""
        now = datetime.now(UTC)
        due = [{"next": {"$exists": False}}, {"next": {"$lte": now}}]
        lease = leases.acquire(self._leases, LEASE_ID, self._owner, LEASE_DURATION, **{"$or": due})
        return lease is not None

    async def _run_round(self, stop: asyncio.Event) -> None:
        next_round = datetime.now(UTC) + timedelta(seconds=self._interval)
        renewal = asyncio.create_task(self._renew_lease())
        measurement = asyncio.create_task(self._measure_all())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({measurement, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if measurement.done():
                measurement.result()
        finally:
            for task in (renewal, measurement, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
            await run_blocking(self._executor, self._release_lease, next_round)

    def _release_lease(self, next_round: datetime) -> None:
        owned_lease = {"_id": LEASE_ID, "lease.owner": self._owner}
        self._leases.update_one(owned_lease, {"$set": {"next": next_round}})
        leases.release(self._leases, LEASE_ID, self._owner)

    async def _renew_lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE_DURATION / 4)
            with suppress(PyMongoError):
                await run_blocking(self._executor, self._extend_lease)

    def _extend_lease(self) -> None:
        leases.acquire(self._leases, LEASE_ID, self._owner, LEASE_DURATION)

    async def _measure_all(self) -> None:
        started = datetime.now(UTC)
        await run_blocking(self._executor, self._meter.summarise_days, started)
        elements = await run_blocking(self._executor, self._registry.read)
        self._unread.forget_others(elements)
        slots = asyncio.Semaphore(CONCURRENCY)
        are_read = await asyncio.gather(
            *(self._read_counters(element, slots) for element in elements.values())
        )
        for tenant in await run_blocking(self._executor, self._meter.tenants):
            await run_blocking(
                self._executor, self._meter.count_inventory, tenant, datetime.now(UTC)
            )
        duration = (datetime.now(UTC) - started).total_seconds()
        log.info(
            "capacity measured",
            extra={
                "elements": len(are_read),
                "reached": sum(are_read),
                "seconds": round(duration, 2),
            },
        )

    async def _read_counters(self, element: Element, slots: asyncio.Semaphore) -> bool:
        """Read and record the counters of an element; return whether it could be read."""
        async with slots:
            try:
                async with (
                    asyncio.timeout(ELEMENT_TIMEOUT),
                    self._connections.acquire(element.target) as adapter,
                ):
                    if base.COUNTERS not in adapter.capabilities:
                        return False
                    samples = await adapter.counters()
                await run_blocking(self._executor, self._meter.record_counters, element, samples)
            except (ElementError, TimeoutError, PyMongoError, TmfError) as error:
                self._unread.report(
                    element.key,
                    cause=type(error).__name__,
                    element=element.target.name,
                    error=str(error),
                )
                return False
            except Exception:
                log.exception("counters not read", extra={"element": element.target.name})
                return False
            self._unread.clear(element.key, element=element.target.name)
            return True
