"""Products and services of an order, written into their inventories; every deed safe to repeat."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution import inventory_records
from tmf_apis.fulfilment.execution.journal import ItemEntry, TaskEntry
from tmf_apis.fulfilment.values import Allocation, ItemPlan, ProductPlan, ServicePlan
from tmf_apis.inventory.characteristics import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

PRODUCT, SERVICE = "Product", "Service"
#: Final states of a product.
_FINAL_STATUSES = frozenset({"cancelled", "aborted", inventory_records.TERMINATED})


#: Gives a service what it has from what is ordered: parties, places, and who ordered it.
ServiceLink = Callable[[Resource], Resource]


class InventoryWriter:
    """What the inventories are told of one order: its products, and the services of these."""

    def __init__(
        self, repository: Repository, order: Mapping[str, Any], items: Mapping[str, Resource]
    ) -> None:
        """Take the order.

        Args:
            repository: Sees the whole tenant.
            order: The order.
            items: Its items by id.
        """
        self._repository = repository
        self._order = order
        self._items = items

    def record_previous_states(self, item: ItemEntry) -> bool:
        """Note in ``item.before`` what is there already; return whether that is news.

        What is noted must be kept before ``write_pending`` is called: afterwards it cannot be found out.
        """
        if (plan := item.plan) is None or plan.product is None or inventory_records.is_new(plan):
            return False
        before = dict(item.previous_states)
        if plan.change == "cease":
            self._record_product_status(item, plan.product)
        known = self._known_states(SERVICE, [one.id for one in plan.services])
        for one in plan.services:
            item.previous_states.setdefault(f"{SERVICE}:{one.id}", known.get(one.id, ""))
        return item.previous_states != before

    def write_pending(self, item: ItemEntry) -> None:
        """Write what an item is about to make or end."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        if plan.change == "cease":
            self._mark_terminating(product)
        elif inventory_records.is_new(plan):
            self._create_services(plan.services, self._create_pending_product(plan, product))
        elif new := [one for one in plan.services if self._is_new_service(item, one)]:
            self._create_services(new, self._service_link(plan, product))

    def _create_services(self, services: Iterable[ServicePlan], link: ServiceLink) -> None:
        new = [
            inventory_records.service({"id": one.id}, one, inventory_records.RESERVED)
            for one in services
        ]
        self._repository.create_many(SERVICE, [link(one) for one in new])

    def _create(self, kind: str, resource: Resource) -> None:
        with suppress(Conflict):  # made by an attempt that was cut short
            self._repository.create(kind, resource)

    @staticmethod
    def _is_new_service(item: ItemEntry, service: ServicePlan) -> bool:
        return item.previous_states.get(f"{SERVICE}:{service.id}") == ""

    def write_completed(self, item: ItemEntry, entries: Sequence[TaskEntry]) -> None:
        """Write what an item has made, changed or ended."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        taken = [one.allocation for one in entries if one.allocation]
        if plan.change == "cease":
            known = {*product.services, *(one.id for one in plan.services)}
            known |= self._terminate_product(plan, product) | _ceased_services(entries)
            self._terminate_services(known, self._order_link(plan, product))
            return
        enabled = product.status != "suspended"
        link, known = self._activate_product(plan, product, taken)
        serving = {}
        for one in plan.services:
            own = [t for t in taken if t.service in {one.id, *one.supporting_services}]
            serving[one.id] = partial(self._active_service, one, link, own, enabled)
        there = self._repository.change_many(SERVICE, serving) if serving else {}
        for id in serving.keys() - there.keys():
            self._upsert(SERVICE, id, serving[id])
        if not plan.services:
            known |= {id for one in entries for id in (one.task.service, one.task.cfs) if id}
            self._set_enabled(known, self._order_link(plan, product), enabled=enabled)
        self._terminate_services(_ceased_services(entries) - {one.id for one in plan.services})

    def _set_enabled(self, services: Iterable[str], link: ServiceLink, *, enabled: bool) -> None:
        """Suspend services, or let them go on, as they are."""
        now = self._repository.now
        self._change_services(
            services,
            lambda old: inventory_records.active_service(link(old), (), now, enabled=enabled),
        )

    def _active_service(
        self,
        plan: ServicePlan,
        link: ServiceLink,
        allocations: Sequence[Allocation],
        enabled: bool,  # noqa: FBT001
        old: Resource,
    ) -> Resource:
        new = link(inventory_records.service(old, plan, inventory_records.ACTIVE))
        return inventory_records.active_service(
            new, allocations, self._repository.now, enabled=enabled
        )

    def write_failed(self, item: ItemEntry, *, cancelled: bool) -> None:
        """Write that nothing came of an item; what was there before is as it was."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        if plan.change == "cease":
            self._restore_product(item, product)
        elif inventory_records.is_new(plan):
            self._abandon_product(product, "cancelled" if cancelled else "aborted")
            self._terminate_services({one.id for one in plan.services})
        else:
            self._terminate_services(
                {one.id for one in plan.services if self._is_new_service(item, one)}
            )

    def _record_product_status(self, item: ItemEntry, product: ProductPlan) -> None:
        """Note how a product is before it ends."""
        if found := self._find(PRODUCT, product.id):
            item.previous_states.setdefault(f"{PRODUCT}:{product.id}", str(found.get("status", "")))

    def _create_pending_product(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        """Write that a product is about to be; return what links services to it."""
        made = self._planned_product(
            {"id": product.id}, plan, product, inventory_records.PENDING_ACTIVE
        )
        self._create(PRODUCT, made)
        return partial(inventory_records.with_product, made)

    def _mark_terminating(self, product: ProductPlan) -> None:
        """Write that a product is about to end."""
        self._change_if_present(
            PRODUCT, product.id, lambda old: {**old, "status": inventory_records.PENDING_TERMINATE}
        )

    def _service_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:  # noqa: ARG002
        """Return what links services to a product as it is."""
        return partial(
            inventory_records.with_product, self._find(PRODUCT, product.id) or {"id": product.id}
        )

    def _order_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:  # noqa: ARG002
        """Return what says in services that stay as they are who has switched or ended them."""
        return _identity

    def _activate_product(
        self, plan: ItemPlan, product: ProductPlan, allocations: Sequence[Allocation]
    ) -> tuple[ServiceLink, set[str]]:
        """Write that a product is as ordered; return what links services, and those it has."""

        def run(old: Resource) -> Resource:
            new = self._planned_product(old, plan, product, product.status)
            return inventory_records.active_product(new, product, allocations, self._repository.now)

        made = self._upsert(PRODUCT, product.id, run)
        return partial(inventory_records.with_product, made), _realizing_services(made)

    def _terminate_product(self, plan: ItemPlan, product: ProductPlan) -> set[str]:
        """Write that a product is no more; return the services that it had."""

        def end(old: Resource) -> Resource:
            concerned = inventory_records.with_order_item(old, self._order, self._items[plan.item])
            return inventory_records.terminated_product(concerned, self._repository.now)

        return _realizing_services(self._change_if_present(PRODUCT, product.id, end))

    def _restore_product(self, item: ItemEntry, product: ProductPlan) -> None:
        """Write that a product is as before it was about to end."""
        if before := item.previous_states.get(f"{PRODUCT}:{product.id}"):
            self._change_if_present(PRODUCT, product.id, lambda old: _restored_product(old, before))

    def _abandon_product(self, product: ProductPlan, status: str) -> None:
        """Write that nothing came of a new product."""
        self._change_if_present(
            PRODUCT, product.id, partial(_abandoned_product, status, self._repository.now)
        )

    def _planned_product(
        self, old: Resource, plan: ItemPlan, product: ProductPlan, status: str
    ) -> Resource:
        return inventory_records.product(old, product, self._items[plan.item], self._order, status)

    def _terminate_services(self, services: Iterable[str], link: ServiceLink | None = None) -> None:
        now, linked = self._repository.now, link or _identity
        self._change_services(
            services, lambda old: inventory_records.terminated_service(linked(old), now)
        )

    def _change_services(
        self, services: Iterable[str], edit: Callable[[Resource], Resource]
    ) -> None:
        """Change services; those are left out that are not in the inventory."""
        if edits := dict.fromkeys(sorted(services), edit):
            self._repository.change_many(SERVICE, edits)

    def _known_states(self, kind: str, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = self._repository.find(kind, {"id": {"$in": sorted(ids)}}, limit=len(ids))
        return {one["id"]: str(one.get("state", "")) for one in found}

    def _find(self, kind: str, id: str) -> Resource | None:
        try:
            return self._repository.get(kind, id)
        except NotFound:
            return None

    def _change_if_present(
        self, kind: str, id: str, edit: Callable[[Resource], Resource]
    ) -> Resource:
        try:
            return self._repository.change(kind, id, edit)
        except NotFound:  # made before there was this inventory, or taken out of it meanwhile
            return {}

    def _upsert(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource, or make it where it is not there."""
        try:
            return self._repository.change(kind, id, edit)
        except NotFound:
            pass
        try:
            return self._repository.create(kind, edit({"id": id}))
        except Conflict:  # an attempt that was cut short, or another one of the same moment
            return self._repository.change(kind, id, edit)


class ServiceInventoryWriter(InventoryWriter):
    """What the inventory of services is told of an order for services; there are no products."""

    def _service_link(self, plan: ItemPlan, product: ProductPlan) -> ServiceLink:
        order, item = self._order, self._items[plan.item]
        return partial(inventory_records.with_service_order_item, order, item, product.id)

    _create_pending_product = _order_link = _service_link

    def _activate_product(
        self,
        plan: ItemPlan,
        product: ProductPlan,
        allocations: Sequence[Allocation],  # noqa: ARG002
    ) -> tuple[ServiceLink, set[str]]:
        return self._service_link(plan, product), set(product.services)

    def _terminate_product(self, plan: ItemPlan, product: ProductPlan) -> set[str]:  # noqa: ARG002
        return set(product.services)

    def _record_product_status(self, item: ItemEntry, product: ProductPlan) -> None:
        """Nothing: a service runs until it has ended."""

    def _mark_terminating(self, product: ProductPlan) -> None:
        """Nothing: a service runs until it has ended."""

    def _restore_product(self, item: ItemEntry, product: ProductPlan) -> None:
        """Nothing: it runs still."""

    def _abandon_product(self, product: ProductPlan, status: str) -> None:
        """Nothing: its services are stopped one by one."""


def _identity(service: Resource) -> Resource:
    return service


def _abandoned_product(status: str, now: datetime, product: Resource) -> Resource:
    """Return a product that never came to be, or only for a moment."""
    if product.get("status") == inventory_records.PENDING_ACTIVE:
        return {**product, "status": status}
    return (
        product
        if product.get("status") in _FINAL_STATUSES
        else inventory_records.terminated_product(product, now)
    )


def _restored_product(product: Resource, before: str) -> Resource:
    return (
        {**product, "status": before}
        if product.get("status") == inventory_records.PENDING_TERMINATE
        else product
    )


def _realizing_services(product: Resource) -> set[str]:
    """Return the services that a product names."""
    return {str(one["id"]) for one in json_objects(product.get("realizingService")) if "id" in one}


def _ceased_services(entries: Iterable[TaskEntry]) -> set[str]:
    """Return the services that are on no carrier any more."""
    gone = {one.task.service for one in entries if one.task.action == "cease"}
    return gone - {one.task.service for one in entries if one.task.action != "cease"}
