"""SNMP v2c and v3 elements: broadband gateways, and whatever else a profile describes.

SNMP has no transactions, and agents differ in whether several variables in one request are one
change. So each request sets one variable, a journal remembers what it was before, and what is
asked for is read back.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Self

from adapters import base, effect, planning
from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    ElementError,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unsupported,
)
from adapters.locks import endpoint_lock
from adapters.observations import RawFault, Sample, UsageRecord
from adapters.snmp import mib
from adapters.snmp.inventory_reader import InventoryReader
from adapters.snmp.ports import PortTable, as_int, as_text
from adapters.snmp.profile import BROADBAND_GATEWAY
from adapters.snmp.profile_files import find_profile
from adapters.snmp.session import RetryPolicy, Session
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
OPTIONS = frozenset({"profile", "timeout", "retries", "poll"})


class SnmpElement:
    """One element over SNMP.

    Options of the target: ``profile`` (the name of a type of element, see ``profile_files.find_profile``),
    ``timeout`` of one answer and ``poll``, the pause between two looks for faults, both in
    seconds, and ``retries``.
    """

    capabilities: ClassVar = frozenset(
        {base.ADMIN, base.COUNTERS, base.FAULTS, base.CONDITIONS, base.EFFECT}
    )

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        options = target.options
        if unknown := sorted(set(options) - OPTIONS - effect.OPTIONS):
            raise Misconfigured(target.name, f"no such option: {', '.join(unknown)}")
        try:
            patience = RetryPolicy(float(options.get("timeout", 1)), int(options.get("retries", 2)))
            self._poll_interval = float(options.get("poll", 30))
            self._profile = find_profile(options.get("profile", BROADBAND_GATEWAY.name))
            endpoint = target.endpoint(SNMP_PORT)
        except (ValueError, OSError) as error:
            raise Misconfigured(target.name, f"options or address: {error}") from error
        self._session = Session(target.name, endpoint, secret, patience)

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__()

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock(self._session.endpoint)

    def _ports(self) -> PortTable:
        return PortTable(self._session, self._profile)

    async def probe(self) -> Facts:
        """Return what the element is, as its system group and ENTITY-MIB say."""
        async with self._lock():
            return await self._inventory_reader().facts()

    def _inventory_reader(self) -> InventoryReader:
        return InventoryReader(self._session, self._profile)

    async def inventory(self) -> Inventory:
        """Return what IF-MIB, IP-MIB, ENTITY-MIB and LLDP-MIB say, loopbacks left out."""
        async with self._lock():
            return await self._inventory_reader().inventory(self._ports())

    async def services(self) -> list[Observed]:
        """Return every port with a tag on it, ordered by name."""
        async with self._lock():
            ports = self._ports()
            tagged = [port for port in await ports.read_ports() if port.tag]
            found = [(port, await ports.read_settings(port.name)) for port in tagged]
        return [
            Observed(
                port.tag,
                port.name,
                {name: value for name, value in settings.items() if name != "tag"},
                port.up,
            )
            for port, settings in found
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Return the service whose id is the tag of a port."""
        found = [one for one in await self.services() if one.service_id == service_id]
        if len(found) > 1:
            message = f"service {service_id!r} is on {', '.join(one.port for one in found)}"
            raise Conflict(self.target.name, message)
        return found[0] if found else None

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to what is asked; see ``Adapter.plan``."""
        async with self._lock():
            ports = self._ports()
            current = await ports.read_settings(intent.port)
            tags = await ports.read_tags()
        return planning.plan(self.target.name, intent, self._profile, current, tags)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Set what the plan says, one variable a request; see ``Adapter.apply``."""
        if confirm_within is not None:
            raise Unsupported(self.target.name, "SNMP has no confirmed commit")
        done: tuple[Step, ...] = ()
        async with self._lock():
            ports = self._ports()
            current = await ports.read_settings(plan.intent.port)
            planning.check_precondition(plan, current)
            for step in plan.steps:
                try:
                    if current.get(step.attribute) != step.after:
                        await ports.read_settings(plan.intent.port)  # the index may have moved
                        await ports.apply_step(step)
                except ElementError as error:
                    done += () if _is_without_effect(error) else (step,)
                    if not done:
                        raise
                    transaction = Transaction(plan.element, plan.intent, done)
                    raise PartiallyApplied(transaction, error) from error
                done += (step,)
        return Transaction(plan.element, plan.intent, done)

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the port is as asked; what it cannot be is missing in ``observed``."""
        async with self._lock():
            try:
                current = await self._ports().read_settings(intent.port)
            except Rejected as error:
                if error.reason != "noSuchPort":
                    raise
                current = {}
        expected = planning.desired_state(intent, self._profile, current)
        observed = {name: current[name] for name in expected if name in current}
        return Verdict(self.target.name, expected, observed, datetime.now(UTC))

    async def measure(self, intent: Intent) -> Verdict:
        """Return what the customer gets; see ``adapters.effect``."""
        return await effect.measure(self.target, intent)

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: what SNMP sets lasts at once."""

    async def rollback(self, transaction: Transaction) -> None:
        """Set back what the transaction set, last first; see ``Adapter.rollback``."""
        port = transaction.intent.port
        steps = transaction.inverse
        if not steps:
            return
        async with self._lock():
            ports = self._ports()
            current = await ports.read_settings(port)
            planning.check_unchanged(transaction, current)
            for step in steps:
                if current.get(step.attribute) != step.after:
                    await ports.apply_step(step)
            observed = await ports.read_settings(port)
        expected = {step.attribute: step.after for step in steps}
        verdict = Verdict(self.target.name, expected, observed, datetime.now(UTC))
        if not verdict.good:
            raise NotVerified(verdict)

    async def remove(self, service_id: str) -> Transaction:
        """Lift the limits and wipe the tag off the port that has it."""
        found = await self.read(service_id)
        if found is None:
            return Transaction(self.target.name, Intent(service_id, "", present=False))
        return await self.apply(await self.plan(Intent(service_id, found.port, present=False)))

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return IF-MIB's 64-bit octets and the other counters of the profile."""
        columns = [one.column for one in self._profile.counters]
        extra = [mib.IF_NAME, mib.IF_COUNTER_DISCONTINUITY_TIME]
        async with self._lock():
            table = await self._session.table([*extra, *columns])
            boots = await self._inventory_reader().boots()
        now = datetime.now(UTC)
        return [
            Sample(name, one.name, as_int(value), one.unit, now, f"{boots}:{since}")
            for index, name in sorted(
                ((index, as_text(raw)) for index, raw in table[mib.IF_NAME].items()),
                key=lambda pair: pair[1],
            )
            if not ports or name in ports
            for since in [as_int(table[mib.IF_COUNTER_DISCONTINUITY_TIME].get(index))]
            for one in self._profile.counters
            if (value := table[one.column].get(index)) is not None
        ]

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:
        """Refuse: an SNMP element keeps no records; usage comes from its counters."""
        raise Unsupported(self.target.name, f"no usage records ({service_id}, {since:%F})")

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that is switched on and not working."""
        async with self._lock():
            ports = await self._ports().read_ports()
        now = datetime.now(UTC)
        return [
            RawFault(
                self.target.name,
                mib.LINK_DOWN,
                port.name,
                active=True,
                seen_at=now,
                attributes={"tag": port.tag},
            )
            for port in ports
            if port.enabled and not port.up
        ]

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield conditions as polling finds them; traps (``adapters.snmp.traps``) tell them sooner."""
        before: dict[tuple[str, str], RawFault] = {}
        while True:
            now = {(one.condition, one.port): one for one in await self.active_conditions()}
            for key in now.keys() - before.keys():
                yield now[key]
            for key in before.keys() - now.keys():
                yield replace(before[key], active=False, seen_at=datetime.now(UTC))
            before = now
            await asyncio.sleep(self._poll_interval)


def _is_without_effect(error: ElementError) -> bool:
    """Whether a failed request has surely changed nothing."""
    return isinstance(error, Rejected) and error.reason != "undoFailed"
