"""The interface between the operator's processes and any kind of network element."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import ClassVar, Protocol, Self, runtime_checkable

from adapters.credentials import Secret
from adapters.observations import RawFault, Sample, UsageRecord
from adapters.values import (
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Target,
    Transaction,
    Verdict,
)

# What an adapter may declare in ``capabilities``.
ATOMIC = "atomic"  # apply does all steps or none
CONFIRMED = "confirmed"  # apply(confirm_within=...) is taken back by the element itself
ADMIN = "admin"  # the setting "enabled" is known
COUNTERS = "counters"  # counters() has something to say
USAGE = "usage"  # usage() has something to say
FAULTS = "faults"  # faults() yields
CONDITIONS = "conditions"  # active_conditions() is complete
EFFECT = "effect"  # measure() can prove a service: the adapter is a ``CapacityMeter``
CAPABILITIES = frozenset({ATOMIC, CONFIRMED, ADMIN, COUNTERS, USAGE, FAULTS, CONDITIONS, EFFECT})


@runtime_checkable
class Adapter(Protocol):
    """One element, seen the same way whatever its kind.

    An adapter is an asynchronous context manager: what it opens is closed when the block ends.
    Operations on one element never run into each other, however many adapters for it are open in
    a process. Every operation may raise ``Unreachable``, ``Rejected`` and ``Misconfigured``;
    nothing but an ``ElementError`` ever leaves. An operation that is not in ``capabilities``
    raises ``Unsupported``.

    Two attributes may be there beside: ``category``, that of the element's resource in the
    inventory (by default ``accessGateway``), and ``port_category``, that of its ports that carry
    services (``accessPort``). They are what the resource specifications of the catalogue name.
    """

    capabilities: ClassVar[frozenset[str]]
    target: Target

    def __init__(self, target: Target, secret: Secret) -> None:
        """Keep target and secret; nothing is opened yet.

        Raises:
            Misconfigured: They are not what this adapter needs.
        """

    async def __aenter__(self) -> Self:
        """Open what is needed."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what was opened."""

    async def probe(self) -> Facts:
        """Return what the element is."""

    async def inventory(self) -> Inventory:
        """Return what the element consists of."""

    async def read(self, service_id: str) -> Observed | None:
        """Return where and how a service is, found by the tag on the element.

        Raises:
            Conflict: It is in two places.
            Unsupported: The element has no room for tags; look through ``services``.
        """

    async def services(self) -> list[Observed]:
        """Return every service that is on the element, ordered by port.

        Where the element has no room for tags, ``service_id`` is empty in each.
        """

    async def plan(self, intent: Intent) -> Plan:
        """Return what has to change so that the element is as asked; nothing is touched.

        Raises:
            Rejected: There is no such port, or it cannot be as asked; with the reason
                "noSuchPort", "noSuchAttribute", "wrongType" or "wrongValue" where it is one.
            Conflict: Another service has the port, or the service is on another port.
        """

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do a plan; safe to repeat with the same plan, even one that was done in part.

        Args:
            plan: What to do.
            confirm_within: Seconds after which the element itself takes it back unless
                ``confirm`` is called; only with the capability "confirmed".

        Raises:
            Conflict: The port is neither as the plan found it nor as it would leave it.
            PartiallyApplied: It stopped in the middle; give its transaction to ``rollback``.
        """

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the element is as asked, from a fresh read."""

    async def confirm(self, transaction: Transaction) -> None:
        """Make a transaction last that waits to be confirmed; without one it does nothing."""

    async def rollback(self, transaction: Transaction) -> None:
        """Take back what a transaction did; steps that were not done need no undoing.

        Raises:
            Conflict: Somebody changed the port since; nothing was touched.
            NotVerified: The element says it did and has not.
        """

    async def remove(self, service_id: str) -> Transaction:
        """Take a service off the element; one that is not there is removed already.

        Raises:
            Unsupported: The element has no room for tags; plan an intent that is not present.
        """

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the counters of some ports, or of all."""

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:
        """Return the usage records that the element has made of a service since a time."""

    def faults(self) -> AsyncIterator[RawFault]:
        """Yield conditions as they come and go; ends only with the element."""

    async def active_conditions(self) -> list[RawFault]:
        """Return every condition that lasts now; what is not among them has gone."""


@runtime_checkable
class Measuring(Protocol):
    """An adapter with the capability "effect": it can tell what the customer really gets."""

    async def measure(self, intent: Intent) -> Verdict:
        """Return whether a service does what is asked, whatever the element says of it.

        Raises:
            Unsupported: There is no verdict, because nothing can be measured; the reason is
                "noTestHead", "noIperf3" or "nothingToMeasure".
            Unreachable: Not now; try again.
        """
