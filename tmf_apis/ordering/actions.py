"""Cancellation of orders: the steps of a ``CancelProductOrder`` or ``CancelServiceOrder`` task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.ordering import order_schema, rules
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.states import CANCELLATION_STATES, state_of_order
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Repository, Resource


@dataclass(frozen=True, slots=True)
class OrderCancellation:
    """Cancels orders of one kind.

    Attributes:
        schema: The kind of order.
    """

    schema: OrderSchema

    def cancel(self, repository: Repository, task: Resource) -> Resource:
        """Start to cancel an order; return the task. Handles POST /cancelProductOrder.

        If work on the order has not begun, the order is cancelled at once and the task is ``done``.
        Otherwise the order goes to ``assessingCancellation`` and the task is ``inProgress``: the
        work must be undone first, which fulfilment (or ``assess``, without fulfilment) decides
        later.

        Raises:
            NotFound: The order does not exist (HTTP 404).
            IllegalTransition: The order is finished (HTTP 409).
            Conflict: The order is past the point of no return or already being cancelled
                (HTTP 409).
        """
        was_started = False

        def edit(order: Resource) -> Resource:
            nonlocal was_started
            self._check_can_cancel(order)
            was_started = rules.is_started(order, self.schema)
            if was_started:
                return {**order, "state": "assessingCancellation"}
            return _cancelled_order(order, task)

        order = repository.change(self.schema.kind, self.order_id(task), edit)
        if order.get("relatedParty"):  # a party that can read the order can read the task
            task = {**task, "relatedParty": order["relatedParty"]}
        if was_started:
            return {**task, "state": "inProgress"}
        return _done_task(task, repository)

    def order_id(self, task: Mapping[str, Any]) -> str:
        """Return the id of the order that a task cancels.

        Raises:
            InvalidBody: The task names no order (HTTP 400).
        """
        order_id = (task.get(self.schema.order_reference) or {}).get("id")
        if not isinstance(order_id, str) or not order_id:
            raise InvalidBody(
                f"/{self.schema.order_reference}/id: expected the id of the order to cancel"
            )
        return order_id

    def _check_can_cancel(self, order: Mapping[str, Any]) -> None:
        state = self.schema.state(order)
        if state in self.schema.lifecycle.final_states:
            raise IllegalTransition(self.schema.kind, state, "cancelled", frozenset())
        if state in CANCELLATION_STATES:
            raise Conflict(f"{self.schema.kind} is {state}: a cancellation is under way already")
        if rules.is_past_point_of_no_return(order, self.schema):
            raise Conflict(
                f"{self.schema.kind} is {state} and past the point of no return (its milestone"
                f" {rules.POINT_OF_NO_RETURN} is completed); it can no longer be cancelled"
            )

    def assess(self, repository: Repository, task: Resource) -> None:
        """Decide on the cancellation of an order in progress, for systems without fulfilment.

        Without fulfilment there is nothing to undo on a network, so the order is cancelled unless
        it is past the point of no return. Safe to repeat.
        """
        if task.get("state") != "inProgress":
            return
        order = repository.get(self.schema.kind, self.order_id(task))
        if rules.is_past_point_of_no_return(order, self.schema):
            self.refuse(repository, task["id"], "the order passed the point of no return")
            return
        self.start_compensation(repository, task["id"])
        self.confirm(repository, task["id"])

    def start_compensation(self, repository: Repository, task_id: str) -> Resource:
        """Move an order to ``pendingCancellation`` because its work is being undone; return it."""
        task = repository.get(self.schema.cancel_task_kind, task_id)
        edit = _only_in_state("assessingCancellation", _with_pending_cancellation)
        return repository.change(self.schema.kind, self.order_id(task), edit)

    def confirm(self, repository: Repository, task_id: str) -> Resource:
        """Mark an order as cancelled because its work is undone; return the task, ``done``."""
        task = repository.get(self.schema.cancel_task_kind, task_id)
        for state in ("pendingCancellation", "assessingCancellation"):
            edit = _only_in_state(state, lambda order: _cancelled_order(order, task))
            repository.change(self.schema.kind, self.order_id(task), edit)
        return self._end_task(repository, task_id, lambda task: _done_task(task, repository))

    def refuse(self, repository: Repository, task_id: str, reason: str) -> Resource:
        """Return an order to the state of its items; return the task, ``terminatedWithError``."""
        task = repository.get(self.schema.cancel_task_kind, task_id)
        edit = _only_in_state("assessingCancellation", self._resumed_order)
        repository.change(self.schema.kind, self.order_id(task), edit)
        message = {
            "@type": "ErrorMessage",
            "code": Conflict.code,
            "reason": "Cancellation refused",
            "message": reason,
            "timestamp": rfc3339(repository.now),
        }
        failure = {"state": "terminatedWithError", "errorMessage": message}
        return self._end_task(repository, task_id, lambda task: {**task, **failure})

    def _end_task(
        self, repository: Repository, task_id: str, end: Callable[[Resource], Resource]
    ) -> Resource:
        """End a task, unless it has ended already; return it."""
        final_states = self.schema.cancel_task_lifecycle.final_states

        def edit(task: Resource) -> Resource:
            return task if task["state"] in final_states else end(task)

        return repository.change(self.schema.cancel_task_kind, task_id, edit)

    def _resumed_order(self, order: Resource) -> Resource:
        state = state_of_order(self.schema.item_schema.leaf_states(order))
        return {**order, "state": "inProgress" if state == "acknowledged" else state}


def _cancelled_order(order: Resource, task: Mapping[str, Any]) -> Resource:
    reason = task.get("cancellationReason")
    return {**order, "state": "cancelled", **({"cancellationReason": reason} if reason else {})}


def _done_task(task: Resource, repository: Repository) -> Resource:
    return {**task, "state": "done", "effectiveCancellationDate": rfc3339(repository.now)}


def _only_in_state(
    state: str, edit: Callable[[Resource], Resource]
) -> Callable[[Resource], Resource]:
    return lambda order: edit(order) if order.get("state") == state else order


def _with_pending_cancellation(order: Resource) -> Resource:
    return {**order, "state": "pendingCancellation"}


PRODUCT_ORDER_CANCELLATION = OrderCancellation(order_schema.PRODUCT_ORDER_SCHEMA)
SERVICE_ORDER_CANCELLATION = OrderCancellation(order_schema.SERVICE_ORDER_SCHEMA)
