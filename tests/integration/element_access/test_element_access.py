"""Ways to elements: kept open, left alone when they fail, changed by one worker at a time."""

import asyncio
import logging
import uuid
from dataclasses import replace

import pytest
from pymongo import MongoClient

from adapters.credentials import Credentials
from adapters.errors import Rejected, Unreachable
from adapters.snmp.simulator import SimulatedGateway
from adapters.testing import premium
from tmf_apis.element_access import breaker as breakers
from tmf_apis.element_access import element_leases as leases
from tmf_apis.element_access.breaker import (
    FAILURE_THRESHOLD,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Breaker,
    CircuitOpenError,
)
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementBusy, ElementLeases

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker("gw", clock)


def use(breaker, error=None):
    with breaker.guard():
        if error:
            raise error


def fail(breaker, times=1):
    for _ in range(times):
        with pytest.raises(Unreachable, match="no answer"):
            use(breaker, Unreachable("gw", "no answer"))


def test_an_element_is_asked_until_it_has_failed_often_enough_in_a_row(breaker):
    fail(breaker, FAILURE_THRESHOLD - 1)
    use(breaker)
    fail(breaker, FAILURE_THRESHOLD - 1)
    assert not breaker.is_open
    fail(breaker)
    with pytest.raises(
        CircuitOpenError, match=f"{FAILURE_THRESHOLD} times in a row; the next try is at"
    ) as caught:
        use(breaker)
    assert caught.value.again
    assert caught.value.element == "gw"
    assert caught.value.retry_at.tzinfo is not None


def test_an_element_that_refuses_is_there(breaker):
    for _ in range(FAILURE_THRESHOLD * 2):
        with pytest.raises(Rejected):
            use(breaker, Rejected("gw", "no such port"))
    assert not breaker.is_open


