"""Offerings and specifications that cannot be ordered, whatever else an order says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.design import offers, order_items
from tmf_apis.fulfilment.design.catalog import Catalog
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.design.subject_problems import SubjectProblems
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.ordering.states import ITEM_LIFECYCLE
from tmf_apis.rest.pipeline.catalog_terms import WITHDRAWN_STATES
from tmf_apis.rest.pipeline.policy import Resource

#: Kinds of resources that show that this system has the catalogue or inventory of a kind of order.
_PRODUCT_KINDS, _SERVICE_KINDS = ("ProductOffering", "Product"), ("ServiceSpecification", "Service")


def with_offering_problems(
    problems: SubjectProblems, order: Mapping[str, Any], catalog: Catalog
) -> SubjectProblems:
    """Return the problems of an order with those of the offerings that its items name.

    Args:
        problems: The problems so far.
        order: The product order, or a service order in the form of one.
        catalog: The offerings and products that it refers to.
    """
    reasons = {
        item["id"]: reason
        for item, _ in order_items.items_with_parents(order)
        if order_items.is_leaf(item) and item.get("state") not in ITEM_LIFECYCLE.final_states
        if (reason := _obstacle(item, catalog))
    }
    if not reasons:
        return problems
    return replace(
        problems,
        reasons={**reasons, **problems.reasons},
        never_fulfillable=problems.never_fulfillable | reasons.keys(),
    )


def _obstacle(item: Resource, catalog: Catalog) -> str:
    """Return why the offering of an item cannot be ordered; empty if it can."""
    action, id = item.get("action", "add"), reference_id(item.get("productOffering"))
    if not id or action not in {"add", "modify"} or id in catalog.fulfilled_elsewhere:
        return ""
    offering = catalog.offerings.get(id)
    if offering is None:
        return f"the catalogue has no {catalog.offering_noun} {id}"
    installed = catalog.installed_base.get(reference_id(item.get("product")))
    is_change = action == "modify" and installed and installed.offering not in {"", id}
    if (action == "add" or is_change) and offering.get("lifecycleStatus") in WITHDRAWN_STATES:
        return f"{offers.offering_label(catalog, id)} is {offering['lifecycleStatus']}"
    return ""


def has_own_data(rights: OrderRights, kind: str) -> bool:
    """Return whether the tenant has the catalogue or inventory of a kind of order in this system.

    If it has neither, another system knows what the orders name.
    """
    kinds = _SERVICE_KINDS if kind == SERVICE_ORDER_SCHEMA.kind else _PRODUCT_KINDS
    return any(rights.operator.find(kind, {}, limit=1) for kind in kinds)
