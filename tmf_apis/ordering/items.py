"""The items of an order: ids, relationships and states; pure.

The items of product orders (TMF622) and service orders (TMF641) follow the same rules under
different attribute names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Faults, InvalidBody, shortened
from tmf_apis.ordering.states import ITEM_LIFECYCLE, state_of_order
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.policy import Resource

#: Values of an item's ``action`` (TMF622, TMF641).
ACTIONS = ("add", "modify", "delete", "noChange")
_INITIAL_STATE = ITEM_LIFECYCLE.initial_states[0]


@dataclass(frozen=True, slots=True)
class OrderItemSchema:
    """Attribute names of the items of one kind of order.

    Attributes:
        kind: Kind of an item, for messages.
        items_attribute: Attribute of an order, and of a bundle item, that lists items.
        relationship_attribute: Attribute of an item that lists its relationships to other items.
        has_nested_reference: A relationship has the id of the other item in a nested reference
            (``orderItem.itemId``), not in ``id``.
    """

    kind: str
    items_attribute: str
    relationship_attribute: str
    has_nested_reference: bool = False

    def related_item(self, relationship: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the item id that a relationship names, and the path of the id within it."""
        if self.has_nested_reference:
            return (relationship.get("orderItem") or {}).get("itemId"), "orderItem/itemId"
        return relationship.get("id"), "id"

    def walk(self, items: Iterable[Resource], pointer: str = "") -> Iterator[tuple[str, Resource]]:
        """Yield every item with its JSON pointer, a bundle item before its parts."""
        for index, item in enumerate(items):
            item_pointer = f"{pointer}/{self.items_attribute}/{index}"
            yield item_pointer, item
            yield from self.walk(item.get(self.items_attribute) or (), item_pointer)

    def items_with_pointers(self, order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
        """Return every item of an order with its JSON pointer, a bundle item before its parts."""
        return list(self.walk(order.get(self.items_attribute) or ()))

    def leaf_states(self, order: Mapping[str, Any]) -> list[str]:
        """Return the states of the items without parts; other states are derived from these."""
        return [
            _state(item)
            for _, item in self.items_with_pointers(order)
            if not item.get(self.items_attribute)
        ]

    def check(self, order: Mapping[str, Any]) -> None:
        """Check the items of an order and their relationships.

        Raises:
            InvalidBody: There is no item; an item has no valid action, a duplicate id or a
                quantity under 1; or a relationship names an unknown item or is part of a cycle
                (HTTP 400).
        """
        items = self.items_with_pointers(order)
        if not items:
            raise InvalidBody(f"/{self.items_attribute}: an order has at least one item")
        faults = Faults()
        ids: set[str] = set()
        for pointer, item in items:
            _check_item(pointer, item, faults)
            if (id := item.get("id")) is not None:
                if id in ids:
                    faults.add(
                        f"{pointer}/id: another item of this order has the id {shortened(id)}"
                    )
                ids.add(id)
        self._check_relationships(items, ids, faults)
        faults.refuse()

    def _check_relationships(
        self, items: list[tuple[str, Resource]], ids: set[str], faults: Faults
    ) -> None:
        graphs: dict[str, dict[str, list[str]]] = {}
        for item_pointer, item in items:
            for index, relationship in enumerate(item.get(self.relationship_attribute) or ()):
                target, path = self.related_item(relationship)
                pointer = f"{item_pointer}/{self.relationship_attribute}/{index}/{path}"
                if target is None:
                    continue
                if target not in ids:
                    faults.add(f"{pointer}: this order has no item {shortened(target)}")
                elif target == item.get("id"):
                    faults.add(f"{pointer}: item {shortened(target)} has a relation to itself")
                    continue
                graph = graphs.setdefault(relationship.get("relationshipType") or "", {})
                graph.setdefault(item.get("id") or item_pointer, []).append(target)
        for relationship_type, graph in graphs.items():
            if path_back := cycle(graph):
                faults.add(
                    f"/{self.items_attribute}: {shortened(relationship_type or 'relation')} forms a"
                    f" cycle: {shortened(' -> '.join(path_back), 500)}"
                )

    def map_items(self, order: Resource, edit: Callable[[Resource], Resource]) -> Resource:
        """Return an order with every item edited, a bundle item before its parts."""

        def mapped(items: Iterable[Resource]) -> list[Resource]:
            return [with_mapped_parts(edit(item)) for item in items]

        def with_mapped_parts(item: Resource) -> Resource:
            parts = item.get(self.items_attribute)
            return {**item, self.items_attribute: mapped(parts)} if parts else item

        return {**order, self.items_attribute: mapped(order.get(self.items_attribute) or ())}

    def map_leaf_items(self, order: Resource, edit: Callable[[Resource], Resource]) -> Resource:
        """Return an order with every item edited that has no parts."""
        return self.map_items(
            order, lambda item: item if item.get(self.items_attribute) else edit(item)
        )

    def with_item_ids(self, order: Resource) -> Resource:
        """Return an order in which every item has an id: the lowest free number if it had none."""
        items = self.items_with_pointers(order)
        used_ids = {item["id"] for _, item in items if item.get("id")}
        numbers = (str(number) for number in range(1, len(items) + len(used_ids) + 1))
        free_ids = (number for number in numbers if number not in used_ids)
        return self.map_items(
            order, lambda item: {"id": item.get("id") or next(free_ids), **_without_id(item)}
        )

    def with_previous_states(self, old: Mapping[str, Any], new: Resource) -> Resource:
        """Return a changed order in which an item without a state has its previous state."""
        states = {item.get("id"): _state(item) for _, item in self.items_with_pointers(old)}
        return self.map_items(
            new, lambda item: {"state": states.get(item.get("id"), _INITIAL_STATE), **item}
        )

    def with_initial_states(self, order: Resource) -> Resource:
        """Return an order with all items in the initial state; their own states are ignored."""
        return self.map_items(order, lambda item: {**item, "state": _INITIAL_STATE})

    def with_end_state(self, order: Resource, state: str) -> Resource:
        """Return an order in which every unfinished item has the given state."""
        return self.map_items(order, lambda item: _with_end_state(item, state))

    def with_bundle_states(self, order: Resource) -> Resource:
        """Return an order in which the states of bundle items are derived from their parts."""

        def derived(items: Iterable[Resource]) -> list[Resource]:
            return [with_derived_state(item) for item in items]

        def with_derived_state(item: Resource) -> Resource:
            if not item.get(self.items_attribute):
                return item
            parts = derived(item[self.items_attribute])
            state = state_of_order(map(_state, parts))
            return {**item, self.items_attribute: parts, "state": state}

        return {**order, self.items_attribute: derived(order.get(self.items_attribute) or ())}

    def check_transitions(
        self, old: Mapping[str, Any], new: Mapping[str, Any], *, system: bool
    ) -> None:
        """Check that the lifecycle allows the change of state of every item without parts.

        Args:
            old: The order before the change.
            new: The order after the change; every item has a state.
            system: The server itself makes the change.

        Raises:
            IllegalTransition: The lifecycle does not allow it (HTTP 409).
        """
        old_states = {item.get("id"): _state(item) for _, item in self.items_with_pointers(old)}
        for pointer, item in self.items_with_pointers(new):
            if not item.get(self.items_attribute):
                old_state = old_states.get(item.get("id"), _INITIAL_STATE)
                ITEM_LIFECYCLE.transition(
                    f"{self.kind} {pointer}", old_state, item["state"], system=system
                )


def _state(item: Mapping[str, Any]) -> str:
    return str(item.get("state", _INITIAL_STATE))


def _without_id(item: Resource) -> Resource:
    return {name: value for name, value in item.items() if name != "id"}


def _check_item(pointer: str, item: Mapping[str, Any], faults: Faults) -> None:
    if item.get("action") not in ACTIONS:
        faults.add(f"{pointer}/action: expected one of {', '.join(ACTIONS)}")
    quantity = item.get("quantity")
    if isinstance(quantity, int) and quantity < 1:
        faults.add(f"{pointer}/quantity: {quantity} is under 1")


def _with_end_state(item: Resource, state: str) -> Resource:
    return item if item.get("state") in ITEM_LIFECYCLE.final_states else {**item, "state": state}


#: The items of product orders.
PRODUCT_ORDER_ITEMS = OrderItemSchema(
    "ProductOrderItem", "productOrderItem", "productOrderItemRelationship"
)
#: The items of service orders.
SERVICE_ORDER_ITEMS = OrderItemSchema(
    "ServiceOrderItem",
    "serviceOrderItem",
    "serviceOrderItemRelationship",
    has_nested_reference=True,
)
