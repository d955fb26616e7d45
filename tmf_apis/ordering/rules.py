"""Rules for product orders and service orders on creation, change and deletion; pure.

The two kinds of order follow the same rules; an ``OrderSchema`` holds the differences.

Source: TMF622 v4.0 and v5.0, ProductOrder, ProductOrderItem; TMF641 v4.1.0, ServiceOrder,
ServiceOrderItem.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict, Faults, InvalidBody, shortened
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.ordering.states import CANCELLATION_STATES, NOT_STARTED_STATES, state_of_order
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import RequestContext, Resource

#: Priorities from 0, the highest, to 4 (TMF622 ProductOrder.priority).
PRIORITIES = ("0", "1", "2", "3", "4")

#: Name of the milestone after which an order cannot be cancelled. Fulfilment sets it; other
#: systems of the operator may set it, too.
POINT_OF_NO_RETURN = "pointOfNoReturn"
#: Name of the milestone that marks the start of work on an order.
ACCEPTED_MILESTONE = "accepted"


def on_create(order: Resource, context: RequestContext, schema: OrderSchema) -> Resource:
    """Return a new order with the attributes that the server sets.

    The server sets the order date and the states of order and items. A client can request a draft
    by ``requestedInitialState`` if the lifecycle has drafts. The server itself (a loader) may
    provide states and dates.

    Raises:
        InvalidBody: The order is incomplete or contradicts itself (HTTP 400).
    """
    _check_order(order, schema)
    order = schema.item_schema.with_item_ids(order)
    if context.system:
        order = schema.item_schema.with_bundle_states(order)
    else:
        order = schema.item_schema.with_initial_states(
            {**order, "state": _requested_initial_state(order, schema)}
        )
    if not (context.system and order.get(schema.order_date)):
        order = {**order, schema.order_date: context.timestamp}
    return _with_notes(_with_dates(order, context, schema), context)


def _requested_initial_state(order: Mapping[str, Any], schema: OrderSchema) -> str:
    requested = order.get("requestedInitialState")
    is_draft = requested == "draft" and "draft" in schema.lifecycle.initial_states
    return "draft" if is_draft else schema.lifecycle.initial_states[0]


def on_change(
    old: Resource, new: Resource, context: RequestContext, schema: OrderSchema
) -> Resource:
    """Return a changed order with consistent states, ids and dates.

    When an order ends, its unfinished items end with it. When items change state, the state of the
    order is derived from them.

    Raises:
        InvalidBody: The order is incomplete or contradicts itself (HTTP 400).
        Conflict: The order is too far advanced for this change (HTTP 409).
        IllegalTransition: The lifecycle does not allow the new state of an item (HTTP 409).
    """
    new = {"state": schema.state(old), **new}
    _check_order(new, schema)
    if not context.system:
        _check_mutable(old, new, schema)
    item_schema = schema.item_schema
    new = item_schema.with_previous_states(old, item_schema.with_item_ids(new))
    item_schema.check_transitions(old, new, system=context.system)
    new = _with_consistent_states(old, new, schema)
    return _with_notes(_with_dates(new, context, schema), context)


def on_delete(order: Resource, context: RequestContext, schema: OrderSchema) -> None:
    """Check that an order can be deleted: work has not begun, or the order is finished.

    Raises:
        Conflict: The order is in progress (HTTP 409).
    """
    state = schema.state(order)
    initial_states = schema.lifecycle.initial_states
    if context.system or state in schema.lifecycle.final_states.union(initial_states):
        return
    raise Conflict(
        f"{schema.kind} is {state}; only {', '.join(reversed(initial_states))} and finished orders"
        f" can be deleted: cancel it first ({_cancel_operation(schema)})"
    )


def _cancel_operation(schema: OrderSchema) -> str:
    return f"cancel{schema.kind}"


def _check_order(order: Mapping[str, Any], schema: OrderSchema) -> None:
    faults = Faults()
    with faults.collect():
        schema.item_schema.check(order)
    with faults.collect():
        _check_priority(order)
    if schema.requires_subject_id:
        _check_subject_ids(order, schema, faults)
    faults.refuse()


def _check_priority(order: Mapping[str, Any]) -> None:
    priority = order.get("priority")
    if priority is not None and priority not in PRIORITIES:
        raise InvalidBody(
            f"/priority: expected 0 (highest) to 4 (lowest), not {shortened(str(priority))}"
        )


def _check_subject_ids(order: Mapping[str, Any], schema: OrderSchema, faults: Faults) -> None:
    for pointer, item in schema.item_schema.items_with_pointers(order):
        action, subject = item.get("action"), item.get(schema.subject) or {}
        if action in {"modify", "delete"} and not subject.get("id"):
            faults.add(f"{pointer}/{schema.subject}/id: expected the {schema.subject} to {action}")


def _check_mutable(old: Resource, new: Resource, schema: OrderSchema) -> None:
    """Check that a client changes nothing that is immutable at this stage of the order."""
    state = schema.state(old)
    if state in schema.lifecycle.final_states:
        _check_equal(old, new, schema.immutable_when_finished, f"the order is {state}")
        return
    if not is_started(old, schema):
        return
    if _immutable_items(old, schema) != _immutable_items(new, schema):
        raise Conflict(
            f"/{schema.item_schema.items_attribute}: work on the order has begun; only the"
            f" {' and the '.join(schema.mutable_item_attributes)} of an item can be changed,"
            " anything else needs a new order"
        )
    _check_equal(old, new, schema.immutable_once_started, "work on the order has begun")
    if new.get("state") == "cancelled":
        raise Conflict(
            f"/state: work on the order has begun; cancel it by {_cancel_operation(schema)}"
        )


def _check_equal(old: Resource, new: Resource, attributes: Iterable[str], reason: str) -> None:
    for name in attributes:
        if old.get(name) != new.get(name):
            raise Conflict(f"/{name}: {reason}, this cannot be changed any more")


def _immutable_items(order: Mapping[str, Any], schema: OrderSchema) -> list[tuple[str, Resource]]:
    """Return the items with the attributes that a client cannot change once work has begun."""
    mutable = {*schema.mutable_item_attributes, schema.item_schema.items_attribute}
    return [
        (pointer, {name: value for name, value in item.items() if name not in mutable})
        for pointer, item in schema.item_schema.items_with_pointers(order)
    ]


def is_started(order: Mapping[str, Any], schema: OrderSchema) -> bool:
    """Return whether work on an order has begun, so that cancelling it means undoing the work.

    The milestone ``accepted`` shows this for an order that was started and now waits (``held``,
    ``pending``).
    """
    idle_states = NOT_STARTED_STATES | schema.lifecycle.final_states
    if schema.state(order) not in idle_states or has_milestone(order, ACCEPTED_MILESTONE, schema):
        return True
    states = (item.get("state", "acknowledged") for item in schema.all_items(order))
    return any(state not in NOT_STARTED_STATES for state in states)


def is_past_point_of_no_return(order: Mapping[str, Any], schema: OrderSchema) -> bool:
    """Return whether an order can no longer be undone, according to its milestones."""
    return has_milestone(order, POINT_OF_NO_RETURN, schema)


def has_milestone(order: Mapping[str, Any], name: str, schema: OrderSchema) -> bool:
    """Return whether an order has completed a milestone."""
    return any(
        milestone.get("name") == name and milestone.get("status") == "Completed"
        for milestone in json_objects(order.get(schema.milestones))
    )


def extra_events(
    old: Mapping[str, Any], new: Mapping[str, Any], schema: OrderSchema
) -> Iterator[str]:
    """Yield the events of a change of an order besides those that every resource has.

    These are ``Milestone`` for a milestone that was reached or missed, ``JeopardyAlert`` for a
    further alert and ``ErrorMessage`` for a further error message.
    """
    new_milestones = _milestone_statuses(new, schema) - _milestone_statuses(old, schema)
    if any(status != "Yet-To-Reach" for _, status in new_milestones):
        yield "Milestone"
    if _ids(new.get(schema.alerts)) - _ids(old.get(schema.alerts)):
        yield "JeopardyAlert"
    errors = new.get(schema.errors)
    if len(json_objects(errors)) > len(json_objects(old.get(schema.errors))):
        yield "ErrorMessage"


def _milestone_statuses(
    order: Mapping[str, Any], schema: OrderSchema
) -> set[tuple[object, object]]:
    return {
        (str(milestone.get("id")), milestone.get("status"))
        for milestone in json_objects(order.get(schema.milestones))
    }


def _ids(entities: object) -> set[object]:
    return {str(entity.get("id")) for entity in json_objects(entities)}


def _with_consistent_states(old: Resource, new: Resource, schema: OrderSchema) -> Resource:
    """Return a changed order whose state agrees with the states of its items.

    Raises:
        IllegalTransition: The lifecycle does not allow the state that the items lead to (HTTP 409).
    """
    item_schema, state = schema.item_schema, schema.state(new)
    if state != schema.state(old):
        if state in schema.lifecycle.final_states - {"partial"}:
            new = item_schema.with_end_state(new, state)
        return item_schema.with_bundle_states(new)
    new = item_schema.with_bundle_states(new)
    leaf_states = item_schema.leaf_states(new)
    if leaf_states == item_schema.leaf_states(old) or state in schema.lifecycle.final_states:
        return new
    derived_state = state_of_order(leaf_states)
    is_being_cancelled = (
        state in CANCELLATION_STATES and derived_state not in schema.lifecycle.final_states
    )
    if derived_state == "acknowledged" or is_being_cancelled:
        return new
    derived_state = schema.lifecycle.transition(schema.kind, state, derived_state, system=True)
    return {**new, "state": derived_state}


def _with_dates(order: Resource, context: RequestContext, schema: OrderSchema) -> Resource:
    """Return an order with the dates of the states that it has reached."""
    state, names = order.get("state"), []
    if schema.start_date and state == "inProgress":
        names.append(schema.start_date)
    if state in schema.lifecycle.final_states:
        names.append("completionDate")
    if state == "cancelled":
        names.append("cancellationDate")
    return {**order, **{name: context.timestamp for name in names if name not in order}}


def _with_notes(order: Resource, context: RequestContext) -> Resource:
    """Return an order whose notes have an id, a date and an author."""
    if not order.get("note"):
        return order
    used_ids = {note["id"] for note in order["note"] if note.get("id")}
    numbers = (str(number) for number in range(1, 2 * len(order["note"]) + 1))
    free_ids = (number for number in numbers if number not in used_ids)
    defaults = {"date": context.timestamp, "author": context.subject}
    notes = [
        {**note, **_missing_defaults(defaults, note), "id": note.get("id") or next(free_ids)}
        for note in order["note"]
    ]
    return {**order, "note": notes}


def _missing_defaults(defaults: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in defaults.items() if note.get(name) is None}
