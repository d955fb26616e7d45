"""The SNMP client against agents that answer badly: nothing but an answer counts as one."""

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
GOOD = {"community": "c"}
SECRET = {
    "user": "tmf",
    "auth": "SHA-256",
    "auth_password": "maplesyrup",
    "priv": "AES",
    "priv_password": "pancakes",
}


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


class Agent(asyncio.DatagramProtocol):
    """Answers a request with whatever ``reply`` makes of it."""

    def __init__(self, reply):
        self.reply, self.asked = reply, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, source):
        self.asked += 1
        for answer in self.reply(octets):
            self.transport.sendto(answer, source)


@asynccontextmanager
async def agent(reply, secret=GOOD, wait=0.15, retries=0):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Agent(reply), local_addr=("127.0.0.1", 0)
    )
    endpoint = transport.get_extra_info("sockname")[:2]
    try:
        async with Session("gw", endpoint, Secret(secret), RetryPolicy(wait, retries)) as session:
            yield session, protocol
    finally:
        transport.close()
        await asyncio.sleep(0)


def answer(octets, value=1, community=b"c", shift=0, **changes):
    _, _, request = message.decode_community_message(octets)
    content = replace(
        request,
        tag=message.RESPONSE,
        request_id=request.request_id + shift,
        error_status=0,
        error_index=0,
        variables=tuple(Variable(one.oid, ber.INTEGER, value) for one in request.variables),
    )
    return message.encode_community_message(message.V2C, community, replace(content, **changes))


@pytest.mark.parametrize(
    "reply",
    [
        lambda octets: [b"", b"\x30", b"noise" * 300],
        lambda octets: [answer(octets, community=b"other")],
        lambda octets: [answer(octets, shift=1)],
        lambda octets: [answer(octets, tag=message.GET)],
        lambda octets: [octets],
    ],
    ids=["noise", "community", "number", "kind", "echo"],
)
async def test_what_is_no_answer_does_not_count(reply):
    async with agent(reply) as (session, _):
        with pytest.raises(Unreachable, match="no answer"):
            await session.get([NAME])
    async with agent(lambda octets: [*reply(octets), answer(octets, 7)]) as (session, _):
        assert await session.get([NAME]) == {NAME: 7}


async def test_an_answer_that_comes_late_is_not_taken_for_that_of_the_next_request():
    late = []

    def reply(octets):
        late.append(answer(octets, len(late)))
        return late[-2:-1]

    async with agent(reply) as (session, _):
        with pytest.raises(Unreachable):
            await session.get([NAME])
        with pytest.raises(Unreachable):
            await session.get([NAME])


async def test_a_request_without_an_answer_is_sent_again():
    async with agent(lambda octets: [], retries=2) as (session, protocol):
        with pytest.raises(Unreachable):
            await session.get([NAME])
        assert protocol.asked == 3


async def test_an_answer_about_something_else_is_no_value():
    other = (Variable("1.3.6.9.9", ber.INTEGER, 1),)
    async with agent(lambda octets: [answer(octets, variables=other)]) as (session, _):
        assert await session.get([NAME]) == {NAME: None}
    async with agent(lambda octets: [answer(octets, variables=())]) as (session, _):
        with pytest.raises(Rejected, match="does not end"):
            await session.table([mib.IF_NAME])


@pytest.mark.parametrize(("status", "reason"), [(16, "authorizationError"), (99, "error 99")])
async def test_a_refusal_has_the_word_of_the_standard(status, reason):
    def reply(octets):
        return [answer(octets, error_status=status, error_index=1)]

    async with agent(reply) as (session, _):
        with pytest.raises(Rejected) as caught:
            await session.get([NAME])
    assert (caught.value.reason, caught.value.path) == (reason, NAME)


@pytest.mark.parametrize("order", [(1, 1, 1), (5, 3, 5, 3), (1, 2, 3)])
async def test_a_table_that_goes_in_circles_ends(order):
    rows = tuple(Variable(f"{mib.IF_NAME}.{index}", ber.INTEGER, 1) for index in order)
    async with agent(lambda octets: [answer(octets, variables=rows)]) as (session, _):
        with pytest.raises(Rejected, match="does not end"):
            await session.table([mib.IF_NAME])


async def test_no_octets_whatever_do_harm():
    chance = random.Random(1)  # noqa: S311 - not for secrets

    def reply(octets):
        changed = bytearray(answer(octets, 2))
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if chance.random() < 0.3:
            del changed[chance.randrange(1, len(changed)) :]
        return [bytes(changed)]

    async with agent(reply, wait=0.002) as (session, _):
        for _ in range(500):
            try:
                found = await session.get([NAME])
            except ElementError:
                continue
            assert set(found) == {NAME}


