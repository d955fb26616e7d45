"""The adapter with a real OsmoHLR: subscribers, measurements over GSUP, and failures."""

import asyncio
import json
import signal
from contextlib import suppress
from dataclasses import asdict

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    PartiallyApplied,
    Unreachable,
)
from adapters.lab.hlr import HlrLab, hlr_unavailable_reason
from adapters.osmo_hlr import OsmoHlr, gsup
from adapters.osmo_hlr.keys import SimKeys
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target
from tests.support.tcp_server import tcp_server

IMSI, OTHER_IMSI, UNKNOWN_IMSI = "901700000000001", "901700000000002", "901700000000099"
SERVICE = {"msisdn": "491700000001", "circuitSwitched": True, "packetSwitched": True}
SUBSCRIBER = Intent("service-1", IMSI, SERVICE)
BARRED = Intent("service-1", IMSI, {**SERVICE, "enabled": False})
GONE = Intent("service-1", IMSI, present=False)
needs_hlr = pytest.mark.skipif(
    hlr_unavailable_reason() is not None, reason=str(hlr_unavailable_reason())
)
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def lab():
    with HlrLab(imsis=(IMSI, OTHER_IMSI)) as lab:
        yield lab


@pytest.fixture
async def hlr(lab, anyio_backend):
    async with OsmoHlr(lab.target, Secret(lab.credentials[lab.name])) as hlr:
        yield hlr
        for service in await hlr.services():
            await provide(hlr, Intent("", service.port, present=False))


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
        return (IMSI, OTHER_IMSI)


@needs_hlr
async def test_a_provisioned_subscriber_can_attach(hlr):
    await provide(hlr, SUBSCRIBER)
    verdict = await hlr.measure(SUBSCRIBER)
    assert verdict.good, verdict.difference
    assert verdict.observed == {
        "authentication": "accepted",
        "circuitSwitched": "accepted",
        "packetSwitched": "accepted",
    }


