"""Orders for services, planned as orders for products that are the service and nothing else; pure.

A service order's item becomes the item of a product order whose offering is the specification of
the service. In the design ``ItemPlan.product_id`` is then the service that was ordered.

Source: TMF641 v4.1.0, ServiceOrderItem; TMF638 v4.0.0, Service.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.design import order_planner
from tmf_apis.fulfilment.design.offers import Catalog, InstalledProduct, OfferCache
from tmf_apis.fulfilment.values import ItemPlan, OrderDesign, OrderKey
from tmf_apis.ordering.items import SERVICE_ORDER_ITEMS
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: From the state of a service to the status of a product; the other states are none of a modify.
PRODUCT_STATUS_BY_STATE: Mapping[str, str] = {"active": "active", "inactive": "suspended"}


def specification_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the service specifications that an order's items name."""
    return {
        id
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order)
        if (id := specification_id(item))
    }


def service_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the services that an order's items name, or rely on."""
    named = {
        id
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order)
        if (id := _reference_id(item.get("service")))
    }
    return named | {
        id
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order)
        for id in _related_service_ids(_service(item))
    }


def specification_id(item: Mapping[str, Any]) -> str:
    """Return the id of the specification that an item names; empty: none."""
    return _reference_id(_service(item).get("serviceSpecification"))


def as_product_order(order: Mapping[str, Any]) -> Resource:
    """Return an order for services as the order for products that are these services.

    >>> item = {"id": "1", "action": "modify", "service": {"id": "s", "state": "inactive"}}
    >>> as_product_order({"id": "o", "serviceOrderItem": [item]})["productOrderItem"][0]["product"]
    {'id': 's', 'productCharacteristic': [], 'place': [], 'status': 'suspended'}
    """
    rest = {
        name: value for name, value in order.items() if name != SERVICE_ORDER_ITEMS.items_attribute
    }
    return {
        **rest,
        "productOrderItem": list(
            map(_product_order_item, json_objects(order.get(SERVICE_ORDER_ITEMS.items_attribute)))
        ),
    }


def _product_order_item(item: Mapping[str, Any]) -> Resource:
    service = _service(item)
    taken = ("id", "action", "state", "quantity", "allOrNothing")
    made: Resource = {name: item[name] for name in taken if name in item}
    if inner := json_objects(item.get(SERVICE_ORDER_ITEMS.items_attribute)):
        return {
            **made,
            "productOrderItem": list(map(_product_order_item, inner)),
            **_item_relationships(item),
        }
    if named := specification_id(item):
        made["productOffering"] = {"id": named}
    product: Resource = {
        **({"id": service["id"]} if service.get("id") else {}),
        "productCharacteristic": list(json_objects(service.get("serviceCharacteristic"))),
        "place": list(json_objects(service.get("place"))),
    }
    if status := _product_status(service):
        product["status"] = status
    if relied := [{"product": {"id": id}} for id in _related_service_ids(service)]:
        product["productRelationship"] = relied
    return {**made, "product": product, **_item_relationships(item)}


def _item_relationships(item: Mapping[str, Any]) -> Resource:
    found = [
        {
            "relationshipType": one.get("relationshipType"),
            "id": SERVICE_ORDER_ITEMS.related_item(one)[0],
        }
        for one in json_objects(item.get(SERVICE_ORDER_ITEMS.relationship_attribute))
    ]
    return {"productOrderItemRelationship": found} if found else {}


def _related_service_ids(service: Mapping[str, Any]) -> Iterator[str]:
    for one in json_objects(service.get("serviceRelationship")):
        if id := _reference_id(one.get("service")):
            yield id


def _product_status(service: Mapping[str, Any]) -> str:
    """Return whether a service shall be on or off, as a product's status; empty: as it is."""
    if status := PRODUCT_STATUS_BY_STATE.get(str(service.get("state"))):
        return status
    enabled = service.get("isServiceEnabled")
    return {True: "active", False: "suspended"}[enabled] if isinstance(enabled, bool) else ""


def service_order_design(
    key: OrderKey, order: Mapping[str, Any], catalog: Catalog, offers: OfferCache
) -> OrderDesign:
    """Return what a service order wants done.

    Args:
        key: Which order.
        order: The order.
        catalog: Specifications as offerings of their own, and services in operation as
            ``running``.
        offers: The compiled offers.
    """
    refused = {
        item["id"]: reason
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order)
        if not item.get(SERVICE_ORDER_ITEMS.items_attribute)
        and (reason := _obstacle(item, catalog.installed_base))
    }
    design = order_planner.order_design(key, as_product_order(order), catalog, offers, refused)
    return replace(
        design,
        items=tuple(_service_item_plan(one, catalog.installed_base) for one in design.items),
        tasks=tuple(replace(one, product="") for one in design.tasks),
    )


def _obstacle(item: Mapping[str, Any], installed_base: Mapping[str, InstalledProduct]) -> str:
    """Return why an item cannot be fulfilled, whatever the catalogue says; empty: it can."""
    action, service = item.get("action"), _service(item)
    id, state, enabled = (
        _reference_id(service),
        service.get("state"),
        service.get("isServiceEnabled"),
    )
    if action == "add":
        return f"service.id {id}: a new service gets its id from the server" if id else ""
    if action != "modify":
        return ""
    if state == "terminated":
        return "service.state terminated: a service is ended by the action delete"
    if (
        state in PRODUCT_STATUS_BY_STATE
        and isinstance(enabled, bool)
        and enabled != (state == "active")
    ):
        return f"service.state {state} and isServiceEnabled contradict each other"
    now = installed_base.get(id)
    named = specification_id(item)
    if now and named and now.offering not in {"", named}:
        return (
            f"service {id} is of another specification, and a modify does not change that: end it,"
            f" and add one of {named}"
        )
    return ""


def _service_item_plan(item: ItemPlan, installed_base: Mapping[str, InstalledProduct]) -> ItemPlan:
    """Return an item whose product is the service that was ordered."""
    if (product := item.product) is None:
        return item
    if not item.services:
        now = installed_base.get(product.id, InstalledProduct())
        every = (product.id, *now.customer_facing_services, *(one.id for one in now.services))
        return replace(item, product=replace(product, services=tuple(dict.fromkeys(every))))
    top, *parts = item.services
    chosen = {**product.characteristics, **top.characteristics}
    return replace(
        item,
        product=replace(product, id=top.id, offering="", parent=""),
        services=(replace(top, characteristics=chosen), *parts),
    )


def _service(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("service")
    return found if isinstance(found, dict) else {}


def _reference_id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
