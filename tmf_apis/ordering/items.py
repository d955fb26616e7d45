"""The items of an order: numbering, relations to each other, states; pure.

Orders for products (TMF622) and for services (TMF641) have items alike, under other names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.ordering.states import ITEM_LIFECYCLE, state_of_order
from tmf_apis.rest.pipeline.cycles import cycle
from tmf_apis.rest.pipeline.policy import Resource

#: What an item does with its product or service (TMF622, TMF641).
ACTIONS = ("add", "modify", "delete", "noChange")


@dataclass(frozen=True, slots=True)
class OrderItemSchema:
    """What the items of one kind of order are called.

    Attributes:
        kind: Of an item, for messages.
        items_attribute: The attribute of an order, and of an item, that lists items.
        relationship_attribute: The attribute of an item that lists its relations to others.
        has_nested_reference: The id of the related item is inside a reference.
    """

    kind: str
    items_attribute: str
    relationship_attribute: str
    has_nested_reference: bool = False

    def related_item(self, relationship: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the id of the item that a relation leads to, and where it stands."""
        if self.has_nested_reference:
            return (relationship.get("orderItem") or {}).get("itemId"), "orderItem/itemId"
        return relationship.get("id"), "id"

    def walk(self, items: Iterable[Resource], pointer: str = "") -> Iterator[tuple[str, Resource]]:
        """Yield every item with its JSON pointer, an item before those inside it."""
        for place, item in enumerate(items):
            here = f"{pointer}/{self.items_attribute}/{place}"
            yield here, item
            yield from self.walk(item.get(self.items_attribute) or (), here)

    def items_with_pointers(self, order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
        """Return every item of an order with its JSON pointer."""
        return list(self.walk(order.get(self.items_attribute) or ()))

    def leaf_states(self, order: Mapping[str, Any]) -> list[str]:
        """Return the states of the items that have none inside them; the others follow these."""
        return [
            item.get("state", ITEM_LIFECYCLE.initial_states[0])
            for _, item in self.items_with_pointers(order)
            if not item.get(self.items_attribute)
        ]

    def check(self, order: Mapping[str, Any]) -> None:
        """Let an order pass if its items are whole and fit together.

        Raises:
            InvalidBody: An item lacks its action, has another's id, a quantity under 1, or a
                relation to an item that is not there or comes back to itself (HTTP 400).
        """
        found = self.items_with_pointers(order)
        if not found:
            raise InvalidBody(f"/{self.items_attribute}: an order has at least one item")
        seen: set[str] = set()
        for at, item in found:
            _check_item(at, item)
            if (name := item.get("id")) is not None:
                if name in seen:
                    raise InvalidBody(f"{at}/id: another item of this order has the id {name}")
                seen.add(name)
        self._check_relationships(found, seen)

    def _check_relationships(self, items: list[tuple[str, Resource]], ids: set[str]) -> None:
        graphs: dict[str, dict[str, list[str]]] = {}
        for at, item in items:
            for place, relation in enumerate(item.get(self.relationship_attribute) or ()):
                target, name = self.related_item(relation)
                pointer = f"{at}/{self.relationship_attribute}/{place}/{name}"
                if target is None:
                    continue
                if target not in ids:
                    raise InvalidBody(f"{pointer}: this order has no item {target}")
                if target == item.get("id"):
                    raise InvalidBody(f"{pointer}: item {target} has a relation to itself")
                graph = graphs.setdefault(relation.get("relationshipType") or "", {})
                graph.setdefault(item.get("id") or at, []).append(target)
        for name, graph in graphs.items():
            if circle := cycle(graph):
                raise InvalidBody(
                    f"/{self.items_attribute}: {name or 'relation'} comes back to where it starts:"
                    f" {' -> '.join(circle)}"
                )

    def with_item_ids(self, order: Resource) -> Resource:
        """Return an order whose items all have an id: the lowest numbers that are free."""
        taken = {item["id"] for _, item in self.items_with_pointers(order) if item.get("id")}
        numbers = (
            str(number)
            for number in range(1, len(self.items_with_pointers(order)) + len(taken) + 1)
        )
        free = (number for number in numbers if number not in taken)

        def fill(items: Iterable[Resource]) -> list[Resource]:
            return [
                self._with_parts({"id": item.get("id") or next(free), **_without_id(item)}, fill)
                for item in items
            ]

        return {**order, self.items_attribute: fill(order.get(self.items_attribute) or ())}

    def _with_parts(self, item: Resource, change: Any) -> Resource:  # noqa: ANN401
        parts = item.get(self.items_attribute)
        return {**item, self.items_attribute: change(parts)} if parts else item

    def with_previous_states(self, old: Mapping[str, Any], new: Resource) -> Resource:
        """Return a changed order in which an item that says no state keeps the one that it had."""
        states = {
            item.get("id"): item.get("state", ITEM_LIFECYCLE.initial_states[0])
            for _, item in self.items_with_pointers(old)
        }

        def keep(items: Iterable[Resource]) -> list[Resource]:
            return [
                self._with_parts(
                    {"state": states.get(item.get("id"), ITEM_LIFECYCLE.initial_states[0]), **item},
                    keep,
                )
                for item in items
            ]

        return {**new, self.items_attribute: keep(new.get(self.items_attribute) or ())}

    def with_initial_states(self, order: Resource) -> Resource:
        """Return an order with all its items in their first state, whatever the client said."""

        def start(items: Iterable[Resource]) -> list[Resource]:
            return [
                self._with_parts({**item, "state": ITEM_LIFECYCLE.initial_states[0]}, start)
                for item in items
            ]

        return {**order, self.items_attribute: start(order.get(self.items_attribute) or ())}

    def with_end_state(self, order: Resource, state: str) -> Resource:
        """Return an order with every item that is not finished yet in ``state``."""

        def end(items: Iterable[Resource]) -> list[Resource]:
            return [self._with_parts(_item_with_end_state(item, state), end) for item in items]

        return {**order, self.items_attribute: end(order.get(self.items_attribute) or ())}

    def with_bundle_states(self, order: Resource) -> Resource:
        """Return an order whose bundle items are in the state that their parts make."""

        def add_up(items: Iterable[Resource]) -> list[Resource]:
            result = []
            for item in items:
                if not item.get(self.items_attribute):
                    result.append(item)
                    continue
                parts = add_up(item[self.items_attribute])
                states = [part.get("state", ITEM_LIFECYCLE.initial_states[0]) for part in parts]
                result.append(
                    {**item, self.items_attribute: parts, "state": state_of_order(states)}
                )
            return result

        return {**order, self.items_attribute: add_up(order.get(self.items_attribute) or ())}

    def check_transitions(
        self, old: Mapping[str, Any], new: Mapping[str, Any], *, system: bool
    ) -> None:
        """Let a change pass if every item's state goes where the lifecycle leads; all have one.

        Raises:
            IllegalTransition: The state of an item does not (HTTP 409).
        """
        before = {
            item.get("id"): item.get("state", ITEM_LIFECYCLE.initial_states[0])
            for _, item in self.items_with_pointers(old)
        }
        for at, item in self.items_with_pointers(new):
            if not item.get(self.items_attribute):
                was = before.get(item.get("id"), ITEM_LIFECYCLE.initial_states[0])
                ITEM_LIFECYCLE.transition(f"{self.kind} {at}", was, item["state"], system=system)


def _check_item(pointer: str, item: Mapping[str, Any]) -> None:
    if item.get("action") not in ACTIONS:
        raise InvalidBody(f"{pointer}/action: expected one of {', '.join(ACTIONS)}")
    quantity = item.get("quantity")
    if isinstance(quantity, int) and quantity < 1:
        raise InvalidBody(f"{pointer}/quantity: {quantity} is under 1")


def _without_id(item: Resource) -> Resource:
    return {name: value for name, value in item.items() if name != "id"}


def _item_with_end_state(item: Resource, state: str) -> Resource:
    return item if item.get("state") in ITEM_LIFECYCLE.final_states else {**item, "state": state}


#: The items of product orders; their functions are those of this module, too.
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

walk, items_with_pointers, leaf_states, check = (
    PRODUCT_ORDER_ITEMS.walk,
    PRODUCT_ORDER_ITEMS.items_with_pointers,
    PRODUCT_ORDER_ITEMS.leaf_states,
    PRODUCT_ORDER_ITEMS.check,
)
with_item_ids, with_previous_states, with_initial_states = (
    PRODUCT_ORDER_ITEMS.with_item_ids,
    PRODUCT_ORDER_ITEMS.with_previous_states,
    PRODUCT_ORDER_ITEMS.with_initial_states,
)
with_end_state, with_bundle_states, check_transitions = (
    PRODUCT_ORDER_ITEMS.with_end_state,
    PRODUCT_ORDER_ITEMS.with_bundle_states,
    PRODUCT_ORDER_ITEMS.check_transitions,
)
