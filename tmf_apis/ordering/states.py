"""Lifecycles of orders, order items and cancellation tasks, as data.

Source: TMF622 v4.0 and v5.0, ProductOrderStateType, ProductOrderItemStateType, TaskStateType and
the state diagrams of the user guides; TMF641 v4.1.0, ServiceOrderStateType and TaskStateType.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.rest.pipeline.policy import Lifecycle

_NO_STATES: frozenset[str] = frozenset()
_END_STATES = frozenset({"completed", "failed", "partial"})
_CANCELLATION_STATES = frozenset({"assessingCancellation", "pendingCancellation"})

#: Lifecycle of a product order. A client may start, hold and resume an order, and cancel or reject
#: it before work on it begins. Only the server sets the outcome of the work.
ORDER_LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("acknowledged", "draft"),
    server_sets_initial=True,
    transitions={
        "draft": frozenset({"acknowledged", "cancelled"}),
        "acknowledged": frozenset({"inProgress", "pending", "held", "rejected", "cancelled"}),
        "pending": frozenset({"inProgress", "held", "cancelled"}),
        "held": frozenset({"inProgress", "pending", "cancelled"}),
        "inProgress.accepted": frozenset({"inProgress", "pending", "held"}),
        "inProgress": frozenset({"pending", "held"}),
        "assessingCancellation": _NO_STATES,
        "pendingCancellation": _NO_STATES,
        "rejected": _NO_STATES,
        "cancelled": _NO_STATES,
        "completed": _NO_STATES,
        "failed": _NO_STATES,
        "partial": _NO_STATES,
    },
    system_transitions={
        "draft": frozenset({"rejected", "assessingCancellation"}),
        "acknowledged": frozenset({"inProgress.accepted"}) | _CANCELLATION_STATES | _END_STATES,
        "pending": frozenset({"inProgress.accepted", "rejected"})
        | _CANCELLATION_STATES
        | _END_STATES,
        "held": frozenset({"inProgress.accepted", "rejected"}) | _CANCELLATION_STATES | _END_STATES,
        "inProgress.accepted": frozenset({"cancelled"}) | _CANCELLATION_STATES | _END_STATES,
        "inProgress": frozenset({"cancelled"}) | _CANCELLATION_STATES | _END_STATES,
        "assessingCancellation": _END_STATES
        | {"pendingCancellation", "cancelled", "acknowledged", "pending", "held", "inProgress"},
        "pendingCancellation": _END_STATES | {"cancelled", "held"},
    },
    source="TMF622 Product Ordering, ProductOrderStateType",
)

#: Lifecycle of an order item. The items of a draft order are ``acknowledged``.
ITEM_LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("acknowledged",),
    server_sets_initial=True,
    transitions={
        state: targets - {"draft"}
        for state, targets in ORDER_LIFECYCLE.transitions.items()
        if state not in {"draft", "inProgress.accepted"}
    },
    system_transitions={
        state: targets - {"draft", "inProgress.accepted"}
        for state, targets in ORDER_LIFECYCLE.system_transitions.items()
        if state not in {"draft", "inProgress.accepted"}
    },
    source="TMF622 Product Ordering, ProductOrderItemStateType",
)

#: Lifecycle of a task that cancels a product order; only the server makes transitions.
#: ``rejected`` and ``cancelled`` exist in v5 only. The server does not use them, so that v4 clients
#: can read every task.
CANCEL_TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("acknowledged", "inProgress", "done"),
    server_sets_initial=True,
    transitions={
        "acknowledged": _NO_STATES,
        "inProgress": _NO_STATES,
        "rejected": _NO_STATES,
        "cancelled": _NO_STATES,
        "done": _NO_STATES,
        "terminatedWithError": _NO_STATES,
    },
    system_transitions={
        "acknowledged": frozenset(
            {"inProgress", "done", "terminatedWithError", "rejected", "cancelled"}
        ),
        "inProgress": frozenset({"done", "terminatedWithError", "cancelled"}),
    },
    source="TMF622 Product Ordering, TaskStateType",
)

#: Lifecycle of a service order: that of a product order without drafts.
SERVICE_ORDER_LIFECYCLE = replace(
    ITEM_LIFECYCLE, source="TMF641 Service Ordering, ServiceOrderStateType"
)

#: Lifecycle of a task that cancels a service order; only the server makes transitions.
CANCEL_SERVICE_TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("accepted", "inProgress", "done"),
    server_sets_initial=True,
    transitions={
        "accepted": _NO_STATES,
        "inProgress": _NO_STATES,
        "done": _NO_STATES,
        "terminatedWithError": _NO_STATES,
    },
    system_transitions={
        "accepted": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="TMF641 Service Ordering, TaskStateType",
)

#: States in which work on the order or item has not begun.
NOT_STARTED_STATES = frozenset({"draft", "acknowledged", "pending", "held"})

#: States of an order while its cancellation is assessed or carried out.
CANCELLATION_STATES = _CANCELLATION_STATES


def state_of_order(states: Iterable[str]) -> str:
    """Return the state of an order (or of a bundle item) whose items are in ``states``.

    If all items are finished, it is the state that they share; else ``partial`` if at least one
    completed, ``failed`` if at least one failed, and otherwise ``cancelled``.

    If not all items are finished, it is the first of ``pendingCancellation``,
    ``assessingCancellation``, ``inProgress``, ``held`` and ``pending`` that an item is in. If no
    item is in one of these, it is ``inProgress`` if an item completed, failed or is ``partial``,
    and otherwise ``acknowledged``.

    Source: TMF622, state descriptions ("at least one order item is in progress").

    >>> state_of_order(["completed", "failed"])
    'partial'
    >>> state_of_order(["completed", "acknowledged"])
    'inProgress'
    """
    item_states = set(states)
    ended = item_states & ITEM_LIFECYCLE.final_states
    if item_states == ended:
        return _end_state(ended)
    for state in ("pendingCancellation", "assessingCancellation", "inProgress", "held", "pending"):
        if state in item_states:
            return state
    return "inProgress" if ended & _END_STATES else "acknowledged"


def _end_state(states: set[str]) -> str:
    if not states:
        return "acknowledged"
    if len(states) == 1:
        return next(iter(states))
    if states & {"completed", "partial"}:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def state_machines() -> list[dict[str, Any]]:
    """Return the state machines of product ordering as resources that clients can read."""
    lifecycles: Mapping[str, Lifecycle] = {
        "ProductOrder": ORDER_LIFECYCLE,
        "ProductOrderItem": ITEM_LIFECYCLE,
        "CancelProductOrder": CANCEL_TASK_LIFECYCLE,
    }
    return [lifecycle.as_resource(kind) for kind, lifecycle in lifecycles.items()]
