"""What becomes of a request to cancel once fulfilment knows whether everything is undone."""

from tmf_apis.errors import NotFound
from tmf_apis.ordering import actions
from tmf_apis.ordering.states import CANCELLING, TASK
from tmf_apis.rest.law import Desk

_TASK = "CancelProductOrder"


def settle(desk: Desk, task_id: str) -> None:
    """Decide on a request whose order nobody works on (any more); safe to repeat.

    The order is cancelled if it waits for that; one that has ended otherwise stays as it is.
    """
    try:
        task = desk.get(_TASK, task_id)
        if task.get("state") in TASK.final:
            return
        order = desk.get("ProductOrder", str((task.get("productOrder") or {}).get("id")))
    except NotFound:
        return
    if order["state"] in CANCELLING:
        actions.undo(desk, task_id)
        actions.confirm(desk, task_id)
    elif order["state"] == "cancelled":
        actions.confirm(desk, task_id)
    else:
        actions.refuse(desk, task_id, f"the order was {order['state']} before it could be undone")
