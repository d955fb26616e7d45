"""Adapter of an element that answers immediately: its ports are in the memory of the worker.

It is registered by an entry point, like adapters of other packages. With it the benchmark measures
fulfilment only. With SNMP, the protocol and a simulator of 500 ports would take more time than the
order.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Self

from adapters.credentials import Secret
from adapters.errors import Conflict, Rejected
from adapters.observations import RawFault, Sample, UsageRecord
from adapters.values import (
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

SPEED = 10**9
_elements: dict[str, dict[str, dict[str, Setting]]] = {}


def port_name(number: int) -> str:
    """Return the name of a port, numbered from 1."""
    return f"p{number:05d}"


def write_entry_point(folder: Path) -> None:
    """Write the entry point of the adapter ``instant`` into a folder of the Python path."""
    dist_info = folder / "instant_element-1.dist-info"
    dist_info.mkdir(parents=True)
    (dist_info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: instant-element\nVersion: 1\n"
    )
    entry = "[tmf_apis.adapters]\ninstant = benchmarks.instant:InstantElement\n"
    (dist_info / "entry_points.txt").write_text(entry)


class InstantElement:
    """An element; option ``ports`` is the number of its ports."""

    capabilities: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, target: Target, secret: Secret) -> None:  # noqa: ARG002
        self.target = target
        count = int(target.options.get("ports", "100"))
        self._ports = _elements.setdefault(
            target.name, {port_name(number): {"tag": ""} for number in range(1, count + 1)}
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def probe(self) -> Facts:
        """Return its identity."""
        return Facts(self.target.name, "bench", "instant", "1", "", 0.0, 1)

    async def inventory(self) -> Inventory:
        """Return its ports."""
        ports = tuple(
            Port(
                name, str(number), str(state["tag"]), enabled=True, up=True, speed=SPEED, mac="",
                access=True,
            )
            for number, (name, state) in enumerate(self._ports.items())
        )  # fmt: skip
        return Inventory(await self.probe(), ports, datetime.now(UTC))

    async def services(self) -> list[Observed]:
        """Return the services on its ports."""
        return [
            Observed(
                str(state["tag"]), name, {k: v for k, v in state.items() if k != "tag"}, up=True
            )
            for name, state in self._ports.items()
            if state["tag"]
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Return the service with an id; None: there is none."""
        matches = (service for service in await self.services() if service.service_id == service_id)
        return next(matches, None)

    def _port_state(self, name: str) -> dict[str, Setting]:
        try:
            return self._ports[name]
        except KeyError:
            message = f"no port {name!r}"
            raise Rejected(self.target.name, message, reason="noSuchPort") from None

    def _target_state(self, intent: Intent) -> dict[str, Setting]:
        if intent.present:
            return {"tag": intent.service_id, **intent.settings}
        current = self._port_state(intent.port)
        return {"tag": "", **{name: 0 for name in current if name != "tag"}}

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps from the current to the intended state."""
        current = self._port_state(intent.port)
        if current["tag"] not in {"", intent.service_id}:
            raise Conflict(self.target.name, f"port {intent.port} has {current['tag']}")
        target = self._target_state(intent)
        steps = tuple(
            Step(intent.port, name, current.get(name, 0), value)
            for name, value in target.items()
            if current.get(name, 0) != value
        )
        before = {name: current.get(name, 0) for name in target}
        return Plan(self.target.name, intent, steps, before)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:  # noqa: ARG002
        """Apply a plan."""
        state = self._port_state(plan.intent.port)
        state |= {step.attribute: step.after for step in plan.steps}
        return Transaction(plan.element, plan.intent, plan.steps)

    async def verify(self, intent: Intent) -> Verdict:
        """Compare the current with the intended state."""
        expected, current = self._target_state(intent), self._port_state(intent.port)
        observed = {name: current.get(name, 0) for name in expected}
        return Verdict(self.target.name, expected, observed, datetime.now(UTC))

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: changes need no confirmation."""

    async def rollback(self, transaction: Transaction) -> None:
        """Undo a transaction."""
        state = self._port_state(transaction.intent.port)
        state |= {step.attribute: step.after for step in transaction.inverse}

    async def remove(self, service_id: str) -> Transaction:
        """Remove a service."""
        if (observed := await self.read(service_id)) is None:
            return Transaction(self.target.name, Intent(service_id, "", present=False))
        return await self.apply(await self.plan(Intent(service_id, observed.port, present=False)))

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:  # noqa: ARG002
        """Return nothing: it has no counters."""
        return []

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:  # noqa: ARG002
        """Return nothing: it keeps no usage records."""
        return []

    async def active_conditions(self) -> list[RawFault]:
        """Return nothing: it has no faults."""
        return []

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield nothing: it has no faults."""
        return
        yield
