"""The states of orders, their items and the tasks that cancel them, as data.

Source: TMF622 v4.0 and v5.0, ProductOrderStateType, ProductOrderItemStateType, TaskStateType and
the state diagrams of the user guides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.rest.law import Lifecycle

_NONE: frozenset[str] = frozenset()
_ENDS = frozenset({"completed", "failed", "partial"})
_ASSESSED = frozenset({"assessingCancellation", "pendingCancellation"})

#: What becomes of a product order. A client may start, hold, resume and (while nothing has been
#: done for it) cancel or reject one; what comes of the work only the server says.
ORDER = Lifecycle(
    attribute="state",
    initial=("acknowledged", "draft"),
    assigned=True,
    steps={
        "draft": frozenset({"acknowledged", "cancelled"}),
        "acknowledged": frozenset({"inProgress", "pending", "held", "rejected", "cancelled"}),
        "pending": frozenset({"inProgress", "held", "cancelled"}),
        "held": frozenset({"inProgress", "pending", "cancelled"}),
        "inProgress.accepted": frozenset({"inProgress", "pending", "held"}),
        "inProgress": frozenset({"pending", "held"}),
        "assessingCancellation": _NONE,
        "pendingCancellation": _NONE,
        "rejected": _NONE,
        "cancelled": _NONE,
        "completed": _NONE,
        "failed": _NONE,
        "partial": _NONE,
    },
    system={
        "draft": frozenset({"rejected", "assessingCancellation"}),
        "acknowledged": frozenset({"inProgress.accepted"}) | _ASSESSED | _ENDS,
        "pending": frozenset({"inProgress.accepted", "rejected"}) | _ASSESSED | _ENDS,
        "held": frozenset({"inProgress.accepted", "rejected"}) | _ASSESSED | _ENDS,
        "inProgress.accepted": frozenset({"cancelled"}) | _ASSESSED | _ENDS,
        "inProgress": frozenset({"cancelled"}) | _ASSESSED | _ENDS,
        "assessingCancellation": _ENDS
        | {"pendingCancellation", "cancelled", "acknowledged", "pending", "held", "inProgress"},
        "pendingCancellation": _ENDS | {"cancelled", "held"},
    },
    source="TMF622 Product Ordering, ProductOrderStateType",
)

#: What becomes of one item of an order. An item of a draft is acknowledged like any other.
ITEM = Lifecycle(
    attribute="state",
    initial=("acknowledged",),
    assigned=True,
    steps={
        state: targets - {"draft"}
        for state, targets in ORDER.steps.items()
        if state not in {"draft", "inProgress.accepted"}
    },
    system={
        state: targets - {"draft", "inProgress.accepted"}
        for state, targets in ORDER.system.items()
        if state not in {"draft", "inProgress.accepted"}
    },
    source="TMF622 Product Ordering, ProductOrderItemStateType",
)

#: What becomes of a request to cancel; every step is the server's. ``rejected`` and ``cancelled``
#: are in v5's list only and are not used by this server, so that v4 clients can read every task.
TASK = Lifecycle(
    attribute="state",
    initial=("acknowledged", "inProgress", "done"),
    assigned=True,
    steps={
        "acknowledged": _NONE,
        "inProgress": _NONE,
        "rejected": _NONE,
        "cancelled": _NONE,
        "done": _NONE,
        "terminatedWithError": _NONE,
    },
    system={
        "acknowledged": frozenset(
            {"inProgress", "done", "terminatedWithError", "rejected", "cancelled"}
        ),
        "inProgress": frozenset({"done", "terminatedWithError", "cancelled"}),
    },
    source="TMF622 Product Ordering, TaskStateType",
)

#: What becomes of a service order: a product order without drafts.
SERVICE_ORDER = replace(ITEM, source="TMF641 Service Ordering, ServiceOrderStateType")

#: What becomes of a request to cancel a service order; every step is the server's.
SERVICE_TASK = Lifecycle(
    attribute="state",
    initial=("accepted", "inProgress", "done"),
    assigned=True,
    steps={
        "accepted": _NONE,
        "inProgress": _NONE,
        "done": _NONE,
        "terminatedWithError": _NONE,
    },
    system={
        "accepted": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="TMF641 Service Ordering, TaskStateType",
)

#: States in which nothing was done for the order or item yet.
WAITING = frozenset({"draft", "acknowledged", "pending", "held"})

#: States of an order while a request to cancel it is being looked at or carried out.
CANCELLING = _ASSESSED


def state_of_order(states: Iterable[str]) -> str:
    """Return the state of an order (or of a bundle item) whose items are in ``states``.

    All finished: the state they share; ``partial`` where some completed and some did not;
    ``failed`` where none completed and at least one failed; else ``cancelled``. Not all finished:
    cancelling, ``inProgress``, ``held``, ``pending``, in this order, as soon as one item is; an
    item that ended beside others that wait is progress, too.

    Source: TMF622, state descriptions ("at least one order item is in progress").

    >>> state_of_order(["completed", "failed"])
    'partial'
    >>> state_of_order(["completed", "acknowledged"])
    'inProgress'
    """
    found = set(states)
    ended = found & ITEM.final
    if found == ended:
        return _ended(ended)
    for state in ("pendingCancellation", "assessingCancellation", "inProgress", "held", "pending"):
        if state in found:
            return state
    return "inProgress" if ended & _ENDS else "acknowledged"


def _ended(states: set[str]) -> str:
    if not states:
        return "acknowledged"
    if len(states) == 1:
        return next(iter(states))
    if states & {"completed", "partial"}:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def machines() -> list[dict[str, Any]]:
    """Return the state machines of this room for clients to read."""
    named: Mapping[str, Lifecycle] = {
        "ProductOrder": ORDER,
        "ProductOrderItem": ITEM,
        "CancelProductOrder": TASK,
    }
    return [lifecycle.as_resource(kind) for kind, lifecycle in named.items()]
