"""A bill as it is made of the rates of one account; pure."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tmf_apis.billing.charges import Total, charge_of, total
from tmf_apis.rest.law import Resource, rfc3339
from tmf_apis.rest.owners import party_ids
from tmf_apis.rest.periods import moment
from tmf_apis.rest.values import number

#: From the date of a bill to the day it is due.
PAYMENT_TERM = timedelta(days=14)


def bill_id(task_id: str) -> str:
    """Return the id of the bill that a task makes: one task, one bill, however often it runs."""
    return f"{task_id}-bill"


def bill_of(
    task: Resource, rates: Sequence[Resource], owners: Iterable[Resource], now: datetime
) -> Resource:
    """Return the bill for an account's rates.

    Args:
        task: The request for it.
        rates: What it bills, at least one, all in one currency.
        owners: Customers whose account it is.
        now: The date of the bill, in UTC.
    """
    id = bill_id(task["id"])
    bill: Resource = {
        "@type": "CustomerBill",
        "id": id,
        "billNo": f"B{now:%Y%m%d}-{task['id'].replace('-', '')[-12:].upper()}",
        "billDate": rfc3339(now),
        "paymentDueDate": rfc3339(now + PAYMENT_TERM),
        "runType": "offCycle",
        "billingAccount": _reference(task["billingAccount"], "BillingAccountRef"),
        "relatedParty": related(task, owners),
        "state": "new",
    }
    if not bill["relatedParty"]:
        del bill["relatedParty"]
    return {**bill, **computed(bill, rates)}


def computed(bill: Resource, rates: Sequence[Resource]) -> Resource:
    """Return the attributes of a bill that follow from its rates."""
    sums = total(charge_of(rate) for rate in rates)
    due = _money(sums.included, sums.currency)
    made: Resource = {
        "category": "creditNote" if sums.included < 0 else "normal",
        "billingPeriod": period(rates, bill["billDate"]),
        "taxExcludedAmount": _money(sums.excluded, sums.currency),
        "taxIncludedAmount": due,
        "taxItem": [_tax_item(name, amount, sums.currency) for name, amount in sums.taxes],
        "amountDue": due,
        "remainingAmount": due,
    }
    return {**made, "billDocument": [_document({**bill, **made}, sums, len(rates))]}


def brought_up_to_date(bill: Resource, rates: Sequence[Resource]) -> Resource:
    """Return a bill that adds up to its rates; as it is where it does already."""
    made = computed(bill, rates)
    sums = ("taxExcludedAmount", "taxIncludedAmount", "taxItem")
    return bill if all(bill.get(name) == made[name] for name in sums) else {**bill, **made}


def period(rates: Iterable[Resource], bill_date: str) -> dict[str, str]:
    """Return the time that rates cover: from the first start to the last end."""
    starts: list[str] = []
    ends: list[str] = []
    for rate in rates:
        covered = rate.get("periodCoverage")
        covered = covered if isinstance(covered, Mapping) else {}
        date = moment(rate.get("date"))
        starts += filter(None, [moment(covered.get("startDateTime")) or date])
        ends += filter(None, [moment(covered.get("endDateTime")) or date])
    start = min(starts, default=bill_date)
    return {"startDateTime": start, "endDateTime": max([*ends, start])}


def related(task: Resource, owners: Iterable[Resource]) -> list[dict[str, Any]]:
    """Return the parties of a bill: the owners of the account, then whom the request names."""
    found: dict[str, dict[str, Any]] = {}
    for owner in owners:
        if isinstance(engaged := owner.get("engagedParty"), Mapping) and engaged.get("id"):
            found[str(engaged["id"])] = {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": _reference(engaged, "PartyRef"),
            }
    wanted = task.get("relatedParty")
    if isinstance(wanted, dict):
        for party in party_ids(task):
            found.setdefault(party, wanted)
    return list(found.values())


def _reference(whole: Mapping[str, Any], type_: str) -> dict[str, Any]:
    kept = {name: whole[name] for name in ("id", "name", "@referredType") if name in whole}
    return {"@type": type_, **kept}


def _money(amount: Decimal, currency: str) -> dict[str, Any]:
    value = {"value": number(amount)}
    return {"unit": currency, **value} if currency else value


def _tax_item(name: tuple[str, Decimal | None], amount: Decimal, currency: str) -> dict[str, Any]:
    category, rate = name
    item: dict[str, Any] = {"@type": "TaxItem", "taxAmount": _money(amount, currency)}
    if category:
        item["taxCategory"] = category
    if rate is not None:
        item["taxRate"] = number(rate)
    return item


def _document(bill: Resource, sums: Total, count: int) -> dict[str, Any]:
    """Return the bill as a page of plain text, attached to itself."""
    rows = [("Net", sums.excluded)]
    rows += [
        (f"{category or 'Tax'} {'' if rate is None else f'{rate} %'}".strip(), amount)
        for (category, rate), amount in sums.taxes
    ]
    rows.append(("To pay", sums.included))
    covered = bill["billingPeriod"]
    lines = [
        f"Bill {bill['billNo']} of {bill['billDate'][:10]}",
        f"Account {bill['billingAccount'].get('id', '')}",
        f"{covered['startDateTime'][:10]} to {covered['endDateTime'][:10]}, {count} charges",
        "",
        *(f"{label:<24}{amount:>16} {sums.currency}".rstrip() for label, amount in rows),
        "",
        f"Due {bill['paymentDueDate'][:10]}",
    ]
    text = "\n".join(lines) + "\n"
    return {
        "@type": "Attachment",
        "id": f"{bill['id']}-document",
        "name": f"{bill['billNo']}.txt",
        "attachmentType": "bill",
        "mimeType": "text/plain",
        "content": base64.b64encode(text.encode()).decode(),
    }
