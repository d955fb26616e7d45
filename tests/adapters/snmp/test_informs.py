"""Informs of version 3, sent by pysnmp, and the protocols that protect them."""

import asyncio
import socket

import pytest
from pysnmp.hlapi.v3arch.asyncio import (
    ContextData,
    NotificationType,
    ObjectIdentity,
    SnmpEngine,
    UdpTransportTarget,
    send_notification,
)

from adapters import condition_types
from adapters.errors import Misconfigured
from adapters.snmp import local_engine
from adapters.snmp.auth_data import auth_data
from adapters.snmp.local_engine import LocalEngine
from adapters.snmp.traps import SenderRegistry, TrapReceiver
from adapters.snmp.wire import message, usm, usm_request
from adapters.snmp.wire.message import Pdu
from adapters.snmp.wire.privacy import PRIV_PROTOCOLS
from adapters.snmp.wire.usm import AUTH_PROTOCOLS, User
from adapters.snmp.wire.usm_request import EngineClock
from tests.support.notification_messages import SECRET, SOURCE, link_down, v2c

pytestmark = pytest.mark.anyio
ENGINE_ID = b"\x80\x00\xfd\xe7\x05receiver"
PERMITTED = {"weak_protocols": "yes"}


class Clock:
    now = 2_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def engine():
    return LocalEngine(ENGINE_ID, 1_000_000.0, Clock())


def senders_with(engine, secret=SECRET):
    senders = SenderRegistry()
    senders.local_engine = engine
    senders.register("gw3", SOURCE, secret)
    return senders


async def send_inform(secret, address, retries=3):
    """Send a linkDown by pysnmp; return its error indication, which is empty once acknowledged."""
    sender = SnmpEngine()
    try:
        indication, *_ = await send_notification(
            sender,
            auth_data(secret, "gw3"),
            await UdpTransportTarget.create(address, 10, retries),
            ContextData(contextName=b"faults"),
            "inform",
            NotificationType(ObjectIdentity(condition_types.LINK_DOWN)),
            lookupMib=False,
        )
        return str(indication or "")
    finally:
        sender.close_dispatcher()
        await asyncio.sleep(0)


@pytest.mark.parametrize("auth", AUTH_PROTOCOLS)
@pytest.mark.parametrize("priv", PRIV_PROTOCOLS)
async def test_an_inform_is_decrypted_and_acknowledged(anyio_backend, engine, auth, priv):
    secret = SECRET | PERMITTED | {"auth": auth, "priv": priv}
    async with TrapReceiver(senders_with(engine, secret), SOURCE, 0) as receiver:
        sending = asyncio.create_task(send_inform(secret, receiver.address))
        received = await receiver.receive()
        inform = received.notification
        assert (inform.trap, inform.inform, inform.element) == (
            condition_types.LINK_DOWN, True, "gw3"
        )  # fmt: skip
        assert not sending.done()
        received.acknowledge()
        assert not await sending
    assert receiver.counts["refused"] == receiver.counts["malformed"] == 0


async def test_an_inform_without_encryption_is_acknowledged(anyio_backend, engine):
    secret = {name: SECRET[name] for name in ("user", "auth", "auth_password")}
    async with TrapReceiver(senders_with(engine, secret), SOURCE, 0) as receiver:
        sending = asyncio.create_task(send_inform(secret, receiver.address))
        (await receiver.receive()).acknowledge()
        assert not await sending


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user": "stranger"}, "unknown user"),
        ({"auth_password": "another word"}, "wrong authentication code"),
    ],
)
async def test_an_inform_of_a_stranger_is_refused_with_a_report(
    anyio_backend, engine, change, reason
):
    async with TrapReceiver(senders_with(engine), SOURCE, 0) as receiver:
        assert await send_inform(SECRET | change, receiver.address, retries=0)
        assert receiver.reasons["refused", reason] == 1
        assert receiver.counts["received"] == 0


