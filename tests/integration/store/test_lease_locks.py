"""Locks shared by several workers: reuse, handover, expiry and loss of the database."""

import asyncio
import threading
import uuid

import pytest
from pymongo import MongoClient

from tmf_apis.store import lease_locks, leases
from tmf_apis.store.lease_locks import LeaseHeld, LeaseLocks, LeaseUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def two_workers(mongodb_uri):
    """The locks of two workers, each with a database client of its own."""
    name = f"locks_{uuid.uuid4().hex[:8]}"
    with (
        MongoClient(mongodb_uri, w="majority") as first,
        MongoClient(mongodb_uri, w="majority") as second,
    ):
        yield [LeaseLocks(client[name]["leases"], linger=0.3) for client in (first, second)]
        first.drop_database(name)


async def hold_briefly(locks, acquire_timeout=30.0):
    async with locks.hold("gw", acquire_timeout=acquire_timeout):
        pass


async def test_lease_is_reused_by_the_next_holder_of_the_same_worker(two_workers, monkeypatch):
    worker, _ = two_workers
    requests = []
    acquire = leases.acquire
    monkeypatch.setattr(
        leases, "acquire", lambda *arguments: (requests.append(arguments), acquire(*arguments))[1]
    )
    for _ in range(5):
        await hold_briefly(worker)
    assert len(requests) <= 2
    await worker.close()


async def test_busy_worker_lets_another_worker_acquire_the_lease(two_workers, monkeypatch):
    monkeypatch.setattr(lease_locks, "MAX_HOLD", 0.5)
    busy_worker, other_worker = two_workers

    async def hold_again_and_again():
        while True:
            async with busy_worker.hold("gw"):
                await asyncio.sleep(0.01)

    working = asyncio.ensure_future(hold_again_and_again())
    await hold_briefly(other_worker)
    working.cancel()
    await asyncio.wait({working})
    await other_worker.close()
    await busy_worker.close()
    await hold_briefly(other_worker)


async def test_lease_that_was_released_is_not_reused(two_workers, monkeypatch):
    worker, other_worker = two_workers
    await hold_briefly(worker)
    await worker.close()
    attempt_failed = threading.Event()
    monkeypatch.setattr(leases, "create_if_absent", lambda *_: attempt_failed.set())
    async with other_worker.hold("gw"):
        waiting = asyncio.ensure_future(hold_briefly(worker))
        assert await asyncio.to_thread(attempt_failed.wait, 10)
        waiting.cancel()
        await asyncio.wait({waiting})
        with pytest.raises(LeaseHeld):
            await hold_briefly(worker, acquire_timeout=0.2)
    await other_worker.close()
    await hold_briefly(worker)


async def test_lease_is_renewed_while_it_is_held(two_workers, monkeypatch):
    monkeypatch.setattr(lease_locks, "LEASE_DURATION", 3.0)
    worker, other_worker = two_workers
    async with worker.hold("gw"):
        end = worker._states["gw"].lease.until
        async with asyncio.timeout(20):
            while worker._states["gw"].lease.until < end + 3.0:  # noqa: ASYNC110 - nothing notifies
                await asyncio.sleep(0.02)
        with pytest.raises(LeaseHeld):
            await hold_briefly(other_worker, acquire_timeout=0.2)


async def test_lease_of_a_killed_worker_expires(two_workers, monkeypatch):
    monkeypatch.setattr(lease_locks, "LEASE_DURATION", 1.0)
    worker, other_worker = two_workers

    async def do_not_renew(*_):
        await asyncio.sleep(3600)

    monkeypatch.setattr(worker, "_renew", do_not_renew)
    async with worker.hold("gw"):
        await hold_briefly(other_worker)


async def test_hold_fails_without_the_database():
    unreachable = MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    with unreachable as client, pytest.raises(LeaseUnavailable):
        await hold_briefly(LeaseLocks(client["none"]["leases"]))
