"""What fulfilment writes into an order: pure edits, each the same when repeated."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.values import Found
from tmf_apis.ordering import items
from tmf_apis.ordering.rules import POINT_OF_NO_RETURN, past_no_return
from tmf_apis.ordering.states import CANCELLING, ITEM
from tmf_apis.rest.law import Resource, rfc3339

#: States in which fulfilment takes an order up, or goes on with it.
OPEN = frozenset({"acknowledged", "inProgress", "inProgress.accepted"})


def begun(order: Resource, wanted: set[str]) -> Resource:
    """Return an order whose wanted items are in progress, and it with them."""

    def begin(item: Resource) -> Resource:
        if item["id"] in wanted and item.get("state", "acknowledged") == "acknowledged":
            return {**item, "state": "inProgress"}
        return item

    return {**_each(order, begin), "state": "inProgress"}


def completed(order: Resource, done: set[str], found: Found | None, now: datetime) -> Resource:
    """Return an order with items completed; with a service in operation it is past no return.

    Args:
        order: The order.
        done: Ids of the items.
        found: The port that is in operation for them; None: nothing was done on the network.
        now: The time.
    """

    def complete(item: Resource) -> Resource:
        if item["id"] not in done or item.get("state") in ITEM.final:
            return item
        return {**(with_product(item, found) if found else item), "state": "completed"}

    new = _each(order, complete)
    return no_return(new, now) if found and not past_no_return(new) else new


def failed(order: Resource, why: Mapping[str, str], now: datetime) -> Resource:
    """Return an order with items failed, each with an error message of the order."""
    open_ = {
        item["id"]
        for _, item in items.of(order)
        if item["id"] in why and item.get("state") not in ITEM.final
    }

    def fail(item: Resource) -> Resource:
        return {**item, "state": "failed"} if item["id"] in open_ else item

    messages = [
        {
            "@type": "ProductOrderErrorMessage",
            "code": "fulfilment",
            "reason": "The item could not be fulfilled",
            "message": why[item],
            "timestamp": rfc3339(now),
            "productOrderItem": [
                {
                    "@type": "ProductOrderItemRef",
                    "productOrderId": order["id"],
                    "productOrderItemId": item,
                }
            ],
        }
        for item in sorted(open_)
    ]
    new = _each(order, fail)
    if messages:
        before = list(objects(order.get("productOrderErrorMessage")))
        new["productOrderErrorMessage"] = [*before, *messages]
    return new


def is_cancelling(order: Mapping[str, Any]) -> bool:
    """Return whether a request to cancel the order is being decided or carried out."""
    return order.get("state") in CANCELLING


def with_product(item: Resource, found: Found) -> Resource:
    """Return an item whose product says which it is, and on which port."""
    product = dict(item.get("product") or {"@type": "Product"})
    product["id"] = found.errand.service
    product["status"] = "terminated" if found.errand.action == "delete" else "active"
    port = {
        "@type": "ResourceRef",
        "id": found.resource,
        "name": found.name,
        "@referredType": "PhysicalResource",
    }
    others = [
        one for one in objects(product.get("realizingResource")) if one.get("id") != found.resource
    ]
    product["realizingResource"] = [*others, port]
    return {**item, "product": product}


def no_return(order: Resource, now: datetime) -> Resource:
    """Return an order with its point of no return: a service of it is in operation."""
    milestone = {
        "@type": "ProductOrderMilestone",
        "id": POINT_OF_NO_RETURN,
        "name": POINT_OF_NO_RETURN,
        "description": "A service is in operation; it is ended by an order, not by a cancellation",
        "status": "Completed",
        "milestoneDate": rfc3339(now),
    }
    before = list(objects(order.get("productOrderMilestone")))
    return {**order, "productOrderMilestone": [*before, milestone]}


def _each(order: Resource, change: Callable[[Resource], Resource]) -> Resource:
    """Return an order with every item that has none inside it changed."""

    def within(held: list[Resource]) -> list[Resource]:
        return [
            {**item, "productOrderItem": within(item["productOrderItem"])}
            if item.get("productOrderItem")
            else change(item)
            for item in held
        ]

    return {**order, "productOrderItem": within(order.get("productOrderItem") or [])}
