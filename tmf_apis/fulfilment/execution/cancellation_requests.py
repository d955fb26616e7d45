"""Answers to requests to cancel an order, and the items and notes of the order after an answer."""

from collections.abc import Collection, Mapping, Sequence

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.order_kinds import OrderKind
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.rules import is_past_point_of_no_return
from tmf_apis.ordering.states import CANCELLATION_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource

_IN_OPERATION = "a service is in operation: past the point of no return"
_NOTHING = "nothing, no work was done yet"


def resolve_cancellation(
    repository: Repository, kind: OrderKind, task_id: str, undo_texts: Sequence[str] = ()
) -> None:
    """Confirm or refuse a request to cancel an order that no batch works on; safe to repeat.

    An order that waits for the answer is cancelled, unless a service of it is in operation. An
    order with a final state keeps it.

    Args:
        repository: Of the tenant.
        kind: The kind of order.
        task_id: Id of the request.
        undo_texts: Descriptions of the compensated tasks, for people.
    """
    schema, cancellation = kind.schema, kind.cancellation
    try:
        task = repository.get(schema.cancel_task_kind, task_id)
        id = str((task.get(schema.order_reference) or {}).get("id"))
        order = repository.get(schema.kind, id)
    except NotFound:
        return
    if task.get("state") in schema.cancel_task_lifecycle.final_states:
        return
    state = order["state"]
    if state in CANCELLATION_STATES and is_past_point_of_no_return(order, schema):
        _write_notes(repository, schema, id, task_id, _refusal_note(undo_texts))
        cancellation.refuse(repository, task_id, _IN_OPERATION)
    elif state in CANCELLATION_STATES | {"cancelled"}:
        text = f"Undone: {'; '.join(undo_texts) or _NOTHING}"
        _write_notes(repository, schema, id, task_id, text, prefix="Cancelled. ")
        cancellation.start_compensation(repository, task_id)
        cancellation.confirm(repository, task_id)
    else:
        _write_notes(repository, schema, id, task_id, _refusal_note(undo_texts))
        reason = f"the order was {state} before its work could be undone"
        cancellation.refuse(repository, task_id, reason)


def refuse_requests(repository: Repository, kind: OrderKind, order: str) -> None:
    """Refuse the requests to cancel an order whose point of no return was just reached."""
    schema = kind.schema
    query = {f"{schema.order_reference}.id": order}
    for task in repository.find(schema.cancel_task_kind, query):
        if task.get("state") not in schema.cancel_task_lifecycle.final_states:
            _write_notes(repository, schema, order, task["id"], _refusal_note(()))
            kind.cancellation.refuse(repository, task["id"], _IN_OPERATION)


def _refusal_note(undo_texts: Sequence[str]) -> str:
    undone = f" Undone: {'; '.join(undo_texts)}." if undo_texts else ""
    return f"Not cancelled: what is in operation stays.{undone}"


def _write_notes(  # noqa: PLR0913, PLR0917
    repository: Repository, schema: OrderSchema, order: str, task: str, text: str, prefix: str = ""
) -> None:
    """Add a note about what was done to the order and to the request."""
    author = order_updates.NOTE_AUTHOR
    repository.change(
        schema.kind, order, lambda order: progress.with_note(order, prefix + text, author)
    )
    repository.change(
        schema.cancel_task_kind, task, lambda task: progress.with_note(task, text, author)
    )


def end_items(
    repository: Repository,
    schema: OrderSchema,
    order: str,
    cancelled_ids: Collection[str],
    reasons: Mapping[str, str],
) -> None:
    """End the items that were compensated while a request to cancel was open, if it was refused.

    Args:
        repository: Of the tenant.
        schema: The kind of order.
        order: Id of the order.
        cancelled_ids: Ids of the items that were compensated because of the request.
        reasons: Why other items have failed, by their ids.
    """

    def edit(order: Resource) -> Resource:
        if order_updates.is_final(str(order.get("state"))) or order_updates.is_cancelling(order):
            return order
        return order_updates.with_items_ended(
            order, cancelled_ids, reasons, repository.now, schema=schema
        )

    if cancelled_ids or reasons:
        repository.change(schema.kind, order, edit)
