"""Check that the items of an order name what exists and, for a party, what is the party's own.

What a party cannot see is as if it did not exist: the message is the same.
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
from tmf_apis.fulfilment.design.subject_problems import SubjectProblems
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.reservation.resource_queries import find_by_identifier
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.inventory.ports import SERVICE_IDENTIFIER, external_id
from tmf_apis.inventory.resource_state import PRODUCT_IDENTIFIER
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.rest.pipeline.policy import Resource

_SERVICE = "Service"
#: Statuses of products, and states of services, that cannot be changed any more.
ENDED_STATUSES = frozenset({"terminated", "cancelled", "aborted"})


def missing_subject(kind: str, id: str) -> str:
    """Return why an item fails whose product or service the orderer cannot see.

    >>> missing_subject("ProductOrder", "7")
    'there is no product 7'
    """
    return f"there is no {_subject(kind)} {id}"


def _subject(kind: str) -> str:
    return "service" if kind == SERVICE_ORDER_SCHEMA.kind else "product"


def problems(rights: OrderRights, key: OrderKey, order: Resource) -> SubjectProblems:
    """Return the items that name what the orderer cannot see, or change what has ended.

    An item inside a rejected bundle item is rejected with it. Orders of the staff may be related to
    products of other systems, and change products that only resources know.
    """
    is_service_order = key.kind == SERVICE_ORDER_SCHEMA.kind
    planned = service_order_planner.as_product_order(order) if is_service_order else order
    items = items_with_parents(planned)
    named_ids = {id for item, _ in items for id in _named_ids(item, is_staff=_is_staff(rights))}
    statuses = _read_statuses(rights, named_ids, is_service_order=is_service_order)
    accounts = _visible_accounts(rights, order, (item for item, _ in items))
    reasons: dict[str, str] = {}
    never_fulfillable: set[str] = set()
    is_fulfilled_here = False
    for item, parent in items:
        parent_id = parent["id"] if parent else ""
        never = _permanent_obstacle(key, item, statuses, is_staff=_is_staff(rights))
        own = never or ("" if _is_staff(rights) else _new_id_obstacle(key, item))
        is_fulfilled_here |= bool(own) and (not _is_staff(rights) or _has_ended(item, statuses))
        if never or parent_id in never_fulfillable:
            never_fulfillable.add(item["id"])
        account = "" if _is_staff(rights) else _account_obstacle(order, item, accounts)
        if reason := reasons.get(parent_id) or own or account:
            reasons[item["id"]] = reason
    leaves = {item["id"] for item, _ in items if is_leaf(item)}
    return SubjectProblems(
        {id: reason for id, reason in reasons.items() if id in leaves},
        frozenset(reasons.keys() - leaves),
        is_fulfilled_here,
        frozenset(never_fulfillable & leaves),
    )


def _is_staff(rights: OrderRights) -> bool:
    return rights.parties is None


def _read_statuses(rights: OrderRights, ids: set[str], *, is_service_order: bool) -> dict[str, str]:
    """Return the statuses of the products and services that the orderer can see, by id.

    A product order may also name a service. What only a resource knows has an empty status.
    """
    statuses: dict[str, str] = {}
    for kind, attribute in (("Product", "status"), (_SERVICE, "state")):
        if (kind == _SERVICE or not is_service_order) and (missing := ids - statuses.keys()):
            query = {"id": {"$in": sorted(missing)}}
            for subject in rights.orderer.find(kind, query, limit=len(missing)):
                statuses[str(subject["id"])] = str(subject.get(attribute) or "").strip()
    if _is_staff(rights) and (missing := ids - statuses.keys()):
        for type_ in (PRODUCT_IDENTIFIER, SERVICE_IDENTIFIER):
            for resource in find_by_identifier(rights.network, type_, sorted(missing)):
                statuses.setdefault(external_id(resource, type_), "")
    return statuses


def _named_ids(item: Resource, *, is_staff: bool) -> Iterator[str]:
    """Yield the ids of the existing products or services that an item names."""
    if _changed_id(item, is_staff=is_staff):
        yield _changed_id(item, is_staff=is_staff)
    if not is_staff:
        yield from related_product_ids(item)


def _changed_id(item: Resource, *, is_staff: bool) -> str:
    """Return the id of the product or service that an item changes; empty: it changes none."""
    unchanged = {"add", "noChange"} if is_staff else {"add"}
    return "" if item.get("action", "add") in unchanged else reference_id(item.get("product"))


def _permanent_obstacle(
    key: OrderKey, item: Resource, statuses: Mapping[str, str], *, is_staff: bool
) -> str:
    """Return why an item can never be fulfilled; empty if it may be possible."""
    for id in _named_ids(item, is_staff=is_staff):
        if id not in statuses:
            return missing_subject(key.kind, id)
    if _has_ended(item, statuses):
        id = reference_id(item.get("product"))
        return f"{_subject(key.kind)} {id} has ended: it is {statuses[id]}"
    return ""


def _has_ended(item: Resource, statuses: Mapping[str, str]) -> bool:
    """Return whether an item modifies or ends what has ended already."""
    return (
        item.get("action") in {"modify", "delete"}
        and statuses.get(reference_id(item.get("product"))) in ENDED_STATUSES
    )


def _new_id_obstacle(key: OrderKey, item: Resource) -> str:
    """Return why a party cannot choose the id of a new product; empty if it chooses none."""
    new_id = reference_id(item.get("product")) if item.get("action", "add") == "add" else ""
    is_chosen = new_id not in {"", new_product_id(key, item["id"])}
    if is_chosen and key.kind != SERVICE_ORDER_SCHEMA.kind:
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
