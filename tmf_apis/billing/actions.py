"""Produce a bill on demand from the unbilled rates of an account; each rate is billed once.

A run first claims each rate by writing a reference to the bill into it. It then computes the bill
from all rates that refer to it, and marks these rates as billed. A run that was interrupted, or
that ran twice at the same time, is completed by the next run: the id of the bill follows from the
id of the task, and the references on the rates decide what is on the bill.

The first unbilled rate of an account decides which of several tasks makes the bill: the task that
claims it. The others find its claim, help to make that bill and refer to it, so that tasks of the
same moment do not divide the rates among several bills.
"""

from collections.abc import Iterable

from tmf_apis.billing.bills import bill_id, bill_of, with_current_totals
from tmf_apis.billing.charges import Charge, charge_of
from tmf_apis.billing.rules import account_id
from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.rest.pipeline.batch_reader import iter_resources
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

TASK_KIND = "CustomerBillOnDemand"
BILL_KIND = "CustomerBill"
RATE_KIND = "AppliedCustomerBillingRate"
_ACCOUNT_ID_PATH = "billingAccount.id"


class Unbillable(Exception):
    """No bill can be produced; the task ends in ``state``."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state


def can_see_account(repository: Repository, account: str) -> bool:
    """Return whether a client may name a billing account: it is its own, or it can read it.

    It can read the account if it can read a customer, rate, bill or product of the account. The
    operator's staff may name every account.

    Args:
        repository: Sees what the client may.
        account: Id of the account.
    """
    parties = repository.context.parties
    if parties is None or account in parties:
        return True
    paths = (
        ("Customer", "account.id"),
        (RATE_KIND, _ACCOUNT_ID_PATH),
        (BILL_KIND, _ACCOUNT_ID_PATH),
        ("Product", _ACCOUNT_ID_PATH),
    )
    return any(repository.find(kind, {path: account}, limit=1) for kind, path in paths)


def produce_bill(repository: Repository, task: Resource) -> None:
    """Produce the bill that a task requests, unless the task has ended already."""
    current = repository.get(TASK_KIND, task["id"])
    if current.get("state") != "inProgress":
        return
    try:
        outcome: Resource = {"state": "done", "customerBill": _create_bill(repository, current)}
    except Unbillable as error:
        failure = {"@type": "TaskFailure", "reason": str(error)}
        outcome = {"state": error.state, "failure": [failure]}
    repository.change(TASK_KIND, task["id"], lambda stored: {**stored, **outcome})


def _create_bill(repository: Repository, task: Resource) -> dict[str, str]:
    account = account_id(task)
    if account is None:
        raise Unbillable("rejected", "billingAccount: expected the account to bill")
    id, claimed = _claim_rates(repository, bill_id(task["id"]), account)
    owners = repository.find("Customer", {"account.id": account}, limit=100)
    try:
        repository.create(BILL_KIND, bill_of(id, task, claimed, owners, repository.now))
    except Conflict:
        repository.change(
            BILL_KIND, id, lambda bill: with_current_totals(bill, _claimed_rates(repository, id))
        )
    for rate in claimed:
        repository.change(RATE_KIND, rate["id"], lambda stored: {**stored, "isBilled": True})
    return {"@type": "CustomerBillRef", "id": id, "@referredType": BILL_KIND}


def _claim_rates(repository: Repository, own_id: str, account: str) -> tuple[str, list[Resource]]:
    """Write the reference to the bill on every unbilled rate.

    Returns:
        The id of the bill, which is that of another task if that task has claimed the first
        unbilled rate, and all rates on the bill.
    """
    query = {_ACCOUNT_ID_PATH: account, "isBilled": {"$ne": True}}
    open_rates = list(iter_resources(repository, RATE_KIND, query))
    unbilled = [rate for rate in open_rates if not rate.get("bill")]
    id = own_id
    if not (claimed := _claimed_rates(repository, own_id)):
        id = _bill_in_progress(repository, open_rates)
        claimed = _claimed_rates(repository, id) if id else []
    currency = _currency(claimed or unbilled, account)
    for rate in unbilled:
        if _has_currency(rate, currency):
            id = _claim(repository, rate, id or own_id)
    claimed = _claimed_rates(repository, id)
    if not claimed:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    return id, claimed


def _bill_in_progress(repository: Repository, open_rates: Iterable[Resource]) -> str:
    """Return the id of the bill that claimed the first of the open rates; empty: none has.

    A bill that has left its initial state is not in progress; it does not change any more.
    """
    for rate in open_rates:
        id = (rate.get("bill") or {}).get("id")
        if not id:
            return ""
        bill = get_or_none(repository, BILL_KIND, id)
        if bill is None or bill.get("state") == "new":
            return str(id)
    return ""


def _claim(repository: Repository, rate: Resource, id: str) -> str:
    """Write a reference to a bill on a rate, unless it has one; return the id of its bill."""
    reference = {"@type": "CustomerBillRef", "id": id, "@referredType": BILL_KIND}

    def claim(rate: Resource) -> Resource:
        is_free = not rate.get("bill") and not rate.get("isBilled")
        return {**rate, "bill": reference} if is_free else rate

    stored = repository.change(RATE_KIND, rate["id"], claim)
    return str((stored.get("bill") or reference)["id"])


def _claimed_rates(repository: Repository, id: str) -> list[Resource]:
    return list(iter_resources(repository, RATE_KIND, {"bill.id": id}))


def _currency(rates: Iterable[Resource], account: str) -> str:
    """Return the common currency of the rates."""
    currencies = {_billable_charge(rate).currency for rate in rates}
    if not currencies:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    if len(currencies) > 1:
        names = ", ".join(sorted(name or "none" for name in currencies))
        reason = f"account {account} has unbilled rates in several currencies: {names}"
        raise Unbillable("terminatedWithError", reason)
    return currencies.pop()


def _has_currency(rate: Resource, currency: str) -> bool:
    try:
        return charge_of(rate).currency == currency
    except InvalidBody:  # added after others were claimed; those are billed without it
        return False


def _billable_charge(rate: Resource) -> Charge:
    try:
        return charge_of(rate)
    except InvalidBody as error:
        reason = f"rate {rate['id']} cannot be billed: {error.message}"
        raise Unbillable("terminatedWithError", reason) from error
