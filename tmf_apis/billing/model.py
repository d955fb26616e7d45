"""How bills, rates, cycles and requests for a bill lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class CustomerBill(StoredResource):
    """A bill."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CustomerBill",
        "indexes": [
            body_index("billingAccount.id", "billDate"),
            body_index("state"),
            body_index("billDate"),
            body_index("paymentDueDate"),
            body_index("billNo"),
            body_index("category"),
            body_index("runType"),
            body_index("relatedParty.partyOrPartyRole.id"),
        ],
    }


class AppliedCustomerBillingRate(StoredResource):
    """A charge, rated and waiting for its bill, or on it."""

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
    """When bills are made, sent and due."""

    meta: ClassVar[dict[str, Any]] = {"collection": "BillCycle", "indexes": [body_index("name")]}


class CustomerBillOnDemand(StoredResource):
    """A request for a bill now."""

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