@needs_hlr
async def test_a_barred_subscriber_cannot_attach(hlr):
    await provide(hlr, SUBSCRIBER)
    await provide(hlr, BARRED)
    verdict = await hlr.measure(BARRED)
    assert verdict.good, verdict.difference
    assert verdict.observed["packetSwitched"] == "notAllowed"
    await provide(hlr, Intent("service-1", IMSI, {"enabled": True}))
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_a_data_only_subscriber_attaches_packet_switched_only(hlr):
    data = Intent("service-1", IMSI, {**SERVICE, "circuitSwitched": False, "enabled": True})
    await provide(hlr, data)
    verdict = await hlr.measure(data)
    assert verdict.good, verdict.difference
    assert verdict.observed["circuitSwitched"] == "notAllowed"
    assert not (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_a_deleted_subscriber_is_unknown_to_serving_nodes(hlr):
    await provide(hlr, SUBSCRIBER)
    removal = await provide(hlr, GONE)
    verdict = await hlr.measure(GONE)
    assert verdict.good, verdict.difference
    assert set(verdict.observed.values()) == {"unknownSubscriber"}
    assert not (await hlr.measure(SUBSCRIBER)).good
    await hlr.rollback(removal)
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_authentication_vectors_match_the_keys_of_the_card(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    words = lab.sim_keys[IMSI].split()
    async with serving_node(lab, IMSI) as node:
        answer = await node._request(gsup.SEND_AUTH_INFO, final_types=(gsup.SEND_AUTH_INFO_RESULT,))
    vector = dict(gsup._elements(dict(answer.elements)[gsup.TUPLE_IE]))
    assert vector[XRES_IE] == response(*map(bytes.fromhex, (words[2], words[4])), vector[RAND_IE])


@needs_hlr
async def test_measuring_does_not_detach_a_subscriber(hlr, lab, monkeypatch):
    await provide(hlr, SUBSCRIBER)
    monkeypatch.setattr(gsup, "NODE_NAME_PREFIX", "sgsn-")
    async with serving_node(lab, IMSI) as node:
        domain = (gsup.DOMAIN_IE, bytes((gsup.PACKET,)))
        final_types = (gsup.UPDATE_LOCATION_RESULT,)
        await node._request(gsup.UPDATE_LOCATION, domain, final_types=final_types)
        monkeypatch.undo()
        before = await hlr._register.read_attributes(IMSI)
        assert before["sgsn_number"].startswith("sgsn-")
        assert (await hlr.measure(SUBSCRIBER)).good
        after = await hlr._register.read_attributes(IMSI)
    names = ("sgsn_number", "ms_purged_ps")
    assert [after[name] for name in names] == [before[name] for name in names]


@needs_hlr
async def test_a_barred_new_subscriber_gets_its_keys_last(hlr):
    plan = await hlr.plan(BARRED)
    order = [step.attribute for step in plan.steps]
    assert order == ["subscriber", "circuitSwitched", "packetSwitched", "msisdn", "keys"]
    await hlr.apply(plan)
    assert (await hlr.verify(BARRED)).good


@needs_hlr
async def test_keys_are_not_disclosed(hlr, lab, caplog):
    caplog.set_level(0)
    plan = await hlr.plan(SUBSCRIBER)
    transaction = await hlr.apply(plan)
    values = [plan, transaction, await hlr.verify(SUBSCRIBER), await hlr.services()]
    text = f"{values} {json.dumps(asdict(plan))} {caplog.text} {lab.log}"
    assert not [word for word in lab.sim_keys[IMSI].split() if len(word) == 32 and word in text]


@needs_hlr
async def test_refused_keys_are_not_quoted(hlr, lab):
    with pytest.raises(PartiallyApplied) as caught:
        await hlr.apply(await plan_with_refused_keys(hlr))
    assert "keys" in str(caught.value)
    assert "opc" not in str(caught.value)
    await hlr.rollback(caught.value.transaction)
    assert await hlr.services() == []


async def plan_with_refused_keys(hlr):
    """Return a plan; the command for its keys will name a subscriber that does not exist."""
    plan = await hlr.plan(SUBSCRIBER)
    run = hlr._register.vty.run

    async def run_for_unknown_subscriber(command):
        hlr._register.vty.run = run
        return await run(command.replace(IMSI, UNKNOWN_IMSI))

    hlr._register.vty.run = run_for_unknown_subscriber
    return plan


@needs_hlr
async def test_a_subscriber_without_keys_is_not_created(lab):
    async with OsmoHlr(lab.target, Secret({})) as hlr:
        with pytest.raises(Misconfigured, match=f"no keys for IMSI {IMSI}"):
            await hlr.plan(SUBSCRIBER)


@needs_hlr
async def test_other_keys_are_detected_and_corrected(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    other_keys = SimKeys(f"milenage k {'5' * 32} opc {'6' * 32}")
    for command in other_keys.commands(IMSI):
        await hlr._register.vty.run(command)
    assert (await hlr.verify(SUBSCRIBER)).difference == "keys is 'other' instead of 'asked'"
    correction = await provide(hlr, SUBSCRIBER)
    assert (await hlr.verify(SUBSCRIBER)).good
    with pytest.raises(Misconfigured, match="do not have the keys"):
        await hlr.rollback(correction)


@needs_hlr
async def test_an_msisdn_in_use_is_a_conflict_that_names_its_owner(hlr):
    await provide(hlr, SUBSCRIBER)
    with pytest.raises(Conflict, match=IMSI):
        await hlr.plan(Intent("service-2", OTHER_IMSI, SERVICE))


@needs_hlr
async def test_an_msisdn_taken_after_planning_is_rolled_back(hlr):
    plan = await hlr.plan(Intent("service-2", OTHER_IMSI, SERVICE))
    await provide(hlr, SUBSCRIBER)
    with pytest.raises(PartiallyApplied, match="msisdn") as caught:
        await hlr.apply(plan)
    assert not caught.value.again
    await hlr.rollback(caught.value.transaction)
    assert [service.port for service in await hlr.services()] == [IMSI]


@needs_hlr
async def test_a_plan_continues_after_a_crash_of_the_hlr(hlr, lab):
    async with tcp_server(CrashingProxy(lab, b"msisdn").handle) as port:
        options = {"gsup": f"{lab.address}:4222", "vty": f"{lab.address}:4258", "timeout": "5"}
        target = Target("hlr-lab", f"127.0.0.1:{port}", "osmo-hlr", "hlr-lab", options)
        async with OsmoHlr(target, Secret(lab.credentials["hlr-lab"])) as crashing:
            plan = await crashing.plan(SUBSCRIBER)
            with pytest.raises(
                PartiallyApplied, match="stopped after subscriber, msisdn"
            ) as caught:
                await crashing.apply(plan)
            assert caught.value.again
            with pytest.raises(Unreachable):
                await crashing.verify(SUBSCRIBER)
    lab.start()
    assert (await hlr.apply(plan)).done == plan.steps
    assert (await hlr.verify(SUBSCRIBER)).good
    assert (await hlr.measure(SUBSCRIBER)).good


@needs_hlr
async def test_a_restart_between_two_requests_is_not_noticed(hlr, lab):
    await provide(hlr, SUBSCRIBER)
    lab.stop()
    lab.start()
    assert (await hlr.verify(SUBSCRIBER)).good
    assert (await hlr.probe()).software.startswith("OsmoHLR")
    assert len(await hlr.services()) == 1


@needs_hlr
async def test_the_answer_to_a_cancelled_request_is_not_given_to_the_next(hlr):
    await provide(hlr, SUBSCRIBER)
    for _ in range(20):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0001):
                await hlr.services()
        assert (await hlr.probe()).software.startswith("OsmoHLR")
        assert (await hlr.verify(SUBSCRIBER)).good


@needs_hlr
async def test_the_credentials_have_the_password_of_the_command_line():
    with HlrLab("hlr-closed", imsis=(IMSI,), password="open-sesame") as lab:
        async with OsmoHlr(lab.target, Secret(lab.credentials["hlr-closed"])) as hlr:
            await provide(hlr, SUBSCRIBER)
            assert (await hlr.verify(SUBSCRIBER)).good
        wrong = Secret({**lab.credentials["hlr-closed"], "vty": "wrong"})
        async with OsmoHlr(lab.target, wrong) as hlr:
            with pytest.raises(Misconfigured, match="password"):
                await hlr.probe()


RAND_IE, XRES_IE = 0x20, 0x27


def response(key, opc, challenge):
    """Return RES as the card computes it (3GPP TS 35.206, f2, with r2 = 0 and c2 = 1)."""
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    inner = cipher.update(xor(challenge, opc))
    mixed = xor(xor(inner, opc), bytes(15) + b"\1")
    return xor(cipher.update(mixed), opc)[8:]


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def serving_node(lab, imsi):
    return gsup.ServingNodeProbe((lab.address, 4222), 10, imsi)


class CrashingProxy:
    """Forwards the requests to an HLR, and kills the HLR after a SET with a certain word."""

    def __init__(self, lab, word):
        self._lab, self._word = lab, word

    async def handle(self, reader, writer):
        try:
            hlr_reader, hlr_writer = await asyncio.open_connection(self._lab.address, 4259)
        except OSError:
            return
        replies = asyncio.create_task(self._forward_replies(hlr_reader, writer))
        try:
            while octets := await reader.read(65536):
                hlr_writer.write(octets)
                if self._word in octets and b"SET" in octets:
                    await asyncio.to_thread(self._lab.stop, signal.SIGKILL)
        finally:
            hlr_writer.close()
            replies.cancel()

    async def _forward_replies(self, reader, writer):
        with suppress(OSError):
            while octets := await reader.read(65536):
                writer.write(octets)
        writer.close()
