"""The adapter with a real netconfd: commits, conflicts and failures."""

import asyncio
import re
import shutil
import signal
from dataclasses import replace

import pytest
from netconf_client.error import RpcError
from netconf_client.ncclient import Manager

from adapters import base, condition_types, effect
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
from adapters.testing import MBIT, AdapterContract, provide
from adapters.values import Intent
from tests.support.netconf_session import open_local_session
from tests.support.waiting import wait_in_thread

UNAVAILABLE = netconf_unavailable_reason()
IPERF3 = pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]
ACCESS_NAMESPACE = "urn:x-tmf-lab:access"
SLOW = Intent("service-1", "sub1", {"downstream": 20 * MBIT, "upstream": 10 * MBIT})
FAST = Intent("service-1", "sub1", {"downstream": 100 * MBIT})


@pytest.fixture(scope="module")
def lab():
    with NetconfLab() as lab:
        yield lab


def create_adapter(lab, **options):
    target = replace(lab.target, options={**lab.target.options, **options})
    return NetconfElement(target, Secret(lab.credentials["nc-lab"]))


@pytest.fixture(scope="module")
async def element(lab, anyio_backend):
    async with create_adapter(lab, patience="2") as element:
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


@pytest.fixture
def engineer(lab):
    """A session of another user."""
    session = open_local_session(lab, "engineer")
    yield Manager(session, timeout=10)
    session.close()


def configuration(service, body):
    base_namespace = "urn:ietf:params:xml:ns:netconf:base:1.0"
    return (
        f'<config xmlns="{base_namespace}"><services xmlns="{ACCESS_NAMESPACE}">'
        f"<service><id>{service}</id>{body}</service></services></config>"
    )


def shaped_rate(lab, device="sub1"):
    """Return the rate limit of a device in the kernel, in Mbit/s; 0 if there is none."""
    script = "tc class show dev $0 2>/dev/null || true"  # an ifb device may not exist
    output = lab.network.run(lab.network.gateway, "sh", "-c", script, device)
    match = re.search(r"rate (\d+)Mbit", output)
    return int(match[1]) if match else 0


async def test_the_adapter_is_found_by_its_name():
    assert find_adapter("netconf") is NetconfElement
    assert {base.ATOMIC, base.CONFIRMED, base.EFFECT} <= NetconfElement.capabilities


async def test_the_kernel_applies_a_commit(lab, element, slow):
    await wait_in_thread(lambda: (shaped_rate(lab), shaped_rate(lab, "isub1")) == (20, 10))


async def test_an_unconfirmed_commit_is_reverted_after_its_timeout(lab, element, slow):
    transaction = await element.apply(await element.plan(FAST), confirm_within=3)
    await wait_in_thread(lambda: shaped_rate(lab) == 100)
    await wait_in_thread(lambda: shaped_rate(lab) == 20)
    assert (await element.verify(SLOW)).good
    with pytest.raises(NotVerified, match="downstream is 20000000"):
        await element.confirm(transaction)
    await element.rollback(transaction)
    assert (await element.verify(SLOW)).good


def check_no_pending_commit(engineer):
    """Check that no commit waits to be confirmed: otherwise the candidate cannot be locked."""
    engineer.lock(target="candidate")
    engineer.unlock(target="candidate")


