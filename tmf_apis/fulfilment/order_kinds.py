"""Differences between the execution of product orders and service orders, as data."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.fulfilment.design import service_order_planner
from tmf_apis.fulfilment.execution.inventory_writer import InventoryWriter, ServiceInventoryWriter
from tmf_apis.fulfilment.order_parties import restricted_to_parties
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering import actions, order_schema, product_orders, service_orders
from tmf_apis.ordering.actions import OrderCancellation
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKind:
    """One kind of order.

    Attributes:
        schema: Its attribute names and lifecycle.
        cancellation: Cancels orders of this kind.
        as_product_order: Converts an order into the product order that is planned.
        inventory_writer_type: Writes the results of an order into the inventories.
        parties: Returns the ids of the parties that an order names.
    """

    schema: OrderSchema
    cancellation: OrderCancellation
    as_product_order: Callable[[Resource], Resource]
    inventory_writer_type: type[InventoryWriter]
    parties: Callable[[Resource], Iterable[str]]

    def has_party_readers(self, order: Resource, owner: frozenset[str] | None) -> bool:
        """Return whether a party can read an order, because it placed it or is named by it."""
        return owner is not None or any(True for _ in self.parties(order))

    @property
    def subject_kind(self) -> str:
        """The kind of what the items of an order change: Product or Service."""
        return self.schema.subject.capitalize()

    def inventory_writer(self, rights: OrderRights, order: Resource) -> InventoryWriter:
        """Return a writer of the results of an order into the inventories."""
        if rights.parties is not None:
            order = restricted_to_parties(order, rights.parties, self.schema)
        items = {item["id"]: item for item in self.schema.all_items(order)}
        return self.inventory_writer_type(rights, order, items)

    def changed_ids(self, order: Mapping[str, Any]) -> set[str]:
        """Return the ids of the products or services that an order changes."""
        return {
            str(subject["id"])
            for item in self.schema.all_items(order)
            if item.get("action") != "noChange"
            if isinstance(subject := item.get(self.schema.subject), dict) and subject.get("id")
        }


def kind_of(key: OrderKey) -> OrderKind:
    """Return the kind of an order."""
    return ORDER_KINDS[key.kind]


def _identity(order: Resource) -> Resource:
    return order


PRODUCT_ORDER = OrderKind(
    schema=order_schema.PRODUCT_ORDER_SCHEMA,
    cancellation=actions.PRODUCT_ORDER_CANCELLATION,
    as_product_order=_identity,
    inventory_writer_type=InventoryWriter,
    parties=product_orders.parties,
)
SERVICE_ORDER = OrderKind(
    schema=order_schema.SERVICE_ORDER_SCHEMA,
    cancellation=actions.SERVICE_ORDER_CANCELLATION,
    as_product_order=service_order_planner.as_product_order,
    inventory_writer_type=ServiceInventoryWriter,
    parties=service_orders.parties,
)
#: Kinds of order by their name.
ORDER_KINDS: Mapping[str, OrderKind] = {
    kind.schema.kind: kind for kind in (PRODUCT_ORDER, SERVICE_ORDER)
}
#: Kinds of order by the kind of the task that cancels such an order.
ORDER_KIND_BY_CANCEL_TASK: Mapping[str, OrderKind] = {
    kind.schema.cancel_task_kind: kind for kind in ORDER_KINDS.values()
}
