"""What a product order is allowed to be and to become; pure.

Source: TMF622 v4.0 and v5.0, ProductOrder, ProductOrderItem, CancelProductOrder.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.ordering import items, order_schema
from tmf_apis.ordering.items import OrderItemSchema
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.states import (
    CANCELLATION_STATES,
    NOT_STARTED_STATES,
    ORDER_LIFECYCLE,
    state_of_order,
)
from tmf_apis.rest.pipeline.periods import check_order
from tmf_apis.rest.pipeline.policy import RequestContext, Resource

#: From 0, the highest, to 4 (TMF622 ProductOrder.priority).
PRIORITIES = ("0", "1", "2", "3", "4")

#: Name of the milestone that, once completed, makes an order impossible to cancel. Fulfilment
#: sets it; an operator's other systems may, too.
POINT_OF_NO_RETURN = "pointOfNoReturn"
#: Name of the milestone that says that work on an order has begun.
ACCEPTED_MILESTONE = "accepted"

#: What a client cannot change any more once an order is finished.
IMMUTABLE_WHEN_FINISHED = (
    "productOrderItem",
    "requestedStartDate",
    "requestedCompletionDate",
    "expectedCompletionDate",
    "completionDate",
    "cancellationDate",
    "priority",
    "relatedParty",
    "billingAccount",
    "agreement",
    "orderTotalPrice",
    "payment",
    "quote",
)

#: What a client cannot change any more once work on an order has begun, beside its items: it is
#: in the inventories by then. The rest is merged, and reaches the work under way.
IMMUTABLE_ONCE_STARTED = ("requestedStartDate", "billingAccount", "agreement")

#: What a client may still change in an item once work on the order has begun.
_MUTABLE_ITEM_ATTRIBUTES = frozenset({"note", "state"})


def on_create(order: Resource, context: RequestContext) -> Resource:
    """Return a new order with what the server fills in.

    State, item states and creation date are the server's; a client may ask for a draft through
    ``requestedInitialState``. The server itself (a loader) may bring them along.

    Raises:
        InvalidBody: The order is not whole (HTTP 400).
    """
    _check_order(order)
    order = items.with_item_ids(order)
    if context.system:
        order = items.with_bundle_states(order)
    else:
        wants_draft = order.get("requestedInitialState") == "draft"
        order = items.with_initial_states(
            {**order, "state": "draft" if wants_draft else ORDER_LIFECYCLE.initial_states[0]}
        )
    if not (context.system and order.get("creationDate")):
        order = {**order, "creationDate": context.timestamp}
    return with_notes(with_end_dates(order, context), context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return a changed order with items, state and dates in step.

    An order that is moved to an end takes its unfinished items along; items that are moved take
    the order along.

    Raises:
        InvalidBody: The order is not whole any more (HTTP 400).
        Conflict: It is too late for this change (HTTP 409).
        IllegalTransition: An item cannot go there (HTTP 409).
    """
    new = {"state": old.get("state", ORDER_LIFECYCLE.initial_states[0]), **new}
    _check_order(new)
    if not context.system:
        _check_mutable(old, new)
    new = items.with_previous_states(old, items.with_item_ids(new))
    items.check_transitions(old, new, system=context.system)
    new = with_consistent_states(old, new)
    return with_notes(with_end_dates(new, context), context)


def on_delete(order: Resource, context: RequestContext) -> None:
    """Let an order go that nothing was begun for, or that is finished.

    Raises:
        Conflict: It is being worked on (HTTP 409).
    """
    state = order.get("state", ORDER_LIFECYCLE.initial_states[0])
    if context.system or state in ORDER_LIFECYCLE.final_states | {"draft", "acknowledged"}:
        return
    raise Conflict(
        f"ProductOrder is {state}; only draft, acknowledged and finished orders can be deleted:"
        " cancel it first (cancelProductOrder)"
    )


def _check_order(order: Mapping[str, Any]) -> None:
    items.check(order)
    check_order(order, "requestedStartDate", "requestedCompletionDate")
    check_priority(order)


def _check_mutable(old: Resource, new: Resource) -> None:
    state = old.get("state", ORDER_LIFECYCLE.initial_states[0])
    if state in ORDER_LIFECYCLE.final_states:
        late = [name for name in IMMUTABLE_WHEN_FINISHED if old.get(name) != new.get(name)]
        if late:
            raise Conflict(f"/{late[0]}: the order is {state}, this cannot be changed any more")
    elif is_started(old):
        if _immutable_items(old) != _immutable_items(new):
            raise Conflict(
                "/productOrderItem: work on the order has begun; only note and state of an item"
                " can be changed, anything else needs a new order"
            )
        if late := [name for name in IMMUTABLE_ONCE_STARTED if old.get(name) != new.get(name)]:
            raise Conflict(
                f"/{late[0]}: work on the order has begun, this cannot be changed any more"
            )
        if new.get("state") == "cancelled":
            raise Conflict("/state: work on the order has begun; cancel it by cancelProductOrder")


