"""An adapter in a package of its own: a cross-connect that keeps its ports in a JSON file.

The file stands for whatever the element speaks: ``_read`` and ``_write`` are the only functions
that touch it. Planning, preconditions and the order of steps are those of ``adapters.planning``.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from adapters import base, planning
from adapters.credentials import Secret
from adapters.errors import Misconfigured, NotVerified, Rejected, Unreachable, Unsupported
from adapters.locks import endpoint_lock
from adapters.observations import RawFault, Sample, UsageRecord
from adapters.values import (
    Component,
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Port,
    Setting,
    Step,
    Target,
    Transaction,
    Verdict,
)

VLANS = range(1, 4095)
DEFAULT_SETTINGS: dict[str, Setting] = {"tag": "", "vlan": 0, "enabled": True}


@dataclass(frozen=True)
class Attribute:
    """One thing that can be set on a port."""

    name: str
    value_type: type
    absent: Setting

    def is_valid_type(self, setting: Setting) -> bool:
        """Whether a value is of its kind."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return why the element cannot hold a value; empty if it can."""
        if not self.is_valid_type(setting):
            return f"expected {self.value_type.__name__}"
        if self.name == "vlan" and setting != 0 and setting not in VLANS:
            return "a VLAN is 1 to 4094"
        return ""


class Profile:
    """What can be set, in the order in which it is set."""

    attributes = tuple(
        Attribute(name, type(value), value) for name, value in DEFAULT_SETTINGS.items()
    )

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of a name."""
        return next(one for one in self.attributes if one.name == name)


class CrossConnect:
    """One cross-connect; the option ``file`` of the target says where its ports are."""

    capabilities: ClassVar = frozenset({base.ADMIN, base.ATOMIC})

    def __init__(self, target: Target, secret: Secret) -> None:
        if "file" not in target.options:
            raise Misconfigured(target.name, "the option file is missing")
        self.target = target
        self._file = Path(target.options["file"])
        self._secret = secret  # this element wants none
        self._start_time = time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock((self.target.address, 0))

    def _read(self) -> dict[str, dict[str, Setting]]:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Unreachable(self.target.name, f"no usable answer: {error}") from error
        return {name: {**DEFAULT_SETTINGS, **settings} for name, settings in found.items()}

    def _write(self, ports: dict[str, dict[str, Setting]]) -> None:
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(ports), "utf-8")
            fresh.replace(self._file)
        except OSError as error:
            raise Unreachable(self.target.name, f"cannot be changed: {error}") from error

    def _port_settings(self, ports: dict[str, dict[str, Setting]], name: str) -> dict[str, Setting]:
        if name not in ports:
            known = ", ".join(sorted(ports)) or "none"
            message = f"no port {name!r}; it has {known}"
            raise Rejected(self.target.name, message, path=name, reason="noSuchPort")
        return ports[name]

    async def probe(self) -> Facts:
        """Return what the element is."""
        self._read()
        uptime = time.monotonic() - self._start_time
        return Facts(self.target.name, "example", "XC-1", "1.0", "", uptime, 0)

    async def inventory(self) -> Inventory:
        """Return facts, ports and the one chassis."""
        ports = tuple(
            Port(
                name=name,
                index=name,
                tag=str(one["tag"]),
                enabled=bool(one["enabled"]),
                up=True,
                speed=0,
                mac="",
                access=True,
            )
            for name, one in sorted(self._read().items())
        )
        chassis = Component("chassis", "chassis", model="XC-1")
        return Inventory(await self.probe(), ports, datetime.now(UTC), (chassis,))

    async def services(self) -> list[Observed]:
        """Return every port with a tag on it, ordered by name."""
        return [
            Observed(
                str(one["tag"]),
                name,
                {key: value for key, value in one.items() if key != "tag"},
                bool(one["enabled"]),
            )
            for name, one in sorted(self._read().items())
            if one["tag"]
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Return the service whose id is the tag of a port."""
        return next((one for one in await self.services() if one.service_id == service_id), None)

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to what is asked."""
        ports = self._read()
        current = self._port_settings(ports, intent.port)
        tags = {name: str(one["tag"]) for name, one in ports.items()}
        return planning.plan(self.target.name, intent, Profile(), current, tags)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do all steps of a plan at once."""
        if confirm_within is not None:
            raise Unsupported(self.target.name, "it has no confirmed commit")
        async with self._lock():
            ports = self._read()
            planning.check_precondition(plan, self._port_settings(ports, plan.intent.port))
            self._apply_steps(ports, plan.steps)
        return Transaction(plan.element, plan.intent, plan.steps)

    def _apply_steps(self, ports: dict[str, dict[str, Setting]], steps: Sequence[Step]) -> None:
        for step in steps:
            ports[step.port][step.attribute] = step.after
        self._write(ports)

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the port is as asked, from a fresh read."""
        current = self._read().get(intent.port, {})
        expected = planning.desired_state(intent, Profile(), current)
        observed = {name: current[name] for name in expected if name in current}
        return Verdict(self.target.name, expected, observed, datetime.now(UTC))

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: what is set lasts at once."""

    async def rollback(self, transaction: Transaction) -> None:
        """Set back what a transaction set."""
        steps = transaction.inverse
        if not steps:
            return
        port = transaction.intent.port
        async with self._lock():
            ports = self._read()
            planning.check_unchanged(transaction, self._port_settings(ports, port))
            self._apply_steps(ports, steps)
            observed = self._read()[port]
        expected = {step.attribute: step.after for step in steps}
        verdict = Verdict(self.target.name, expected, observed, datetime.now(UTC))
        if not verdict.good:
            raise NotVerified(verdict)

    async def remove(self, service_id: str) -> Transaction:
        """Take a service off the port that has it."""
        gone = Intent(service_id, "", present=False)
        if (found := await self.read(service_id)) is None:
            return Transaction(self.target.name, gone)
        return await self.apply(await self.plan(Intent(service_id, found.port, present=False)))

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Refuse: it counts nothing."""
        raise Unsupported(self.target.name, f"no counters of {', '.join(ports) or 'its ports'}")

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:
        """Refuse: it keeps no records."""
        raise Unsupported(self.target.name, f"no usage of {service_id} since {since:%F}")

    async def active_conditions(self) -> list[RawFault]:
        """Refuse: it does not know whether its ports work."""
        raise Unsupported(self.target.name, "no conditions")

    async def faults(self) -> AsyncIterator[RawFault]:
        """Refuse: it does not know whether its ports work."""
        raise Unsupported(self.target.name, "no faults")
        yield  # an asynchronous iterator
