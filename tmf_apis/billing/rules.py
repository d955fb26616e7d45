"""Lifecycle and validation rules of bills, rates and requests for a bill.

Source: TMF678 v4.0.0 and v5.0.0: CustomerBillStateType (new: ready to be validated or sent;
validated: checked; sent: on its way to the customer; partiallyPaid and settled: payments have
arrived; onHold: nothing happens until open issues are solved), CustomerBillOnDemandStateType.
"""

from collections.abc import Iterable, Mapping

from tmf_apis.billing.charges import charge_of
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

BILL_LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={
        "new": frozenset({"onHold", "validated", "sent"}),
        "onHold": frozenset({"new", "validated", "sent", "partiallyPaid"}),
        "validated": frozenset({"onHold", "sent"}),
        "sent": frozenset({"onHold", "partiallyPaid", "settled"}),
        "partiallyPaid": frozenset({"onHold", "settled"}),
        "settled": frozenset(),
    },
    initial_states=("new",),
    source="TMF678 v5.0.0, CustomerBillStateType",
)

TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={
        "inProgress": frozenset(),
        "rejected": frozenset(),
        "done": frozenset(),
        "terminatedWithError": frozenset(),
    },
    initial_states=("inProgress",),
    system_transitions={"inProgress": frozenset({"rejected", "done", "terminatedWithError"})},
    source="TMF678 v5.0.0, CustomerBillOnDemandStateType",
    server_sets_initial=True,
)


#: Attributes of a bill that a client cannot set: all but its state and its cycle.
SERVER_OWNED = frozenset(
    {
        "amountDue",
        "appliedPayment",
        "billDate",
        "billDocument",
        "billNo",
        "billingAccount",
        "billingPeriod",
        "category",
        "financialAccount",
        "lastUpdate",
        "nextBillDate",
        "paymentDueDate",
        "paymentMethod",
        "relatedParty",
        "remainingAmount",
        "runType",
        "taxExcludedAmount",
        "taxIncludedAmount",
        "taxItem",
    }
)
_CLIENT_ATTRIBUTES = frozenset({"state", "billCycle", "@type", "@baseType", "@schemaLocation"})


def on_create_bill(bill: Resource, context: RequestContext) -> Resource:
    """Return a new bill with its dates."""
    now = context.timestamp
    return {"billDate": now, "lastUpdate": now, **bill}


def on_change_bill(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed bill; a bill that becomes settled has no remaining amount.

    Raises:
        InvalidBody: A client changes more than state and cycle (HTTP 400).
    """
    if not context.system:
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        for name in sorted(changed - _CLIENT_ATTRIBUTES):
            raise InvalidBody(f"/{name}: a bill cannot be changed; allowed: state, billCycle")
    becomes_settled = new.get("state") == "settled" != old.get("state")
    remaining = new.get("remainingAmount")
    if becomes_settled and isinstance(remaining, Mapping):
        new = {**new, "remainingAmount": {**remaining, "value": 0}}
    return {**new, "lastUpdate": context.timestamp}


def on_create_rate(rate: Resource, context: RequestContext) -> Resource:
    """Return a new rate; it counts as billed if it refers to a bill.

    Raises:
        InvalidBody: The rate has no amount, or amounts in several currencies (HTTP 400).
    """
    charge_of(rate)
    return {"date": context.timestamp, "isBilled": "bill" in rate, **rate}


def on_create_task(task: Resource, context: RequestContext) -> Resource:
    """Return a new request for a bill with its date."""
    return {**task, "lastUpdate": context.timestamp}


def on_change_task(old: Resource, new: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    """Return the changed request with the date of the change."""
    return {**new, "lastUpdate": context.timestamp}


def parties(resource: Resource) -> Iterable[str]:
    """Yield the parties of a resource: the related parties and the billing account."""
    yield from party_ids(resource)
    if account := account_id(resource):
        yield account


def account_id(resource: Mapping[str, object]) -> str | None:
    """Return the id of the billing account, or None if there is no account."""
    account = resource.get("billingAccount")
    id = account.get("id") if isinstance(account, Mapping) else None
    return id if isinstance(id, str) and id else None