class Engine:
    """An agent of version 3 whose clock, identity and user can be changed."""

    def __init__(self, secret=SECRET):
        self.user, self.engine, self.boots, self.seconds = (
            User.from_secret(secret),
            b"engine-1",
            5,
            100,
        )
        self.openly = False

    def __call__(self, octets):
        found = usm.decode_header(octets)
        if found.engine_id != self.engine:
            return [self.report(found, 4)]
        if found.user_name != self.user.name:
            return [self.report(found, 3)]
        try:
            request = usm.authenticate_message(octets, found, replace(self.user, _newest_times={}))
        except NotAuthentic:
            return [self.report(found, 5)]
        if found.boots != self.boots or abs(found.engine_time - self.seconds) > usm.TIME_WINDOW:
            return [self.report(found, 2, proved=True)]
        variables = tuple(Variable(one.oid, ber.INTEGER, 7) for one in request.variables)
        content = replace(request, tag=message.RESPONSE, variables=variables)
        user = self.user.without_privacy() if self.openly else self.user
        return [self.sealed(user, found.message_id, content)]

    def sealed(self, user, number, content):
        clock = usm_request.EngineClock(self.engine, self.boots, self.seconds)
        return usm_request.encode_request(user, clock, number, content)

    def report(self, found, statistic, *, proved=False):
        oid = f"{usm_request.USM_STATS}.{statistic}.0"
        content = message.Pdu(message.REPORT, 0, variables=(Variable(oid, ber.COUNTER32, 1),))
        user = self.user.without_privacy()
        whole = self.sealed(user, found.message_id, content)
        if proved:
            return whole
        start, stop = usm.decode_header(whole).auth_code_span
        flags = whole.index(bytes((ber.OCTETS, 1, usm_request.REPORTABLE_FLAG | usm.AUTH_FLAG))) + 2
        open_ = whole[:flags] + bytes((usm_request.REPORTABLE_FLAG,)) + whole[flags + 1 : start]
        return open_ + bytes(stop - start) + whole[stop:]


async def test_a_secured_agent_is_discovered_and_believed():
    async with agent(Engine(), SECRET) as (session, protocol):
        assert await session.get([NAME]) == {NAME: 7}
        await session.get([NAME])
        assert protocol.asked == 3


async def test_a_secured_agent_is_found_again_after_a_restart():
    engine = Engine()
    async with agent(engine, SECRET) as (session, _):
        await session.get([NAME])
        engine.boots, engine.seconds = 6, 0
        assert await session.get([NAME]) == {NAME: 7}
        engine.seconds = 5000
        assert await session.get([NAME]) == {NAME: 7}
        engine.engine, engine.boots = b"engine-2", 1
        assert await session.get([NAME]) == {NAME: 7}


async def test_a_secured_agent_that_forgot_how_often_it_started_is_found_again():
    engine = Engine()
    async with agent(engine, SECRET) as (session, _):
        await session.get([NAME])
        engine.boots, engine.seconds = 1, 0
        assert await session.get([NAME]) == {NAME: 7}


async def test_an_answer_that_is_not_encrypted_as_it_should_be_does_not_count():
    engine = Engine()
    async with agent(engine, SECRET) as (session, _):
        await session.get([NAME])
        engine.openly = True
        with pytest.raises(Unreachable):
            await session.get([NAME])


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"user": "stranger"}, "unknownUserName"), ({"auth_password": "wrong pass"}, "wrongDigest")],
)
async def test_a_user_that_the_agent_does_not_know_is_told_so(change, reason):
    async with agent(Engine(), SECRET | change) as (session, _):
        with pytest.raises(Rejected, match="does not know our SNMP user") as caught:
            await session.get([NAME])
    assert caught.value.reason == reason
    assert "wrong pass" not in str(caught.value)


async def test_a_clock_that_is_never_right_is_given_up():
    engine = Engine()

    def reply(octets):
        engine.boots += 1
        return engine(octets)

    async with agent(reply, SECRET) as (session, _):
        with pytest.raises(Unreachable):
            await session.get([NAME])


@pytest.mark.parametrize("change", [{"priv": "DES"}, {"auth": "MD5"}, {"auth_password": ""}])
def test_a_secret_of_another_kind_is_misconfigured(change):
    with pytest.raises(Misconfigured) as caught:
        Session("gw", ("127.0.0.1", 161), Secret(SECRET | change), RetryPolicy())
    assert "pancakes" not in str(caught.value)


def test_a_sealed_request_opens_only_with_its_key():
    user, other = (
        User.from_secret(SECRET),
        User.from_secret(SECRET | {"auth_password": "other word"}),
    )
    content = message.Pdu(message.GET, 1, variables=(Variable(NAME),))
    whole = usm_request.encode_request(user, usm_request.EngineClock(b"engine-1", 1, 1), 1, content)
    assert NAME.encode() not in whole
    assert (
        usm.authenticate_message(whole, usm.decode_header(whole), User.from_secret(SECRET))
        .variables[0]
        .oid
        == NAME
    )
    with pytest.raises((NotAuthentic, Malformed)):
        usm.authenticate_message(whole, usm.decode_header(whole), other)