def inform_of(engine, seconds, *, boots=local_engine.BOOTS, engine_id=None):
    clock = EngineClock(engine_id or engine.engine_id, boots, seconds)
    pdu = link_down(message.INFORM)
    return usm_request.encode_request(User.from_secret(SECRET), clock, 7, pdu)


@pytest.mark.parametrize(
    ("difference", "boots", "is_accepted"),
    [
        (0, 1, True),
        (150, 1, True),
        (-150, 1, True),
        (-151, 1, False),
        (151, 1, False),
        (0, 2, False),
    ],
)
def test_an_inform_counts_within_the_time_window(engine, difference, boots, is_accepted):
    senders, octets = senders_with(engine), inform_of(engine, 1_000_000 + difference, boots=boots)
    if is_accepted:
        assert senders.decode(octets, SOURCE).inform
        return
    with pytest.raises(local_engine.Reportable) as refusal:
        senders.decode(octets, SOURCE)
    header = usm.decode_header(refusal.value.report)
    assert (header.boots, header.engine_time) == (local_engine.BOOTS, 1_000_000)
    reporter = User.from_secret(SECRET).without_privacy()
    report = usm.authenticate_message(refusal.value.report, header, reporter)
    assert report.tag == message.REPORT
    assert report.variables[0].oid == local_engine.NOT_IN_TIME_WINDOW


def test_an_inform_for_another_receiver_is_told_the_engine(engine):
    other = inform_of(engine, 5, engine_id=b"\x80\x00\x00\x00\x05another")
    with pytest.raises(local_engine.Reportable) as refusal:
        senders_with(engine).decode(other, SOURCE)
    header = usm.decode_header(refusal.value.report)
    report = usm.decode_plain_pdu(refusal.value.report, header)
    assert (header.engine_id, report.variables[0].oid) == (
        ENGINE_ID, local_engine.UNKNOWN_ENGINE
    )  # fmt: skip


async def test_nobody_else_is_told_the_engine(anyio_backend, engine):
    """A report would let strangers use the receiver to send datagrams to others."""
    senders = senders_with(engine)
    senders.unregister("gw3")
    async with TrapReceiver(senders, SOURCE, 0) as receiver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((SOURCE, 0))
            stranger.settimeout(0)
            receiver.datagram_received(usm_request.encode_discovery(1), stranger.getsockname())
            with pytest.raises(BlockingIOError):
                stranger.recv(4096)
    assert receiver.reasons == {("refused", "not from an element"): 1}


@pytest.mark.parametrize(
    "change", [{"auth": "MD5"}, {"priv": "DES"}, {"auth": "MD5", "priv": "DES"}]
)
def test_weak_protocols_need_a_choice(change):
    with pytest.raises(Misconfigured, match="weak_protocols"):
        SenderRegistry().register("gw", SOURCE, SECRET | change)
    with pytest.raises(Misconfigured, match="weak_protocols"):
        SenderRegistry().register("gw", SOURCE, SECRET | change | {"weak_protocols": "no"})
    SenderRegistry().register("gw", SOURCE, SECRET | change | PERMITTED)


def test_a_response_for_an_inform_is_that_of_its_context(engine):
    user, octets = User.from_secret(SECRET), inform_of(engine, 1_000_000)
    opened = senders_with(engine).open(octets, SOURCE)
    response = opened.reply()
    header = usm.decode_header(response)
    assert header.message_id == 7
    assert header.flags == usm.AUTH_FLAG | usm.PRIV_FLAG
    usm.check_sender(response, header, user)
    scoped = usm.decrypted_pdu(response, header, user)
    assert (scoped.context_engine_id, scoped.context_name) == (ENGINE_ID, b"")
    expected = link_down(message.RESPONSE)
    assert isinstance(scoped.pdu, Pdu)
    assert (scoped.pdu.tag, scoped.pdu.request_id) == (expected.tag, expected.request_id)
    assert scoped.pdu.variables == expected.variables


def test_v2c_is_as_before(engine):
    senders = senders_with(engine)
    senders.register("gw", SOURCE, {"community": "public"})
    assert senders.decode(v2c(), SOURCE).element == "gw"
