"""Reading the items of a product order; pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: Every item of an order with the bundle item that it is part of, if any.
ItemsWithParents = list[tuple[Resource, Resource | None]]

_ENABLED_BY_STATUS = {"suspended": False, "active": True}


def items_with_parents(order: Mapping[str, Any]) -> ItemsWithParents:
    """Return every item with the bundle item that it is part of, a bundle item before its parts."""

    def walk(
        items: Iterable[Resource], parent: Resource | None
    ) -> Iterator[tuple[Resource, Resource | None]]:
        for item in items:
            yield item, parent
            yield from walk(item.get("productOrderItem") or (), item)

    return list(walk(order.get("productOrderItem") or (), None))


def offering_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the offerings that the items of an order name."""
    return {
        id
        for item, _ in items_with_parents(order)
        if (id := reference_id(item.get("productOffering")))
    }


def product_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that the items of an order change or are related to."""
    ids: set[str] = set()
    for item, _ in items_with_parents(order):
        if id := reference_id(item.get("product")):
            ids.add(id)
        ids |= related_product_ids(item)
    return ids


def related_product_ids(item: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that the product of an item is related to."""
    relationships = json_objects((item.get("product") or {}).get("productRelationship"))
    return {
        id
        for relationship in relationships
        if (id := str(relationship.get("id") or "") or reference_id(relationship.get("product")))
    }


def is_leaf(item: Mapping[str, Any]) -> bool:
    """Return whether an item has no parts."""
    return not item.get("productOrderItem")


def characteristic_values(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the characteristic values that an item orders, by name."""
    return values_by_name((item.get("product") or {}).get("productCharacteristic"))


def place_ids(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the places of an item's product."""
    places = json_objects((item.get("product") or {}).get("place"))
    ids = (reference_id(place.get("place")) or reference_id(place) for place in places)
    return tuple(filter(None, ids))


def requested_enabled(item: Mapping[str, Any]) -> bool | None:
    """Return whether a modify switches on (True), switches off (False) or does neither (None)."""
    return _ENABLED_BY_STATUS.get(str((item.get("product") or {}).get("status")))
