"""What fulfilment writes into an order: pure edits, each the same when repeated."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tmf_apis.fulfilment.execution import progress
from tmf_apis.fulfilment.values import Allocation, ItemPlan
from tmf_apis.inventory.characteristics import json_objects
from tmf_apis.ordering import order_schema
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.rules import POINT_OF_NO_RETURN, PRIORITIES
from tmf_apis.ordering.states import CANCELLATION_STATES, ITEM_LIFECYCLE, ORDER_LIFECYCLE
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Resource, rfc3339

#: Who signs our notes.
NOTE_AUTHOR = "tmf-apis"
#: States in which fulfilment takes an order up, or goes on with it.
OPEN_STATES = frozenset({"acknowledged", "inProgress", "inProgress.accepted"})
#: What an order takes as a whole, and each of its tasks, where nobody says when it shall be done.
BASE_DURATION, DURATION_PER_ITEM = timedelta(minutes=1), timedelta(seconds=1)

#: What an item says of the state of what is ordered: the attribute, and the words for each status.
_STATUS_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ProductOrder": (
        "status",
        {
            **{one: one for one in ("active", "suspended", "terminated", "cancelled")},
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
#: The type of what is ordered, where its contract must have one.
_SUBJECT_TYPE: Mapping[str, Resource] = {"ProductOrder": {"@type": "Product"}, "ServiceOrder": {}}
#: Which resources and services what is ordered rests on.
_SUPPORT_ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    "ProductOrder": ("realizingResource", "realizingService"),
    "ServiceOrder": ("supportingResource", "supportingService"),
}


@dataclass(slots=True)
class OrderUpdate:
    """What an order is told at once.

    Attributes:
        is_reserved: Whether everything it needs is reserved.
        completed_items: From the ids of items that are completed to what became of each, and what it is on.
        failure_reasons: From the ids of items of which nothing is left to the reason.
        fallout_items: From the ids of items that wait for a person to what for.
        resumed_items: Ids of items that may have waited and go on.
        unreachable_items: From the ids of items whose element cannot be reached to its name and the reason.
        notes: What people should read.
    """

    is_reserved: bool = False
    completed_items: dict[str, tuple[ItemPlan, list[Allocation]]] = field(default_factory=dict)
    failure_reasons: dict[str, str] = field(default_factory=dict)
    fallout_items: dict[str, tuple[str, str]] = field(default_factory=dict)
    resumed_items: set[str] = field(default_factory=set)
    unreachable_items: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def with_items_started(
    order: Resource,
    plans: Mapping[str, ItemPlan | None],
    now: datetime,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order whose items are in progress, and it with them.

    Args:
        order: The order.
        plans: What becomes of each item, by id.
        now: The time.
        schema: What kind of order it is.
    """
    status, words = _STATUS_WORDS[schema.kind]

    def begin(item: Resource) -> Resource:
        if item["id"] not in plans or item.get("state", "acknowledged") != "acknowledged":
            return item
        plan = plans[item["id"]]
        made = plan.product if plan and plan.action == "add" else None
        if made is None:
            return {**item, "state": "inProgress"}
        subject = {**_SUBJECT_TYPE[schema.kind], **(item.get(schema.subject) or {})}
        subject |= {"id": made.id, status: words["pendingActive"]}
        return {**item, schema.subject: subject, "state": "inProgress"}

    new = progress.with_milestones(
        {**schema.map_leaf_items(order, begin), "state": "inProgress"}, now, schema
    )
    if not new.get("expectedCompletionDate"):
        new["expectedCompletionDate"] = expected_completion(new, len(plans), now)
    return new


def expected_completion(order: Mapping[str, Any], count: int, now: datetime) -> str:
    """Return when an order is expected to be finished: when its customer wants it, or soon."""
    wanted, soon = (
        canonical_timestamp(order.get("requestedCompletionDate")),
        now + BASE_DURATION + count * DURATION_PER_ITEM,
    )
    if wanted and datetime.fromisoformat(wanted) > soon:
        return rfc3339(datetime.fromisoformat(wanted).astimezone(UTC))
    return rfc3339(soon.replace(microsecond=0))


