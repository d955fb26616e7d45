"""Notifications: decoding, authentication, and resistance to invalid datagrams."""

import asyncio
import hashlib
import hmac
import json
import select
import socket
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import condition_types
from adapters.errors import Misconfigured
from adapters.snmp import mib
from adapters.snmp.simulator import SimulatedGateway
from adapters.snmp.traps import NotificationSender, SenderRegistry, TrapLimits, TrapReceiver
from adapters.snmp.wire import ber, message, usm
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Pdu, Variable
from adapters.snmp.wire.usm import CFB, NotAuthentic
from tests.support.notification_messages import (
    SECRET,
    SOURCE,
    link_down,
    v1,
    v2c,
    wait_for_count,
)
from tests.support.paths import CAPTURES as CAPTURES_DIR

pytestmark = pytest.mark.anyio
CAPTURES = sorted((CAPTURES_DIR / "snmp").glob("*/*.json"))


@pytest.fixture
def senders():
    senders = SenderRegistry()
    senders.register("gw", SOURCE, {"community": "public"})
    senders.register("gw3", SOURCE, SECRET)
    return senders


def v3(secret=SECRET, *, boots=3, seconds=1000, flags=3, engine=b"\x80\x00\x1f\x88\x80engine"):
    """Return a v3 trap, encoded by this test itself as in RFC 3414."""
    user = usm.User.from_secret(secret)
    auth_key, priv_key = user.localized_keys(engine)
    pdu = message.encode_community_message(0, b"", link_down())
    pdu = pdu[pdu.index(bytes((message.TRAP,))) :]
    scoped = ber.encode_tlv(
        ber.SEQUENCE, ber.encode_tlv(ber.OCTETS, engine) + ber.encode_tlv(ber.OCTETS, b"") + pdu
    )
    salt = b"8 octets"
    if flags & usm.PRIV_FLAG:
        vector = struct.pack(">II", boots, seconds) + salt
        encryptor = Cipher(algorithms.AES(priv_key), CFB(vector)).encryptor()
        scoped = ber.encode_tlv(ber.OCTETS, encryptor.update(scoped) + encryptor.finalize())

    def encode(auth_code):
        parameters = (
            ber.encode_tlv(ber.OCTETS, engine)
            + ber.encode_integer(boots)
            + ber.encode_integer(seconds)
            + ber.encode_tlv(ber.OCTETS, secret["user"].encode())
            + ber.encode_tlv(ber.OCTETS, auth_code)
            + ber.encode_tlv(ber.OCTETS, salt)
        )
        header = (
            ber.encode_integer(1)
            + ber.encode_integer(65507)
            + ber.encode_tlv(ber.OCTETS, bytes((flags,)))
            + ber.encode_integer(usm.USM_SECURITY_MODEL)
        )
        return ber.encode_tlv(
            ber.SEQUENCE,
            ber.encode_integer(message.V3)
            + ber.encode_tlv(ber.SEQUENCE, header)
            + ber.encode_tlv(ber.OCTETS, ber.encode_tlv(ber.SEQUENCE, parameters))
            + scoped,
        )

    unsigned = encode(bytes(user.auth_code_length))
    digest = hmac.digest(auth_key, unsigned, user.hash_name)
    return encode(digest[: user.auth_code_length])


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_a_captured_notification_of_net_snmp_is_decoded(file):
    capture = json.loads(file.read_text())
    senders = SenderRegistry()
    senders.register("gw", SOURCE, capture["secret"])
    notification = senders.decode(bytes.fromhex(capture["datagram"]), SOURCE)
    variables = {
        oid: value.decode("latin-1") if isinstance(value, bytes) else value
        for oid, value in notification.variables.items()
    }
    expected = capture["expected"]
    assert variables == expected.pop("variables")
    assert {name: getattr(notification, name) for name in expected} == expected


def test_a_v2c_trap_is_decoded(senders):
    trap = senders.decode(v2c(), SOURCE)
    assert (trap.element, trap.trap, trap.uptime) == ("gw", condition_types.LINK_DOWN, 42.42)
    assert trap.variables == {f"{mib.IF_INDEX}.3": 3, f"{mib.IF_DESCR}.3": b"sub1"}
    assert (trap.sender, trap.inform, trap.boots) == ("public", False, None)


@pytest.mark.parametrize(
    ("generic", "specific", "trap"),
    [
        (2, 0, condition_types.LINK_DOWN),
        (0, 0, condition_types.COLD_START),
        (6, 17, "1.3.6.1.4.1.8072.3.2.10.0.17"),
    ],
)
def test_a_v1_trap_has_the_object_identifier_of_version_2(senders, generic, specific, trap):
    notification = senders.decode(v1(generic, specific), SOURCE)
    assert (notification.trap, notification.uptime) == (trap, 1.0)
    assert notification.variables == {f"{mib.IF_INDEX}.3": 3}


