"""Answers requests to cancel orders that have no work left to undo."""

import logging
from collections.abc import Iterable

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import CANCELLATION_REASON
from tmf_apis.fulfilment.execution.journal import COMPENSATE, ItemEntry, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchProgress, Cancellation
from tmf_apis.fulfilment.execution.public_texts import UNDONE
from tmf_apis.fulfilment.order_kinds import OrderKind
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.rules import is_past_point_of_no_return
from tmf_apis.ordering.states import CANCEL_TASK_LIFECYCLE, CANCELLATION_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory, ScopedRepository

log = logging.getLogger(__name__)


class CancellationResolver:
    """Answers requests to cancel once all batches of their order have ended; safe to repeat."""

    def __init__(
        self, repositories: RepositoryFactory, journal: Journal, committer: BatchCommitter
    ) -> None:
        self._repositories = repositories
        self._journal = journal
        self._committer = committer

    def resolve(self, cancellation: Cancellation) -> BatchProgress:
        """Answer a request to cancel and finish its order; return the orders to wake."""
        key = cancellation.order
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        head = self._journal.head(key) or {"batches": 0}
        batches = [self._journal.batch(key, number) for number in range(head["batches"])]
        undo_texts = list(undo_descriptions(entry for batch in batches for entry in batch.entries))
        cancelled_items = [
            item for batch in batches for item in batch.items if item.reason == CANCELLATION_REASON
        ]
        kind = order_kinds.kind_of(key)
        if undo_texts and self._has_party_readers(repository, key):
            log.info("an order is undone", extra={"order": key.order, "undone": undo_texts})
            undo_texts = [UNDONE]
        resolve_cancellation(repository, kind, cancellation.task, undo_texts, cancelled_items)
        if order_updates.is_final(self._journal.order_state(key)):
            return BatchProgress(
                orders_to_wake=self._committer.finish_order(key, head.get("claims", ()))
            )
        return BatchProgress()

    def _has_party_readers(self, repository: ScopedRepository, key: OrderKey) -> bool:
        try:
            order = repository.get(key.kind, key.order)
            owner = repository.owner_of(key.kind, key.order)
            return self._committer.has_party_readers(key, order, owner)
        except NotFound:
            return False


def undo_descriptions(entries: Iterable[TaskEntry]) -> Iterable[str]:
    """Yield a description of each compensated task, for people."""
    for entry in entries:
        if entry.goal != COMPENSATE or entry.allocation is None:
            continue
        names = ", ".join(sorted(entry.allocation.names.values())) or "its resources"
        if entry.skip_reason:
            yield f"{names}: the compensation was skipped; {entry.skip_reason}"
        elif entry.quarantine_reason:
            yield f"{names}: quarantined; {entry.quarantine_reason}"
        elif entry.plan and entry.plan.steps:
            yield f"{names}: restored on {entry.element} and released"
        else:
            yield f"{names}: released; nothing was changed on the network"


def resolve_cancellation(
    repository: Repository,
    kind: OrderKind,
    task_id: str,
    undo_texts: Iterable[str] = (),
    cancelled_items: Iterable[ItemEntry] = (),
) -> None:
    """Confirm or refuse a request to cancel an order that no batch works on; safe to repeat.

    An order that waits for the answer is cancelled. An order with another final state keeps it.

    Args:
        repository: Of the tenant.
        kind: The kind of order.
        task_id: Id of the request.
        undo_texts: Descriptions of the compensated tasks, for people.
        cancelled_items: Items that were compensated completely.
    """
    schema, cancellation = kind.schema, kind.cancellation
    try:
        task = repository.get(schema.cancel_task_kind, task_id)
        id = str((task.get(schema.order_reference) or {}).get("id"))
        order = repository.get(schema.kind, id)
    except NotFound:
        return
    text = "; ".join(undo_texts) or "nothing, no work was done yet"
    if task.get("state") not in CANCEL_TASK_LIFECYCLE.final_states:
        _write_notes(repository, schema, id, task_id, text)
        if order["state"] in CANCELLATION_STATES and not is_past_point_of_no_return(order, schema):
            cancellation.start_compensation(repository, task_id)
            cancellation.confirm(repository, task_id)
        elif order["state"] == "cancelled":
            cancellation.confirm(repository, task_id)
        elif order["state"] in CANCELLATION_STATES:
            cancellation.refuse(
                repository, task_id, "a service is in operation: past the point of no return"
            )
        else:
            reason = f"the order was {order['state']} before its work could be undone"
            cancellation.refuse(repository, task_id, reason)
    item_ids = {item.item_id for item in cancelled_items}
    if item_ids:
        repository.change(
            schema.kind,
            id,
            lambda order: _with_cancelled_items(order, item_ids, repository, schema),
        )


def _write_notes(
    repository: Repository, schema: OrderSchema, order: str, task: str, text: str
) -> None:
    """Add a note about the compensated tasks to the order and to the request."""

    def with_note(order: Resource) -> Resource:
        if order.get("state") not in CANCELLATION_STATES | {"cancelled"}:
            return order
        return progress.with_note(order, f"Cancelled. Undone: {text}", order_updates.NOTE_AUTHOR)

    repository.change(schema.kind, order, with_note)
    repository.change(
        schema.cancel_task_kind,
        task,
        lambda task: progress.with_note(task, f"Undone: {text}", order_updates.NOTE_AUTHOR),
    )


def _with_cancelled_items(
    order: Resource, ids: Iterable[str], repository: Repository, schema: OrderSchema
) -> Resource:
    if order_updates.is_final(str(order.get("state"))) or order_updates.is_cancelling(order):
        return order
    return order_updates.with_items_cancelled(order, ids, repository.now, schema=schema)


__all__ = ["CancellationResolver", "resolve_cancellation"]
