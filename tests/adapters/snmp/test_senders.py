"""The addresses that notifications come from, and what is logged of those that are refused."""

import asyncio
import logging
import socket
from ipaddress import ip_network

import pytest

from adapters import condition_types
from adapters.snmp import origin, refusals
from adapters.snmp.traps import SenderRegistry, TrapReceiver
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.message import Variable
from adapters.snmp.wire.usm import NotAuthentic
from tests.support.notification_messages import SOURCE, link_down, v1, v2c, wait_for_count

pytestmark = pytest.mark.anyio
RELAY, ELEMENT = "198.51.100.9", "192.0.2.1"  # v1() has the latter as its agent-addr


def senders_with(*relays, **addresses):
    senders = SenderRegistry(map(ip_network, relays))
    for element, address in (addresses or {"gw": ELEMENT}).items():
        senders.register(element, address, {"community": "public"})
    return senders


def forwarded(address=ELEMENT, *more, community=b"public"):
    variable = Variable(origin.SNMP_TRAP_ADDRESS, ber.IP_ADDRESS, address)
    return v2c(link_down(message.TRAP, variable, *more), community)


@pytest.mark.parametrize("octets", [forwarded(), v1(2, 0)], ids=["snmpTrapAddress", "agent-addr"])
def test_a_relay_may_name_the_address_of_an_element(octets):
    notification = senders_with("198.51.100.0/24").decode(octets, RELAY)
    assert (notification.element, notification.source) == ("gw", ELEMENT)
    assert notification.trap == condition_types.LINK_DOWN


@pytest.mark.parametrize("octets", [forwarded(), v1(2, 0)], ids=["snmpTrapAddress", "agent-addr"])
def test_nobody_else_may(octets):
    for senders in (senders_with(), senders_with("203.0.113.0/24")):
        with pytest.raises(NotAuthentic, match="not from an element"):
            senders.decode(octets, RELAY)


@pytest.mark.parametrize("octets", [forwarded(), v1(2, 0)], ids=["snmpTrapAddress", "agent-addr"])
def test_an_element_cannot_speak_for_another(octets):
    senders = senders_with(gw=ELEMENT, other=RELAY)
    assert senders.decode(octets, RELAY).element == "other"


def test_a_relay_needs_the_community_of_the_element():
    senders = senders_with("198.51.100.0/24")
    with pytest.raises(NotAuthentic, match="wrong community"):
        senders.decode(forwarded(community=b"of the relay"), RELAY)
    named = Variable(origin.SNMP_TRAP_COMMUNITY, ber.OCTETS, b"public")
    octets = forwarded(ELEMENT, named, community=b"of the relay")
    assert senders.decode(octets, RELAY).element == "gw"


def test_a_relay_that_names_no_element_is_refused():
    senders = senders_with("198.51.100.0/24")
    for octets in (forwarded("192.0.2.77"), v2c()):
        with pytest.raises(NotAuthentic):
            senders.decode(octets, RELAY)


def test_a_relay_that_is_an_element_sends_its_own_notifications():
    senders = senders_with("198.51.100.0/24", gw=ELEMENT, relay=RELAY)
    assert senders.decode(v2c(), RELAY).element == "relay"
    assert senders.decode(forwarded("0.0.0.0"), RELAY).element == "relay"  # noqa: S104
    assert senders.decode(forwarded(), RELAY).element == "gw"


def test_an_element_may_have_further_addresses():
    senders = SenderRegistry()
    senders.register("gw", ELEMENT, {"community": "public"}, ["2001:DB8::1", "192.0.2.2"])
    senders.register("other", "192.0.2.2", {"community": "public"})
    sources = (ELEMENT, "2001:db8::1", "::ffff:192.0.2.1", "192.0.2.2")
    assert [senders.decode(v2c(), source).element for source in sources] == [
        "gw", "gw", "gw", "other"
    ]  # fmt: skip
    senders.unregister("gw")
    with pytest.raises(NotAuthentic):
        senders.decode(v2c(), "2001:db8::1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("no address", "no address"),
    ],
)
def test_an_address_has_one_form(text, address):
    assert origin.normalized_address(text) == address


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_the_ipv6_wildcard_takes_both_families(anyio_backend, family, host):
    senders = senders_with(gw=host)
    async with TrapReceiver(senders, "::", 0) as receiver:
        with socket.socket(family, socket.SOCK_DGRAM) as element:
            element.settimeout(10)
            element.sendto(v2c(link_down(message.INFORM)), (host, receiver.address[1]))
            received = await receiver.receive()
            assert received.notification.source == host
            received.acknowledge()
            assert await asyncio.to_thread(element.recv, 4096)


def logged(caplog):
    return [
        (record.source, record.outcome, record.reason)
        for record in caplog.records
        if record.message == "notifications dropped"
    ]


async def test_a_refusal_is_logged_once_for_each_source_and_reason(anyio_backend, caplog):
    caplog.set_level(logging.WARNING)
    async with TrapReceiver(senders_with(gw=SOURCE), SOURCE, 0) as receiver:
        for _ in range(3):
            receiver.datagram_received(v2c(), (ELEMENT, 1))
            receiver.datagram_received(v2c(community=b"no"), (SOURCE, 1))
            receiver.datagram_received(b"\x30", (SOURCE, 1))
        receiver.datagram_received(b"\x31\x00", (SOURCE, 1))
    assert logged(caplog) == [
        (ELEMENT, "refused", "not from an element"),
        (SOURCE, "refused", "wrong community"),
        (SOURCE, "malformed", "not an SNMP notification"),
    ]
    assert receiver.counts == {"refused": 6, "malformed": 4}
    assert receiver.reasons["refused", "wrong community"] == 3


async def test_forged_sources_fill_neither_memory_nor_log(anyio_backend, caplog, monkeypatch):
    monkeypatch.setattr(refusals, "CAPACITY", 5)
    caplog.set_level(logging.WARNING)
    log = refusals.RefusalLog()
    for number in range(100):
        log.add(f"192.0.2.{number}", "refused", "not from an element")
    assert len(logged(caplog)) == 5
    assert caplog.messages[5:] == ["notifications of further sources are dropped and only counted"]
    assert len(log._logged) == 6
    log.interval_start -= refusals.INTERVAL
    log.add("192.0.2.1", "refused", "not from an element")
    assert len(logged(caplog)) == 6


async def test_each_datagram_is_counted(anyio_backend):
    async with TrapReceiver(senders_with(gw=SOURCE), SOURCE, 0) as receiver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as element:
            for octets in (v2c(), b"x", v2c(community=b"no")):
                element.sendto(octets, receiver.address)
            await wait_for_count(receiver, 3)
    assert sum(receiver.reasons.values()) == receiver.counts.total() == 3
