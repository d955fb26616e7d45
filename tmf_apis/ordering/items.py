"""The items of an order: numbering, relations to each other, states; pure.

Orders for products (TMF622) and for services (TMF641) have items alike, under other names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.ordering.states import ITEM, state_of_order
from tmf_apis.rest.cycles import cycle
from tmf_apis.rest.law import Resource

#: What an item does with its product or service (TMF622, TMF641).
ACTIONS = ("add", "modify", "delete", "noChange")


@dataclass(frozen=True, slots=True)
class Items:
    """What the items of one kind of order are called.

    Attributes:
        kind: Of an item, for messages.
        member: The attribute of an order, and of an item, that lists items.
        relation: The attribute of an item that lists its relations to others.
        nested: The id of the related item is inside a reference.
    """

    kind: str
    member: str
    relation: str
    nested: bool = False

    def target(self, relation: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the id of the item that a relation leads to, and where it stands."""
        if self.nested:
            return (relation.get("orderItem") or {}).get("itemId"), "orderItem/itemId"
        return relation.get("id"), "id"

    def each(self, items: Iterable[Resource], at: str = "") -> Iterator[tuple[str, Resource]]:
        """Yield every item with its JSON pointer, an item before those inside it."""
        for place, item in enumerate(items):
            here = f"{at}/{self.member}/{place}"
            yield here, item
            yield from self.each(item.get(self.member) or (), here)

    def of(self, order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
        """Return every item of an order with its JSON pointer."""
        return list(self.each(order.get(self.member) or ()))

    def leaf_states(self, order: Mapping[str, Any]) -> list[str]:
        """Return the states of the items that have none inside them; the others follow these."""
        return [
            item.get("state", ITEM.initial[0])
            for _, item in self.of(order)
            if not item.get(self.member)
        ]

    def check(self, order: Mapping[str, Any]) -> None:
        """Let an order pass if its items are whole and fit together.

        Raises:
            InvalidBody: An item lacks its action, has another's id, a quantity under 1, or a
                relation to an item that is not there or comes back to itself (HTTP 400).
        """
        found = self.of(order)
        if not found:
            raise InvalidBody(f"/{self.member}: an order has at least one item")
        seen: set[str] = set()
        for at, item in found:
            _check_one(at, item)
            if (name := item.get("id")) is not None:
                if name in seen:
                    raise InvalidBody(f"{at}/id: another item of this order has the id {name}")
                seen.add(name)
        self._check_relations(found, seen)

    def _check_relations(self, found: list[tuple[str, Resource]], ids: set[str]) -> None:
        graphs: dict[str, dict[str, list[str]]] = {}
        for at, item in found:
            for place, relation in enumerate(item.get(self.relation) or ()):
                target, name = self.target(relation)
                pointer = f"{at}/{self.relation}/{place}/{name}"
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
                    f"/{self.member}: {name or 'relation'} comes back to where it starts:"
                    f" {' -> '.join(circle)}"
                )

    def numbered(self, order: Resource) -> Resource:
        """Return an order whose items all have an id: the lowest numbers that are free."""
        taken = {item["id"] for _, item in self.of(order) if item.get("id")}
        numbers = (str(number) for number in range(1, len(self.of(order)) + len(taken) + 1))
        free = (number for number in numbers if number not in taken)

        def fill(items: Iterable[Resource]) -> list[Resource]:
            return [
                self._with_parts({"id": item.get("id") or next(free), **_without_id(item)}, fill)
                for item in items
            ]

        return {**order, self.member: fill(order.get(self.member) or ())}

    def _with_parts(self, item: Resource, change: Any) -> Resource:  # noqa: ANN401
        parts = item.get(self.member)
        return {**item, self.member: change(parts)} if parts else item

    def continued(self, old: Mapping[str, Any], new: Resource) -> Resource:
        """Return a changed order in which an item that says no state keeps the one that it had."""
        states = {item.get("id"): item.get("state", ITEM.initial[0]) for _, item in self.of(old)}

        def keep(items: Iterable[Resource]) -> list[Resource]:
            return [
                self._with_parts(
                    {"state": states.get(item.get("id"), ITEM.initial[0]), **item}, keep
                )
                for item in items
            ]

        return {**new, self.member: keep(new.get(self.member) or ())}

    def started(self, order: Resource) -> Resource:
        """Return an order with all its items in their first state, whatever the client said."""

        def start(items: Iterable[Resource]) -> list[Resource]:
            return [self._with_parts({**item, "state": ITEM.initial[0]}, start) for item in items]

        return {**order, self.member: start(order.get(self.member) or ())}

    def ended(self, order: Resource, state: str) -> Resource:
        """Return an order with every item that is not finished yet in ``state``."""

        def end(items: Iterable[Resource]) -> list[Resource]:
            return [self._with_parts(_ended(item, state), end) for item in items]

        return {**order, self.member: end(order.get(self.member) or ())}

    def summed(self, order: Resource) -> Resource:
        """Return an order whose bundle items are in the state that their parts make."""

        def add_up(items: Iterable[Resource]) -> list[Resource]:
            result = []
            for item in items:
                if not item.get(self.member):
                    result.append(item)
                    continue
                parts = add_up(item[self.member])
                states = [part.get("state", ITEM.initial[0]) for part in parts]
                result.append({**item, self.member: parts, "state": state_of_order(states)})
            return result

        return {**order, self.member: add_up(order.get(self.member) or ())}

    def check_steps(self, old: Mapping[str, Any], new: Mapping[str, Any], *, system: bool) -> None:
        """Let a change pass if every item's state goes where the lifecycle leads; all have one.

        Raises:
            IllegalTransition: The state of an item does not (HTTP 409).
        """
        before = {item.get("id"): item.get("state", ITEM.initial[0]) for _, item in self.of(old)}
        for at, item in self.of(new):
            if not item.get(self.member):
                was = before.get(item.get("id"), ITEM.initial[0])
                ITEM.move(f"{self.kind} {at}", was, item["state"], system=system)


def _check_one(at: str, item: Mapping[str, Any]) -> None:
    if item.get("action") not in ACTIONS:
        raise InvalidBody(f"{at}/action: expected one of {', '.join(ACTIONS)}")
    quantity = item.get("quantity")
    if isinstance(quantity, int) and quantity < 1:
        raise InvalidBody(f"{at}/quantity: {quantity} is under 1")


def _without_id(item: Resource) -> Resource:
    return {name: value for name, value in item.items() if name != "id"}


def _ended(item: Resource, state: str) -> Resource:
    return item if item.get("state") in ITEM.final else {**item, "state": state}


#: The items of product orders; their functions are those of this module, too.
PRODUCT = Items("ProductOrderItem", "productOrderItem", "productOrderItemRelationship")
#: The items of service orders.
SERVICE = Items("ServiceOrderItem", "serviceOrderItem", "serviceOrderItemRelationship", nested=True)

each, of, leaf_states, check = PRODUCT.each, PRODUCT.of, PRODUCT.leaf_states, PRODUCT.check
numbered, continued, started = PRODUCT.numbered, PRODUCT.continued, PRODUCT.started
ended, summed, check_steps = PRODUCT.ended, PRODUCT.summed, PRODUCT.check_steps
