"""The demo operator's bills and what they are made of: TMF678 resources that add up."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tmf_apis.billing.charges import Charge, Total, total
from tmf_apis.demo.customers import Customer
from tmf_apis.demo.orders import Sale
from tmf_apis.demo.parts import CURRENCY, VAT, before, money, period, reference
from tmf_apis.rest.law import Resource, rfc3339

#: Months that are billed, the last one first.
MONTHS = 2
#: Of the customers that have products, every one whose number is a multiple of this is billed.
_EVERY = 2
_DAYS = 30


def cycles(now: datetime) -> Iterator[Resource]:
    """Yield the bill cycles: one for households, one for firms."""
    for id, name, day in (("consumer", "Households", 1), ("business", "Firms", 15)):
        due = now - timedelta(days=day)
        yield {
            "@type": "BillCycle",
            "id": f"cycle-{id}",
            "name": f"{name}, monthly",
            "description": f"{name} are billed once a month",
            "billingPeriod": "month",
            "billingDate": rfc3339(due),
            "chargeDate": rfc3339(due),
            "creditDate": rfc3339(due),
            "mailingDate": rfc3339(due + timedelta(days=2)),
            "paymentDueDate": rfc3339(due + timedelta(days=14)),
            "validFor": period(before(now, days=700)),
        }


def bills(sales: list[Sale], random: Random, now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield kind and resource: rates, bills, and requests for a bill."""
    by_customer: dict[int, list[Sale]] = {}
    for sale in sales:
        if sale.customer.number % _EVERY == 0:
            by_customer.setdefault(sale.customer.number, []).append(sale)
    for own in by_customer.values():
        for month in range(MONTHS, -1, -1):
            yield from _month(own, month, random, now)
    yield from _requests([own[0].customer for own in by_customer.values()], now)


