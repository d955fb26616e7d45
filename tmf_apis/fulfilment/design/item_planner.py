"""Planning one item of an order by itself: its products, services and tasks; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design import order_items
from tmf_apis.fulfilment.design.catalog import Catalog, InstalledProduct
from tmf_apis.fulfilment.design.change_type import change_type
from tmf_apis.fulfilment.design.characteristic_names import check_names
from tmf_apis.fulfilment.design.decomposition import Decomposition, DecompositionFailed
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
from tmf_apis.fulfilment.values import ItemPlan, OrderKey, ProductPlan, ServicePlan, Task
from tmf_apis.rest.pipeline.policy import Resource

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
        self._reject_second_change(item["id"], self._product_id(item))
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
        bundled = self._network_offers(offer)
        if (offer.decomposition or bundled) and (item.get("quantity") or 1) > 1:
            raise Unfulfillable(
                "an item orders one access; use several items to order several accesses"
            )
        if id in self.catalog.installed_base:
            raise Unfulfillable(
                f"{self._subject} {id} is in operation already; use the action modify"
            )
        if offer.decomposition:
            return self._design_single(item, offer, offer, parent, None)
        if len(bundled) == 1:
            return self._design_single(item, offer, bundled[0], parent, None)
        if bundled:
            return self._design_bundle(item, offer, bundled, parent)
        return _design_inventory_addition(item, id, offer, parent)

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
            {**current_values, **values, **characteristics},
            tuple(service.id for service in design.services),
            _next_status(item, installed),
            parent,
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

    def _design_bundle(
        self, item: Resource, offer: Offer, bundled: list[Offer], parent: str
    ) -> ItemDesign:
        """Design an item whose offering has several offerings with services inside it."""
        id, values = self._product_id(item), order_items.characteristic_values(item)
        self._check_names(offer, values, {})
        context = self._item_context(item, values)
        tasks: list[Task] = []
        products: list[ProductPlan] = []
        services: list[ServicePlan] = []
        reasons: list[str] = []
        for number, part in enumerate(bundled, 1):
            part_id = self._bundled_product_id(id, number)
            try:
                characteristics = part.product_characteristics(values, {})
                design = decompose_product(
                    context, part_id, _decomposition(part), characteristics, None
                )
            except DecompositionFailed as error:
                reasons += error.reasons
                continue
            tasks += _renumbered_tasks(design.tasks, item["id"], len(tasks))
            services += design.services
            products.append(_bundled_product_plan(part_id, part, characteristics, design, id))
        if reasons:
            raise DecompositionFailed(reasons)
        plan = ItemPlan(
            item["id"],
            "add",
            "new",
            _product_plan(id, offer, values, "active", parent),
            tuple(services),
            tuple(task.id for task in tasks),
            tuple(products),
        )
        return _item_design(plan, tuple(tasks), bundled)

    def _check_names(
        self, offer: Offer, values: Mapping[str, Any], current_values: Mapping[str, Any]
    ) -> None:
        """Refuse characteristics that neither the offering nor a part of it has."""
        bundled = [id for id in offer.bundled_offerings if id in self.catalog.offerings]
        known = [offer.orderable_names, *(self._offer(id).orderable_names for id in bundled)]
        label = offering_label(self.catalog, offer.id)
        check_names(label, values, known, current_values)

    def _bundled_product_id(self, product: str, number: int) -> str:
        name = f"{product}-{number}"
        reserved = {new_product_id(self.key, item) for item in self.item_ids}
        return element_safe_id(self.key, f"{name}/" if name in reserved else name)

    def _design_cease(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        id = self._product_id(item)
        tasks = cease_tasks(self._item_context(item), id, installed.services)
        product = ProductPlan(
            id,
            offering=installed.offering,
            characteristics=dict(installed.characteristics),
            status="terminated",
        )
        plan = ItemPlan(
            item["id"],
            "delete",
            "cease",
            product,
            tasks=tuple(task.id for task in tasks),
            bundled_products=tuple(
                ProductPlan(bundled, status="terminated", parent=id)
                for bundled in installed.bundled_products
            ),
        )
        return ItemDesign(plan, tasks)

    def _design_modify(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        offering = reference_id(item.get("productOffering")) or installed.offering
        if offering == installed.offering and _only_switches(item, installed):
            return self._design_suspend_or_resume(item, installed)
        offer = self._offer(offering)
        bundled = [] if offer.decomposition else self._network_offers(offer)
        if installed.bundled_products or len(bundled) > 1:
            raise Unfulfillable(
                f"product {self._product_id(item)} is a bundle; modify the products inside it"
                f" ({', '.join(installed.bundled_products) or 'unknown'})"
            )
        network_offer = offer if offer.decomposition else next(iter(bundled), None)
        if network_offer is None:
            raise Unfulfillable(f"offering {offer.id} has nothing on the network to change to")
        return self._design_single(item, offer, network_offer, "", installed)

    def _design_suspend_or_resume(self, item: Resource, installed: InstalledProduct) -> ItemDesign:
        enabled, id = bool(order_items.requested_enabled(item)), self._product_id(item)
        context = self._item_context(item, enabled=enabled)
        tasks = suspend_or_resume_tasks(context, id, installed.services)
        change = ("resume" if enabled else "suspend") if tasks else "none"
        product = ProductPlan(
            id,
            offering=installed.offering,
            characteristics=dict(installed.characteristics),
            status="active" if enabled else "suspended",
        )
        task_ids = tuple(task.id for task in tasks)
        return ItemDesign(ItemPlan(item["id"], "modify", change, product, (), task_ids), tasks)

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


def _bundled_product_plan(
    id: str,
    offer: Offer,
    characteristics: Mapping[str, Any],
    design: ProductDesign,
    parent: str,
) -> ProductPlan:
    services = tuple(service.id for service in design.services)
    return replace(_product_plan(id, offer, characteristics, "active", parent), services=services)


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


def _renumbered_tasks(tasks: tuple[Task, ...], item: str, offset: int) -> list[Task]:
    """Return tasks numbered from ``offset`` + 1 within their item."""
    if not offset:
        return list(tasks)
    ids = {task.id: f"{item}#{offset + number}" for number, task in enumerate(tasks, 1)}
    return [
        replace(task, id=ids[task.id], depends_on=tuple(ids[other] for other in task.depends_on))
        for task in tasks
    ]
