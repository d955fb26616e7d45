"""What goes between an order's workflow and its activities."""

from dataclasses import dataclass, field

from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.serialization import stored_as


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """An order as it was taken up.

    Attributes:
        batches: How many batches it is worked on in; 0: it is none of ours, or not yet.
        reserved: Whether what it needs is reserved already.
        start_in: Seconds until it may be begun; 0: now.
        blocked: It waits until another order for the same product is finished.
        due_in: Seconds until it should be completed; 0: nobody said.
        priority: From 1, the highest, to 5; 0: none was asked for.
        orders_to_wake: Orders that waited for this one, which wants nothing.
        maybe_running: Somebody may be working on it already: whoever has taken it up.
        task_queue: Where he takes further steps of it from; empty: where all do.
        progress: How far that has come, where it went quickly.
    """

    batches: int = 0
    reserved: bool = False
    start_in: float = field(default=0.0, metadata=stored_as("wait"))
    blocked: bool = field(default=False, metadata=stored_as("turn"))
    due_in: float = field(default=0.0, metadata=stored_as("due"))
    priority: int = 0
    orders_to_wake: tuple[OrderKey, ...] = field(default=(), metadata=stored_as("wake"))
    maybe_running: bool = field(default=False, metadata=stored_as("begun"))
    task_queue: str = field(default="", metadata=stored_as("queue"))
    progress: "BatchProgress | None" = field(default=None, metadata=stored_as("report"))


@dataclass(frozen=True, slots=True)
class BatchRef:
    """A batch of an order.

    Attributes:
        key: Which order.
        number: Which batch, from 0.
        maybe_running: Whoever has taken the order up may be working on it.
        stop: He is to stop, for the order is cancelled.
    """

    key: OrderKey
    number: int
    maybe_running: bool = field(default=False, metadata=stored_as("begun"))
    stop: bool = False


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        incomplete: There is something left.
        retry_in: Seconds until it is worth going on; 0: only news will help.
        priority: Of the order by now, as in ``IntakeResult``.
        orders_to_wake: Orders that waited for this one, which is finished.
    """

    incomplete: bool = field(default=False, metadata=stored_as("open"))
    retry_in: float = field(default=0.0, metadata=stored_as("wait"))
    priority: int = 0
    orders_to_wake: tuple[OrderKey, ...] = field(default=(), metadata=stored_as("wake"))


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A request to cancel an order that is being worked on.

    Attributes:
        order: Which order.
        task: Id of the CancelProductOrder.
    """

    order: OrderKey
    task: str
