"""The adapter with a real snmpd: bandwidth, faults and traps."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adapters import condition_types
from adapters.credentials import Secret
from adapters.errors import PartiallyApplied, Rejected, Unreachable
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.lab.iperf3 import measure_throughput
from adapters.lab.network import ip
from adapters.snmp.client import Client
from adapters.snmp.element import SnmpElement
from adapters.snmp.traps import SenderRegistry, TrapReceiver
from adapters.snmp.wire import usm
from adapters.testing import AdapterContract, premium, provide
from adapters.values import Intent, Target
from tests.support.waiting import wait_until
from tmf_apis.fault_management.duplicates import RecentNotifications
from tmf_apis.fault_management.rules import Effect, report_from_notification

UNAVAILABLE = lab_unavailable_reason()
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]
TRAP_PORT = 16162
SHORT_TIMEOUT = {"timeout": "2", "retries": "0"}


@pytest.fixture(scope="module")
def lab():
    with SnmpLab(trap_port=TRAP_PORT) as lab:
        yield lab


@pytest.fixture(scope="module")
async def element(lab, anyio_backend):
    async with SnmpElement(lab.target, Secret(lab.credentials["gw-lab"])) as element:
        yield element


@pytest.fixture
async def receiver(lab, anyio_backend):
    senders = SenderRegistry()
    senders.register("gw-lab", lab.network.gateway_address, lab.credentials["gw-lab"])
    async with TrapReceiver(senders, lab.server_address, TRAP_PORT) as receiver:
        yield receiver


async def wait_for(receiver, trap, seconds=20):
    async with asyncio.timeout(seconds):
        async for received in receiver:
            if received.notification.trap == trap:
                return received
    raise AssertionError


class TestRealGateway(AdapterContract):
    @pytest.fixture
    def adapter(self, element):
        return element

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")


async def test_the_inventory_has_addresses_but_no_components_or_neighbours(lab, element):
    inventory = await element.inventory()
    addresses = {port.name: port.addresses for port in inventory.ports}
    ipv4 = [address for address in addresses["sub1"] if ":" not in address]
    assert all(address.endswith(("/24", "/30")) for address in ipv4)
    all_addresses = [address for port in addresses.values() for address in port]
    assert any(lab.network.gateway_address in address for address in all_addresses)
    assert (inventory.components, inventory.neighbours) == ((), ())


class ForgingProxy(asyncio.DatagramProtocol):
    """A proxy of an agent that, while ``is_forging``, changes the authentication of responses."""

    def __init__(self, agent):
        self.agent, self.is_forging, self.transports = agent, False, {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, source):
        self.task = asyncio.ensure_future(self.forward(octets, source))

    async def forward(self, octets, source):
        loop, proxy = asyncio.get_running_loop(), self

        class AgentSide(asyncio.DatagramProtocol):
            def datagram_received(self, response, _):
                changed = bytearray(response)
                start, stop = usm.decode_header(response).auth_code_span
                if proxy.is_forging and stop > start:
                    changed[start] ^= 1
                proxy.transport.sendto(bytes(changed), source)

        if source not in self.transports:
            self.transports[source], _ = await loop.create_datagram_endpoint(
                AgentSide, remote_addr=self.agent
            )
        self.transports[source].sendto(octets)


async def test_a_response_with_a_forged_authentication_is_ignored(lab):
    loop = asyncio.get_running_loop()
    transport, proxy = await loop.create_datagram_endpoint(
        lambda: ForgingProxy(lab.target.endpoint(161)), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    target = Target("gw-lab", f"127.0.0.1:{port}", options=SHORT_TIMEOUT)
    async with SnmpElement(target, Secret(lab.credentials["gw-lab"])) as element:
        assert (await element.probe()).name == "gw-lab"
        proxy.is_forging = True
        with pytest.raises(Unreachable):
            await element.probe()
        proxy.is_forging = False
        assert (await element.probe()).name == "gw-lab"
    for endpoint in (transport, *proxy.transports.values()):
        endpoint.close()
    await asyncio.sleep(0)


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
async def test_a_service_has_its_bandwidth(lab, element):
    intent = Intent("service-9", "sub2", {"downstream": 20_000_000, "upstream": 5_000_000})
    await provide(element, intent)
    down = await asyncio.to_thread(measure_throughput, lab, "sub2")
    up = await asyncio.to_thread(measure_throughput, lab, "sub2", upstream=True)
    await element.remove("service-9")
    assert down == pytest.approx(20e6, rel=0.25)
    assert up == pytest.approx(5e6, rel=0.25)


async def test_a_link_failure_is_a_trap_an_alarm_and_a_condition_until_it_ends(
    lab, element, receiver
):
    ports = {int(port.index): port.name for port in (await element.inventory()).ports}
    lab.cut_link("sub1")
    try:
        down = (await wait_for(receiver, condition_types.LINK_DOWN)).notification
        for _ in range(50):
            if conditions := await element.active_conditions():
                break
            await asyncio.sleep(0.2)
    finally:
        lab.restore_link("sub1")
    up = (await wait_for(receiver, condition_types.LINK_UP)).notification
    raised, cleared = report_from_notification(down, ports), report_from_notification(up, ports)
    assert (raised.effect, raised.port, raised.administratively_down) == (
        Effect.RAISE,
        "sub1",
        False,
    )
    assert (cleared.effect, cleared.key) == (Effect.CLEAR, raised.key)
    assert [condition.port for condition in conditions] == ["sub1"]
    assert (down.element, down.sender, down.boots) == ("gw-lab", "tmf", up.boots)
    assert up.uptime > down.uptime


async def test_a_port_disabled_by_a_service_raises_no_alarm(element, receiver):
    off = Intent("service-1", "sub2", {"enabled": False})
    transaction = await provide(element, off)
    down = (await wait_for(receiver, condition_types.LINK_DOWN)).notification
    await element.rollback(transaction)
    up = (await wait_for(receiver, condition_types.LINK_UP)).notification
    report = report_from_notification(down, {})
    assert (report.administratively_down, report.effect, report.port) == (
        True,
        Effect.CLEAR,
        "sub2",
    )
    assert report_from_notification(up, {}).key == report.key


async def test_a_restart_is_a_cold_start_with_one_more_boot(lab, element, receiver):
    before = await element.probe()
    await asyncio.to_thread(lab.restart)
    cold = await wait_for(receiver, condition_types.COLD_START)
    after = await element.probe()
    assert report_from_notification(cold.notification, {}).needs_resync
    assert after.boots == before.boots + 1 == cold.notification.boots
    assert after.uptime < before.uptime + 60


async def test_a_wrong_community_is_unreachable_and_causes_a_trap(lab, receiver):
    target = Target("gw-lab", lab.network.gateway_address, options=SHORT_TIMEOUT)
    async with SnmpElement(target, Secret({"community": "wrong"})) as element:
        with pytest.raises(Unreachable, match="wrong community"):
            await element.probe()
    trap = (await wait_for(receiver, condition_types.AUTHENTICATION_FAILURE)).notification
    assert report_from_notification(trap, {}).alarm_type == "securityService"


async def test_a_wrong_password_is_rejected(lab):
    secret = Secret(lab.credentials["gw-lab"] | {"auth_password": "not the password"})
    async with SnmpElement(lab.target, secret) as element:
        with pytest.raises((Rejected, Unreachable), match=r"password|no .*answer") as caught:
            await element.probe()
    assert "not the password" not in str(caught.value)


async def test_an_unknown_user_is_rejected(lab):
    secret = Secret(lab.credentials["gw-lab"] | {"user": "stranger"})
    async with SnmpElement(lab.target, secret) as element:
        with pytest.raises(Rejected, match="does not accept the SNMP user"):
            await element.probe()


async def test_a_read_only_community_cannot_change(lab):
    secret = Secret(lab.credentials["gw-lab-read"])
    async with SnmpElement(lab.target, secret) as element:
        plan = await element.plan(premium("sub1"))
        with pytest.raises(Rejected) as caught:
            await element.apply(plan)
    assert caught.value.reason in {"noAccess", "authorizationError"}


async def test_a_rate_above_the_maximum_is_rejected_with_its_reason(element):
    with pytest.raises(PartiallyApplied, match="wrongValue") as caught:
        await provide(element, Intent("service-1", "sub1", {"downstream": 20_000_000_000}))
    await element.rollback(caught.value.transaction)
    assert await element.read("service-1") is None


async def test_an_inform_is_repeated_until_it_is_acknowledged():
    with SnmpLab("gw-inform", ports=1, trap_port=TRAP_PORT, version="2c", inform=True) as lab:
        senders = SenderRegistry()
        senders.register("gw-inform", lab.network.gateway_address, lab.credentials["gw-inform"])
        async with TrapReceiver(senders, lab.server_address, TRAP_PORT) as receiver:
            lab.cut_link("sub1")
            first = await wait_for(receiver, condition_types.LINK_DOWN)
            second = await wait_for(receiver, condition_types.LINK_DOWN)
            assert first.notification.inform
            recent = RecentNotifications()
            recent.add(first.notification)
            assert recent.is_duplicate(second.notification)
            second.acknowledge()
            with pytest.raises(TimeoutError):
                await wait_for(receiver, condition_types.LINK_DOWN, 2.5)


def test_a_lab_is_removed_when_its_process_is_killed():
    code = (
        "import sys, time; from adapters.lab import SnmpLab\n"
        "lab = SnmpLab(ports=1).up(); print(lab.network.gateway, lab.network.files, flush=True)\n"
        "time.sleep(60)"
    )
    child = subprocess.Popen(  # noqa: S603
        (sys.executable, "-c", code), stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    with child:
        namespace, files = child.stdout.readline().split()
        assert namespace in ip("netns")
        os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: namespace not in ip("netns") and not Path(files).exists())


def test_a_new_lab_removes_the_namespaces_of_dead_processes():
    stale = "tmflab-4194399-1-0-gw"
    ip("netns", "add", stale)
    with SnmpLab(ports=1):
        assert stale not in ip("netns")


def test_labs_do_not_share_networks():
    with SnmpLab(ports=1) as first, SnmpLab(ports=1) as second:
        assert first.server_address != second.server_address
        gateways = (first.network.gateway, second.network.gateway)
        assert gateways[0] != gateways[1]
    assert not [gateway for gateway in gateways if gateway in ip("netns")]


async def requests_of_a_service(lab, index, monkeypatch):
    """Return the object identifiers of the requests that set up and remove a service."""
    requests, request = [], Client.request

    async def counted_request(self, tag, variables, **options):
        requests.append((tag, variables[0].oid))
        return await request(self, tag, variables, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "request", counted_request)
        async with SnmpElement(lab.target, Secret(lab.credentials["gw-lab"])) as element:
            intent = replace(premium("sub1"), is_new=True, port_index=index)
            await provide(element, intent)
            assert (await element.verify(intent)).good
            await provide(element, Intent("service-1", "sub1", present=False, port_index=index))
    return requests


async def test_the_requests_of_a_service_do_not_grow_with_the_ports(lab, element, monkeypatch):
    (index,) = [port.index for port in (await element.inventory()).ports if port.name == "sub1"]
    small = await requests_of_a_service(lab, index, monkeypatch)
    numbers = range(100, 600)
    links = [f"link add sub{number} type veth peer name far{number}" for number in numbers]
    ip(namespace=lab.network.gateway, batch=links)
    try:
        large = await requests_of_a_service(lab, index, monkeypatch)
    finally:
        links = [f"link del sub{number}" for number in numbers]
        ip(namespace=lab.network.gateway, batch=links)
    assert large == small
