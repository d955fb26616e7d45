"""Adapters: the contract on the simulated and the real gateway, and what goes wrong."""

import asyncio
import json
import sys
import time

import pytest
from temporalio.converter import DataConverter

from adapters import registry
from adapters.base import Adapter
from adapters.credentials import Credentials, Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unreachable,
)
from adapters.lab import SnmpLab, network
from adapters.lab.demo_gateway import SimulatedDemoGateway, create_demo_gateway
from adapters.snmp import mib
from adapters.snmp.element import SnmpElement
from adapters.snmp.simulated_port import WRONG_VALUE
from adapters.snmp.simulator import SimulatedGateway
from adapters.snmp.wire import ber
from adapters.testing import AdapterContract, premium, provide
from adapters.values import Intent, Plan, Step, Target, Transaction, Verdict

pytestmark = pytest.mark.anyio
PREMIUM = premium("sub1")
STEPS = (Step("sub1", "tag", "", "s"), Step("sub1", "enabled", before=True, after=False))
HASTE = {"timeout": "0.2", "retries": "0"}


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def _gateway(anyio_backend):
    async with SimulatedGateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def _element(_gateway):
    async with to(_gateway) as element:
        yield element


@pytest.fixture
def gateway(_gateway):
    """The simulated gateway, well behaved and without services."""
    fresh = SimulatedGateway()
    _gateway.ports, _gateway.fault_injection, _gateway.set_count = (
        fresh.ports,
        fresh.fault_injection,
        0,
    )
    return _gateway


@pytest.fixture
def element(gateway, _element):
    """An adapter that is open to it."""
    return _element


def to(gateway, **options):
    target = gateway.target
    target = Target(target.name, target.address, "snmp", target.credentials, options)
    return SnmpElement(target, Secret(gateway.credentials[gateway.name]))


class TestSimulatedGateway(AdapterContract):
    @pytest.fixture
    def adapter(self, element):
        return element

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")


async def test_a_service_is_on_the_gateway_in_kilobits(gateway, element):
    await provide(element, PREMIUM)
    port = gateway.port("sub1")
    assert (port.tag, port.downstream_kbps, port.upstream_kbps) == ("service-1", 100_000, 50_000)


async def test_a_rate_that_the_gateway_would_round_is_refused(element):
    with pytest.raises(Rejected, match="1000") as caught:
        await element.plan(Intent("service-1", "sub1", {"downstream": 1_500}))
    assert caught.value.path == "sub1 downstream"


async def test_a_port_without_a_profile_gets_no_service(element):
    with pytest.raises(Rejected, match="has no downstream"):
        await element.plan(premium("up0"))


async def test_a_refused_first_step_leaves_nothing(gateway, element):
    gateway.fault_injection.rejected_sets[mib.IF_ALIAS] = WRONG_VALUE
    with pytest.raises(Rejected, match="sub1 tag") as caught:
        await provide(element, PREMIUM)
    assert caught.value.reason == "wrongValue"
    assert gateway.set_count == 0


async def test_a_refused_later_step_tells_what_to_roll_back(gateway, element):
    gateway.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    with pytest.raises(PartiallyApplied, match="sub1 upstream") as caught:
        await provide(element, PREMIUM)
    assert [step.attribute for step in caught.value.transaction.done] == ["tag", "downstream"]
    assert not caught.value.again
    await element.rollback(caught.value.transaction)
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)


async def test_a_gateway_that_lies_is_found_out(gateway, element):
    gateway.fault_injection.ignore_sets = True
    await provide(element, PREMIUM)
    verdict = await element.verify(PREMIUM)
    assert not verdict.good
    assert "downstream is 0 instead of 100000000" in verdict.difference


async def test_a_roll_back_that_did_nothing_is_found_out(gateway, element):
    transaction = await provide(element, PREMIUM)
    gateway.fault_injection.ignore_sets = True
    with pytest.raises(NotVerified, match="downstream"):
        await element.rollback(transaction)


