"""From an order, the catalogue and what is in operation to a graph of tasks: pure, no I/O.

How an offering is fulfilled is data, see ``docs/fulfilment.md``. Undo is implied by a task's
action: what is provided goes, what is changed becomes what it was, what is ceased comes back; in
reverse.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.decomposition import DecompositionFailed
from tmf_apis.fulfilment.design.offers import Catalog, InstalledProduct, Offer, OfferCache
from tmf_apis.fulfilment.design.product_design import (
    ItemContext,
    ProductDesign,
    cease_tasks,
    decompose_product,
    element_safe_id,
    new_product_id,
    suspend_or_resume_tasks,
)
from tmf_apis.fulfilment.design.task_graph import combined_design
from tmf_apis.fulfilment.values import (
    ItemPlan,
    OrderDesign,
    OrderKey,
    ProductPlan,
    ServicePlan,
    Task,
)
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.ordering.states import ITEM_LIFECYCLE
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

__all__ = ["Catalog", "offering_ids", "order_design", "product_ids"]

_FINAL_STATES = ITEM_LIFECYCLE.final_states
_ENABLED_BY_STATUS = {"suspended": False, "active": True}
_RATES = ("downstream", "upstream")
_OFFERING_ATTRIBUTE = {
    "ProductOrder": "offering (productOffering.id)",
    "ServiceOrder": "specification (service.serviceSpecification.id)",
}


def offering_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the offerings that an order's items name."""
    return {
        id
        for item, _ in _items_with_parents(order)
        if (id := _reference_id(item.get("productOffering")))
    }


