"""Orders for products and orders for services: in what their fulfilment differs, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.fulfilment.design import planning, servicing, shelves
from tmf_apis.fulfilment.execution.bookkeeping import Books, ServiceBooks
from tmf_apis.fulfilment.values import Design, OrderKey
from tmf_apis.ordering import actions, forms
from tmf_apis.ordering.actions import Cancelling
from tmf_apis.ordering.forms import Form
from tmf_apis.rest.law import Desk, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of order.

    Attributes:
        form: What its attributes are called.
        cancelling: How one is cancelled.
        plan: Returns what an order wants, as catalogue and inventory are now.
        as_products: Returns an order with its items as those of a product order.
        books: Writes what comes of it into the inventories.
    """

    form: Form
    cancelling: Cancelling
    plan: Callable[[Desk, OrderKey, Resource], Design]
    as_products: Callable[[Resource], Resource]
    books: type[Books]

    def ledger(self, desk: Desk, order: Resource) -> Books:
        """Return what the inventories are told of an order."""
        return self.books(desk, order, {one["id"]: one for one in self.form.of(order)})

    def changed(self, order: Mapping[str, Any]) -> set[str]:
        """Return the ids of the products or services that an order changes."""
        return {
            str(subject["id"])
            for item in self.form.of(order)
            if item.get("action") != "noChange"
            if isinstance(subject := item.get(self.form.subject), dict) and subject.get("id")
        }


def of(key: OrderKey) -> Kind:
    """Return the kind of an order."""
    return KINDS[key.kind]


def _products(desk: Desk, key: OrderKey, order: Resource) -> Design:
    return planning.plan(key, order, shelves.catalogue_of(desk, order))


def _services(desk: Desk, key: OrderKey, order: Resource) -> Design:
    return servicing.plan(key, order, shelves.services_of(desk, order))


def _as_it_is(order: Resource) -> Resource:
    return order


PRODUCT = Kind(
    form=forms.PRODUCT,
    cancelling=actions.PRODUCT,
    plan=_products,
    as_products=_as_it_is,
    books=Books,
)
SERVICE = Kind(
    form=forms.SERVICE,
    cancelling=actions.SERVICE,
    plan=_services,
    as_products=servicing.as_products,
    books=ServiceBooks,
)
#: By the kind of the order.
KINDS: Mapping[str, Kind] = {one.form.kind: one for one in (PRODUCT, SERVICE)}
#: By the kind of the request to cancel one.
CANCELLED_BY: Mapping[str, Kind] = {one.form.task: one for one in KINDS.values()}
