"""What the ordering room does to other resources: cancelling, and looking offerings up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.ordering import forms, items, rules
from tmf_apis.ordering.forms import Form
from tmf_apis.ordering.states import CANCELLING, ORDER, TASK, state_of_order
from tmf_apis.rest.law import Desk, Resource, rfc3339

#: Offerings in these states can be ordered (TMF620 lifecycle).
ON_SALE = frozenset({"Active", "Launched"})


@dataclass(frozen=True, slots=True)
class Cancelling:
    """How one kind of order is cancelled.

    Attributes:
        form: The kind of order.
    """

    form: Form

    def cancel(self, desk: Desk, task: Resource) -> Resource:
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
        order_id = self.order_of(task)
        at_once = False

        def edit(order: Resource) -> Resource:
            nonlocal at_once
            self._check_can_cancel(order)
            at_once = not rules.begun(order, self.form)
            if at_once:
                return _cancelled(order, task)
            return {**order, "state": "assessingCancellation"}

        order = desk.change(self.form.kind, order_id, edit)
        if order.get("relatedParty"):  # who may see the order may see what became of the request
            task = {**task, "relatedParty": order["relatedParty"]}
        if not at_once:
            return {**task, "state": "inProgress"}
        return {**task, "state": "done", "effectiveCancellationDate": rfc3339(desk.now)}

    def order_of(self, task: Mapping[str, Any]) -> str:
        """Return the id of the order that a task names.

        Raises:
            InvalidBody: It names none (HTTP 400).
        """
        order_id = (task.get(self.form.reference) or {}).get("id")
        if not isinstance(order_id, str) or not order_id:
            raise InvalidBody(f"/{self.form.reference}/id: expected the id of the order to cancel")
        return order_id

    def _check_can_cancel(self, order: Mapping[str, Any]) -> None:
        state = order.get("state", ORDER.initial[0])
        if state in ORDER.final:
            raise IllegalTransition(self.form.kind, state, "cancelled", frozenset())
        if state in CANCELLING:
            raise Conflict(f"{self.form.kind} is {state}: a cancellation is under way already")
        if rules.past_no_return(order, self.form):
            raise Conflict(
                f"{self.form.kind} is {state} and past the point of no return (its milestone"
                f" {rules.POINT_OF_NO_RETURN} is completed); it can no longer be cancelled"
            )

    def assess(self, desk: Desk, task: Resource) -> None:
        """Decide on a task whose order is being worked on, where nothing else does.

        This is what happens without fulfilment: nobody touches a network for the order, so nothing
        has to be undone, and the point of no return decides alone. Safe to repeat.
        """
        if task.get("state") != "inProgress":
            return
        order = desk.get(self.form.kind, self.order_of(task))
        if rules.past_no_return(order, self.form):
            self.refuse(desk, task["id"], "the order passed the point of no return")
            return
        self.undo(desk, task["id"])
        self.confirm(desk, task["id"])

    def undo(self, desk: Desk, task_id: str) -> Resource:
        """Say that a cancellation was accepted and that undoing begins; return the order."""
        task = desk.get(self.form.task, task_id)
        edit = _from("assessingCancellation", _pending)
        return desk.change(self.form.kind, self.order_of(task), edit)

    def confirm(self, desk: Desk, task_id: str) -> Resource:
        """Say that everything is undone: the order is cancelled; return the task, done."""
        task = desk.get(self.form.task, task_id)
        for state in ("pendingCancellation", "assessingCancellation"):
            edit = _from(state, lambda order: _cancelled(order, task))
            desk.change(self.form.kind, self.order_of(task), edit)

        def done(stored: Resource) -> Resource:
            if stored["state"] in TASK.final:
                return stored
            return {**stored, "state": "done", "effectiveCancellationDate": rfc3339(desk.now)}

        return desk.change(self.form.task, task_id, done)

    def refuse(self, desk: Desk, task_id: str, why: str) -> Resource:
        """Say that an order stays: it goes back to where its items are; return the task, failed."""
        task = desk.get(self.form.task, task_id)
        edit = _from("assessingCancellation", self._resumed)
        desk.change(self.form.kind, self.order_of(task), edit)
        message = {
            "@type": "ErrorMessage",
            "code": Conflict.code,
            "reason": "Cancellation refused",
            "message": why,
            "timestamp": rfc3339(desk.now),
        }

        def failed(stored: Resource) -> Resource:
            if stored["state"] in TASK.final:
                return stored
            return {**stored, "state": "terminatedWithError", "errorMessage": message}

        return desk.change(self.form.task, task_id, failed)

    def _resumed(self, order: Resource) -> Resource:
        state = state_of_order(self.form.items.leaf_states(order))
        return {**order, "state": "inProgress" if state == "acknowledged" else state}


def _cancelled(order: Resource, task: Mapping[str, Any]) -> Resource:
    reason = task.get("cancellationReason")
    return {**order, "state": "cancelled", **({"cancellationReason": reason} if reason else {})}


def _from(state: str, edit: Callable[[Resource], Resource]) -> Callable[[Resource], Resource]:
    return lambda order: edit(order) if order.get("state") == state else order


def _pending(order: Resource) -> Resource:
    return {**order, "state": "pendingCancellation"}


#: How product orders are cancelled; its functions are those of this module, too.
PRODUCT = Cancelling(forms.PRODUCT)
#: How service orders are.
SERVICE = Cancelling(forms.SERVICE)

cancel, assess, undo = PRODUCT.cancel, PRODUCT.assess, PRODUCT.undo
confirm, refuse = PRODUCT.confirm, PRODUCT.refuse


def check_offerings(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let an order pass whose offerings are in the catalogue and, where added, on sale.

    Only where the operator's setting says so (``TMF_CHECK_REFERENCES``), and only when the items
    change.

    Raises:
        InvalidBody: An item names an offering that is not there (HTTP 400).
        Conflict: An item adds one that is not sold, or not by itself (HTTP 409).
    """
    if new is None or not desk.circumstances.flags.get("check_references"):
        return
    wanted = _offerings(new)
    if old is not None and _offerings(old) == wanted:
        return
    ids = sorted({offering for _, offering, _ in wanted})
    found = {one["id"]: one for one in desk.find("ProductOffering", {"id": {"$in": ids}})}
    for at, offering, action in wanted:
        pointer = f"{at}/productOffering/id"
        if offering not in found:
            raise InvalidBody(f"{pointer}: the catalogue has no offering {offering}")
        if action == "add":
            _check_on_sale(pointer, found[offering], alone=at.count("/productOrderItem/") == 1)


def _offerings(order: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (at, item["productOffering"]["id"], item.get("action", "add"))
        for at, item in items.of(order)
        if (item.get("productOffering") or {}).get("id")
    ]


def _check_on_sale(pointer: str, offering: Mapping[str, Any], *, alone: bool) -> None:
    status = offering.get("lifecycleStatus")
    if status not in ON_SALE:
        raise Conflict(f"{pointer}: the offering is {status}; expected Launched or Active")
    if alone and offering.get("isSellable") is False:
        raise Conflict(f"{pointer}: the offering is sold as a part of others only (isSellable)")
