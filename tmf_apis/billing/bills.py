"""A bill as it is made of the rates of one account; pure."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tmf_apis.billing.charges import Total, charge_of, total
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Resource, rfc3339
from tmf_apis.rest.pipeline.tmf_schema import json_number

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
        "relatedParty": related_parties(task, owners),
        "state": "new",
    }
    if not bill["relatedParty"]:
        del bill["relatedParty"]
    return {**bill, **computed_attributes(bill, rates)}


def computed_attributes(bill: Resource, rates: Sequence[Resource]) -> Resource:
    """Return the attributes of a bill that follow from its rates."""
    sums = total(charge_of(rate) for rate in rates)
    due = _money(sums.tax_included, sums.currency)
    made: Resource = {
        "category": "creditNote" if sums.tax_included < 0 else "normal",
        "billingPeriod": billing_period(rates, bill["billDate"]),
        "taxExcludedAmount": _money(sums.tax_excluded, sums.currency),
        "taxIncludedAmount": due,
        "taxItem": [_tax_item(name, amount, sums.currency) for name, amount in sums.taxes],
        "amountDue": due,
        "remainingAmount": due,
    }
    return {**made, "billDocument": [_bill_document({**bill, **made}, sums, len(rates))]}


def with_current_totals(bill: Resource, rates: Sequence[Resource]) -> Resource:
    """Return a bill that adds up to its rates; as it is where it does already."""
    made = computed_attributes(bill, rates)
    sums = ("taxExcludedAmount", "taxIncludedAmount", "taxItem")
    return bill if all(bill.get(name) == made[name] for name in sums) else {**bill, **made}


def billing_period(rates: Iterable[Resource], bill_date: str) -> dict[str, str]:
    """Return the time that rates cover: from the first start to the last end."""
    starts: list[str] = []
    ends: list[str] = []
    for rate in rates:
        covered = rate.get("periodCoverage")
        covered = covered if isinstance(covered, Mapping) else {}
        date = canonical_timestamp(rate.get("date"))
        starts += filter(None, [canonical_timestamp(covered.get("startDateTime")) or date])
        ends += filter(None, [canonical_timestamp(covered.get("endDateTime")) or date])
    start = min(starts, default=bill_date)
    return {"startDateTime": start, "endDateTime": max([*ends, start])}


def related_parties(task: Resource, owners: Iterable[Resource]) -> list[dict[str, Any]]:
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


def _reference(resource: Mapping[str, Any], type_: str) -> dict[str, Any]:
    kept = {name: resource[name] for name in ("id", "name", "@referredType") if name in resource}
    return {"@type": type_, **kept}


def _money(amount: Decimal, currency: str) -> dict[str, Any]:
    value = {"value": json_number(amount)}
    return {"unit": currency, **value} if currency else value


def _tax_item(key: tuple[str, Decimal | None], amount: Decimal, currency: str) -> dict[str, Any]:
    category, rate = key
    item: dict[str, Any] = {"@type": "TaxItem", "taxAmount": _money(amount, currency)}
    if category:
        item["taxCategory"] = category
    if rate is not None:
        item["taxRate"] = json_number(rate)
    return item


def _bill_document(bill: Resource, totals: Total, count: int) -> dict[str, Any]:
    """Return the bill as a page of plain text, attached to itself."""
    rows = [("Net", totals.tax_excluded)]
    rows += [
        (f"{category or 'Tax'} {'' if rate is None else f'{rate} %'}".strip(), amount)
        for (category, rate), amount in totals.taxes
    ]
    rows.append(("To pay", totals.tax_included))
    covered = bill["billingPeriod"]
    lines = [
        f"Bill {bill['billNo']} of {bill['billDate'][:10]}",
        f"Account {bill['billingAccount'].get('id', '')}",
        f"{covered['startDateTime'][:10]} to {covered['endDateTime'][:10]}, {count} charges",
        "",
        *(f"{label:<24}{amount:>16} {totals.currency}".rstrip() for label, amount in rows),
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
