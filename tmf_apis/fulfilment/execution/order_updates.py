"""Edits that fulfilment makes to an order: pure and idempotent."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tmf_apis.fulfilment.execution import progress
from tmf_apis.fulfilment.values import Allocation, ItemPlan
from tmf_apis.ordering.order_schema import PRODUCT_ORDER_SCHEMA, OrderSchema
from tmf_apis.ordering.rules import POINT_OF_NO_RETURN, PRIORITIES
from tmf_apis.ordering.states import CANCELLATION_STATES, ITEM_LIFECYCLE, ORDER_LIFECYCLE
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Resource

#: Author of the notes that fulfilment adds.
NOTE_AUTHOR = "tmf-apis"
#: States in which fulfilment starts or continues an order.
OPEN_STATES = frozenset({"acknowledged", "inProgress", "inProgress.accepted"})
#: Expected duration of an order without a requested date: a base, and an addition for each item.
BASE_DURATION, DURATION_PER_ITEM = timedelta(minutes=1), timedelta(seconds=1)

#: By kind of order: the attribute of an item's product or service that holds its state, and the
#: value of that attribute for each status.
_STATUS_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ProductOrder": (
        "status",
        {
            **{status: status for status in ("active", "suspended", "terminated", "cancelled")},
            "pendingActive": "pendingActive",
            "aborted": "aborted ",  # as the contract writes it
        },
    ),
    "ServiceOrder": (
        "state",
        {
            "pendingActive": "reserved",
            "active": "active",
            "suspended": "inactive",
            **dict.fromkeys(("terminated", "cancelled", "aborted"), "terminated"),
        },
    ),
}
#: Type of the ordered product or service, where the contract requires one.
_SUBJECT_TYPE: Mapping[str, Resource] = {"ProductOrder": {"@type": "Product"}, "ServiceOrder": {}}
#: Attributes that name the resources and services of the ordered product or service.
_SUPPORT_ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    "ProductOrder": ("realizingResource", "realizingService"),
    "ServiceOrder": ("supportingResource", "supportingService"),
}


@dataclass(slots=True)
class OrderUpdate:
    """Changes to an order that are written at once.

    Attributes:
        is_reserved: Whether all required resources are reserved.
        completed_items: The plans and allocations of completed items, by item id.
        failure_reasons: The failure reasons of compensated items, by item id.
        cancelled_items: Ids of those of them that a request to cancel has compensated.
        fallout_items: The fallout task and the reason of items that wait for one, by item id.
        resumed_items: Ids of items that continue, and may have waited for a fallout task before.
        unreachable_items: The element and the error of items whose element cannot be reached, by
            item id.
        notes: Texts of notes for people.
    """

    is_reserved: bool = False
    completed_items: dict[str, tuple[ItemPlan, list[Allocation]]] = field(default_factory=dict)
    failure_reasons: dict[str, str] = field(default_factory=dict)
    cancelled_items: set[str] = field(default_factory=set)
    fallout_items: dict[str, tuple[str, str]] = field(default_factory=dict)
    resumed_items: set[str] = field(default_factory=set)
    unreachable_items: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def with_items_started(
    order: Resource,
    plans: Mapping[str, ItemPlan | None],
    now: datetime,
    *,
    schema: OrderSchema,
) -> Resource:
    """Return an order that is in progress together with its items.

    Args:
        order: The order.
        plans: The plan of each item, by item id.
        now: The time.
        schema: The kind of order.
    """
    status, status_words = _STATUS_WORDS[schema.kind]

    def start(item: Resource) -> Resource:
        if item["id"] not in plans or item.get("state", "acknowledged") != "acknowledged":
            return item
        plan = plans[item["id"]]
        new_product = plan.product if plan and plan.action == "add" else None
        if new_product is None:
            return {**item, "state": "inProgress"}
        subject = {**_SUBJECT_TYPE[schema.kind], **(item.get(schema.subject) or {})}
        subject |= {"id": new_product.id, status: status_words["pendingActive"]}
        return {**item, schema.subject: subject, "state": "inProgress"}

    order = progress.without_alerts(order, progress.ALERTS_BEFORE_START, schema=schema)
    started = {**schema.map_leaf_items(order, start), "state": "inProgress"}
    started = progress.with_milestones(started, now, schema=schema)
    if not started.get("expectedCompletionDate"):
        started["expectedCompletionDate"] = expected_completion(started, len(plans), now)
    return started


def with_rejection(
    order: Resource, reasons: Mapping[str, str], now: datetime, *, schema: OrderSchema
) -> Resource:
    """Return an order that can never be fulfilled as rejected, or as failed if it was started.

    Args:
        order: The order.
        reasons: The reasons, by the items' ids.
        now: The time.
        schema: The kind of order.
    """
    if order.get("state") not in OPEN_STATES:
        return order
    state = "rejected" if order["state"] == "acknowledged" else "failed"
    new = progress.without_alerts(order, progress.ALERTS_BEFORE_END, schema=schema)
    new = progress.with_error_messages(new, reasons, now, schema=schema)
    texts = dict.fromkeys(f"Item {item}: {reasons[item]}" for item in sorted(reasons))
    new = progress.with_note(new, f"Rejected. {'; '.join(texts)}", NOTE_AUTHOR)
    return {**new, "state": state}


def expected_completion(order: Mapping[str, Any], count: int, now: datetime) -> str:
    """Return the expected completion date: the requested one, unless it is too early.

    Args:
        order: The order.
        count: Number of its items.
        now: The time.
    """
    requested = canonical_timestamp(order.get("requestedCompletionDate"))
    earliest = now + BASE_DURATION + count * DURATION_PER_ITEM
    if requested and datetime.fromisoformat(requested) > earliest:
        return rfc3339(datetime.fromisoformat(requested).astimezone(UTC))
    return rfc3339(earliest.replace(microsecond=0))


def with_update(
    order: Resource, update: OrderUpdate, now: datetime, *, schema: OrderSchema
) -> Resource:
    """Return an order with an update applied.

    Args:
        order: The order.
        update: The changes.
        now: The time.
        schema: The kind of order.
    """
    open_ids = _open_item_ids(order, schema)
    edit = partial(_updated_item, schema, update, open_ids, is_cancelling=is_cancelling(order))
    new = schema.map_leaf_items(order, edit)
    if update.is_reserved or update.completed_items:
        new = progress.with_milestone_reached(new, progress.RESERVED, now, schema=schema)
    if any(allocations for _, allocations in update.completed_items.values()):
        new = progress.with_milestone_reached(new, POINT_OF_NO_RETURN, now, schema=schema)
    for item, alert in _jeopardy_alerts(update):
        new = progress.with_alert(new, alert, now, item, schema=schema)
    for text in update.notes:
        new = progress.with_note(new, text, NOTE_AUTHOR)
    if not is_cancelling(order):
        failed_ids = open_ids - update.cancelled_items
        reasons = {id: reason for id, reason in update.failure_reasons.items() if id in failed_ids}
        new = progress.with_error_messages(new, reasons, now, schema=schema)
    return with_completion(new, now, schema=schema)


def _updated_item(
    schema: OrderSchema,
    update: OrderUpdate,
    open_ids: Container[str],
    item: Resource,
    *,
    is_cancelling: bool,
) -> Resource:
    id, completed = item["id"], update.completed_items
    if id not in open_ids:
        return item
    if id in completed:
        return {**with_subject(item, *completed[id], schema=schema), "state": "completed"}
    if id in update.failure_reasons:
        is_cancelled = id in update.cancelled_items
        state = "" if is_cancelling else "cancelled" if is_cancelled else "failed"
        return _failed_item(item, state, is_cancelled=is_cancelled, schema=schema)
    if id in update.fallout_items:
        return {**item, "state": "pending"}
    if id in update.resumed_items and item.get("state") == "pending":
        return {**item, "state": "inProgress"}
    return item


def _jeopardy_alerts(update: OrderUpdate) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield the alerts about waiting items, each with the id of its item."""
    for item, (name, reason) in sorted(update.unreachable_items.items()):
        message = f"waiting for {name}: {reason}"
        yield item, (f"element {name}", progress.WAITING_FOR_ELEMENT, message)
    for item, (id, reason) in sorted(update.fallout_items.items()):
        yield item, (f"task {id}", progress.WAITING_FOR_PERSON, f"a person has to decide: {reason}")


