"""Arguments and results of the activities of an order's workflow."""

from dataclasses import dataclass, field

from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.serialization import stored_as


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """The result of accepting an order.

    Attributes:
        batches: Number of batches; 0 if there is nothing to do, or not yet.
        reserved: Whether the resources are reserved already.
        start_in: Seconds until the order may start; 0 for now.
        blocked: Whether the order waits for another order for the same product.
        due_in: Seconds until the requested completion; 0 if none is requested.
        priority: From 1, the highest, to 5; 0 if none is requested.
        orders_to_wake: Orders that waited for this one, which is finished or dismissed.
        maybe_running: Whether the accepting worker may be running the batches already.
        task_queue: The accepting worker's own task queue; empty for the shared one.
        progress: The progress of the only batch, if it ended while it was being accepted.
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
    """A reference to a batch of an order.

    Attributes:
        key: The order.
        number: Number of the batch, from 0.
        maybe_running: Whether the worker that accepted the order may be running the batch.
        stop: Whether that worker has to stop, because the order is being cancelled.
    """

    key: OrderKey
    number: int
    maybe_running: bool = field(default=False, metadata=stored_as("begun"))
    stop: bool = False


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """The progress of a batch.

    Attributes:
        incomplete: Whether work is left.
        retry_in: Seconds until the next attempt makes sense; 0 if only a wake-up helps.
        priority: The present priority of the order, as in ``IntakeResult``.
        orders_to_wake: Orders that waited for this one, which is finished.
    """

    incomplete: bool = field(default=False, metadata=stored_as("open"))
    retry_in: float = field(default=0.0, metadata=stored_as("wait"))
    priority: int = 0
    orders_to_wake: tuple[OrderKey, ...] = field(default=(), metadata=stored_as("wake"))


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A request to cancel an order that is in progress.

    Attributes:
        order: The order.
        task: Id of the CancelProductOrder or CancelServiceOrder.
    """

    order: OrderKey
    task: str
