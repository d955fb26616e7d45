"""Sums of rates: exact decimals, rounded once, at the end.

Source: TMF678 v5.0.0, AppliedCustomerBillingRate and TaxItem (``taxRate`` in percent); ISO 4217
(decimals of a currency).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, ClassVar

from marshmallow import fields

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.tmf_schema import JsonDecimal, TmfSchema

_MINOR_UNITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
#: Currencies that do not have two decimals. Source: ISO 4217, minor unit.
CURRENCY_DECIMALS = {
    code: digits for digits, codes in _MINOR_UNITS.items() for code in codes.split()
}

#: Enough digits for the exact sum of any numbers in JSON (IEEE 754 doubles).
_EXACT_CONTEXT = Context(prec=800)
_PERCENT = Decimal(100)

#: Key of a tax: its category ("" if absent) and its rate in percent (None if absent).
TaxKey = tuple[str, Decimal | None]


class Money(TmfSchema):
    """An amount of money."""

    unit = fields.String(load_default="")
    value = JsonDecimal(required=True)


class Tax(TmfSchema):
    """A tax on a rate."""

    category = fields.String(data_key="taxCategory", load_default="")
    rate = JsonDecimal(data_key="taxRate", load_default=None, allow_none=True)
    amount = fields.Nested(Money, data_key="taxAmount", load_default=None, allow_none=True)


class Rate(TmfSchema):
    """The attributes of a rate that billing computes with."""

    subject: ClassVar[str] = "the rate"

    tax_excluded = fields.Nested(Money, data_key="taxExcludedAmount", load_default=None)
    tax_included = fields.Nested(Money, data_key="taxIncludedAmount", load_default=None)
    taxes = fields.List(fields.Nested(Tax), data_key="appliedTax", load_default=list)


RATE_SCHEMA = Rate()


@dataclass(frozen=True, slots=True)
class Charge:
    """The exact amounts of a rate.

    Attributes:
        currency: ISO 4217 code; "" if no amount has one.
        tax_excluded: The amount without tax.
        taxes: The amount of each tax.
    """

    currency: str
    tax_excluded: Decimal
    taxes: tuple[tuple[TaxKey, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of charges, rounded to the decimals of the currency; included = excluded + taxes."""

    currency: str
    tax_excluded: Decimal
    taxes: tuple[tuple[TaxKey, Decimal], ...]
    tax_included: Decimal


def charge_of(rate: Resource) -> Charge:
    """Return the amounts of a rate.

    A missing amount follows from the others. If the amount with tax disagrees with the amount
    without tax and the taxes, it is ignored.

    Raises:
        InvalidBody: There is no amount, or the amounts are in several currencies (HTTP 400).
    """
    loaded = RATE_SCHEMA.load({key: value for key, value in rate.items() if value is not None})
    excluded, included = _amount_of(loaded["tax_excluded"]), _amount_of(loaded["tax_included"])
    with localcontext(_EXACT_CONTEXT):
        if excluded is None and included is None:
            raise InvalidBody("/taxExcludedAmount: a rate has an amount with or without tax")
        if excluded is None:
            excluded = _net_amount(included or Decimal(0), loaded["taxes"])
        taxes = [(_tax_key(tax), _tax_amount(tax, excluded)) for tax in loaded["taxes"]]
        if not taxes and included is not None and included != excluded:
            taxes = [(("", None), included - excluded)]
    return Charge(_currency(loaded), excluded, tuple(taxes))


def total(charges: Iterable[Charge]) -> Total:
    """Return the sum of charges in one currency, rounded once, with halves away from zero.

    >>> tax = (("VAT", Decimal(20)), Decimal("0.201"))
    >>> total([Charge("EUR", Decimal("1.005"), (tax,))] * 2).tax_included
    Decimal('2.41')
    """
    currency, excluded = "", Decimal(0)
    taxes: dict[TaxKey, Decimal] = {}
    with localcontext(_EXACT_CONTEXT):
        for charge in charges:
            currency = currency or charge.currency
            excluded += charge.tax_excluded
            for name, amount in charge.taxes:
                taxes[name] = taxes.get(name, Decimal(0)) + amount
        ordered = sorted(taxes.items(), key=lambda tax: (tax[0][0], tax[0][1] or Decimal(-1)))
        rounded = tuple((name, _rounded_amount(amount, currency)) for name, amount in ordered)
        net = _rounded_amount(excluded, currency)
        return Total(currency, net, rounded, net + sum((tax for _, tax in rounded), Decimal(0)))


def _rounded_amount(amount: Decimal, currency: str) -> Decimal:
    step = Decimal(1).scaleb(-CURRENCY_DECIMALS.get(currency, 2))
    return amount.quantize(step, ROUND_HALF_UP) + 0  # + 0: no negative zero


def _amount_of(money: Mapping[str, Any] | None) -> Decimal | None:
    return money["value"] if money else None


def _tax_key(tax: Mapping[str, Any]) -> TaxKey:
    return tax["category"], tax["rate"]


def _tax_amount(tax: Mapping[str, Any], tax_excluded: Decimal) -> Decimal:
    if (amount := _amount_of(tax["amount"])) is not None:
        return amount
    return tax_excluded * (tax["rate"] or Decimal(0)) / _PERCENT


def _net_amount(tax_included: Decimal, taxes: Iterable[Mapping[str, Any]]) -> Decimal:
    amounts, rates = Decimal(0), Decimal(0)
    for tax in taxes:
        if (amount := _amount_of(tax["amount"])) is not None:
            amounts += amount
        else:
            rates += tax["rate"] or Decimal(0)
    if rates <= -_PERCENT:
        raise InvalidBody("/appliedTax: a tax of -100 percent or less leaves nothing to bill")
    return (tax_included - amounts) / (1 + rates / _PERCENT)


def _currency(rate: Mapping[str, Any]) -> str:
    amounts = [
        rate["tax_excluded"],
        rate["tax_included"],
        *(tax["amount"] for tax in rate["taxes"]),
    ]
    units = sorted({money["unit"] for money in amounts if money and money["unit"]})
    if len(units) > 1:
        raise InvalidBody(f"/taxExcludedAmount: one rate in several currencies: {', '.join(units)}")
    return units[0] if units else ""
