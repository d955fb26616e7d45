"""From an order, the catalogue and what is in operation to a graph of tasks: pure, no I/O.

How an offering is fulfilled is data, see ``docs/fulfilment.md``. Undo is implied by a task's
action: what is provided goes, what is changed becomes what it was, what is ceased comes back; in
reverse.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tmf_apis.fulfilment.characteristics import objects, values
from tmf_apis.fulfilment.design.designing import (
    Drawing,
    Order,
    ceasing,
    drawing,
    name_of,
    switching,
    tag,
)
from tmf_apis.fulfilment.design.graph import graph
from tmf_apis.fulfilment.design.offers import Catalogue, Cookbook, Offer, Running
from tmf_apis.fulfilment.design.recipes import Faulty
from tmf_apis.fulfilment.values import (
    Design,
    ItemPlan,
    OrderKey,
    ProductPlan,
    Refused,
    ServicePlan,
    Task,
)
from tmf_apis.ordering.states import ITEM
from tmf_apis.rest.law import Resource

__all__ = ["Catalogue", "offerings", "plan", "products"]

_COOKBOOK = Cookbook()
_FINAL = ITEM.final
_PRODUCT_STATUS = {"suspended": False, "active": True}
_RATES = ("downstream", "upstream")
_NAMED_BY = {
    "ProductOrder": "offering (productOffering.id)",
    "ServiceOrder": "specification (service.serviceSpecification.id)",
}


def offerings(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the offerings that an order's items name."""
    return {id for item, _ in _items(order) if (id := _id(item.get("productOffering")))}


