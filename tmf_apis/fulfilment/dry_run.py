"""What would become of an order, were it placed: its plan and what is missing; touches nothing."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import (
    Allocation,
    ItemPlan,
    OrderDesign,
    OrderKey,
    Task,
    UnmetRequirement,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Attribute of the answer that has the plan.
PLAN_ATTRIBUTE = "fulfilmentPlan"
_COMPENSATION_TEXT: Mapping[str, str] = {
    "provide": "the service is taken away again and what it took is free",
    "change": "the service is set as it was before",
    "cease": "the service is set up again as it was",
}


def plan_attribute(
    designer: OrderDesigner,
    kind: str,
    repository: Repository,
    client_repository: Repository,
    order: Resource,
) -> Mapping[str, Any]:
    """Return what the answer to a dry run has beside the order; see ``fulfilment_plan``."""
    return {PLAN_ATTRIBUTE: fulfilment_plan(designer, kind, repository, client_repository, order)}


def fulfilment_plan(
    designer: OrderDesigner,
    kind: str,
    repository: Repository,
    client_repository: Repository,
    order: Resource,
) -> Resource:
    """Return the plan of an order that is not placed.

    Args:
        designer: Designs orders.
        kind: The kind of the order.
        repository: Sees the whole tenant.
        client_repository: Sees what the client may see.
        order: The order as it would be stored.

    Returns:
        ``feasible``; ``item`` with products and services; ``task`` with the resources, the
        element and the settings of each, and what undoes it; ``missing`` with the reasons.
    """
    key = OrderKey(repository.tenant, str(order["id"]), kind)
    design = designer.design(repository, key, order)
    found, missing = reservations.dry_run_allocations(
        repository, key, design.tasks, client_repository
    )
    refused = [
        {"orderItemId": item, "reason": reason}
        for item, reason in sorted(design.rejections.items())
    ]
    return {
        "@type": "FulfilmentPlan",
        "feasible": not (missing or refused),
        "fulfilledHere": not design.is_empty,
        "item": [_item(one, products=kind == "ProductOrder") for one in design.items],
        "task": [_task(task, found.get(task.id)) for task in design.tasks],
        "missing": [*refused, *map(_unmet_requirement, missing)],
        **_sequence(design),
    }


def _sequence(design: OrderDesign) -> dict[str, Any]:
    """Return the ids of the tasks in the order of doing; undoing is the reverse."""
    return {"sequence": [task.id for task in design.tasks]} if design.tasks else {}


def _item(plan: ItemPlan, *, products: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "orderItemId": plan.item,
        "action": plan.action,
        "change": plan.change,
        "task": list(plan.tasks),
        "service": [
            {
                "id": service.id,
                "name": service.name,
                "facing": service.facing,
                "serviceSpecification": service.specification,
                "characteristic": dict(service.characteristics),
            }
            for service in plan.services
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
        for product in (plan.product, *plan.bundled_products)
        if product
    ]
    return made


def _task(task: Task, allocation: Allocation | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": task.id,
        "orderItemId": task.item,
        "action": task.action,
        "service": task.service,
        "setting": dict(allocation.settings if allocation else task.settings),
        "after": list(task.depends_on),
        "undo": _COMPENSATION_TEXT[task.action],
    }
    if allocation:
        made["resource"] = [
            {"role": slot, "id": id, "name": allocation.names[slot]}
            for slot, id in allocation.resources.items()
        ]
    if allocation and allocation.target:
        made["element"] = {
            "id": allocation.element,
            "name": allocation.target.name,
            "adapter": allocation.target.adapter,
            "port": allocation.port,
        }
    return made


def _unmet_requirement(requirement: UnmetRequirement) -> dict[str, Any]:
    made = {"orderItemId": requirement.item, "task": requirement.task, "reason": requirement.reason}
    return {**made, **({"category": requirement.category} if requirement.category else {})}