@pytest.mark.parametrize("auth", ["SHA", "SHA-256"])
def test_a_v3_trap_is_decrypted(auth):
    secret = SECRET | {"auth": auth}
    senders = SenderRegistry()
    senders.register("gw3", SOURCE, secret)
    trap = senders.decode(v3(secret), SOURCE)
    assert (trap.element, trap.trap, trap.boots) == ("gw3", condition_types.LINK_DOWN, 3)


def test_the_key_of_a_password_is_that_of_the_standard():
    key = usm.password_key("maplesyrup", "sha1")  # RFC 3414 section A.3.2
    assert key.hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    engine = bytes.fromhex("000000000000000000000002")
    localized_key = hashlib.sha1(key + engine + key).hexdigest()  # noqa: S324
    assert localized_key == "6695febc9288e36282235fc7151f128497b38f3f"


@pytest.mark.parametrize(
    ("octets", "source", "reason"),
    [
        (v2c(), "192.0.2.9", "not from an element"),
        (v2c(community=b"Public"), SOURCE, "wrong community"),
        (v2c(community=b""), SOURCE, "wrong community"),
        (v3(SECRET | {"user": "stranger"}), SOURCE, "unknown user"),
        (v3(SECRET | {"auth_password": "another word"}), SOURCE, "wrong authentication code"),
        (v3(SECRET | {"auth": "SHA-256"}), SOURCE, "wrong authentication code"),
        (v3(flags=1), SOURCE, "not protected"),
        (v3(flags=0), SOURCE, "not protected"),
    ],
)
def test_a_notification_that_is_not_authentic_is_refused(senders, octets, source, reason):
    with pytest.raises(NotAuthentic, match=reason):
        senders.decode(octets, source)


def test_a_v3_trap_with_a_changed_octet_is_refused(senders):
    octets = bytearray(v3())
    octets[-1] ^= 1
    with pytest.raises(NotAuthentic, match="wrong authentication code"):
        senders.decode(bytes(octets), SOURCE)


def test_a_replayed_v3_trap_is_refused(senders):
    old = v3(boots=3, seconds=100)
    assert senders.decode(old, SOURCE).boots == 3
    assert senders.decode(v3(boots=3, seconds=200), SOURCE).boots == 3
    assert senders.decode(old, SOURCE).boots == 3  # delayed, but within the time window
    senders.decode(v3(boots=4, seconds=1), SOURCE)
    with pytest.raises(NotAuthentic, match="replayed"):
        senders.decode(old, SOURCE)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_newest_message_is_refused_too_when_it_is_old(senders):
    clock = senders._times_of("gw3").clock = Clock()
    newest = v3(boots=3, seconds=100)
    senders.decode(newest, SOURCE)
    clock.now += usm.TIME_WINDOW - 1
    senders.decode(newest, SOURCE)
    clock.now += 5
    with pytest.raises(NotAuthentic, match="replayed"):
        senders.decode(newest, SOURCE)
    senders.decode(v3(boots=3, seconds=254), SOURCE)


def test_a_slow_clock_of_an_engine_is_tolerated(senders):
    clock = senders._times_of("gw3").clock = Clock()
    senders.decode(v3(boots=3, seconds=0), SOURCE)
    month = 30 * 86_400
    clock.now += month
    senders.decode(v3(boots=3, seconds=int(month * 0.9995)), SOURCE)


def test_an_engine_that_has_started_too_often_is_refused(senders):
    with pytest.raises(NotAuthentic):
        senders.decode(v3(boots=2**31 - 1), SOURCE)


def test_times_outlive_the_receiver_and_a_change_of_credentials(senders):
    old = v3(boots=3, seconds=100)
    senders.decode(old, SOURCE)
    senders.decode(v3(boots=4, seconds=1), SOURCE)
    (record,) = senders.take_changed_times()
    assert (record.element, record.time[:2]) == ("gw3", (4, 1))
    assert senders.take_changed_times() == []
    senders.register("gw3", SOURCE, SECRET)
    restarted = SenderRegistry()
    restarted.register("gw3", SOURCE, SECRET)
    restarted.restore_times([record])
    for registry in (senders, restarted):
        with pytest.raises(NotAuthentic, match="replayed"):
            registry.decode(old, SOURCE)
        assert registry.decode(v3(boots=4, seconds=2), SOURCE).boots == 4


def test_an_element_cannot_spoil_the_times_of_another(senders):
    other = SECRET | {"user": "other"}
    senders.register("foreign", SOURCE, other)
    senders.decode(v3(other, boots=2**31 - 2), SOURCE)
    assert senders.decode(v3(boots=3), SOURCE).boots == 3


def test_notifications_of_an_unregistered_element_are_refused(senders):
    senders.unregister("gw")
    with pytest.raises(NotAuthentic):
        senders.decode(v2c(), SOURCE)


@pytest.mark.parametrize("secret", [{}, {"user": "x"}, SECRET | {"auth": "MD5"}])
def test_a_sender_needs_usable_credentials(secret):
    with pytest.raises(Misconfigured):
        SenderRegistry().register("gw", SOURCE, secret)


