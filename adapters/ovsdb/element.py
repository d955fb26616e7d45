"""A carrier-Ethernet switch that is configured by its database: Open vSwitch over OVSDB.

The database has transactions with conditions, so a plan is one: all of it is done, and only if
the port still is as it was read.
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
    """One switch; its address is that of its database server.

    Options of the target: ``timeout`` of one answer and ``poll``, the pause before a lost
    connection for faults is made again, both in seconds; ``uplinks``, the names of ports that
    never carry a service, separated by commas; ``idle``, whether a port without a service is
    "closed" (carries nothing) or "open"; ``upstream``, "policing" where the switch is known to
    police what it receives; ``tls``, "yes" or "no"; and those of ``adapters.effect``.
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
            message = f"there is no port {port!r}"
            raise Rejected(self.target.name, message, path=port, reason="noSuchPort")
        return switch.ports[port]

    def _port_state(self, switch: SwitchSnapshot, row: Row) -> State:
        return {"tag": port_service_id(row)} if row["name"] in self._uplinks else switch.state(row)

    async def probe(self) -> Facts:
        """Return what the switch is; its database does not say since when it runs."""
        return projections.facts(await self._read())

    async def inventory(self) -> Inventory:
        """Return facts, ports, and the bridges of the switch as its modules."""
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
        """Return the steps to what is asked; see ``Adapter.plan``.

        Raises:
            Unsupported: A rate from the customer is asked of a switch that does not police.
        """
        for name in intent.settings:
            if name not in projections.SETTINGS:
                message = f"a port has no {name}; it has {', '.join(projections.SETTINGS)}"
                path = f"{intent.port} {name}"
                raise Rejected(self.target.name, message, path=path, reason="noSuchAttribute")
        switch = await self._read()
        current = self._port_state(switch, self._port_row(switch, intent.port))
        asked = intent
        if intent.present and "parked" in current:
            asked = replace(intent, settings={**intent.settings, "parked": False})
        found = planning.plan(self.target.name, asked, self._profile, current, switch.tags)
        self._check_settings(intent, current)
        return replace(found, intent=intent)

    def _check_settings(self, intent: Intent, current: State) -> None:
        settings = {**current, **intent.settings}
        if not intent.present:
            return
        if settings["upstream"] and not self._has_policing:
            raise Unsupported(
                self.target.name,
                f"{intent.port} upstream: the switch may ignore it without a word; where it is"
                " known to police, the option upstream=policing says so",
                path=f"{intent.port} upstream",
            )
        if not settings["vlan"]:
            message = f"{intent.port} vlan: without one the port would be in all"
            path = f"{intent.port} vlan"
            raise Rejected(self.target.name, message, path=path, reason="wrongValue")

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do a plan in one transaction, and wait until it is in force; see ``Adapter.apply``."""
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
                raise Unreachable(self.target.name, "the switch is at a standstill")
            return
        await self._session.commit(operations.port_operations(switch, row, {**current, **target}))

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the port is as asked and the switch has taken that over."""
        async with self._lock():
            switch = await self._session.read()
            in_force = await self._session.wait_until_applied()
        row = switch.ports.get(intent.port)
        current: dict[str, Setting] = {}
        if row is not None:
            failed = optional_value(switch.interface(row).get("error"))
            current = {**self._port_state(switch, row), "inForce": in_force and not failed}
        expected = planning.desired_state(intent, self._profile, current) | {"inForce": True}
        return planning.compare(self.target.name, expected, current)

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: what is committed lasts at once."""

    async def rollback(self, transaction: Transaction) -> None:
        """Set back what the transaction set, in one transaction; see ``Adapter.rollback``."""
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
        """Return what the switch has counted; it looks itself every five seconds."""
        return list(projections.counters(await self._read(), ports, datetime.now(UTC)))

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that is switched on and has no link.

        Raises:
            Unreachable: The switch has not told its database yet how its ports are.
        """
        switch = await self._read()
        if not switch.has_link_states:
            raise Unreachable(self.target.name, "the switch does not say how its ports are")
        return projections.conditions(self.target.name, switch)

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield conditions as the database reports them; a lost connection is made again."""
        before: dict[str, RawFault] = {}
        while True:
            try:
                async with self._session.monitor() as watch, aclosing(watch.snapshots()) as states:
                    async for switch in states:
                        if switch.has_link_states:
                            now = projections.conditions(self.target.name, switch)
                            later = {one.port: one for one in now}
                            for fault in _condition_changes(before, later):
                                yield fault
                            before = later
            except ElementError:  # polling tells that it is gone; conditions last meanwhile
                await asyncio.sleep(self._reconnect_interval)


def _condition_changes(
    before: Mapping[str, RawFault], now: Mapping[str, RawFault]
) -> list[RawFault]:
    """Return the conditions that have come, and those that have gone."""
    come = [now[port] for port in sorted(now.keys() - before.keys())]
    gone = [before[port] for port in sorted(before.keys() - now.keys())]
    return come + [replace(one, active=False, seen_at=datetime.now(UTC)) for one in gone]
