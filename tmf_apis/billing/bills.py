"""Compute a bill from the rates of one account."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tmf_apis.billing.charges import Total, charge_of, total
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.tmf_schema import json_number

#: Time from the date of a bill to its due date.
PAYMENT_TERM = timedelta(days=14)
_ID_SUFFIX = "-bill"


def bill_id(task_id: str) -> str:
    """Return the id of the bill of a task, so that repeated runs produce the same bill."""
    return f"{task_id}{_ID_SUFFIX}"


def bill_of(
    id: str, task: Resource, rates: Sequence[Resource], owners: Iterable[Resource], now: datetime
) -> Resource:
    """Return the bill for the rates of an account.

    Args:
        id: The id of the bill.
        task: The request for the bill.
        rates: The rates on the bill; at least one, all in the same currency.
        owners: The customers that have the account.
        now: The date of the bill, in UTC.
    """
    number = id.removesuffix(_ID_SUFFIX).replace("-", "")[-12:].upper()
    bill: Resource = {
        "@type": "CustomerBill",
        "id": id,
        "billNo": f"B{now:%Y%m%d}-{number}",
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
    """Return the attributes of a bill that are computed from its rates."""
    sums = total(charge_of(rate) for rate in rates)
    due = _money(sums.tax_included, sums.currency)
    computed: Resource = {
        "category": "creditNote" if sums.tax_included < 0 else "normal",
        "billingPeriod": billing_period(rates, bill["billDate"]),
        "taxExcludedAmount": _money(sums.tax_excluded, sums.currency),
        "taxIncludedAmount": due,
        "taxItem": [_tax_item(name, amount, sums.currency) for name, amount in sums.taxes],
        "amountDue": due,
        "remainingAmount": due,
    }
    document = _bill_document({**bill, **computed}, sums, len(rates))
    return {**computed, "billDocument": [document]}


def with_current_totals(bill: Resource, rates: Sequence[Resource]) -> Resource:
    """Return a bill with the totals of its rates; unchanged if it has them already."""
    computed = computed_attributes(bill, rates)
    totals = ("taxExcludedAmount", "taxIncludedAmount", "taxItem")
    if all(bill.get(name) == computed[name] for name in totals):
        return bill
    return {**bill, **computed}


def billing_period(rates: Iterable[Resource], bill_date: str) -> dict[str, str]:
    """Return the period that rates cover: from the earliest start to the latest end."""
    starts: list[str] = []
    ends: list[str] = []
    for rate in rates:
        period = rate.get("periodCoverage")
        period = period if isinstance(period, Mapping) else {}
        date = canonical_timestamp(rate.get("date"))
        starts += filter(None, [canonical_timestamp(period.get("startDateTime")) or date])
        ends += filter(None, [canonical_timestamp(period.get("endDateTime")) or date])
    start = min(starts, default=bill_date)
    return {"startDateTime": start, "endDateTime": max([*ends, start])}


def related_parties(task: Resource, owners: Iterable[Resource]) -> list[dict[str, Any]]:
    """Return the parties of a bill: the owners of the account, then the parties of the request."""
    parties: dict[str, dict[str, Any]] = {}
    for owner in owners:
        if isinstance(engaged := owner.get("engagedParty"), Mapping) and engaged.get("id"):
            parties[str(engaged["id"])] = {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": _reference(engaged, "PartyRef"),
            }
    related = task.get("relatedParty")
    if isinstance(related, dict):
        for party in party_ids(task):
            parties.setdefault(party, related)
    return list(parties.values())


def _reference(resource: Mapping[str, Any], type_: str) -> dict[str, Any]:
    names = ("id", "name", "@referredType")
    return {"@type": type_} | {name: resource[name] for name in names if name in resource}


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
    """Return the attachment of a bill with its plain-text document."""
    rows = [("Net", totals.tax_excluded)]
    rows += [
        (f"{category or 'Tax'} {'' if rate is None else f'{rate} %'}".strip(), amount)
        for (category, rate), amount in totals.taxes
    ]
    rows.append(("To pay", totals.tax_included))
    period = bill["billingPeriod"]
    lines = [
        f"Bill {bill['billNo']} of {bill['billDate'][:10]}",
        f"Account {bill['billingAccount'].get('id', '')}",
        f"{period['startDateTime'][:10]} to {period['endDateTime'][:10]}, {count} charges",
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