async def test_a_silent_gateway_is_unreachable_in_time(gateway):
    gateway.fault_injection.silent = True
    began = time.monotonic()
    async with to(gateway, **HASTE) as element:
        with pytest.raises(Unreachable, match="no answer") as caught:
            await element.probe()
    assert caught.value.again
    assert time.monotonic() - began < 2


async def test_a_lost_answer_is_asked_for_again(gateway, element):
    plan = await element.plan(PREMIUM)
    gateway.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
    await element.apply(plan)
    assert (await element.verify(PREMIUM)).good


async def test_a_step_in_doubt_can_be_repeated_or_rolled_back(gateway):
    async with to(gateway, **HASTE) as element:
        plan = await element.plan(PREMIUM)
        gateway.fault_injection.unanswered_sets[mib.SVC_DOWN_KBPS] = 1
        with pytest.raises(PartiallyApplied) as caught:
            await element.apply(plan)
        assert caught.value.again
        assert [step.attribute for step in caught.value.transaction.done] == ["tag", "downstream"]
        transaction = await element.apply(plan)
        assert (await element.verify(PREMIUM)).good
        await element.rollback(transaction)
        assert gateway.port("sub1").tag == ""


async def test_noise_is_no_answer(gateway):
    gateway.fault_injection.send_garbage = True
    async with to(gateway, **HASTE) as element:
        with pytest.raises(Unreachable):
            await element.probe()


async def test_a_table_without_end_ends(gateway):
    gateway.fault_injection.endless_tables = True
    async with to(gateway, **HASTE) as element:
        with pytest.raises((Rejected, Unreachable)):
            await element.inventory()


async def test_two_ports_of_one_name_are_refused(gateway, element):
    gateway.port("sub2").name = "sub1"
    with pytest.raises(Rejected, match="two of its ports"):
        await element.plan(PREMIUM)


async def test_a_plan_survives_a_restart_with_other_indexes(gateway, element):
    plan = await element.plan(PREMIUM)
    gateway.restart(shift=7)
    transaction = await element.apply(plan)
    assert gateway.port("sub1").downstream_kbps == 100_000
    gateway.restart(shift=-3)
    await element.rollback(transaction)
    assert [port.tag for port in gateway.ports.values()] == [""] * len(gateway.ports)


@pytest.mark.parametrize("after", [1, 2])
async def test_a_restart_in_the_middle_of_a_plan_puts_nothing_on_another_port(
    gateway, element, monkeypatch, after
):
    plan = await element.plan(PREMIUM)
    change = gateway._change_port

    def then_restart(name, deed):
        change(name, deed)
        if gateway.set_count == after:
            gateway.restart(shift=1)  # each port gets the index of the next one

    monkeypatch.setattr(gateway, "_change_port", then_restart)
    await element.apply(plan)
    assert (await element.verify(PREMIUM)).good
    used = {
        port.name
        for port in gateway.ports.values()
        if port.tag or port.downstream_kbps or port.upstream_kbps
    }
    assert used == {"sub1"}


async def test_a_restart_is_another_epoch_of_the_counters(gateway, element):
    gateway.port("sub1").octets_in = 1000
    earlier = (await element.counters(["sub1"]))[0]
    gateway.port("sub1").octets_in = 1700
    between = (await element.counters(["sub1"]))[0]
    gateway.restart()
    gateway.port("sub1").octets_in = 5000
    later = (await element.counters(["sub1"]))[0]
    assert (between.increase_since(earlier), later.increase_since(between)) == (700, None)


async def test_a_wrong_community_is_unreachable_with_a_hint(gateway):
    element = SnmpElement(
        Target("gw", gateway.target.address, options=HASTE), Secret({"community": "wrong"})
    )
    async with element:
        with pytest.raises(Unreachable, match="wrong community"):
            await element.probe()


