"""Bills of the demo operator and the rates that they add up (TMF678)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tmf_apis.billing.charges import Charge, Total, total
from tmf_apis.demo.builders import CURRENCY, VAT_PERCENT, money, period, reference, time_before
from tmf_apis.demo.customers import Customer
from tmf_apis.demo.orders import Sale
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Resource

#: Number of months that are billed.
BILLED_MONTHS = 2
#: Customers with products are billed if their number is a multiple of this.
_BILLED_CUSTOMER_STEP = 2
_DAYS_PER_MONTH = 30


def bill_cycles(now: datetime) -> Iterator[Resource]:
    """Yield the bill cycles: one for households, one for businesses."""
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
            "validFor": period(time_before(now, days=700)),
        }


def billing_resources(
    sales: list[Sale], random: Random, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield kind and body of rates, bills and bills on demand."""
    by_customer: dict[int, list[Sale]] = {}
    for sale in sales:
        if sale.customer.number % _BILLED_CUSTOMER_STEP == 0:
            by_customer.setdefault(sale.customer.number, []).append(sale)
    for customer_sales in by_customer.values():
        for month in range(BILLED_MONTHS, -1, -1):
            yield from _monthly_billing(customer_sales, month, random, now)
    yield from _bill_requests([sales[0].customer for sales in by_customer.values()], now)


