"""Changing: faster, a change that breaks in the middle, off and on again, and the end."""

from tmf_apis.demo.story import orders
from tmf_apis.demo.story.agreement import agree
from tmf_apis.demo.story.buying import FAST, FIBRE_100, FIBRE_1000
from tmf_apis.demo.story.measuring import measure, watched
from tmf_apis.demo.story.orders import Bought
from tmf_apis.demo.story.stage import Stage


def upgrade(stage: Stage, bought: Bought) -> None:
    """Order more speed."""
    stage.head("An upgrade to Fibre 1000, while the line is in use")
    body = orders.order(bought.customer, "Upgrade", orders.modify(bought.product, FIBRE_1000))
    with watched(stage, bought.port_name):
        orders.fulfilled(stage, body)
    agree(stage, bought, "running", FAST)
    measure(stage, bought.port_name)


def break_down(stage: Stage, bought: Bought) -> None:
    """Order less speed of an element that stops in the middle."""
    stage.head(
        "A downgrade that breaks in the middle",
        "the element is made to refuse the upstream limit, after it has set the downstream one",
    )
    body = orders.order(bought.customer, "Downgrade", orders.modify(bought.product, FIBRE_100))
    stage.element.gateway.refuse("upstream")
    try:
        with watched(stage, bought.port_name):
            orders.expected(orders.follow(stage, orders.place(stage, body)), "failed")
    finally:
        stage.element.gateway.behave()
    stage.say("half of it was done, and undone; everything is as it was before:")
    agree(stage, bought, "running", FAST)
    measure(stage, bought.port_name)


def suspend(stage: Stage, bought: Bought) -> None:
    """Switch it off, and on again."""
    stage.head("The customer does not pay: suspended")
    item = orders.modify(bought.product, status="suspended")
    orders.fulfilled(stage, orders.order(bought.customer, "Suspend", item))
    agree(stage, bought, "suspended", FAST)
    measure(stage, bought.port_name)
    stage.head("The customer has paid: resumed")
    item = orders.modify(bought.product, status="active")
    orders.fulfilled(stage, orders.order(bought.customer, "Resume", item))
    agree(stage, bought, "running", FAST)
    measure(stage, bought.port_name)


def terminate(stage: Stage, bought: Bought) -> None:
    """End it."""
    stage.head("The customer leaves: terminated")
    body = orders.order(bought.customer, "Termination", orders.delete(bought.product))
    with watched(stage, bought.port_name):
        orders.fulfilled(stage, body)
    agree(stage, bought, "gone")