async def test_another_session_can_confirm_a_commit(lab, element, engineer, slow):
    async with create_adapter(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
    with pytest.raises(RpcError, match="confirmed-commit pending"):
        check_no_pending_commit(engineer)
    await element.confirm(transaction)
    check_no_pending_commit(engineer)
    assert (await element.verify(FAST)).good
    await element.confirm(transaction)
    await element.rollback(transaction)


async def test_another_session_can_cancel_a_commit(lab, element, slow):
    async with create_adapter(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
    await element.rollback(transaction)
    assert (await element.verify(SLOW)).good


async def test_a_repeated_plan_extends_the_pending_commit(element, slow):
    plan = await element.plan(FAST)
    first = await element.apply(plan, confirm_within=3)
    assert await element.apply(plan, confirm_within=30) == first
    await asyncio.sleep(4.5)
    assert (await element.verify(FAST)).good
    await element.rollback(first)


async def test_without_persist_a_pending_commit_ends_with_its_session(
    lab, element, slow, monkeypatch
):
    monkeypatch.setattr("adapters.netconf.candidate.PERSIST", "no such capability")
    async with create_adapter(lab, idle="0", timeout="9") as other:
        transaction = await other.apply(await other.plan(FAST), confirm_within=30)
        await wait_in_thread(lambda: shaped_rate(lab) == 100)
    await wait_in_thread(lambda: shaped_rate(lab) == 20)
    with pytest.raises(NotVerified, match="downstream"):
        await element.confirm(transaction)


async def test_without_persist_a_session_confirms_its_own_commit(
    element, engineer, slow, monkeypatch
):
    monkeypatch.setattr("adapters.netconf.candidate.PERSIST", "no such capability")
    plan = await element.plan(FAST)
    transaction = await element.apply(plan, confirm_within=30)
    assert await element.apply(plan, confirm_within=30) == transaction
    await element.confirm(transaction)
    check_no_pending_commit(engineer)
    assert (await element.verify(FAST)).good
    await element.rollback(transaction)


async def test_a_pending_commit_of_another_user_is_a_conflict(element, engineer):
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    engineer.commit(confirmed=True, confirm_timeout=30)
    with pytest.raises(Conflict, match="confirmed-commit pending"):
        await provide(element, SLOW)
    engineer.cancel_commit()
    assert await element.services() == []


async def test_a_locked_candidate_is_a_conflict_that_names_the_session(element, engineer):
    plan = await element.plan(SLOW)
    engineer.lock(target="candidate")
    with pytest.raises(Conflict, match=f"held by session {engineer.session_id}") as caught:
        await element.apply(plan)
    assert caught.value.again
    engineer.unlock(target="candidate")
    await element.rollback(await element.apply(plan))


async def test_a_lock_is_awaited(element, engineer):
    plan = await element.plan(SLOW)
    engineer.lock(target="candidate")
    application = asyncio.create_task(element.apply(plan))
    await asyncio.sleep(0.5)
    engineer.unlock(target="candidate")
    await element.rollback(await application)


async def test_edits_of_others_in_the_candidate_are_neither_committed_nor_discarded(
    element, engineer
):
    plan = await element.plan(SLOW)
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    with pytest.raises(Conflict, match="discard-changes needed"):
        await element.apply(plan)
    engineer.commit()
    assert [service.service_id for service in await element.services()] == ["stray"]
    await element.remove("stray")


async def test_edits_of_others_during_a_pending_commit_are_not_committed(element, engineer, slow):
    transaction = await element.apply(await element.plan(FAST), confirm_within=30)
    engineer.edit_config(configuration("stray", "<port>sub2</port>"), target="candidate")
    await element.confirm(transaction)
    assert [service.service_id for service in await element.services()] == ["service-1"]
    await element.rollback(transaction)


async def test_a_violated_must_is_rejected_with_path_and_app_tag(element):
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


async def test_a_second_service_on_a_port_is_rejected(element, slow, monkeypatch):
    plan = await element.plan(Intent("service-2", "sub2", {}))
    monkeypatch.setattr(element, "_port_state", _state_of_empty_port(element))
    with pytest.raises(Rejected, match="unique") as caught:
        await element.apply(replace(plan, intent=replace(plan.intent, port="sub1")))
    assert caught.value.reason == "data-not-unique"


def _state_of_empty_port(element):
    async def port_state(session, name):
        return element._services.default_state("sub2")

    return port_state


async def test_markup_in_a_text_is_escaped(element):
    service_id = '<&">]]>]]>\u00fc'
    await provide(element, Intent(service_id, "sub2", {"vlan": 7}))
    assert (await element.read(service_id)).settings["vlan"] == 7
    await element.remove(service_id)


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "apostrophe ' ends netconfd 2.13"])
async def test_an_unsupported_text_is_rejected(element, text):
    with pytest.raises(Rejected, match="does not accept") as caught:
        await element.plan(Intent(text, "sub2"))
    assert caught.value.reason == "wrongValue"


