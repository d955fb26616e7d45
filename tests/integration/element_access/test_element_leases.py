"""Leases of elements: one worker at a time changes an element."""

import asyncio
import uuid

import pytest
from pymongo import MongoClient

from adapters.credentials import Credentials
from adapters.errors import Unreachable
from adapters.snmp.simulator import SimulatedGateway
from tmf_apis.element_access import element_leases
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementBusy, ElementLeases

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clients(mongodb_uri):
    """The database clients of two workers, and the name of their database."""
    name = f"elements_{uuid.uuid4().hex[:8]}"
    with (
        MongoClient(mongodb_uri, w="majority") as first,
        MongoClient(mongodb_uri, w="majority") as second,
    ):
        yield first[name], second[name]
        first.drop_database(name)


@pytest.fixture
def connections(clients):
    """The connections of two workers."""
    credentials = Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})
    return [Connections(credentials, ElementLeases(database, linger=0.3)) for database in clients]


@pytest.fixture
def leases(clients):
    """The leases of two workers."""
    return [ElementLeases(database, linger=0.3) for database in clients]


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(0.02)


async def test_two_workers_change_an_element_one_after_the_other(connections):
    active, counts = [], []

    async def change(worker, target):
        async with worker.acquire(target, exclusive=True):
            active.append(target)
            counts.append(len(active))
            await asyncio.sleep(0.05)
            active.pop()

    async with SimulatedGateway() as gateway, asyncio.timeout(20):
        await asyncio.gather(*(change(worker, gateway.target) for worker in connections * 3))
    assert counts == [1] * 6
    for worker in connections:
        await worker.close()


async def test_a_lease_serves_several_changes_but_not_forever(leases, monkeypatch):
    monkeypatch.setattr(element_leases, "MAX_HOLD", 0.5)
    first, second = leases
    requests = []
    take = ElementLeases._take
    monkeypatch.setattr(
        ElementLeases, "_take", lambda *arguments: (requests.append(arguments), take(*arguments))[1]
    )
    for _ in range(5):
        async with first.hold("gw"):
            pass
    assert len(requests) <= 2

    async def change_continuously():
        while True:
            async with first.hold("gw"):
                await asyncio.sleep(0.01)

    changes = asyncio.ensure_future(change_continuously())
    async with second.hold("gw", timeout=20):  # the busy worker lets go in between
        pass
    changes.cancel()
    await asyncio.wait({changes})
    await first.close()
    async with second.hold("gw", timeout=10):
        pass


async def test_a_released_lease_is_not_trusted(leases):
    first, second = leases

    async def change(timeout):
        async with first.hold("gw", timeout=timeout):
            pass

    await change(10)
    await first.close()
    async with second.hold("gw"):
        waiting = asyncio.ensure_future(change(10))
        await until(lambda: first._states["gw"].owner)
        waiting.cancel()
        await asyncio.wait({waiting})
        with pytest.raises(ElementBusy):
            await change(1)
    await second.close()
    await change(10)


async def test_reading_needs_no_lease(connections):
    changing, reading = connections
    async with (
        SimulatedGateway() as gateway,
        changing.acquire(gateway.target, exclusive=True),
        reading.acquire(gateway.target) as adapter,
    ):
        assert (await adapter.probe()).name == "gw-sim"
    for worker in connections:
        await worker.close()


async def test_a_lease_is_renewed_during_a_change_and_expires_after_a_crash(leases, monkeypatch):
    monkeypatch.setattr(element_leases, "LEASE_DURATION", 3.0)
    first, second = leases
    crashed = first.hold("gw")
    await crashed.__aenter__()
    state = first._states["gw"]
    end = state.expires_at
    await until(lambda: state.expires_at > end + 3.0)
    with pytest.raises(ElementBusy, match="another worker"):
        async with second.hold("gw", timeout=1):
            pass
    state.renewal_task.cancel()
    async with second.hold("gw", timeout=20):
        pass


async def test_an_element_cannot_be_changed_without_the_database():
    client = MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    with client, pytest.raises(Unreachable, match="lease"):
        async with ElementLeases(client["none"]).hold("gw"):
            pass
