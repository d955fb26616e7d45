"""What a product order is allowed to be and to become; pure.

Source: TMF622 v4.0 and v5.0, ProductOrder, ProductOrderItem, CancelProductOrder.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.ordering import forms, items
from tmf_apis.ordering.forms import Form
from tmf_apis.ordering.items import Items
from tmf_apis.ordering.states import CANCELLING, ORDER, WAITING, state_of_order
from tmf_apis.rest.law import Circumstances, Resource
from tmf_apis.rest.periods import in_order

#: From 0, the highest, to 4 (TMF622 ProductOrder.priority).
PRIORITIES = ("0", "1", "2", "3", "4")

#: Name of the milestone that, once completed, makes an order impossible to cancel. Fulfilment
#: sets it; an operator's other systems may, too.
POINT_OF_NO_RETURN = "pointOfNoReturn"
#: Name of the milestone that says that work on an order has begun.
ACCEPTED = "accepted"

#: What a client cannot change any more once an order is finished.
SETTLED = (
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
BEGUN = ("requestedStartDate", "billingAccount", "agreement")

#: What a client may still change in an item once work on the order has begun.
_OPEN_IN_ITEM = frozenset({"note", "state"})


def on_create(order: Resource, circumstances: Circumstances) -> Resource:
    """Return a new order with what the server fills in.

    State, item states and creation date are the server's; a client may ask for a draft through
    ``requestedInitialState``. The server itself (a loader) may bring them along.

    Raises:
        InvalidBody: The order is not whole (HTTP 400).
    """
    _check(order)
    order = items.numbered(order)
    if circumstances.system:
        order = items.summed(order)
    else:
        wants_draft = order.get("requestedInitialState") == "draft"
        order = items.started({**order, "state": "draft" if wants_draft else ORDER.initial[0]})
    if not (circumstances.system and order.get("creationDate")):
        order = {**order, "creationDate": circumstances.timestamp}
    return with_notes(with_dates(order, circumstances), circumstances)


def on_change(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return a changed order with items, state and dates in step.

    An order that is moved to an end takes its unfinished items along; items that are moved take
    the order along.

    Raises:
        InvalidBody: The order is not whole any more (HTTP 400).
        Conflict: It is too late for this change (HTTP 409).
        IllegalTransition: An item cannot go there (HTTP 409).
    """
    new = {"state": old.get("state", ORDER.initial[0]), **new}
    _check(new)
    if not circumstances.system:
        _check_still_open(old, new)
    new = items.continued(old, items.numbered(new))
    items.check_steps(old, new, system=circumstances.system)
    new = in_step(old, new)
    return with_notes(with_dates(new, circumstances), circumstances)


def on_delete(order: Resource, circumstances: Circumstances) -> None:
    """Let an order go that nothing was begun for, or that is finished.

    Raises:
        Conflict: It is being worked on (HTTP 409).
    """
    state = order.get("state", ORDER.initial[0])
    if circumstances.system or state in ORDER.final | {"draft", "acknowledged"}:
        return
    raise Conflict(
        f"ProductOrder is {state}; only draft, acknowledged and finished orders can be deleted:"
        " cancel it first (cancelProductOrder)"
    )


def _check(order: Mapping[str, Any]) -> None:
    items.check(order)
    in_order(order, "requestedStartDate", "requestedCompletionDate")
    check_priority(order)


def _check_still_open(old: Resource, new: Resource) -> None:
    state = old.get("state", ORDER.initial[0])
    if state in ORDER.final:
        late = [name for name in SETTLED if old.get(name) != new.get(name)]
        if late:
            raise Conflict(f"/{late[0]}: the order is {state}, this cannot be changed any more")
    elif begun(old):
        if _ordered(old) != _ordered(new):
            raise Conflict(
                "/productOrderItem: work on the order has begun; only note and state of an item"
                " can be changed, anything else needs a new order"
            )
        if late := [name for name in BEGUN if old.get(name) != new.get(name)]:
            raise Conflict(
                f"/{late[0]}: work on the order has begun, this cannot be changed any more"
            )
        if new.get("state") == "cancelled":
            raise Conflict("/state: work on the order has begun; cancel it by cancelProductOrder")


