"""The products, services and accounts that the order of a party names must be the party's own.

What the party cannot see is as if it did not exist: the message is the same. Orders of the
operator's staff may name everything.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.billing.actions import can_see_account
from tmf_apis.fulfilment.design import service_order_planner
from tmf_apis.fulfilment.design.order_items import (
    is_leaf,
    items_with_parents,
    related_product_ids,
)
from tmf_apis.fulfilment.design.product_design import new_product_id
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.design.subject_problems import NO_PROBLEMS, SubjectProblems
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.rest.pipeline.policy import Resource

_SERVICE = "Service"


def missing_subject(kind: str, id: str) -> str:
    """Return why an item fails whose product or service the orderer cannot see.

    >>> missing_subject("ProductOrder", "7")
    'there is no product 7'
    """
    return f"there is no {'service' if kind == SERVICE_ORDER_SCHEMA.kind else 'product'} {id}"


def problems(rights: OrderRights, key: OrderKey, order: Resource) -> SubjectProblems:
    """Return the items that name what the orderer cannot see.

    An item inside a rejected bundle item is rejected with it.
    """
    if rights.parties is None:
        return NO_PROBLEMS
    is_service_order = key.kind == SERVICE_ORDER_SCHEMA.kind
    planned = service_order_planner.as_product_order(order) if is_service_order else order
    items = items_with_parents(planned)
    named_ids = {id for item, _ in items for id in _named_ids(item)}
    visible = _visible_ids(rights, named_ids, is_service_order=is_service_order)
    accounts = _visible_accounts(rights, order, (item for item, _ in items))
    reasons: dict[str, str] = {}
    is_fulfilled_here = False
    for item, parent in items:
        inherited = reasons.get(parent["id"], "") if parent else ""
        own = _obstacle(key, item, visible)
        is_fulfilled_here |= bool(own)
        if reason := inherited or own or _account_obstacle(order, item, accounts):
            reasons[item["id"]] = reason
    leaves = {item["id"] for item, _ in items if is_leaf(item)}
    return SubjectProblems(
        {id: reason for id, reason in reasons.items() if id in leaves},
        frozenset(reasons.keys() - leaves),
        is_fulfilled_here,
    )


def _visible_ids(rights: OrderRights, ids: set[str], *, is_service_order: bool) -> set[str]:
    """Return the ids that the orderer can see; a product order may also name a service."""
    if is_service_order:
        return rights.visible_ids(_SERVICE, ids)
    products = rights.visible_ids("Product", ids)
    return products | rights.visible_ids(_SERVICE, ids - products)


def _named_ids(item: Resource) -> Iterator[str]:
    """Yield the ids of the existing products or services that an item names."""
    if item.get("action", "add") != "add" and (id := reference_id(item.get("product"))):
        yield id
    yield from related_product_ids(item)


def _obstacle(key: OrderKey, item: Resource, visible: set[str]) -> str:
    for id in _named_ids(item):
        if id not in visible:
            return missing_subject(key.kind, id)
    new_id = reference_id(item.get("product")) if item.get("action", "add") == "add" else ""
    if new_id and key.kind != SERVICE_ORDER_SCHEMA.kind and new_id != new_product_id(
        key, item["id"]
    ):  # fmt: skip
        return f"product.id {new_id}: a new product gets its id from the server"
    return ""


def _account_ids(*holders: Mapping[str, Any]) -> Iterator[str]:
    for holder in holders:
        for place in (holder, holder.get("product") or {}):
            if id := reference_id(place.get("billingAccount")):
                yield id


def _visible_accounts(
    rights: OrderRights, order: Resource, items: Iterable[Resource]
) -> frozenset[str]:
    """Return the billing accounts of an order that the orderer can see."""
    ids = set(_account_ids(order, *items))
    return frozenset(id for id in ids if can_see_account(rights.orderer, id))


def _account_obstacle(order: Resource, item: Resource, visible: frozenset[str]) -> str:
    for id in _account_ids(order, item):
        if id not in visible:
            return f"there is no billing account {id}"
    return ""
