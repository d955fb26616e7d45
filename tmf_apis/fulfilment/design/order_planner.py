"""Planning an order: from order, catalogue and installed base to a graph of tasks; pure.

Catalogue data says how an offering is fulfilled, see ``docs/fulfilment.md``. The compensation of a
task follows from its action: a provided service is removed, a changed service gets its previous
settings and a ceased service is restored, in reverse order.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.catalog import Catalog
from tmf_apis.fulfilment.design.item_planner import ItemDesign, ItemPlanner
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.order_items import ItemsWithParents, is_leaf, items_with_parents
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.design.subject_problems import NO_PROBLEMS, SubjectProblems
from tmf_apis.fulfilment.design.task_graph import combined_design
from tmf_apis.fulfilment.values import OrderDesign, OrderKey
from tmf_apis.ordering.states import ITEM_LIFECYCLE

_FINAL_STATES = ITEM_LIFECYCLE.final_states


def order_design(
    key: OrderKey,
    order: Mapping[str, Any],
    catalog: Catalog,
    offers: OfferCache,
    problems: SubjectProblems = NO_PROBLEMS,
) -> OrderDesign:
    """Return the design of an order; finished items are left out.

    The design is empty if no item names an offering of the catalogue or a product in operation:
    such an order is fulfilled elsewhere, unless the problems say otherwise.

    Args:
        key: Identifies the order.
        order: The order.
        catalog: Offerings and products that the order refers to.
        offers: The compiled offers.
        problems: The items that are rejected already.
    """
    items = items_with_parents(order)
    is_fulfilled_here = problems.is_fulfilled_here or bool(problems.never_fulfillable)
    if not is_fulfilled_here and not _has_fulfillable_item(items, catalog):
        return OrderDesign()
    planner = ItemPlanner(key, catalog, offers, {item["id"] for item, _ in items})
    designs: dict[str, ItemDesign] = {}
    all_rejections = dict(problems.reasons)
    excluded = problems.reasons.keys() | problems.bundles
    for item, parent in items:
        if item.get("state") in _FINAL_STATES or item["id"] in excluded:
            continue
        try:
            designs[item["id"]] = planner.design(item, parent)
        except Unfulfillable as error:
            if is_leaf(item):
                all_rejections[item["id"]] = str(error)
    design = combined_design(designs, all_rejections, items)
    return replace(design, never_fulfillable=problems.never_fulfillable)


def _has_fulfillable_item(items: ItemsWithParents, catalog: Catalog) -> bool:
    return any(_is_fulfilled_here(item, catalog) for item, _ in items if is_leaf(item))


def _is_fulfilled_here(item: Mapping[str, Any], catalog: Catalog) -> bool:
    return (
        reference_id(item.get("productOffering")) in catalog.offerings
        or reference_id(item.get("product")) in catalog.installed_base
    )