async def test_an_ok_without_an_effect_is_detected(lab, element, slow):
    async with create_adapter(lab, validate="true", timeout="9") as validating:
        with pytest.raises(NotVerified, match="downstream is 20000000 instead of 100000000"):
            await validating.apply(await validating.plan(FAST))
        with pytest.raises(NotVerified):
            await validating.apply(await validating.plan(FAST), confirm_within=30)
    await element.rollback(await provide(element, FAST))


async def test_a_plan_is_applied_again_after_a_crash_of_the_server(lab, element):
    await provide(element, SLOW)
    plan = await element.plan(FAST)
    for process in lab._processes:
        process.send_signal(signal.SIGSTOP)  # the request is sent, but not completed
    application = asyncio.create_task(element.apply(plan))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(lab.stop)
    with pytest.raises(Unreachable) as caught:
        await application
    assert caught.value.again
    with pytest.raises(Unreachable, match="no answer"):
        await element.verify(FAST)
    await asyncio.to_thread(lab.start)
    await element.rollback(plan.attempted)
    assert (await element.verify(SLOW)).good
    await element.apply(plan)
    assert (await element.verify(FAST)).good
    await wait_in_thread(lambda: shaped_rate(lab) == 100)
    await element.remove("service-1")


async def test_a_session_is_shared_and_closed_when_it_is_idle(lab, element):
    async with (
        create_adapter(lab, timeout="8", idle="2") as first,
        create_adapter(lab, timeout="8", idle="2") as second,
    ):
        session = await first._session()
        assert await second._session() is session
    async with create_adapter(lab, timeout="8", idle="2") as third:
        assert await third._session() is session
    await wait_in_thread(lambda: session.is_lost)


async def test_a_request_that_the_server_reads_together_with_the_hello_is_answered(
    lab, monkeypatch
):
    messages, sendall = [], SshChannel.sendall

    def send_together(channel, octets):
        messages.append(octets)
        if len(messages) > 1:
            sendall(channel, b"".join(messages))
            monkeypatch.setattr(SshChannel, "sendall", sendall)

    monkeypatch.setattr(SshChannel, "sendall", send_together)
    async with create_adapter(lab, timeout="7", idle="0") as element:
        assert (await element.probe()).software.startswith("netconfd")


async def test_a_server_with_an_unknown_host_key_gets_no_password(lab):
    target = replace(lab.target, options={"hostKey": f"SHA256:{'A' * 43}"})
    secret = Secret({"user": "root", "password": "secret-word"})
    async with NetconfElement(target, secret) as element:
        with pytest.raises(Misconfigured, match=r"SHA256:\S+ is not known"):
            await element.probe()


async def test_without_a_host_key_the_error_has_the_fingerprint(lab):
    secret = Secret(lab.credentials["nc-lab"])
    async with NetconfElement(replace(lab.target, options={}), secret) as element:
        with pytest.raises(Misconfigured, match="set it as option hostKey") as caught:
            await element.probe()
    fingerprint = re.search(r"SHA256:\S+", caught.value.message)[0]
    async with NetconfElement(
        replace(lab.target, options={"hostKey": fingerprint, "idle": "0"}), secret
    ) as element:
        assert (await element.probe()).software.startswith("netconfd")


async def test_an_unknown_user_is_rejected(lab):
    for secret in ({"user": "nobody-here"}, {"user": "root"}):
        async with NetconfElement(
            lab.target, Secret({**secret, "password": "secret-word"})
        ) as element:
            with pytest.raises(Rejected) as caught:
                await element.probe()
        assert caught.value.reason == "authenticationFailed"
        assert "secret-word" not in str(caught.value)


async def test_a_link_failure_is_a_fault_until_it_ends(lab):
    async with create_adapter(lab, poll="1.5") as element:
        faults = element.faults()
        next_fault = asyncio.ensure_future(anext(faults))
        await asyncio.sleep(0.3)
        lab.cut_link("sub2")
        try:
            down = await asyncio.wait_for(next_fault, 20)
            conditions = await element.active_conditions()
            assert [condition.port for condition in conditions] == ["sub2"]
        finally:
            lab.restore_link("sub2")
        up = await asyncio.wait_for(anext(faults), 20)
        await faults.aclose()
    assert (down.condition, down.port, down.active) == (condition_types.LINK_DOWN, "sub2", True)
    assert (up.condition, up.port, up.active) == (condition_types.LINK_DOWN, "sub2", False)


