"""Milestones, jeopardy alerts and error messages of an order: pure edits, same when repeated.

Source: TMF622 v5.0.0, ProductOrderMilestone, ProductOrderJeopardyAlert, ProductOrderErrorMessage;
TMF641 v4.1.0, ServiceOrderMilestone, ServiceOrderJeopardyAlert, ServiceOrderErrorMessage.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.ordering import forms
from tmf_apis.ordering.forms import Form
from tmf_apis.ordering.rules import ACCEPTED, POINT_OF_NO_RETURN
from tmf_apis.rest.law import Resource, rfc3339

RESERVED, COMPLETED = "reserved", "completed"
#: What each milestone means, in the order in which they are reached.
MILESTONES: Mapping[str, str] = {
    ACCEPTED: "The order is planned and work on it has begun",
    RESERVED: "Whatever the order needs is reserved for it",
    POINT_OF_NO_RETURN: (
        "A service is in operation; it is ended by an order, not by a cancellation"
    ),
    COMPLETED: "Every item has a final state",
}
_FAILED = "The item could not be fulfilled"
#: ``code`` of the error message of a service order.
UNFULFILLED = 422
YET, REACHED, VIOLATED = "Yet-To-Reach", "Completed", "Violated"
#: Types of jeopardy alerts.
LATE, ELEMENT, PERSON, TURN = (
    "unavoidableDelay", "waitingForElement", "waitingForPerson", "waitingForOrder",
)  # fmt: skip


def announced(order: Resource, now: datetime, form: Form = forms.PRODUCT) -> Resource:
    """Return an order that says which milestones lie before it; the first is reached."""
    type_ = f"{form.kind}Milestone"
    made = [
        {"@type": type_, "id": id, "name": id, "description": text, "status": YET}
        for id, text in MILESTONES.items()
    ]
    before = list(objects(order.get(form.milestones)))
    known = {one.get("name") for one in before}
    new = [one for one in made if one["name"] not in known]
    order = {**order, form.milestones: [*before, *new]}
    return reached(order, ACCEPTED, now, form=form)


def reached(
    order: Resource, name: str, now: datetime, status: str = REACHED, form: Form = forms.PRODUCT
) -> Resource:
    """Return an order with a milestone reached, unless it was already."""
    milestones = [
        {**one, "status": status, "milestoneDate": rfc3339(now)}
        if one.get("name") == name and one.get("status") == YET
        else one
        for one in objects(order.get(form.milestones))
    ]
    return {**order, form.milestones: milestones}


def warned(
    order: Resource,
    alert: tuple[str, str, str],
    now: datetime,
    *items: str,
    form: Form = forms.PRODUCT,
) -> Resource:
    """Return an order with a jeopardy alert, unless it has it already.

    Args:
        order: The order.
        alert: Id, type and message.
        now: The time.
        *items: Ids of the items that are concerned.
        form: What kind of order it is.
    """
    id, type_, message = alert
    before = list(objects(order.get(form.alerts)))
    if any(one.get("id") == id for one in before):
        return order
    new = {
        "@type": f"{form.kind}JeopardyAlert",
        "id": id,
        "name": type_,
        "jeopardyType": type_,
        "message": message,
        "alertDate": rfc3339(now),
        **_concerned(order, items, form),
    }
    return {**order, form.alerts: [*before, new]}


def regretted(
    order: Resource, why: Mapping[str, str], now: datetime, form: Form = forms.PRODUCT
) -> Resource:
    """Return an order with an error message for each item that has failed, or one for all.

    Args:
        order: The order.
        why: From the items' ids to the reasons.
        now: The time.
        form: What kind of order it is.
    """
    if not why:
        return order
    if form is forms.SERVICE:
        return {**order, form.errors: _message_for_all(order, why)}
    messages = [
        {
            "@type": "ProductOrderErrorMessage",
            "code": "fulfilment",
            "reason": _FAILED,
            "message": why[item],
            "timestamp": rfc3339(now),
            **_concerned(order, [item], form),
        }
        for item in sorted(why)
    ]
    return {**order, form.errors: [*objects(order.get(form.errors)), *messages]}


def _message_for_all(order: Resource, why: Mapping[str, str]) -> Resource:
    """Return the one error message of a service order, with further items that have failed."""
    before = order.get(forms.SERVICE.errors) or {}
    texts = [f"item {item}: {why[item]}" for item in sorted(why)]
    concerned = _concerned(order, sorted(why), forms.SERVICE)
    member = forms.SERVICE.items.member
    return {
        "@type": "ServiceOrderErrorMessage",
        "code": UNFULFILLED,
        "reason": _FAILED,
        "message": "; ".join([*([before["message"]] if before.get("message") else []), *texts]),
        member: [*objects(before.get(member)), *concerned[member]],
    }


def noted(order: Resource, text: str, author: str) -> Resource:
    """Return an order with a note, unless it has it already."""
    before = list(objects(order.get("note")))
    if any(one.get("text") == text for one in before):
        return order
    return {**order, "note": [*before, {"@type": "Note", "author": author, "text": text}]}


def _concerned(order: Mapping[str, Any], items: Iterable[str], form: Form) -> Resource:
    """Return which items something is about: TMF622 has references, TMF641 items."""
    wanted = list(items)
    if not wanted:
        return {}
    if form is forms.SERVICE:
        return {form.items.member: [_shown(one) for one in form.of(order) if one["id"] in wanted]}
    found = [
        {
            "@type": "ProductOrderItemRef",
            "productOrderId": order["id"],
            "productOrderItemId": item,
        }
        for item in wanted
    ]
    return {form.items.member: found}


def _shown(item: Mapping[str, Any]) -> Resource:
    service = item.get("service") or {}
    named = {"id": service["id"]} if service.get("id") else {}
    return {"id": item["id"], "action": item.get("action", "add"), "service": named}
