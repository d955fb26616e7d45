"""An element that does not answer has one alarm until it does, and is tried by itself."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.errors import Unreachable
from adapters.snmp.simulator import SimulatedGateway
from tmf_apis.element_access import breaker
from tmf_apis.element_access.connections import Connections
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fault_management import trap_consumer
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.collector import OpenCircuitsCollector
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def desks(database, tmp_path):
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    return RepositoryFactory(
        Engine(settings, load_contracts(CONTRACTS_DIR, tmp_path / "cache"), database).writer, "test"
    )


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.05)


async def test_a_silent_element_has_one_alarm_until_it_answers(desks, database, monkeypatch):
    monkeypatch.setattr(trap_consumer, "REFRESH_INTERVAL", 0.1)
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.2)
    secrets = Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})
    desk, stop = desks.for_tenant("default"), asyncio.Event()
    circuits = {}

    def note_circuit_change(target, unreachable):
        circuits[target.name] = unreachable
        work.note_circuit_change(target, unreachable)

    connections = Connections(secrets, on_circuit_change=note_circuit_change)
    threads = ThreadPoolExecutor(2)
    network = ElementRegistry(database, desks, secrets)
    work = trap_consumer.TrapConsumer(
        network, AlarmWriter(database, desks), connections, threads, ("127.0.0.1", 0)
    )

    def alarms(**query):
        query = {"specificProblem": "elementUnreachable", **query}
        return desk.find("Alarm", query)

    def left_alone():
        return next(OpenCircuitsCollector(database).collect()).samples[0].value

    async with SimulatedGateway() as gateway:
        target = replace(gateway.target, options={"timeout": "0.05", "retries": "0"})
        async with registry.create_adapter(target, secrets) as adapter:
            element = (await register(desk, adapter)).element
        running = asyncio.create_task(work.run(stop))
        await until(lambda: network.elements)
        assert left_alone() == 0

        gateway.fault_injection.silent = True
        for _ in range(breaker.FAILURE_THRESHOLD):
            with pytest.raises(Unreachable):
                async with connections.acquire(target) as adapter:
                    await adapter.probe()
        await until(alarms)
        (alarm,) = alarms()
        assert alarm["alarmedObject"]["id"] == element["id"]
        assert (alarm["alarmType"], alarm["probableCause"], alarm["perceivedSeverity"]) == (
            *("communicationsAlarm", "communicationsSubsystemFailure", "major"),
        )
        await until(lambda: left_alone() == 1)
        await asyncio.sleep(1)  # it is tried several times, and found silent
        assert [one["alarmDetails"] for one in alarms()] == [alarm["alarmDetails"]]

        gateway.fault_injection.silent = False
        await until(lambda: alarms(state="cleared"))
        await until(lambda: left_alone() == 0)
        assert len(alarms()) == 1
        await until(lambda: circuits == {"gw-sim": False})
    stop.set()
    await running
    await connections.close()
    threads.shutdown()
