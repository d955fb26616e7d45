"""Orders for products and orders for services: in what their fulfilment differs, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.fulfilment.design import service_order_planner
from tmf_apis.fulfilment.execution.inventory_writer import InventoryWriter, ServiceInventoryWriter
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering import actions, order_schema
from tmf_apis.ordering.actions import OrderCancellation
from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.rest.pipeline.policy import Repository, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKind:
    """One kind of order.

    Attributes:
        schema: What its attributes are called.
        cancellation: How one is cancelled.
        as_product_order: Returns an order with its items as those of a product order.
        inventory_writer_type: Writes what comes of it into the inventories.
    """

    schema: OrderSchema
    cancellation: OrderCancellation
    as_product_order: Callable[[Resource], Resource]
    inventory_writer_type: type[InventoryWriter]

    def inventory_writer(self, repository: Repository, order: Resource) -> InventoryWriter:
        """Return what the inventories are told of an order."""
        return self.inventory_writer_type(
            repository, order, {one["id"]: one for one in self.schema.all_items(order)}
        )

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
)
SERVICE_ORDER = OrderKind(
    schema=order_schema.SERVICE_ORDER_SCHEMA,
    cancellation=actions.SERVICE_ORDER_CANCELLATION,
    as_product_order=service_order_planner.as_product_order,
    inventory_writer_type=ServiceInventoryWriter,
)
#: By the kind of the order.
ORDER_KINDS: Mapping[str, OrderKind] = {
    one.schema.kind: one for one in (PRODUCT_ORDER, SERVICE_ORDER)
}
#: By the kind of the request to cancel one.
ORDER_KIND_BY_CANCEL_TASK: Mapping[str, OrderKind] = {
    one.schema.cancel_task_kind: one for one in ORDER_KINDS.values()
}