async def test_faults_come_and_go(gateway):
    async with to(gateway, poll="0.05") as element:
        faults = element.faults()
        gateway.cut_link("sub1")
        raised = await anext(faults)
        gateway.restore_link("sub1")
        cleared = await anext(faults)
        await faults.aclose()
    assert (raised.port, raised.active, raised.condition) == ("sub1", True, mib.LINK_DOWN)
    assert (cleared.port, cleared.active) == ("sub1", False)


async def test_operations_on_one_element_take_turns(gateway):
    async with to(gateway) as one, to(gateway) as other:
        plans = await asyncio.gather(one.plan(premium("sub1", service="a")), other.plan(PREMIUM))
        results = await asyncio.gather(
            one.apply(plans[0]), other.apply(plans[1]), return_exceptions=True
        )
    assert {type(result) for result in results} == {Conflict, Transaction}


async def test_an_adapter_that_is_not_open_says_so(gateway):
    with pytest.raises(Misconfigured, match="not open"):
        await to(gateway).probe()


@pytest.mark.parametrize(
    ("secret", "options", "message"),
    [
        ({}, {}, "community or a user"),
        ({"user": "tmf", "auth": "MD5", "auth_password": "x" * 8}, {}, "not usable"),
        ({"community": "c"}, {"timeout": "soon"}, "options"),
        ({"community": "c"}, {"speed": "1"}, "no such option: speed"),
        ({"community": "c"}, {"profile": "/no/such/file"}, "options"),
    ],
)
def test_a_target_that_cannot_work_is_misconfigured(secret, options, message):
    with pytest.raises(Misconfigured, match=message):
        SnmpElement(Target("gw", "127.0.0.1", options=options), Secret(secret))


@pytest.mark.parametrize(
    "value",
    [
        Plan("gw", PREMIUM, STEPS, {"tag": "", "downstream": 0, "enabled": True}),
        Transaction("gw", PREMIUM, (Step("sub1", "downstream", 0, 1000),)),
        Target("gw", "127.0.0.1:161", options={"timeout": "1"}),
        Intent("service-1", "sub1", {"enabled": False, "vlan": 1, "msisdn": "491700000000"}),
    ],
)
async def test_values_survive_between_the_steps_of_a_workflow(value):
    payloads = await DataConverter.default.encode([value])
    assert await DataConverter.default.decode(payloads, [type(value)]) == [value]


async def test_a_verdict_survives_between_the_steps_of_a_workflow(element):
    verdict = await element.verify(PREMIUM)
    payloads = await DataConverter.default.encode([verdict])
    assert await DataConverter.default.decode(payloads, [Verdict]) == [verdict]


def test_our_own_adapters_are_found_without_being_installed():
    assert registry.find_adapter("snmp") is SnmpElement
    assert "snmp" in {one.name for one in registry.installed_adapters()}


def test_an_adapter_of_another_package_is_found_and_a_broken_one_reported(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "from adapters.snmp.element import SnmpElement\n"
        "class Element(SnmpElement):\n    pass\n"
        "class Half:\n    capabilities = frozenset()\n"
    )
    (tmp_path / "broken_stranger.py").write_text("raise RuntimeError('no licence')\n")
    folder = tmp_path / "stranger-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[tmf_apis.adapters]\nstranger = stranger:Element\nhalf = stranger:Half\n"
        "broken = broken_stranger:Element\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {one.name: one for one in registry.installed_adapters()}
    assert found["stranger"].problem == ""
    assert "counters" in found["stranger"].capabilities
    assert "no licence" in found["broken"].problem
    assert "lacks inventory" in found["half"].problem or "lacks probe" in found["half"].problem
    with pytest.raises(Misconfigured, match="no licence"):
        registry.find_adapter("broken")
    with pytest.raises(Misconfigured, match="snmp"):
        registry.find_adapter("no-such-adapter")
    sys.modules.pop("stranger", None)


