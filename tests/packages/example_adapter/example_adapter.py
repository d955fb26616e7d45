"""An adapter in a separate package, for a cross-connect whose ports are in a JSON file.

The file represents the management protocol of an element. Only ``_read`` and ``_write`` access it.
``adapters.planning`` implements plans, preconditions and the order of steps.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from adapters import base, planning
from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected, Unreachable, Unsupported
from adapters.locks import endpoint_lock
from adapters.mixins import NoUsageRecords, TaggedServices
from adapters.observations import RawFault, Sample
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
    """One attribute that can be set on a port."""

    name: str
    value_type: type
    absent: Setting

    def is_valid_type(self, setting: Setting) -> bool:
        """Return whether a value has the type of the attribute."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return the reason why the element cannot store a value; empty if it can."""
        if not self.is_valid_type(setting):
            return f"expected {self.value_type.__name__}"
        if self.name == "vlan" and setting != 0 and setting not in VLANS:
            return "a VLAN is 1 to 4094"
        return ""


class Profile:
    """The attributes of a port, in the order in which they are set."""

    attributes = tuple(
        Attribute(name, type(value), value) for name, value in DEFAULT_SETTINGS.items()
    )

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name."""
        return next(attribute for attribute in self.attributes if attribute.name == name)


class CrossConnect(TaggedServices, NoUsageRecords):
    """One cross-connect; the option ``file`` of the target is the path of its file."""

    capabilities: ClassVar = frozenset({base.ADMIN, base.ATOMIC})

    def __init__(self, target: Target, secret: Secret) -> None:
        if "file" not in target.options:
            raise Misconfigured(target.name, "the option file is missing")
        self.target = target
        self._file = Path(target.options["file"])
        self._secret = secret  # this element needs none
        self._start_time = time.monotonic()

    @classmethod
    def setting_names(cls, options: Mapping[str, str]) -> frozenset[str]:
        """Return the settings of a port."""
        return planning.setting_names(Profile())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock((self.target.address, 0))

    def _read(self) -> dict[str, dict[str, Setting]]:
        try:
            ports: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Unreachable(self.target.name, f"no usable answer: {error}") from error
        return {name: {**DEFAULT_SETTINGS, **settings} for name, settings in ports.items()}

    def _write(self, ports: dict[str, dict[str, Setting]]) -> None:
        new_file = self._file.with_suffix(".new")
        try:
            new_file.write_text(json.dumps(ports), "utf-8")
            new_file.replace(self._file)
        except OSError as error:
            raise Unreachable(self.target.name, f"cannot be changed: {error}") from error

    def _port_settings(self, ports: dict[str, dict[str, Setting]], name: str) -> dict[str, Setting]:
        if name not in ports:
            known = ", ".join(sorted(ports)) or "none"
            message = f"no port {name!r}; it has {known}"
            raise Rejected(self.target.name, message, path=name, reason="noSuchPort")
        return ports[name]

    async def probe(self) -> Facts:
        """Return the facts of the element."""
        self._read()
        uptime = time.monotonic() - self._start_time
        return Facts(self.target.name, "example", "XC-1", "1.0", "", uptime, 0)

    async def inventory(self) -> Inventory:
        """Return the facts, the ports and the chassis."""
        ports = tuple(
            Port(
                name=name,
                index=name,
                tag=str(settings["tag"]),
                enabled=bool(settings["enabled"]),
                up=True,
                speed=0,
                mac="",
                access=True,
            )
            for name, settings in sorted(self._read().items())
        )
        chassis = Component("chassis", "chassis", model="XC-1")
        return Inventory(await self.probe(), ports, datetime.now(UTC), (chassis,))

    async def services(self) -> list[Observed]:
        """Return the services on all ports with a tag, ordered by port."""
        return [
            Observed(
                str(settings["tag"]),
                name,
                {key: value for key, value in settings.items() if key != "tag"},
                bool(settings["enabled"]),
            )
            for name, settings in sorted(self._read().items())
            if settings["tag"]
        ]

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to the desired state."""
        ports = self._read()
        current = self._port_settings(ports, intent.port)
        tags = {name: str(settings["tag"]) for name, settings in ports.items()}
        return planning.plan(self.target.name, intent, Profile(), current, tags)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Apply all steps of a plan in one write."""
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
        """Read the port and compare it with an intent."""
        current = self._read().get(intent.port, {})
        expected = planning.desired_state(intent, Profile(), current)
        return planning.compare(self.target.name, expected, current)

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: a change needs no confirmation."""

    async def rollback(self, transaction: Transaction) -> None:
        """Revert the steps of a transaction."""
        steps = transaction.inverse
        if not steps:
            return
        port = transaction.intent.port
        async with self._lock():
            ports = self._read()
            planning.check_unchanged(transaction, self._port_settings(ports, port))
            self._apply_steps(ports, steps)
            observed = self._read()[port]
        planning.verify_steps(self.target.name, steps, observed)

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Refuse: the element has no counters."""
        raise Unsupported(self.target.name, f"no counters of {', '.join(ports) or 'its ports'}")

    async def active_conditions(self) -> list[RawFault]:
        """Refuse: the element does not report the state of its ports."""
        raise Unsupported(self.target.name, "no conditions")

    async def faults(self) -> AsyncIterator[RawFault]:
        """Refuse: the element does not report the state of its ports."""
        raise Unsupported(self.target.name, "no faults")
        yield  # makes the function a generator