def products(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an order's items name, or rely on."""
    named = {id for item, _ in _items(order) if (id := _id(item.get("product")))}
    return named | {id for item, _ in _items(order) for id in relied_on(item)}


def relied_on(item: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an item's product has a relationship to."""
    related = objects((item.get("product") or {}).get("productRelationship"))
    return {id for one in related if (id := str(one.get("id") or "") or _id(one.get("product")))}


def plan(
    key: OrderKey,
    order: Mapping[str, Any],
    catalogue: Catalogue,
    refused: Mapping[str, str] | None = None,
) -> Design:
    """Return what an order wants done.

    Nothing, where none of its items names an offering of the catalogue or a product that is in
    operation: such an order is somebody else's work. Items that are finished are left out.

    Args:
        key: Which order.
        order: The order.
        catalogue: What is known beside it.
        refused: From the ids of items that are refused already to the reasons.
    """
    found = _items(order)
    leaves = [(item, above) for item, above in found if not item.get("productOrderItem")]
    if not any(_ours(item, catalogue) for item, _ in leaves):
        return Design()
    planner = _Planner(
        key, catalogue, {item["id"] for item, _ in found}, refused=dict(refused or {})
    )
    for item, above in found:
        if item.get("state") not in _FINAL and item["id"] not in planner.refused:
            planner.add(item, above)
    return graph(planner.made, planner.refused, found)


def _items(order: Mapping[str, Any]) -> list[tuple[Resource, Resource | None]]:
    """Return every item with the one that it is in, an item before those inside it."""

    def each(
        held: Iterable[Resource], above: Resource | None
    ) -> Iterator[tuple[Resource, Resource | None]]:
        for item in held:
            yield item, above
            if inner := item.get("productOrderItem"):
                yield from each(inner, item)

    return list(each(order.get("productOrderItem") or (), None))


def _ours(item: Mapping[str, Any], catalogue: Catalogue) -> bool:
    known = _id(item.get("productOffering")) in catalogue.offerings
    return known or _id(item.get("product")) in catalogue.running


@dataclass(slots=True)
class Made:
    """An item as it is planned, and what of it others may rely on.

    Attributes:
        plan: The item.
        tasks: Its tasks, in order.
        provides: Ids of the service specifications of what it has.
        requires: Ids of those that have to be there and are not its own.
        leaf: It has no items inside it.
    """

    plan: ItemPlan
    tasks: tuple[Task, ...] = ()
    provides: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    leaf: bool = True


@dataclass(slots=True)
class _Planner:
    key: OrderKey
    catalogue: Catalogue
    items: set[str]
    made: dict[str, Made] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)

    def add(self, item: Resource, above: Resource | None) -> None:
        """Plan an item, or note why it cannot be."""
        try:
            made = self._planned(item, above)
        except Refused as error:
            if not item.get("productOrderItem"):
                self.refused[item["id"]] = str(error)
        else:
            self.made[item["id"]] = made

    def _planned(self, item: Resource, above: Resource | None) -> Made:
        action, product = item.get("action", "add"), _id(item.get("product"))
        leaf = not item.get("productOrderItem")
        if action == "noChange":
            return Made(ItemPlan(item["id"], action), leaf=leaf)
        parent = "" if above is None else self._product(above)
        if action == "add":
            return self._added(item, parent)
        running = self.catalogue.running.get(product)
        if leaf and running:
            if running.bound:
                raise Refused(running.bound)
            self._once(item["id"], product)
            return (
                self._ceased(item, running) if action == "delete" else self._modified(item, running)
            )
        offer = self._offer(_id(item.get("productOffering")))
        if leaf and (offer.recipe or self._network(offer)):
            raise Refused(f"no service {product or '(product.id is missing)'} is in operation")
        status = "terminated" if action == "delete" else "active"
        made = self._plan_of(product, offer, {}, status, parent) if product else None
        return Made(ItemPlan(item["id"], action, "none", made), leaf=leaf)

    def _once(self, item: str, product: str) -> None:
        if (other := self.changed.setdefault(product, item)) != item:
            raise Refused(f"item {other} changes {self._what} {product} already")

    @property
    def _what(self) -> str:
        return "service" if self.key.kind == "ServiceOrder" else "product"

    def _product(self, item: Mapping[str, Any]) -> str:
        return _id(item.get("product")) or name_of(self.key, item["id"])

    def _offer(self, id: str) -> Offer:
        if not id:
            raise Refused(f"the item names no {_NAMED_BY[self.key.kind]}")
        if self._what == "service" and id not in self.catalogue.offerings:
            raise Refused(f"service specification {id} is not fulfilled here")
        return _COOKBOOK.offer(self.key.tenant, id, self.catalogue)

    def _network(self, offer: Offer) -> list[Offer]:
        """Return the offerings inside one that take something on the network."""
        found = [self._offer(id) for id in offer.parts if id in self.catalogue.offerings]
        return [one for one in found if one.recipe]

    def _added(self, item: Resource, parent: str) -> Made:
        offer, id = self._offer(_id(item.get("productOffering"))), self._product(item)
        self._once(item["id"], id)
        if item.get("productOrderItem"):
            made = self._plan_of(id, offer, _wanted(item), "active", parent)
            return Made(ItemPlan(item["id"], "add", "new", made), leaf=False)
        parts = self._network(offer)
        if (offer.recipe or parts) and (item.get("quantity") or 1) > 1:
            raise Refused("one item orders one access; order several by several items")
        if id in self.catalogue.running:
            raise Refused(f"{self._what} {id} is in operation already; change it by a modify")
        if offer.recipe or len(parts) == 1:
            return self._single(item, offer, offer if offer.recipe else parts[0], parent, None)
        if parts:
            return self._bundle(item, offer, parts, parent)
        product = self._plan_of(id, offer, _wanted(item), "active", parent)
        return Made(ItemPlan(item["id"], "add", "new", product))

    def _single(
        self, item: Resource, offer: Offer, access: Offer, parent: str, running: Running | None
    ) -> Made:
        """Plan an item with one product that takes something on the network."""
        id, wanted = self._product(item), _wanted(item)
        before = running.characteristics if running else {}
        chosen = access.chosen(wanted, before)
        order = self._order(item, wanted, _status(item) if running else None)
        drawn = drawing(order, id, _recipe(access), chosen, running)
        status = _next_status(item, running)
        kept = {**before, **wanted, **chosen}
        product = ProductPlan(
            id, offer.name, offer.id, access.specification, kept,
            tuple(one.id for one in drawn.services), status, parent,
        )  # fmt: skip
        change = _change(drawn, item, running)
        plan = ItemPlan(
            item["id"], item.get("action", "add"), change, product, drawn.services,
            tuple(task.id for task in drawn.tasks),
        )  # fmt: skip
        return self._made(plan, drawn.tasks, [access])

    def _bundle(self, item: Resource, offer: Offer, parts: list[Offer], parent: str) -> Made:
        """Plan an item whose offering has several products inside it."""
        id, wanted = self._product(item), _wanted(item)
        order = self._order(item, wanted, None)
        tasks: list[Task] = []
        products: list[ProductPlan] = []
        services: list[ServicePlan] = []
        reasons: list[str] = []
        for number, part in enumerate(parts, 1):
            inner = self._inner(id, number)
            try:
                chosen = part.chosen(wanted, {})
                drawn = drawing(order, inner, _recipe(part), chosen, None)
            except Faulty as fault:
                reasons += fault.reasons
                continue
            tasks += _renumbered(drawn.tasks, item["id"], len(tasks))
            services += drawn.services
            held = tuple(one.id for one in drawn.services)
            products.append(
                ProductPlan(inner, part.name, part.id, part.specification, chosen, held, parent=id)
            )
        if reasons:
            raise Faulty(reasons)
        top = self._plan_of(id, offer, wanted, "active", parent)
        plan = ItemPlan(
            item["id"], "add", "new", top, tuple(services), tuple(task.id for task in tasks),
            tuple(products),
        )  # fmt: skip
        return self._made(plan, tuple(tasks), parts)

    def _inner(self, product: str, number: int) -> str:
        name = f"{product}-{number}"
        taken = {name_of(self.key, item) for item in self.items}
        return tag(self.key, f"{name}/" if name in taken else name)

    def _ceased(self, item: Resource, running: Running) -> Made:
        id = self._product(item)
        tasks = ceasing(self._order(item, {}, None), id, running.services)
        products = [
            ProductPlan(one, characteristics=dict(running.characteristics) if one == id else {},
                        offering=running.offering if one == id else "", status="terminated",
                        parent="" if one == id else id)
            for one in (id, *running.parts)
        ]  # fmt: skip
        plan = ItemPlan(
            item["id"], "delete", "cease", products[0], (), tuple(t.id for t in tasks),
            tuple(products[1:]),
        )  # fmt: skip
        return Made(plan, tasks)

    def _modified(self, item: Resource, running: Running) -> Made:
        named, wanted, status = _id(item.get("productOffering")), _wanted(item), _status(item)
        same = not named or named == running.offering
        if status is not None and same and not _differs(wanted, running) and not _moves(item):
            return self._switched(item, running)
        offer = self._offer(named or running.offering)
        parts = [] if offer.recipe else self._network(offer)
        if running.parts or len(parts) > 1:
            raise Refused(
                f"product {self._product(item)} is a bundle; modify the products inside it"
                f" ({', '.join(running.parts) or 'which are not known'})"
            )
        access = offer if offer.recipe else next(iter(parts), None)
        if access is None:
            raise Refused(f"offering {offer.id} has nothing on the network to change to")
        return self._single(item, offer, access, "", running)

    def _switched(self, item: Resource, running: Running) -> Made:
        enabled = bool(_status(item))
        id = self._product(item)
        tasks = switching(self._order(item, {}, enabled), id, running.services)
        change = "none" if not tasks else "resume" if enabled else "suspend"
        product = ProductPlan(
            id, offering=running.offering, characteristics=dict(running.characteristics),
            status="active" if enabled else "suspended",
        )  # fmt: skip
        return Made(
            ItemPlan(item["id"], "modify", change, product, (), tuple(t.id for t in tasks)), tasks
        )

    def _order(self, item: Resource, wanted: Mapping[str, Any], enabled: bool | None) -> Order:  # noqa: FBT001
        places = tuple(_places(item.get("product") or {}))
        return Order(self.key, item["id"], wanted, places, enabled)

    def _plan_of(
        self, id: str, offer: Offer, wanted: Mapping[str, Any], status: str, parent: str
    ) -> ProductPlan:
        return ProductPlan(
            id, offer.name, offer.id, offer.specification, wanted, status=status, parent=parent
        )

    def _made(self, plan: ItemPlan, tasks: tuple[Task, ...], offers: Iterable[Offer]) -> Made:
        recipes = [_recipe(offer) for offer in offers]
        provides = frozenset[str]().union(*(one.provides for one in recipes))
        return Made(plan, tasks, provides, frozenset[str]().union(*(r.requires for r in recipes)))


def _recipe(offer: Offer) -> Any:  # noqa: ANN401
    return offer.recipe


def _renumbered(tasks: tuple[Task, ...], item: str, start: int) -> list[Task]:
    if not start:
        return list(tasks)
    names = {task.id: f"{item}#{start + number}" for number, task in enumerate(tasks, 1)}
    return [
        replace(task, id=names[task.id], after=tuple(names[one] for one in task.after))
        for task in tasks
    ]


def _change(drawn: Drawing, item: Mapping[str, Any], running: Running | None) -> str:
    """Return in one word what a modify does."""
    if running is None:
        return "new"
    if drawn.moved:
        return "move"
    if not drawn.tasks:
        return "none"
    if _status(item) is not None and not any(_rates(*pair) for pair in drawn.changes):
        return "resume" if _status(item) else "suspend"
    signs = {sign for pair in drawn.changes for sign in _rates(*pair)}
    if signs == {1}:
        return "upgrade"
    return "downgrade" if signs == {-1} else "change"


def _rates(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[int]:
    """Return 1 for a rate that rises, -1 for one that falls; a rate of 0 is no limit."""
    pairs = [
        (before[name] or float("inf"), after[name] or float("inf"))
        for name in _RATES
        if name in before and name in after
    ]
    return {1 if new > old else -1 for old, new in pairs if new != old}


def _next_status(item: Mapping[str, Any], running: Running | None) -> str:
    if (status := _status(item)) is not None and running:
        return "active" if status else "suspended"
    return (running.status if running else "") or "active"


def _status(item: Mapping[str, Any]) -> bool | None:
    """Return whether a modify switches on (True) or off (False); None: neither."""
    return _PRODUCT_STATUS.get(str((item.get("product") or {}).get("status")))


def _differs(wanted: Mapping[str, Any], running: Running) -> bool:
    return any(running.characteristics.get(name) != value for name, value in wanted.items())


def _moves(item: Mapping[str, Any]) -> bool:
    return any(_places(item.get("product") or {}))


def _wanted(item: Mapping[str, Any]) -> dict[str, Any]:
    return values((item.get("product") or {}).get("productCharacteristic"))


def _places(product: Mapping[str, Any]) -> Iterable[str]:
    for one in objects(product.get("place")):
        if id := _id(one.get("place")) or _id(one):
            yield id


def _id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
