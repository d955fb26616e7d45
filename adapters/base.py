"""The interface of adapters: one set of operations for every kind of network element."""

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

# Values of ``Adapter.capabilities``.
ATOMIC = "atomic"  # apply performs all steps or none
CONFIRMED = "confirmed"  # the element reverts apply(confirm_within=...) unless it is confirmed
ADMIN = "admin"  # the setting "enabled" is supported
COUNTERS = "counters"  # counters() is supported
USAGE = "usage"  # usage() is supported
FAULTS = "faults"  # faults() is supported
CONDITIONS = "conditions"  # active_conditions() is supported, and complete
EFFECT = "effect"  # measure() is supported: the adapter implements ``Measuring``
CAPABILITIES = frozenset({ATOMIC, CONFIRMED, ADMIN, COUNTERS, USAGE, FAULTS, CONDITIONS, EFFECT})


@runtime_checkable
class Adapter(Protocol):
    """One network element, with the same operations for every kind of element.

    An adapter is an asynchronous context manager, which closes its connections at the end of the
    block. Operations on one element never run concurrently, even if a process has opened several
    adapters for it. Every operation may raise ``Unreachable``, ``Rejected`` and
    ``Misconfigured``; no exception other than an ``ElementError`` leaves an adapter. An operation
    that needs a capability which the adapter does not have raises ``Unsupported``.

    An adapter may have two more attributes: ``category``, the category of the element's resource
    in the inventory (default ``accessGateway``), and ``port_category``, the category of its ports
    that carry services (default ``accessPort``). Resource specifications of the catalog refer to
    these categories.

    It should have the class method ``setting_names(options)``, which returns the names of the
    settings that an element with these options of its target has. An offering with any other
    setting is then refused at its launch, and an order before anything is reserved.

    Attributes:
        capabilities: The optional features that the adapter supports, of ``CAPABILITIES``.
        target: The element.
    """

    capabilities: ClassVar[frozenset[str]]
    target: Target

    def __init__(self, target: Target, secret: Secret) -> None:
        """Keep the target and the secret, without opening a connection.

        Raises:
            Misconfigured: The target or the secret is not usable for this adapter.
        """

    async def __aenter__(self) -> Self:
        """Open the connections."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""

    async def probe(self) -> Facts:
        """Return the facts of the element: vendor, model, software and so on."""

    async def inventory(self) -> Inventory:
        """Return the facts, ports, components and neighbours of the element."""

    async def read(self, service_id: str) -> Observed | None:
        """Return the current state of a service, found by its tag; None if there is none.

        Raises:
            Conflict: Several ports have the tag.
            Unsupported: The element cannot store tags; use ``services``.
        """

    async def services(self) -> list[Observed]:
        """Return every service on the element, ordered by port.

        If the element cannot store tags, ``service_id`` is empty in each of them.
        """

    async def plan(self, intent: Intent) -> Plan:
        """Return the changes that bring the element to the intent, without making them.

        Raises:
            Rejected: There is no such port, or it cannot have the settings. Where one of them
                applies, the reason is "noSuchPort", "noSuchAttribute", "wrongType" or
                "wrongValue".
            Conflict: Another service uses the port, or the service is on another port.
        """

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Make the changes of a plan; safe to repeat, even if the plan is partially applied.

        Args:
            plan: The plan.
            confirm_within: Time in seconds after which the element itself reverts the changes
                unless ``confirm`` is called. Requires the capability "confirmed".

        Raises:
            Conflict: The port has neither its state of the plan's precondition nor the desired
                state.
            PartiallyApplied: A step failed after others were done; pass the transaction of the
                error to ``rollback``.
            NotVerified: The element reports success but does not have the desired state.
        """

    async def verify(self, intent: Intent) -> Verdict:
        """Read the element and compare it with an intent."""

    async def confirm(self, transaction: Transaction) -> None:
        """Make the changes of a transaction permanent; do nothing if they need no confirmation.

        Raises:
            NotVerified: The element has reverted the changes in the meantime.
        """

    async def rollback(self, transaction: Transaction) -> None:
        """Revert the changes of a transaction; skip steps that were not done.

        Raises:
            Conflict: Somebody else has changed the port since; nothing was reverted.
            NotVerified: The element reports success but does not have its previous state.
        """

    async def remove(self, service_id: str) -> Transaction:
        """Remove a service from the element; do nothing if the element does not have it.

        Raises:
            Unsupported: The element cannot store tags; plan an intent with ``present=False``.
        """

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the counters of the given ports, or of all ports."""

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:
        """Return the usage records of a service that the element has written since a time."""

    def faults(self) -> AsyncIterator[RawFault]:
        """Yield each condition when it begins and when it ends; the iterator does not end."""

    async def active_conditions(self) -> list[RawFault]:
        """Return every condition that is active now; all others have ended."""


@runtime_checkable
class Measuring(Protocol):
    """An adapter with the capability "effect": it measures the service that the customer gets."""

    async def measure(self, intent: Intent) -> Verdict:
        """Measure the effect of a service, independently of the element's configuration.

        Raises:
            Unsupported: The service cannot be measured; the reason is "noTestHead", "noIperf3"
                or "nothingToMeasure".
            Unreachable: The measurement failed; try again.
        """
