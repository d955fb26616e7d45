"""The SNMP client against agents that misbehave: only a valid response is accepted."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters.credentials import Secret
from adapters.errors import ElementError, Misconfigured, Rejected, Unreachable
from adapters.snmp import mib
from adapters.snmp.session import RetryPolicy, Session
from adapters.snmp.wire import ber, message, usm, usm_request
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Variable
from adapters.snmp.wire.usm import NotAuthentic, User

pytestmark = pytest.mark.anyio
NAME = mib.SYS_NAME
COMMUNITY_SECRET = {"community": "c"}
SECRET = {
    "user": "tmf",
    "auth": "SHA-256",
    "auth_password": "maplesyrup",
    "priv": "AES",
    "priv_password": "pancakes",
}
#: For requests with a response, and for requests that must fail.
PATIENT, IMPATIENT = RetryPolicy(30.0, 0), RetryPolicy(0.15, 0)


class Agent(asyncio.DatagramProtocol):
    """Answers each request with the datagrams that ``reply`` returns for it."""

    def __init__(self, reply):
        self.reply, self.requests = reply, asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, source):
        self.requests.put_nowait(octets)
        for datagram in self.reply(octets):
            self.transport.sendto(datagram, source)


@asynccontextmanager
async def session_with(reply, secret=COMMUNITY_SECRET, *, retry_policy=PATIENT):
    """Yield a session and the agent that it talks to."""
    loop = asyncio.get_running_loop()
    transport, agent = await loop.create_datagram_endpoint(
        lambda: Agent(reply), local_addr=("127.0.0.1", 0)
    )
    endpoint = transport.get_extra_info("sockname")[:2]
    try:
        async with Session("gw", endpoint, Secret(secret), retry_policy) as session:
            yield session, agent
    finally:
        transport.close()
        await asyncio.sleep(0)


def response_to(octets, value=1, community=b"c", shift=0, **changes):
    _, _, request = message.decode_community_message(octets)
    pdu = replace(
        request,
        tag=message.RESPONSE,
        request_id=request.request_id + shift,
        error_status=0,
        error_index=0,
        variables=tuple(
            Variable(variable.oid, ber.INTEGER, value) for variable in request.variables
        ),
    )
    return message.encode_community_message(message.V2C, community, replace(pdu, **changes))


@pytest.mark.parametrize(
    "reply",
    [
        lambda octets: [b"", b"\x30", b"noise" * 300],
        lambda octets: [response_to(octets, community=b"other")],
        lambda octets: [response_to(octets, shift=1)],
        lambda octets: [response_to(octets, tag=message.GET)],
        lambda octets: [octets],
    ],
    ids=["noise", "community", "number", "kind", "echo"],
)
async def test_a_datagram_that_is_no_valid_response_is_dropped(reply):
    async with session_with(reply, retry_policy=IMPATIENT) as (session, _):
        with pytest.raises(Unreachable, match="no answer"):
            await session.get([NAME])

    def reply_with_response(octets):
        return [*reply(octets), response_to(octets, 7)]

    async with session_with(reply_with_response) as (session, _):
        assert await session.get([NAME]) == {NAME: 7}


async def test_a_late_response_is_not_accepted_for_the_next_request():
    responses = []

    def reply(octets):
        responses.append(response_to(octets, len(responses)))
        return responses[-2:-1]

    async with session_with(reply, retry_policy=IMPATIENT) as (session, _):
        with pytest.raises(Unreachable):
            await session.get([NAME])
        with pytest.raises(Unreachable):
            await session.get([NAME])


async def test_a_request_without_a_response_is_sent_again():
    async with session_with(lambda _: [], retry_policy=RetryPolicy(0.15, 2)) as (session, agent):
        with pytest.raises(Unreachable):
            await session.get([NAME])
        async with asyncio.timeout(10):
            requests = {await agent.requests.get() for _ in range(3)}
        assert len(requests) == 1
        assert agent.requests.empty()


async def test_a_response_about_another_variable_has_no_value():
    def reply(octets):
        return [response_to(octets, variables=(Variable("1.3.6.9.9", ber.INTEGER, 1),))]

    async with session_with(reply) as (session, _):
        assert await session.get([NAME]) == {NAME: None}
    async with session_with(lambda octets: [response_to(octets, variables=())]) as (session, _):
        with pytest.raises(Rejected, match="does not end"):
            await session.table([mib.IF_NAME])


@pytest.mark.parametrize(("status", "reason"), [(16, "authorizationError"), (99, "error 99")])
async def test_a_rejection_has_the_reason_of_the_standard(status, reason):
    def reply(octets):
        return [response_to(octets, error_status=status, error_index=1)]

    async with session_with(reply) as (session, _):
        with pytest.raises(Rejected) as caught:
            await session.get([NAME])
    assert (caught.value.reason, caught.value.path) == (reason, NAME)


@pytest.mark.parametrize("order", [(1, 1, 1), (5, 3, 5, 3), (1, 2, 3)])
async def test_reading_a_table_that_loops_ends_with_an_error(order):
    rows = tuple(Variable(f"{mib.IF_NAME}.{index}", ber.INTEGER, 1) for index in order)
    async with session_with(lambda octets: [response_to(octets, variables=rows)]) as (session, _):
        with pytest.raises(Rejected, match="does not end"):
            await session.table([mib.IF_NAME])


async def test_damaged_responses_raise_nothing_but_element_errors():
    chance = random.Random(1)  # noqa: S311 - not for secrets

    def reply(octets):
        damaged = bytearray(response_to(octets, 2))
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(1, len(damaged)) :]
        return [bytes(damaged), response_to(octets, 2)]

    async with session_with(reply) as (session, _):
        for _ in range(500):
            try:
                values = await session.get([NAME])
            except ElementError:
                continue
            assert set(values) == {NAME}


class Engine:
    """An SNMPv3 agent whose clock, identity and user can be changed."""

    def __init__(self, secret=SECRET):
        self.user, self.engine_id = User.from_secret(secret), b"engine-1"
        self.boots, self.time = 5, 100
        self.encrypts = True

    def __call__(self, octets):
        header = usm.decode_header(octets)
        if header.engine_id != self.engine_id:
            return [self.report(header, 4)]
        if header.user_name != self.user.name:
            return [self.report(header, 3)]
        self.user.forget_times()
        try:
            request = usm.authenticate_message(octets, header, self.user)
        except NotAuthentic:
            return [self.report(header, 5)]
        if header.boots != self.boots or abs(header.engine_time - self.time) > usm.TIME_WINDOW:
            return [self.report(header, 2, authenticated=True)]
        variables = tuple(Variable(variable.oid, ber.INTEGER, 7) for variable in request.variables)
        response = replace(request, tag=message.RESPONSE, variables=variables)
        user = self.user if self.encrypts else self.user.without_privacy()
        return [self.encode(user, header.message_id, response)]

    def encode(self, user, message_id, pdu):
        clock = usm_request.EngineClock(self.engine_id, self.boots, self.time)
        return usm_request.encode_request(user, clock, message_id, pdu)

    def report(self, header, statistic, *, authenticated=False):
        oid = f"{usm_request.USM_STATS}.{statistic}.0"
        pdu = message.Pdu(message.REPORT, 0, variables=(Variable(oid, ber.COUNTER32, 1),))
        octets = self.encode(self.user.without_privacy(), header.message_id, pdu)
        if authenticated:
            return octets
        start, stop = usm.decode_header(octets).auth_code_span
        auth_flags = bytes((ber.OCTETS, 1, usm_request.REPORTABLE_FLAG | usm.AUTH_FLAG))
        flags = octets.index(auth_flags) + 2
        without_flag = (
            octets[:flags] + bytes((usm_request.REPORTABLE_FLAG,)) + octets[flags + 1 : start]
        )
        return without_flag + bytes(stop - start) + octets[stop:]


async def test_a_v3_agent_is_discovered_once():
    async with session_with(Engine(), SECRET) as (session, agent):
        assert await session.get([NAME]) == {NAME: 7}
        await session.get([NAME])
        assert agent.requests.qsize() == 3


async def test_a_v3_agent_is_discovered_again_after_a_restart():
    engine = Engine()
    async with session_with(engine, SECRET) as (session, _):
        await session.get([NAME])
        engine.boots, engine.time = 6, 0
        assert await session.get([NAME]) == {NAME: 7}
        engine.time = 5000
        assert await session.get([NAME]) == {NAME: 7}
        engine.engine_id, engine.boots = b"engine-2", 1
        assert await session.get([NAME]) == {NAME: 7}


async def test_a_v3_agent_that_lost_its_boot_counter_is_discovered_again():
    engine = Engine()
    async with session_with(engine, SECRET, retry_policy=RetryPolicy(1, 0)) as (session, _):
        await session.get([NAME])
        engine.boots, engine.time = 1, 0
        assert await session.get([NAME]) == {NAME: 7}


async def test_a_response_that_is_not_encrypted_is_dropped():
    engine = Engine()
    async with session_with(engine, SECRET) as (session, _):
        await session.get([NAME])
        engine.encrypts = False
        session._client._timeouts = (IMPATIENT.timeout,)
        with pytest.raises(Unreachable):
            await session.get([NAME])


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"user": "stranger"}, "unknownUserName"), ({"auth_password": "wrong pass"}, "wrongDigest")],
)
async def test_an_unknown_user_or_password_is_rejected_with_the_reason(change, reason):
    async with session_with(Engine(), SECRET | change) as (session, _):
        with pytest.raises(Rejected, match="does not accept the SNMP user") as caught:
            await session.get([NAME])
    assert caught.value.reason == reason
    assert "wrong pass" not in str(caught.value)


async def test_an_agent_whose_clock_is_never_right_is_unreachable():
    engine = Engine()

    def reply(octets):
        engine.boots += 1
        return engine(octets)

    async with session_with(reply, SECRET) as (session, _):
        with pytest.raises(Unreachable):
            await session.get([NAME])


@pytest.mark.parametrize("change", [{"priv": "DES"}, {"auth": "MD5"}, {"auth_password": ""}])
def test_a_secret_with_unsupported_protocols_or_no_password_is_misconfigured(change):
    with pytest.raises(Misconfigured) as caught:
        Session("gw", ("127.0.0.1", 161), Secret(SECRET | change), RetryPolicy())
    assert "pancakes" not in str(caught.value)


def test_an_encrypted_request_is_decrypted_with_its_key_only():
    user = User.from_secret(SECRET)
    clock = usm_request.EngineClock(b"engine-1", 1, 1)
    pdu = message.Pdu(message.GET, 1, variables=(Variable(NAME),))
    octets = usm_request.encode_request(user, clock, 1, pdu)
    assert ber.encode_object_id(NAME) not in octets
    header = usm.decode_header(octets)
    decoded = usm.authenticate_message(octets, header, User.from_secret(SECRET))
    assert decoded.variables[0].oid == NAME
    stranger = User.from_secret(SECRET | {"auth_password": "other word"})
    with pytest.raises((NotAuthentic, Malformed)):
        usm.authenticate_message(octets, header, stranger)
