"""Milestones, jeopardy alerts and error messages of an order: pure edits, same when repeated.

Source: TMF622 v5.0.0, ProductOrderMilestone, ProductOrderJeopardyAlert, ProductOrderErrorMessage;
TMF641 v4.1.0, ServiceOrderMilestone, ServiceOrderJeopardyAlert, ServiceOrderErrorMessage.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.inventory.characteristics import json_objects
from tmf_apis.ordering import order_schema
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.rules import ACCEPTED_MILESTONE, POINT_OF_NO_RETURN
from tmf_apis.rest.pipeline.policy import Resource, rfc3339

RESERVED, COMPLETED = "reserved", "completed"
#: What each milestone means, in the order in which they are reached.
MILESTONES: Mapping[str, str] = {
    ACCEPTED_MILESTONE: "The order is planned and work on it has begun",
    RESERVED: "Whatever the order needs is reserved for it",
    POINT_OF_NO_RETURN: (
        "A service is in operation; it is ended by an order, not by a cancellation"
    ),
    COMPLETED: "Every item has a final state",
}
_FAILURE_REASON = "The item could not be fulfilled"
#: ``code`` of the error message of a service order.
FAILURE_CODE = 422
YET_TO_REACH, REACHED, VIOLATED = "Yet-To-Reach", "Completed", "Violated"
#: Types of jeopardy alerts.
UNAVOIDABLE_DELAY, WAITING_FOR_ELEMENT, WAITING_FOR_PERSON, WAITING_FOR_ORDER = (
    "unavoidableDelay", "waitingForElement", "waitingForPerson", "waitingForOrder",
)  # fmt: skip


def with_milestones(
    order: Resource, now: datetime, schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA
) -> Resource:
    """Return an order that says which milestones lie before it; the first is reached."""
    type_ = f"{schema.kind}Milestone"
    made = [
        {"@type": type_, "id": id, "name": id, "description": text, "status": YET_TO_REACH}
        for id, text in MILESTONES.items()
    ]
    before = list(json_objects(order.get(schema.milestones)))
    known = {one.get("name") for one in before}
    new = [one for one in made if one["name"] not in known]
    order = {**order, schema.milestones: [*before, *new]}
    return with_milestone_reached(order, ACCEPTED_MILESTONE, now, schema=schema)


def with_milestone_reached(
    order: Resource,
    name: str,
    now: datetime,
    status: str = REACHED,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order with a milestone reached, unless it was already."""
    milestones = [
        {**one, "status": status, "milestoneDate": rfc3339(now)}
        if one.get("name") == name and one.get("status") == YET_TO_REACH
        else one
        for one in json_objects(order.get(schema.milestones))
    ]
    return {**order, schema.milestones: milestones}


def with_alert(
    order: Resource,
    alert: tuple[str, str, str],
    now: datetime,
    *items: str,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order with a jeopardy alert, unless it has it already.

    Args:
        order: The order.
        alert: Id, type and message.
        now: The time.
        *items: Ids of the items that are concerned.
        schema: What kind of order it is.
    """
    id, type_, message = alert
    before = list(json_objects(order.get(schema.alerts)))
    if any(one.get("id") == id for one in before):
        return order
    new = {
        "@type": f"{schema.kind}JeopardyAlert",
        "id": id,
        "name": type_,
        "jeopardyType": type_,
        "message": message,
        "alertDate": rfc3339(now),
        **_item_references(order, items, schema),
    }
    return {**order, schema.alerts: [*before, new]}


def with_error_messages(
    order: Resource,
    reasons: Mapping[str, str],
    now: datetime,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order with an error message for each item that has failed, or one for all.

    Args:
        order: The order.
        reasons: From the items' ids to the reasons.
        now: The time.
        schema: What kind of order it is.
    """
    if not reasons:
        return order
    if schema is order_schema.SERVICE_ORDER_SCHEMA:
        return {**order, schema.errors: _service_order_message(order, reasons)}
    messages = [
        {
            "@type": "ProductOrderErrorMessage",
            "code": "fulfilment",
            "reason": _FAILURE_REASON,
            "message": reasons[item],
            "timestamp": rfc3339(now),
            **_item_references(order, [item], schema),
        }
        for item in sorted(reasons)
    ]
    return {**order, schema.errors: [*json_objects(order.get(schema.errors)), *messages]}


def _service_order_message(order: Resource, reasons: Mapping[str, str]) -> Resource:
    """Return the one error message of a service order, with further items that have failed."""
    before = order.get(order_schema.SERVICE_ORDER_SCHEMA.errors) or {}
    texts = [f"item {item}: {reasons[item]}" for item in sorted(reasons)]
    concerned = _item_references(order, sorted(reasons), order_schema.SERVICE_ORDER_SCHEMA)
    member = order_schema.SERVICE_ORDER_SCHEMA.item_schema.items_attribute
    return {
        "@type": "ServiceOrderErrorMessage",
        "code": FAILURE_CODE,
        "reason": _FAILURE_REASON,
        "message": "; ".join([*([before["message"]] if before.get("message") else []), *texts]),
        member: [*json_objects(before.get(member)), *concerned[member]],
    }


def with_note(order: Resource, text: str, author: str) -> Resource:
    """Return an order with a note, unless it has it already."""
    before = list(json_objects(order.get("note")))
    if any(one.get("text") == text for one in before):
        return order
    return {**order, "note": [*before, {"@type": "Note", "author": author, "text": text}]}


def _item_references(
    order: Mapping[str, Any], items: Iterable[str], schema: OrderSchema
) -> Resource:
    """Return which items something is about: TMF622 has references, TMF641 items."""
    wanted = list(items)
    if not wanted:
        return {}
    if schema is order_schema.SERVICE_ORDER_SCHEMA:
        return {
            schema.item_schema.items_attribute: [
                _item_summary(one) for one in schema.all_items(order) if one["id"] in wanted
            ]
        }
    found = [
        {
            "@type": "ProductOrderItemRef",
            "productOrderId": order["id"],
            "productOrderItemId": item,
        }
        for item in wanted
    ]
    return {schema.item_schema.items_attribute: found}


def _item_summary(item: Mapping[str, Any]) -> Resource:
    service = item.get("service") or {}
    named = {"id": service["id"]} if service.get("id") else {}
    return {"id": item["id"], "action": item.get("action", "add"), "service": named}