async def test_a_target_is_connected_by_names_alone(gateway, tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(gateway.credentials))
    async with registry.create_adapter(gateway.target, Credentials(file, {})) as element:
        assert isinstance(element, Adapter)
        assert (await element.probe()).name == "gw-sim"


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text('{"gw-1": {"community": "of the file"}}')
    environment = {"TMF_CREDENTIAL_GW_1": '{"community": "of the environment"}'}
    assert Credentials(file, environment).get("gw-1")["community"] == "of the environment"
    assert Credentials(file, {}).get("gw-1")["community"] == "of the file"


@pytest.mark.parametrize("text", ["swordfish", '["swordfish"]', '{"community": 1}', "{" * 5000])
def test_a_bad_secret_is_reported_without_its_text(text):
    with pytest.raises(Misconfigured) as caught:
        Credentials("", {"TMF_CREDENTIAL_GW": text}).get("gw")
    assert "swordfish" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_unknown_credentials_name_the_variable(tmp_path):
    with pytest.raises(Misconfigured, match="TMF_CREDENTIAL_LAB"):
        Credentials("", {}).get("lab")
    with pytest.raises(Misconfigured, match="cannot read"):
        Credentials(tmp_path / "none.json", {}).get("lab")


def test_a_secret_never_shows_itself():
    secret = Secret({"community": "swordfish"})
    assert "swordfish" not in f"{secret!r} {secret}"


async def test_a_set_of_the_wrong_kind_is_refused_with_the_word_of_the_standard(element):
    with pytest.raises(Rejected) as caught:
        await element._session.set(f"{mib.SVC_DOWN_KBPS}.3", "integer", 5)
    assert caught.value.reason == "wrongType"
    with pytest.raises(Rejected) as caught:
        await element._session.set(f"{mib.IF_NAME}.3", "octets", b"x")
    assert caught.value.reason == "notWritable"


async def test_an_absent_variable_is_none(element):
    assert await element._session.get([f"{mib.IF_NAME}.999"]) == {f"{mib.IF_NAME}.999": None}


def test_wrong_kinds_of_value_are_known_to_the_codec():
    assert ber.decode_value(ber.IP_ADDRESS, bytes((127, 0, 0, 1))) == "127.0.0.1"
    assert ber.encode_value(ber.IP_ADDRESS, "127.0.0.1") == b"\x40\x04\x7f\x00\x00\x01"


def test_a_stand_needs_nothing_but_this_process():
    with SimulatedDemoGateway("gw-stand", trap_port=0) as gateway:
        secret = Secret(gateway.credentials["gw-stand"])

        async def conditions():
            async with SnmpElement(gateway.target, secret) as element:
                return [one.port for one in await element.active_conditions()]

        assert asyncio.run(conditions()) == []
        gateway.cut_link("sub2")
        assert asyncio.run(conditions()) == ["sub2"]
        gateway.restore_link("sub2")
        assert asyncio.run(conditions()) == []
    with pytest.raises(RuntimeError, match="not up"):
        gateway.cut_link("sub2")


def test_where_there_is_no_lab_the_stand_is_simulated_and_says_why(monkeypatch):
    monkeypatch.setattr(network.os, "geteuid", lambda: 1000)
    network.lab_unavailable_reason.cache_clear()
    try:
        gateway, reason = create_demo_gateway("gw-stand", trap_port=0)
        with gateway:
            assert isinstance(gateway, SimulatedDemoGateway)
            assert not isinstance(gateway, SnmpLab)
            assert "root" in reason
    finally:
        network.lab_unavailable_reason.cache_clear()


def test_a_lab_without_its_packages_names_them(monkeypatch):
    monkeypatch.setattr(network.os, "geteuid", lambda: 0)
    monkeypatch.setattr(network, "PATH", "")
    network.lab_unavailable_reason.cache_clear()
    try:
        assert "apt-get install iproute2 snmpd" in network.lab_unavailable_reason()
    finally:
        network.lab_unavailable_reason.cache_clear()
