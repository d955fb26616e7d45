"""Products and services as the inventories have them: pure edits, each the same when repeated.

Source: TMF637 v4.0.0 Product, TMF638 v4.0.0 Service.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.values import Setting
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.values import ItemPlan, ProductPlan, ServicePlan, Taken
from tmf_apis.rest import versions
from tmf_apis.rest.law import Resource, rfc3339

#: ``status`` of a product and ``state`` of its services while it is ...
PENDING, ENDING, ENDED = "pendingActive", "pendingTerminate", "terminated"
RESERVED, ACTIVE, INACTIVE = "reserved", "active", "inactive"
#: ``category`` of a service, by whom it faces (TMF638 Service.category).
FACING: Mapping[str, str] = {"customer": "CFS", "resource": "RFS"}
#: What v4 must have and v5 may leave out.
_MISSING: Mapping[str, Mapping[str, str]] = {
    "relatedParty": {"@referredType": "Party"},
    "place": {"role": "site"},
}
#: What a service has from its product.
_SHARED = ("relatedParty", "place")
#: What a service has from the order that orders it by itself.
_SAID = (
    *(*_SHARED, "description", "name", "note", "feature", "serviceType", "startMode", "isBundle"),
    *("isStateful", "serviceRelationship"),
)
_VALUE_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", float: "number"}


def ordered(order: Mapping[str, Any], item: Resource) -> Resource:
    """Return what an order says of the product of one of its items, in the inventory's form.

    Parties, places and account are those of the item, or else of the order.
    """
    outer = {name: order[name] for name in ("relatedParty", "billingAccount") if name in order}
    small = {
        **outer,
        "@type": "ProductOrder",
        "productOrderItem": [{**item, "productOrderItem": []}],
    }
    shown = versions.from_stored("ProductOrder", "v4", small)
    inner = shown["productOrderItem"][0]
    product = {k: v for k, v in (inner.get("product") or {}).items() if k in _TAKEN}
    for name in ("relatedParty", "billingAccount"):
        if name not in product and (found := inner.get(name) or shown.get(name)):
            product[name] = found
    for name, missing in (
        ("relatedParty", {"@referredType": "Party"}),
        ("place", {"role": "site"}),
    ):
        if name in product:
            product[name] = [{**missing, **one} for one in objects(product[name])]
    if "productPrice" not in product and (prices := _prices(inner.get("itemPrice"))):
        product["productPrice"] = prices
    return product


_TAKEN = frozenset({
    *("description", "isCustomerVisible", "name", "place", "productCharacteristic", "productTerm"),
    *("productPrice", "productSerialNumber", "relatedParty", "billingAccount", "agreement"),
})  # fmt: skip


def _prices(prices: object) -> list[Resource]:
    return [one for one in objects(prices) if one.get("price") and one.get("priceType")]


def product(
    old: Resource, plan: ProductPlan, item: Resource, order: Mapping[str, Any], status: str
) -> Resource:
    """Return a product as an order wants it.

    Args:
        old: How it is; of a new one its id alone.
        plan: What it shall be.
        item: The order's item.
        order: The order.
        status: The state that it is in.
    """
    said = ordered(order, item)
    new = {"@type": "Product", "orderDate": order.get("creationDate"), **old, **said}
    new["status"] = status
    new["name"] = plan.name or said.get("name") or old.get("name") or plan.id
    if plan.offering:
        new["productOffering"] = _reference(plan.offering, "ProductOffering", plan.name)
    if plan.specification:
        new["productSpecification"] = _reference(plan.specification, "ProductSpecification")
    new["productCharacteristic"] = characterized(
        [*objects(old.get("productCharacteristic")), *objects(said.get("productCharacteristic"))],
        plan.characteristics,
    )
    if plan.services:
        new["realizingService"] = [_reference(one, "Service") for one in plan.services]
    if plan.parent:
        new["productRelationship"] = [
            {"relationshipType": "isPartOf", "product": {"id": plan.parent, "@type": "Product"}}
        ]
    return _without_nothing(concerned(new, order, item))


def concerned(product: Resource, order: Mapping[str, Any], item: Resource) -> Resource:
    """Return a product that says which item of which order was the last to change it."""
    reference = {
        "productOrderId": order["id"],
        "orderItemId": item["id"],
        "orderItemAction": item.get("action", "add"),
        "@referredType": "ProductOrder",
    }
    others = [
        one
        for one in objects(product.get("productOrderItem"))
        if (one.get("productOrderId"), one.get("orderItemId")) != (order["id"], item["id"])
    ]
    return {**product, "productOrderItem": [*others, reference]}


def running(
    product: Resource, plan: ProductPlan, taken: Iterable[Taken], now: datetime
) -> Resource:
    """Return a product that is in operation, or suspended, on what was taken for it."""
    new = {"startDate": rfc3339(now), **product, "status": plan.status}
    if found := resources(taken):
        new["realizingResource"] = found
    return new


def ended(product: Resource, now: datetime) -> Resource:
    """Return a product that is no more."""
    if product.get("status") == ENDED:
        return product
    return {**product, "status": ENDED, "terminationDate": rfc3339(now)}


def service_of(product: Resource, service: Resource) -> Resource:
    """Return a service that says which product it realizes, and has its parties and places."""
    shared: Resource = {name: product[name] for name in _SHARED if name in product}
    entity = {"id": product["id"], "role": "product", "@referredType": "Product"}
    others = [one for one in objects(service.get("relatedEntity")) if one.get("id") != entity["id"]]
    return {**service, **shared, "relatedEntity": [*others, entity]}


def service_for(
    order: Mapping[str, Any], item: Mapping[str, Any], top: str, service: Resource
) -> Resource:
    """Return a service that says which item of which service order was the last to change it.

    Parties and places are those of the service that is ordered, or else of the order; that service
    itself has what the order says of it.

    Args:
        order: The service order.
        item: Its item.
        top: Id of the service that is ordered; the others are below it.
        service: The service.
    """
    said = item.get("service") or {}
    taken = _SHARED if service["id"] != top else _SAID
    new = {**service, **{name: said[name] for name in taken if name in said}}
    if "relatedParty" not in new and order.get("relatedParty"):
        new["relatedParty"] = order["relatedParty"]
    reference = {
        "serviceOrderId": order["id"],
        "itemId": item["id"],
        "itemAction": item.get("action", "add"),
        "role": "orderedBy",
        "@referredType": "ServiceOrder",
    }
    others = [
        one
        for one in objects(service.get("serviceOrderItem"))
        if (one.get("serviceOrderId"), one.get("itemId")) != (order["id"], item["id"])
    ]
    return {**new, "serviceOrderItem": [*others, reference]}


def service(old: Resource, plan: ServicePlan, state: str) -> Resource:
    """Return a service.

    Args:
        old: How it is; of a new one its id alone.
        plan: What it shall be.
        state: The state that it is in.
    """
    new: Resource = {"@type": "Service", **old}
    new["state"] = state
    new["category"] = FACING[plan.facing]
    new["name"] = plan.name or old.get("name") or plan.id
    if plan.specification:
        new["serviceSpecification"] = _reference(plan.specification, "ServiceSpecification")
    new["serviceCharacteristic"] = characterized(
        objects(old.get("serviceCharacteristic")), plan.characteristics
    )
    if plan.parts:
        new["supportingService"] = [_reference(one, "Service") for one in plan.parts]
    return _without_nothing(new)


def serving(service: Resource, taken: Iterable[Taken], now: datetime, *, enabled: bool) -> Resource:
    """Return a service that is in operation, or suspended, on what was taken for it."""
    new = {"startDate": rfc3339(now), **service, "hasStarted": True, "isServiceEnabled": enabled}
    new["state"] = ACTIVE if enabled else INACTIVE
    if found := resources(taken):
        new["supportingResource"] = found
    return new


def stopped(service: Resource, now: datetime) -> Resource:
    """Return a service that is no more."""
    if service.get("state") == ENDED:
        return service
    return {**service, "state": ENDED, "endDate": rfc3339(now), "isServiceEnabled": False}


def resources(taken: Iterable[Taken]) -> list[Resource]:
    """Return references to the resources that services are on."""
    return [
        _reference(id, "Resource", one.names.get(slot, ""))
        for one in taken
        if one.action != "cease"
        for slot, id in one.resources.items()
    ]


def characterized(before: Iterable[Resource], values: Mapping[str, Setting]) -> list[Resource]:
    """Return characteristics with values set; those that are not named stay.

    >>> characterized([{"name": "a", "value": 1}], {"a": 2, "b": True})[1]
    {'name': 'b', 'valueType': 'boolean', 'value': True}
    """
    found = {one["name"]: one for one in before if "name" in one and "value" in one}
    for name, value in values.items():
        one = {"name": name, "valueType": _VALUE_TYPES.get(type(value), "object")}
        found[name] = {**found.get(name, one), "value": value}
    return list(found.values())


def is_new(plan: ItemPlan) -> bool:
    """Return whether an item makes its product, so that nothing of it stays if it fails."""
    return plan.action == "add"


def _reference(id: str, type_: str, name: str = "") -> Resource:
    return {"id": id, **({"name": name} if name else {}), "@referredType": type_}


def _without_nothing(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, [])}
