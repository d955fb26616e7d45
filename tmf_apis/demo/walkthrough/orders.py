"""Product orders of a partner: bodies, placement and outcome."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.demo.builders import PARTNER, related_party
from tmf_apis.demo.sites import sites
from tmf_apis.demo.walkthrough.context import ORDERING, WalkthroughContext, WalkthroughFailed

FINAL_STATES = frozenset({"completed", "failed", "partial", "cancelled", "rejected"})
WAITING_STATES = frozenset({"acknowledged"})
#: Names of milestones (docs/fulfilment.md).
COMPLETED_MILESTONE, POINT_OF_NO_RETURN = "completed", "pointOfNoReturn"
ORDERS_PATH = f"{ORDERING}/productOrder"


@dataclass(frozen=True, slots=True)
class Purchase:
    """The product of an order.

    Attributes:
        customer: The customer, a TMF629 resource.
        product_id: Id of the product, and of the service on the element.
        port_id: Id of the resource of the port.
        port_name: Natural key of the port on the element.
    """

    customer: dict[str, Any]
    product_id: str
    port_id: str
    port_name: str


def add_item(offering: str) -> dict[str, Any]:
    """Return an item that orders an offering at the first site of the operator."""
    place = {
        "@type": "RelatedPlaceRefOrValue",
        "role": "installation",
        "place": sites()[0].reference,
    }
    return _item("add", {"place": [place]}, offering)


def modify_item(product: str, offering: str = "", **attributes: str) -> dict[str, Any]:
    """Return an item that changes the offering or status of a product."""
    return _item("modify", {"id": product, **attributes}, offering)


def delete_item(product: str) -> dict[str, Any]:
    """Return an item that terminates a product."""
    return _item("delete", {"id": product})


def _item(action: str, product: Mapping[str, Any], offering: str = "") -> dict[str, Any]:
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": action,
        "quantity": 1,
        "product": {"@type": "Product", **product},
    }
    if offering:
        item["productOffering"] = {"@type": "ProductOfferingRef", "id": offering}
    return item


def order_body(
    customer: Mapping[str, Any], description: str, item: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the body of an order that the partner places for a customer.

    Args:
        customer: The customer, a TMF629 resource.
        description: Description of the order.
        item: The item of the order.
    """
    buyer = {
        "@type": "RelatedPartyRefOrPartyRoleRef",
        "role": "customer",
        "partyOrPartyRole": {
            "@type": "PartyRoleRef",
            "@referredType": "Customer",
            "id": customer["id"],
            "name": customer["name"],
            "partyId": customer["engagedParty"]["id"],
        },
    }
    return {
        "@type": "ProductOrder",
        "description": description,
        "relatedParty": [buyer, related_party(*PARTNER, "seller")],
        "productOrderItem": [item],
    }


def place_order(context: WalkthroughContext, body: Mapping[str, Any]) -> str:
    """Place an order and return its id."""
    id = str(context.post(ORDERS_PATH, body)["id"])
    context.print_line(f"POST {ORDERS_PATH}: {id}")
    return id


def wait_for_order(context: WalkthroughContext, order_id: str) -> dict[str, Any]:
    """Wait until an order has ended and all its events have arrived; return the order."""
    placed_at = time.monotonic()

    def read_order(condition: Callable[[str], bool]) -> dict[str, Any] | None:
        order: dict[str, Any] = context.get(f"{ORDERS_PATH}/{order_id}")
        return order if condition(order["state"]) else None

    context.wait_for(
        lambda: read_order(lambda state: state not in WAITING_STATES),
        f"the start of order {order_id}",
    )
    started_at = time.monotonic()
    order = context.wait_for(
        lambda: read_order(lambda state: state in FINAL_STATES), f"the end of order {order_id}"
    )
    duration, delay = time.monotonic() - started_at, started_at - placed_at
    context.wait_for_event(
        "ProductOrderStateChangeEvent", order_id, lambda resource: resource["state"] in FINAL_STATES
    )
    if has_reached(order, COMPLETED_MILESTONE):
        context.wait_for_event(
            "ProductOrderMilestoneEvent",
            order_id,
            lambda resource: has_reached(resource, COMPLETED_MILESTONE),
        )
    if order.get("productOrderErrorMessage"):
        context.wait_for_event("ProductOrderErrorMessageEvent", order_id)
    text = f" (after waiting {delay:.1f} s for the worker)" if delay > 1 else ""
    context.print_line(f"the order is {order['state']} after {duration:.1f} s{text}")
    return order


def has_reached(product_order: Mapping[str, Any], milestone: str) -> bool:
    """Return whether an order has reached a milestone or can no longer reach it."""
    return any(
        entry["name"] == milestone and entry["status"] != "Yet-To-Reach"
        for entry in product_order.get("productOrderMilestone", ())
    )


def fulfil_order(context: WalkthroughContext, body: Mapping[str, Any]) -> dict[str, Any]:
    """Place an order, wait until it is completed, and return it."""
    return require_state(wait_for_order(context, place_order(context, body)), "completed")


def require_state(product_order: dict[str, Any], state: str) -> dict[str, Any]:
    """Return an order if it has the expected state.

    Raises:
        WalkthroughFailed: The order has another state.
    """
    if product_order["state"] != state:
        reason = product_order.get("productOrderErrorMessage") or product_order.get("note")
        raise WalkthroughFailed(f"the order is {product_order['state']}, not {state}: {reason}")
    return product_order
