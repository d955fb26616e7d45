"""Milestones, jeopardy alerts and error messages of an order: pure, idempotent edits.

Source: TMF622 v5.0.0, ProductOrderMilestone, ProductOrderJeopardyAlert, ProductOrderErrorMessage;
TMF641 v4.1.0, ServiceOrderMilestone, ServiceOrderJeopardyAlert, ServiceOrderErrorMessage.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA, OrderSchema
from tmf_apis.ordering.rules import ACCEPTED_MILESTONE, POINT_OF_NO_RETURN
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

RESERVED, COMPLETED = "reserved", "completed"
#: Description of each milestone, in the order in which they are reached.
MILESTONES: Mapping[str, str] = {
    ACCEPTED_MILESTONE: "The order is planned and work on it has begun",
    RESERVED: "All resources that the order requires are reserved",
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
WAITING_FOR_TEMPORAL = "waitingForTemporal"
#: Types of alerts that hold until work on the order begins, and until it ends.
ALERTS_BEFORE_START = frozenset({WAITING_FOR_ORDER, WAITING_FOR_TEMPORAL})
ALERTS_BEFORE_END = ALERTS_BEFORE_START | {WAITING_FOR_ELEMENT, WAITING_FOR_PERSON}


def with_milestones(order: Resource, now: datetime, *, schema: OrderSchema) -> Resource:
    """Return an order that lists all milestones, with the first one reached."""
    type_ = f"{schema.kind}Milestone"
    milestones = [
        {"@type": type_, "id": id, "name": id, "description": text, "status": YET_TO_REACH}
        for id, text in MILESTONES.items()
    ]
    existing = list(json_objects(order.get(schema.milestones)))
    names = {milestone.get("name") for milestone in existing}
    added = [milestone for milestone in milestones if milestone["name"] not in names]
    order = {**order, schema.milestones: [*existing, *added]}
    return with_milestone_reached(order, ACCEPTED_MILESTONE, now, schema=schema)


def with_milestone_reached(
    order: Resource,
    name: str,
    now: datetime,
    status: str = REACHED,
    *,
    schema: OrderSchema,
) -> Resource:
    """Return an order with a milestone reached, unless it was reached before."""
    milestones = [
        {**milestone, "status": status, "milestoneDate": rfc3339(now)}
        if milestone.get("name") == name and milestone.get("status") == YET_TO_REACH
        else milestone
        for milestone in json_objects(order.get(schema.milestones))
    ]
    return {**order, schema.milestones: milestones}


def with_alert(
    order: Resource,
    alert: tuple[str, str, str],
    now: datetime,
    *items: str,
    schema: OrderSchema,
) -> Resource:
    """Return an order with a jeopardy alert, unless it has an alert with that id.

    Args:
        order: The order.
        alert: Id, type and message.
        now: The time.
        *items: Ids of the affected items.
        schema: The kind of order.
    """
    id, type_, message = alert
    alerts = list(json_objects(order.get(schema.alerts)))
    if has_alert(order, id, schema=schema):
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
    return {**order, schema.alerts: [*alerts, new]}


def has_alert(order: Mapping[str, Any], id: str, *, schema: OrderSchema) -> bool:
    """Return whether an order has a jeopardy alert."""
    return any(alert.get("id") == id for alert in json_objects(order.get(schema.alerts)))


def without_alerts(order: Resource, types: Container[str], *, schema: OrderSchema) -> Resource:
    """Return an order without the jeopardy alerts of some types: they do not hold any more."""
    alerts = json_objects(order.get(schema.alerts))
    remaining = [alert for alert in alerts if alert.get("jeopardyType") not in types]
    if len(remaining) == len(alerts):
        return order
    rest = {name: value for name, value in order.items() if name != schema.alerts}
    return {**rest, schema.alerts: remaining} if remaining else rest


def with_error_messages(
    order: Resource, reasons: Mapping[str, str], now: datetime, *, schema: OrderSchema
) -> Resource:
    """Return an order with error messages for the items that have failed.

    A product order has one message for each item, a service order a single one for all.

    Args:
        order: The order.
        reasons: The reasons, by the items' ids.
        now: The time.
        schema: The kind of order.
    """
    if not reasons:
        return order
    if schema is SERVICE_ORDER_SCHEMA:
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
    """Return the single error message of a service order, extended by further failed items."""
    previous = order.get(SERVICE_ORDER_SCHEMA.errors) or {}
    texts = [f"item {item}: {reasons[item]}" for item in sorted(reasons)]
    references = _item_references(order, sorted(reasons), SERVICE_ORDER_SCHEMA)
    member = SERVICE_ORDER_SCHEMA.item_schema.items_attribute
    return {
        "@type": "ServiceOrderErrorMessage",
        "code": FAILURE_CODE,
        "reason": _FAILURE_REASON,
        "message": "; ".join([*([previous["message"]] if previous.get("message") else []), *texts]),
        member: [*json_objects(previous.get(member)), *references[member]],
    }


def with_note(order: Resource, text: str, author: str) -> Resource:
    """Return an order with a note, unless it has a note with that text."""
    notes = list(json_objects(order.get("note")))
    if any(note.get("text") == text for note in notes):
        return order
    return {**order, "note": [*notes, {"@type": "Note", "author": author, "text": text}]}


def _item_references(
    order: Mapping[str, Any], item_ids: Iterable[str], schema: OrderSchema
) -> Resource:
    """Return the attribute that names some items: references in TMF622, items in TMF641."""
    ids = list(item_ids)
    if not ids:
        return {}
    if schema is SERVICE_ORDER_SCHEMA:
        return {
            schema.item_schema.items_attribute: [
                _item_summary(item) for item in schema.all_items(order) if item["id"] in ids
            ]
        }
    references = [
        {"@type": "ProductOrderItemRef", "productOrderId": order["id"], "productOrderItemId": id}
        for id in ids
    ]
    return {schema.item_schema.items_attribute: references}


def _item_summary(item: Mapping[str, Any]) -> Resource:
    service = item.get("service") or {}
    reference = {"id": service["id"]} if service.get("id") else {}
    return {"id": item["id"], "action": item.get("action", "add"), "service": reference}
