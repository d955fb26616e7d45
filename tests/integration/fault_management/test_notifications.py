"""Notifications become alarms: duplicates, renumbered ports, and ports without a link."""

import asyncio
import itertools
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from adapters import condition_types, registry
from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulator import SimulatedGateway
from adapters.snmp.wire import ber, message, usm
from adapters.snmp.wire.message import Pdu, Variable
from adapters.snmp.wire.usm import User
from adapters.snmp.wire.usm_request import encode_request
from tests.support.notification_consumer import count_requests, running_consumer
from tests.support.waiting import wait_in_thread
from tmf_apis.engine import Engine
from tmf_apis.errors import Unavailable
from tmf_apis.fault_management import trap_consumer
from tmf_apis.fault_management.collector import NotificationsCollector
from tmf_apis.fault_management.message_records import MessageRecords
from tmf_apis.inventory.discovery_records import DiscoveryRecords
from tmf_apis.inventory.ports import SERVICE_IDENTIFIER
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation.discovery import Candidate, Discovery, register
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

pytestmark = pytest.mark.anyio

SECRETS = Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})
BGP_BACKWARD = "1.3.6.1.2.1.15.7.2"
LINK_DOWN, LINK_UP = condition_types.LINK_DOWN, condition_types.LINK_UP


@pytest.fixture
def repositories(database, tmp_path, contracts):
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    engine = Engine(settings, list(contracts.values()), database)
    return RepositoryFactory(engine.writer, "test")


@dataclass
class Element:
    """A simulated gateway in the inventory, and a socket that sends notifications in its name."""

    gateway: SimulatedGateway
    repository: object
    ports: dict
    consumer: object = None
    socket: object = None
    uptime: int = 0
    numbers: object = field(default_factory=lambda: itertools.count(1000))

    def send(self, trap, *variables, uptime=None, request_id=None, tag=message.TRAP):
        """Send a notification; ``uptime`` in hundredths of a second, None: that of the last."""
        self.uptime = self.uptime if uptime is None else uptime
        head = (
            Variable(mib.SYS_UP_TIME, ber.TIME_TICKS, self.uptime),
            Variable(mib.SNMP_TRAP_OID, ber.OID, trap),
        )
        number = next(self.numbers) if request_id is None else request_id
        pdu = Pdu(tag, number, variables=head + variables)
        octets = message.encode_community_message(message.V2C, b"simulated", pdu)
        self.socket.sendto(octets, self.consumer.address)
        return octets

    def alarms(self, **query):
        return self.repository.find("Alarm", query)

    async def alarm_of(self, trap):
        """Return the alarm of an unmapped notification, once it is there."""
        query = {"specificProblem": f"unmapped trap {trap}"}
        return (await wait_in_thread(lambda: self.alarms(**query)))[0]

    async def handled(self):
        """Wait until the element's notifications so far are handled, which are in order."""
        trap = f"1.3.6.1.4.1.64999.0.{next(self.numbers)}"
        self.send(trap)
        await self.alarm_of(trap)

    def link_alarms(self, port=None):
        alarms = self.alarms(specificProblem="linkDown")
        return [
            (alarm["externalAlarmId"].rpartition("/")[2], alarm["state"])
            for alarm in alarms
            if port in {None, alarm["externalAlarmId"].rpartition("/")[2]}
        ]


def index_of(number):
    return Variable(f"{mib.IF_INDEX}.{number}", ber.INTEGER, number)


def named(column, number, name):
    return Variable(f"{column}.{number}", ber.OCTETS, name)


@asynccontextmanager
async def registered_gateway(repositories):
    repository = repositories.for_tenant("default")
    async with SimulatedGateway() as gateway:
        async with registry.create_adapter(gateway.target, SECRETS) as adapter:
            stored = await register(repository, adapter)
        yield Element(gateway, repository, dict(stored.ports))


@asynccontextmanager
async def receiving(element, database, repositories):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.settimeout(10)
        async with running_consumer(database, repositories, SECRETS) as consumer:
            await wait_in_thread(lambda: consumer.registry.elements and consumer.address[1])
            element.consumer, element.socket = consumer, sender
            yield element


@pytest.fixture
async def element(anyio_backend, repositories, database):
    async with (
        registered_gateway(repositories) as element,
        receiving(element, database, repositories),
    ):
        await element.handled()
        yield element