def _immutable_items(order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
    return [
        (
            at,
            {
                name: item[name]
                for name in item.keys() - _MUTABLE_ITEM_ATTRIBUTES - {"productOrderItem"}
            },
        )
        for at, item in items.items_with_pointers(order)
    ]


def is_started(
    order: Mapping[str, Any], schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA
) -> bool:
    """Return whether anything was done for an order, so that cancelling means undoing.

    An order that was begun and waits (``held``, ``pending``) is known by its milestone.
    """
    at_work = (
        order.get("state", ORDER_LIFECYCLE.initial_states[0])
        not in NOT_STARTED_STATES | ORDER_LIFECYCLE.final_states
    )
    if at_work or has_milestone(order, ACCEPTED_MILESTONE, schema):
        return True
    found = schema.item_schema.items_with_pointers(order)
    return any(item.get("state", "acknowledged") not in NOT_STARTED_STATES for _, item in found)


def is_past_point_of_no_return(
    order: Mapping[str, Any], schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA
) -> bool:
    """Return whether fulfilment has said that an order cannot be undone any more."""
    return has_milestone(order, POINT_OF_NO_RETURN, schema)


def has_milestone(
    order: Mapping[str, Any],
    milestone: str,
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> bool:
    """Return whether an order has a milestone behind it."""
    return any(
        one.get("name") == milestone and one.get("status") == "Completed"
        for one in order.get(schema.milestones) or ()
    )


def extra_events(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    schema: OrderSchema = order_schema.PRODUCT_ORDER_SCHEMA,
) -> Iterator[str]:
    """Yield the events that a change of an order is beside those of every resource.

    A milestone that is reached or violated, a further jeopardy alert, a further error message.
    """
    reached = {
        name: {(one.get("id"), one.get("status")) for one in order.get(schema.milestones) or ()}
        for name, order in (("old", old), ("new", new))
    }
    if any(status != "Yet-To-Reach" for _, status in reached["new"] - reached["old"]):
        yield "Milestone"
    if _ids(new.get(schema.alerts)) - _ids(old.get(schema.alerts)):
        yield "JeopardyAlert"
    errors = new.get(schema.errors)
    if isinstance(errors, list) and len(errors) > len(old.get(schema.errors) or ()):
        yield "ErrorMessage"


def _ids(entities: object) -> set[object]:
    return {one.get("id") for one in entities} if isinstance(entities, list) else set()


def with_consistent_states(
    old: Resource, new: Resource, item_schema: OrderItemSchema = items.PRODUCT_ORDER_ITEMS
) -> Resource:
    """Return a changed order whose state and whose items' states fit together.

    Raises:
        IllegalTransition: The order cannot go where its items lead it (HTTP 409).
    """
    state = new.get("state", ORDER_LIFECYCLE.initial_states[0])
    if state != old.get("state", ORDER_LIFECYCLE.initial_states[0]):
        follows = state in ORDER_LIFECYCLE.final_states - {"partial"}
        return item_schema.with_bundle_states(
            item_schema.with_end_state(new, state) if follows else new
        )
    new = item_schema.with_bundle_states(new)
    if (
        item_schema.leaf_states(new) == item_schema.leaf_states(old)
        or state in ORDER_LIFECYCLE.final_states
    ):
        return new
    derived = state_of_order(item_schema.leaf_states(new))
    if derived == "acknowledged" or (
        state in CANCELLATION_STATES and derived not in ORDER_LIFECYCLE.final_states
    ):
        return new
    return {
        **new,
        "state": ORDER_LIFECYCLE.transition(
            item_schema.kind.removesuffix("Item"), state, derived, system=True
        ),
    }


def with_end_dates(order: Resource, context: RequestContext) -> Resource:
    """Return an order with the date on which it ended, where it has."""
    state = order.get("state")
    dates = {}
    if state in ORDER_LIFECYCLE.final_states and "completionDate" not in order:
        dates["completionDate"] = context.timestamp
    if state == "cancelled" and "cancellationDate" not in order:
        dates["cancellationDate"] = context.timestamp
    return {**order, **dates}


def with_notes(order: Resource, context: RequestContext) -> Resource:
    """Return an order whose notes say who wrote them and when, and have ids."""
    if not order.get("note"):
        return order
    taken = {note["id"] for note in order["note"] if note.get("id")}
    numbers = (str(number) for number in range(1, 2 * len(order["note"]) + 1))
    free = (number for number in numbers if number not in taken)
    written = {"date": context.timestamp, "author": context.subject}
    notes = [
        {**note, **_missing_defaults(written, note), "id": note.get("id") or next(free)}
        for note in order["note"]
    ]
    return {**order, "note": notes}


def _missing_defaults(defaults: Mapping[str, Any], holder: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in defaults.items() if holder.get(name) is None}


def check_priority(order: Mapping[str, Any]) -> None:
    """Let an order pass whose priority is one.

    Raises:
        InvalidBody: It is not (HTTP 400).
    """
    priority = order.get("priority")
    if priority is not None and priority not in PRIORITIES:
        raise InvalidBody(f"/priority: expected 0 (highest) to 4 (lowest), not {priority}")


def parties(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all parties that an order names, for itself or for an item."""
    for holder in (order, *(item for _, item in items.items_with_pointers(order))):
        yield from party_ids(holder.get("relatedParty") or ())


def party_ids(related_parties: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the ids of related parties; of a party role also that of its party."""
    for one in related_parties:
        party = one.get("partyOrPartyRole") or one
        yield from (party[name] for name in ("id", "partyId") if isinstance(party.get(name), str))


def on_create_cancellation(task: Resource, context: RequestContext) -> Resource:
    """Return a new request to cancel with its date."""
    if context.system and task.get("creationDate"):
        return task
    return {**task, "creationDate": context.timestamp}


def task_parties(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the parties of a request to cancel: those of its order."""
    return party_ids(task.get("relatedParty") or ())
