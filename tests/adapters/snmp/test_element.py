"""The SNMP adapter: the contract on the simulated gateway, and faults of the gateway."""

import asyncio
from dataclasses import replace

import pytest

from adapters import condition_types
from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unreachable,
)
from adapters.snmp import mib
from adapters.snmp.element import SnmpElement
from adapters.snmp.simulated_port import GEN_ERR, WRONG_VALUE
from adapters.snmp.simulator import SimulatedGateway
from adapters.testing import RATES, AdapterContract, premium, provide
from adapters.values import Intent, Target, Transaction

pytestmark = pytest.mark.anyio
PREMIUM = premium("sub1")
#: For requests that must fail: a request is sent once, and one second is waited for a response.
ONE_ATTEMPT = {"timeout": "1", "retries": "0"}
DEFAULT_ATTEMPTS = 3


@pytest.fixture(scope="module")
async def _gateway(anyio_backend):
    async with SimulatedGateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def _element(_gateway):
    async with adapter_for(_gateway) as element:
        yield element


@pytest.fixture
def gateway(_gateway):
    """The simulated gateway without faults and services."""
    initial = SimulatedGateway()
    _gateway.ports, _gateway.fault_injection = initial.ports, initial.fault_injection
    _gateway.set_count = 0
    return _gateway


@pytest.fixture
def element(gateway, _element):
    """An open adapter for the gateway."""
    return _element


def adapter_for(gateway, **options):
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


async def test_a_service_on_a_port_without_rates_is_refused(element):
    with pytest.raises(Rejected, match="has no downstream"):
        await element.plan(premium("up0"))


async def test_a_rejected_first_step_changes_nothing(gateway, element):
    gateway.fault_injection.rejected_sets[mib.IF_ALIAS] = WRONG_VALUE
    with pytest.raises(Rejected, match="sub1 tag") as caught:
        await provide(element, PREMIUM)
    assert caught.value.reason == "wrongValue"
    assert gateway.set_count == 0


async def test_a_rejected_later_step_returns_the_transaction_to_roll_back(gateway, element):
    gateway.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    with pytest.raises(PartiallyApplied, match="sub1 upstream") as caught:
        await provide(element, PREMIUM)
    assert [step.attribute for step in caught.value.transaction.done] == ["tag", "downstream"]
    assert not caught.value.again
    await element.rollback(caught.value.transaction)
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)


async def test_verify_detects_a_gateway_that_ignores_changes(gateway, element):
    gateway.fault_injection.ignore_sets = True
    await provide(element, PREMIUM)
    verdict = await element.verify(PREMIUM)
    assert not verdict.good
    assert "downstream is 0 instead of 100000000" in verdict.difference


async def test_rollback_detects_a_gateway_that_ignores_changes(gateway, element):
    transaction = await provide(element, PREMIUM)
    gateway.fault_injection.ignore_sets = True
    with pytest.raises(NotVerified, match="downstream"):
        await element.rollback(transaction)


async def test_a_silent_gateway_is_unreachable_in_time(gateway):
    gateway.fault_injection.silent = True
    async with adapter_for(gateway, **ONE_ATTEMPT) as element, asyncio.timeout(60):
        with pytest.raises(Unreachable, match="no answer") as caught:
            await element.probe()
    assert caught.value.again


async def test_a_request_whose_response_is_lost_is_repeated(gateway, element):
    plan = await element.plan(PREMIUM)
    gateway.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 1
    await element.apply(plan)
    assert (await element.verify(PREMIUM)).good


async def test_a_step_in_doubt_can_be_repeated_or_rolled_back(gateway, element):
    plan = await element.plan(PREMIUM)
    gateway.fault_injection.unanswered_sets[mib.SVC_DOWN_KBPS] = DEFAULT_ATTEMPTS
    with pytest.raises(PartiallyApplied) as caught:
        await element.apply(plan)
    assert caught.value.again
    assert [step.attribute for step in caught.value.transaction.done] == ["tag", "downstream"]
    transaction = await element.apply(plan)
    assert (await element.verify(PREMIUM)).good
    await element.rollback(transaction)
    assert gateway.port("sub1").tag == ""


