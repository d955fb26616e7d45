"""The real NETCONF gateway: netconfd in a network namespace, its commits, its bad days."""

import asyncio
import os
import re
import shutil
import signal
import statistics
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from netconf_client.error import RpcError
from netconf_client.ncclient import Manager
from netconf_client.rpc import make_rpc
from netconf_client.session import Session as Library

from adapters import base, effect
from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    NotVerified,
    Rejected,
    Unreachable,
    Unsupported,
)
from adapters.lab.netconf import NetconfLab, netconf_unavailable_reason
from adapters.netconf import NetconfElement
from adapters.netconf.faults import CONFIG_CHANGE
from adapters.netconf.transport import SshChannel
from adapters.registry import find_adapter
from adapters.snmp import mib
from adapters.testing import MBIT, AdapterContract, provide
from adapters.values import Intent

MISSING = netconf_unavailable_reason()
IPERF3 = pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]
SPACE = "urn:x-tmf-lab:access"
SLOW = Intent("service-1", "sub1", {"downstream": 20 * MBIT, "upstream": 10 * MBIT})
FAST = Intent("service-1", "sub1", {"downstream": 100 * MBIT})


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def lab():
    with NetconfLab() as lab:
        yield lab


def opened(lab, **options):
    target = replace(lab.target, options={**lab.target.options, **options})
    return NetconfElement(target, Secret(lab.credentials["nc-lab"]))


@pytest.fixture(scope="module")
async def element(lab, anyio_backend):
    async with opened(lab, patience="2") as element:
        yield element


@pytest.fixture
async def slow(element):
    """A service of 20/10 Mbit/s on sub1."""
    await provide(element, SLOW)
    yield SLOW
    await element.remove("service-1")


class TestRealNetconfGateway(AdapterContract):
    @pytest.fixture
    def adapter(self, element):
        return element

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")


class Pipe:
    """A session from the machine itself, under another name."""

    def __init__(self, lab, user):
        socket = f"--ncxserver-sockname=830@{lab.server_socket}"
        self._theirs, self._input = os.pipe()
        self._output, ours = os.pipe()
        environment = {"USER": user, "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 830", "HOME": "/"}
        self._process = os.posix_spawn(
            "/usr/sbin/netconf-subsystem",
            ["netconf-subsystem", socket],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self._theirs, 0),
                (os.POSIX_SPAWN_DUP2, ours, 1),
                (os.POSIX_SPAWN_CLOSE, self._input),
                (os.POSIX_SPAWN_CLOSE, self._output),
            ],
        )
        os.close(self._theirs)
        os.close(ours)

    def recv(self, count):
        return os.read(self._output, count)

    def sendall(self, octets):
        os.write(self._input, octets)

    def close(self):
        os.close(self._input)
        os.waitpid(self._process, 0)


NOTHING = make_rpc('<get><filter type="subtree"/></get>', "nothing")


def session_of(lab, user):
    """A session from the machine itself; requests that come with the hello are lost, so none do."""
    session = Library(Pipe(lab, user))
    with suppress(TimeoutError):
        session.send_rpc(NOTHING).result(1)
        return session
    session.send_rpc(NOTHING).result(10)
    return session


@pytest.fixture
def engineer(lab):
    """Somebody else's session."""
    session = session_of(lab, "engineer")
    yield Manager(session, timeout=10)
    session.close()


def configuration(service, body):
    base_space = "urn:ietf:params:xml:ns:netconf:base:1.0"
    return (
        f'<config xmlns="{base_space}"><services xmlns="{SPACE}">'
        f"<service><id>{service}</id>{body}</service></services></config>"
    )


def shaped(lab, port="sub1"):
    """The rate that the kernel has for a port, in Mbit/s."""
    shown = "tc class show dev $0 2>/dev/null || true"  # the one for upstream comes and goes
    said = lab.network.run(lab.network.gateway, "sh", "-c", shown, port)
    found = re.search(r"rate (\d+)Mbit", said)
    return int(found[1]) if found else 0


async def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        await asyncio.sleep(0.05)


async def test_it_is_found_by_its_name():
    assert find_adapter("netconf") is NetconfElement
    assert {base.ATOMIC, base.CONFIRMED, base.EFFECT} <= NetconfElement.capabilities


async def test_what_is_committed_is_what_the_kernel_does(lab, element, slow):
    await until(lambda: (shaped(lab), shaped(lab, "isub1")) == (20, 10))


async def test_a_confirmed_commit_is_taken_back_after_its_time_and_so_is_the_rate(
    lab, element, slow
):
    transaction = await element.apply(await element.plan(FAST), confirm_within=1)
    await until(lambda: shaped(lab) == 100)
    await until(lambda: shaped(lab) == 20)
    assert (await element.verify(SLOW)).good
    with pytest.raises(NotVerified, match="downstream is 20000000"):
        await element.confirm(transaction)
    await element.rollback(transaction)
    assert (await element.verify(SLOW)).good


