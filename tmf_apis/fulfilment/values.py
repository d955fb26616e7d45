"""What goes between an order's workflow and its activities: plain values, kept as JSON."""

from dataclasses import dataclass, field

from adapters.values import Intent, Plan, Target


class Refused(Exception):
    """An item cannot be fulfilled as it was ordered; the message says why, for the customer."""


@dataclass(frozen=True, slots=True)
class OrderKey:
    """Which order.

    Attributes:
        tenant: Whose it is.
        order: Its id.
    """

    tenant: str
    order: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What one item of an order wants of the network.

    Attributes:
        order: Which order.
        item: The item's id.
        action: "add", "modify" or "delete".
        service: Id of the service, which is the id of the product too.
        downstream: Towards the customer, in bits per second; 0 for a delete.
        upstream: From the customer, in bits per second; 0 for a delete.
        port: Id or name of the port that is wanted; empty: any free one.
        places: Ids of the places where the port may be; empty: anywhere.
    """

    order: OrderKey
    item: str
    action: str
    service: str
    downstream: int = 0
    upstream: int = 0
    port: str = ""
    places: tuple[str, ...] = ()

    @property
    def holder(self) -> str:
        """Who holds a port that is reserved for it; also the key under which steps repeat."""
        return f"{self.order.order}/{self.item}"


@dataclass(frozen=True, slots=True)
class Work:
    """What an order wants, item by item.

    Attributes:
        errands: Items that need the network, in order.
        plain: Ids of items that need nothing done.
        refused: From the ids of items that cannot be fulfilled to the reason.
        wait: Seconds until the order may be begun; nothing else is known before.
        patience: How long a step is tried while its element cannot be reached, in seconds.
    """

    errands: tuple[Errand, ...] = ()
    plain: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    patience: float = 0.0

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to be done."""
        return not (self.errands or self.plain or self.refused)


@dataclass(frozen=True, slots=True)
class Use:
    """What is on a port.

    Attributes:
        service: Id of the service; empty: none.
        downstream: Towards the customer, in bits per second.
        upstream: From the customer, in bits per second.
        ordered: The order item that put it there.
    """

    service: str = ""
    downstream: int = 0
    upstream: int = 0
    ordered: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A port that is reserved, and how it was found.

    Attributes:
        errand: Whom it is reserved for.
        resource: Id of the port in the inventory.
        name: Its name there.
        target: The element that it is on.
        port: Its natural key on the element.
        before: What was on it.
    """

    errand: Errand
    resource: str
    name: str
    target: Target
    port: str
    before: Use

    @property
    def after(self) -> Use:
        """What shall be on it."""
        wanted = self.errand
        if wanted.action == "delete":
            return Use()
        ordered = wanted.holder if wanted.action == "add" else self.before.ordered
        return Use(wanted.service, wanted.downstream, wanted.upstream, ordered)

    @property
    def intent(self) -> Intent:
        """How the port shall be on the element."""
        return Intent(
            self.errand.service,
            self.port,
            self.errand.downstream,
            self.errand.upstream,
            present=self.errand.action != "delete",
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan for a port, as it is applied or taken back.

    Attributes:
        found: The port.
        plan: What is changed on the element.
    """

    found: Found
    plan: Plan


@dataclass(frozen=True, slots=True)
class Ending:
    """How the work on a port ended without success.

    Attributes:
        errand: What was wanted.
        found: The port, as it was before; None: perhaps none was reserved.
        doubt: The element may not be as it was: the port is kept out of use.
    """

    errand: Errand
    found: Found | None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of items that need no more work.

    Attributes:
        order: Which order.
        done: Ids of items that are completed.
        failed: From the ids of items that have failed to the reason.
    """

    order: OrderKey
    done: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A request to cancel an order that is being worked on.

    Attributes:
        order: Which order.
        task: Id of the CancelProductOrder.
    """

    order: OrderKey
    task: str
