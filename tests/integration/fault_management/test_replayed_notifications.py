"""A recorded SNMPv3 notification is refused, also after a restart and by another worker."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from adapters import condition_types, registry
from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulator import SimulatedGateway
from adapters.snmp.traps import EngineRecord
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.message import Pdu, Variable
from adapters.snmp.wire.usm import EngineTime, User
from adapters.snmp.wire.usm_request import EngineClock, encode_request
from tests.support.notification_consumer import running_consumer
from tests.support.waiting import wait_in_thread
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fault_management.message_records import MessageRecords
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

pytestmark = pytest.mark.anyio

SECRETS = Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})
SECRET = {"user": "traps", "auth": "SHA-256", "auth_password": "authpass12",
          "priv": "AES", "priv_password": "privpass12"}  # fmt: skip
USER = User.from_secret(SECRET)
ENGINE = b"\x80\x00\x1f\x88\x80engine"


@pytest.fixture
def repositories(database, tmp_path):
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    contracts = load_contracts(CONTRACTS_DIR, tmp_path / "cache")
    return RepositoryFactory(Engine(settings, contracts, database).writer, "test")


@asynccontextmanager
async def consumer_of_v3(database, repositories):
    """A consumer that polls its elements by v2c and receives notifications by v3."""
    async with running_consumer(database, repositories, SECRETS) as consumer:
        await wait_in_thread(lambda: consumer.registry.elements and consumer.address[1])
        (key,) = consumer.registry.elements
        consumer.registry.senders.register(key, "127.0.0.1", SECRET)
        yield consumer


def link_down(boots, seconds, id):
    """Return a v3 notification that a port has failed."""
    variables = (
        Variable(mib.SYS_UP_TIME, ber.TIME_TICKS, seconds * 100),
        Variable(mib.SNMP_TRAP_OID, ber.OID, condition_types.LINK_DOWN),
        Variable(f"{mib.IF_INDEX}.3", ber.INTEGER, 3),
    )
    clock = EngineClock(ENGINE, boots, seconds)
    return encode_request(USER, clock, id, Pdu(message.TRAP, id, variables=variables))


def send(consumer, octets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as element:
        element.sendto(octets, consumer.address)


async def test_a_replay_is_refused_after_a_restart_and_by_another_worker(
    repositories, database, caplog
):
    repository = repositories.for_tenant("default")

    def alarms():
        return repository.find("Alarm", {"specificProblem.ne": "elementUnreachable"})

    def is_replay_dropped():
        return "replayed notification dropped" in caplog.text

    recorded = link_down(3, 1000, 1)
    async with SimulatedGateway() as gateway:
        async with registry.create_adapter(gateway.target, SECRETS) as adapter:
            await register(repository, adapter)
        async with consumer_of_v3(database, repositories) as consumer:
            send(consumer, recorded)
            await wait_in_thread(lambda: database["Alarm"].count_documents({}))
            send(consumer, recorded)
            await wait_in_thread(is_replay_dropped)
            caplog.clear()
            async with consumer_of_v3(database, repositories) as second:
                send(second, recorded)
                await wait_in_thread(is_replay_dropped)
        caplog.clear()
        count = database["Alarm"].count_documents({})
        async with consumer_of_v3(database, repositories) as restarted:
            send(restarted, recorded)
            await wait_in_thread(is_replay_dropped)
            assert database["Alarm"].count_documents({}) == count
            times = database["SnmpEngine"].find_one()
            assert (times["boots"], times["time"]) == (3, 1000)
            database["SnmpMessage"].delete_many({})  # minutes later
            send(restarted, link_down(2, 5000, 2))
            send(restarted, link_down(3, 1001, 3))
            await wait_in_thread(lambda: database["SnmpEngine"].find_one({"time": 1001}))
        assert database["SnmpMessage"].count_documents({}) == 1


async def test_a_stop_loses_no_time_that_waits_to_be_stored(repositories, database):
    repository = repositories.for_tenant("default")
    async with SimulatedGateway() as gateway:
        async with registry.create_adapter(gateway.target, SECRETS) as adapter:
            await register(repository, adapter)
        async with consumer_of_v3(database, repositories) as consumer:
            send(consumer, link_down(3, 1000, 1))
            await wait_in_thread(lambda: database["SnmpEngine"].find_one({"time": 1000}))
            is_free = threading.Event()
            for _ in range(4):
                consumer.executor.submit(is_free.wait, 10)
            send(consumer, link_down(3, 1001, 2))
            asyncio.get_running_loop().call_later(0.2, is_free.set)
    assert database["SnmpEngine"].find_one()["time"] == 1001


def test_an_older_time_does_not_replace_a_newer_one_of_another_worker(database):
    records = MessageRecords(database)
    for boots, seconds in ((3, 100), (4, 1), (3, 900), (4, 1), (4, 2)):
        records.save([EngineRecord("default:1", ENGINE, EngineTime(boots, seconds, 1.0))])
        records.save([])
    (record,) = records.load()
    assert (record.element, record.engine_id) == ("default:1", ENGINE)
    assert record.time == EngineTime(4, 2, 1.0)


def test_digests_are_deleted_by_an_index(database):
    records = MessageRecords(database)
    records.create_indexes()
    indexes = database["SnmpMessage"].index_information().values()
    assert 900 in [index.get("expireAfterSeconds") for index in indexes]
    assert (records.claim("a"), records.claim("a"), records.claim("b")) == (True, False, True)
