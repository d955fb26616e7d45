"""Edits of products and services in the inventories: pure and idempotent.

Source: TMF637 v4.0.0 Product, TMF638 v4.0.0 Service.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tmf_apis.fulfilment.execution.allocated_resources import (
    AllocatedResources,
    entity_reference,
    merged_characteristics,
    without_characteristics,
)
from tmf_apis.fulfilment.values import ItemPlan, ProductPlan, ServicePlan
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.views import versions

#: Values of a product's ``status``.
PENDING_ACTIVE, PENDING_TERMINATE, TERMINATED = "pendingActive", "pendingTerminate", "terminated"
#: Values of a service's ``state``, beside ``TERMINATED``.
RESERVED, ACTIVE, INACTIVE = "reserved", "active", "inactive"
#: ``category`` of a service, by what it faces (TMF638 Service.category).
CATEGORY_BY_FACING: Mapping[str, str] = {"customer": "CFS", "resource": "RFS"}
#: Attributes that a product copies from its order item.
_PRODUCT_ATTRIBUTES = frozenset({
    *("description", "isCustomerVisible", "name", "place", "productCharacteristic", "productTerm"),
    *("productPrice", "productSerialNumber", "relatedParty", "billingAccount", "agreement"),
})  # fmt: skip
#: Attributes that all products of a bundle copy from its order item.
_SHARED_ATTRIBUTES = ("@type", "place", "relatedParty", "billingAccount", "agreement")
#: Members that v4 requires and v5 may omit, by attribute.
_V4_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "relatedParty": {"@referredType": "Party"},
    "place": {"role": "site"},
}
#: The types of parts of a product, in version 4.
_TYPES: Mapping[str, str] = {
    "relatedParty": "RelatedParty",
    "productCharacteristic": "Characteristic",
    "productPrice": "ProductPrice",
}
#: Attributes that a service copies from its product.
_INHERITED_ATTRIBUTES = ("relatedParty", "place")
#: Attributes that a service copies from the service order that orders it.
_ORDERED_ATTRIBUTES = (
    *_INHERITED_ATTRIBUTES,
    *("description", "name", "note", "feature", "serviceType", "startMode", "isBundle"),
    *("isStateful", "serviceRelationship"),
)


def ordered_product(order: Mapping[str, Any], item: Resource) -> Resource:
    """Return the product of an order item in the form of the inventory.

    Parties, places and account are those of the item, or else of the order.
    """
    inherited = {name: order[name] for name in ("relatedParty", "billingAccount") if name in order}
    single_item_order = {
        **inherited,
        "@type": "ProductOrder",
        "productOrderItem": [{**item, "productOrderItem": []}],
    }
    v4_order = versions.from_stored("ProductOrder", "v4", single_item_order)
    v4_item = v4_order["productOrderItem"][0]
    product = {
        name: value
        for name, value in (v4_item.get("product") or {}).items()
        if name in _PRODUCT_ATTRIBUTES
    }
    for name in ("relatedParty", "billingAccount"):
        if name not in product and (value := v4_item.get(name) or v4_order.get(name)):
            product[name] = value
    for name, defaults in _V4_DEFAULTS.items():
        if name in product:
            product[name] = [{**defaults, **_inline(part)} for part in json_objects(product[name])]
    if "productPrice" not in product and (prices := _prices(v4_item.get("itemPrice"))):
        product["productPrice"] = prices
    for name, type in _TYPES.items():
        if name in product:
            product[name] = [_with_type(part, type) for part in json_objects(product[name])]
    return product


def item_of_part(item: Resource) -> Resource:
    """Return the item of a bundle for a product inside it: what the order says of all of them."""
    product = item.get("product") or {}
    shared = {name: product[name] for name in _SHARED_ATTRIBUTES if name in product}
    return {**{k: v for k, v in item.items() if k != "itemPrice"}, "product": shared}


def _inline(part: Resource) -> Resource:
    """Return a party or place without the container that only version 5 has."""
    for container in ("partyOrPartyRole", "place"):
        if isinstance(value := part.get(container), dict):
            outside = {name: member for name, member in part.items() if name != container}
            part = {**value, **outside}
    return part


def _with_type(part: Resource, type: str) -> Resource:
    """Return a part with the type of version 4 for those that only version 5 has.

    >>> _with_type({"@type": "StringCharacteristic"}, "Characteristic")
    {'@type': 'Characteristic'}
    """
    own = part.get("@type", type)
    is_foreign = isinstance(own, str) and own.endswith((type, "Ref", "PartyRole", "OrderPrice"))
    return {**part, "@type": type} if is_foreign and own != type else part


def _prices(prices: object) -> list[Resource]:
    return [
        price for price in json_objects(prices) if price.get("price") and price.get("priceType")
    ]


def product(
    old: Resource, plan: ProductPlan, item: Resource, order: Mapping[str, Any], status: str
) -> Resource:
    """Return a product with a plan applied.

    Args:
        old: The present product; only the id if it is new.
        plan: The plan of the product.
        item: The order item.
        order: The order.
        status: The new status.
    """
    ordered = ordered_product(order, item)
    new = {"@type": "Product", "orderDate": order.get("creationDate"), **old, **ordered}
    new["status"] = status
    new["name"] = plan.name or ordered.get("name") or old.get("name") or plan.id
    for attribute, reference in (
        ("productOffering", entity_reference(plan.offering, "ProductOffering", plan.name)),
        ("productSpecification", entity_reference(plan.specification, "ProductSpecification")),
    ):
        if reference["id"]:
            new[attribute] = _merged_reference(old.get(attribute), reference)
    new["productCharacteristic"] = merged_characteristics(
        [
            *without_characteristics(old.get("productCharacteristic"), plan.stale_characteristics),
            *json_objects(ordered.get("productCharacteristic")),
        ],
        plan.characteristics,
    ) or [_offering_characteristic(new)]
    if plan.services:
        new["realizingService"] = [entity_reference(id, "Service") for id in plan.services]
    if plan.parent:
        new["productRelationship"] = [
            {"relationshipType": "isPartOf", "product": {"id": plan.parent, "@type": "Product"}}
        ]
    return _without_empty(with_order_item(new, order, item))


def with_order_item(product: Resource, order: Mapping[str, Any], item: Resource) -> Resource:
    """Return a product whose last order item reference is the given item."""
    reference = {
        "productOrderId": order["id"],
        "orderItemId": item["id"],
        "orderItemAction": item.get("action", "add"),
        "@referredType": "ProductOrder",
    }
    others = [
        other
        for other in json_objects(product.get("productOrderItem"))
        if (other.get("productOrderId"), other.get("orderItemId")) != (order["id"], item["id"])
    ]
    return {**product, "productOrderItem": [*others, reference]}


def active_product(
    product: Resource, plan: ProductPlan, resources: AllocatedResources, now: datetime
) -> Resource:
    """Return a product that is active or suspended, with its allocated resources."""
    new = {"startDate": rfc3339(now), **product, "status": plan.status}
    if references := resources.references():
        new["realizingResource"] = references
    return resources.with_values(new, "productCharacteristic", plan.characteristics)


def terminated_product(product: Resource, now: datetime) -> Resource:
    """Return a product that is terminated."""
    if product.get("status") == TERMINATED:
        return product
    return {**product, "status": TERMINATED, "terminationDate": rfc3339(now)}


def with_product(product: Resource, service: Resource) -> Resource:
    """Return a service that refers to its product and has the product's parties and places."""
    shared: Resource = {name: product[name] for name in _INHERITED_ATTRIBUTES if name in product}
    reference = {"id": product["id"], "role": "product", "@referredType": "Product"}
    others = [
        other
        for other in json_objects(service.get("relatedEntity"))
        if other.get("id") != reference["id"]
    ]
    return {**service, **shared, "relatedEntity": [*others, reference]}


