"""Orders as a partner places them, and how they end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.demo.parts import PARTNER, party
from tmf_apis.demo.sites import sites
from tmf_apis.demo.story.stage import ORDERING, Stage, Unfinished

FINAL = frozenset({"completed", "failed", "partial", "cancelled", "rejected"})
WAITING = frozenset({"acknowledged"})
#: Names of milestones (docs/fulfilment.md).
COMPLETED, NO_RETURN = "completed", "pointOfNoReturn"
ORDER = f"{ORDERING}/productOrder"


@dataclass(frozen=True, slots=True)
class Bought:
    """What the story is about.

    Attributes:
        customer: Whose it is, a TMF629 customer.
        product: Id of the product, and of the service that is on the element.
        port: Id of the port's resource.
        port_name: What the element calls the port.
    """

    customer: dict[str, Any]
    product: str
    port: str
    port_name: str


def add(offering: str) -> dict[str, Any]:
    """Return an item that orders an offering for the first of the operator's sites."""
    place = {
        "@type": "RelatedPlaceRefOrValue",
        "role": "installation",
        "place": sites()[0].reference,
    }
    return _item("add", {"place": [place]}, offering)


def modify(product: str, offering: str = "", **attributes: str) -> dict[str, Any]:
    """Return an item that changes a product: to another offering, or its status."""
    return _item("modify", {"id": product, **attributes}, offering)


def delete(product: str) -> dict[str, Any]:
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


def order(customer: Mapping[str, Any], text: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order of a partner for a customer.

    Args:
        customer: A TMF629 customer.
        text: What it is called.
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
        "description": text,
        "relatedParty": [buyer, party(*PARTNER, "seller")],
        "productOrderItem": [item],
    }


def place(stage: Stage, body: Mapping[str, Any]) -> str:
    """Place an order and return its id."""
    id = str(stage.post(ORDER, body)["id"])
    stage.say(f"POST {ORDER}: {id}")
    return id


def follow(stage: Stage, id: str) -> dict[str, Any]:
    """Wait until an order is finished, and until all its events are heard; return it."""
    begin = time.monotonic()

    def look(states: frozenset[str], *, inside: bool) -> dict[str, Any] | None:
        found: dict[str, Any] = stage.get(f"{ORDER}/{id}")
        return found if (found["state"] in states) is inside else None

    stage.until(lambda: look(WAITING, inside=False), f"the order {id} to be taken up")
    taken_up = time.monotonic()
    found = stage.until(lambda: look(FINAL, inside=True), f"the order {id} to be finished")
    took, waited = time.monotonic() - taken_up, taken_up - begin
    stage.until_heard("ProductOrderStateChangeEvent", id, lambda one: one["state"] in FINAL)
    if reached(found, COMPLETED):
        stage.until_heard("ProductOrderMilestoneEvent", id, lambda one: reached(one, COMPLETED))
    if found.get("productOrderErrorMessage"):
        stage.until_heard("ProductOrderErrorMessageEvent", id)
    first = f" (it waited {waited:.1f} s before, for the worker)" if waited > 1 else ""
    stage.say(f"the order is {found['state']} after {took:.1f} s{first}")
    return found


def reached(found: Mapping[str, Any], milestone: str) -> bool:
    """Return whether an order has reached a milestone, or missed it for good."""
    return any(
        one["name"] == milestone and one["status"] != "Yet-To-Reach"
        for one in found.get("productOrderMilestone", ())
    )


def fulfilled(stage: Stage, body: Mapping[str, Any]) -> dict[str, Any]:
    """Place an order, wait until it is completed, and return it."""
    return expected(follow(stage, place(stage, body)), "completed")


def expected(found: dict[str, Any], state: str) -> dict[str, Any]:
    """Return an order that ended as it should.

    Raises:
        Unfinished: It did not.
    """
    if found["state"] != state:
        why = found.get("productOrderErrorMessage") or found.get("note")
        raise Unfinished(f"the order is {found['state']}, not {state}: {why}")
    return found
