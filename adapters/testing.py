"""Tests that every adapter must pass, in this repository or in another.

To test your adapter, derive a class from ``AdapterContract`` and define these fixtures. The pytest
plugin of anyio runs the asynchronous ones:

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    class TestMyElement(AdapterContract):
        settings = {"vlan": 100}
        changed = {"vlan": 200}
        wrong = {"vlan": 5000}

        @pytest.fixture
        async def adapter(self):
            async with MyElement(target, secret) as adapter:
                yield adapter

        @pytest.fixture
        def ports(self):
            return ("port-1", "port-2")   # two ports without a service, in order

The class attributes describe the element; the defaults describe a broadband gateway. The tests
expect an element without services. If the adapter is correct, they restore the state of the ports.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from adapters import base
from adapters.base import Adapter
from adapters.errors import Conflict, ElementError, Rejected, Unsupported
from adapters.values import Intent, Setting, Transaction

MBIT = 1_000_000
RATES = {"downstream": 100 * MBIT, "upstream": 50 * MBIT}
Ports = tuple[str, str]


def premium(port: str, *, service: str = "service-1") -> Intent:
    """Return an intent of 100 Mbit/s downstream and 50 Mbit/s upstream."""
    return Intent(service, port, RATES)


async def provide(adapter: Adapter, intent: Intent) -> Transaction:
    """Plan and apply an intent."""
    return await adapter.apply(await adapter.plan(intent))


@pytest.mark.anyio
class AdapterContract:
    """Tests shared by all adapters.

    Attributes:
        settings: The settings of a new service.
        changed: The settings after a change; each value differs from the one in ``settings``.
        wrong: A setting that the adapter supports, with a value that is never valid.
        switched: The settings that suspend a service; used only with the capability "admin".
        unknown_port: The name of a port that no element can have.
        fixed_ports: False if a port exists only while it has a service (a subscriber). The
            inventory does not list it before.
        tagged: False if the element cannot store the id of a service. The service cannot be found
            by its id then; only the operator's inventory knows which service uses a port.
        patience: Maximum delay in seconds after which the element has reverted an unconfirmed
            change, in addition to ``confirm_within``; used only with the capability "confirmed".
    """

    settings: ClassVar[Mapping[str, Setting]] = RATES
    changed: ClassVar[Mapping[str, Setting]] = {"downstream": 1000 * MBIT, "upstream": 500 * MBIT}
    wrong: ClassVar[Mapping[str, Setting]] = {"downstream": -1}
    switched: ClassVar[Mapping[str, Setting]] = {"enabled": False}
    unknown_port: ClassVar[str] = "no-such-port"
    fixed_ports: ClassVar[bool] = True
    tagged: ClassVar[bool] = True
    patience: ClassVar[float] = 5.0

    def intent(self, port: str, *, service: str = "service-1") -> Intent:
        """Return the intent of a new service."""
        return Intent(service, port, self.settings)

    def changed_intent(self, port: str) -> Intent:
        """Return the intent of the service after a change."""
        return Intent("service-1", port, self.changed)

    async def remove_from(self, adapter: Adapter, port: str, *, service: str = "service-1") -> None:
        """Remove a service from its port."""
        await provide(adapter, Intent(service, port, present=False))

    def require_tags(self) -> None:
        """Skip the test if the element cannot store the id of a service."""
        if not self.tagged:
            pytest.skip("the element cannot store the id of a service")

    async def test_the_adapter_has_all_operations(self, adapter: Adapter) -> None:
        assert isinstance(adapter, Adapter)
        assert adapter.capabilities <= base.CAPABILITIES
        assert base.EFFECT not in adapter.capabilities or isinstance(adapter, base.Measuring)

    async def test_the_names_of_the_settings_are_those_of_an_intent(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if (setting_names := getattr(adapter, "setting_names", None)) is None:
            pytest.skip("the adapter does not say which settings an element has")
        names = setting_names(adapter.target.options)
        assert {*self.settings, *self.changed, *self.wrong} <= names
        assert base.ADMIN not in adapter.capabilities or names >= self.switched.keys()
        for name in (*names, "shoeSize"):
            wrong = {**self.settings, name: b""}
            with pytest.raises(Rejected) as refusal:
                await adapter.plan(Intent("service-1", ports[0], wrong))  # type: ignore[arg-type]
            assert (refusal.value.reason == "noSuchAttribute") == (name not in names), name

    async def test_probe_returns_the_facts(self, adapter: Adapter) -> None:
        facts = await adapter.probe()
        assert facts.software
        assert facts.uptime >= 0

    async def test_ports_are_unique_and_ordered_by_name(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        inventory = await adapter.inventory()
        names = [port.name for port in inventory.ports]
        assert names == sorted(set(names))
        assert inventory.taken_at.tzinfo is UTC
        if self.fixed_ports:
            assert set(ports) <= {port.name for port in inventory.ports if port.access}

    async def test_components_and_neighbours_refer_to_known_ones(self, adapter: Adapter) -> None:
        inventory = await adapter.inventory()
        known = {""}
        for component in inventory.components:
            assert component.parent in known
            assert component.name not in known
            known.add(component.name)
        names = {port.name for port in inventory.ports}
        assert {neighbour.port for neighbour in inventory.neighbours} <= names

    async def test_planning_changes_nothing(self, adapter: Adapter, ports: Ports) -> None:
        plan = await adapter.plan(self.intent(ports[0]))
        assert plan.steps
        assert await adapter.services() == []

    async def test_an_applied_service_is_on_the_element(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        intent = self.intent(ports[0])
        transaction = await provide(adapter, intent)
        verdict = await adapter.verify(intent)
        assert verdict.good, verdict.difference
        (service,) = await adapter.services()
        assert service.port == ports[0]
        assert service.settings.items() >= intent.settings.items()
        if self.tagged:
            assert service == await adapter.read("service-1")
            assert service.service_id == "service-1"
        await adapter.rollback(transaction)

    async def test_a_plan_for_an_applied_intent_has_no_steps(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, self.intent(ports[0]))
        assert (await adapter.plan(self.intent(ports[0]))).steps == ()
        await adapter.rollback(transaction)

    async def test_applying_a_plan_twice_is_the_same_as_once(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        plan = await adapter.plan(self.intent(ports[0]))
        first = await adapter.apply(plan)
        second = await adapter.apply(plan)
        assert second.done == first.done
        await adapter.rollback(second)
        assert await adapter.services() == []

    async def test_rolling_back_a_change_restores_the_old_settings(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        first = await provide(adapter, self.intent(ports[0]))
        second = await provide(adapter, self.changed_intent(ports[0]))
        assert (await adapter.verify(self.changed_intent(ports[0]))).good
        await adapter.rollback(second)
        assert (await adapter.verify(self.intent(ports[0]))).good
        await adapter.rollback(first)

    async def test_rolling_back_twice_is_the_same_as_once(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, self.intent(ports[0]))
        await adapter.rollback(transaction)
        await adapter.rollback(transaction)
        assert await adapter.services() == []

    async def test_a_plan_that_was_not_applied_can_be_rolled_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        plan = await adapter.plan(self.intent(ports[0]))
        await adapter.rollback(plan.attempted)
        assert await adapter.services() == []

    async def test_a_setting_that_an_intent_omits_is_not_changed(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        await provide(adapter, self.intent(ports[0]))
        bare = Intent("service-1", ports[0])
        assert (await adapter.plan(bare)).steps == ()
        assert (await adapter.verify(bare)).good
        await self.remove_from(adapter, ports[0])

    async def test_an_intent_that_is_not_present_removes_the_service(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        await provide(adapter, self.intent(ports[0]))
        await self.remove_from(adapter, ports[0])
        assert await adapter.services() == []
        assert (await adapter.verify(Intent("service-1", ports[0], present=False))).good

    async def test_remove_finds_and_removes_the_service(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        self.require_tags()
        await provide(adapter, self.intent(ports[0]))
        await adapter.remove("service-1")
        assert await adapter.read("service-1") is None
        assert (await adapter.verify(Intent("service-1", ports[0], present=False))).good

    async def test_removing_twice_is_the_same_as_once(self, adapter: Adapter, ports: Ports) -> None:
        self.require_tags()
        await provide(adapter, self.intent(ports[0]))
        await adapter.remove("service-1")
        assert (await adapter.remove("service-1")).done == ()

    async def test_a_removal_can_be_rolled_back(self, adapter: Adapter, ports: Ports) -> None:
        await provide(adapter, self.intent(ports[0]))
        removal = await provide(adapter, Intent("service-1", ports[0], present=False))
        await adapter.rollback(removal)
        assert (await adapter.verify(self.intent(ports[0]))).good
        await self.remove_from(adapter, ports[0])

    async def test_a_port_in_use_by_another_service_is_a_conflict(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        self.require_tags()
        await provide(adapter, self.intent(ports[0]))
        with pytest.raises(Conflict, match="service-1"):
            await adapter.plan(self.intent(ports[0], service="service-2"))
        await adapter.remove("service-1")

    async def test_a_second_port_for_a_service_is_a_conflict(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        self.require_tags()
        await provide(adapter, self.intent(ports[0]))
        with pytest.raises(Conflict, match=re.escape(ports[0])):
            await adapter.plan(self.intent(ports[1]))
        await adapter.remove("service-1")

    async def test_the_second_of_two_plans_for_one_port_is_a_conflict(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        first = await adapter.plan(self.intent(ports[0]))
        second = await adapter.plan(Intent("service-2", ports[0], self.changed))
        await adapter.apply(first)
        with pytest.raises(Conflict):
            await adapter.apply(second)
        await self.remove_from(adapter, ports[0])

    async def test_concurrent_changes_are_all_applied(self, adapter: Adapter, ports: Ports) -> None:
        choices = (self.settings, {**self.settings, **self.changed})
        intents = [
            Intent(f"service-{port}", port, settings)
            for port, settings in zip(ports, choices, strict=True)
        ]
        await asyncio.gather(*(provide(adapter, intent) for intent in intents))
        assert [service.port for service in await adapter.services()] == sorted(ports)
        for intent in intents:
            assert (await adapter.verify(intent)).good
            await self.remove_from(adapter, intent.port, service=intent.service_id)

    async def test_a_port_that_was_changed_since_is_not_rolled_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, self.intent(ports[0]))
        await provide(adapter, self.changed_intent(ports[0]))
        with pytest.raises(Conflict, match="|".join(map(re.escape, self.changed))):
            await adapter.rollback(transaction)
        assert (await adapter.verify(self.changed_intent(ports[0]))).good
        await self.remove_from(adapter, ports[0])

    async def test_an_unknown_port_is_rejected_by_name(self, adapter: Adapter) -> None:
        with pytest.raises(Rejected, match=re.escape(self.unknown_port)):
            await adapter.plan(self.intent(self.unknown_port))

    async def test_an_intent_for_an_unknown_port_is_not_verified(self, adapter: Adapter) -> None:
        assert not (await adapter.verify(self.intent(self.unknown_port))).good

    async def test_an_invalid_value_is_rejected(self, adapter: Adapter, ports: Ports) -> None:
        with pytest.raises(Rejected, match="|".join(map(re.escape, self.wrong))):
            await adapter.plan(Intent("service-1", ports[0], {**self.settings, **self.wrong}))

    async def test_a_value_of_the_wrong_type_is_rejected(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        for name, value in self.settings.items():
            mistyped: Setting = 7 if isinstance(value, str) else "seven"
            with pytest.raises(Rejected, match=re.escape(name)):
                await adapter.plan(Intent("service-1", ports[0], {**self.settings, name: mistyped}))

    async def test_an_unknown_setting_is_rejected(self, adapter: Adapter, ports: Ports) -> None:
        with pytest.raises(Rejected, match="shoeSize") as caught:
            await adapter.plan(Intent("service-1", ports[0], {**self.settings, "shoeSize": 43}))
        assert caught.value.reason == "noSuchAttribute"

    async def test_an_unknown_service_is_not_found(self, adapter: Adapter) -> None:
        self.require_tags()
        assert await adapter.read("no-such-service") is None
        assert (await adapter.remove("no-such-service")).done == ()

    async def test_a_service_is_suspended_and_resumed(self, adapter: Adapter, ports: Ports) -> None:
        if base.ADMIN not in adapter.capabilities:
            pytest.skip("the element cannot suspend services")
        await provide(adapter, self.intent(ports[0]))
        off = Intent("service-1", ports[0], self.switched)
        transaction = await provide(adapter, off)
        assert (await adapter.verify(off)).good
        assert (await adapter.verify(self.intent(ports[0]))).good
        (service,) = await adapter.services()
        assert service.settings.items() >= self.switched.items()
        await adapter.rollback(transaction)
        (service,) = await adapter.services()
        assert all(service.settings[name] != value for name, value in self.switched.items())
        await self.remove_from(adapter, ports[0])

    async def test_removing_a_suspended_service_enables_its_port(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if base.ADMIN not in adapter.capabilities or not self.fixed_ports:
            pytest.skip("the ports of the element cannot be disabled")
        await provide(adapter, Intent("service-1", ports[0], {**self.settings, **self.switched}))
        await self.remove_from(adapter, ports[0])
        assert ports[0] in {port.name for port in (await adapter.inventory()).ports if port.enabled}

    async def test_a_disabled_port_is_no_active_condition(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if not {base.ADMIN, base.CONDITIONS} <= adapter.capabilities:
            pytest.skip("the element cannot disable ports, or reports no conditions")
        off = Intent("service-1", ports[0], {**self.settings, **self.switched})
        transaction = await provide(adapter, off)
        assert ports[0] not in {fault.port for fault in await adapter.active_conditions()}
        await adapter.rollback(transaction)

    async def test_counters_do_not_decrease(self, adapter: Adapter, ports: Ports) -> None:
        if base.COUNTERS not in adapter.capabilities:
            pytest.skip("the element has no counters")
        earlier = await adapter.counters(ports[:1])
        later = await adapter.counters(ports[:1])
        assert {sample.port for sample in earlier} == {ports[0]}
        assert {"octets_in", "octets_out"} <= {sample.counter for sample in earlier}
        increases = [new.increase_since(old) for new, old in zip(later, earlier, strict=True)]
        assert all(increase is not None and increase >= 0 for increase in increases)

    async def test_a_confirmed_change_stays(self, adapter: Adapter, ports: Ports) -> None:
        if base.CONFIRMED not in adapter.capabilities:
            pytest.skip("the element has no confirmed commit")
        intent = self.intent(ports[0])
        transaction = await adapter.apply(await adapter.plan(intent), confirm_within=2)
        assert transaction.token
        assert (await adapter.verify(intent)).good
        await adapter.confirm(transaction)
        await asyncio.sleep(3)
        assert (await adapter.verify(intent)).good
        await self.remove_from(adapter, ports[0])

    async def test_an_unconfirmed_change_is_reverted(self, adapter: Adapter, ports: Ports) -> None:
        if base.CONFIRMED not in adapter.capabilities:
            pytest.skip("the element has no confirmed commit")
        transaction = await adapter.apply(
            await adapter.plan(self.intent(ports[0])), confirm_within=1
        )
        for _ in range(int(1 + self.patience)):
            if not await adapter.services():
                break
            await asyncio.sleep(1.2)  # netconfd checks its timers after a second without requests
        assert await adapter.services() == []
        await adapter.rollback(transaction)
        assert await adapter.services() == []

    async def test_an_unconfirmed_change_can_be_rolled_back(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if base.CONFIRMED not in adapter.capabilities:
            pytest.skip("the element has no confirmed commit")
        plan = await adapter.plan(self.intent(ports[0]))
        await adapter.rollback(await adapter.apply(plan, confirm_within=30))
        assert await adapter.services() == []
        await adapter.rollback(await provide(adapter, self.intent(ports[0])))

    async def test_confirming_a_final_change_does_nothing(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        transaction = await provide(adapter, self.intent(ports[0]))
        await adapter.confirm(transaction)
        assert (await adapter.verify(self.intent(ports[0]))).good
        await adapter.rollback(transaction)

    async def test_operations_without_their_capability_are_unsupported(
        self, adapter: Adapter, ports: Ports
    ) -> None:
        if base.CONFIRMED not in adapter.capabilities:
            plan = await adapter.plan(self.intent(ports[0]))
            with pytest.raises(Unsupported):
                await adapter.apply(plan, confirm_within=1)
        if base.USAGE not in adapter.capabilities:
            with pytest.raises(Unsupported):
                await adapter.usage("service-1", datetime.now(UTC) - timedelta(hours=1))
        if not self.tagged:
            with pytest.raises(Unsupported):
                await adapter.read("service-1")
        assert await adapter.services() == []

    async def test_errors_name_the_element(self, adapter: Adapter) -> None:
        with pytest.raises(ElementError) as caught:
            await adapter.plan(self.intent(self.unknown_port))
        assert caught.value.element == adapter.target.name
