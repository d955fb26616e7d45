"""Tests that every adapter must pass, in this repository or in another.

An author derives a class from ``AdapterContract`` and gives it these fixtures (async ones are
run by the pytest plugin that anyio brings along):

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    class TestMyElement(AdapterContract):
        @pytest.fixture
        async def adapter(self):
            async with MyElement(target, secret) as adapter:
                yield adapter

        @pytest.fixture
        def ports(self):
            return ("port-1", "port-2")   # two access ports without a service

The tests leave the ports as they found them if the adapter does what it should.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from adapters import base
from adapters.base import Adapter
from adapters.errors import Conflict, ElementError, Rejected, Unsupported
from adapters.values import Intent, Transaction

MBIT = 1_000_000
Ports = tuple[str, str]


def premium(port: str, *, service: str = "service-1") -> Intent:
    """Return an intent of 100/50 Mbit/s."""
    return Intent(service, port, downstream=100 * MBIT, upstream=50 * MBIT)


async def provide(adapter: Adapter, intent: Intent) -> Transaction:
    """Plan and apply an intent."""
    return await adapter.apply(await adapter.plan(intent))


@pytest.mark.anyio
class AdapterContract:
    """Tests shared by all adapters."""

    async def test_it_is_an_adapter(self, adapter: Adapter) -> None:
        assert isinstance(adapter, Adapter)
        assert adapter.capabilities <= base.CAPABILITIES

    async def test_it_says_what_it_is(self, adapter: Adapter) -> None:
        facts = await adapter.probe()
        assert facts.software
        assert facts.uptime >= 0

    async def test_ports_come_ordered_by_name_and_once(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        inventory = await adapter.inventory()
        names = [port.name for port in inventory.ports]
        assert names == sorted(set(names))
        assert set(ports) <= {port.name for port in inventory.ports if port.access}
        assert inventory.taken_at.tzinfo is UTC

    async def test_planning_touches_nothing(self, adapter: Adapter, ports: Ports) -> None:
        plan = await adapter.plan(premium(ports[0]))
        assert plan.steps
        assert await adapter.services() == []

    async def test_what_is_applied_is_there(self, adapter: Adapter, ports: Ports) -> None:
        intent = premium(ports[0])
        transaction = await provide(adapter, intent)
        verdict = await adapter.verify(intent)
        assert verdict.good, verdict.difference
        found = await adapter.read("service-1")
        assert found is not None
        assert (found.port, found.downstream, found.upstream) == (
            ports[0],
            intent.downstream,
            intent.upstream,
        )
        await adapter.rollback(transaction)

    async def test_what_is_applied_leaves_nothing_to_plan(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, premium(ports[0]))
        assert (await adapter.plan(premium(ports[0]))).steps == ()
        await adapter.rollback(transaction)

    async def test_applying_a_plan_twice_is_the_same_as_once(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        plan = await adapter.plan(premium(ports[0]))
        first = await adapter.apply(plan)
        second = await adapter.apply(plan)
        assert second.done == first.done
        await adapter.rollback(second)
        assert await adapter.services() == []

    async def test_rolling_back_a_change_brings_the_old_rates_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        first = await provide(adapter, premium(ports[0]))
        faster = Intent("service-1", ports[0], downstream=1000 * MBIT, upstream=500 * MBIT)
        second = await provide(adapter, faster)
        assert (await adapter.verify(faster)).good
        await adapter.rollback(second)
        assert (await adapter.verify(premium(ports[0]))).good
        await adapter.rollback(first)

    async def test_rolling_back_twice_is_the_same_as_once(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, premium(ports[0]))
        await adapter.rollback(transaction)
        await adapter.rollback(transaction)
        assert await adapter.services() == []

    async def test_a_plan_that_was_never_begun_can_be_rolled_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        plan = await adapter.plan(premium(ports[0]))
        await adapter.rollback(plan.attempted)
        assert await adapter.services() == []

    async def test_a_removed_service_is_gone(self, adapter: Adapter, ports: Ports) -> None:
        await provide(adapter, premium(ports[0]))
        await adapter.remove("service-1")
        assert await adapter.read("service-1") is None
        gone = Intent("service-1", ports[0], present=False)
        assert (await adapter.verify(gone)).good

    async def test_removing_twice_is_the_same_as_once(self, adapter: Adapter, ports: Ports) -> None:
        await provide(adapter, premium(ports[0]))
        await adapter.remove("service-1")
        assert (await adapter.remove("service-1")).done == ()

    async def test_a_removal_can_be_rolled_back(self, adapter: Adapter, ports: Ports) -> None:
        await provide(adapter, premium(ports[0]))
        removal = await adapter.remove("service-1")
        await adapter.rollback(removal)
        assert (await adapter.verify(premium(ports[0]))).good
        await adapter.remove("service-1")

    async def test_a_port_in_use_is_not_given_to_another_service(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        await provide(adapter, premium(ports[0]))
        with pytest.raises(Conflict, match="service-1"):
            await adapter.plan(premium(ports[0], service="service-2"))
        await adapter.remove("service-1")

    async def test_a_service_is_not_put_on_two_ports(self, adapter: Adapter, ports: Ports) -> None:
        await provide(adapter, premium(ports[0]))
        with pytest.raises(Conflict, match=ports[0]):
            await adapter.plan(premium(ports[1]))
        await adapter.remove("service-1")

    async def test_of_two_plans_for_one_port_the_later_is_refused(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        plans = [
            await adapter.plan(premium(ports[0], service=service)) for service in ("one", "two")
        ]
        await adapter.apply(plans[0])
        with pytest.raises(Conflict):
            await adapter.apply(plans[1])
        await adapter.remove("one")

    async def test_changes_asked_for_at_once_are_all_done(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        intents = [premium(port, service=f"service-{port}") for port in ports]
        await asyncio.gather(*(provide(adapter, intent) for intent in intents))
        assert [one.port for one in await adapter.services()] == sorted(ports)
        for intent in intents:
            await adapter.remove(intent.service_id)

    async def test_what_somebody_else_changed_since_is_not_rolled_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, premium(ports[0]))
        faster = Intent("service-1", ports[0], downstream=1000 * MBIT, upstream=50 * MBIT)
        await provide(adapter, faster)
        with pytest.raises(Conflict, match="downstream"):
            await adapter.rollback(transaction)
        assert (await adapter.verify(faster)).good
        await adapter.remove("service-1")

    async def test_an_unknown_port_is_refused_by_name(self, adapter: Adapter) -> None:
        with pytest.raises(Rejected, match="no-such-port"):
            await adapter.plan(premium("no-such-port"))

    async def test_an_unknown_port_is_never_as_asked(self, adapter: Adapter) -> None:
        assert not (await adapter.verify(premium("no-such-port"))).good

    async def test_a_rate_below_zero_is_refused(self, adapter: Adapter, ports: Ports) -> None:
        with pytest.raises(Rejected):
            await adapter.plan(Intent("service-1", ports[0], downstream=-1))

    async def test_an_unknown_service_is_not_found(self, adapter: Adapter) -> None:
        assert await adapter.read("no-such-service") is None
        assert (await adapter.remove("no-such-service")).done == ()

    async def test_ports_are_switched_off_and_on(self, adapter: Adapter, ports: Ports) -> None:
        if base.ADMIN not in adapter.capabilities:
            pytest.skip("its ports cannot be switched")
        off = Intent("service-1", ports[0], enabled=False)
        transaction = await provide(adapter, off)
        assert (await adapter.verify(off)).good
        found = await adapter.read("service-1")
        assert found is not None
        assert not found.enabled
        await adapter.rollback(transaction)
        enabled = {port.name for port in (await adapter.inventory()).ports if port.enabled}
        assert ports[0] in enabled

    async def test_a_port_that_is_switched_off_is_no_fault(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if not {base.ADMIN, base.CONDITIONS} <= adapter.capabilities:
            pytest.skip("its ports cannot be switched, or it reports no conditions")
        transaction = await provide(adapter, Intent("service-1", ports[0], enabled=False))
        assert ports[0] not in {one.port for one in await adapter.active_conditions()}
        await adapter.rollback(transaction)

    async def test_counters_only_rise(self, adapter: Adapter, ports: Ports) -> None:
        if base.COUNTERS not in adapter.capabilities:
            pytest.skip("it counts nothing")
        earlier = await adapter.counters(ports[:1])
        later = await adapter.counters(ports[:1])
        assert {one.port for one in earlier} == {ports[0]}
        assert {"octets_in", "octets_out"} <= {one.counter for one in earlier}
        grown = [new.since(old) for new, old in zip(later, earlier, strict=True)]
        assert all(one is not None and one >= 0 for one in grown)

    async def test_what_it_cannot_do_it_says(self, adapter: Adapter, ports: Ports) -> None:
        if base.CONFIRMED not in adapter.capabilities:
            plan = await adapter.plan(premium(ports[0]))
            with pytest.raises(Unsupported):
                await adapter.apply(plan, confirm_within=1)
        if base.USAGE not in adapter.capabilities:
            with pytest.raises(Unsupported):
                await adapter.usage("service-1", datetime.now(UTC) - timedelta(hours=1))
        assert await adapter.services() == []

    async def test_its_errors_name_the_element(self, adapter: Adapter) -> None:
        with pytest.raises(ElementError) as caught:
            await adapter.plan(premium("no-such-port"))
        assert caught.value.element == adapter.target.name