def test_after_the_pause_one_tries_for_all(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    clock.now = FIRST_PAUSE + 0.1
    with breaker.guard(), pytest.raises(CircuitOpenError):
        use(breaker)
    use(breaker)
    assert (breaker.is_open, breaker.failures) == (False, 0)


def test_each_pause_is_twice_as_long_up_to_the_longest(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    pause = FIRST_PAUSE
    for _ in range(10):
        clock.now += pause + 0.01
        fail(breaker)
        pause = min(pause * 2, LONGEST_PAUSE)
        clock.now += pause - 0.1
        with pytest.raises(CircuitOpenError):
            use(breaker)
        clock.now -= pause - 0.1
    assert pause == LONGEST_PAUSE


def test_a_try_that_is_broken_off_leaves_the_next_one_to_another(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    clock.now = FIRST_PAUSE + 0.1
    with pytest.raises(asyncio.CancelledError):
        use(breaker, asyncio.CancelledError())
    assert breaker.is_open
    use(breaker)
    assert not breaker.is_open


def test_both_ends_of_the_rest_are_logged(breaker, clock, caplog):
    with caplog.at_level(logging.WARNING, breakers.__name__):
        fail(breaker, FAILURE_THRESHOLD)
        clock.now = FIRST_PAUSE + 0.1
        use(breaker)
    said = [(one.message, one.element, one.failures) for one in caplog.records]
    assert said == [
        ("an element does not answer and is left alone", "gw", FAILURE_THRESHOLD),
        ("an element answers again", "gw", FAILURE_THRESHOLD),
    ]


@pytest.fixture
def secrets(tmp_path):
    return Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})


async def test_a_dead_element_costs_nobody_a_timeout_and_is_found_again(secrets, monkeypatch):
    monkeypatch.setattr(breakers, "FIRST_PAUSE", 0.2)
    async with SimulatedGateway() as gateway:
        target = replace(gateway.target, options={"timeout": "0.05", "retries": "0"})
        connections = Connections(secrets)
        gateway.fault_injection.silent = True
        for _ in range(FAILURE_THRESHOLD):
            with pytest.raises(Unreachable):
                async with connections.acquire(target) as adapter:
                    await adapter.probe()
        gateway.fault_injection.silent = False
        with pytest.raises(CircuitOpenError):
            async with connections.acquire(target) as adapter:
                await adapter.probe()
        assert connections.unreachable_elements == ["gw-sim"]
        await asyncio.sleep(0.25)
        async with connections.acquire(target) as adapter:
            assert (await adapter.probe()).name == "gw-sim"
        assert connections.unreachable_elements == []
        await connections.close()


async def test_one_adapter_serves_several_and_is_opened_anew_after_an_error(secrets):
    async with SimulatedGateway() as gateway:
        connections = Connections(secrets)
        async with (
            connections.acquire(gateway.target) as one,
            connections.acquire(gateway.target) as other,
        ):
            assert one is other
        with pytest.raises(Rejected):
            async with connections.acquire(gateway.target) as one:
                await one.plan(premium("no-such-port"))
        async with connections.acquire(gateway.target) as another:
            assert another is not one
            assert (await another.probe()).name == "gw-sim"
        await connections.close()


@pytest.fixture
def two_workers(mongodb_uri, secrets):
    """The connections of two workers, each with a database client of its own."""
    name = f"elements_{uuid.uuid4().hex[:8]}"
    with (
        MongoClient(mongodb_uri, w="majority") as one,
        MongoClient(mongodb_uri, w="majority") as other,
    ):
        yield [
            Connections(secrets, ElementLeases(client[name], linger=0.3)) for client in (one, other)
        ]
        one.drop_database(name)


async def test_two_workers_change_an_element_one_after_the_other(two_workers):
    doing, most = [], []

    async def change(connections, target):
        async with connections.acquire(target, exclusive=True):
            doing.append(target)
            most.append(len(doing))
            await asyncio.sleep(0.05)
            doing.pop()

    async with SimulatedGateway() as gateway, asyncio.timeout(20):
        await asyncio.gather(*(change(one, gateway.target) for one in two_workers * 3))
    assert most == [1] * 6
    for one in two_workers:
        await one.close()


async def test_a_lease_is_kept_for_the_next_change_and_not_for_ever(two_workers, monkeypatch):
    monkeypatch.setattr(leases, "MAX_HOLD", 0.5)
    one, other = (worker._leases for worker in two_workers)
    taken = []
    take = ElementLeases._take
    monkeypatch.setattr(
        ElementLeases, "_take", lambda *given: (taken.append(given), take(*given))[1]
    )
    for _ in range(5):
        async with one.hold("gw"):
            pass
    assert len(taken) <= 2

    async def busy():
        while True:
            async with one.hold("gw"):
                await asyncio.sleep(0.01)

    working = asyncio.ensure_future(busy())
    async with other.hold("gw", timeout=5):  # they let us have a turn, however much they do
        pass
    working.cancel()
    await asyncio.wait({working})
    await one.close()
    async with other.hold("gw", timeout=0.05):
        pass


async def test_a_lease_that_was_given_back_is_not_believed_in(two_workers):
    one, other = (worker._leases for worker in two_workers)

    async def change(patience):
        async with one.hold("gw", timeout=patience):
            pass

    await change(1)
    await one.close()
    async with other.hold("gw"):
        waiting = asyncio.ensure_future(change(10))
        await asyncio.sleep(0.15)
        waiting.cancel()
        await asyncio.wait({waiting})
        with pytest.raises(ElementBusy):
            await change(0.15)
    await other.close()
    await change(1)


async def test_reading_waits_for_nobody(two_workers):
    async with SimulatedGateway() as gateway:
        changing, reading = (one.acquire for one in two_workers)
        async with changing(gateway.target, exclusive=True), reading(gateway.target) as adapter:
            assert (await adapter.probe()).name == "gw-sim"
    for one in two_workers:
        await one.close()


async def test_a_lease_outlasts_a_long_change_and_ends_with_its_process(two_workers, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_DURATION", 0.6)
    one, other = (worker._leases for worker in two_workers)
    async with one.hold("gw"):
        await asyncio.sleep(1.0)
        with pytest.raises(ElementBusy, match="somebody else"):
            async with other.hold("gw", timeout=0.2):
                pass
    holding = one.hold("gw")
    await holding.__aenter__()
    holding.gen.ag_frame.f_locals["prolonging"].cancel()  # as if it had been killed
    async with other.hold("gw", timeout=5):
        pass


async def test_without_its_database_nothing_is_changed():
    nowhere = MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    with nowhere as client, pytest.raises(Unreachable, match="lease"):
        async with ElementLeases(client["none"]).hold("gw"):
            pass
