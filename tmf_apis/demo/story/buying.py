"""Buying: the offering, a look at what an order would do, the order, and what it made."""

from typing import Any

from tmf_apis.demo.parts import PARTNER
from tmf_apis.demo.story import orders
from tmf_apis.demo.story.agreement import MEGABIT, agree
from tmf_apis.demo.story.measuring import measure
from tmf_apis.demo.story.orders import Bought
from tmf_apis.demo.story.stage import (
    ALARMS,
    CATALOGUE,
    CUSTOMERS,
    ORDERING,
    PRODUCTS,
    RESOURCES,
    SERVICES,
    Stage,
)

FIBRE_100, FIBRE_1000 = "offering-fibre-100", "offering-fibre-1000"
#: What the two are limited to, in Mbit/s down and up.
SLOW, FAST = (100.0, 40.0), (1000.0, 500.0)
#: What the subscriber wants to hear of.
_WANTED = {
    ORDERING: "ProductOrderStateChangeEvent,ProductOrderMilestoneEvent,"
    "ProductOrderJeopardyAlertEvent,ProductOrderErrorMessageEvent",
    ALARMS: "AlarmCreateEvent,AlarmStateChangeEvent&event.alarm.specificProblem=linkDown",
}


def offering(stage: Stage) -> None:
    """Show what is sold."""
    path = f"{CATALOGUE}/productOffering/{FIBRE_100}"
    found = stage.get(path)
    stage.head(f"The offering {found['name']} (TMF620)", found["description"])
    for one in found["productOfferingPrice"]:
        price = stage.get(f"{CATALOGUE}/productOfferingPrice/{one['id']}")
        money = price["price"]
        stage.say(f"{price['name']}: {money['value']:.2f} {money['unit']} without tax")
    stage.links["The offering"] = stage.base + path


def subscribe(stage: Stage) -> list[str]:
    """Register the listener with hubs; return their paths."""
    stage.head("A subscriber registers with two hubs", f"it listens at {stage.listener.callback}")
    made = []
    for api, types in _WANTED.items():
        body = {"callback": stage.listener.callback, "query": f"eventType={types}"}
        answer = stage.post(f"{api}/hub", {"@type": "Hub", **body})
        stage.say(f"POST {api}/hub: {body['query']}")
        made.append(f"{api}/hub/{answer['id']}")
    return made


def rehearse(stage: Stage, customer: dict[str, Any]) -> None:
    """Show what an order would do."""
    stage.head(f"{PARTNER[1]}, a partner, asks what an order would do (dry run)")
    body = orders.order(customer, "Fibre 100", orders.add(FIBRE_100))
    plan = stage.post(orders.ORDER, body, dryRun="true")["fulfilmentPlan"]
    stage.say(f"feasible: {'yes' if plan['feasible'] else 'no'}; nothing is stored or reserved")
    for task in plan["task"]:
        settings = ", ".join(f"{name} {_bits(value)}" for name, value in task["setting"].items())
        element = task.get("element", {})
        where = f"{element.get('name')} {element.get('port')}"
        stage.say(f"{task['action']} on a free port, such as {where}: {settings}")
        stage.say(f"if it fails, {task['undo']}")


def _bits(value: object) -> str:
    return f"{value / MEGABIT:g} Mbit/s" if type(value) is int else str(value)


def buy(stage: Stage, customer: dict[str, Any]) -> Bought:
    """Order it; return what was bought."""
    stage.head(f"{PARTNER[1]} orders it for {customer['name']} (TMF622)")
    found = orders.fulfilled(stage, orders.order(customer, "Fibre 100", orders.add(FIBRE_100)))
    product = str(found["productOrderItem"][0]["product"]["id"])
    (port,) = stage.get(f"{RESOURCES}/resource", **{"externalIdentifier.id": product})
    named = {one["name"]: one.get("value") for one in port["resourceCharacteristic"]}
    stage.links |= {
        "The first order": f"{stage.base}{orders.ORDER}/{found['id']}",
        "The product": f"{stage.base}{PRODUCTS}/product/{product}",
        "Its services": f"{stage.base}{SERVICES}/service?relatedEntity.id={product}",
        "The port": f"{stage.base}{RESOURCES}/resource/{port['id']}",
    }
    return Bought(customer, product, port["id"], str(named["portName"]))


def show(stage: Stage, bought: Bought) -> None:
    """Show what the order made, from all sides, and what goes through it."""
    why = stage.element.simulated
    kind = f"simulated ({why})" if why else "net-snmp in a network of its own, shaped by the kernel"
    stage.head("What it made, from product to port", f"the element is {kind}")
    agree(stage, bought, "running", SLOW)
    measure(stage, bought.port_name)


def customers(stage: Stage) -> list[dict[str, Any]]:
    """Return two customers."""
    found: list[dict[str, Any]] = stage.get(f"{CUSTOMERS}/customer", status="Active", limit="2")
    return found