async def test_changes_of_others_are_reported(element, engineer, slow):
    faults = element.faults()
    next_fault = asyncio.ensure_future(anext(faults))
    for vlan in range(2, 20):  # until the subscription is active
        await element.rollback(await provide(element, FAST))
        body = f"<vlan>{vlan}</vlan>"
        engineer.edit_config(configuration("service-1", body), target="candidate")
        engineer.commit()
        await asyncio.wait([next_fault], timeout=1.2)
        if next_fault.done():
            break
    change = await asyncio.wait_for(next_fault, 20)
    await faults.aclose()
    assert (change.condition, change.attributes["user"]) == (CONFIG_CHANGE, "engineer")
    assert "vlan" in change.attributes["changed"]


async def test_the_end_of_the_server_ends_the_fault_monitor(lab, element):
    faults = element.faults()
    next_fault = asyncio.ensure_future(anext(faults))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(lab.stop)
    with pytest.raises(Unreachable):
        await next_fault
    await asyncio.to_thread(lab.start)


@IPERF3
async def test_the_throughput_is_measured_through_the_port(lab, element, slow):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub1")
    target = replace(element.target, options={"testAddress": f"sub2=127.0.0.1 sub1={head}"})
    await wait_in_thread(lambda: shaped_rate(lab) == 20)
    verdict = await effect.measure(target, SLOW)
    assert verdict.good, verdict.difference
    assert verdict.observed["measuredDownstream"] == pytest.approx(19e6, rel=0.1)
    too_fast = await effect.measure(target, replace(SLOW, settings={"downstream": 10 * MBIT}))
    assert re.match(r"downstream is 1[789]\d{6} ", too_fast.difference)
    disabled = replace(SLOW, settings={"enabled": False})
    verdict = await effect.measure(target, disabled)
    assert verdict.difference == "reachable is True instead of False"
    await provide(element, disabled)
    async with asyncio.timeout(20):
        while not (await effect.measure(target, disabled)).good:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
    unlimited = replace(SLOW, settings={})
    assert (await effect.measure(target, unlimited)).difference.startswith("reachable is False")


@IPERF3
async def test_a_busy_test_head_is_retried(lab, element):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub2")
    intent = Intent("service-9", "sub2", {"downstream": 50 * MBIT})
    await provide(element, intent)
    await wait_in_thread(lambda: shaped_rate(lab, "sub2") == 50)
    verdicts = await asyncio.gather(
        *(effect.measure(element.target, intent, head) for _ in range(2)), return_exceptions=True
    )
    await element.remove("service-9")
    assert all(isinstance(verdict, Unreachable) or verdict.good for verdict in verdicts)
    assert not all(isinstance(verdict, Unreachable) for verdict in verdicts)


async def test_without_a_test_head_measuring_is_unsupported(element):
    with pytest.raises(Unsupported, match="no test head behind sub1") as caught:
        await element.measure(SLOW)
    assert caught.value.reason == "noTestHead"


async def test_without_iperf3_measuring_rates_is_unsupported(lab, element, monkeypatch):
    head = await asyncio.to_thread(lab.network.start_test_head, "sub1")
    monkeypatch.setattr(effect.shutil, "which", lambda name: None)
    with pytest.raises(Unsupported) as caught:
        await effect.measure(element.target, SLOW, head)
    assert caught.value.reason == "noIperf3"


async def test_successive_changes_are_confirmed_one_by_one(element):
    for rate in range(20, 30):
        intent = Intent("service-1", "sub1", {"downstream": rate * MBIT})
        transaction = await element.apply(await element.plan(intent), confirm_within=30)
        assert (await element.verify(intent)).good
        await element.confirm(transaction)
    await element.remove("service-1")
