"""Dry runs: the plan of an order and its unmet requirements, without any change."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import (
    Allocation,
    ItemPlan,
    OrderDesign,
    OrderKey,
    ProductPlan,
    ServicePlan,
    Task,
    UnmetRequirement,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: ``facing`` of the services that a customer may know.
CUSTOMER_FACING = "customer"
#: Attribute of the response that holds the plan.
PLAN_ATTRIBUTE = "fulfilmentPlan"
_COMPENSATION_TEXT: Mapping[str, str] = {
    "provide": "the service is removed and its resources are released",
    "change": "the service gets its previous settings",
    "cease": "the service is restored",
}


def plan_attribute(
    designer: OrderDesigner,
    kind: str,
    repository: Repository,
    client_repository: Repository,
    order: Resource,
) -> Mapping[str, Any]:
    """Return the attribute that a dry run adds to the order; see ``fulfilment_plan``."""
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
        kind: Kind of the order.
        repository: Sees the whole tenant.
        client_repository: Sees the resources that the client can read.
        order: The order in its stored form.

    Returns:
        A JSON object: ``feasible``; ``item``, with products and services; ``task``, with the
        resources, the element, the settings and the compensation of each; ``missing``, with the
        reasons why the order cannot be fulfilled. A party sees only the services that face the
        customer, and neither resources, elements nor settings of tasks.
    """
    key = OrderKey(repository.tenant, str(order["id"]), kind)
    rights = OrderRights.of_client(repository, client_repository)
    design = designer.design(rights, key, order)
    allocations, unmet_requirements = reservations.dry_run_allocations(
        rights.network, key, design.tasks, client_repository
    )
    is_operator = rights.parties is None
    rejections = [
        {"orderItemId": item, "reason": reason}
        for item, reason in sorted(design.rejections.items())
    ]
    return {
        "@type": "FulfilmentPlan",
        "feasible": not (unmet_requirements or rejections),
        "fulfilledHere": not design.is_empty,
        "item": [
            _item(plan, has_products=kind == "ProductOrder", is_operator=is_operator)
            for plan in design.items
        ],
        "task": [
            {**_task(task), **(_network_of(task, allocations.get(task.id)) if is_operator else {})}
            for task in design.tasks
        ],
        "missing": [*rejections, *map(_unmet_requirement, unmet_requirements)],
        **_sequence(design),
    }


def _sequence(design: OrderDesign) -> dict[str, Any]:
    """Return the ids of the tasks in order of execution; compensation is in reverse order."""
    return {"sequence": [task.id for task in design.tasks]} if design.tasks else {}


def _item(plan: ItemPlan, *, has_products: bool, is_operator: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "orderItemId": plan.item,
        "action": plan.action,
        "change": plan.change,
        "task": list(plan.tasks),
        "service": [
            _service(service)
            for service in plan.services
            if is_operator or service.facing == CUSTOMER_FACING
        ],
    }
    if has_products:
        products = (plan.product, *plan.bundled_products)
        item["product"] = [_product(product) for product in products if product]
    return item


def _service(plan: ServicePlan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "name": plan.name,
        "facing": plan.facing,
        "serviceSpecification": plan.specification,
        "characteristic": dict(plan.characteristics),
    }


def _product(plan: ProductPlan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "productOffering": plan.offering,
        "status": plan.status,
        "characteristic": dict(plan.characteristics),
    }


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "orderItemId": task.item,
        "action": task.action,
        "service": task.service,
        "after": list(task.depends_on),
        "undo": _COMPENSATION_TEXT[task.action],
    }


def _network_of(task: Task, allocation: Allocation | None) -> dict[str, Any]:
    """Return the effect of a task on the network, for the staff of the operator."""
    attributes: dict[str, Any] = {
        "setting": dict(allocation.settings if allocation else task.settings)
    }
    if allocation:
        attributes["resource"] = [
            {"role": slot, "id": id, "name": allocation.names[slot]}
            for slot, id in allocation.resources.items()
        ]
    if allocation and allocation.target:
        attributes["element"] = {
            "id": allocation.element,
            "name": allocation.target.name,
            "adapter": allocation.target.adapter,
            "port": allocation.port,
        }
    return attributes


def _unmet_requirement(requirement: UnmetRequirement) -> dict[str, Any]:
    attributes = {
        "orderItemId": requirement.item,
        "task": requirement.task,
        "reason": requirement.reason,
    }
    return {**attributes, **({"category": requirement.category} if requirement.category else {})}
