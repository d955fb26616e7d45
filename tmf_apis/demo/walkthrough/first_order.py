"""First steps: the offering, a dry run of an order, the order, and its result."""

from typing import Any

from tmf_apis.demo.builders import PARTNER
from tmf_apis.demo.walkthrough import orders
from tmf_apis.demo.walkthrough.consistency import MEGABIT, wait_for_consistency
from tmf_apis.demo.walkthrough.context import (
    ALARMS,
    CATALOGUE,
    CUSTOMERS,
    ORDERING,
    PRODUCTS,
    RESOURCES,
    SERVICES,
    WalkthroughContext,
)
from tmf_apis.demo.walkthrough.measurement import show_throughput
from tmf_apis.demo.walkthrough.orders import Purchase

FIBRE_100, FIBRE_1000 = "offering-fibre-100", "offering-fibre-1000"
#: Speeds of the two offerings, in Mbit/s down and up.
FIBRE_100_SPEED, FIBRE_1000_SPEED = (100.0, 40.0), (1000.0, 500.0)
#: Event types and query of the subscriptions by API.
_SUBSCRIBED_EVENTS = {
    ORDERING: "ProductOrderStateChangeEvent,ProductOrderMilestoneEvent,"
    "ProductOrderJeopardyAlertEvent,ProductOrderErrorMessageEvent",
    ALARMS: "AlarmCreateEvent,AlarmStateChangeEvent&event.alarm.specificProblem=linkDown",
}


def show_offering(context: WalkthroughContext) -> None:
    """Show the offering and its prices."""
    path = f"{CATALOGUE}/productOffering/{FIBRE_100}"
    offering = context.get(path)
    context.start_step(f"The offering {offering['name']} (TMF620)", offering["description"])
    for reference in offering["productOfferingPrice"]:
        price = context.get(f"{CATALOGUE}/productOfferingPrice/{reference['id']}")
        money = price["price"]
        context.print_line(f"{price['name']}: {money['value']:.2f} {money['unit']} without tax")
    context.links["The offering"] = context.base_url + path


def subscribe(context: WalkthroughContext) -> list[str]:
    """Register the listener with two hubs; return the paths of the subscriptions."""
    context.start_step(
        "A subscriber registers with two hubs", f"it listens at {context.listener.callback_url}"
    )
    hubs = []
    for api, types in _SUBSCRIBED_EVENTS.items():
        body = {"callback": context.listener.callback_url, "query": f"eventType={types}"}
        hub = context.post(f"{api}/hub", {"@type": "Hub", **body})
        context.print_line(f"POST {api}/hub: {body['query']}")
        hubs.append(f"{api}/hub/{hub['id']}")
    return hubs


def show_dry_run(context: WalkthroughContext, customer: dict[str, Any]) -> None:
    """Show the plan of an order without placing it."""
    context.start_step(f"{PARTNER[1]}, a partner, asks for the plan of an order (dry run)")
    body = orders.order_body(customer, "Fibre 100", orders.add_item(FIBRE_100))
    plan = context.post(orders.ORDERS_PATH, body, dryRun="true")["fulfilmentPlan"]
    context.print_line(
        f"feasible: {'yes' if plan['feasible'] else 'no'}; nothing is stored or reserved"
    )
    for task in plan["task"]:
        settings = ", ".join(
            f"{name} {_formatted_setting(value)}" for name, value in task["setting"].items()
        )
        element = task.get("element", {})
        location = f"{element.get('name')} {element.get('port')}"
        context.print_line(f"{task['action']} on a free port, such as {location}: {settings}")
        context.print_line(f"if it fails, {task['undo']}")


def _formatted_setting(value: object) -> str:
    return f"{value / MEGABIT:g} Mbit/s" if type(value) is int else str(value)


def buy(context: WalkthroughContext, customer: dict[str, Any]) -> Purchase:
    """Order the offering and return the product."""
    context.start_step(f"{PARTNER[1]} places the order for {customer['name']} (TMF622)")
    order = orders.fulfil_order(
        context, orders.order_body(customer, "Fibre 100", orders.add_item(FIBRE_100))
    )
    product = str(order["productOrderItem"][0]["product"]["id"])
    (port,) = context.get(f"{RESOURCES}/resource", **{"externalIdentifier.id": product})
    characteristics = {
        characteristic["name"]: characteristic.get("value")
        for characteristic in port["resourceCharacteristic"]
    }
    context.links |= {
        "The first order": f"{context.base_url}{orders.ORDERS_PATH}/{order['id']}",
        "The product": f"{context.base_url}{PRODUCTS}/product/{product}",
        "Its services": f"{context.base_url}{SERVICES}/service?relatedEntity.id={product}",
        "The port": f"{context.base_url}{RESOURCES}/resource/{port['id']}",
    }
    return Purchase(customer, product, port["id"], str(characteristics["portName"]))


def show_purchase(context: WalkthroughContext, purchase: Purchase) -> None:
    """Show all views of the ordered service, and its throughput."""
    reason = context.element.simulation_reason
    kind = (
        f"simulated ({reason})"
        if reason
        else "net-snmp in a network of its own, shaped by the kernel"
    )
    context.start_step("The result, from product to port", f"the element is {kind}")
    wait_for_consistency(context, purchase, "running", FIBRE_100_SPEED)
    show_throughput(context, purchase.port_name)


def find_customers(context: WalkthroughContext) -> list[dict[str, Any]]:
    """Return two active customers."""
    customers: list[dict[str, Any]] = context.get(
        f"{CUSTOMERS}/customer", status="Active", limit="2"
    )
    return customers