def with_update(
    order: Resource,
    update: OrderUpdate,
    now: datetime,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order that says what has happened."""
    open_ = {
        i["id"]
        for i in schema.all_items(order)
        if i.get("state") not in ITEM_LIFECYCLE.final_states
    }
    change = partial(_updated_item, schema, update, open_, cancelled=is_cancelling(order))
    new = schema.map_leaf_items(order, change)
    if update.is_reserved or update.completed_items:
        new = progress.with_milestone_reached(new, progress.RESERVED, now, schema=schema)
    if any(taken for _, taken in update.completed_items.values()):
        new = progress.with_milestone_reached(new, POINT_OF_NO_RETURN, now, schema=schema)
    for item, alert in _jeopardy_alerts(update):
        new = progress.with_alert(new, alert, now, item, schema=schema)
    for text in update.notes:
        new = progress.with_note(new, text, NOTE_AUTHOR)
    if not is_cancelling(order):
        why_not = {id: why for id, why in update.failure_reasons.items() if id in open_}
        new = progress.with_error_messages(new, why_not, now, schema)
    return with_completion(new, now, schema)


def _updated_item(
    schema: OrderSchema,
    update: OrderUpdate,
    open_ids: Container[str],
    item: Resource,
    *,
    cancelled: bool,
) -> Resource:
    id, done = item["id"], update.completed_items
    if id not in open_ids:
        return item
    if id in done:
        return {**with_subject(schema, item, *done[id]), "state": "completed"}
    if id in update.failure_reasons:
        return _failed_item(schema, item, cancelled=cancelled)
    if id in update.fallout_items:
        return {**item, "state": "pending"}
    if id in update.resumed_items and item.get("state") == "pending":
        return {**item, "state": "inProgress"}
    return item


def _jeopardy_alerts(update: OrderUpdate) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield item and alert of whatever is waited for."""
    for item, (name, why) in sorted(update.unreachable_items.items()):
        message = f"{name} is waited for: {why}"
        yield item, (f"element {name}", progress.WAITING_FOR_ELEMENT, message)
    for item, (id, why) in sorted(update.fallout_items.items()):
        yield item, (f"task {id}", progress.WAITING_FOR_PERSON, f"a person has to decide: {why}")


def with_completion(
    order: Resource, now: datetime, schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA
) -> Resource:
    """Return an order that says so where all its items have a final state."""
    states = set(schema.item_schema.leaf_states(order))
    if not states <= ITEM_LIFECYCLE.final_states:
        return order
    good = states <= {"completed"}
    status = progress.REACHED if good else progress.VIOLATED
    return progress.with_milestone_reached(order, progress.COMPLETED, now, status, schema)


def with_items_cancelled(
    order: Resource,
    item_ids: Iterable[str],
    now: datetime,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Resource:
    """Return an order whose items that were taken back are cancelled, though it goes on."""
    ids = set(item_ids)

    def change(item: Resource) -> Resource:
        if item["id"] in ids and item.get("state") not in ITEM_LIFECYCLE.final_states:
            return {**item, "state": "cancelled"}
        return item

    return with_completion(schema.map_leaf_items(order, change), now, schema)


def _failed_item(schema: OrderSchema, item: Resource, *, cancelled: bool) -> Resource:
    """Return an item of which nothing is left; that of a cancelled order follows the order."""
    status, words = _STATUS_WORDS[schema.kind]
    subject = dict(item.get(schema.subject) or {})
    if subject.get(status) == words["pendingActive"] and item.get("action") == "add":
        subject[status] = words["cancelled" if cancelled else "aborted"]
        item = {**item, schema.subject: subject}
    return item if cancelled else {**item, "state": "failed"}


def is_cancelling(order: Mapping[str, Any]) -> bool:
    """Return whether a request to cancel the order is being decided or carried out."""
    return order.get("state") in CANCELLATION_STATES


def priority_key(order: Mapping[str, Any]) -> int:
    """Return an order's priority from 1, the highest, to 5; 0: it has none.

    >>> priority_key({"priority": "0"}), priority_key({})
    (1, 0)
    """
    priority = order.get("priority")
    return int(priority) + 1 if priority in PRIORITIES else 0


def is_final(state: str) -> bool:
    """Return whether an order in a state is finished, or gone."""
    return not state or state in ORDER_LIFECYCLE.final_states


def with_subject(
    schema: OrderSchema, item: Resource, plan: ItemPlan, allocations: Iterable[Allocation]
) -> Resource:
    """Return an item whose product or service says which it is, and what it is on."""
    if plan.product is None:
        return item
    status, words = _STATUS_WORDS[schema.kind]
    subject = {**_SUBJECT_TYPE[schema.kind], **(item.get(schema.subject) or {})}
    subject |= {"id": plan.product.id, status: words[plan.product.status]}
    resources = [
        {"@type": "ResourceRef", "id": id, "name": one.names.get(slot, id),
         "@referredType": "Resource"}
        for one in allocations
        if one.action != "cease" or plan.change == "cease"
        for slot, id in one.resources.items()
    ]  # fmt: skip
    typed = {"@type": "ServiceRef"} if schema is order_schema.PRODUCT_ORDER_SCHEMA else {}
    services = [
        {**typed, "id": id, "@referredType": "Service"}
        for id in plan.product.services
        if id != plan.product.id
    ]
    rests = _SUPPORT_ATTRIBUTES[schema.kind]
    for name, found in zip(rests, (resources, services), strict=True):
        others = {one["id"]: one for one in json_objects(subject.get(name)) if "id" in one}
        if merged := {**others, **{one["id"]: one for one in found}}:
            subject[name] = list(merged.values())
    return {**item, schema.subject: subject}
