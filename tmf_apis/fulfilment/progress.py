"""Milestones, jeopardy alerts and error messages of an order: pure edits, same when repeated.

Source: TMF622 v5.0.0, ProductOrderMilestone, ProductOrderJeopardyAlert, ProductOrderErrorMessage.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
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
YET, REACHED, VIOLATED = "Yet-To-Reach", "Completed", "Violated"
#: Types of jeopardy alerts.
LATE, ELEMENT, PERSON, TURN = (
    "unavoidableDelay", "waitingForElement", "waitingForPerson", "waitingForOrder",
)  # fmt: skip


def announced(order: Resource, now: datetime) -> Resource:
    """Return an order that says which milestones lie before it; the first is reached."""
    made = [
        {"@type": "ProductOrderMilestone", "id": id, "name": id, "description": text, "status": YET}
        for id, text in MILESTONES.items()
    ]
    known = {one.get("name") for one in objects(order.get("productOrderMilestone"))}
    new = [one for one in made if one["name"] not in known]
    before = list(objects(order.get("productOrderMilestone")))
    order = {**order, "productOrderMilestone": [*before, *new]}
    return reached(order, ACCEPTED, now)


def reached(order: Resource, name: str, now: datetime, status: str = REACHED) -> Resource:
    """Return an order with a milestone reached, unless it was already."""
    milestones = [
        {**one, "status": status, "milestoneDate": rfc3339(now)}
        if one.get("name") == name and one.get("status") == YET
        else one
        for one in objects(order.get("productOrderMilestone"))
    ]
    return {**order, "productOrderMilestone": milestones}


def warned(order: Resource, alert: tuple[str, str, str], now: datetime, *items: str) -> Resource:
    """Return an order with a jeopardy alert, unless it has it already.

    Args:
        order: The order.
        alert: Id, type and message.
        now: The time.
        *items: Ids of the items that are concerned.
    """
    id, type_, message = alert
    before = list(objects(order.get("productOrderJeopardyAlert")))
    if any(one.get("id") == id for one in before):
        return order
    new = {
        "@type": "ProductOrderJeopardyAlert",
        "id": id,
        "name": type_,
        "jeopardyType": type_,
        "message": message,
        "alertDate": rfc3339(now),
        **_concerned(order, items),
    }
    return {**order, "productOrderJeopardyAlert": [*before, new]}


def regretted(order: Resource, why: Mapping[str, str], now: datetime) -> Resource:
    """Return an order with an error message for each item that has failed.

    Args:
        order: The order.
        why: From the items' ids to the reasons.
        now: The time.
    """
    messages = [
        {
            "@type": "ProductOrderErrorMessage",
            "code": "fulfilment",
            "reason": "The item could not be fulfilled",
            "message": why[item],
            "timestamp": rfc3339(now),
            **_concerned(order, [item]),
        }
        for item in sorted(why)
    ]
    if not messages:
        return order
    before = list(objects(order.get("productOrderErrorMessage")))
    return {**order, "productOrderErrorMessage": [*before, *messages]}


def noted(order: Resource, text: str, author: str) -> Resource:
    """Return an order with a note, unless it has it already."""
    before = list(objects(order.get("note")))
    if any(one.get("text") == text for one in before):
        return order
    return {**order, "note": [*before, {"@type": "Note", "author": author, "text": text}]}


def _concerned(order: Mapping[str, Any], items: Iterable[str]) -> Resource:
    found = [
        {
            "@type": "ProductOrderItemRef",
            "productOrderId": order["id"],
            "productOrderItemId": item,
        }
        for item in items
    ]
    return {"productOrderItem": found} if found else {}
