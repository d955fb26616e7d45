"""A real HLR: subscribers over CTRL and VTY, proved over GSUP; and what goes wrong."""

import asyncio
import json
import signal
from contextlib import suppress
from dataclasses import asdict

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from adapters import registry
from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    PartiallyApplied,
    Unreachable,
    Unsupported,
)
from adapters.lab.hlr import HlrLab, hlr_unavailable_reason
from adapters.osmo_hlr import OsmoHlr, gsup, ipa, subscriber
from adapters.osmo_hlr.ctrl import CtrlClient, CtrlError, parse_reply
from adapters.osmo_hlr.ipa import Frame, FrameDecoder
from adapters.osmo_hlr.keys import SimKeys, find_keys
from adapters.osmo_hlr.vty import (
    SubscriberRow,
    VtyClient,
    parse_subscribers,
    without_telnet_commands,
)
from adapters.streams import ConnectionFailed
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target

ONE, OTHER, STRANGER = "901700000000001", "901700000000002", "901700000000099"
SERVICE = {"msisdn": "491700000001", "circuitSwitched": True, "packetSwitched": True}
SUBSCRIBER = Intent("service-1", ONE, SERVICE)
BARRED = Intent("service-1", ONE, {**SERVICE, "enabled": False})
GONE = Intent("service-1", ONE, present=False)
needs_hlr = pytest.mark.skipif(
    hlr_unavailable_reason() is not None, reason=str(hlr_unavailable_reason())
)
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def lab():
    with HlrLab(imsis=(ONE, OTHER)) as lab:
        yield lab


@pytest.fixture
async def hlr(lab, anyio_backend):
    async with OsmoHlr(lab.target, Secret(lab.credentials[lab.name])) as hlr:
        yield hlr
        for one in await hlr.services():
            await provide(hlr, Intent("", one.port, present=False))


@needs_hlr
class TestHlr(AdapterContract):
    settings = SERVICE
    changed = {"msisdn": "491700000002", "circuitSwitched": False}  # noqa: RUF012
    wrong = {"msisdn": "49170-1"}  # noqa: RUF012
    unknown_port = "no-such-imsi"
    fixed_ports = False
    tagged = False

    @pytest.fixture
    def adapter(self, hlr):
        return hlr

    @pytest.fixture
    def ports(self):
        return (ONE, OTHER)


@needs_hlr
async def test_what_is_provided_can_attach(hlr):
    await provide(hlr, SUBSCRIBER)
    verdict = await hlr.measure(SUBSCRIBER)
    assert verdict.good, verdict.difference
    assert verdict.observed == {
        "authentication": "accepted",
        "circuitSwitched": "accepted",
        "packetSwitched": "accepted",
    }


