"""What the ordering room does to other resources: cancelling, and looking offerings up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.ordering import items, order_schema, rules
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.states import (
    CANCEL_TASK_LIFECYCLE,
    CANCELLATION_STATES,
    ORDER_LIFECYCLE,
    state_of_order,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

#: Offerings in these states can be ordered (TMF620 lifecycle).
ON_SALE = frozenset({"Active", "Launched"})


@dataclass(frozen=True, slots=True)
class OrderCancellation:
    """How one kind of order is cancelled.

    Attributes:
        schema: The kind of order.
    """

    schema: OrderSchema

    def cancel(self, repository: Repository, task: Resource) -> Resource:
        """Start to cancel an order: what POST /cancelProductOrder does.

        An order that nothing was done for is cancelled at once and the task is ``done``. One that
        is being worked on goes to ``assessingCancellation`` and the task is ``inProgress``: what
        was done must be undone first, which is decided later (``assess``, or fulfilment in its
        place).

        Raises:
            NotFound: There is no such order (HTTP 404).
            IllegalTransition: The order is finished (HTTP 409).
            Conflict: It is past the point of no return, or already being cancelled (HTTP 409).
        """
        order_id = self.order_id(task)
        at_once = False

        def edit(order: Resource) -> Resource:
            nonlocal at_once
            self._check_can_cancel(order)
            at_once = not rules.is_started(order, self.schema)
            if at_once:
                return _cancelled_order(order, task)
            return {**order, "state": "assessingCancellation"}

        order = repository.change(self.schema.kind, order_id, edit)
        if order.get("relatedParty"):  # who may see the order may see what became of the request
            task = {**task, "relatedParty": order["relatedParty"]}
        if not at_once:
            return {**task, "state": "inProgress"}
        return {**task, "state": "done", "effectiveCancellationDate": rfc3339(repository.now)}

    def order_id(self, task: Mapping[str, Any]) -> str:
        """Return the id of the order that a task names.

        Raises:
            InvalidBody: It names none (HTTP 400).
        """
        order_id = (task.get(self.schema.order_reference) or {}).get("id")
        if not isinstance(order_id, str) or not order_id:
            raise InvalidBody(
                f"/{self.schema.order_reference}/id: expected the id of the order to cancel"
            )
        return order_id

    def _check_can_cancel(self, order: Mapping[str, Any]) -> None:
        state = order.get("state", ORDER_LIFECYCLE.initial_states[0])
        if state in ORDER_LIFECYCLE.final_states:
            raise IllegalTransition(self.schema.kind, state, "cancelled", frozenset())
        if state in CANCELLATION_STATES:
            raise Conflict(f"{self.schema.kind} is {state}: a cancellation is under way already")
        if rules.is_past_point_of_no_return(order, self.schema):
            raise Conflict(
                f"{self.schema.kind} is {state} and past the point of no return (its milestone"
                f" {rules.POINT_OF_NO_RETURN} is completed); it can no longer be cancelled"
            )

    def assess(self, repository: Repository, task: Resource) -> None:
        """Decide on a task whose order is being worked on, where nothing else does.

        This is what happens without fulfilment: nobody touches a network for the order, so nothing
        has to be undone, and the point of no return decides alone. Safe to repeat.
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
        """Say that a cancellation was accepted and that undoing begins; return the order."""
        task = repository.get(self.schema.cancel_task_kind, task_id)
        edit = _only_in_state("assessingCancellation", _with_pending_cancellation)
        return repository.change(self.schema.kind, self.order_id(task), edit)

    def confirm(self, repository: Repository, task_id: str) -> Resource:
        """Say that everything is undone: the order is cancelled; return the task, done."""
        task = repository.get(self.schema.cancel_task_kind, task_id)
        for state in ("pendingCancellation", "assessingCancellation"):
            edit = _only_in_state(state, lambda order: _cancelled_order(order, task))
            repository.change(self.schema.kind, self.order_id(task), edit)

        def done(stored: Resource) -> Resource:
            if stored["state"] in CANCEL_TASK_LIFECYCLE.final_states:
                return stored
            return {**stored, "state": "done", "effectiveCancellationDate": rfc3339(repository.now)}

        return repository.change(self.schema.cancel_task_kind, task_id, done)

    def refuse(self, repository: Repository, task_id: str, reason: str) -> Resource:
        """Say that an order stays: it goes back to where its items are; return the task, failed."""
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

        def failed(stored: Resource) -> Resource:
            if stored["state"] in CANCEL_TASK_LIFECYCLE.final_states:
                return stored
            return {**stored, "state": "terminatedWithError", "errorMessage": message}

        return repository.change(self.schema.cancel_task_kind, task_id, failed)

    def _resumed_order(self, order: Resource) -> Resource:
        state = state_of_order(self.schema.item_schema.leaf_states(order))
        return {**order, "state": "inProgress" if state == "acknowledged" else state}


