"""What orders for products and orders for services call the same things."""

from dataclasses import dataclass

from tmf_apis.ordering import items
from tmf_apis.ordering.items import Items


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of order.

    Attributes:
        kind: The kind of the order.
        task: The kind of the task that cancels one.
        reference: The attribute of the task that names the order.
        items: What its items are called.
        milestones: The attribute that lists its milestones.
        ordered: The attribute with the date on which it was placed.
    """

    kind: str
    task: str
    reference: str
    items: Items
    milestones: str
    ordered: str


PRODUCT = Form(
    kind="ProductOrder",
    task="CancelProductOrder",
    reference="productOrder",
    items=items.PRODUCT,
    milestones="productOrderMilestone",
    ordered="creationDate",
)
SERVICE = Form(
    kind="ServiceOrder",
    task="CancelServiceOrder",
    reference="serviceOrder",
    items=items.SERVICE,
    milestones="milestone",
    ordered="orderDate",
)
