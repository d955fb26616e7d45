"""The collections of bills, rates, bill cycles and requests for a bill, with their indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class CustomerBill(StoredResource):
    """A bill of a customer."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CustomerBill",
        "indexes": [
            body_index("billingAccount.id", "billDate"),
            body_index("state"),
            body_index("billDate"),
            body_index("paymentDueDate"),
            body_index("billNo"),
            body_index("category"),
            body_index("billCycle.id"),
            body_index("runType"),
            body_index("relatedParty.partyOrPartyRole.id"),
        ],
    }


class AppliedCustomerBillingRate(StoredResource):
    """A rated charge, not yet billed or on a bill."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "AppliedCustomerBillingRate",
        "indexes": [
            body_index("billingAccount.id", "isBilled"),
            body_index("bill.id"),
            body_index("isBilled"),
            body_index("date"),
            body_index("product.id"),
            body_index("appliedBillingRateType"),
        ],
    }


class BillCycle(StoredResource):
    """The dates on which bills are produced, sent and due."""

    meta: ClassVar[dict[str, Any]] = {"collection": "BillCycle", "indexes": [body_index("name")]}


class CustomerBillOnDemand(StoredResource):
    """A request for a bill outside the cycle."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CustomerBillOnDemand",
        "indexes": [
            body_index("state"),
            body_index("billingAccount.id"),
            body_index("customerBill.id"),
        ],
    }


MODELS: tuple[type[StoredResource], ...] = (
    CustomerBill,
    AppliedCustomerBillingRate,
    BillCycle,
    CustomerBillOnDemand,
)
