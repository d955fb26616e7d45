"""The rules about what a party may name and set in orders and their cancellations."""

from tmf_apis.rest.pipeline.party_rules import Access, PartyRules, Setter, operator_decides

#: What an order changes, ends or uses has to belong to the party.
_OWNED = {
    "*.product": Access.OWN,
    "*.service": Access.OWN,
    "*.realizingService": Access.OWN,
    "*.realizingResource": Access.OWN,
    "*.supportingService": Access.OWN,
    "*.supportingResource": Access.OWN,
    "*.productRelationship": Access.OWN,
    "*.serviceRelationship": Access.OWN,
    "*.orderId": Access.OWN,
    "*.productOrderId": Access.OWN,
    "*.serviceOrderId": Access.OWN,
    "orderRelationship": Access.OWN,
}
#: A party holds, resumes and cancels an order; only the operator starts, rejects or ends it.
_PARTY_STATES = frozenset({"acknowledged", "pending", "held", "cancelled"})

PRODUCT_ORDER_RULES = PartyRules(
    references=_OWNED,
    setters=operator_decides(
        *("completionDate", "expectedCompletionDate", "cancellationDate", "orderTotalPrice"),
        *("productOrderErrorMessage", "productOrderJeopardyAlert", "productOrderMilestone"),
        *("productOrderItem.itemPrice", "productOrderItem.itemTotalPrice"),
        *("productOrderItem.state", "productOrderItem.product.productPrice"),
        *("productOrderItem.itemTerm", "productOrderItem.product.productTerm"),
        *("productOrderItem.product.startDate",),
        *("productOrderItem.product.terminationDate", "productOrderItem.product.orderDate"),
        *("productOrderItem.product.isCustomerVisible",),
        *("productOrderItem.product.productSerialNumber",),
        *("productOrderItem.product.realizingService",),
        *("productOrderItem.product.realizingResource",),
        *("productOrderItem.product.productOrderItem",),
    ),
    states=_PARTY_STATES,
    deleted_by=Setter.CREATOR,
)
SERVICE_ORDER_RULES = PartyRules(
    references=_OWNED,
    setters=operator_decides(
        *("completionDate", "expectedCompletionDate", "startDate"),
        *("errorMessage", "jeopardyAlert", "milestone", "serviceOrderItem.state"),
        *("serviceOrderItem.service.startDate", "serviceOrderItem.service.endDate"),
        *("serviceOrderItem.service.serviceDate", "serviceOrderItem.service.relatedEntity"),
        *("serviceOrderItem.service.serviceOrderItem",),
    ),
    states=_PARTY_STATES,
    deleted_by=Setter.CREATOR,
)
CANCELLATION_RULES = PartyRules(
    references={"productOrder": Access.OWN, "serviceOrder": Access.OWN},
    setters=operator_decides("state", "effectiveCancellationDate"),
)
