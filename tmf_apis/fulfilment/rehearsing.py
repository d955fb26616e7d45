"""What would become of an order, were it placed: its plan and what is missing; touches nothing."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.reservation import reserving
from tmf_apis.fulfilment.values import Design, ItemPlan, Missing, OrderKey, Taken, Task
from tmf_apis.rest.law import Desk, Resource

#: Attribute of the answer that has the plan.
PLAN = "fulfilmentPlan"
_UNDO: Mapping[str, str] = {
    "provide": "the service is taken away again and what it took is free",
    "change": "the service is set as it was before",
    "cease": "the service is set up again as it was",
}


def attribute(kind: str, desk: Desk, owner: Desk, order: Resource) -> Mapping[str, Any]:
    """Return what the answer to a dry run has beside the order; see ``rehearsed``."""
    return {PLAN: rehearsed(kind, desk, owner, order)}


def rehearsed(kind: str, desk: Desk, owner: Desk, order: Resource) -> Resource:
    """Return the plan of an order that is not placed.

    Args:
        kind: The kind of the order.
        desk: Sees the whole tenant.
        owner: Sees what the client may see.
        order: The order as it would be stored.

    Returns:
        ``feasible``; ``item`` with products and services; ``task`` with the resources, the
        element and the settings of each, and what undoes it; ``missing`` with the reasons.
    """
    key = OrderKey(desk.tenant, str(order["id"]), kind)
    design = kinds.of(key).plan(desk, key, order)
    found, missing = reserving.survey(desk, key, design.tasks, owner)
    refused = [
        {"orderItemId": item, "reason": reason} for item, reason in sorted(design.refused.items())
    ]
    return {
        "@type": "FulfilmentPlan",
        "feasible": not (missing or refused),
        "fulfilledHere": not design.nothing,
        "item": [_item(one, products=kind == "ProductOrder") for one in design.items],
        "task": [_task(task, found.get(task.id)) for task in design.tasks],
        "missing": [*refused, *map(_missing, missing)],
        **_order_of(design),
    }


def _order_of(design: Design) -> dict[str, Any]:
    """Return the ids of the tasks in the order of doing; undoing is the reverse."""
    return {"sequence": [task.id for task in design.tasks]} if design.tasks else {}


def _item(one: ItemPlan, *, products: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "orderItemId": one.item,
        "action": one.action,
        "change": one.change,
        "task": list(one.tasks),
        "service": [
            {
                "id": service.id,
                "name": service.name,
                "facing": service.facing,
                "serviceSpecification": service.specification,
                "characteristic": dict(service.characteristics),
            }
            for service in one.services
        ],
    }
    if not products:  # its services are all that it is about
        return made
    made["product"] = [
        {
            "id": product.id,
            "productOffering": product.offering,
            "status": product.status,
            "characteristic": dict(product.characteristics),
        }
        for product in (one.product, *one.parts)
        if product
    ]
    return made


def _task(task: Task, taken: Taken | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": task.id,
        "orderItemId": task.item,
        "action": task.action,
        "service": task.service,
        "setting": dict(taken.settings if taken else task.settings),
        "after": list(task.after),
        "undo": _UNDO[task.action],
    }
    if taken:
        made["resource"] = [
            {"role": slot, "id": id, "name": taken.names[slot]}
            for slot, id in taken.resources.items()
        ]
    if taken and taken.target:
        made["element"] = {
            "id": taken.element,
            "name": taken.target.name,
            "adapter": taken.target.adapter,
            "port": taken.port,
        }
    return made


def _missing(one: Missing) -> dict[str, Any]:
    made = {"orderItemId": one.item, "task": one.task, "reason": one.reason}
    return {**made, **({"category": one.category} if one.category else {})}