def with_completion(order: Resource, now: datetime, *, schema: OrderSchema) -> Resource:
    """Return an order with its last milestone reached or violated once all items are final."""
    states = set(schema.item_schema.leaf_states(order))
    if not states <= ITEM_LIFECYCLE.final_states:
        return order
    order = progress.without_alerts(order, progress.ALERTS_BEFORE_END, schema=schema)
    status = progress.REACHED if states <= {"completed"} else progress.VIOLATED
    return progress.with_milestone_reached(order, progress.COMPLETED, now, status, schema=schema)


def with_items_ended(
    order: Resource,
    cancelled_ids: Collection[str],
    reasons: Mapping[str, str],
    now: datetime,
    *,
    schema: OrderSchema,
) -> Resource:
    """Return an order with its compensated items ended, while the order itself is not cancelled.

    Args:
        order: The order.
        cancelled_ids: Ids of the items that were compensated because of a request to cancel.
        reasons: Why other items have failed, by their ids.
        now: The time.
        schema: The kind of order.
    """
    open_ids = _open_item_ids(order, schema)

    def end(item: Resource) -> Resource:
        if item["id"] not in open_ids or item["id"] not in {*cancelled_ids, *reasons}:
            return item
        return {**item, "state": "failed" if item["id"] in reasons else "cancelled"}

    new_reasons = {id: reason for id, reason in reasons.items() if id in open_ids}
    new = schema.map_leaf_items(order, end)
    new = progress.with_error_messages(new, new_reasons, now, schema=schema)
    return with_completion(new, now, schema=schema)


