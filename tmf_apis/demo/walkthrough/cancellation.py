"""Cancelling: an order whose element falls silent half-way, taken back before it is too late."""

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
    """Order, change one's mind while the element is silent, and see what is undone."""
    context.start_step(
        f"An order for {customer['name']}, whose element falls silent half-way",
        "the element is made to stop answering when the upstream limit is to be set",
    )
    context.element.gateway.hang_on_setting("upstream")
    try:
        id = orders.place_order(
            context, orders.order_body(customer, "Fibre 100", orders.add_item(FIBRE_100))
        )
        port = context.wait_for(lambda: _reserved_port(context), "a port to be reserved")
        begun = orders.Purchase(
            customer, f"{id}-1", port["id"], str(_characteristic_value(port, "portName"))
        )
        with watch_limits(context, begun.port_name):
            context.wait_for_event("ProductOrderJeopardyAlertEvent", id)
            _cancel_order(context, id)
    finally:
        context.element.gateway.clear_faults()
    wait_for_consistency(context, begun, "gone")


def _cancel_order(context: WalkthroughContext, order_id: str) -> None:
    """Cancel the order; the element answers again meanwhile."""
    reference = {"@type": "ProductOrderRef", "id": order_id}
    body = {"productOrder": reference, "cancellationReason": "found something better"}
    found = context.get(f"{orders.ORDERS_PATH}/{order_id}")
    if orders.has_reached(found, orders.POINT_OF_NO_RETURN):
        raise WalkthroughFailed("the order is past the point of no return")
    context.start_step("The customer cancels; the point of no return is not reached")
    request = context.post(_CANCELLATIONS_PATH, {"@type": "CancelProductOrder", **body})
    context.print_line(f"POST {_CANCELLATIONS_PATH}: {request['state']}")
    context.element.gateway.clear_faults()
    context.print_line("the element answers again")
    orders.require_state(orders.wait_for_order(context, order_id), "cancelled")

    def decided() -> dict[str, Any] | None:
        found: dict[str, Any] = context.get(f"{_CANCELLATIONS_PATH}/{request['id']}")
        return found if found["state"] in {"done", "terminatedWithError"} else None

    found = context.wait_for(decided, "the cancellation to be decided")
    context.print_line(f"the request is {found['state']}")
    for note in found.get("note", ()):
        context.print_line(note["text"])


def _reserved_port(context: WalkthroughContext) -> dict[str, Any] | None:
    """Return the port of the story's gateway that is reserved."""
    found = context.get(
        f"{RESOURCES}/resource", category="accessPort", allocationStatus="reserved", limit="100"
    )
    name = f"{context.element.target.name} "
    return next((one for one in found if str(one.get("name", "")).startswith(name)), None)


def _characteristic_value(resource: dict[str, Any], name: str) -> object:
    values = {one["name"]: one.get("value") for one in resource["resourceCharacteristic"]}
    return values.get(name)