def _cancelled_order(order: Resource, task: Mapping[str, Any]) -> Resource:
    reason = task.get("cancellationReason")
    return {**order, "state": "cancelled", **({"cancellationReason": reason} if reason else {})}


def _only_in_state(
    state: str, edit: Callable[[Resource], Resource]
) -> Callable[[Resource], Resource]:
    return lambda order: edit(order) if order.get("state") == state else order


def _with_pending_cancellation(order: Resource) -> Resource:
    return {**order, "state": "pendingCancellation"}


#: How product orders are cancelled; its functions are those of this module, too.
PRODUCT_ORDER_CANCELLATION = OrderCancellation(order_schema.PRODUCT_ORDER_SCHEMA)
#: How service orders are.
SERVICE_ORDER_CANCELLATION = OrderCancellation(order_schema.SERVICE_ORDER_SCHEMA)

cancel, assess, start_compensation = (
    PRODUCT_ORDER_CANCELLATION.cancel,
    PRODUCT_ORDER_CANCELLATION.assess,
    PRODUCT_ORDER_CANCELLATION.start_compensation,
)
confirm, refuse = PRODUCT_ORDER_CANCELLATION.confirm, PRODUCT_ORDER_CANCELLATION.refuse


def check_offerings(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Let an order pass whose offerings are in the catalogue and, where added, on sale.

    Only where the operator's setting says so (``TMF_CHECK_REFERENCES``), and only when the items
    change.

    Raises:
        InvalidBody: An item names an offering that is not there (HTTP 400).
        Conflict: An item adds one that is not sold, or not by itself (HTTP 409).
    """
    if new is None or not repository.context.flags.get("check_references"):
        return
    wanted = _ordered_offerings(new)
    if old is not None and _ordered_offerings(old) == wanted:
        return
    ids = sorted({offering for _, offering, _ in wanted})
    found = {one["id"]: one for one in repository.find("ProductOffering", {"id": {"$in": ids}})}
    for at, offering, action in wanted:
        pointer = f"{at}/productOffering/id"
        if offering not in found:
            raise InvalidBody(f"{pointer}: the catalogue has no offering {offering}")
        if action == "add":
            _check_on_sale(pointer, found[offering], standalone=at.count("/productOrderItem/") == 1)


def _ordered_offerings(order: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (at, item["productOffering"]["id"], item.get("action", "add"))
        for at, item in items.items_with_pointers(order)
        if (item.get("productOffering") or {}).get("id")
    ]


def _check_on_sale(pointer: str, offering: Mapping[str, Any], *, standalone: bool) -> None:
    status = offering.get("lifecycleStatus")
    if status not in ON_SALE:
        raise Conflict(f"{pointer}: the offering is {status}; expected Launched or Active")
    if standalone and offering.get("isSellable") is False:
        raise Conflict(f"{pointer}: the offering is sold as a part of others only (isSellable)")