async def test_garbage_is_no_response(gateway):
    gateway.fault_injection.send_garbage = True
    async with adapter_for(gateway, **ONE_ATTEMPT) as element:
        with pytest.raises(Unreachable):
            await element.probe()


async def test_reading_an_endless_table_fails(gateway, element):
    gateway.fault_injection.endless_tables = True
    with pytest.raises((Rejected, Unreachable)):
        await element.inventory()


async def test_two_ports_with_one_name_are_refused(gateway):
    gateway.port("sub2").name = "sub1"
    async with adapter_for(gateway) as element:
        with pytest.raises(Rejected, match="two of its ports"):
            await element.plan(PREMIUM)


async def request_count_of_a_service(ports):
    """Return the number of requests that set up, change and remove a service take."""
    async with SimulatedGateway(ports=ports) as gateway:
        async with adapter_for(gateway) as element:
            index = str(gateway._index("sub5"))
            intent = Intent("s", "sub5", RATES, is_new=True, port_index=index)
            for wanted in (
                intent,
                replace(intent, settings={"enabled": False}, is_new=False),
                replace(intent, settings={}, present=False, is_new=False),
            ):
                await provide(element, wanted)
                assert (await element.verify(wanted)).good
        assert not any(port.tag for port in gateway.ports.values())
        return gateway.request_count


async def test_the_requests_of_a_service_do_not_grow_with_the_ports():
    small, large = [await request_count_of_a_service(ports) for ports in (8, 512)]
    assert large == small


async def test_a_known_index_that_a_restart_has_changed_is_not_used(gateway):
    async with adapter_for(gateway) as element:
        indexes = {port.name: port.index for port in (await element.inventory()).ports}
    gateway.restart(shift=1)
    async with adapter_for(gateway) as element:
        await provide(element, replace(PREMIUM, port_index=indexes["sub1"]))
    assert used_ports(gateway) == {"sub1"}


@pytest.mark.parametrize("sets", [0, 1, 2])
async def test_an_agent_that_is_starting_is_waited_for(gateway, element, monkeypatch, sets):
    plan = await element.plan(PREMIUM)
    change_port = gateway._change_port

    def change_and_restart(name, change):
        change_port(name, change)
        gateway.fault_injection.starting = gateway.set_count == sets

    gateway.fault_injection.starting = sets == 0
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "_change_port", change_and_restart)
        with pytest.raises((Unreachable, PartiallyApplied), match="genErr") as caught:
            await element.apply(plan)
    assert caught.value.again
    gateway.fault_injection.starting = False
    await element.apply(plan)
    assert (await element.verify(PREMIUM)).good


@pytest.mark.parametrize("operation", ["plan", "verify"])
async def test_a_known_port_that_is_missing_after_a_start_is_waited_for(
    gateway, element, operation
):
    await element.plan(PREMIUM)
    port = gateway.ports.pop(gateway._index("sub1"))
    with pytest.raises(Unreachable, match="not there yet"):
        await getattr(element, operation)(PREMIUM)
    gateway.ports[20] = port
    assert (await element.plan(PREMIUM)).steps


async def test_a_failure_of_an_agent_that_has_run_for_long_is_a_refusal(gateway, element):
    gateway._start_time -= 1000
    gateway.fault_injection.rejected_sets[mib.IF_ALIAS] = GEN_ERR
    with pytest.raises(Rejected, match="genErr"):
        await provide(element, PREMIUM)


async def test_a_plan_survives_a_restart_with_other_indexes(gateway, element):
    plan = await element.plan(PREMIUM)
    gateway.restart(shift=7)
    transaction = await element.apply(plan)
    assert gateway.port("sub1").downstream_kbps == 100_000
    gateway.restart(shift=-3)
    await element.rollback(transaction)
    assert [port.tag for port in gateway.ports.values()] == [""] * len(gateway.ports)


