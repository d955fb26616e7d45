"""Products and services of an order, written into their inventories; every deed safe to repeat."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.execution import records
from tmf_apis.fulfilment.execution.journal import Entry, Item
from tmf_apis.fulfilment.values import ItemPlan, ProductPlan, ServicePlan, Taken
from tmf_apis.rest.law import Desk, Resource

PRODUCT, SERVICE = "Product", "Service"
#: Final states of a product.
_OVER = frozenset({"cancelled", "aborted", records.ENDED})


#: Gives a service what it has from what is ordered: parties, places, and who ordered it.
Link = Callable[[Resource], Resource]


class Books:
    """What the inventories are told of one order: its products, and the services of these."""

    def __init__(self, desk: Desk, order: Mapping[str, Any], items: Mapping[str, Resource]) -> None:
        """Take the order.

        Args:
            desk: Sees the whole tenant.
            order: The order.
            items: Its items by id.
        """
        self._desk = desk
        self._order = order
        self._items = items

    def look(self, item: Item) -> bool:
        """Note in ``item.before`` what is there already; return whether that is news.

        What is noted must be kept before ``begin`` is called: afterwards it cannot be found out.
        """
        if (plan := item.plan) is None or plan.product is None or records.is_new(plan):
            return False
        before = dict(item.before)
        if plan.change == "cease":
            self._note(item, plan.product)
        known = self._known(SERVICE, [one.id for one in plan.services])
        for one in plan.services:
            item.before.setdefault(f"{SERVICE}:{one.id}", known.get(one.id, ""))
        return item.before != before

    def begin(self, item: Item) -> None:
        """Write what an item is about to make or end."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        if plan.change == "cease":
            self._ending(product)
        elif records.is_new(plan):
            self._reserve(plan.services, self._pending(plan, product))
        elif new := [one for one in plan.services if self._was_not(item, one)]:
            self._reserve(new, self._link(plan, product))

    def _reserve(self, services: Iterable[ServicePlan], link: Link) -> None:
        new = [records.service({"id": one.id}, one, records.RESERVED) for one in services]
        self._desk.create_many(SERVICE, [link(one) for one in new])

    def _make(self, kind: str, resource: Resource) -> None:
        with suppress(Conflict):  # made by an attempt that was cut short
            self._desk.create(kind, resource)

    @staticmethod
    def _was_not(item: Item, service: ServicePlan) -> bool:
        return item.before.get(f"{SERVICE}:{service.id}") == ""

    def done(self, item: Item, entries: Sequence[Entry]) -> None:
        """Write what an item has made, changed or ended."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        taken = [one.taken for one in entries if one.taken]
        if plan.change == "cease":
            known = {*product.services, *(one.id for one in plan.services)}
            known |= self._ended(plan, product) | _ceased(entries)
            self._stop(known, self._signed(plan, product))
            return
        enabled = product.status != "suspended"
        link, known = self._running(plan, product, taken)
        serving = {}
        for one in plan.services:
            own = [t for t in taken if t.service in {one.id, *one.parts}]
            serving[one.id] = partial(self._serving, one, link, own, enabled)
        there = self._desk.change_many(SERVICE, serving) if serving else {}
        for id in serving.keys() - there.keys():
            self._put(SERVICE, id, serving[id])
        if not plan.services:
            known |= {id for one in entries for id in (one.task.service, one.task.cfs) if id}
            self._switch(known, self._signed(plan, product), enabled=enabled)
        self._stop(_ceased(entries) - {one.id for one in plan.services})

    def _switch(self, services: Iterable[str], link: Link, *, enabled: bool) -> None:
        """Suspend services, or let them go on, as they are."""
        now = self._desk.now
        self._change(services, lambda old: records.serving(link(old), (), now, enabled=enabled))

    def _serving(
        self,
        plan: ServicePlan,
        link: Link,
        taken: Sequence[Taken],
        enabled: bool,  # noqa: FBT001
        old: Resource,
    ) -> Resource:
        new = link(records.service(old, plan, records.ACTIVE))
        return records.serving(new, taken, self._desk.now, enabled=enabled)

    def failed(self, item: Item, *, cancelled: bool) -> None:
        """Write that nothing came of an item; what was there before is as it was."""
        if (plan := item.plan) is None or (product := plan.product) is None:
            return
        if plan.change == "cease":
            self._not_ended(item, product)
        elif records.is_new(plan):
            self._given_up(product, "cancelled" if cancelled else "aborted")
            self._stop({one.id for one in plan.services})
        else:
            self._stop({one.id for one in plan.services if self._was_not(item, one)})

    def _note(self, item: Item, product: ProductPlan) -> None:
        """Note how a product is before it ends."""
        if found := self._get(PRODUCT, product.id):
            item.before.setdefault(f"{PRODUCT}:{product.id}", str(found.get("status", "")))

    def _pending(self, plan: ItemPlan, product: ProductPlan) -> Link:
        """Write that a product is about to be; return what links services to it."""
        made = self._product({"id": product.id}, plan, product, records.PENDING)
        self._make(PRODUCT, made)
        return partial(records.service_of, made)

    def _ending(self, product: ProductPlan) -> None:
        """Write that a product is about to end."""
        self._edit(PRODUCT, product.id, lambda old: {**old, "status": records.ENDING})

    def _link(self, plan: ItemPlan, product: ProductPlan) -> Link:  # noqa: ARG002
        """Return what links services to a product as it is."""
        return partial(records.service_of, self._get(PRODUCT, product.id) or {"id": product.id})

    def _signed(self, plan: ItemPlan, product: ProductPlan) -> Link:  # noqa: ARG002
        """Return what says in services that stay as they are who has switched or ended them."""
        return _as_it_is

    def _running(
        self, plan: ItemPlan, product: ProductPlan, taken: Sequence[Taken]
    ) -> tuple[Link, set[str]]:
        """Write that a product is as ordered; return what links services, and those it has."""

        def run(old: Resource) -> Resource:
            new = self._product(old, plan, product, product.status)
            return records.running(new, product, taken, self._desk.now)

        made = self._put(PRODUCT, product.id, run)
        return partial(records.service_of, made), _realizing(made)

    def _ended(self, plan: ItemPlan, product: ProductPlan) -> set[str]:
        """Write that a product is no more; return the services that it had."""

        def end(old: Resource) -> Resource:
            concerned = records.concerned(old, self._order, self._items[plan.item])
            return records.ended(concerned, self._desk.now)

        return _realizing(self._edit(PRODUCT, product.id, end))

    def _not_ended(self, item: Item, product: ProductPlan) -> None:
        """Write that a product is as before it was about to end."""
        if before := item.before.get(f"{PRODUCT}:{product.id}"):
            self._edit(PRODUCT, product.id, lambda old: _back(old, before))

    def _given_up(self, product: ProductPlan, status: str) -> None:
        """Write that nothing came of a new product."""
        self._edit(PRODUCT, product.id, partial(_given_up, status, self._desk.now))

    def _product(
        self, old: Resource, plan: ItemPlan, product: ProductPlan, status: str
    ) -> Resource:
        return records.product(old, product, self._items[plan.item], self._order, status)

    def _stop(self, services: Iterable[str], link: Link | None = None) -> None:
        now, linked = self._desk.now, link or _as_it_is
        self._change(services, lambda old: records.stopped(linked(old), now))

    def _change(self, services: Iterable[str], edit: Callable[[Resource], Resource]) -> None:
        """Change services; those are left out that are not in the inventory."""
        if edits := dict.fromkeys(sorted(services), edit):
            self._desk.change_many(SERVICE, edits)

    def _known(self, kind: str, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = self._desk.find(kind, {"id": {"$in": sorted(ids)}}, limit=len(ids))
        return {one["id"]: str(one.get("state", "")) for one in found}

    def _get(self, kind: str, id: str) -> Resource | None:
        try:
            return self._desk.get(kind, id)
        except NotFound:
            return None

    def _edit(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        try:
            return self._desk.change(kind, id, edit)
        except NotFound:  # made before there was this inventory, or taken out of it meanwhile
            return {}

    def _put(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource, or make it where it is not there."""
        try:
            return self._desk.change(kind, id, edit)
        except NotFound:
            pass
        try:
            return self._desk.create(kind, edit({"id": id}))
        except Conflict:  # an attempt that was cut short, or another one of the same moment
            return self._desk.change(kind, id, edit)


