"""Leases of elements: one worker at a time changes an element."""

import asyncio
import uuid

import pytest
from pymongo import MongoClient

from adapters.credentials import Credentials
from adapters.errors import Unreachable
from adapters.snmp.simulator import SimulatedGateway
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementBusy, ElementLeases

pytestmark = pytest.mark.anyio


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
    return [ElementLeases(database, linger=0.3, acquire_timeout=0.2) for database in clients]


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


async def test_an_element_is_busy_while_another_worker_changes_it(leases):
    first, second = leases
    async with first.hold("gw"):
        with pytest.raises(ElementBusy, match="other changes") as caught:
            async with second.hold("gw"):
                pass
    assert not isinstance(caught.value, Unreachable)
    await first.close()


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


async def test_an_element_cannot_be_changed_without_the_database():
    client = MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    with client, pytest.raises(Unreachable, match="lease"):
        async with ElementLeases(client["none"]).hold("gw"):
            pass
