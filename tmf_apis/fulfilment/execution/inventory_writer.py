"""Writes the products and services of an order into the inventories; every write is idempotent."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution import inventory_records
from tmf_apis.fulfilment.execution.allocated_resources import AllocatedResources, PlannedResources
from tmf_apis.fulfilment.execution.journal import ItemEntry, TaskEntry
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.values import ItemPlan, ProductPlan, ServicePlan
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

log = logging.getLogger(__name__)

PRODUCT, SERVICE = "Product", "Service"
#: Final states of a product.
_FINAL_STATUSES = frozenset({"cancelled", "aborted", inventory_records.TERMINATED})

#: Adds to a service its parties, its places and a reference to its product or order.
ServiceLink = Callable[[Resource], Resource]


class InventoryWriter:
    """Writes the products of one order, and their services, into the inventories."""

    def __init__(
        self, rights: OrderRights, order: Mapping[str, Any], items: Mapping[str, Resource]
    ) -> None:
        """Store the order.

        Existing products are changed with the rights of the orderer. What the order itself has
        created or marked is created and restored with the rights of the operator.

        Args:
            rights: The rights of the order.
            order: The order; that of a party names the party only.
            items: The items of the order by id.
        """
        self._rights = rights
        self._repository = rights.operator
        self._order = order
        self._items = items
        #: Ids of the products inside a bundle that an item orders as a whole.
        self._part_ids: set[str] = set()

    def record_previous_states(self, item: ItemEntry) -> bool:
        """Record the present states of an item's product and services in its entry.

        The entry must be saved before ``write_pending`` overwrites the states.

        Returns:
            Whether the entry has changed.
        """
        if (plan := item.plan) is None or plan.product is None or inventory_records.is_new(plan):
            return False
        before = dict(item.previous_states)
        if plan.change == "cease":
            for product in (plan.product, *plan.bundled_products):
                self._record_product_status(item, product)
        states = self._known_states([service.id for service in plan.services])
        for service in plan.services:
            item.previous_states.setdefault(f"{SERVICE}:{service.id}", states.get(service.id, ""))
        return item.previous_states != before

    def write_pending(self, item: ItemEntry) -> None:
        """Write the product and services that an item is about to create or to end."""
        for plan, product in self._plans_of_products(item.plan):
            self._write_pending(item, plan, product)

    def _write_pending(self, item: ItemEntry, plan: ItemPlan, product: ProductPlan) -> None:
        if plan.change == "cease":
            self._mark_terminating(product)
        elif inventory_records.is_new(plan):
            self._create_services(plan.services, self._create_pending_product(plan, product))
        elif added := [new for new in plan.services if self._is_new_service(item, new)]:
            self._create_services(added, self._service_link(plan, product))

    def _plans_of_products(self, plan: ItemPlan | None) -> list[tuple[ItemPlan, ProductPlan]]:
        """Return a plan for each product of an item: its own and those inside a bundle."""
        if plan is None or plan.product is None:
            return []
        if not plan.bundled_products:
            return [(plan, plan.product)]
        self._part_ids |= {part.id for part in plan.bundled_products}
        owners = {id: part.id for part in plan.bundled_products for id in part.services}
        return [
            (
                replace(
                    plan,
                    product=product,
                    services=tuple(
                        service
                        for service in plan.services
                        if owners.get(service.id, plan.product.id) == product.id
                    ),
                    bundled_products=(),
                ),
                product,
            )
            for product in (plan.product, *plan.bundled_products)
        ]

    def _create_services(self, plans: Iterable[ServicePlan], link: ServiceLink) -> None:
        services = [
            inventory_records.service({"id": plan.id}, plan, inventory_records.RESERVED)
            for plan in plans
        ]
        self._repository.create_many(SERVICE, [link(service) for service in services])

    @staticmethod
    def _is_new_service(item: ItemEntry, service: ServicePlan) -> bool:
        return item.previous_states.get(f"{SERVICE}:{service.id}") == ""

    def write_completed(self, item: ItemEntry, entries: Sequence[TaskEntry]) -> None:
        """Write the product and services that an item has created, changed or ended."""
        plans = self._plans_of_products(item.plan)
        for plan, product in plans:
            own_entries = entries
            if len(plans) > 1:
                own_entries = [entry for entry in entries if entry.task.product == product.id]
            self._write_completed(plan, product, own_entries)

    def _write_completed(
        self, plan: ItemPlan, product: ProductPlan, entries: Sequence[TaskEntry]
    ) -> None:
        if plan.change == "cease":
            own = self._terminate_product(plan, product)
            services = {*product.services, *(service.id for service in plan.services)}
            services |= _ceased_services(entries)
            link = self._order_link(plan, product)
            self._terminate_services(services, link, self._rights.services)
            self._terminate_services(own - services, link, self._rights.orderer)
            return
        enabled = product.status != "suspended"
        resources = PlannedResources(plan, entries, self._other_services(plan, entries))
        if plan.services:
            previous = self._previous_services(product)
            self._terminate_services(
                previous - {service.id for service in plan.services}, None, self._rights.services
            )
        link, own = self._activate_product(plan, product, resources.of_product())
        self._activate_services(plan, link, resources, enabled=enabled)
        if not plan.services:
            services = {
                id for entry in entries for id in (entry.task.service, entry.task.cfs) if id
            }
            order_link = self._order_link(plan, product)
            self._set_enabled(services, order_link, self._rights.services, enabled=enabled)
            self._set_enabled(own - services, order_link, self._rights.orderer, enabled=enabled)
        planned_ids = {service.id for service in plan.services}
        ceased = _ceased_services(entries) - planned_ids
        self._terminate_services(ceased, None, self._rights.services)

    def _other_services(self, plan: ItemPlan, entries: Sequence[TaskEntry]) -> list[Resource]:
        """Return the resource facing services of a plan that its order leaves as they are."""
        ids = {service.id for service in plan.services if service.facing == "resource"}
        ids -= {entry.task.service for entry in entries}
        if not ids:
            return []
        query = {"id": {"$in": sorted(ids)}}
        return list(self._rights.services.find(SERVICE, query, limit=len(ids)))

    def _previous_services(self, product: ProductPlan) -> set[str]:
        """Return the ids of the services that a product has had so far."""
        return _realizing_services(get_or_none(self._rights.orderer, PRODUCT, product.id) or {})

    def _activate_services(
        self, plan: ItemPlan, link: ServiceLink, resources: PlannedResources, *, enabled: bool
    ) -> None:
        """Write the planned services as in operation, and create those that are missing."""
        edits = {}
        for service in plan.services:
            edits[service.id] = partial(
                self._active_service,
                resources.with_derived_values(service),
                link,
                resources.of_service(service),
                enabled,
            )
        changed = self._rights.services.change_many(SERVICE, edits) if edits else {}
        for id in edits.keys() - changed.keys():
            self._upsert(self._rights.services, SERVICE, id, edits[id])

    def _set_enabled(
        self, services: Iterable[str], link: ServiceLink, repository: Repository, *, enabled: bool
    ) -> None:
        """Suspend or resume services without other changes."""
        now = self._repository.now

        def edit(old: Resource) -> Resource:
            return inventory_records.active_service(
                link(old), AllocatedResources(), now, enabled=enabled
            )

        _change_services(repository, services, edit)

    def _active_service(
        self,
        plan: ServicePlan,
        link: ServiceLink,
        resources: AllocatedResources,
        enabled: bool,  # noqa: FBT001
        old: Resource,
    ) -> Resource:
        new = link(inventory_records.service(old, plan, inventory_records.ACTIVE))
        new = resources.with_values(new, "serviceCharacteristic", plan.characteristics)
        return inventory_records.active_service(
            new, resources, self._repository.now, enabled=enabled
        )

    def write_failed(self, item: ItemEntry, *, cancelled: bool) -> None:
        """Restore the previous product and services of an item that was compensated."""
        for plan, product in self._plans_of_products(item.plan):
            self._write_failed(item, plan, product, cancelled=cancelled)

    def _write_failed(
        self, item: ItemEntry, plan: ItemPlan, product: ProductPlan, *, cancelled: bool
    ) -> None:
        if plan.change == "cease":
            self._restore_product(item, product)
        elif inventory_records.is_new(plan):
            self._abandon_product(product, "cancelled" if cancelled else "aborted")
            self._terminate_services({service.id for service in plan.services})
        else:
            self._terminate_services(
                {service.id for service in plan.services if self._is_new_service(item, service)}
            )

    def _record_product_status(self, item: ItemEntry, product: ProductPlan) -> None:
        """Record the status of a product before it is terminated."""
        if old := get_or_none(self._repository, PRODUCT, product.id):
            item.previous_states.setdefault(f"{PRODUCT}:{product.id}", str(old.get("status", "")))

    def _create_pending_product(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        """Create a product that is pending; return the link for its services."""
        pending = self._planned_product(
            {"id": product.id}, plan, product, inventory_records.PENDING_ACTIVE
        )
        with suppress(Conflict):  # created by an interrupted attempt
            self._repository.create(PRODUCT, pending)
        return partial(inventory_records.with_product, pending)

    def _mark_terminating(self, product: ProductPlan) -> None:
        """Write that a product is about to be terminated."""
        _change_if_present(
            self._rights.orderer,
            PRODUCT,
            product.id,
            lambda old: {**old, "status": inventory_records.PENDING_TERMINATE},
        )

    def _service_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:  # noqa: ARG002
        """Return the link for new services of an existing product."""
        return partial(
            inventory_records.with_product,
            get_or_none(self._rights.orderer, PRODUCT, product.id) or {"id": product.id},
        )

    def _order_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:  # noqa: ARG002
        """Return the link for existing services that the order switches or ends."""
        return _identity

    def _activate_product(
        self, plan: ItemPlan, product: ProductPlan, resources: AllocatedResources
    ) -> tuple[ServiceLink, set[str]]:
        """Write a product as ordered; return the link for its services, and their ids."""

        def activate(old: Resource) -> Resource:
            new = self._planned_product(old, plan, product, product.status)
            return inventory_records.active_product(new, product, resources, self._repository.now)

        active = self._upsert(self._rights.orderer, PRODUCT, product.id, activate)
        return partial(inventory_records.with_product, active), _realizing_services(active)

    def _terminate_product(self, plan: ItemPlan, product: ProductPlan) -> set[str]:
        """Write a product as terminated; return the ids of its services."""

        def terminate(old: Resource) -> Resource:
            new = inventory_records.with_order_item(old, self._order, self._items[plan.item])
            return inventory_records.terminated_product(new, self._repository.now)

        terminated = _change_if_present(self._rights.orderer, PRODUCT, product.id, terminate)
        return _realizing_services(terminated)

    def _restore_product(self, item: ItemEntry, product: ProductPlan) -> None:
        """Restore the status that a product had before it was about to be terminated."""
        if status := item.previous_states.get(f"{PRODUCT}:{product.id}"):
            restore = partial(_restored_product, status)
            _change_if_present(self._repository, PRODUCT, product.id, restore)

    def _abandon_product(self, product: ProductPlan, status: str) -> None:
        """Write that a new product was not provided."""
        abandon = partial(_abandoned_product, status, self._repository.now)
        _change_if_present(self._repository, PRODUCT, product.id, abandon)

    def _planned_product(
        self, old: Resource, plan: ItemPlan, product: ProductPlan, status: str
    ) -> Resource:
        item = self._items[plan.item]
        if product.id in self._part_ids:
            item = inventory_records.item_of_part(item)
        new = inventory_records.product(old, product, item, self._order, status)
        return self._with_previous_parties(old, new)

    def _with_previous_parties(self, old: Resource, new: Resource) -> Resource:
        """Return a changed resource that belongs to whom it did: a party does not give it away."""
        if self._rights.parties is None or "relatedParty" not in old:
            return new
        return {**new, "relatedParty": old["relatedParty"]}

    def _terminate_services(
        self,
        services: Iterable[str],
        link: ServiceLink | None = None,
        repository: Repository | None = None,
    ) -> None:
        now, apply_link = self._repository.now, link or _identity

        def edit(old: Resource) -> Resource:
            return inventory_records.terminated_service(apply_link(old), now)

        _change_services(repository or self._repository, services, edit)

    def _known_states(self, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        services = self._repository.find(SERVICE, {"id": {"$in": sorted(ids)}}, limit=len(ids))
        return {service["id"]: str(service.get("state", "")) for service in services}

    def _upsert(
        self, repository: Repository, kind: str, id: str, edit: Callable[[Resource], Resource]
    ) -> Resource:
        """Change a resource, or create it if it does not exist.

        A resource that does not belong to the orderer any more stays as it is.
        """
        try:
            return repository.change(kind, id, edit)
        except NotFound:
            pass
        new = edit({"id": id})
        try:
            return self._repository.create(kind, new)
        except Conflict:  # created by an interrupted or a concurrent attempt
            if changed := _change_if_present(repository, kind, id, edit):
                return changed
        log.warning(
            "the result of an order is not written: its subject belongs to somebody else now",
            extra={"order": self._order["id"], "kind": kind, "resource": id},
        )
        return new


class ServiceInventoryWriter(InventoryWriter):
    """Writes the services of a service order into the inventory; there are no products."""

    def _create_pending_product(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        return self._with_order_item(plan, product)

    def _service_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        return self._with_order_item(plan, product)

    def _order_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        return self._with_order_item(plan, product)

    def _with_order_item(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        order, item = self._order, self._items[plan.item]

        def link(old: Resource) -> Resource:
            new = inventory_records.with_service_order_item(order, item, product.id, old)
            return self._with_previous_parties(old, new)

        return link

    def _previous_services(self, product: ProductPlan) -> set[str]:  # noqa: ARG002
        return set()

    def _activate_product(
        self,
        plan: ItemPlan,
        product: ProductPlan,
        resources: AllocatedResources,  # noqa: ARG002
    ) -> tuple[ServiceLink, set[str]]:
        return self._with_order_item(plan, product), set(product.services)

    def _terminate_product(self, plan: ItemPlan, product: ProductPlan) -> set[str]:  # noqa: ARG002
        return set(product.services)

    def _record_product_status(self, item: ItemEntry, product: ProductPlan) -> None:
        """Do nothing: a service stays in operation until it is terminated."""

    def _mark_terminating(self, product: ProductPlan) -> None:
        """Do nothing: a service stays in operation until it is terminated."""

    def _restore_product(self, item: ItemEntry, product: ProductPlan) -> None:
        """Do nothing: the service is still in operation."""

    def _abandon_product(self, product: ProductPlan, status: str) -> None:
        """Do nothing: the services are terminated one by one."""


def _change_services(
    repository: Repository, services: Iterable[str], edit: Callable[[Resource], Resource]
) -> None:
    """Change services; ids that the repository does not show are skipped."""
    if edits := dict.fromkeys(sorted(services), edit):
        repository.change_many(SERVICE, edits)


def _change_if_present(
    repository: Repository, kind: str, id: str, edit: Callable[[Resource], Resource]
) -> Resource:
    try:
        return repository.change(kind, id, edit)
    except NotFound:  # older than this inventory, somebody else's, or deleted meanwhile
        return {}


def _identity(service: Resource) -> Resource:
    return service


def _abandoned_product(status: str, now: datetime, product: Resource) -> Resource:
    """Return a product that was never provided, or terminated if it was active for a moment."""
    if product.get("status") == inventory_records.PENDING_ACTIVE:
        return {**product, "status": status}
    if product.get("status") in _FINAL_STATUSES:
        return product
    return inventory_records.terminated_product(product, now)


def _restored_product(status: str, product: Resource) -> Resource:
    if product.get("status") != inventory_records.PENDING_TERMINATE:
        return product
    return {**product, "status": status}


def _realizing_services(product: Resource) -> set[str]:
    """Return the ids of the services that a product names."""
    references = json_objects(product.get("realizingService"))
    return {str(reference["id"]) for reference in references if "id" in reference}


def _ceased_services(entries: Iterable[TaskEntry]) -> set[str]:
    """Return the ids of services that are ceased and not provided elsewhere."""
    ceased = {entry.task.service for entry in entries if entry.task.action == "cease"}
    return ceased - {entry.task.service for entry in entries if entry.task.action != "cease"}
