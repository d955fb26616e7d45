"""Changes of the service: upgrade, failed downgrade, suspension and termination."""

from tmf_apis.demo.walkthrough import orders
from tmf_apis.demo.walkthrough.consistency import wait_for_consistency
from tmf_apis.demo.walkthrough.context import WalkthroughContext
from tmf_apis.demo.walkthrough.first_order import FIBRE_100, FIBRE_1000, FIBRE_1000_SPEED
from tmf_apis.demo.walkthrough.measurement import show_throughput, watch_limits
from tmf_apis.demo.walkthrough.orders import Purchase


def upgrade(context: WalkthroughContext, purchase: Purchase) -> None:
    """Upgrade the product to a faster offering."""
    context.start_step("An upgrade to Fibre 1000, while the line is in use")
    body = orders.order_body(
        purchase.customer, "Upgrade", orders.modify_item(purchase.product_id, FIBRE_1000)
    )
    with watch_limits(context, purchase.port_name):
        orders.fulfil_order(context, body)
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED)
    show_throughput(context, purchase.port_name)


def fail_downgrade(context: WalkthroughContext, purchase: Purchase) -> None:
    """Order a downgrade that the element refuses after its first setting."""
    context.start_step(
        "A downgrade that fails half-way",
        "the element is made to refuse the upstream limit after it has set the downstream limit",
    )
    body = orders.order_body(
        purchase.customer, "Downgrade", orders.modify_item(purchase.product_id, FIBRE_100)
    )
    context.element.gateway.reject_setting("upstream")
    try:
        with watch_limits(context, purchase.port_name):
            orders.require_state(
                orders.wait_for_order(context, orders.place_order(context, body)), "failed"
            )
    finally:
        context.element.gateway.clear_faults()
    context.print_line("the first setting was rolled back; everything is as before:")
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED)
    show_throughput(context, purchase.port_name)


def suspend_and_resume(context: WalkthroughContext, purchase: Purchase) -> None:
    """Suspend the product and resume it."""
    context.start_step("The customer does not pay: suspended")
    item = orders.modify_item(purchase.product_id, status="suspended")
    orders.fulfil_order(context, orders.order_body(purchase.customer, "Suspend", item))
    wait_for_consistency(context, purchase, "suspended", FIBRE_1000_SPEED)
    show_throughput(context, purchase.port_name)
    context.start_step("The customer has paid: resumed")
    item = orders.modify_item(purchase.product_id, status="active")
    orders.fulfil_order(context, orders.order_body(purchase.customer, "Resume", item))
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED)
    show_throughput(context, purchase.port_name)


def terminate(context: WalkthroughContext, purchase: Purchase) -> None:
    """Terminate the product."""
    context.start_step("The customer leaves: terminated")
    body = orders.order_body(
        purchase.customer, "Termination", orders.delete_item(purchase.product_id)
    )
    with watch_limits(context, purchase.port_name):
        orders.fulfil_order(context, body)
    wait_for_consistency(context, purchase, "terminated")