def _monthly_billing(
    sales: list[Sale], month: int, random: Random, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield the rates of a customer in a month, and their bill; month 0 is not billed yet."""
    customer = sales[0].customer
    id = f"bill-{customer.number:04}-{BILLED_MONTHS + 1 - month}"
    billed_sales = [sale for sale in sales if sale.age_days > month * _DAYS_PER_MONTH]
    rates = list(_rates(billed_sales, month, random, now))
    billed = {"bill": _bill_ref(id), "isBilled": True} if month else {}
    for rate in rates:
        yield "AppliedCustomerBillingRate", rate | billed
    if month and rates:
        yield "CustomerBill", _bill(id, customer, month, total(map(_charge, rates)), now)


def _bill_ref(id: str) -> Resource:
    return reference("CustomerBillRef", id, id, "CustomerBill")


def _rates(sales: list[Sale], month: int, random: Random, now: datetime) -> Iterator[Resource]:
    """Yield the unbilled rates of a month; month 0 is the current one."""
    start, end = (
        time_before(now, days=(month + 1) * _DAYS_PER_MONTH),
        time_before(now, days=month * _DAYS_PER_MONTH),
    )
    for sale in sales:
        if sale.offer.monthly_price:
            net = Decimal(sale.offer.monthly_price)
            yield _rate(sale, month, "recurringCharge", net, start=start, end=end)
        if sale.offer.usage_price and random.random() < 0.6:  # noqa: PLR2004 - share with usage
            price, unit = sale.offer.usage_price
            units = random.randint(3, 240)
            rate = _rate(sale, month, "usageCharge", Decimal(price) * units, start=start, end=end)
            yield rate | {"description": f"{units} {unit}s at {price}"}


def _charge(rate: Resource) -> Charge:
    """Return the charge of a generated rate; unlike ``charge_of`` this does not validate it."""
    net, tax = rate["taxExcludedAmount"]["value"], rate["appliedTax"][0]["taxAmount"]["value"]
    return Charge(CURRENCY, Decimal(str(net)), ((("VAT", VAT_PERCENT), Decimal(str(tax))),))


def _rate(  # noqa: PLR0913 - the parts of a rate
    sale: Sale, month: int, kind: str, net_amount: Decimal, *, start: str, end: str
) -> Resource:
    tax = net_amount * VAT_PERCENT / 100
    return {
        "@type": "AppliedCustomerBillingRate",
        "id": f"rate-{sale.product_id}-{month}-{kind[:5]}",
        "name": f"{sale.offer.name}, {'usage' if kind.startswith('usage') else 'monthly charge'}",
        "description": sale.product_name,
        "appliedBillingRateType": kind,
        "date": end,
        "isBilled": False,
        "billingAccount": sale.customer.account_reference,
        "product": reference("ProductRef", sale.product_id, sale.product_name, "Product"),
        "periodCoverage": period(start, end),
        "taxExcludedAmount": money(net_amount),
        "taxIncludedAmount": money(net_amount + tax),
        "appliedTax": [
            {
                "@type": "AppliedBillingTaxRate",
                "taxCategory": "VAT",
                "taxRate": float(VAT_PERCENT),
                "taxAmount": money(tax),
            }
        ],
    }


def _bill(id: str, customer: Customer, month: int, totals: Total, now: datetime) -> Resource:
    state = _bill_state(customer, month)
    remaining = {"settled": Decimal(0), "partiallyPaid": totals.tax_included / 2}.get(
        state, totals.tax_included
    )
    remaining = remaining.quantize(Decimal("0.01"))
    issued = month * _DAYS_PER_MONTH - 2
    bill: dict[str, Any] = {
        "@type": "CustomerBill",
        "id": id,
        "billNo": f"LN-{customer.number:04}-{BILLED_MONTHS + 1 - month:03}",
        "category": "normal",
        "runType": "onCycle",
        "state": state,
        "billDate": time_before(now, days=issued),
        "nextBillDate": time_before(now, days=issued - _DAYS_PER_MONTH),
        "paymentDueDate": time_before(now, days=issued - 14),
        "lastUpdate": time_before(now, days=issued - 1),
        "billingPeriod": period(
            time_before(now, days=(month + 1) * _DAYS_PER_MONTH),
            time_before(now, days=month * _DAYS_PER_MONTH),
        ),
        "billingAccount": customer.account_reference,
        "financialAccount": reference(
            "FinancialAccountRef",
            f"financial-{customer.number:04}",
            f"Ledger of {customer.name}",
            "FinancialAccount",
        ),
        "billCycle": reference(
            "BillCycleRef",
            f"cycle-{'business' if customer.is_business else 'consumer'}",
            "monthly",
            "BillCycle",
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
            "PaymentMethodRef",
            f"payment-method-{customer.number:04}",
            "Direct debit",
            "DirectDebit",
        ),
        "relatedParty": [customer.related_party],
        "taxExcludedAmount": money(totals.tax_excluded),
        "taxIncludedAmount": money(totals.tax_included),
        "taxItem": [
            {
                "@type": "TaxItem",
                "taxCategory": category,
                "taxRate": float(rate or 0),
                "taxAmount": money(amount),
            }
            for (category, rate), amount in totals.taxes
        ],
        "amountDue": money(totals.tax_included),
        "remainingAmount": money(remaining),
    }
    if paid := totals.tax_included - remaining:
        bill["appliedPayment"] = [
            {
                "appliedAmount": money(paid),
                "payment": reference("PaymentRef", f"payment-{id}", f"Payment of {id}", "Payment"),
            }
        ]
    return bill


def _bill_state(customer: Customer, month: int) -> str:
    if month > 1:
        return "settled" if customer.status != "Suspended" else "sent"
    states = ("new", "onHold", "validated", "sent", "sent", "partiallyPaid", "settled", "settled")
    return states[customer.number // _BILLED_CUSTOMER_STEP % len(states)]


def _bill_requests(buyers: list[Customer], now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield bills on demand in every state."""
    states = ("done", "done", "rejected", "terminatedWithError", "inProgress")
    for number, (customer, state) in enumerate(zip(buyers, states, strict=False), 1):
        request = {
            "@type": "CustomerBillOnDemand",
            "id": f"bill-on-demand-{number}",
            "name": f"Bill for {customer.name}",
            "description": "Asked for by telephone",
            "state": state,
            "lastUpdate": time_before(now, days=number),
            "billingAccount": customer.account_reference,
            "relatedParty": customer.related_party,
        }
        if state == "done":
            request["customerBill"] = _bill_ref(f"bill-{customer.number:04}-{BILLED_MONTHS}")
        yield "CustomerBillOnDemand", request