async def test_events_with_the_same_uptime_are_different(element):
    for trap in (LINK_DOWN, LINK_UP, LINK_DOWN):
        element.send(trap, index_of(3), uptime=0)
    await element.handled()
    assert sorted(element.link_alarms()) == [("sub1", "cleared"), ("sub1", "raised")]


async def test_three_traps_in_one_hundredth_of_a_second_are_three(element):
    for peer in range(3):
        peer_state = Variable(f"1.3.6.1.2.1.15.3.1.2.192.0.2.{peer}", ber.INTEGER, 1)
        element.send(BGP_BACKWARD, peer_state, uptime=777)
    await element.handled()
    assert "reported 3 times" in (await element.alarm_of(BGP_BACKWARD))["alarmDetails"]


async def test_equal_traps_with_different_request_ids_are_different(element):
    for _ in range(3):
        element.send(BGP_BACKWARD, uptime=777)
    await element.handled()
    assert "reported 3 times" in (await element.alarm_of(BGP_BACKWARD))["alarmDetails"]


async def test_an_inform_that_is_sent_again_is_acknowledged_and_counts_once(element):
    for _ in range(2):
        element.send(BGP_BACKWARD, uptime=777, request_id=5, tag=message.INFORM)
        octets = await asyncio.to_thread(element.socket.recv, 4096)
        _, _, response = message.decode_community_message(octets)
        assert (response.tag, response.request_id) == (message.RESPONSE, 5)
    await element.handled()
    assert " times)" not in (await element.alarm_of(BGP_BACKWARD))["alarmDetails"]


async def test_an_element_may_give_all_its_traps_the_same_request_id(element):
    for trap in (LINK_DOWN, LINK_UP, LINK_DOWN):
        element.send(trap, index_of(3), uptime=0, request_id=0)
    await element.handled()
    assert sorted(element.link_alarms()) == [("sub1", "cleared"), ("sub1", "raised")]


@pytest.mark.parametrize("column", [mib.IF_NAME, mib.IF_DESCR])
async def test_the_name_in_a_notification_wins_over_a_remembered_index(element, column):
    element.gateway.cut_link("sub1")
    element.send(LINK_DOWN, index_of(4), named(column, 4, b"sub1"), uptime=100)
    await element.handled()
    assert element.link_alarms() == [("sub1", "raised")]


async def test_another_spelling_of_the_name_leads_to_the_port(element, monkeypatch):
    """Many elements send ifDescr ("GigabitEthernet0/1"), and ifName is another text."""
    row = element.gateway._mib_view

    def with_long_descriptions():
        view = row()
        for index, port in element.gateway.ports.items():
            oid = (*map(int, mib.IF_DESCR.split(".")), index)
            view[oid] = (ber.OCTETS, f"Ethernet {port.name}".encode())
        return view

    monkeypatch.setattr(element.gateway, "_mib_view", with_long_descriptions)
    element.gateway.restart()
    element.send(condition_types.COLD_START, uptime=1)
    await element.handled()
    element.gateway.cut_link("sub1")
    element.send(LINK_DOWN, index_of(4), named(mib.IF_DESCR, 4, b"Ethernet sub1\0"), uptime=200)
    await element.handled()
    assert element.link_alarms() == [("sub1", "raised")]


async def test_a_lower_uptime_makes_the_ports_be_read_again(element):
    element.send(LINK_DOWN, index_of(3), uptime=500_000)
    await element.handled()
    assert element.link_alarms("sub1") == [("sub1", "raised")]
    element.gateway.restart(shift=1)  # its coldStart is lost
    element.gateway.cut_link("sub1")
    element.send(LINK_DOWN, index_of(4), uptime=1_000)
    await element.handled()
    assert element.link_alarms("sub2") == []
    assert ("sub1", "raised") in element.link_alarms("sub1")


async def test_an_unknown_index_makes_the_ports_be_read_again(element):
    element.gateway.restart(shift=10)
    element.gateway.cut_link("sub2")
    element.send(LINK_DOWN, index_of(14), uptime=1_000)
    await element.handled()
    assert element.link_alarms() == [("sub2", "raised")]


