"""What goes between an order's workflow and its activities."""

from dataclasses import dataclass

from tmf_apis.fulfilment.values import OrderKey


@dataclass(frozen=True, slots=True)
class Work:
    """An order as it was taken up.

    Attributes:
        batches: How many batches it is worked on in; 0: it is none of ours, or not yet.
        reserved: Whether what it needs is reserved already.
        wait: Seconds until it may be begun; 0: now.
        turn: It waits until another order for the same product is finished.
        due: Seconds until it should be completed; 0: nobody said.
        priority: From 1, the highest, to 5; 0: none was asked for.
        wake: Orders that waited for this one, which wants nothing.
        begun: Somebody may be working on it already: whoever has taken it up.
        queue: Where he takes further steps of it from; empty: where all do.
        report: How far that has come, where it went quickly.
    """

    batches: int = 0
    reserved: bool = False
    wait: float = 0.0
    turn: bool = False
    due: float = 0.0
    priority: int = 0
    wake: tuple[OrderKey, ...] = ()
    begun: bool = False
    queue: str = ""
    report: "Report | None" = None


@dataclass(frozen=True, slots=True)
class Part:
    """A batch of an order.

    Attributes:
        key: Which order.
        number: Which batch, from 0.
        begun: Whoever has taken the order up may be working on it.
        stop: He is to stop, for the order is cancelled.
    """

    key: OrderKey
    number: int
    begun: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """How far a batch is.

    Attributes:
        open: There is something left.
        wait: Seconds until it is worth going on; 0: only news will help.
        priority: Of the order by now, as in ``Work``.
        wake: Orders that waited for this one, which is finished.
    """

    open: bool = False
    wait: float = 0.0
    priority: int = 0
    wake: tuple[OrderKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A request to cancel an order that is being worked on.

    Attributes:
        order: Which order.
        task: Id of the CancelProductOrder.
    """

    order: OrderKey
    task: str
