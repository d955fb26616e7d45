"""Planning one item of an order by itself: its products, services and tasks; pure."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design import order_items
from tmf_apis.fulfilment.design.bundle_design import BundleDesign
from tmf_apis.fulfilment.design.catalog import Catalog, InstalledProduct
from tmf_apis.fulfilment.design.change_type import change_type
from tmf_apis.fulfilment.design.characteristic_names import check_names
from tmf_apis.fulfilment.design.decomposition import Decomposition
from tmf_apis.fulfilment.design.offers import Offer, OfferCache, offering_label
from tmf_apis.fulfilment.design.product_design import (
    ItemContext,
    ProductDesign,
    cease_tasks,
    decompose_product,
    element_safe_id,
    new_product_id,
    suspend_or_resume_tasks,
)
from tmf_apis.fulfilment.design.references import reference_id
from tmf_apis.fulfilment.values import ItemPlan, OrderKey, ProductPlan, Task
from tmf_apis.rest.pipeline.policy import Resource

#: Largest number of products of a bundle.
_MAX_PARTS = 200
_OFFERING_ATTRIBUTE = {
    "ProductOrder": "offering (productOffering.id)",
    "ServiceOrder": "specification (service.serviceSpecification.id)",
}


@dataclass(slots=True)
class ItemDesign:
    """The design of an item by itself.

    Attributes:
        plan: The plan of the item.
        tasks: Its tasks, in order.
        provided_specifications: Ids of the service specifications that its products have.
        required_specifications: Ids of those that its products require and do not have.
    """

    plan: ItemPlan
    tasks: tuple[Task, ...] = ()
    provided_specifications: frozenset[str] = frozenset()
    required_specifications: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    """A product to be provided: its id, its offering and the id of the product around it."""

    id: str
    offer: Offer
    parent: str


@dataclass(slots=True)
class ItemPlanner:
    """Plans the items of one order.

    Attributes:
        key: Identifies the order.
        catalog: Offerings and products that the order refers to.
        offers: The compiled offers.
        item_ids: Ids of all items of the order.
    """

    key: OrderKey
    catalog: Catalog
    offers: OfferCache
    item_ids: set[str]
    _item_by_product: dict[str, str] = field(default_factory=dict)

    def design(self, item: Resource, parent_item: Resource | None) -> ItemDesign:
        """Return the design of an item.

        Args:
            item: The item.
            parent_item: The bundle item that it is a part of.

        Raises:
            Unfulfillable: The item cannot be fulfilled.
        """
        action = item.get("action", "add")
        if action == "noChange":
            return ItemDesign(ItemPlan(item["id"], action))
        parent = "" if parent_item is None else self._product_id(parent_item)
        if action == "add":
            return self._design_add(item, parent)
        product = reference_id(item.get("product"))
        installed = self.catalog.installed_base.get(product)
        if installed and order_items.is_leaf(item):
            return self._design_change(item, installed)
        return self._design_inventory_change(item, parent)

    def _design_change(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        """Design an item that modifies or ends a product in operation."""
        if installed.change_obstacle:
            raise Unfulfillable(installed.change_obstacle)
        for product in (self._product_id(item), *installed.bundled_products):
            self._reject_second_change(item["id"], product)
        if item["action"] == "delete":
            return self._design_cease(item, installed)
        return self._design_modify(item, installed)

    def _design_inventory_change(self, item: Resource, parent: str) -> ItemDesign:
        """Design an item that changes a product in the inventory only."""
        product = reference_id(item.get("product"))
        offer = self._offer(reference_id(item.get("productOffering")))
        if order_items.is_leaf(item) and (offer.decomposition or self._network_offers(offer)):
            raise Unfulfillable(
                f"no service {product or '(product.id is missing)'} is in operation"
            )
        status = "terminated" if item["action"] == "delete" else "active"
        plan = ItemPlan(
            item["id"],
            item["action"],
            product=_product_plan(product, offer, {}, status, parent) if product else None,
        )
        return ItemDesign(plan)

    def _reject_second_change(self, item: str, product: str) -> None:
        if (other := self._item_by_product.setdefault(product, item)) != item:
            raise Unfulfillable(f"item {other} changes {self._subject} {product} already")

    @property
    def _subject(self) -> str:
        return "service" if self.key.kind == "ServiceOrder" else "product"

    def _product_id(self, item: Mapping[str, Any]) -> str:
        return reference_id(item.get("product")) or new_product_id(self.key, item["id"])

    def _offer(self, id: str) -> Offer:
        if not id:
            raise Unfulfillable(f"the item names no {_OFFERING_ATTRIBUTE[self.key.kind]}")
        if self._subject == "service" and id not in self.catalog.offerings:
            raise Unfulfillable(f"service specification {id} is not fulfilled here")
        return self.offers.get(self.key.tenant, id, self.catalog)

    def _network_offers(self, offer: Offer) -> list[Offer]:
        """Return the offerings inside another that have services on the network."""
        bundled = [
            self._offer(id) for id in offer.bundled_offerings if id in self.catalog.offerings
        ]
        return [offer for offer in bundled if offer.decomposition]

    def _design_add(self, item: Resource, parent: str) -> ItemDesign:
        offer = self._offer(reference_id(item.get("productOffering")))
        id = self._product_id(item)
        self._reject_second_change(item["id"], id)
        if not order_items.is_leaf(item):
            return _design_inventory_addition(item, id, offer, parent)
        parts = self._parts(id, offer, parent)
        if any(part.offer.decomposition for part in parts) and (item.get("quantity") or 1) > 1:
            raise Unfulfillable(
                "an item orders one access; use several items to order several accesses"
            )
        if id in self.catalog.installed_base:
            raise Unfulfillable(
                f"{self._subject} {id} is in operation already; use the action modify"
            )
        if len(parts) > 1:
            return self._design_bundle(item, parts)
        if offer.decomposition:
            return self._design_single(item, offer, offer, parent, None)
        return _design_inventory_addition(item, id, offer, parent)

    def _parts(self, id: str, offer: Offer, parent: str) -> list[_Part]:
        """Return a product and the products inside it, each after the one that it is part of."""
        parts = [_Part(id, offer, parent)]
        for part in parts:  # grows
            bundled = [each for each in part.offer.bundled_offerings if each in self._offerings]
            if len(parts) + len(bundled) > _MAX_PARTS:
                raise Unfulfillable(f"offering {offer.id} consists of more than {_MAX_PARTS}")
            parts += [
                _Part(self._bundled_product_id(part.id, number), self._offer(each), part.id)
                for number, each in enumerate(bundled, 1)
            ]
        return parts

    @property
    def _offerings(self) -> Mapping[str, Resource]:
        return self.catalog.offerings

    def _design_single(
        self,
        item: Resource,
        offer: Offer,
        network_offer: Offer,
        parent: str,
        installed: InstalledProduct | None,
    ) -> ItemDesign:
        """Design an item with one product that has services on the network.

        Args:
            item: The item.
            offer: The ordered offering.
            network_offer: The offering with the services: the ordered one, or one inside it.
            parent: Id of the product that the product is a part of; empty: of none.
            installed: The product as it is in operation; None: it is new.
        """
        id, values = self._product_id(item), order_items.characteristic_values(item)
        current_values = installed.characteristics if installed else {}
        self._check_names(offer, values, current_values)
        characteristics = network_offer.product_characteristics(values, current_values)
        stale = self._stale_characteristics(installed, network_offer) - values.keys()
        kept_values = _without(current_values, stale | _resource_categories(installed))
        enabled = _desired_enabled(item, installed) if installed else None
        design = decompose_product(
            self._item_context(item, values, enabled=enabled),
            id,
            _decomposition(network_offer),
            characteristics,
            installed,
        )
        product = ProductPlan(
            id,
            offer.name,
            offer.id,
            network_offer.specification,
            {**kept_values, **values, **characteristics},
            tuple(service.id for service in design.services),
            _next_status(item, installed),
            parent,
            tuple(sorted(stale)),
        )
        plan = ItemPlan(
            item["id"],
            item.get("action", "add"),
            change_type(design, item) if installed else "new",
            product,
            design.services,
            tuple(task.id for task in design.tasks),
        )
        return _item_design(plan, design.tasks, [network_offer])

    def _stale_characteristics(
        self, installed: InstalledProduct | None, network_offer: Offer
    ) -> set[str]:
        """Return the characteristics of a product's specification that its next one has not."""
        if installed is None or not installed.specification:
            return set()
        if installed.specification == network_offer.specification:
            return set()
        names = self.catalog.characteristic_names(installed.specification)
        return names - network_offer.characteristics.keys()

    def _design_bundle(self, item: Resource, parts: list[_Part]) -> ItemDesign:
        """Design an item whose offering has other offerings inside it: each is a product."""
        values = order_items.characteristic_values(item)
        self._check_names(parts[0].offer, values, {})
        context = self._item_context(item, values)
        bundle = BundleDesign(item["id"])
        for part in parts:
            if part.offer.decomposition is None:
                known = values if part is parts[0] else _known_values(values, part.offer)
                bundle.add(_product_plan(part.id, part.offer, known, "active", part.parent))
                continue
            with bundle.collecting_reasons():
                characteristics = part.offer.product_characteristics(values, {})
                design = decompose_product(
                    context, part.id, part.offer.decomposition, characteristics, None
                )
                product = _product_plan(part.id, part.offer, characteristics, "active", part.parent)
                bundle.add(product, design)
        plan, tasks = bundle.plan("add", "new")
        return _item_design(plan, tasks, [part.offer for part in parts if part.offer.decomposition])

    def _check_names(
        self, offer: Offer, values: Mapping[str, Any], current_values: Mapping[str, Any]
    ) -> None:
        """Refuse characteristics that neither the offering nor a part of it has."""
        known = [part.offer.orderable_names for part in self._parts("", offer, "")]
        label = offering_label(self.catalog, offer.id)
        check_names(label, values, known, current_values)

    def _bundled_product_id(self, product: str, number: int) -> str:
        name = f"{product}-{number}"
        reserved = {new_product_id(self.key, item) for item in self.item_ids}
        return element_safe_id(self.key, f"{name}/" if name in reserved else name)

    def _members(self, id: str, installed: InstalledProduct) -> list[tuple[str, InstalledProduct]]:
        """Return an installed product and those inside it."""
        parts = (
            (part, self.catalog.installed_base.get(part)) for part in installed.bundled_products
        )
        return [(id, installed), *((part, product) for part, product in parts if product)]

    def _design_cease(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        context, bundle = self._item_context(item), BundleDesign(item["id"])
        for id, member in self._members(self._product_id(item), installed):
            tasks = cease_tasks(context, id, member.services)
            bundle.add(_installed_plan(id, member, "terminated"), ProductDesign(tasks=tasks))
        plan, all_tasks = bundle.plan("delete", "cease")
        return ItemDesign(plan, all_tasks)

    def _design_modify(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        offering = reference_id(item.get("productOffering")) or installed.offering
        if offering == installed.offering and _only_switches(item, installed):
            return self._design_suspend_or_resume(item, installed)
        offer = self._offer(offering)
        if installed.bundled_products:
            return self._design_bundle_modify(item, offer, installed)
        bundled = [] if offer.decomposition else self._network_offers(offer)
        if len(bundled) > 1:
            raise Unfulfillable(
                f"product {self._product_id(item)} is a bundle; end it, and order it again"
            )
        network_offer = offer if offer.decomposition else next(iter(bundled), None)
        if network_offer is None and not installed.services:
            return _design_inventory_modify(item, self._product_id(item), offer, installed)
        if network_offer is None:
            raise Unfulfillable(f"offering {offer.id} has nothing on the network to change to")
        return self._design_single(item, offer, network_offer, "", installed)

    def _design_bundle_modify(
        self, item: Resource, offer: Offer, installed: InstalledProduct
    ) -> ItemDesign:
        """Design an item that changes the products inside a bundle that have what it names."""
        id, values = self._product_id(item), order_items.characteristic_values(item)
        if offer.id != installed.offering:
            raise Unfulfillable(
                f"product {id} is a bundle; its offering cannot be changed: modify the products"
                f" inside it ({', '.join(installed.bundled_products)})"
            )
        self._check_names(offer, values, installed.characteristics)
        bundle, offers = BundleDesign(item["id"]), list[Offer]()
        enabled = order_items.requested_enabled(item)
        context = self._item_context(item, values, enabled=enabled)
        for member_id, member in self._members(id, installed):
            member_offer = self._offer(member.offering)
            known = values if member_id == id else _known_values(values, member_offer)
            status = _next_status(item, member)
            current = {**member.characteristics, **known}
            if member_offer.decomposition is None or not member.services:
                bundle.add(_product_plan(member_id, member_offer, current, status, ""))
                continue
            with bundle.collecting_reasons():
                characteristics = member_offer.product_characteristics(
                    known, member.characteristics
                )
                design = decompose_product(
                    context, member_id, member_offer.decomposition, characteristics, member
                )
                product = _product_plan(
                    member_id, member_offer, {**current, **characteristics}, status, ""
                )
                bundle.add(product, design)
                offers.append(member_offer)
        plan, tasks = bundle.plan("modify", "")
        change = change_type(bundle.combined_design, item)
        return _item_design(replace(plan, change=change), tasks, offers)

    def _design_suspend_or_resume(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        enabled, bundle = bool(order_items.requested_enabled(item)), BundleDesign(item["id"])
        context = self._item_context(item, enabled=enabled)
        for id, member in self._members(self._product_id(item), installed):
            tasks = suspend_or_resume_tasks(context, id, member.services)
            status = "active" if enabled else "suspended"
            bundle.add(_installed_plan(id, member, status), ProductDesign(tasks=tasks))
        change = ("resume" if enabled else "suspend") if bundle.has_tasks else "none"
        plan, all_tasks = bundle.plan("modify", change)
        return ItemDesign(plan, all_tasks)

    def _item_context(
        self,
        item: Resource,
        identifiers: Mapping[str, Any] | None = None,
        *,
        enabled: bool | None = None,
    ) -> ItemContext:
        places = order_items.place_ids(item)
        return ItemContext(self.key, item["id"], identifiers or {}, places, enabled)


def _design_inventory_addition(
    item: Resource, product: str, offer: Offer, parent: str
) -> ItemDesign:
    """Design an item that adds a product to the inventory only."""
    values = order_items.characteristic_values(item)
    plan = ItemPlan(
        item["id"], "add", "new", _product_plan(product, offer, values, "active", parent)
    )
    return ItemDesign(plan)


def _design_inventory_modify(
    item: Resource, product: str, offer: Offer, installed: InstalledProduct
) -> ItemDesign:
    """Design an item that changes a product without services on the network."""
    values = {**installed.characteristics, **order_items.characteristic_values(item)}
    plan = _product_plan(product, offer, values, _next_status(item, installed), "")
    return ItemDesign(ItemPlan(item["id"], "modify", "change", plan))


def _known_values(values: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in offer.orderable_names}


def _installed_plan(id: str, installed: InstalledProduct, status: str) -> ProductPlan:
    """Return the plan of a product that keeps its offering and characteristics."""
    return ProductPlan(
        id,
        offering=installed.offering,
        characteristics=dict(installed.characteristics),
        status=status,
    )


def _resource_categories(installed: InstalledProduct | None) -> set[str]:
    """Return the categories of the resources of a product, which are not chosen but allocated."""
    return {
        resource.category
        for service in (installed.services if installed else ())
        for resource in (service.carrier, *service.resources)
        if resource
    }


def _without(values: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _only_switches(item: Resource, installed: InstalledProduct) -> bool:
    """Return whether a modify suspends or resumes a product and changes nothing else."""
    has_other_values = any(
        installed.characteristics.get(name) != value
        for name, value in order_items.characteristic_values(item).items()
    )
    return (
        order_items.requested_enabled(item) is not None
        and not has_other_values
        and not order_items.place_ids(item)
    )


def _desired_enabled(item: Resource, installed: InstalledProduct) -> bool | None:
    """Return whether a change leaves a product enabled; None: as its characteristics say."""
    if (enabled := order_items.requested_enabled(item)) is not None:
        return enabled
    return False if installed.status == "suspended" else None


def _next_status(item: Mapping[str, Any], installed: InstalledProduct | None) -> str:
    """Return the status of a product after an item."""
    if installed is None:
        return "active"
    if (enabled := order_items.requested_enabled(item)) is not None:
        return "active" if enabled else "suspended"
    return installed.status or "active"


def _product_plan(
    id: str, offer: Offer, characteristics: Mapping[str, Any], status: str, parent: str
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


def _decomposition(offer: Offer) -> Decomposition:
    """Return the decomposition of an offer that has one."""
    if offer.decomposition is None:
        raise Unfulfillable(f"offering {offer.id} has nothing on the network")
    return offer.decomposition


def _item_design(
    plan: ItemPlan, tasks: tuple[Task, ...], network_offers: Iterable[Offer]
) -> ItemDesign:
    provided: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    for decomposition in map(_decomposition, network_offers):
        provided |= decomposition.provided_specifications
        required |= decomposition.required_specifications
    return ItemDesign(plan, tasks, provided, required)
