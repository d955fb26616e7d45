"""Orders as a partner places them, and how they end."""

import time
from collections.abc import Mapping
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
    """What the story is about.

    Attributes:
        customer: Whose it is, a TMF629 customer.
        product_id: Id of the product, and of the service that is on the element.
        port_id: Id of the port's resource.
        port_name: What the element calls the port.
    """

    customer: dict[str, Any]
    product_id: str
    port_id: str
    port_name: str


def add_item(offering: str) -> dict[str, Any]:
    """Return an item that orders an offering for the first of the operator's sites."""
    place = {
        "@type": "RelatedPlaceRefOrValue",
        "role": "installation",
        "place": sites()[0].reference,
    }
    return _item("add", {"place": [place]}, offering)


def modify_item(product: str, offering: str = "", **attributes: str) -> dict[str, Any]:
    """Return an item that changes a product: to another offering, or its status."""
    return _item("modify", {"id": product, **attributes}, offering)


def delete_item(product: str) -> dict[str, Any]:
    """Return an item that ends a product."""
    return _item("delete", {"id": product})


def _item(action: str, product: Mapping[str, Any], offering: str = "") -> dict[str, Any]:
    made = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": action,
        "quantity": 1,
        "product": {"@type": "Product", **product},
    }
    if offering:
        made["productOffering"] = {"@type": "ProductOfferingRef", "id": offering}
    return made


def order_body(
    customer: Mapping[str, Any], description: str, item: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an order of a partner for a customer.

    Args:
        customer: A TMF629 customer.
        description: What it is called.
        item: Its item.
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
    """Wait until an order is finished, and until all its events are heard; return it."""
    begin = time.monotonic()

    def look(states: frozenset[str], *, inside: bool) -> dict[str, Any] | None:
        found: dict[str, Any] = context.get(f"{ORDERS_PATH}/{order_id}")
        return found if (found["state"] in states) is inside else None

    context.wait_for(
        lambda: look(WAITING_STATES, inside=False), f"the order {order_id} to be taken up"
    )
    taken_up = time.monotonic()
    found = context.wait_for(
        lambda: look(FINAL_STATES, inside=True), f"the order {order_id} to be finished"
    )
    took, waited = time.monotonic() - taken_up, taken_up - begin
    context.wait_for_event(
        "ProductOrderStateChangeEvent", order_id, lambda one: one["state"] in FINAL_STATES
    )
    if has_reached(found, COMPLETED_MILESTONE):
        context.wait_for_event(
            "ProductOrderMilestoneEvent",
            order_id,
            lambda one: has_reached(one, COMPLETED_MILESTONE),
        )
    if found.get("productOrderErrorMessage"):
        context.wait_for_event("ProductOrderErrorMessageEvent", order_id)
    first = f" (it waited {waited:.1f} s before, for the worker)" if waited > 1 else ""
    context.print_line(f"the order is {found['state']} after {took:.1f} s{first}")
    return found


def has_reached(product_order: Mapping[str, Any], milestone: str) -> bool:
    """Return whether an order has reached a milestone, or missed it for good."""
    return any(
        one["name"] == milestone and one["status"] != "Yet-To-Reach"
        for one in product_order.get("productOrderMilestone", ())
    )


def fulfil_order(context: WalkthroughContext, body: Mapping[str, Any]) -> dict[str, Any]:
    """Place an order, wait until it is completed, and return it."""
    return require_state(wait_for_order(context, place_order(context, body)), "completed")


def require_state(product_order: dict[str, Any], state: str) -> dict[str, Any]:
    """Return an order that ended as it should.

    Raises:
        Unfinished: It did not.
    """
    if product_order["state"] != state:
        why = product_order.get("productOrderErrorMessage") or product_order.get("note")
        raise WalkthroughFailed(f"the order is {product_order['state']}, not {state}: {why}")
    return product_order