async def test_a_discovery_makes_the_ports_be_read_again(element, database):
    element.send(LINK_UP, index_of(3), uptime=100)
    await element.handled()
    element.gateway.restart(shift=1)
    element.gateway.cut_link("sub1")
    discovery = Discovery(element.repository, SECRETS, on_stored=DiscoveryRecords(database).add)
    host, port = element.gateway.address
    target = DiscoveryTarget(f"{host}:{port}", is_explicit=True)
    result = await discovery.run([Candidate(target, credentials=("gw-sim",))])
    assert not result.count("unreachable")
    element.send(LINK_DOWN, index_of(4), uptime=200)
    await element.handled()
    assert element.link_alarms() == [("sub1", "raised")]


async def test_an_unknown_port_does_not_flood_the_element_with_requests(element, monkeypatch):
    monkeypatch.setattr(trap_consumer, "REREADING_RATE", 0)
    request_count = count_requests(element.gateway)
    element.send(LINK_DOWN, index_of(99), uptime=1_000)
    await element.handled()
    requests_of_one_reading = request_count()
    for _ in range(50):
        element.send(LINK_DOWN, index_of(99))
    await element.handled()
    assert element.link_alarms() == [("ifIndex 99", "raised")]
    readings = request_count() / requests_of_one_reading
    assert readings <= trap_consumer.REREADING_BURST


def give_service(element, port):
    def edit(old):
        identifier = {
            "@type": "ExternalIdentifier",
            "owner": "tmf-apis",
            "externalIdentifierType": SERVICE_IDENTIFIER,
            "id": f"service-on-{port}",
        }
        return {**old, "externalIdentifier": [identifier]}

    element.repository.change("Resource", element.ports[port], edit)


@asynccontextmanager
async def polled(repositories, database, prepare_before=lambda _: None, prepare=lambda _: None):
    """A gateway that was discovered, then changed without a notification, then polled."""
    repository = repositories.for_tenant("default")
    async with SimulatedGateway() as gateway:
        prepare_before(gateway)
        async with registry.create_adapter(gateway.target, SECRETS) as adapter:
            stored = await register(repository, adapter)
        element = Element(gateway, repository, dict(stored.ports))
        prepare(element)
        async with receiving(element, database, repositories):
            element.send(LINK_UP, index_of(99), uptime=1)  # makes sure that it is polled
            await element.handled()
            yield element


async def test_a_port_that_was_never_up_raises_no_alarm(repositories, database):
    def cut(gateway):
        for name in ("sub1", "up0"):
            gateway.port(name).cable_connected = False

    def prepare(element):
        give_service(element, "sub1")

    async with polled(repositories, database, cut, prepare) as element:
        assert element.link_alarms() == []


async def test_a_port_that_was_up_raises_an_alarm(repositories, database):
    def prepare(element):
        give_service(element, "sub1")
        for name in ("sub1", "sub2", "up0"):
            element.gateway.cut_link(name)

    async with polled(repositories, database, prepare=prepare) as element:
        assert sorted(element.link_alarms()) == [("sub1", "raised"), ("up0", "raised")]


async def test_a_port_in_service_that_lost_its_link_before_the_discovery_raises_an_alarm(
    repositories, database
):
    def cut(gateway):
        for name in ("sub1", "sub2", "up0"):
            gateway.port(name).cable_connected = False
            gateway.port(name).changed_at = 8_640_000  # a day after its start

    def prepare(element):
        give_service(element, "sub1")

    async with polled(repositories, database, cut, prepare) as element:
        assert element.link_alarms() == [("sub1", "raised")]


@pytest.mark.parametrize("state", ["testing", "unknown", "dormant", "notPresent"])
async def test_a_port_that_is_neither_up_nor_down_raises_no_alarm(repositories, database, state):
    numbers = {name: number for number, name in mib.OPER_STATES.items()}

    def prepare(element):
        give_service(element, "sub1")
        for name in ("sub1", "up0"):
            element.gateway.port(name).down_state = numbers[state]
            element.gateway.cut_link(name)

    async with polled(repositories, database, prepare=prepare) as element:
        assert element.link_alarms() == []


async def test_a_port_below_which_a_layer_is_down_raises_an_alarm(repositories, database):
    def prepare(element):
        element.gateway.port("up0").down_state = 7
        element.gateway.cut_link("up0")

    async with polled(repositories, database, prepare=prepare) as element:
        assert element.link_alarms() == [("up0", "raised")]


