"""Planning service orders: each is planned as if it were a product order; pure.

An item of a service order becomes an item of a product order whose offering is the specification
of the service. In the design, the product of an ``ItemPlan`` is then the ordered service.

Source: TMF641 v4.1.0, ServiceOrderItem; TMF638 v4.0.0, Service.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.design import order_planner
from tmf_apis.fulfilment.design.catalog import Catalog, InstalledProduct
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.design.subject_problems import NO_PROBLEMS, SubjectProblems
from tmf_apis.fulfilment.values import ItemPlan, OrderDesign, OrderKey
from tmf_apis.ordering.items import SERVICE_ORDER_ITEMS
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: From a service state that a modify can request to the status of a product.
PRODUCT_STATUS_BY_STATE: Mapping[str, str] = {"active": "active", "inactive": "suspended"}
_ITEMS = SERVICE_ORDER_ITEMS.items_attribute
#: Attributes that items of service orders and of product orders have in common.
_COMMON_ITEM_ATTRIBUTES = ("id", "action", "state", "quantity", "allOrNothing")


def specification_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the service specifications that the items of an order name."""
    return set(filter(None, map(_specification_id, SERVICE_ORDER_SCHEMA.all_items(order))))


def service_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the services that the items of an order change or are related to."""
    ids: set[str] = set()
    for item in SERVICE_ORDER_SCHEMA.all_items(order):
        service = _service(item)
        ids |= {reference_id(service), *_related_service_ids(service)}
    return ids - {""}


def _specification_id(item: Mapping[str, Any]) -> str:
    """Return the id of the specification that an item names; empty if it names none."""
    return reference_id(_service(item).get("serviceSpecification"))


def as_product_order(order: Mapping[str, Any]) -> Resource:
    """Return a service order as the product order that is planned.

    >>> item = {"id": "1", "action": "modify", "service": {"id": "s", "state": "inactive"}}
    >>> as_product_order({"id": "o", "serviceOrderItem": [item]})["productOrderItem"][0]["product"]
    {'id': 's', 'productCharacteristic': [], 'place': [], 'status': 'suspended'}
    """
    other_attributes = {name: value for name, value in order.items() if name != _ITEMS}
    items = map(_product_order_item, json_objects(order.get(_ITEMS)))
    return {**other_attributes, "productOrderItem": list(items)}


def _product_order_item(item: Mapping[str, Any]) -> Resource:
    common = {name: item[name] for name in _COMMON_ITEM_ATTRIBUTES if name in item}
    common |= _item_relationships(item)
    if parts := json_objects(item.get(_ITEMS)):
        return {**common, "productOrderItem": list(map(_product_order_item, parts))}
    if specification := _specification_id(item):
        common["productOffering"] = {"id": specification}
    return {**common, "product": _product(_service(item))}


def _product(service: Mapping[str, Any]) -> Resource:
    """Return a service as the product that is planned."""
    product: Resource = {
        **({"id": service["id"]} if service.get("id") else {}),
        "productCharacteristic": list(json_objects(service.get("serviceCharacteristic"))),
        "place": list(json_objects(service.get("place"))),
    }
    if status := _product_status(service):
        product["status"] = status
    if related := [{"product": {"id": id}} for id in _related_service_ids(service)]:
        product["productRelationship"] = related
    return product


def _item_relationships(item: Mapping[str, Any]) -> Resource:
    relationships = [
        {
            "relationshipType": relationship.get("relationshipType"),
            "id": SERVICE_ORDER_ITEMS.related_item(relationship)[0],
        }
        for relationship in json_objects(item.get(SERVICE_ORDER_ITEMS.relationship_attribute))
    ]
    return {"productOrderItemRelationship": relationships} if relationships else {}


def _related_service_ids(service: Mapping[str, Any]) -> Iterator[str]:
    for relationship in json_objects(service.get("serviceRelationship")):
        if id := reference_id(relationship.get("service")):
            yield id


def _product_status(service: Mapping[str, Any]) -> str:
    """Return the requested status of a service, as that of a product; empty if there is none."""
    if status := PRODUCT_STATUS_BY_STATE.get(str(service.get("state"))):
        return status
    enabled = service.get("isServiceEnabled")
    return {True: "active", False: "suspended"}[enabled] if isinstance(enabled, bool) else ""


def service_order_design(
    key: OrderKey,
    order: Mapping[str, Any],
    catalog: Catalog,
    offers: OfferCache,
    problems: SubjectProblems = NO_PROBLEMS,
) -> OrderDesign:
    """Return the design of a service order.

    Args:
        key: Identifies the order.
        order: The order.
        catalog: Specifications as offerings, and services in operation as ``installed_base``.
        offers: The compiled offers.
        problems: The items that are rejected already.
    """
    obstacles = {
        item["id"]: reason
        for item in SERVICE_ORDER_SCHEMA.all_items(order)
        if not item.get(_ITEMS) and (reason := _obstacle(item, catalog.installed_base))
    }
    all_problems = replace(problems, reasons={**obstacles, **problems.reasons})
    product_order = as_product_order(order)
    design = order_planner.order_design(key, product_order, catalog, offers, all_problems)
    return replace(
        design,
        items=tuple(_service_item_plan(plan, catalog.installed_base) for plan in design.items),
        tasks=tuple(replace(task, product="") for task in design.tasks),
    )


def _obstacle(item: Mapping[str, Any], installed_base: Mapping[str, InstalledProduct]) -> str:
    """Return why an item cannot be fulfilled with any catalogue; empty if it may be possible."""
    service = _service(item)
    if item.get("action") == "add":
        id = reference_id(service)
        return f"service.id {id}: a new service gets its id from the server" if id else ""
    if item.get("action") == "modify":
        return _modify_obstacle(service, installed_base)
    return ""


def _modify_obstacle(
    service: Mapping[str, Any], installed_base: Mapping[str, InstalledProduct]
) -> str:
    state, enabled = service.get("state"), service.get("isServiceEnabled")
    if state == "terminated":
        return "service.state terminated: a service is ended by the action delete"
    is_switched = state in PRODUCT_STATUS_BY_STATE and isinstance(enabled, bool)
    if is_switched and enabled != (state == "active"):
        return f"service.state {state} and isServiceEnabled contradict each other"
    id, specification = reference_id(service), reference_id(service.get("serviceSpecification"))
    installed = installed_base.get(id)
    if installed and specification and installed.offering not in {"", specification}:
        return (
            f"service {id} has another specification, which a modify does not change: end it and"
            f" add a service of {specification}"
        )
    return ""


def _service_item_plan(plan: ItemPlan, installed_base: Mapping[str, InstalledProduct]) -> ItemPlan:
    """Return the plan of an item with the ordered service in the place of the product."""
    if (product := plan.product) is None:
        return plan
    if not plan.services:
        installed = installed_base.get(product.id, InstalledProduct())
        resource_facing = (service.id for service in installed.services)
        ids = dict.fromkeys((product.id, *installed.customer_facing_services, *resource_facing))
        return replace(plan, product=replace(product, services=tuple(ids)))
    service, *parts = plan.services
    characteristics = {**product.characteristics, **service.characteristics}
    return replace(
        plan,
        product=replace(product, id=service.id, offering="", parent=""),
        services=(replace(service, characteristics=characteristics), *parts),
    )


def _service(item: Mapping[str, Any]) -> Mapping[str, Any]:
    service = item.get("service")
    return service if isinstance(service, dict) else {}