def _ordered(order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
    return [
        (at, {name: item[name] for name in item.keys() - _OPEN_IN_ITEM - {"productOrderItem"}})
        for at, item in items.of(order)
    ]


def begun(order: Mapping[str, Any], form: Form = forms.PRODUCT) -> bool:
    """Return whether anything was done for an order, so that cancelling means undoing.

    An order that was begun and waits (``held``, ``pending``) is known by its milestone.
    """
    at_work = order.get("state", ORDER.initial[0]) not in WAITING | ORDER.final
    if at_work or has(order, ACCEPTED, form):
        return True
    found = form.items.of(order)
    return any(item.get("state", "acknowledged") not in WAITING for _, item in found)


def past_no_return(order: Mapping[str, Any], form: Form = forms.PRODUCT) -> bool:
    """Return whether fulfilment has said that an order cannot be undone any more."""
    return has(order, POINT_OF_NO_RETURN, form)


def has(order: Mapping[str, Any], milestone: str, form: Form = forms.PRODUCT) -> bool:
    """Return whether an order has a milestone behind it."""
    return any(
        one.get("name") == milestone and one.get("status") == "Completed"
        for one in order.get(form.milestones) or ()
    )


def news(
    old: Mapping[str, Any], new: Mapping[str, Any], form: Form = forms.PRODUCT
) -> Iterator[str]:
    """Yield the events that a change of an order is beside those of every resource.

    A milestone that is reached or violated, a further jeopardy alert, a further error message.
    """
    reached = {
        name: {(one.get("id"), one.get("status")) for one in order.get(form.milestones) or ()}
        for name, order in (("old", old), ("new", new))
    }
    if any(status != "Yet-To-Reach" for _, status in reached["new"] - reached["old"]):
        yield "Milestone"
    if _ids(new.get(form.alerts)) - _ids(old.get(form.alerts)):
        yield "JeopardyAlert"
    errors = new.get(form.errors)
    if isinstance(errors, list) and len(errors) > len(old.get(form.errors) or ()):
        yield "ErrorMessage"


def _ids(some: object) -> set[object]:
    return {one.get("id") for one in some} if isinstance(some, list) else set()


def in_step(old: Resource, new: Resource, items: Items = items.PRODUCT) -> Resource:
    """Return a changed order whose state and whose items' states fit together.

    Raises:
        IllegalTransition: The order cannot go where its items lead it (HTTP 409).
    """
    state = new.get("state", ORDER.initial[0])
    if state != old.get("state", ORDER.initial[0]):
        follows = state in ORDER.final - {"partial"}
        return items.summed(items.ended(new, state) if follows else new)
    new = items.summed(new)
    if items.leaf_states(new) == items.leaf_states(old) or state in ORDER.final:
        return new
    derived = state_of_order(items.leaf_states(new))
    if derived == "acknowledged" or (state in CANCELLING and derived not in ORDER.final):
        return new
    return {
        **new,
        "state": ORDER.move(items.kind.removesuffix("Item"), state, derived, system=True),
    }


def with_dates(order: Resource, circumstances: Circumstances) -> Resource:
    """Return an order with the date on which it ended, where it has."""
    state = order.get("state")
    dates = {}
    if state in ORDER.final and "completionDate" not in order:
        dates["completionDate"] = circumstances.timestamp
    if state == "cancelled" and "cancellationDate" not in order:
        dates["cancellationDate"] = circumstances.timestamp
    return {**order, **dates}


def with_notes(order: Resource, circumstances: Circumstances) -> Resource:
    """Return an order whose notes say who wrote them and when, and have ids."""
    if not order.get("note"):
        return order
    taken = {note["id"] for note in order["note"] if note.get("id")}
    numbers = (str(number) for number in range(1, 2 * len(order["note"]) + 1))
    free = (number for number in numbers if number not in taken)
    written = {"date": circumstances.timestamp, "author": circumstances.subject}
    notes = [
        {**note, **_missing(written, note), "id": note.get("id") or next(free)}
        for note in order["note"]
    ]
    return {**order, "note": notes}


def _missing(defaults: Mapping[str, Any], holder: Mapping[str, Any]) -> dict[str, Any]:
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
    for holder in (order, *(item for _, item in items.of(order))):
        yield from party_ids(holder.get("relatedParty") or ())


def party_ids(related: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the ids of related parties; of a party role also that of its party."""
    for one in related:
        party = one.get("partyOrPartyRole") or one
        yield from (party[name] for name in ("id", "partyId") if isinstance(party.get(name), str))


def on_create_cancellation(task: Resource, circumstances: Circumstances) -> Resource:
    """Return a new request to cancel with its date."""
    if circumstances.system and task.get("creationDate"):
        return task
    return {**task, "creationDate": circumstances.timestamp}


def task_parties(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the parties of a request to cancel: those of its order."""
    return party_ids(task.get("relatedParty") or ())