def nothing_waits(engineer):
    """Whether no commit waits to be confirmed: then, and only then, anybody can have the lock."""
    engineer.lock(target="candidate")
    engineer.unlock(target="candidate")
    return True


async def test_what_one_session_committed_another_confirms(lab, element, engineer, slow):
    async with opened(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
    with pytest.raises(RpcError, match="confirmed-commit pending"):
        nothing_waits(engineer)
    await element.confirm(transaction)
    assert nothing_waits(engineer)
    assert (await element.verify(FAST)).good
    await element.confirm(transaction)
    await element.rollback(transaction)


async def test_what_one_session_committed_another_cancels(lab, element, slow):
    async with opened(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
    await element.rollback(transaction)
    assert (await element.verify(SLOW)).good


async def test_a_plan_repeated_while_it_waits_gets_more_time_and_the_same_name(element, slow):
    plan = await element.plan(FAST)
    first = await element.apply(plan, confirm_within=3)
    assert await element.apply(plan, confirm_within=30) == first
    await asyncio.sleep(4.5)
    assert (await element.verify(FAST)).good
    await element.rollback(first)


async def test_without_names_a_commit_goes_with_its_session(lab, element, slow, monkeypatch):
    monkeypatch.setattr("adapters.netconf.candidate.PERSIST", "no such capability")
    async with opened(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
        await until(lambda: shaped(lab) == 100)
    await until(lambda: shaped(lab) == 20)
    with pytest.raises(NotVerified, match="downstream"):
        await element.confirm(transaction)


async def test_without_names_a_session_confirms_what_is_its_own(
    element, engineer, slow, monkeypatch
):
    monkeypatch.setattr("adapters.netconf.candidate.PERSIST", "no such capability")
    plan = await element.plan(FAST)
    transaction = await element.apply(plan, confirm_within=30)
    assert await element.apply(plan, confirm_within=30) == transaction
    await element.confirm(transaction)
    assert nothing_waits(engineer)
    assert (await element.verify(FAST)).good
    await element.rollback(transaction)


async def test_somebody_else_who_waits_to_confirm_is_a_conflict(element, engineer):
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    engineer.commit(confirmed=True, confirm_timeout=30)
    with pytest.raises(Conflict, match="confirmed-commit pending"):
        await provide(element, SLOW)
    engineer.cancel_commit()
    assert await element.services() == []


async def test_a_candidate_that_somebody_holds_is_a_conflict_that_names_the_session(
    element, engineer
):
    plan = await element.plan(SLOW)
    engineer.lock(target="candidate")
    with pytest.raises(Conflict, match=f"held by session {engineer.session_id}") as caught:
        await element.apply(plan)
    assert caught.value.again
    engineer.unlock(target="candidate")
    await element.rollback(await element.apply(plan))


async def test_a_candidate_that_is_given_back_in_time_was_worth_the_wait(element, engineer):
    plan = await element.plan(SLOW)
    engineer.lock(target="candidate")
    waiting = asyncio.create_task(element.apply(plan))
    await asyncio.sleep(0.5)
    engineer.unlock(target="candidate")
    await element.rollback(await waiting)


async def test_what_somebody_left_in_the_candidate_is_neither_committed_nor_thrown_away(
    element, engineer
):
    plan = await element.plan(SLOW)
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    with pytest.raises(Conflict, match="discard-changes needed"):
        await element.apply(plan)
    engineer.commit()
    assert [one.service_id for one in await element.services()] == ["stray"]
    await element.remove("stray")


async def test_what_somebody_edits_while_a_commit_waits_does_not_go_along(element, engineer, slow):
    transaction = await element.apply(await element.plan(FAST), confirm_within=30)
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    await element.confirm(transaction)
    assert [one.service_id for one in await element.services()] == ["service-1"]
    await element.rollback(transaction)


async def test_a_must_that_is_not_met_is_rejected_with_path_and_app_tag(element):
    wrong = Intent("service-1", "sub1", {"downstream": 10 * MBIT, "upstream": 20 * MBIT})
    plan = await element.plan(wrong)
    with pytest.raises(Rejected, match="upstream must not be above downstream") as caught:
        await element.apply(plan)
    assert (caught.value.reason, caught.value.again) == ("too-much-upstream", False)
    assert "service-1" in caught.value.path
    assert await element.services() == []
    await element.rollback(plan.attempted)


async def test_a_value_out_of_range_is_rejected_with_its_leaf(element):
    plan = await element.plan(Intent("service-1", "sub1", {"vlan": 5000}))
    with pytest.raises(Rejected, match="not in range") as caught:
        await element.apply(plan)
    assert caught.value.reason == "not-in-range"
    assert caught.value.path.endswith("vlan")


async def test_two_services_on_one_port_are_not_unique(element, slow, monkeypatch):
    plan = await element.plan(Intent("service-2", "sub2", {}))
    monkeypatch.setattr(element, "_port_state", _of_another_port(element))
    with pytest.raises(Rejected, match="unique") as caught:
        await element.apply(replace(plan, intent=replace(plan.intent, port="sub1")))
    assert caught.value.reason == "data-not-unique"


def _of_another_port(element):
    async def state(session, name):
        return element._services.default_state("sub2")

    return state


async def test_a_text_with_markup_stays_a_text(element):
    odd = '<&">]]>]]>\u00fc'
    await provide(element, Intent(odd, "sub2", {"vlan": 7}))
    assert (await element.read(odd)).settings["vlan"] == 7
    await element.remove(odd)


@pytest.mark.parametrize("odd", ["a\x00b", "a\nb", "apostrophe ' ends netconfd 2.13"])
async def test_a_text_that_the_element_does_not_take_is_refused(element, odd):
    with pytest.raises(Rejected, match="does not take") as caught:
        await element.plan(Intent(odd, "sub2"))
    assert caught.value.reason == "wrongValue"


async def test_an_ok_that_did_nothing_is_noticed(lab, element, slow):
    async with opened(lab, validate="true", timeout="9") as trusting:
        with pytest.raises(NotVerified, match="downstream is 20000000 instead of 100000000"):
            await trusting.apply(await trusting.plan(FAST))
        with pytest.raises(NotVerified):
            await trusting.apply(await trusting.plan(FAST), confirm_within=30)
    await element.rollback(await provide(element, FAST))


async def test_a_server_that_dies_in_the_middle_is_unreachable_and_then_done_again(lab, element):
    await provide(element, SLOW)
    plan = await element.plan(FAST)
    for process in lab._processes:
        process.send_signal(signal.SIGSTOP)  # it is asked, and dies before it has done all
    changing = asyncio.create_task(element.apply(plan))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(lab.stop)
    with pytest.raises(Unreachable) as caught:
        await changing
    assert caught.value.again
    with pytest.raises(Unreachable, match="no answer"):
        await element.verify(FAST)
    await asyncio.to_thread(lab.start)
    await element.rollback(plan.attempted)
    assert (await element.verify(SLOW)).good
    await element.apply(plan)
    assert (await element.verify(FAST)).good
    await until(lambda: shaped(lab) == 100)
    await element.remove("service-1")


async def test_a_session_is_shared_and_kept_until_it_is_idle(lab, element):
    async with (
        opened(lab, timeout="8", idle="0.2") as one,
        opened(lab, timeout="8", idle="0.2") as two,
    ):
        first = await one._session()
        assert await two._session() is first
    async with opened(lab, timeout="8", idle="0.2") as three:
        assert await three._session() is first
    await asyncio.sleep(0.4)
    assert first.is_lost


async def test_a_request_that_the_server_reads_together_with_the_hello_is_answered(
    lab, monkeypatch
):
    held, whole = [], SshChannel.sendall

    def together(wire, octets):
        held.append(octets)
        if len(held) > 1:
            whole(wire, b"".join(held))
            monkeypatch.setattr(SshChannel, "sendall", whole)

    monkeypatch.setattr(SshChannel, "sendall", together)
    async with opened(lab, timeout="7", idle="0") as hasty:
        assert (await hasty.probe()).software.startswith("netconfd")


async def test_a_host_that_is_not_the_one_we_know_gets_no_password(lab):
    target = replace(lab.target, options={"hostKey": f"SHA256:{'A' * 43}"})
    secret = Secret({"user": "root", "password": "secret-word"})
    async with NetconfElement(target, secret) as stranger:
        with pytest.raises(Misconfigured, match=r"SHA256:\S+ is not known"):
            await stranger.probe()


async def test_without_a_host_key_the_error_says_which_to_compare(lab):
    secret = Secret(lab.credentials["nc-lab"])
    async with NetconfElement(replace(lab.target, options={}), secret) as careless:
        with pytest.raises(Misconfigured, match="set it as option hostKey") as caught:
            await careless.probe()
    shown = re.search(r"SHA256:\S+", caught.value.message)[0]
    async with NetconfElement(
        replace(lab.target, options={"hostKey": shown, "idle": "0"}), secret
    ) as careful:
        assert (await careful.probe()).software.startswith("netconfd")


async def test_a_user_that_it_does_not_know_is_rejected(lab):
    for secret in ({"user": "nobody-here"}, {"user": "root"}):
        async with NetconfElement(
            lab.target, Secret({**secret, "password": "secret-word"})
        ) as stranger:
            with pytest.raises(Rejected) as caught:
                await stranger.probe()
        assert caught.value.reason == "authenticationFailed"
        assert "secret-word" not in str(caught.value)


async def test_a_cut_cable_is_a_fault_that_ends_when_it_is_mended(lab):
    async with opened(lab, poll="1.5") as watching:
        faults = watching.faults()
        waiting = asyncio.ensure_future(anext(faults))
        await asyncio.sleep(0.3)
        lab.cut_link("sub2")
        try:
            down = await asyncio.wait_for(waiting, 10)
            assert [one.port for one in await watching.active_conditions()] == ["sub2"]
        finally:
            lab.restore_link("sub2")
        up = await asyncio.wait_for(anext(faults), 10)
        await faults.aclose()
    assert (down.condition, down.port, down.active) == (mib.LINK_DOWN, "sub2", True)
    assert (up.condition, up.port, up.active) == (mib.LINK_DOWN, "sub2", False)


async def test_what_somebody_else_changes_is_reported_and_what_we_change_is_not(
    element, engineer, slow
):
    faults = element.faults()
    waiting = asyncio.ensure_future(anext(faults))
    for vlan in range(2, 20):  # until it listens
        await element.rollback(await provide(element, FAST))
        body = f"<vlan>{vlan}</vlan>"
        engineer.edit_config(configuration("service-1", body), target="candidate")
        engineer.commit()
        await asyncio.wait([waiting], timeout=1.2)
        if waiting.done():
            break
    change = await asyncio.wait_for(waiting, 5)
    await faults.aclose()
    assert (change.condition, change.attributes["user"]) == (CONFIG_CHANGE, "engineer")
    assert "vlan" in change.attributes["changed"]


async def test_the_end_of_the_server_ends_the_watch(lab, element):
    faults = element.faults()
    waiting = asyncio.ensure_future(anext(faults))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(lab.stop)
    with pytest.raises(Unreachable):
        await waiting
    await asyncio.to_thread(lab.start)


@IPERF3
async def test_the_effect_is_measured_through_the_port(lab, element, slow):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub1")
    target = replace(element.target, options={"testAddress": f"sub2=127.0.0.1 sub1={head}"})
    await until(lambda: shaped(lab) == 20)
    good = await effect.measure(target, SLOW)
    assert good.good, good.difference
    assert good.observed["measuredDownstream"] == pytest.approx(19e6, rel=0.1)
    less = await effect.measure(target, replace(SLOW, settings={"downstream": 10 * MBIT}))
    assert re.match(r"downstream is 1[789]\d{6} ", less.difference)
    off = replace(SLOW, settings={"enabled": False})
    assert (await effect.measure(target, off)).difference == "reachable is True instead of False"
    await provide(element, off)
    await asyncio.sleep(0.2)
    assert (await effect.measure(target, off)).good
    bare = replace(SLOW, settings={})
    assert (await effect.measure(target, bare)).difference.startswith("reachable is False")


@IPERF3
async def test_a_test_head_that_is_busy_is_asked_again(lab, element):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub2")
    intent = Intent("service-9", "sub2", {"downstream": 50 * MBIT})
    await provide(element, intent)
    await until(lambda: shaped(lab, "sub2") == 50)
    verdicts = await asyncio.gather(
        *(effect.measure(element.target, intent, head) for _ in range(2)), return_exceptions=True
    )
    await element.remove("service-9")
    assert all(isinstance(one, Unreachable) or one.good for one in verdicts)
    assert not all(isinstance(one, Unreachable) for one in verdicts)


async def test_without_a_test_head_there_is_no_verdict(element):
    with pytest.raises(Unsupported, match="no test head behind sub1") as caught:
        await element.measure(SLOW)
    assert caught.value.reason == "noTestHead"


async def test_without_iperf3_there_is_no_verdict_on_rates(lab, element, monkeypatch):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub1")
    monkeypatch.setattr(effect.shutil, "which", lambda name: None)
    with pytest.raises(Unsupported) as caught:
        await effect.measure(element.target, SLOW, head)
    assert caught.value.reason == "noIperf3"


async def test_a_change_takes_less_than_a_second(element):
    taken = []
    for place in range(10):
        rate = Intent("service-1", "sub1", {"downstream": (place + 20) * MBIT})
        began = time.monotonic()
        transaction = await element.apply(await element.plan(rate), confirm_within=10)
        assert (await element.verify(rate)).good
        await element.confirm(transaction)
        taken.append(time.monotonic() - began)
    await element.remove("service-1")
    assert statistics.median(taken) < 1