def restart_after(gateway, set_count, monkeypatch):
    """Restart the gateway after a number of SET requests; each port gets the next port's index."""
    change_port = gateway._change_port

    def change_and_restart(name, change):
        change_port(name, change)
        if gateway.set_count == set_count:
            gateway.restart(shift=1)

    monkeypatch.setattr(gateway, "_change_port", change_and_restart)


def used_ports(gateway):
    return {
        port.name
        for port in gateway.ports.values()
        if port.tag or port.downstream_kbps or port.upstream_kbps
    }


@pytest.mark.parametrize("set_count", [1, 2])
async def test_a_restart_in_the_middle_of_a_plan_changes_no_other_port(
    gateway, element, monkeypatch, set_count
):
    plan = await element.plan(PREMIUM)
    restart_after(gateway, set_count, monkeypatch)
    await element.apply(plan)
    assert (await element.verify(PREMIUM)).good
    assert used_ports(gateway) == {"sub1"}


@pytest.mark.parametrize("set_count", [1, 2])
async def test_a_restart_in_the_middle_of_a_rollback_changes_no_other_port(
    gateway, element, monkeypatch, set_count
):
    neighbour = premium("sub2", service="service-2")
    await provide(element, neighbour)
    await provide(element, premium("sub4", service="service-4"))
    transaction = await provide(element, PREMIUM)
    restart_after(gateway, gateway.set_count + set_count, monkeypatch)
    await element.rollback(transaction)
    assert (await element.verify(neighbour)).good
    assert used_ports(gateway) == {"sub2", "sub4"}


async def test_a_restart_begins_another_epoch_of_the_counters(gateway, element):
    gateway.port("sub1").octets_in = 1000
    earlier = (await element.counters(["sub1"]))[0]
    gateway.port("sub1").octets_in = 1700
    between = (await element.counters(["sub1"]))[0]
    gateway.restart()
    gateway.port("sub1").octets_in = 5000
    later = (await element.counters(["sub1"]))[0]
    assert (between.increase_since(earlier), later.increase_since(between)) == (700, None)


async def test_with_a_wrong_community_the_gateway_is_unreachable_and_the_error_says_why(gateway):
    target = Target("gw", gateway.target.address, options=ONE_ATTEMPT)
    async with SnmpElement(target, Secret({"community": "wrong"})) as element:
        with pytest.raises(Unreachable, match="wrong community"):
            await element.probe()


async def test_faults_are_reported_when_they_begin_and_end(gateway):
    async with adapter_for(gateway, poll="0.05") as element:
        faults = element.faults()
        gateway.cut_link("sub1")
        raised = await anext(faults)
        gateway.restore_link("sub1")
        cleared = await anext(faults)
        await faults.aclose()
    assert (raised.port, raised.active, raised.condition) == (
        "sub1",
        True,
        condition_types.LINK_DOWN,
    )
    assert (cleared.port, cleared.active) == ("sub1", False)


async def test_operations_of_two_adapters_on_one_element_are_serialized(gateway):
    async with adapter_for(gateway) as first, adapter_for(gateway) as second:
        plans = await asyncio.gather(first.plan(premium("sub1", service="a")), second.plan(PREMIUM))
        results = await asyncio.gather(
            first.apply(plans[0]), second.apply(plans[1]), return_exceptions=True
        )
    assert {type(result) for result in results} == {Conflict, Transaction}


async def test_using_an_adapter_that_is_not_open_is_an_error(gateway):
    with pytest.raises(Misconfigured, match="not open"):
        await adapter_for(gateway).probe()


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


async def test_a_set_of_the_wrong_type_is_rejected_with_the_reason_of_the_standard(element):
    with pytest.raises(Rejected) as caught:
        await element._session.set(f"{mib.SVC_DOWN_KBPS}.3", "integer", 5)
    assert caught.value.reason == "wrongType"
    with pytest.raises(Rejected) as caught:
        await element._session.set(f"{mib.IF_NAME}.3", "octets", b"x")
    assert caught.value.reason == "notWritable"


async def test_an_absent_variable_is_none(element):
    assert await element._session.get([f"{mib.IF_NAME}.999"]) == {f"{mib.IF_NAME}.999": None}
