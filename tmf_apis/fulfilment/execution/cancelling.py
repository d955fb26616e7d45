"""What becomes of a request to cancel once fulfilment knows whether everything is undone."""

from collections.abc import Iterable

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.execution import orders, progress
from tmf_apis.fulfilment.execution.journal import BACK, Entry, Item, Journal
from tmf_apis.fulfilment.execution.settling import Settling
from tmf_apis.fulfilment.execution.steps import Cancellation, Report
from tmf_apis.fulfilment.execution.units import CANCELLED
from tmf_apis.fulfilment.kinds import Kind
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.forms import Form
from tmf_apis.ordering.rules import past_no_return
from tmf_apis.ordering.states import CANCELLING, TASK
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource


class Cancelling:
    """Ends requests to cancel orders that nobody works on any more; safe to repeat."""

    def __init__(self, desks: Desks, journal: Journal, settling: Settling) -> None:
        self._desks = desks
        self._journal = journal
        self._settling = settling

    def settle(self, cancellation: Cancellation) -> Report:
        """Say what became of a request whose order has nothing left to be undone."""
        key = cancellation.order
        desk = self._desks.staff(key.tenant)
        head = self._journal.head(key) or {"batches": 0}
        batches = [self._journal.batch(key, number) for number in range(head["batches"])]
        undone = list(said(one for batch in batches for one in batch.entries))
        gone = [one for batch in batches for one in batch.items if one.reason == CANCELLED]
        settle(desk, kinds.of(key), cancellation.task, undone, gone)
        if orders.is_final(self._journal.state(key)):
            return Report(wake=self._settling.end(key, head.get("claims", ())))
        return Report()


def said(entries: Iterable[Entry]) -> Iterable[str]:
    """Yield what was undone, for people."""
    for one in entries:
        if one.goal != BACK or one.taken is None:
            continue
        where = ", ".join(sorted(one.taken.names.values())) or "what it needs"
        if one.skipped:
            yield f"{where}: left to people; {one.skipped}"
        elif one.doubt:
            yield f"{where}: in doubt and kept out of use; {one.doubt}"
        elif one.plan and one.plan.steps:
            yield f"{where}: set back on {one.element}, and free again as before"
        else:
            yield f"{where}: free again as before, nothing was done on the network"


def settle(
    desk: Desk,
    kind: Kind,
    task_id: str,
    undone: Iterable[str] = (),
    gone: Iterable[Item] = (),
) -> None:
    """Decide on a request whose order nobody works on (any more); safe to repeat.

    The order is cancelled if it waits for that; one that has ended otherwise stays as it is.

    Args:
        desk: Of the tenant.
        kind: Which kind of order.
        task_id: The request.
        undone: What was undone, for people.
        gone: Items of which nothing is left.
    """
    form, cancelling = kind.form, kind.cancelling
    try:
        task = desk.get(form.task, task_id)
        id = str((task.get(form.reference) or {}).get("id"))
        order = desk.get(form.kind, id)
    except NotFound:
        return
    text = "; ".join(undone) or "nothing had been done yet"
    if task.get("state") not in TASK.final:
        _say(desk, form, id, task_id, text)
        if order["state"] in CANCELLING and not past_no_return(order, form):
            cancelling.undo(desk, task_id)
            cancelling.confirm(desk, task_id)
        elif order["state"] == "cancelled":
            cancelling.confirm(desk, task_id)
        elif order["state"] in CANCELLING:
            cancelling.refuse(
                desk, task_id, "a service is in operation: past the point of no return"
            )
        else:
            why = f"the order was {order['state']} before it could be undone"
            cancelling.refuse(desk, task_id, why)
    ids = {one.item for one in gone}
    if ids:
        desk.change(form.kind, id, lambda one: _cancelled(one, ids, desk, form))


def _say(desk: Desk, form: Form, order: str, task: str, text: str) -> None:
    """Say in the order and in the request what was undone."""

    def note(one: Resource) -> Resource:
        if one.get("state") not in CANCELLING | {"cancelled"}:
            return one
        return progress.noted(one, f"Cancelled. Undone: {text}", orders.AUTHOR)

    desk.change(form.kind, order, note)
    desk.change(form.task, task, lambda one: progress.noted(one, f"Undone: {text}", orders.AUTHOR))


def _cancelled(order: Resource, ids: Iterable[str], desk: Desk, form: Form) -> Resource:
    if orders.is_final(str(order.get("state"))) or orders.is_cancelling(order):
        return order
    return orders.cancelled(order, ids, desk.now, form)


__all__ = ["Cancelling", "OrderKey", "settle"]
