"""How bills, rates, cycles and requests for a bill lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


class CustomerBill(Stored):
    """A bill."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CustomerBill",
        "indexes": [
            by("billingAccount.id", "billDate"),
            by("state"),
            by("billDate"),
            by("paymentDueDate"),
            by("billNo"),
            by("category"),
            by("runType"),
            by("relatedParty.partyOrPartyRole.id"),
        ],
    }


class AppliedCustomerBillingRate(Stored):
    """A charge, rated and waiting for its bill, or on it."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "AppliedCustomerBillingRate",
        "indexes": [
            by("billingAccount.id", "isBilled"),
            by("bill.id"),
            by("isBilled"),
            by("date"),
            by("product.id"),
            by("appliedBillingRateType"),
        ],
    }


class BillCycle(Stored):
    """When bills are made, sent and due."""

    meta: ClassVar[dict[str, Any]] = {"collection": "BillCycle", "indexes": [by("name")]}


class CustomerBillOnDemand(Stored):
    """A request for a bill now."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CustomerBillOnDemand",
        "indexes": [by("state"), by("billingAccount.id"), by("customerBill.id")],
    }


MODELS: tuple[type[Stored], ...] = (
    CustomerBill,
    AppliedCustomerBillingRate,
    BillCycle,
    CustomerBillOnDemand,
)
