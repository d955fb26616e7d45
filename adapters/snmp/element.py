"""SNMP v2c and v3 elements: broadband gateways and any other type that a profile describes.

SNMP has no transactions, and agents differ in whether a request that sets several variables is
atomic. Therefore each request sets one variable, a journal records the previous values, and the
result is read back.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Self

from adapters import base, condition_types, effect, planning, stepwise
from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected, Unsupported
from adapters.locks import endpoint_lock
from adapters.mixins import NoUsageRecords, TaggedServices, ThroughputMeasurement
from adapters.observations import CHANGED, RawFault, Sample
from adapters.options import check_options
from adapters.planning import State
from adapters.snmp import interfaces, mib
from adapters.snmp.inventory_reader import InventoryReader
from adapters.snmp.ports import PortIndexes, PortTable
from adapters.snmp.profile import BROADBAND_GATEWAY
from adapters.snmp.profile_files import find_profile
from adapters.snmp.session import RetryPolicy, Session
from adapters.snmp.walk import raise_error
from adapters.snmp.wire.ber import as_int
from adapters.values import (
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Step,
    Target,
    Transaction,
    Verdict,
)

SNMP_PORT = 161
#: Option: further addresses from which the element sends notifications, separated by spaces.
TRAP_ADDRESSES = "trapAddresses"
OPTIONS = frozenset({"profile", "timeout", "retries", "poll", TRAP_ADDRESSES})


class SnmpElement(TaggedServices, NoUsageRecords, ThroughputMeasurement):
    """One element over SNMP; the tag of a port is its ifAlias.

    Options of the target: ``profile``, the name of a type of element (see
    ``profile_files.find_profile``); ``timeout``, the time to wait for a response, in seconds;
    ``retries``, the number of times that a request is sent again; ``poll``, the interval at which
    ``faults`` polls the element, in seconds; ``trapAddresses``, further addresses from which it
    sends notifications; and those of ``adapters.effect``.
    """

    capabilities: ClassVar = frozenset(
        {base.ADMIN, base.COUNTERS, base.FAULTS, base.CONDITIONS, base.EFFECT}
    )

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        options = target.options
        check_options(target, OPTIONS, effect.OPTIONS)
        try:
            timeout, retries = float(options.get("timeout", 1)), int(options.get("retries", 2))
            self._poll_interval = float(options.get("poll", 30))
            self._profile = find_profile(options.get("profile", BROADBAND_GATEWAY.name))
            endpoint = target.endpoint(SNMP_PORT)
        except (ValueError, OSError) as error:
            raise Misconfigured(target.name, f"options or address: {error}") from error
        self._session = Session(target.name, endpoint, secret, RetryPolicy(timeout, retries))
        self._indexes: PortIndexes = {}

    @classmethod
    def setting_names(cls, options: Mapping[str, str]) -> frozenset[str]:
        """Return the settings of the profile that the options name."""
        return planning.setting_names(find_profile(options.get("profile", BROADBAND_GATEWAY.name)))

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__()

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock(self._session.endpoint)

    def _port_table(self) -> PortTable:
        return PortTable(self._session, self._profile, self._indexes)

    def _inventory_reader(self) -> InventoryReader:
        return InventoryReader(self._session, self._profile)

    async def probe(self) -> Facts:
        """Return the facts of the system group and of ENTITY-MIB."""
        async with self._lock():
            return await self._inventory_reader().facts()

    async def inventory(self) -> Inventory:
        """Return the contents of IF-MIB, IP-MIB, ENTITY-MIB and LLDP-MIB, without loopbacks."""
        async with self._lock():
            return await self._inventory_reader().inventory(self._port_table())

    async def services(self) -> list[Observed]:
        """Return the services on all ports with a tag, ordered by port."""
        async with self._lock():
            table = self._port_table()
            tagged = [port for port in await table.read_ports() if port.tag]
            states = [await table.read_settings(port.name) for port in tagged]
        return [
            Observed(
                port.tag,
                port.name,
                {name: value for name, value in state.items() if name != "tag"},
                port.up,
            )
            for port, state in zip(tagged, states, strict=True)
        ]

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to the desired state; see ``Adapter.plan``."""
        async with self._lock():
            table = self._port_table()
            current = await table.read_settings(intent.port, intent.port_index)
            tags = await table.read_tags() if planning.may_be_elsewhere(intent, current) else {}
        return planning.plan(self.target.name, intent, self._profile, current, tags)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Set the variables of the plan, one per request; see ``Adapter.apply``."""
        if confirm_within is not None:
            raise Unsupported(self.target.name, "SNMP has no confirmed commit")
        async with self._lock():
            table = self._port_table()
            current = await table.read_settings(plan.intent.port, plan.intent.port_index)
            planning.check_precondition(plan, current)

            async def apply_step(step: Step) -> None:
                await self._apply_step(table, step, current)

            return await stepwise.apply_steps(plan, plan.steps, apply_step)

    @staticmethod
    async def _apply_step(table: PortTable, step: Step, current: State) -> None:
        """Set a variable unless it has its new value already."""
        if current.get(step.attribute) != step.after:
            await table.read_settings(step.port)  # a restart may have changed the index
            await table.apply_step(step)

    async def verify(self, intent: Intent) -> Verdict:
        """Compare a port with an intent; ``observed`` is empty if there is no such port."""
        async with self._lock():
            try:
                table = self._port_table()
                current = await table.read_settings(intent.port, intent.port_index)
            except Rejected as error:
                if error.reason != "noSuchPort":
                    raise
                current = {}
        expected = planning.desired_state(intent, self._profile, current)
        return planning.compare(self.target.name, expected, current)

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: a variable that is set needs no confirmation."""

    async def rollback(self, transaction: Transaction) -> None:
        """Restore the variables of the transaction, last first; see ``Adapter.rollback``."""
        port, steps = transaction.intent.port, transaction.inverse
        if not steps:
            return
        async with self._lock():
            table = self._port_table()
            current = await table.read_settings(port, transaction.intent.port_index)
            planning.check_unchanged(transaction, current)
            for step in steps:
                await self._apply_step(table, step, current)
            observed = await table.read_settings(port)
        planning.verify_steps(self.target.name, steps, observed)

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the octet counters of IF-MIB and the other counters of the profile.

        The octet counters have 64 bits, or 32 bits where the element has no others.

        Raises:
            Rejected: No counter can be read.
        """
        async with self._lock():
            walk = await self._walk_counters()
            boots = await self._inventory_reader().boots()
        now = datetime.now(UTC)
        names = interfaces.names(walk)
        discontinuities = walk[mib.IF_COUNTER_DISCONTINUITY_TIME].cells
        samples = [
            Sample(
                port=name,
                counter=counter.name,
                value=as_int(value),
                unit=counter.unit,
                taken_at=now,
                epoch=f"{boots}:{as_int(discontinuities.get(index))}",
            )
            for index, name in sorted(names.items(), key=lambda row: row[1])
            if not ports or name in ports
            for counter in self._profile.counters
            if (value := interfaces.counter_value(walk, counter.column, index)) is not None
        ]
        if not samples:
            raise_error(*walk.values())
        return samples

    async def _walk_counters(self) -> interfaces.Walk:
        columns = [counter.column for counter in self._profile.counters]
        walk = await self._session.walk(
            [mib.IF_NAME, mib.IF_DESCR, mib.IF_COUNTER_DISCONTINUITY_TIME, *columns]
        )
        rows = set(interfaces.indexes(walk))
        if any(rows - walk[wide].instances for wide in interfaces.NARROW_COUNTERS if wide in walk):
            walk |= await self._session.walk(list(interfaces.NARROW_COUNTERS.values()))
        return walk

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that should be up and is down.

        The attribute "changed" tells that the port was up since the element started. Source:
        RFC 2863 section 3.1.12 (ifOperStatus), ifLastChange.
        """
        async with self._lock():
            table = self._port_table()
            ports = [port for port in await table.read_ports() if port.has_lost_link]
            changed = await table.read_changed(ports)
        now = datetime.now(UTC)
        return [
            RawFault(
                self.target.name,
                condition_types.LINK_DOWN,
                port.name,
                active=True,
                seen_at=now,
                attributes={"tag": port.tag, CHANGED: port.name in changed},
            )
            for port in ports
            if not {"enabled", "up"} & port.unread
        ]

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield changes of the conditions by polling; ``adapters.snmp.traps`` is faster."""
        before: dict[tuple[str, str], RawFault] = {}
        while True:
            conditions = await self.active_conditions()
            now = {(fault.condition, fault.port): fault for fault in conditions}
            for key in now.keys() - before.keys():
                yield now[key]
            for key in before.keys() - now.keys():
                yield replace(before[key], active=False, seen_at=datetime.now(UTC))
            before = now
            await asyncio.sleep(self._poll_interval)