class ServiceBooks(Books):
    """What the inventory of services is told of an order for services; there are no products."""

    def _link(self, plan: ItemPlan, product: ProductPlan) -> Link:
        order, item = self._order, self._items[plan.item]
        return partial(records.service_for, order, item, product.id)

    _pending = _signed = _link

    def _running(
        self,
        plan: ItemPlan,
        product: ProductPlan,
        taken: Sequence[Taken],  # noqa: ARG002
    ) -> tuple[Link, set[str]]:
        return self._link(plan, product), set(product.services)

    def _ended(self, plan: ItemPlan, product: ProductPlan) -> set[str]:  # noqa: ARG002
        return set(product.services)

    def _note(self, item: Item, product: ProductPlan) -> None:
        """Nothing: a service runs until it has ended."""

    def _ending(self, product: ProductPlan) -> None:
        """Nothing: a service runs until it has ended."""

    def _not_ended(self, item: Item, product: ProductPlan) -> None:
        """Nothing: it runs still."""

    def _given_up(self, product: ProductPlan, status: str) -> None:
        """Nothing: its services are stopped one by one."""


def _as_it_is(service: Resource) -> Resource:
    return service


def _given_up(status: str, now: datetime, product: Resource) -> Resource:
    """Return a product that never came to be, or only for a moment."""
    if product.get("status") == records.PENDING:
        return {**product, "status": status}
    return product if product.get("status") in _OVER else records.ended(product, now)


def _back(product: Resource, before: str) -> Resource:
    return {**product, "status": before} if product.get("status") == records.ENDING else product


def _realizing(product: Resource) -> set[str]:
    """Return the services that a product names."""
    return {str(one["id"]) for one in objects(product.get("realizingService")) if "id" in one}


def _ceased(entries: Iterable[Entry]) -> set[str]:
    """Return the services that are on no carrier any more."""
    gone = {one.task.service for one in entries if one.task.action == "cease"}
    return gone - {one.task.service for one in entries if one.task.action != "cease"}
