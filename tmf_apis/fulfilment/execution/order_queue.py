"""The order in which orders for the same products or services run: that of their arrival.

An order arrives when it is placed or, if that is later, at its requested start date. Events and
workflows have no order among several orders, so each order looks for earlier ones when it is taken
up: those that fulfilment has not dismissed and whose client may change the product.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.design.installed_base import read_part_ids
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.journal import Journal
from tmf_apis.fulfilment.order_rights import OrderRights, order_rights, owner_of_order
from tmf_apis.fulfilment.reservation import refusals
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import PRODUCT_ORDER_SCHEMA, OrderSchema
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: Most orders for the same products that are read.
_MAX_ORDERS = 1000


class OrderQueue:
    """Claims the products of an order when no earlier order for them is open."""

    def __init__(self, repositories: RepositoryFactory, journal: Journal, claims: Claims) -> None:
        self._repositories = repositories
        self._journal = journal
        self._claims = claims

    def enter(
        self, rights: OrderRights, key: OrderKey, order: Resource, products: set[str]
    ) -> tuple[OrderKey | None, tuple[OrderKey, ...]]:
        """Claim the products that an order changes, unless another order goes first.

        Args:
            rights: The rights of the order.
            key: The order.
            order: The order.
            products: Ids of what it changes.

        Returns:
            The order that goes first, which wakes this one when it is finished; None if all
            products are claimed. Then the orders that wait for claims that this one gives back.
        """
        woken: list[OrderKey] = []
        while earlier := self._earlier(rights, key, order, products):
            holder, product = earlier
            woken += self._claims.release(key, products)
            self._claims.enlist(key, holder, product)
            if not self.is_finished(holder):
                return holder, tuple(woken)
        return self._claims.acquire(key, products, self.is_finished), tuple(woken)

    def leave(self, key: OrderKey, products: Iterable[str]) -> tuple[OrderKey, ...]:
        """Give claims back; return the orders that wait for them."""
        return tuple(self._claims.release(key, products))

    def leave_deleted(self, key: OrderKey) -> tuple[OrderKey, ...]:
        """Give all claims of a deleted order back; return the orders that wait for them."""
        return tuple(self._claims.release_all(key))

    def is_finished(self, holder: OrderKey) -> bool:
        """Return whether an order has ended, or fulfilment does not work on it."""
        is_final = order_updates.is_final(self._journal.order_state(holder))
        return is_final or not self._journal.is_expected(holder)

    def changed_ids(self, rights: OrderRights, key: OrderKey, order: Resource) -> set[str]:
        """Return the ids of what an order changes, without what is somebody else's."""
        kind = order_kinds.kind_of(key)
        ids = kind.changed_ids(order)
        if rights.parties is not None:
            ids = rights.visible_ids(kind.subject_kind, ids)
        if ids and key.kind == PRODUCT_ORDER_SCHEMA.kind:
            return ids | read_part_ids(rights.orderer, ids)
        return ids

    def _earlier(
        self, rights: OrderRights, key: OrderKey, order: Resource, products: set[str]
    ) -> tuple[OrderKey, str] | None:
        """Return the first order for one of the products, and the product."""
        if not products:
            return None
        schema = order_kinds.kind_of(key).schema
        own_arrival = _arrival(order, schema)
        others = [
            (arrival, other)
            for other in self._waiting_orders(rights.operator, schema, products)
            if (arrival := _arrival(other, schema)) < own_arrival
            and arrival[0] <= rfc3339(rights.operator.now)
        ]
        for _, other in sorted(others, key=lambda pair: pair[0]):
            other_key = replace(key, order=other["id"])
            if self._journal.is_expected(other_key):
                for product in sorted(products & self._claimable_ids(other_key, other)):
                    return other_key, product
        return next(self._creating_orders(rights, key, products), None)

    @staticmethod
    def _waiting_orders(
        repository: Repository, schema: OrderSchema, products: set[str]
    ) -> list[Resource]:
        """Return the orders for some products that are not taken up yet."""
        ids = {"$in": sorted(products)}
        items, subject = schema.item_schema.items_attribute, schema.subject
        names = [f"{items}.{subject}.id", f"{items}.{items}.{subject}.id"]
        query = {"state": "acknowledged", "$or": [{name: ids} for name in names]}
        return repository.find(schema.kind, query, limit=_MAX_ORDERS)

    def _claimable_ids(self, key: OrderKey, order: Resource) -> set[str]:
        """Return the ids of what another order is going to claim."""
        owner = owner_of_order(self._repositories, key)
        return self.changed_ids(order_rights(self._repositories, key, owner), key, order)

    def _creating_orders(
        self, rights: OrderRights, key: OrderKey, products: set[str]
    ) -> Iterator[tuple[OrderKey, str]]:
        """Yield the orders that are about to provide some of the products."""
        if key.kind != PRODUCT_ORDER_SCHEMA.kind:
            return
        query = {"id": {"$in": sorted(products)}, "status": "pendingActive"}
        for product in rights.orderer.find("Product", query, limit=len(products)):
            for reference in json_objects(product.get("productOrderItem"))[-1:]:
                creator = replace(key, order=str(reference.get("productOrderId")))
                if creator != key and not self.is_finished(creator):
                    yield creator, product["id"]

    def warn(self, repository: Repository, key: OrderKey, holder: OrderKey) -> None:
        """Add an alert to an order that waits for another one, in place of an earlier such alert.

        The alert names the other order only if all readers of this order can read it.
        """
        readers = self._repositories.for_readers(key.tenant, key.kind, key.order)
        can_read = all(
            refusals.can_read_order(reader, holder.order, holder.kind) for reader in readers
        )
        other = f"order {holder.order}" if can_read else "another order"
        schema = order_kinds.kind_of(key).schema
        alert = (
            other,
            progress.WAITING_FOR_ORDER,
            f"{other} works on the same {schema.subject} and is processed first",
        )

        def with_alert(order: Resource) -> Resource:
            if order.get("state") not in order_updates.OPEN_STATES:
                return order
            if not progress.has_alert(order, other, schema=schema):
                order = progress.without_alerts(order, {progress.WAITING_FOR_ORDER}, schema=schema)
            return progress.with_alert(order, alert, repository.now, schema=schema)

        repository.change(key.kind, key.order, with_alert)


def _arrival(order: Mapping[str, object], schema: OrderSchema) -> tuple[str, str]:
    """Return the time from which an order may run, and its id; both sort by time."""
    dates = (order.get(schema.order_date), order.get("requestedStartDate"))
    return max(canonical_timestamp(date) or "" for date in dates), str(order["id"])