@needs_hlr
async def test_the_barred_cannot_attach_until_they_are_freed(hlr):
    await provide(hlr, SUBSCRIBER)
    await provide(hlr, BARRED)
    verdict = await hlr.measure(BARRED)
    assert verdict.good, verdict.difference
    assert verdict.observed["packetSwitched"] == "notAllowed"
    await provide(hlr, Intent("service-1", ONE, {"enabled": True}))
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_who_may_only_use_data_attaches_to_the_packet_switched_part(hlr):
    data = Intent("service-1", ONE, {**SERVICE, "circuitSwitched": False, "enabled": True})
    await provide(hlr, data)
    verdict = await hlr.measure(data)
    assert verdict.good, verdict.difference
    assert verdict.observed["circuitSwitched"] == "notAllowed"
    assert not (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_the_deleted_are_unknown_to_serving_nodes(hlr):
    await provide(hlr, SUBSCRIBER)
    removal = await provide(hlr, GONE)
    verdict = await hlr.measure(GONE)
    assert verdict.good, verdict.difference
    assert set(verdict.observed.values()) == {"unknownSubscriber"}
    assert not (await hlr.measure(SUBSCRIBER)).good
    await hlr.rollback(removal)
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_the_keys_make_the_card_and_the_network_know_each_other(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    words = lab.sim_keys[ONE].split()
    async with node(lab, ONE) as serving:
        answer = await serving._request(
            gsup.SEND_AUTH_INFO, final_types=(gsup.SEND_AUTH_INFO_RESULT,)
        )
    vector = dict(gsup._elements(dict(answer.elements)[gsup.TUPLE_IE]))
    assert vector[XRES_IE] == response(*map(bytes.fromhex, (words[2], words[4])), vector[RAND_IE])


@needs_hlr
async def test_measuring_leaves_a_subscriber_where_it_is_attached(hlr, lab, monkeypatch):
    await provide(hlr, SUBSCRIBER)
    monkeypatch.setattr(gsup, "NODE_NAME_PREFIX", "sgsn-")
    async with node(lab, ONE) as serving:
        place = (gsup.DOMAIN_IE, bytes((gsup.PACKET,)))
        ends = (gsup.UPDATE_LOCATION_RESULT,)
        await serving._request(gsup.UPDATE_LOCATION, place, final_types=ends)
        monkeypatch.undo()
        before = await hlr._register.read_attributes(ONE)
        assert before["sgsn_number"].startswith("sgsn-")
        assert (await hlr.measure(SUBSCRIBER)).good
        after = await hlr._register.read_attributes(ONE)
    kept = ("sgsn_number", "ms_purged_ps")
    assert [after[name] for name in kept] == [before[name] for name in kept]


@needs_hlr
async def test_a_new_subscriber_who_is_barred_is_never_free_with_keys(hlr):
    plan = await hlr.plan(BARRED)
    order = [step.attribute for step in plan.steps]
    assert order == ["subscriber", "circuitSwitched", "packetSwitched", "msisdn", "keys"]
    await hlr.apply(plan)
    assert (await hlr.verify(BARRED)).good


@needs_hlr
async def test_keys_are_nowhere_to_be_read(hlr, lab, caplog):
    caplog.set_level(0)
    plan = await hlr.plan(SUBSCRIBER)
    transaction = await hlr.apply(plan)
    told = [plan, transaction, await hlr.verify(SUBSCRIBER), await hlr.services()]
    text = f"{told} {json.dumps(asdict(plan))} {caplog.text} {lab.log}"
    assert not [word for word in lab.sim_keys[ONE].split() if len(word) == 32 and word in text]


@needs_hlr
async def test_keys_that_the_hlr_refuses_are_not_quoted(hlr, lab):
    with pytest.raises(PartiallyApplied) as caught:
        await hlr.apply(await unlisted(hlr, lab))
    assert "keys" in str(caught.value)
    assert "opc" not in str(caught.value)
    await hlr.rollback(caught.value.transaction)
    assert await hlr.services() == []


async def unlisted(hlr, lab):
    """Return a plan whose subscriber somebody deletes before the keys are written."""
    plan = await hlr.plan(SUBSCRIBER)
    give = hlr._register.vty.run

    async def command(text):
        hlr._register.vty.run = give
        return await give(text.replace(ONE, STRANGER))

    hlr._register.vty.run = command
    return plan


@needs_hlr
async def test_without_keys_nobody_is_created(lab):
    async with OsmoHlr(lab.target, Secret({})) as hlr:
        with pytest.raises(Misconfigured, match=f"no keys for IMSI {ONE}"):
            await hlr.plan(SUBSCRIBER)


@needs_hlr
async def test_other_keys_are_found_and_corrected(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    other = SimKeys(f"milenage k {'5' * 32} opc {'6' * 32}").commands(ONE)
    for one in other:
        await hlr._register.vty.run(one)
    assert (await hlr.verify(SUBSCRIBER)).difference == "keys is 'other' instead of 'asked'"
    correction = await provide(hlr, SUBSCRIBER)
    assert (await hlr.verify(SUBSCRIBER)).good
    with pytest.raises(Misconfigured, match="do not have the keys"):
        await hlr.rollback(correction)


@needs_hlr
async def test_a_number_in_use_is_refused_with_its_owner(hlr):
    await provide(hlr, SUBSCRIBER)
    with pytest.raises(Conflict, match=ONE):
        await hlr.plan(Intent("service-2", OTHER, SERVICE))


@needs_hlr
async def test_a_number_lost_to_a_rival_is_rolled_back(hlr):
    plan = await hlr.plan(Intent("service-2", OTHER, SERVICE))
    await provide(hlr, SUBSCRIBER)
    with pytest.raises(PartiallyApplied, match="msisdn") as caught:
        await hlr.apply(plan)
    assert not caught.value.again
    await hlr.rollback(caught.value.transaction)
    assert [one.port for one in await hlr.services()] == [ONE]


@needs_hlr
async def test_an_hlr_that_is_killed_in_the_middle_goes_on_after_its_restart(hlr, lab):
    async with Relay(lab, b"msisdn") as relay:
        options = {"gsup": f"{lab.address}:4222", "vty": f"{lab.address}:4258", "timeout": "1"}
        target = Target("hlr-lab", relay.address, "osmo-hlr", "hlr-lab", options)
        async with OsmoHlr(target, Secret(lab.credentials["hlr-lab"])) as victim:
            plan = await victim.plan(SUBSCRIBER)
            with pytest.raises(
                PartiallyApplied, match="stopped after subscriber, msisdn"
            ) as caught:
                await victim.apply(plan)
            assert caught.value.again
            with pytest.raises(Unreachable):
                await victim.verify(SUBSCRIBER)
    lab.start()
    assert (await hlr.apply(plan)).done == plan.steps
    assert (await hlr.verify(SUBSCRIBER)).good
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_a_restart_between_two_questions_is_not_noticed(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    lab.stop()
    lab.start()
    assert (await hlr.verify(SUBSCRIBER)).good
    assert (await hlr.probe()).software.startswith("OsmoHLR")
    assert len(await hlr.services()) == 1


@needs_hlr
async def test_an_answer_that_nobody_waits_for_is_not_given_to_the_next_question(hlr):
    await provide(hlr, SUBSCRIBER)
    for _ in range(20):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0001):
                await hlr.services()
        assert (await hlr.probe()).software.startswith("OsmoHLR")
        assert (await hlr.verify(SUBSCRIBER)).good


@needs_hlr
async def test_a_command_line_with_a_password_is_opened_by_the_credentials():
    with HlrLab("hlr-closed", imsis=(ONE,), password="open-sesame") as lab:
        async with OsmoHlr(lab.target, Secret(lab.credentials["hlr-closed"])) as hlr:
            await provide(hlr, SUBSCRIBER)
            assert (await hlr.verify(SUBSCRIBER)).good
        wrong = Secret({**lab.credentials["hlr-closed"], "vty": "wrong"})
        async with OsmoHlr(lab.target, wrong) as hlr:
            with pytest.raises(Misconfigured, match="password"):
                await hlr.probe()


def test_it_is_found_by_its_name():
    assert registry.find_adapter("osmo-hlr") is OsmoHlr


@pytest.mark.parametrize(
    "noise", [b"", b"\0", b"\xff" * 70000, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\1\xfe\0" * 99]
)
async def test_what_is_no_hlr_is_unreachable_in_time(noise):
    async def answer(reader, writer):
        writer.write(noise)
        await reader.read(100)
        writer.write(noise)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        options = {"timeout": "0.3", "vty": str(port), "gsup": str(port)}
        target = Target("x", f"127.0.0.1:{port}", "osmo-hlr", "", options)
        async with OsmoHlr(target, Secret({ONE: f"xor k {'0' * 32}"})) as hlr, asyncio.timeout(5):
            for deed in (hlr.probe, hlr.services, lambda: hlr.measure(SUBSCRIBER)):
                with pytest.raises(Unreachable) as caught:
                    await deed()
                assert caught.value.element == "x"


async def test_an_hlr_that_may_not_be_asked_is_not_measured():
    async with OsmoHlr(Target("x", "127.0.0.1:1", options={"gsup": "none"}), Secret({})) as hlr:
        with pytest.raises(Unsupported) as caught:
            await hlr.measure(SUBSCRIBER)
    assert caught.value.reason == "noTestHead"


async def test_an_hlr_that_is_not_there_is_unreachable():
    async with OsmoHlr(Target("x", "127.0.0.1:1"), Secret({})) as hlr:
        with pytest.raises(Unreachable, match="cannot connect"):
            await hlr.verify(SUBSCRIBER)


@pytest.mark.parametrize(
    ("address", "options"),
    [("127.0.0.1:x", {}), ("127.0.0.1", {"vty": "h:x"}), ("127.0.0.1", {"speed": "1"})],
)
def test_what_is_wrong_with_a_target_is_said_at_once(address, options):
    with pytest.raises(Misconfigured):
        OsmoHlr(Target("x", address, "osmo-hlr", "", options), Secret({}))


@pytest.mark.parametrize("text", ["", "milenage opc", f"xor ki {'0' * 31}", "comp128v4 ki 00", ";"])
def test_keys_that_are_none_are_refused_without_being_quoted(text):
    with pytest.raises(Misconfigured, match=ONE) as caught:
        find_keys(ONE, Secret({ONE: text or " "}), "x")
    assert not text.strip(";") or text not in str(caught.value)


def test_many_cards_have_a_file(tmp_path):
    file = tmp_path / "cards"
    file.write_text(f"{OTHER} comp128v1 ki {'1' * 32}\n{ONE} milenage k {'2' * 32} op {'3' * 32}\n")
    found = find_keys(ONE, Secret({"file": str(file)}), "x")
    shown = {"aud3g.algo": "MILENAGE", "aud3g.k": "2" * 32, "aud3g.op": "3" * 32}
    assert found.are_equal_to(shown)
    assert not found.are_equal_to({**shown, "aud2g.algo": "COMP128v1", "aud2g.ki": "1" * 32})
    assert "2222" not in repr(found)
    assert find_keys(STRANGER, Secret({"file": str(file)}), "x") is None


@given(
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=9),
    st.integers(1, 99),
)
def test_frames_are_the_same_however_they_arrive(pairs, size):
    frames = [Frame(*pair) for pair in pairs]
    octets = b"".join(map(ipa.encode, frames))
    splitter, found = FrameDecoder(), []
    for at in range(0, len(octets), size):
        found += splitter.feed(octets[at : at + size])
    assert found == frames


@given(st.binary(max_size=200))
def test_no_octets_are_too_hostile_to_be_read(octets):
    FrameDecoder().feed(octets)
    gsup.decode(b"\5" + octets)
    parse_subscribers(octets.decode("latin-1"))
    without_telnet_commands(octets)
    subscriber.parse_attributes(octets.decode("latin-1"))
    try:
        parse_reply(Frame(ipa.OSMO, b"\0" + octets), 1)
    except CtrlError:
        assert octets.startswith(b"ERROR 1")


@given(st.binary(max_size=60).map(lambda octets: octets.hex()[:60]))
def test_elements_come_out_as_they_went_in(text):
    message = gsup.Message(8, ((1, text.encode()), (40, b"")))
    assert gsup.decode(gsup.encode(message)) == message


@given(
    st.lists(
        st.builds(
            SubscriberRow,
            st.integers(10**14, 10**15 - 1).map(str),
            st.sampled_from(["", "4917"]),
            st.booleans(),
            st.booleans(),
        ),
        unique_by=lambda row: row.imsi,
    )
)
def test_the_list_of_subscribers_is_read_as_it_is_printed(some):
    lines = [
        f"{number:<5}  {row.msisdn or 'none':<12}  {row.imsi:<16}   -------------    "
        f"{'CS' * row.circuit_switched}{'PS' * row.packet_switched}  "
        for number, row in enumerate(some, 1)
    ]
    assert parse_subscribers("\r\n".join(lines)) == sorted(some, key=lambda row: row.imsi)


@given(st.text(max_size=20))
async def test_nothing_that_is_not_a_number_reaches_the_hlr(text):
    ctrl = CtrlClient(("127.0.0.1", 1), 0.1)
    with pytest.raises((CtrlError, ConnectionFailed)):
        await ctrl.set("subscriber.create", f"{text} {ONE}")
    with pytest.raises(ConnectionFailed):
        await VtyClient(("127.0.0.1", 1), 0.1).run(f"{text}\n")


RAND_IE, XRES_IE = 0x20, 0x27


def response(key, opc, challenge):
    """Return RES as the card computes it (3GPP TS 35.206, f2, with r2 = 0 and c2 = 1)."""
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    inner = cipher.update(xor(challenge, opc))
    mixed = xor(xor(inner, opc), bytes(15) + b"\1")
    return xor(cipher.update(mixed), opc)[8:]


def xor(one, other):
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


def node(lab, imsi):
    return gsup.ServingNodeProbe((lab.address, 4222), 2, imsi)


class Relay:
    """Carries questions to an HLR until one has a word in it; then the HLR is killed."""

    def __init__(self, lab, word):
        self._lab, self._word = lab, word
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _carry(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        there = asyncio.open_connection(self._lab.address, 4259)
        try:
            back, forth = await there
        except OSError:
            writer.close()
            return
        self._tasks.add(asyncio.create_task(self._copy(back, writer)))
        while octets := await reader.read(65536):
            forth.write(octets)
            if self._word in octets and b"SET" in octets:
                await asyncio.to_thread(self._lab.stop, signal.SIGKILL)
        forth.close()

    async def _copy(self, reader, writer):
        try:
            while octets := await reader.read(65536):
                writer.write(octets)
        finally:
            writer.close()
