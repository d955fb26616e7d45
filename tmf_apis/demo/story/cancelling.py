"""Cancelling: an order whose element falls silent half-way, taken back before it is too late."""

from typing import Any

from tmf_apis.demo.story import orders
from tmf_apis.demo.story.agreement import agree
from tmf_apis.demo.story.buying import FIBRE_100
from tmf_apis.demo.story.measuring import watched
from tmf_apis.demo.story.stage import ORDERING, RESOURCES, Stage, Unfinished

_REQUEST = f"{ORDERING}/cancelProductOrder"


def cancel(stage: Stage, customer: dict[str, Any]) -> None:
    """Order, change one's mind while the element is silent, and see what is undone."""
    stage.head(
        f"An order for {customer['name']}, whose element falls silent half-way",
        "the element is made to stop answering when the upstream limit is to be set",
    )
    stage.element.gateway.hang("upstream")
    try:
        id = orders.place(stage, orders.order(customer, "Fibre 100", orders.add(FIBRE_100)))
        port = stage.until(lambda: _reserved(stage), "a port to be reserved")
        begun = orders.Bought(customer, f"{id}-1", port["id"], str(_value(port, "portName")))
        with watched(stage, begun.port_name):
            stage.until_heard("ProductOrderJeopardyAlertEvent", id)
            _take_back(stage, id)
    finally:
        stage.element.gateway.behave()
    agree(stage, begun, "gone")


def _take_back(stage: Stage, id: str) -> None:
    """Cancel the order; the element answers again meanwhile."""
    reference = {"@type": "ProductOrderRef", "id": id}
    body = {"productOrder": reference, "cancellationReason": "found something better"}
    found = stage.get(f"{orders.ORDER}/{id}")
    if orders.reached(found, orders.NO_RETURN):
        raise Unfinished("the order is past the point of no return")
    stage.head("The customer cancels; the point of no return is not reached")
    request = stage.post(_REQUEST, {"@type": "CancelProductOrder", **body})
    stage.say(f"POST {_REQUEST}: {request['state']}")
    stage.element.gateway.behave()
    stage.say("the element answers again")
    orders.expected(orders.follow(stage, id), "cancelled")

    def decided() -> dict[str, Any] | None:
        found: dict[str, Any] = stage.get(f"{_REQUEST}/{request['id']}")
        return found if found["state"] in {"done", "terminatedWithError"} else None

    found = stage.until(decided, "the cancellation to be decided")
    stage.say(f"the request is {found['state']}")
    for note in found.get("note", ()):
        stage.say(note["text"])


def _reserved(stage: Stage) -> dict[str, Any] | None:
    """Return the port of the story's gateway that is reserved."""
    found = stage.get(
        f"{RESOURCES}/resource", category="accessPort", allocationStatus="reserved", limit="100"
    )
    name = f"{stage.element.target.name} "
    return next((one for one in found if str(one.get("name", "")).startswith(name)), None)


def _value(resource: dict[str, Any], name: str) -> object:
    values = {one["name"]: one.get("value") for one in resource["resourceCharacteristic"]}
    return values.get(name)
