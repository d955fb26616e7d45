"""A bill on demand: gathers an account's unbilled rates, at least once and never twice.

Each rate is claimed first by naming the bill on it, then the bill is computed from all that name
it, then the rates are marked billed. A run that is cut off anywhere, or runs twice at once,
is made good by the next: the bill's id follows from the task's, and what counts is who is named.
"""

from collections.abc import Iterable

from tmf_apis.billing.bills import bill_id, bill_of, brought_up_to_date
from tmf_apis.billing.charges import Charge, charge_of
from tmf_apis.billing.rules import account_id
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.batches import every
from tmf_apis.rest.law import Desk, Resource

TASK, BILL, RATE = "CustomerBillOnDemand", "CustomerBill", "AppliedCustomerBillingRate"


class Unbillable(Exception):
    """There can be no bill; the task ends in ``state``."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state


def refuse_foreign(desk: Desk, task: Resource) -> Resource:
    """Refuse a party's request for a bill of an account that it has nothing to do with.

    Raises:
        NotFound: The client sees neither a customer, a rate nor a bill of the account (HTTP 404).
    """
    account, parties = account_id(task), desk.circumstances.parties
    if account is None or parties is None or account in parties:
        return task
    for kind, path in (("Customer", "account.id"), (RATE, _ACCOUNT), (BILL, _ACCOUNT)):
        if desk.find(kind, {path: account}, limit=1):
            return task
    raise NotFound(f"there is no billing account {account}")


def begin(desk: Desk, task: Resource) -> None:
    """Make the bill that a task asks for; once the task has ended, nothing happens any more."""
    current = desk.get(TASK, task["id"])
    if current.get("state") != "inProgress":
        return
    try:
        ended: Resource = {"state": "done", "customerBill": _bill(desk, current)}
    except Unbillable as error:
        failure = {"@type": "TaskFailure", "reason": str(error)}
        ended = {"state": error.state, "failure": [failure]}
    desk.change(TASK, task["id"], lambda stored: {**stored, **ended})


_ACCOUNT = "billingAccount.id"


def _bill(desk: Desk, task: Resource) -> dict[str, str]:
    id = bill_id(task["id"])
    account = account_id(task)
    if account is None:
        raise Unbillable("rejected", "billingAccount: expected the account to bill")
    claimed = _claim(desk, id, account)
    owners = desk.find("Customer", {"account.id": account}, limit=100)
    try:
        desk.create(BILL, bill_of(task, claimed, owners, desk.now))
    except Conflict:
        desk.change(BILL, id, lambda bill: brought_up_to_date(bill, _claimed(desk, id)))
    for rate in claimed:
        desk.change(RATE, rate["id"], lambda stored: {**stored, "isBilled": True})
    return {"@type": "CustomerBillRef", "id": id, "@referredType": BILL}


def _claim(desk: Desk, id: str, account: str) -> list[Resource]:
    """Put the bill's id on every unbilled rate of the account; return all that bear it."""
    query = {_ACCOUNT: account, "isBilled": {"$ne": True}, "bill.id": {"$exists": False}}
    unbilled = list(every(desk, RATE, query))
    claimed = _claimed(desk, id)
    currency = _currency(claimed or unbilled, account)
    reference = {"@type": "CustomerBillRef", "id": id, "@referredType": BILL}

    def claim(rate: Resource) -> Resource:
        free = not rate.get("bill") and not rate.get("isBilled")
        return {**rate, "bill": reference} if free else rate

    for rate in unbilled:
        if _bears(rate, currency):
            desk.change(RATE, rate["id"], claim)
    found = _claimed(desk, id)
    if not found:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    return found


def _claimed(desk: Desk, id: str) -> list[Resource]:
    return list(every(desk, RATE, {"bill.id": id}))


def _currency(rates: Iterable[Resource], account: str) -> str:
    """Return the one currency of the rates."""
    found = {_charge(rate).currency for rate in rates}
    if not found:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    if len(found) > 1:
        names = ", ".join(sorted(name or "none" for name in found))
        reason = f"account {account} has unbilled rates in several currencies: {names}"
        raise Unbillable("terminatedWithError", reason)
    return found.pop()


def _bears(rate: Resource, currency: str) -> bool:
    try:
        return charge_of(rate).currency == currency
    except InvalidBody:  # it came after others were claimed; they are billed without it
        return False


def _charge(rate: Resource) -> Charge:
    try:
        return charge_of(rate)
    except InvalidBody as error:
        reason = f"rate {rate['id']} cannot be billed: {error.message}"
        raise Unbillable("terminatedWithError", reason) from error
