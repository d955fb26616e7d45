"""What becomes of a request to cancel once fulfilment knows whether everything is undone."""

from collections.abc import Iterable

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import CANCELLATION_REASON
from tmf_apis.fulfilment.execution.journal import COMPENSATE, ItemEntry, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchProgress, Cancellation
from tmf_apis.fulfilment.order_kinds import OrderKind
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.rules import is_past_point_of_no_return
from tmf_apis.ordering.states import CANCEL_TASK_LIFECYCLE, CANCELLATION_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory


class CancellationResolver:
    """Ends requests to cancel orders that nobody works on any more; safe to repeat."""

    def __init__(
        self, repositories: RepositoryFactory, journal: Journal, committer: BatchCommitter
    ) -> None:
        self._repositories = repositories
        self._journal = journal
        self._committer = committer

    def resolve(self, cancellation: Cancellation) -> BatchProgress:
        """Say what became of a request whose order has nothing left to be undone."""
        key = cancellation.order
        desk = self._repositories.for_tenant(key.tenant)
        head = self._journal.head(key) or {"batches": 0}
        batches = [self._journal.batch(key, number) for number in range(head["batches"])]
        undone = list(undo_descriptions(one for batch in batches for one in batch.entries))
        gone = [
            one for batch in batches for one in batch.items if one.reason == CANCELLATION_REASON
        ]
        resolve_cancellation(desk, order_kinds.kind_of(key), cancellation.task, undone, gone)
        if order_updates.is_final(self._journal.order_state(key)):
            return BatchProgress(
                orders_to_wake=self._committer.finish_order(key, head.get("claims", ()))
            )
        return BatchProgress()


def undo_descriptions(entries: Iterable[TaskEntry]) -> Iterable[str]:
    """Yield what was undone, for people."""
    for one in entries:
        if one.goal != COMPENSATE or one.allocation is None:
            continue
        where = ", ".join(sorted(one.allocation.names.values())) or "what it needs"
        if one.skip_reason:
            yield f"{where}: left to people; {one.skip_reason}"
        elif one.quarantine_reason:
            yield f"{where}: in doubt and kept out of use; {one.quarantine_reason}"
        elif one.plan and one.plan.steps:
            yield f"{where}: set back on {one.element}, and free again as before"
        else:
            yield f"{where}: free again as before, nothing was done on the network"


def resolve_cancellation(
    repository: Repository,
    kind: OrderKind,
    task_id: str,
    undo_texts: Iterable[str] = (),
    cancelled_items: Iterable[ItemEntry] = (),
) -> None:
    """Decide on a request whose order nobody works on (any more); safe to repeat.

    The order is cancelled if it waits for that; one that has ended otherwise stays as it is.

    Args:
        repository: Of the tenant.
        kind: Which kind of order.
        task_id: The request.
        undo_texts: What was undone, for people.
        cancelled_items: Items of which nothing is left.
    """
    form, cancelling = kind.schema, kind.cancellation
    try:
        task = repository.get(form.cancel_task_kind, task_id)
        id = str((task.get(form.order_reference) or {}).get("id"))
        order = repository.get(form.kind, id)
    except NotFound:
        return
    text = "; ".join(undo_texts) or "nothing had been done yet"
    if task.get("state") not in CANCEL_TASK_LIFECYCLE.final_states:
        _write_notes(repository, form, id, task_id, text)
        if order["state"] in CANCELLATION_STATES and not is_past_point_of_no_return(order, form):
            cancelling.start_compensation(repository, task_id)
            cancelling.confirm(repository, task_id)
        elif order["state"] == "cancelled":
            cancelling.confirm(repository, task_id)
        elif order["state"] in CANCELLATION_STATES:
            cancelling.refuse(
                repository, task_id, "a service is in operation: past the point of no return"
            )
        else:
            why = f"the order was {order['state']} before it could be undone"
            cancelling.refuse(repository, task_id, why)
    ids = {one.item_id for one in cancelled_items}
    if ids:
        repository.change(
            form.kind, id, lambda one: _with_cancelled_items(one, ids, repository, form)
        )


def _write_notes(
    repository: Repository, schema: OrderSchema, order: str, task: str, text: str
) -> None:
    """Say in the order and in the request what was undone."""

    def note(one: Resource) -> Resource:
        if one.get("state") not in CANCELLATION_STATES | {"cancelled"}:
            return one
        return progress.with_note(one, f"Cancelled. Undone: {text}", order_updates.NOTE_AUTHOR)

    repository.change(schema.kind, order, note)
    repository.change(
        schema.cancel_task_kind,
        task,
        lambda one: progress.with_note(one, f"Undone: {text}", order_updates.NOTE_AUTHOR),
    )


def _with_cancelled_items(
    order: Resource, ids: Iterable[str], repository: Repository, schema: OrderSchema
) -> Resource:
    if order_updates.is_final(str(order.get("state"))) or order_updates.is_cancelling(order):
        return order
    return order_updates.with_items_cancelled(order, ids, repository.now, schema)


__all__ = ["CancellationResolver", "OrderKey", "resolve_cancellation"]