async def test_a_card_that_is_taken_out_leaves_the_alarm_of_its_port_open(element):
    element.send(LINK_DOWN, index_of(2), uptime=100)
    await element.handled()
    element.gateway.port("up0").down_state = 6
    element.gateway.cut_link("up0")
    element.send(condition_types.WARM_START, uptime=1)
    element.send(LINK_UP, index_of(99), uptime=2)  # waits for the poll
    await element.handled()
    assert ("up0", "raised") in element.link_alarms()


def count_of(database, outcome, reason=""):
    """Return the number of datagrams in the metric of every server."""
    for metric in NotificationsCollector(database).collect():
        for sample in metric.samples:
            if sample.labels == {"outcome": outcome, "reason": reason}:
                return sample.value
    return 0


async def test_the_datagrams_of_all_workers_are_counted(
    element, repositories, database, monkeypatch
):
    monkeypatch.setattr(trap_consumer, "REFRESH_INTERVAL", 0.1)
    reason = "not an SNMP notification"
    element.consumer.wakeup.set()
    async with running_consumer(database, repositories, SECRETS) as other:
        await wait_in_thread(lambda: other.registry.elements and other.address[1])
        for address in (element.consumer.address, other.address, other.address):
            element.socket.sendto(b"\x30", address)
        await wait_in_thread(lambda: count_of(database, "malformed", reason) == 3)
    assert count_of(database, "received") == 1


V3_SECRET = {"user": "traps", "auth": "SHA-512", "auth_password": "authpass12",
             "priv": "AES-256", "priv_password": "privpass12"}  # fmt: skip


async def test_an_inform_of_version_3_is_acknowledged_once_it_is_stored(
    element, database, monkeypatch
):
    """An inform that is not stored is sent again; one that is stored is acknowledged again."""
    consumer = element.consumer
    (key,) = consumer.registry.elements
    await wait_in_thread(lambda: consumer.registry.senders.local_engine)
    engine = consumer.registry.senders.local_engine
    consumer.registry.senders.register(key, "127.0.0.1", V3_SECRET)
    user = User.from_secret(V3_SECRET)
    variables = (
        Variable(mib.SYS_UP_TIME, ber.TIME_TICKS, 777),
        Variable(mib.SNMP_TRAP_OID, ber.OID, BGP_BACKWARD),
    )
    inform = encode_request(user, engine.now, 9, Pdu(message.INFORM, 9, variables=variables))
    write, failures = consumer.alarm_writer.write_report, [Unavailable("no database")]

    def write_report(*arguments):
        if failures:
            assert database["SnmpMessage"].count_documents({}) == 0
            raise failures.pop()
        return write(*arguments)

    monkeypatch.setattr(consumer.alarm_writer, "write_report", write_report)
    for _ in range(2):
        element.socket.sendto(inform, consumer.address)
        response = await asyncio.to_thread(element.socket.recv, 4096)
        header = usm.decode_header(response)
        usm.check_sender(response, header, user)
        assert usm.decrypted_pdu(response, header, user).pdu.tag == message.RESPONSE
        assert not failures
        assert database["SnmpMessage"].count_documents({}) == 1
        assert " times)" not in (await element.alarm_of(BGP_BACKWARD))["alarmDetails"]


def test_all_workers_have_the_same_engine(database):
    first, second = (MessageRecords(database).local_engine() for _ in range(2))
    assert (first.engine_id, first.started_at) == (second.engine_id, second.started_at)
    assert len(first.engine_id) == 17
    assert first.engine_id[0] & 0x80


async def sources_of(consumer):
    """Return the further addresses that notifications of the only element may come from."""
    senders = consumer.registry.senders
    await wait_in_thread(lambda: consumer.registry.elements)
    return [host for host in ("127.0.0.2", "127.0.0.3") if senders.is_known(host)]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [("127.0.0.2 127.0.0.3", ["127.0.0.2", "127.0.0.3"]), ("", []), ("127.0.0.2 nonsense", [])],
)
async def test_the_inventory_lists_further_addresses_of_an_element(
    anyio_backend, repositories, database, addresses, expected
):
    repository = repositories.for_tenant("default")
    async with SimulatedGateway() as gateway:
        target = replace(gateway.target, options={"trapAddresses": addresses})
        async with registry.create_adapter(target, SECRETS) as adapter:
            await register(repository, adapter)
        async with running_consumer(database, repositories, SECRETS) as consumer:
            assert await sources_of(consumer) == expected
