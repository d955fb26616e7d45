"""The type of change that a modify makes to a product in operation; pure."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.fulfilment.design.order_items import requested_enabled
from tmf_apis.fulfilment.design.product_design import ProductDesign

#: Settings that are rates, in bits per second; 0 is no limit.
_RATES = ("downstream", "upstream")


def change_type(design: ProductDesign, item: Mapping[str, Any]) -> str:
    """Return the ``ItemPlan.change`` of an item that modifies a product."""
    if design.is_move:
        return "move"
    if not design.tasks:
        return "none"
    directions = {
        direction
        for before, after in design.setting_changes
        for direction in _rate_directions(before, after)
    }
    enabled = requested_enabled(item)
    if enabled is not None and not directions:
        return "resume" if enabled else "suspend"
    if directions == {1}:
        return "upgrade"
    return "downgrade" if directions == {-1} else "change"


def _rate_directions(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[int]:
    """Return 1 if a rate rises and -1 if a rate falls, as far as both settings have rates."""
    rates = [
        (before[name] or float("inf"), after[name] or float("inf"))
        for name in _RATES
        if name in before and name in after
    ]
    return {1 if new > old else -1 for old, new in rates if new != old}