def product_ids(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an order's items name, or rely on."""
    named = {
        id for item, _ in _items_with_parents(order) if (id := _reference_id(item.get("product")))
    }
    return named | {
        id for item, _ in _items_with_parents(order) for id in related_product_ids(item)
    }


def related_product_ids(item: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an item's product has a relationship to."""
    related = json_objects((item.get("product") or {}).get("productRelationship"))
    return {
        id
        for one in related
        if (id := str(one.get("id") or "") or _reference_id(one.get("product")))
    }


def order_design(
    key: OrderKey,
    order: Mapping[str, Any],
    catalog: Catalog,
    offers: OfferCache,
    rejections: Mapping[str, str] | None = None,
) -> OrderDesign:
    """Return what an order wants done.

    Nothing, where none of its items names an offering of the catalogue or a product that is in
    operation: such an order is somebody else's work. Items that are finished are left out.

    Args:
        key: Which order.
        order: The order.
        catalog: What is known beside it.
        offers: The compiled offers.
        rejections: From the ids of items that are refused already to the reasons.
    """
    found = _items_with_parents(order)
    leaves = [(item, above) for item, above in found if not item.get("productOrderItem")]
    if not any(_is_fulfilled_here(item, catalog) for item, _ in leaves):
        return OrderDesign()
    planner = _Planner(
        key, catalog, offers, {item["id"] for item, _ in found}, rejections=dict(rejections or {})
    )
    for item, above in found:
        if item.get("state") not in _FINAL_STATES and item["id"] not in planner.rejections:
            planner.add(item, above)
    return combined_design(planner.item_designs, planner.rejections, found)


def _items_with_parents(order: Mapping[str, Any]) -> list[tuple[Resource, Resource | None]]:
    """Return every item with the one that it is in, an item before those inside it."""

    def each(
        held: Iterable[Resource], above: Resource | None
    ) -> Iterator[tuple[Resource, Resource | None]]:
        for item in held:
            yield item, above
            if inner := item.get("productOrderItem"):
                yield from each(inner, item)

    return list(each(order.get("productOrderItem") or (), None))


def _is_fulfilled_here(item: Mapping[str, Any], catalog: Catalog) -> bool:
    known = _reference_id(item.get("productOffering")) in catalog.offerings
    return known or _reference_id(item.get("product")) in catalog.installed_base


@dataclass(slots=True)
class ItemDesign:
    """An item as it is planned, and what of it others may rely on.

    Attributes:
        plan: The item.
        tasks: Its tasks, in order.
        provided_specifications: Ids of the service specifications of what it has.
        required_specifications: Ids of those that have to be there and are not its own.
        is_leaf: It has no items inside it.
    """

    plan: ItemPlan
    tasks: tuple[Task, ...] = ()
    provided_specifications: frozenset[str] = frozenset()
    required_specifications: frozenset[str] = frozenset()
    is_leaf: bool = True


@dataclass(slots=True)
class _Planner:
    key: OrderKey
    catalog: Catalog
    offers: OfferCache
    item_ids: set[str]
    item_designs: dict[str, ItemDesign] = field(default_factory=dict)
    rejections: dict[str, str] = field(default_factory=dict)
    item_by_product: dict[str, str] = field(default_factory=dict)

    def add(self, item: Resource, parent_item: Resource | None) -> None:
        """Plan an item, or note why it cannot be."""
        try:
            made = self._design_item(item, parent_item)
        except Unfulfillable as error:
            if not item.get("productOrderItem"):
                self.rejections[item["id"]] = str(error)
        else:
            self.item_designs[item["id"]] = made

    def _design_item(self, item: Resource, parent_item: Resource | None) -> ItemDesign:
        action, product = item.get("action", "add"), _reference_id(item.get("product"))
        leaf = not item.get("productOrderItem")
        if action == "noChange":
            return ItemDesign(ItemPlan(item["id"], action), is_leaf=leaf)
        parent = "" if parent_item is None else self._product_id(parent_item)
        if action == "add":
            return self._design_add(item, parent)
        running = self.catalog.installed_base.get(product)
        if leaf and running:
            if running.change_obstacle:
                raise Unfulfillable(running.change_obstacle)
            self._reject_second_change(item["id"], product)
            return (
                self._design_cease(item, running)
                if action == "delete"
                else self._design_modify(item, running)
            )
        offer = self._offer(_reference_id(item.get("productOffering")))
        if leaf and (offer.decomposition or self._network_offers(offer)):
            raise Unfulfillable(
                f"no service {product or '(product.id is missing)'} is in operation"
            )
        status = "terminated" if action == "delete" else "active"
        made = self._product_plan(product, offer, {}, status, parent) if product else None
        return ItemDesign(ItemPlan(item["id"], action, "none", made), is_leaf=leaf)

    def _reject_second_change(self, item: str, product: str) -> None:
        if (other := self.item_by_product.setdefault(product, item)) != item:
            raise Unfulfillable(f"item {other} changes {self._subject} {product} already")

    @property
    def _subject(self) -> str:
        return "service" if self.key.kind == "ServiceOrder" else "product"

    def _product_id(self, item: Mapping[str, Any]) -> str:
        return _reference_id(item.get("product")) or new_product_id(self.key, item["id"])

    def _offer(self, id: str) -> Offer:
        if not id:
            raise Unfulfillable(f"the item names no {_OFFERING_ATTRIBUTE[self.key.kind]}")
        if self._subject == "service" and id not in self.catalog.offerings:
            raise Unfulfillable(f"service specification {id} is not fulfilled here")
        return self.offers.get(self.key.tenant, id, self.catalog)

    def _network_offers(self, offer: Offer) -> list[Offer]:
        """Return the offerings inside one that take something on the network."""
        found = [self._offer(id) for id in offer.bundled_offerings if id in self.catalog.offerings]
        return [one for one in found if one.decomposition]

    def _design_add(self, item: Resource, parent: str) -> ItemDesign:
        offer, id = self._offer(_reference_id(item.get("productOffering"))), self._product_id(item)
        self._reject_second_change(item["id"], id)
        if item.get("productOrderItem"):
            made = self._product_plan(id, offer, _ordered_values(item), "active", parent)
            return ItemDesign(ItemPlan(item["id"], "add", "new", made), is_leaf=False)
        parts = self._network_offers(offer)
        if (offer.decomposition or parts) and (item.get("quantity") or 1) > 1:
            raise Unfulfillable("one item orders one access; order several by several items")
        if id in self.catalog.installed_base:
            raise Unfulfillable(
                f"{self._subject} {id} is in operation already; change it by a modify"
            )
        if offer.decomposition or len(parts) == 1:
            return self._design_single(
                item, offer, offer if offer.decomposition else parts[0], parent, None
            )
        if parts:
            return self._design_bundle(item, offer, parts, parent)
        product = self._product_plan(id, offer, _ordered_values(item), "active", parent)
        return ItemDesign(ItemPlan(item["id"], "add", "new", product))

    def _design_single(
        self,
        item: Resource,
        offer: Offer,
        network_offer: Offer,
        parent: str,
        installed_product: InstalledProduct | None,
    ) -> ItemDesign:
        """Plan an item with one product that takes something on the network."""
        id, wanted = self._product_id(item), _ordered_values(item)
        before = installed_product.characteristics if installed_product else {}
        chosen = network_offer.product_characteristics(wanted, before)
        order = self._item_context(
            item, wanted, _requested_enabled(item) if installed_product else None
        )
        drawn = decompose_product(
            order, id, _decomposition(network_offer), chosen, installed_product
        )
        status = _next_status(item, installed_product)
        kept = {**before, **wanted, **chosen}
        product = ProductPlan(
            id, offer.name, offer.id, network_offer.specification, kept,
            tuple(one.id for one in drawn.services), status, parent,
        )  # fmt: skip
        change = _change_type(drawn, item, installed_product)
        plan = ItemPlan(
            item["id"], item.get("action", "add"), change, product, drawn.services,
            tuple(task.id for task in drawn.tasks),
        )  # fmt: skip
        return self._item_design(plan, drawn.tasks, [network_offer])

    def _design_bundle(
        self, item: Resource, offer: Offer, parts: list[Offer], parent: str
    ) -> ItemDesign:
        """Plan an item whose offering has several products inside it."""
        id, wanted = self._product_id(item), _ordered_values(item)
        order = self._item_context(item, wanted, None)
        tasks: list[Task] = []
        products: list[ProductPlan] = []
        services: list[ServicePlan] = []
        reasons: list[str] = []
        for number, part in enumerate(parts, 1):
            inner = self._bundled_product_id(id, number)
            try:
                chosen = part.product_characteristics(wanted, {})
                drawn = decompose_product(order, inner, _decomposition(part), chosen, None)
            except DecompositionFailed as fault:
                reasons += fault.reasons
                continue
            tasks += _tasks_numbered_from(drawn.tasks, item["id"], len(tasks))
            services += drawn.services
            held = tuple(one.id for one in drawn.services)
            products.append(
                ProductPlan(inner, part.name, part.id, part.specification, chosen, held, parent=id)
            )
        if reasons:
            raise DecompositionFailed(reasons)
        top = self._product_plan(id, offer, wanted, "active", parent)
        plan = ItemPlan(
            item["id"], "add", "new", top, tuple(services), tuple(task.id for task in tasks),
            tuple(products),
        )  # fmt: skip
        return self._item_design(plan, tuple(tasks), parts)

    def _bundled_product_id(self, product: str, number: int) -> str:
        name = f"{product}-{number}"
        taken = {new_product_id(self.key, item) for item in self.item_ids}
        return element_safe_id(self.key, f"{name}/" if name in taken else name)

    def _design_cease(self, item: Resource, installed_product: InstalledProduct) -> ItemDesign:
        id = self._product_id(item)
        tasks = cease_tasks(self._item_context(item, {}, None), id, installed_product.services)
        products = [
            ProductPlan(one, characteristics=dict(installed_product.characteristics) if one == id else {},
                        offering=installed_product.offering if one == id else "", status="terminated",
                        parent="" if one == id else id)
            for one in (id, *installed_product.bundled_products)
        ]  # fmt: skip
        plan = ItemPlan(
            item["id"], "delete", "cease", products[0], (), tuple(t.id for t in tasks),
            tuple(products[1:]),
        )  # fmt: skip
        return ItemDesign(plan, tasks)

    def _design_modify(self, item: Resource, installed_product: InstalledProduct) -> ItemDesign:
        named, wanted, status = (
            _reference_id(item.get("productOffering")),
            _ordered_values(item),
            _requested_enabled(item),
        )
        same = not named or named == installed_product.offering
        if (
            status is not None
            and same
            and not _has_changes(wanted, installed_product)
            and not _has_place(item)
        ):
            return self._design_suspend_or_resume(item, installed_product)
        offer = self._offer(named or installed_product.offering)
        parts = [] if offer.decomposition else self._network_offers(offer)
        if installed_product.bundled_products or len(parts) > 1:
            raise Unfulfillable(
                f"product {self._product_id(item)} is a bundle; modify the products inside it"
                f" ({', '.join(installed_product.bundled_products) or 'which are not known'})"
            )
        access = offer if offer.decomposition else next(iter(parts), None)
        if access is None:
            raise Unfulfillable(f"offering {offer.id} has nothing on the network to change to")
        return self._design_single(item, offer, access, "", installed_product)

    def _design_suspend_or_resume(
        self, item: Resource, installed_product: InstalledProduct
    ) -> ItemDesign:
        enabled = bool(_requested_enabled(item))
        id = self._product_id(item)
        tasks = suspend_or_resume_tasks(
            self._item_context(item, {}, enabled), id, installed_product.services
        )
        change = "none" if not tasks else "resume" if enabled else "suspend"
        product = ProductPlan(
            id, offering=installed_product.offering, characteristics=dict(installed_product.characteristics),
            status="active" if enabled else "suspended",
        )  # fmt: skip
        return ItemDesign(
            ItemPlan(item["id"], "modify", change, product, (), tuple(t.id for t in tasks)), tasks
        )

    def _item_context(
        self, item: Resource, identifiers: Mapping[str, Any], enabled: bool | None
    ) -> ItemContext:
        places = tuple(_place_ids(item.get("product") or {}))
        return ItemContext(self.key, item["id"], identifiers, places, enabled)

    def _product_plan(
        self, id: str, offer: Offer, characteristics: Mapping[str, Any], status: str, parent: str
    ) -> ProductPlan:
        return ProductPlan(
            id,
            offer.name,
            offer.id,
            offer.specification,
            characteristics,
            status=status,
            parent=parent,
        )

    def _item_design(
        self, plan: ItemPlan, tasks: tuple[Task, ...], offers: Iterable[Offer]
    ) -> ItemDesign:
        recipes = [_decomposition(offer) for offer in offers]
        provides = frozenset[str]().union(*(one.provided_specifications for one in recipes))
        return ItemDesign(
            plan,
            tasks,
            provides,
            frozenset[str]().union(*(r.required_specifications for r in recipes)),
        )


def _decomposition(offer: Offer) -> Any:  # noqa: ANN401
    return offer.decomposition


def _tasks_numbered_from(tasks: tuple[Task, ...], item: str, start: int) -> list[Task]:
    if not start:
        return list(tasks)
    names = {task.id: f"{item}#{start + number}" for number, task in enumerate(tasks, 1)}
    return [
        replace(task, id=names[task.id], depends_on=tuple(names[one] for one in task.depends_on))
        for task in tasks
    ]


def _change_type(
    design: ProductDesign, item: Mapping[str, Any], installed_product: InstalledProduct | None
) -> str:
    """Return in one word what a modify does."""
    if installed_product is None:
        return "new"
    if design.is_move:
        return "move"
    if not design.tasks:
        return "none"
    if _requested_enabled(item) is not None and not any(
        _rate_signs(*pair) for pair in design.setting_changes
    ):
        return "resume" if _requested_enabled(item) else "suspend"
    signs = {sign for pair in design.setting_changes for sign in _rate_signs(*pair)}
    if signs == {1}:
        return "upgrade"
    return "downgrade" if signs == {-1} else "change"


def _rate_signs(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[int]:
    """Return 1 for a rate that rises, -1 for one that falls; a rate of 0 is no limit."""
    pairs = [
        (before[name] or float("inf"), after[name] or float("inf"))
        for name in _RATES
        if name in before and name in after
    ]
    return {1 if new > old else -1 for old, new in pairs if new != old}


def _next_status(item: Mapping[str, Any], installed_product: InstalledProduct | None) -> str:
    if (status := _requested_enabled(item)) is not None and installed_product:
        return "active" if status else "suspended"
    return (installed_product.status if installed_product else "") or "active"


def _requested_enabled(item: Mapping[str, Any]) -> bool | None:
    """Return whether a modify switches on (True) or off (False); None: neither."""
    return _ENABLED_BY_STATUS.get(str((item.get("product") or {}).get("status")))


def _has_changes(ordered_values: Mapping[str, Any], installed_product: InstalledProduct) -> bool:
    return any(
        installed_product.characteristics.get(name) != value
        for name, value in ordered_values.items()
    )


def _has_place(item: Mapping[str, Any]) -> bool:
    return any(_place_ids(item.get("product") or {}))


def _ordered_values(item: Mapping[str, Any]) -> dict[str, Any]:
    return values_by_name((item.get("product") or {}).get("productCharacteristic"))


def _place_ids(product: Mapping[str, Any]) -> Iterable[str]:
    for one in json_objects(product.get("place")):
        if id := _reference_id(one.get("place")) or _reference_id(one):
            yield id


def _reference_id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