def with_service_order_item(
    order: Mapping[str, Any], item: Mapping[str, Any], ordered_service: str, service: Resource
) -> Resource:
    """Return a service whose last order item reference is the given item.

    Parties and places are those of the ordered service, or else of the order. The ordered service
    itself also has the other attributes that the order gives it.

    Args:
        order: The service order.
        item: Its item.
        ordered_service: Id of the ordered service; other services support it.
        service: The service.
    """
    ordered = item.get("service") or {}
    attributes = _ORDERED_ATTRIBUTES if service["id"] == ordered_service else _INHERITED_ATTRIBUTES
    new = {**service, **{name: ordered[name] for name in attributes if name in ordered}}
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
        other
        for other in json_objects(service.get("serviceOrderItem"))
        if (other.get("serviceOrderId"), other.get("itemId")) != (order["id"], item["id"])
    ]
    return {**new, "serviceOrderItem": [*others, reference]}


def service(old: Resource, plan: ServicePlan, state: str) -> Resource:
    """Return a service with a plan applied.

    Args:
        old: The present service; only the id if it is new.
        plan: The plan of the service.
        state: The new state.
    """
    new: Resource = {"@type": "Service", **old}
    new["state"] = state
    new["category"] = CATEGORY_BY_FACING[plan.facing]
    new["name"] = plan.name or old.get("name") or plan.id
    characteristics = json_objects(old.get("serviceCharacteristic"))
    if plan.specification:
        reference = entity_reference(plan.specification, "ServiceSpecification")
        old_reference = old.get("serviceSpecification")
        new["serviceSpecification"] = _merged_reference(old_reference, reference)
        if old_reference and not _is_same(old_reference, reference):
            characteristics = []
    new["serviceCharacteristic"] = merged_characteristics(characteristics, plan.characteristics)
    if plan.supporting_services:
        new["supportingService"] = [
            entity_reference(id, "Service") for id in plan.supporting_services
        ]
    return _without_empty(new)


def active_service(
    service: Resource, resources: AllocatedResources, now: datetime, *, enabled: bool
) -> Resource:
    """Return a service that is active or, if not enabled, inactive, with its resources."""
    new = {"startDate": rfc3339(now), **service, "hasStarted": True, "isServiceEnabled": enabled}
    new["state"] = ACTIVE if enabled else INACTIVE
    if references := resources.references():
        new["supportingResource"] = references
    return new


def terminated_service(service: Resource, now: datetime) -> Resource:
    """Return a service that is terminated."""
    if service.get("state") == TERMINATED:
        return service
    return {**service, "state": TERMINATED, "endDate": rfc3339(now), "isServiceEnabled": False}


def _offering_characteristic(product: Resource) -> Resource:
    """Return the characteristic of a product whose specification has none.

    The conformance kit of TMF637 requires every product to have one.
    """
    return {"name": "offering", "valueType": "string", "value": product["name"]}


def is_new(plan: ItemPlan) -> bool:
    """Return whether an item creates its product."""
    return plan.action == "add"


def _merged_reference(old: object, new: Resource) -> Resource:
    """Return a reference with what an earlier one to the same entity says beside it."""
    return {**old, **new} if isinstance(old, dict) and _is_same(old, new) else new


def _is_same(reference: object, other: Resource) -> bool:
    return isinstance(reference, dict) and reference.get("id") == other["id"]


def _without_empty(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, [])}
