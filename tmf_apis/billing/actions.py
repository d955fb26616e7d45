"""A bill on demand: gathers an account's unbilled rates, at least once and never twice.

Each rate is claimed first by naming the bill on it, then the bill is computed from all that name
it, then the rates are marked billed. A run that is cut off anywhere, or runs twice at once,
is made good by the next: the bill's id follows from the task's, and what counts is who is named.
"""

from collections.abc import Iterable

from tmf_apis.billing.bills import bill_id, bill_of, with_current_totals
from tmf_apis.billing.charges import Charge, charge_of
from tmf_apis.billing.rules import account_id
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.pipeline.batch_reader import iter_resources
from tmf_apis.rest.pipeline.policy import Repository, Resource

TASK_KIND, BILL_KIND, RATE_KIND = (
    "CustomerBillOnDemand",
    "CustomerBill",
    "AppliedCustomerBillingRate",
)


class Unbillable(Exception):
    """There can be no bill; the task ends in ``state``."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state


def refuse_foreign_account(repository: Repository, task: Resource) -> Resource:
    """Refuse a party's request for a bill of an account that it has nothing to do with.

    Raises:
        NotFound: The client sees neither a customer, a rate nor a bill of the account (HTTP 404).
    """
    account, parties = account_id(task), repository.context.parties
    if account is None or parties is None or account in parties:
        return task
    for kind, path in (
        ("Customer", "account.id"),
        (RATE_KIND, _ACCOUNT_ID_PATH),
        (BILL_KIND, _ACCOUNT_ID_PATH),
    ):
        if repository.find(kind, {path: account}, limit=1):
            return task
    raise NotFound(f"there is no billing account {account}")


def produce_bill(repository: Repository, task: Resource) -> None:
    """Make the bill that a task asks for; once the task has ended, nothing happens any more."""
    current = repository.get(TASK_KIND, task["id"])
    if current.get("state") != "inProgress":
        return
    try:
        ended: Resource = {"state": "done", "customerBill": _create_bill(repository, current)}
    except Unbillable as error:
        failure = {"@type": "TaskFailure", "reason": str(error)}
        ended = {"state": error.state, "failure": [failure]}
    repository.change(TASK_KIND, task["id"], lambda stored: {**stored, **ended})


_ACCOUNT_ID_PATH = "billingAccount.id"


def _create_bill(repository: Repository, task: Resource) -> dict[str, str]:
    id = bill_id(task["id"])
    account = account_id(task)
    if account is None:
        raise Unbillable("rejected", "billingAccount: expected the account to bill")
    claimed = _claim_rates(repository, id, account)
    owners = repository.find("Customer", {"account.id": account}, limit=100)
    try:
        repository.create(BILL_KIND, bill_of(task, claimed, owners, repository.now))
    except Conflict:
        repository.change(
            BILL_KIND, id, lambda bill: with_current_totals(bill, _claimed_rates(repository, id))
        )
    for rate in claimed:
        repository.change(RATE_KIND, rate["id"], lambda stored: {**stored, "isBilled": True})
    return {"@type": "CustomerBillRef", "id": id, "@referredType": BILL_KIND}


def _claim_rates(repository: Repository, id: str, account: str) -> list[Resource]:
    """Put the bill's id on every unbilled rate of the account; return all that bear it."""
    query = {_ACCOUNT_ID_PATH: account, "isBilled": {"$ne": True}, "bill.id": {"$exists": False}}
    unbilled = list(iter_resources(repository, RATE_KIND, query))
    claimed = _claimed_rates(repository, id)
    currency = _currency(claimed or unbilled, account)
    reference = {"@type": "CustomerBillRef", "id": id, "@referredType": BILL_KIND}

    def claim(rate: Resource) -> Resource:
        free = not rate.get("bill") and not rate.get("isBilled")
        return {**rate, "bill": reference} if free else rate

    for rate in unbilled:
        if _has_currency(rate, currency):
            repository.change(RATE_KIND, rate["id"], claim)
    found = _claimed_rates(repository, id)
    if not found:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    return found


def _claimed_rates(repository: Repository, id: str) -> list[Resource]:
    return list(iter_resources(repository, RATE_KIND, {"bill.id": id}))


def _currency(rates: Iterable[Resource], account: str) -> str:
    """Return the one currency of the rates."""
    found = {_billable_charge(rate).currency for rate in rates}
    if not found:
        raise Unbillable("rejected", f"account {account} has no unbilled rates")
    if len(found) > 1:
        names = ", ".join(sorted(name or "none" for name in found))
        reason = f"account {account} has unbilled rates in several currencies: {names}"
        raise Unbillable("terminatedWithError", reason)
    return found.pop()


def _has_currency(rate: Resource, currency: str) -> bool:
    try:
        return charge_of(rate).currency == currency
    except InvalidBody:  # it came after others were claimed; they are billed without it
        return False


def _billable_charge(rate: Resource) -> Charge:
    try:
        return charge_of(rate)
    except InvalidBody as error:
        reason = f"rate {rate['id']} cannot be billed: {error.message}"
        raise Unbillable("terminatedWithError", reason) from error
