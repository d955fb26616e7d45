"""What orders for products and orders for services call the same things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.ordering import items
from tmf_apis.ordering.items import OrderItemSchema
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSchema:
    """One kind of order.

    Attributes:
        kind: The kind of the order.
        cancel_task_kind: The kind of the task that cancels one.
        order_reference: The attribute of the task that names the order.
        item_schema: What its items are called.
        subject: The attribute of an item that has what is ordered.
        milestones: The attribute that lists its milestones.
        alerts: The attribute that lists its jeopardy alerts.
        errors: The attribute that says what went wrong: a list, or one message for all.
        order_date: The attribute with the date on which it was placed.
    """

    kind: str
    cancel_task_kind: str
    order_reference: str
    item_schema: OrderItemSchema
    subject: str
    milestones: str
    alerts: str
    errors: str
    order_date: str

    def all_items(self, order: Mapping[str, Any]) -> list[Resource]:
        """Return every item of an order, an item before those inside it."""
        return [item for _, item in self.item_schema.items_with_pointers(order)]

    def map_leaf_items(self, order: Resource, edit: Callable[[Resource], Resource]) -> Resource:
        """Return an order with every item that has none inside it changed."""
        member = self.item_schema.items_attribute

        def within(held: list[Resource]) -> list[Resource]:
            return [
                {**item, member: within(item[member])} if item.get(member) else edit(item)
                for item in held
            ]

        return {**order, member: within(order.get(member) or [])}


PRODUCT_ORDER_SCHEMA = OrderSchema(
    kind="ProductOrder",
    cancel_task_kind="CancelProductOrder",
    order_reference="productOrder",
    item_schema=items.PRODUCT_ORDER_ITEMS,
    subject="product",
    milestones="productOrderMilestone",
    alerts="productOrderJeopardyAlert",
    errors="productOrderErrorMessage",
    order_date="creationDate",
)
SERVICE_ORDER_SCHEMA = OrderSchema(
    kind="ServiceOrder",
    cancel_task_kind="CancelServiceOrder",
    order_reference="serviceOrder",
    item_schema=items.SERVICE_ORDER_ITEMS,
    subject="service",
    milestones="milestone",
    alerts="jeopardyAlert",
    errors="errorMessage",
    order_date="orderDate",
)
#: Every kind of order.
ORDER_SCHEMAS: Mapping[str, OrderSchema] = {
    one.kind: one for one in (PRODUCT_ORDER_SCHEMA, SERVICE_ORDER_SCHEMA)
}
