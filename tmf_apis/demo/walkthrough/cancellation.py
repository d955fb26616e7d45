"""Cancellation of an order during which the element stops answering."""

from typing import Any

from tmf_apis.demo.walkthrough import orders
from tmf_apis.demo.walkthrough.consistency import wait_for_consistency
from tmf_apis.demo.walkthrough.context import (
    ORDERING,
    RESOURCES,
    WalkthroughContext,
    WalkthroughFailed,
)
from tmf_apis.demo.walkthrough.first_order import FIBRE_100
from tmf_apis.demo.walkthrough.measurement import watch_limits

_CANCELLATIONS_PATH = f"{ORDERING}/cancelProductOrder"


def order_and_cancel(context: WalkthroughContext, customer: dict[str, Any]) -> None:
    """Place an order, cancel it while the element does not answer, and show the compensation."""
    context.start_step(
        f"An order for {customer['name']}, during which the element stops answering",
        "the element is made to stop answering when the upstream limit is set",
    )
    context.element.gateway.hang_on_setting("upstream")
    try:
        id = orders.place_order(
            context, orders.order_body(customer, "Fibre 100", orders.add_item(FIBRE_100))
        )
        port = context.wait_for(lambda: _reserved_port(context), "a port to be reserved")
        purchase = orders.Purchase(
            customer, f"{id}-1", port["id"], str(_characteristic_value(port, "portName"))
        )
        with watch_limits(context, purchase.port_name):
            context.wait_for_event("ProductOrderJeopardyAlertEvent", id)
            _cancel_order(context, id)
    finally:
        context.element.gateway.clear_faults()
    wait_for_consistency(context, purchase, "terminated")


def _cancel_order(context: WalkthroughContext, order_id: str) -> None:
    """Cancel the order, let the element answer again, and wait for both."""
    reference = {"@type": "ProductOrderRef", "id": order_id}
    body = {"productOrder": reference, "cancellationReason": "found something better"}
    order = context.get(f"{orders.ORDERS_PATH}/{order_id}")
    if orders.has_reached(order, orders.POINT_OF_NO_RETURN):
        raise WalkthroughFailed("the order is past the point of no return")
    context.start_step("The customer cancels before the point of no return")
    request = context.post(_CANCELLATIONS_PATH, {"@type": "CancelProductOrder", **body})
    context.print_line(f"POST {_CANCELLATIONS_PATH}: {request['state']}")
    context.element.gateway.clear_faults()
    context.print_line("the element answers again")
    orders.require_state(orders.wait_for_order(context, order_id), "cancelled")

    def find_decided_task() -> dict[str, Any] | None:
        task: dict[str, Any] = context.get(f"{_CANCELLATIONS_PATH}/{request['id']}")
        return task if task["state"] in {"done", "terminatedWithError"} else None

    task = context.wait_for(find_decided_task, "the cancellation to be decided")
    context.print_line(f"the request is {task['state']}")
    for note in task.get("note", ()):
        context.print_line(note["text"])


def _reserved_port(context: WalkthroughContext) -> dict[str, Any] | None:
    """Return the reserved port of the walkthrough's gateway; None: there is none."""
    ports = context.get(
        f"{RESOURCES}/resource", category="accessPort", allocationStatus="reserved", limit="100"
    )
    name = f"{context.element.target.name} "
    return next((port for port in ports if str(port.get("name", "")).startswith(name)), None)


def _characteristic_value(resource: dict[str, Any], name: str) -> object:
    values = {
        characteristic["name"]: characteristic.get("value")
        for characteristic in resource["resourceCharacteristic"]
    }
    return values.get(name)
