"""Orders for services, planned as orders for products that are the service and nothing else; pure.

A service order's item becomes the item of a product order whose offering is the specification of
the service. In the design ``ItemPlan.product`` is then the service that was ordered.

Source: TMF641 v4.1.0, ServiceOrderItem; TMF638 v4.0.0, Service.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.design import planning
from tmf_apis.fulfilment.design.offers import Catalogue, Running
from tmf_apis.fulfilment.values import Design, ItemPlan, OrderKey
from tmf_apis.ordering.items import SERVICE
from tmf_apis.rest.law import Resource

#: From the state of a service to the status of a product; the other states are none of a modify.
STATUS: Mapping[str, str] = {"active": "active", "inactive": "suspended"}


def specifications(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the service specifications that an order's items name."""
    return {id for _, item in SERVICE.of(order) if (id := specification(item))}


def services(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the services that an order's items name, or rely on."""
    named = {id for _, item in SERVICE.of(order) if (id := _id(item.get("service")))}
    return named | {id for _, item in SERVICE.of(order) for id in _relied_on(_service(item))}


def specification(item: Mapping[str, Any]) -> str:
    """Return the id of the specification that an item names; empty: none."""
    return _id(_service(item).get("serviceSpecification"))


def as_products(order: Mapping[str, Any]) -> Resource:
    """Return an order for services as the order for products that are these services.

    >>> item = {"id": "1", "action": "modify", "service": {"id": "s", "state": "inactive"}}
    >>> as_products({"id": "o", "serviceOrderItem": [item]})["productOrderItem"][0]["product"]
    {'id': 's', 'productCharacteristic': [], 'place': [], 'status': 'suspended'}
    """
    rest = {name: value for name, value in order.items() if name != SERVICE.member}
    return {**rest, "productOrderItem": list(map(_item, objects(order.get(SERVICE.member))))}


def _item(item: Mapping[str, Any]) -> Resource:
    service = _service(item)
    taken = ("id", "action", "state", "quantity", "allOrNothing")
    made: Resource = {name: item[name] for name in taken if name in item}
    if inner := objects(item.get(SERVICE.member)):
        return {**made, "productOrderItem": list(map(_item, inner)), **_relations(item)}
    if named := specification(item):
        made["productOffering"] = {"id": named}
    product: Resource = {
        **({"id": service["id"]} if service.get("id") else {}),
        "productCharacteristic": list(objects(service.get("serviceCharacteristic"))),
        "place": list(objects(service.get("place"))),
    }
    if status := _status(service):
        product["status"] = status
    if relied := [{"product": {"id": id}} for id in _relied_on(service)]:
        product["productRelationship"] = relied
    return {**made, "product": product, **_relations(item)}


def _relations(item: Mapping[str, Any]) -> Resource:
    found = [
        {"relationshipType": one.get("relationshipType"), "id": SERVICE.target(one)[0]}
        for one in objects(item.get(SERVICE.relation))
    ]
    return {"productOrderItemRelationship": found} if found else {}


def _relied_on(service: Mapping[str, Any]) -> Iterator[str]:
    for one in objects(service.get("serviceRelationship")):
        if id := _id(one.get("service")):
            yield id


def _status(service: Mapping[str, Any]) -> str:
    """Return whether a service shall be on or off, as a product's status; empty: as it is."""
    if status := STATUS.get(str(service.get("state"))):
        return status
    enabled = service.get("isServiceEnabled")
    return {True: "active", False: "suspended"}[enabled] if isinstance(enabled, bool) else ""


def plan(key: OrderKey, order: Mapping[str, Any], catalogue: Catalogue) -> Design:
    """Return what a service order wants done.

    Args:
        key: Which order.
        order: The order.
        catalogue: Specifications as offerings of their own, and services in operation as
            ``running``.
    """
    refused = {
        item["id"]: reason
        for _, item in SERVICE.of(order)
        if not item.get(SERVICE.member) and (reason := _objection(item, catalogue.running))
    }
    design = planning.plan(key, as_products(order), catalogue, refused)
    return replace(
        design,
        items=tuple(_planned(one, catalogue.running) for one in design.items),
        tasks=tuple(replace(one, product="") for one in design.tasks),
    )


def _objection(item: Mapping[str, Any], running: Mapping[str, Running]) -> str:
    """Return why an item cannot be fulfilled, whatever the catalogue says; empty: it can."""
    action, service = item.get("action"), _service(item)
    id, state, enabled = _id(service), service.get("state"), service.get("isServiceEnabled")
    if action == "add":
        return f"service.id {id}: a new service gets its id from the server" if id else ""
    if action != "modify":
        return ""
    if state == "terminated":
        return "service.state terminated: a service is ended by the action delete"
    if state in STATUS and isinstance(enabled, bool) and enabled != (state == "active"):
        return f"service.state {state} and isServiceEnabled contradict each other"
    now = running.get(id)
    named = specification(item)
    if now and named and now.offering not in {"", named}:
        return (
            f"service {id} is of another specification, and a modify does not change that: end it,"
            f" and add one of {named}"
        )
    return ""


def _planned(item: ItemPlan, running: Mapping[str, Running]) -> ItemPlan:
    """Return an item whose product is the service that was ordered."""
    if (product := item.product) is None:
        return item
    if not item.services:
        now = running.get(product.id, Running())
        every = (product.id, *now.customers, *(one.id for one in now.services))
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


def _id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
