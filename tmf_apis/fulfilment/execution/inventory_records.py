"""Products and services as the inventories have them: pure edits, each the same when repeated.

Source: TMF637 v4.0.0 Product, TMF638 v4.0.0 Service.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.values import Setting
from tmf_apis.fulfilment.values import Allocation, ItemPlan, ProductPlan, ServicePlan
from tmf_apis.inventory.characteristics import json_objects
from tmf_apis.rest.pipeline.policy import Resource, rfc3339
from tmf_apis.rest.views import versions

#: ``status`` of a product and ``state`` of its services while it is ...
PENDING_ACTIVE, PENDING_TERMINATE, TERMINATED = "pendingActive", "pendingTerminate", "terminated"
RESERVED, ACTIVE, INACTIVE = "reserved", "active", "inactive"
#: ``category`` of a service, by whom it faces (TMF638 Service.category).
CATEGORY_BY_FACING: Mapping[str, str] = {"customer": "CFS", "resource": "RFS"}
#: What v4 must have and v5 may leave out.
_V4_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "relatedParty": {"@referredType": "Party"},
    "place": {"role": "site"},
}
#: What a service has from its product.
_INHERITED_ATTRIBUTES = ("relatedParty", "place")
#: What a service has from the order that orders it by itself.
_ORDERED_ATTRIBUTES = (
    *(
        *_INHERITED_ATTRIBUTES,
        "description",
        "name",
        "note",
        "feature",
        "serviceType",
        "startMode",
        "isBundle",
    ),
    *("isStateful", "serviceRelationship"),
)
_VALUE_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", float: "number"}


def ordered_product(order: Mapping[str, Any], item: Resource) -> Resource:
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
    product = {k: v for k, v in (inner.get("product") or {}).items() if k in _PRODUCT_ATTRIBUTES}
    for name in ("relatedParty", "billingAccount"):
        if name not in product and (found := inner.get(name) or shown.get(name)):
            product[name] = found
    for name, missing in (
        ("relatedParty", {"@referredType": "Party"}),
        ("place", {"role": "site"}),
    ):
        if name in product:
            product[name] = [{**missing, **one} for one in json_objects(product[name])]
    if "productPrice" not in product and (prices := _prices(inner.get("itemPrice"))):
        product["productPrice"] = prices
    return product


_PRODUCT_ATTRIBUTES = frozenset({
    *("description", "isCustomerVisible", "name", "place", "productCharacteristic", "productTerm"),
    *("productPrice", "productSerialNumber", "relatedParty", "billingAccount", "agreement"),
})  # fmt: skip


def _prices(prices: object) -> list[Resource]:
    return [one for one in json_objects(prices) if one.get("price") and one.get("priceType")]


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
    said = ordered_product(order, item)
    new = {"@type": "Product", "orderDate": order.get("creationDate"), **old, **said}
    new["status"] = status
    new["name"] = plan.name or said.get("name") or old.get("name") or plan.id
    if plan.offering:
        new["productOffering"] = _reference(plan.offering, "ProductOffering", plan.name)
    if plan.specification:
        new["productSpecification"] = _reference(plan.specification, "ProductSpecification")
    new["productCharacteristic"] = merged_characteristics(
        [
            *json_objects(old.get("productCharacteristic")),
            *json_objects(said.get("productCharacteristic")),
        ],
        plan.characteristics,
    )
    if plan.services:
        new["realizingService"] = [_reference(one, "Service") for one in plan.services]
    if plan.parent:
        new["productRelationship"] = [
            {"relationshipType": "isPartOf", "product": {"id": plan.parent, "@type": "Product"}}
        ]
    return _without_empty(with_order_item(new, order, item))


def with_order_item(product: Resource, order: Mapping[str, Any], item: Resource) -> Resource:
    """Return a product that says which item of which order was the last to change it."""
    reference = {
        "productOrderId": order["id"],
        "orderItemId": item["id"],
        "orderItemAction": item.get("action", "add"),
        "@referredType": "ProductOrder",
    }
    others = [
        one
        for one in json_objects(product.get("productOrderItem"))
        if (one.get("productOrderId"), one.get("orderItemId")) != (order["id"], item["id"])
    ]
    return {**product, "productOrderItem": [*others, reference]}


def active_product(
    product: Resource, plan: ProductPlan, allocations: Iterable[Allocation], now: datetime
) -> Resource:
    """Return a product that is in operation, or suspended, on what was taken for it."""
    new = {"startDate": rfc3339(now), **product, "status": plan.status}
    if found := resource_references(allocations):
        new["realizingResource"] = found
    return new


def terminated_product(product: Resource, now: datetime) -> Resource:
    """Return a product that is no more."""
    if product.get("status") == TERMINATED:
        return product
    return {**product, "status": TERMINATED, "terminationDate": rfc3339(now)}


def with_product(product: Resource, service: Resource) -> Resource:
    """Return a service that says which product it realizes, and has its parties and places."""
    shared: Resource = {name: product[name] for name in _INHERITED_ATTRIBUTES if name in product}
    entity = {"id": product["id"], "role": "product", "@referredType": "Product"}
    others = [
        one for one in json_objects(service.get("relatedEntity")) if one.get("id") != entity["id"]
    ]
    return {**service, **shared, "relatedEntity": [*others, entity]}


def with_service_order_item(
    order: Mapping[str, Any], item: Mapping[str, Any], ordered_service: str, service: Resource
) -> Resource:
    """Return a service that says which item of which service order was the last to change it.

    Parties and places are those of the service that is ordered, or else of the order; that service
    itself has what the order says of it.

    Args:
        order: The service order.
        item: Its item.
        ordered_service: Id of the service that is ordered; the others are below it.
        service: The service.
    """
    said = item.get("service") or {}
    taken = _INHERITED_ATTRIBUTES if service["id"] != ordered_service else _ORDERED_ATTRIBUTES
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
        for one in json_objects(service.get("serviceOrderItem"))
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
    new["category"] = CATEGORY_BY_FACING[plan.facing]
    new["name"] = plan.name or old.get("name") or plan.id
    if plan.specification:
        new["serviceSpecification"] = _reference(plan.specification, "ServiceSpecification")
    new["serviceCharacteristic"] = merged_characteristics(
        json_objects(old.get("serviceCharacteristic")), plan.characteristics
    )
    if plan.supporting_services:
        new["supportingService"] = [_reference(one, "Service") for one in plan.supporting_services]
    return _without_empty(new)


def active_service(
    service: Resource, allocations: Iterable[Allocation], now: datetime, *, enabled: bool
) -> Resource:
    """Return a service that is in operation, or suspended, on what was taken for it."""
    new = {"startDate": rfc3339(now), **service, "hasStarted": True, "isServiceEnabled": enabled}
    new["state"] = ACTIVE if enabled else INACTIVE
    if found := resource_references(allocations):
        new["supportingResource"] = found
    return new


def terminated_service(service: Resource, now: datetime) -> Resource:
    """Return a service that is no more."""
    if service.get("state") == TERMINATED:
        return service
    return {**service, "state": TERMINATED, "endDate": rfc3339(now), "isServiceEnabled": False}


def resource_references(allocations: Iterable[Allocation]) -> list[Resource]:
    """Return references to the resources that services are on."""
    return [
        _reference(id, "Resource", one.names.get(slot, ""))
        for one in allocations
        if one.action != "cease"
        for slot, id in one.resources.items()
    ]


def merged_characteristics(
    before: Iterable[Resource], values: Mapping[str, Setting]
) -> list[Resource]:
    """Return characteristics with values set; those that are not named stay.

    >>> merged_characteristics([{"name": "a", "value": 1}], {"a": 2, "b": True})[1]
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


def _without_empty(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, [])}
