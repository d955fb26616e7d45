"""What orders for products and orders for services call the same things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.ordering import items
from tmf_apis.ordering.items import Items
from tmf_apis.rest.law import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of order.

    Attributes:
        kind: The kind of the order.
        task: The kind of the task that cancels one.
        reference: The attribute of the task that names the order.
        items: What its items are called.
        subject: The attribute of an item that has what is ordered.
        milestones: The attribute that lists its milestones.
        alerts: The attribute that lists its jeopardy alerts.
        errors: The attribute that says what went wrong: a list, or one message for all.
        ordered: The attribute with the date on which it was placed.
    """

    kind: str
    task: str
    reference: str
    items: Items
    subject: str
    milestones: str
    alerts: str
    errors: str
    ordered: str

    def of(self, order: Mapping[str, Any]) -> list[Resource]:
        """Return every item of an order, an item before those inside it."""
        return [item for _, item in self.items.of(order)]

    def changed(self, order: Resource, change: Callable[[Resource], Resource]) -> Resource:
        """Return an order with every item that has none inside it changed."""
        member = self.items.member

        def within(held: list[Resource]) -> list[Resource]:
            return [
                {**item, member: within(item[member])} if item.get(member) else change(item)
                for item in held
            ]

        return {**order, member: within(order.get(member) or [])}


PRODUCT = Form(
    kind="ProductOrder",
    task="CancelProductOrder",
    reference="productOrder",
    items=items.PRODUCT,
    subject="product",
    milestones="productOrderMilestone",
    alerts="productOrderJeopardyAlert",
    errors="productOrderErrorMessage",
    ordered="creationDate",
)
SERVICE = Form(
    kind="ServiceOrder",
    task="CancelServiceOrder",
    reference="serviceOrder",
    items=items.SERVICE,
    subject="service",
    milestones="milestone",
    alerts="jeopardyAlert",
    errors="errorMessage",
    ordered="orderDate",
)
#: Every kind of order.
FORMS: Mapping[str, Form] = {one.kind: one for one in (PRODUCT, SERVICE)}
