"""Differences between product orders (TMF622) and service orders (TMF641), as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.ordering import items, states
from tmf_apis.ordering.items import OrderItemSchema
from tmf_apis.rest.pipeline.policy import Lifecycle, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSchema:
    """One kind of order: its attribute names, its lifecycle and what can be changed when.

    Attributes:
        kind: Kind of the order.
        lifecycle: Lifecycle of the order.
        cancel_task_kind: Kind of the task that cancels an order.
        cancel_task_lifecycle: Lifecycle of that task.
        order_reference: Attribute of the task that refers to the order.
        item_schema: Attribute names of the items.
        subject: Attribute of an item that holds the ordered product or service.
        requires_subject_id: An item that modifies or deletes must have the id of its subject.
        milestones: Attribute that lists the milestones.
        alerts: Attribute that lists the jeopardy alerts.
        errors: Attribute with the error messages: a list, or a single message.
        order_date: Attribute with the date on which the order was placed.
        start_date: Attribute with the date on which work began; empty: there is none.
        immutable_when_finished: Attributes that a client cannot change in a finished order.
        immutable_once_started: Attributes, besides the items, that a client cannot change once
            work has begun, because the inventories have them by then. Changes of other attributes
            are merged and reach the work in progress.
        mutable_item_attributes: Attributes of an item that a client can change once work has
            begun.
    """

    kind: str
    lifecycle: Lifecycle
    cancel_task_kind: str
    cancel_task_lifecycle: Lifecycle
    order_reference: str
    item_schema: OrderItemSchema
    subject: str
    requires_subject_id: bool = False
    milestones: str
    alerts: str
    errors: str
    order_date: str
    start_date: str = ""
    immutable_when_finished: tuple[str, ...]
    immutable_once_started: tuple[str, ...]
    mutable_item_attributes: tuple[str, ...]

    def state(self, order: Mapping[str, Any]) -> str:
        """Return the state of an order; the initial state if it has none."""
        return str(order.get("state", self.lifecycle.initial_states[0]))

    def all_items(self, order: Mapping[str, Any]) -> list[Resource]:
        """Return every item of an order, a bundle item before its parts."""
        return [item for _, item in self.item_schema.items_with_pointers(order)]

    def map_leaf_items(self, order: Resource, edit: Callable[[Resource], Resource]) -> Resource:
        """Return an order with every item edited that has no parts."""
        return self.item_schema.map_leaf_items(order, edit)


PRODUCT_ORDER_SCHEMA = OrderSchema(
    kind="ProductOrder",
    lifecycle=states.ORDER_LIFECYCLE,
    cancel_task_kind="CancelProductOrder",
    cancel_task_lifecycle=states.CANCEL_TASK_LIFECYCLE,
    order_reference="productOrder",
    item_schema=items.PRODUCT_ORDER_ITEMS,
    subject="product",
    milestones="productOrderMilestone",
    alerts="productOrderJeopardyAlert",
    errors="productOrderErrorMessage",
    order_date="creationDate",
    immutable_when_finished=(
        "productOrderItem",
        "requestedStartDate",
        "requestedCompletionDate",
        "expectedCompletionDate",
        "completionDate",
        "cancellationDate",
        "priority",
        "relatedParty",
        "billingAccount",
        "agreement",
        "orderTotalPrice",
        "payment",
        "quote",
    ),
    immutable_once_started=("requestedStartDate", "billingAccount", "agreement"),
    mutable_item_attributes=("note", "state"),
)
SERVICE_ORDER_SCHEMA = OrderSchema(
    kind="ServiceOrder",
    lifecycle=states.SERVICE_ORDER_LIFECYCLE,
    cancel_task_kind="CancelServiceOrder",
    cancel_task_lifecycle=states.CANCEL_SERVICE_TASK_LIFECYCLE,
    order_reference="serviceOrder",
    item_schema=items.SERVICE_ORDER_ITEMS,
    subject="service",
    requires_subject_id=True,
    milestones="milestone",
    alerts="jeopardyAlert",
    errors="errorMessage",
    order_date="orderDate",
    start_date="startDate",
    immutable_when_finished=(
        "serviceOrderItem",
        "requestedStartDate",
        "requestedCompletionDate",
        "priority",
        "expectedCompletionDate",
        "relatedParty",
        "orderRelationship",
    ),
    immutable_once_started=("requestedStartDate",),
    mutable_item_attributes=("state",),
)
#: Order schemas by kind of order.
ORDER_SCHEMAS: Mapping[str, OrderSchema] = {
    schema.kind: schema for schema in (PRODUCT_ORDER_SCHEMA, SERVICE_ORDER_SCHEMA)
}