@pytest.mark.parametrize(
    "pdu",
    [
        Pdu(message.TRAP, 1),
        Pdu(message.GET, 1, variables=link_down().variables),
        Pdu(message.TRAP, 1, variables=link_down().variables[1:]),
        Pdu(
            message.TRAP,
            1,
            variables=(
                Variable(mib.SYS_UP_TIME, ber.OCTETS, b"x"),
                Variable(mib.SNMP_TRAP_OID, ber.OID, condition_types.LINK_DOWN),
            ),
        ),
    ],
)
def test_a_pdu_that_is_no_notification_is_malformed(senders, pdu):
    with pytest.raises(Malformed):
        senders.decode(v2c(pdu), SOURCE)


DATAGRAMS = [v2c(), v2c(link_down(message.INFORM)), v1(2, 0), v3()]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_octets_raise_malformed_or_not_authentic(octets):
    senders = SenderRegistry()
    senders.register("gw", SOURCE, {"community": "public"})
    with pytest.raises((Malformed, NotAuthentic)):
        senders.decode(octets, SOURCE)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(DATAGRAMS), st.data())
def test_damaged_notifications_raise_malformed_or_not_authentic(datagram, data):
    octets = bytearray(datagram)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = octets[: data.draw(st.integers(0, len(octets)))]
    senders = SenderRegistry()
    senders.register("gw", SOURCE, {"community": "public"})
    senders._senders_by_address[SOURCE]["gw3"] = NotificationSender("gw3", user=USER)
    try:
        notification = senders.decode(bytes(octets), SOURCE)
    except (Malformed, NotAuthentic):
        return
    assert notification.element in {"gw", "gw3"}


USER = usm.User.from_secret(SECRET)


@pytest.fixture
async def receiver(anyio_backend, senders):
    async with TrapReceiver(senders, SOURCE, 0, queue_size=3) as receiver:
        yield receiver


@pytest.fixture
def element_socket(receiver):
    """The socket of an element, connected to the receiver."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as element_socket:
        element_socket.connect(receiver.address)
        element_socket.settimeout(10)
        yield element_socket


def assert_nothing_received(element_socket):
    """Check that no datagram has arrived; on loopback it arrives as soon as it is sent."""
    readable, _, _ = select.select([element_socket], [], [], 0)
    assert readable == []


async def test_the_receiver_counts_the_datagrams_that_it_drops(receiver, element_socket):
    for octets in (v2c(), b"", b"\x30", v2c(community=b"no"), *[v2c()] * 3):
        element_socket.send(octets)
    for _ in range(3000):
        if receiver.counts.total() == 7:
            break
        await asyncio.sleep(0.01)
    assert receiver.counts == {"received": 3, "malformed": 2, "refused": 1, "overflowed": 1}
    assert (await receiver.receive()).notification.element == "gw"


async def test_datagrams_are_limited_in_size_and_rate(anyio_backend, senders):
    limits = TrapLimits(size=500, rate=0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as element_socket:
        async with TrapReceiver(senders, SOURCE, 0, limits=limits) as receiver:
            more = Variable("1.3.6.1.9", ber.OCTETS, b"x" * 500)
            for octets in (v2c(link_down(message.TRAP, more)), *[v2c()] * 8):
                element_socket.sendto(octets, receiver.address)
            await wait_for_count(receiver, 9)
            assert receiver.counts == {"oversized": 1, "received": 5, "limited": 3}


async def test_a_flood_of_strangers_takes_no_tokens(anyio_backend, senders):
    async with TrapReceiver(senders, SOURCE, 0, limits=TrapLimits(rate=1.0)) as receiver:
        for number in range(50):
            receiver.datagram_received(v2c(), (f"192.0.2.{number}", 1))
        assert receiver.counts == {"refused": 50}
        assert receiver._buckets == {}


async def test_an_inform_is_answered_when_it_is_acknowledged(receiver, element_socket):
    element_socket.send(v2c(link_down(message.INFORM)))
    received = await receiver.receive()
    assert received.notification.inform
    assert_nothing_received(element_socket)
    received.acknowledge()
    _, _, response = message.decode_community_message(element_socket.recv(4096))
    assert (response.tag, response.request_id) == (message.RESPONSE, 7)
    assert response.variables == link_down().variables


async def test_a_trap_is_not_answered(receiver, element_socket):
    element_socket.send(v2c())
    (await receiver.receive()).acknowledge()
    assert_nothing_received(element_socket)


async def test_the_simulated_gateway_reports_its_faults(receiver):
    receiver.senders.register("gw-sim", SOURCE, {"community": "simulated"})
    async with SimulatedGateway(trap_address=receiver.address) as gateway:
        gateway.cut_link("sub1")
        gateway.restore_link("sub1")
        traps = [(await receiver.receive()).notification for _ in range(3)]
    assert [trap.trap for trap in traps] == [
        condition_types.COLD_START,
        condition_types.LINK_DOWN,
        condition_types.LINK_UP,
    ]
    assert {trap.element for trap in traps} == {"gw-sim"}
    assert traps[1].variables[f"{mib.IF_DESCR}.3"] == b"sub1"