def _open_item_ids(order: Mapping[str, Any], schema: OrderSchema) -> set[str]:
    return {
        item["id"]
        for item in schema.all_items(order)
        if item.get("state") not in ITEM_LIFECYCLE.final_states
    }


def _failed_item(
    item: Resource, state: str, *, is_cancelled: bool, schema: OrderSchema
) -> Resource:
    """Return a compensated item.

    Args:
        item: The item.
        state: Its state; empty: it keeps the one that it has, until the request is answered.
        is_cancelled: It was compensated because the order was cancelled.
        schema: The kind of order.
    """
    status, status_words = _STATUS_WORDS[schema.kind]
    subject = dict(item.get(schema.subject) or {})
    if subject.get(status) == status_words["pendingActive"] and item.get("action") == "add":
        subject[status] = status_words["cancelled" if is_cancelled else "aborted"]
        item = {**item, schema.subject: subject}
    return {**item, "state": state} if state else item


def is_cancelling(order: Mapping[str, Any]) -> bool:
    """Return whether a request to cancel the order is being assessed or carried out."""
    return order.get("state") in CANCELLATION_STATES


def priority_key(order: Mapping[str, Any]) -> int:
    """Return an order's priority from 1, the highest, to 5; 0 if it has none.

    >>> priority_key({"priority": "0"}), priority_key({})
    (1, 0)
    """
    priority = order.get("priority")
    return int(priority) + 1 if priority in PRIORITIES else 0


def is_final(state: str) -> bool:
    """Return whether a state is final; the empty state is that of a deleted order."""
    return not state or state in ORDER_LIFECYCLE.final_states


def with_subject(
    item: Resource, plan: ItemPlan, allocations: Iterable[Allocation], *, schema: OrderSchema
) -> Resource:
    """Return an item whose product or service has its id, state, resources and services."""
    if plan.product is None:
        return item
    status, status_words = _STATUS_WORDS[schema.kind]
    subject = {**_SUBJECT_TYPE[schema.kind], **(item.get(schema.subject) or {})}
    subject |= {"id": plan.product.id, status: status_words[plan.product.status]}
    resources = [
        {"@type": "ResourceRef", "id": id, "name": allocation.names.get(slot, id),
         "@referredType": "Resource"}
        for allocation in allocations
        if allocation.action != "cease" or plan.change == "cease"
        for slot, id in allocation.resources.items()
    ]  # fmt: skip
    type_ = {"@type": "ServiceRef"} if schema is PRODUCT_ORDER_SCHEMA else {}
    services = [
        {**type_, "id": id, "@referredType": "Service"}
        for id in plan.product.services
        if id != plan.product.id
    ]
    attributes = _SUPPORT_ATTRIBUTES[schema.kind]
    for name, references in zip(attributes, (resources, services), strict=True):
        by_id = {old["id"]: old for old in json_objects(subject.get(name)) if "id" in old}
        if by_id := {**by_id, **{new["id"]: new for new in references}}:
            subject[name] = list(by_id.values())
    return {**item, schema.subject: subject}
