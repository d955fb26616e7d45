"""The adapter for Open vSwitch, configured through its database (OVSDB).

A plan is one database transaction with conditions: either all steps are done or none, and only if
the port has not changed since it was read.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Self

from adapters import base, effect, planning
from adapters.credentials import Secret
from adapters.errors import (
    ElementError,
    Misconfigured,
    Rejected,
    Unreachable,
    Unsupported,
)
from adapters.locks import endpoint_lock
from adapters.mixins import NoUsageRecords, TaggedServices, ThroughputMeasurement
from adapters.observations import RawFault, Sample
from adapters.options import check_options
from adapters.ovsdb import operations, projections
from adapters.ovsdb.profile import Profile
from adapters.ovsdb.rows import Row, SwitchSnapshot, optional_value, port_service_id
from adapters.ovsdb.session import Session
from adapters.planning import State
from adapters.values import (
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Setting,
    Target,
    Transaction,
    Verdict,
)

OPTIONS = frozenset({"timeout", "poll", "uplinks", "idle", "upstream", "tls"})


class OvsdbSwitch(TaggedServices, NoUsageRecords, ThroughputMeasurement):
    """One switch; the address of the target is that of its database server.

    Options of the target, besides those of ``adapters.effect``:

    - ``timeout``: longest wait for one answer, in seconds
    - ``poll``: pause before a lost connection for faults is opened again, in seconds
    - ``uplinks``: names of the ports that never carry a service, separated by commas
    - ``idle``: "closed" (default) blocks all traffic on ports without a service, "open" does not
    - ``upstream``: "policing" if the switch is known to police received traffic
    - ``tls``: "yes" or "no" (default)
    """

    category: ClassVar = "switch"
    port_category: ClassVar = "switchPort"
    capabilities: ClassVar = frozenset(
        {base.ATOMIC, base.ADMIN, base.COUNTERS, base.FAULTS, base.CONDITIONS, base.EFFECT}
    )

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        options = target.options
        check_options(target, OPTIONS, effect.OPTIONS)
        try:
            self._session = Session(target, secret)
            self._reconnect_interval = float(options.get("poll", 5))
        except (ValueError, OSError) as error:
            raise Misconfigured(target.name, f"options or address: {error}") from error
        for name, allowed in (("idle", {"closed", "open"}), ("upstream", {"policing"})):
            if name in options and options[name] not in allowed:
                raise Misconfigured(target.name, f"{name} is one of: {', '.join(sorted(allowed))}")
        self._profile = Profile(parks_unused_ports=options.get("idle", "closed") == "closed")
        self._has_policing = "upstream" in options
        self._uplinks = frozenset(options.get("uplinks", "").split(","))

    @classmethod
    def setting_names(cls, options: Mapping[str, str]) -> frozenset[str]:  # noqa: ARG003
        """Return the settings of a port."""
        return frozenset(projections.SETTINGS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock(self._session.endpoint)

    async def _read(self) -> SwitchSnapshot:
        async with self._lock():
            return await self._session.read()

    def _port_row(self, switch: SwitchSnapshot, port: str) -> Row:
        if port not in switch.ports:
            message = f"no port {port!r}"
            raise Rejected(self.target.name, message, path=port, reason="noSuchPort")
        return switch.ports[port]

    def _port_state(self, switch: SwitchSnapshot, row: Row) -> State:
        return {"tag": port_service_id(row)} if row["name"] in self._uplinks else switch.state(row)

    async def probe(self) -> Facts:
        """Return the facts of the switch; its database has no uptime."""
        return projections.facts(await self._read())

    async def inventory(self) -> Inventory:
        """Return the facts, the ports, and the bridges as modules of the switch."""
        switch = await self._read()
        ports = tuple(
            switch.port(row, access=name not in self._uplinks and switch.can_carry_services(row))
            for name, row in switch.ports.items()
        )
        parts = projections.components(switch)
        return Inventory(projections.facts(switch), ports, datetime.now(UTC), components=parts)

    async def services(self) -> list[Observed]:
        """Return every port with the id of a service in its external_ids, ordered by name."""
        return projections.services(await self._read())

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to the desired state; see ``Adapter.plan``.

        Raises:
            Unsupported: The intent has an upstream rate, but the switch does not police.
        """
        for name in intent.settings:
            if name not in projections.SETTINGS:
                message = f"a port has no {name}; it has {', '.join(projections.SETTINGS)}"
                path = f"{intent.port} {name}"
                raise Rejected(self.target.name, message, path=path, reason="noSuchAttribute")
        switch = await self._read()
        current = self._port_state(switch, self._port_row(switch, intent.port))
        unparked = intent
        if intent.present and "parked" in current:
            unparked = replace(intent, settings={**intent.settings, "parked": False})
        plan = planning.plan(self.target.name, unparked, self._profile, current, switch.tags)
        self._check_settings(intent, current)
        return replace(plan, intent=intent)

    def _check_settings(self, intent: Intent, current: State) -> None:
        settings = {**current, **intent.settings}
        if not intent.present:
            return
        if settings["upstream"] and not self._has_policing:
            raise Unsupported(
                self.target.name,
                f"{intent.port} upstream: the switch may silently ignore it; if it is known to"
                " police, set the option upstream=policing",
                path=f"{intent.port} upstream",
            )
        if not settings["vlan"]:
            message = f"{intent.port} vlan: without a VLAN the port would be in all of them"
            path = f"{intent.port} vlan"
            raise Rejected(self.target.name, message, path=path, reason="wrongValue")

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do a plan in one transaction and wait until it takes effect; see ``Adapter.apply``."""
        if confirm_within is not None:
            raise Unsupported(self.target.name, "OVSDB has no confirmed commit")
        target = {step.attribute: step.after for step in plan.steps}
        async with self._lock():
            switch = await self._session.read()
            row = self._port_row(switch, plan.intent.port)
            planning.check_precondition(plan, self._port_state(switch, row))
            await self._change(switch, row, target)
        return Transaction(plan.element, plan.intent, plan.steps)

    async def _change(self, switch: SwitchSnapshot, row: Row, target: State) -> None:
        current = self._port_state(switch, row)
        if all(current[name] == value for name, value in target.items()):
            if target and not await self._session.wait_until_applied():
                raise Unreachable(self.target.name, "the switch does not apply its configuration")
            return
        await self._session.commit(operations.port_operations(switch, row, {**current, **target}))

    async def verify(self, intent: Intent) -> Verdict:
        """Compare the port with the intent, and check that the switch has applied its database."""
        async with self._lock():
            switch = await self._session.read()
            is_applied = await self._session.wait_until_applied()
        row = switch.ports.get(intent.port)
        current: dict[str, Setting] = {}
        if row is not None:
            failed = optional_value(switch.interface(row).get("error"))
            current = {**self._port_state(switch, row), "inForce": is_applied and not failed}
        expected = planning.desired_state(intent, self._profile, current) | {"inForce": True}
        return planning.compare(self.target.name, expected, current)

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: changes need no confirmation."""

    async def rollback(self, transaction: Transaction) -> None:
        """Do the inverse steps in one database transaction; see ``Adapter.rollback``."""
        if not transaction.done:
            return
        target = {step.attribute: step.after for step in transaction.inverse}
        port = transaction.intent.port
        async with self._lock():
            switch = await self._session.read()
            row = self._port_row(switch, port)
            planning.check_unchanged(transaction, self._port_state(switch, row))
            await self._change(switch, row, target)
            switch = await self._session.read()
            observed = self._port_state(switch, self._port_row(switch, port))
        planning.verify_steps(self.target.name, transaction.inverse, observed)

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the counters of the switch, which updates them every five seconds."""
        return list(projections.counters(await self._read(), ports, datetime.now(UTC)))

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that is enabled and has no link.

        Raises:
            Unreachable: The switch has not yet reported the states of its ports.
        """
        switch = await self._read()
        if not switch.has_link_states:
            message = "the switch has not yet reported the states of its ports"
            raise Unreachable(self.target.name, message)
        return projections.conditions(self.target.name, switch)

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield conditions as the database reports them; reconnect when the connection is lost.

        Conditions stay active while the connection is lost: the poller reports that the switch is
        unreachable.
        """
        before: dict[str, RawFault] = {}
        while True:
            try:
                async with (
                    self._session.monitor() as monitor,
                    aclosing(monitor.snapshots()) as snapshots,
                ):
                    async for switch in snapshots:
                        if switch.has_link_states:
                            conditions = projections.conditions(self.target.name, switch)
                            now = {condition.port: condition for condition in conditions}
                            for fault in _condition_changes(before, now):
                                yield fault
                            before = now
            except ElementError:
                await asyncio.sleep(self._reconnect_interval)


def _condition_changes(
    before: Mapping[str, RawFault], now: Mapping[str, RawFault]
) -> list[RawFault]:
    """Return the conditions that have begun, then those that have ended."""
    begun = [now[port] for port in sorted(now.keys() - before.keys())]
    ended = [before[port] for port in sorted(before.keys() - now.keys())]
    return begun + [replace(fault, active=False, seen_at=datetime.now(UTC)) for fault in ended]