def _month(
    own: list[Sale], month: int, random: Random, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield the rates of one customer in a month, and the bill of them; month 0 is not billed."""
    customer = own[0].customer
    id = f"bill-{customer.number:04}-{MONTHS + 1 - month}"
    running = [one for one in own if one.days > month * _DAYS]
    rates = list(_charges(running, month, random, now))
    billed = {"bill": _bill_ref(id), "isBilled": True} if month else {}
    for rate in rates:
        yield "AppliedCustomerBillingRate", rate | billed
    if month and rates:
        yield "CustomerBill", _bill(id, customer, month, total(map(_charge, rates)), now)


def _bill_ref(id: str) -> Resource:
    return reference("BillRef", id, id, "CustomerBill")


def _charges(sales: list[Sale], month: int, random: Random, now: datetime) -> Iterator[Resource]:
    """Yield the rates of one month, not billed yet; month 0 is the present one."""
    start, end = before(now, days=(month + 1) * _DAYS), before(now, days=month * _DAYS)
    for sale in sales:
        if sale.offer.monthly:
            net = Decimal(sale.offer.monthly)
            yield _rate(sale, month, "recurringCharge", net, start=start, end=end)
        if sale.offer.usage and random.random() < 0.6:  # noqa: PLR2004 - share with usage
            price, unit = sale.offer.usage
            units = random.randint(3, 240)
            made = _rate(sale, month, "usageCharge", Decimal(price) * units, start=start, end=end)
            yield made | {"description": f"{units} {unit}s at {price}"}


def _charge(rate: Resource) -> Charge:
    """Return a rate as numbers; as ``charge_of`` does for rates that anybody may have written."""
    net, tax = rate["taxExcludedAmount"]["value"], rate["appliedTax"][0]["taxAmount"]["value"]
    return Charge(CURRENCY, Decimal(str(net)), ((("VAT", VAT), Decimal(str(tax))),))


def _rate(  # noqa: PLR0913 - one call a kind of charge
    sale: Sale, month: int, kind: str, net: Decimal, *, start: str, end: str
) -> Resource:
    tax = net * VAT / 100
    return {
        "@type": "AppliedCustomerBillingRate",
        "id": f"rate-{sale.product}-{month}-{kind[:5]}",
        "name": f"{sale.offer.name}, {'usage' if kind.startswith('usage') else 'monthly charge'}",
        "description": sale.name,
        "appliedBillingRateType": kind,
        "date": end,
        "isBilled": False,
        "billingAccount": sale.customer.account,
        "product": reference("ProductRef", sale.product, sale.name, "Product"),
        "periodCoverage": period(start, end),
        "taxExcludedAmount": money(net),
        "taxIncludedAmount": money(net + tax),
        "appliedTax": [
            {
                "@type": "AppliedBillingTaxRate",
                "taxCategory": "VAT",
                "taxRate": float(VAT),
                "taxAmount": money(tax),
            }
        ],
    }


def _bill(id: str, customer: Customer, month: int, sum: Total, now: datetime) -> Resource:
    state = _state(customer, month)
    left = {"settled": Decimal(0), "partiallyPaid": sum.included / 2}.get(state, sum.included)
    left = left.quantize(Decimal("0.01"))
    issued = month * _DAYS - 2
    made: dict[str, Any] = {
        "@type": "CustomerBill",
        "id": id,
        "billNo": f"LN-{customer.number:04}-{MONTHS + 1 - month:03}",
        "category": "normal",
        "runType": "onCycle",
        "state": state,
        "billDate": before(now, days=issued),
        "nextBillDate": before(now, days=issued - _DAYS),
        "paymentDueDate": before(now, days=issued - 14),
        "lastUpdate": before(now, days=issued - 1),
        "billingPeriod": period(
            before(now, days=(month + 1) * _DAYS), before(now, days=month * _DAYS)
        ),
        "billingAccount": customer.account,
        "financialAccount": reference(
            "FinancialAccountRef", f"financial-{customer.number:04}", f"Ledger of {customer.name}",
            "FinancialAccount",
        ),
        "billCycle": reference(
            "BillCycleRef", f"cycle-{'business' if customer.business else 'consumer'}",
            "monthly", "BillCycle",
        ),
        "billDocument": [
            {
                "@type": "AttachmentRef",
                "@referredType": "Attachment",
                "id": f"document-{id}",
                "name": f"{id}.pdf",
                "description": "The bill as the customer gets it",
                "url": f"https://bills.example.net/{id}.pdf",
            }
        ],
        "paymentMethod": reference(
            "PaymentMethodRef", f"payment-method-{customer.number:04}", "Direct debit",
            "DirectDebit",
        ),
        "relatedParty": [customer.related],
        "taxExcludedAmount": money(sum.excluded),
        "taxIncludedAmount": money(sum.included),
        "taxItem": [
            {
                "@type": "TaxItem",
                "taxCategory": category,
                "taxRate": float(rate or 0),
                "taxAmount": money(amount),
            }
            for (category, rate), amount in sum.taxes
        ],
        "amountDue": money(sum.included),
        "remainingAmount": money(left),
    }  # fmt: skip
    if paid := sum.included - left:
        made["appliedPayment"] = [
            {
                "appliedAmount": money(paid),
                "payment": reference("PaymentRef", f"payment-{id}", f"Payment of {id}", "Payment"),
            }
        ]
    return made


def _state(customer: Customer, month: int) -> str:
    if month > 1:
        return "settled" if customer.status != "Suspended" else "sent"
    states = ("new", "onHold", "validated", "sent", "sent", "partiallyPaid", "settled", "settled")
    return states[customer.number // _EVERY % len(states)]


def _requests(buyers: list[Customer], now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield requests for a bill, in every state."""
    states = ("done", "done", "rejected", "terminatedWithError", "inProgress")
    for number, (customer, state) in enumerate(zip(buyers, states, strict=False), 1):
        made = {
            "@type": "CustomerBillOnDemand",
            "id": f"bill-on-demand-{number}",
            "name": f"Bill for {customer.name}",
            "description": "Asked for by telephone",
            "state": state,
            "lastUpdate": before(now, days=number),
            "billingAccount": customer.account,
            "relatedParty": customer.related,
        }
        if state == "done":
            made["customerBill"] = _bill_ref(f"bill-{customer.number:04}-{MONTHS}")
        yield "CustomerBillOnDemand", made
