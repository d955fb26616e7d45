"""Charges, bills, and bills on demand."""

import base64
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_enums import enum_values, schemas
from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tmf_apis.billing import actions, api_module, bills, charges, rules
from tmf_apis.customer import api_module as customer_module
from tmf_apis.errors import IllegalTransition, InvalidBody
from tmf_apis.settings import Settings

TASK, BILL, RATE = actions.TASK_KIND, actions.BILL_KIND, actions.RATE_KIND


def money(value, unit="EUR"):
    return {"unit": unit, "value": value}


def a_rate(id, net=10, *, account="acc", tax=20, unit="EUR", **more):
    rate = {
        "id": id,
        "@type": RATE,
        "billingAccount": {"@type": "BillingAccountRef", "id": account},
        "taxExcludedAmount": money(net, unit),
        "appliedTax": [{"@type": "AppliedBillingTaxRate", "taxCategory": "VAT", "taxRate": tax}],
    }
    return {**rate, **more}


def repository_with(*rates, **context):
    policies = {**api_module(Settings()).policies, **customer_module(Settings()).policies}
    repository = MemoryRepository(policies, **context)
    for rate in rates:
        repository.create(RATE, rate)
    return repository


def request_bill(repository, account="acc", **more):
    task = {"@type": TASK, **more}
    if account:
        task["billingAccount"] = {"@type": "BillingAccountRef", "id": account}
    return repository.create(TASK, task, system=False)


def run(repository, task):
    repository.policies[TASK].run_in_background(repository, task)
    return repository.get(TASK, task["id"])


@pytest.mark.parametrize(
    ("states", "name"),
    [
        (rules.BILL_LIFECYCLE.states, "CustomerBillStateType"),
        (rules.TASK_LIFECYCLE.states, "CustomerBillOnDemandStateType"),
    ],
)
def test_the_states_are_exactly_those_of_the_contract(states, name):
    assert states == enum_values("TMF678-v5", name)


def test_the_server_owns_all_of_a_bill_but_state_and_cycle():
    names = set()
    pending = [schemas("TMF678-v5")["CustomerBill"]]
    while pending:
        schema = pending.pop()
        names |= set(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            reference = part.get("$ref", "").rpartition("/")[-1]
            pending.append(schemas("TMF678-v5")[reference] if reference else part)
    own = {name for name in names if not name.startswith("@")} - {"id", "href"}
    assert own - {"state", "billCycle"} == rules.SERVER_OWNED


# Sums of charges


AMOUNTS = st.decimals(min_value=-10_000, max_value=10_000, places=4)
CENTS = st.decimals(min_value=-10_000, max_value=10_000, places=2)
PERCENT = st.sampled_from([Decimal(7), Decimal(20), None])
NAMES = st.tuples(st.sampled_from(["VAT", "city"]), PERCENT)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def charge_lists(amounts):
    taxes = st.lists(st.tuples(NAMES, amounts), max_size=3).map(tuple)
    return st.lists(st.builds(charges.Charge, st.just("EUR"), amounts, taxes), max_size=8)


@given(charge_lists(AMOUNTS), st.randoms())
def test_the_order_of_charges_does_not_matter(drawn, random):
    shuffled = list(drawn)
    random.shuffle(shuffled)
    assert charges.total(shuffled) == charges.total(drawn)


@given(charge_lists(AMOUNTS))
def test_the_total_with_tax_is_the_total_without_tax_plus_taxes(drawn):
    total = charges.total(drawn)
    assert total.tax_included == total.tax_excluded + sum(amount for _, amount in total.taxes)


@given(charge_lists(CENTS))
def test_charges_in_cents_add_up_to_the_cent(drawn):
    total = charges.total(drawn)
    assert total.tax_excluded == sum(charge.tax_excluded for charge in drawn)
    taxes = sum(tax for charge in drawn for _, tax in charge.taxes)
    assert total.tax_included == total.tax_excluded + taxes


@given(charge_lists(AMOUNTS))
def test_totals_are_rounded_once_at_the_end(drawn):
    exact = sum((charge.tax_excluded for charge in drawn), Decimal(0))
    total = charges.total(drawn)
    assert total.tax_excluded == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert abs(total.tax_excluded - exact) <= Decimal("0.005")


@given(charge_lists(AMOUNTS))
def test_a_total_has_each_tax_once(drawn):
    names = [name for name, _ in charges.total(drawn).taxes]
    assert sorted(names, key=str) == sorted(
        {name for charge in drawn for name, _ in charge.taxes}, key=str
    )


@given(st.lists(FLOATS, min_size=1, max_size=6), st.randoms())
def test_any_json_numbers_have_the_same_total_in_any_order(values, random):
    rates = [a_rate(str(index), value) for index, value in enumerate(values)]
    total = charges.total(map(charges.charge_of, rates))
    random.shuffle(rates)
    assert charges.total(map(charges.charge_of, rates)) == total


@pytest.mark.parametrize(
    ("unit", "rounded"),
    [("EUR", "1.01"), ("JPY", "1"), ("KWD", "1.005"), ("CLF", "1.0050"), ("", "1.01")],
)
def test_each_currency_has_its_decimals(unit, rounded):
    total = charges.total([charges.Charge(unit, Decimal("1.005"), ())])
    assert str(total.tax_excluded) == rounded


@pytest.mark.parametrize(("amount", "rounded"), [("0.005", "0.01"), ("-0.005", "-0.01")])
def test_halves_are_rounded_away_from_zero(amount, rounded):
    total = charges.total([charges.Charge("EUR", Decimal(amount), ())])
    assert total.tax_excluded == Decimal(rounded)


@pytest.mark.parametrize(
    ("amounts", "net", "tax"),
    [
        ({"taxExcludedAmount": money(10)}, "10", []),
        ({"taxExcludedAmount": money(0.1), "appliedTax": [{"taxRate": 20}]}, "0.1", ["0.02"]),
        ({"taxIncludedAmount": money(12), "appliedTax": [{"taxRate": 20}]}, "10", ["2"]),
        ({"taxIncludedAmount": money(12), "appliedTax": [{"taxAmount": money(2)}]}, "10", ["2"]),
        ({"taxExcludedAmount": money(10), "taxIncludedAmount": money(12.5)}, "10", ["2.5"]),
        ({"taxIncludedAmount": money(12)}, "12", []),
    ],
)
def test_a_missing_amount_follows_from_the_others(amounts, net, tax):
    charge = charges.charge_of(amounts)
    assert charge.tax_excluded == Decimal(net)
    assert [amount for _, amount in charge.taxes] == [Decimal(amount) for amount in tax]


@pytest.mark.parametrize(
    "rate",
    [
        {},
        {"taxExcludedAmount": {"unit": "EUR"}},
        {"taxExcludedAmount": money("much")},
        {"taxExcludedAmount": money(1), "taxIncludedAmount": money(1, "USD")},
        {"taxIncludedAmount": money(1), "appliedTax": [{"taxRate": -100}]},
        {"taxExcludedAmount": 5},
    ],
)
def test_a_rate_without_a_valid_amount_is_refused(rate):
    with pytest.raises(InvalidBody):
        rules.on_create_rate({"id": "r", **rate}, request_context())


# Lifecycle of a bill


def a_bill():
    repository = repository_with(a_rate("r1"))
    return repository, run(repository, request_bill(repository))["customerBill"]["id"]


def move(repository, bill, state):
    return repository.change(BILL, bill, lambda old: {**old, "state": state}, system=False)


def test_a_settled_bill_has_nothing_to_pay_and_stays_settled():
    repository, bill = a_bill()
    for state in ("validated", "sent", "partiallyPaid", "settled"):
        assert move(repository, bill, state)["state"] == state
    assert repository.get(BILL, bill)["remainingAmount"] == money(0)
    with pytest.raises(IllegalTransition, match="final"):
        move(repository, bill, "new")


def test_a_new_bill_cannot_be_settled_before_it_is_sent():
    repository, bill = a_bill()
    with pytest.raises(IllegalTransition, match="onHold, sent, validated"):
        move(repository, bill, "settled")


@pytest.mark.parametrize("name", ["amountDue", "billNo", "unknownAttribute"])
def test_a_client_can_change_no_other_attribute_of_a_bill(name):
    repository, bill = a_bill()
    with pytest.raises(InvalidBody, match=name):
        repository.change(BILL, bill, lambda old: {**old, name: "x"}, system=False)


def test_a_client_can_change_the_cycle_of_a_bill():
    repository, bill = a_bill()
    cycle = {"@type": "BillCycleRef", "id": "c"}
    changed = repository.change(BILL, bill, lambda old: {**old, "billCycle": cycle}, system=False)
    assert changed["billCycle"] == cycle


# A bill on demand


def test_a_bill_on_demand_has_all_unbilled_rates():
    repository = repository_with(
        a_rate("r1", 10.10),
        a_rate("r2", 20.05, tax=7),
        a_rate("r3", 0.1, periodCoverage={"startDateTime": "2026-02-01T00:00:00.000Z"}),
        a_rate("other", 99, account="another"),
        a_rate("old", 99, isBilled=True, bill={"id": "old"}),
    )
    task = request_bill(repository, state="done", customerBill={"id": "forged"}, lastUpdate="never")
    assert (task["state"], "customerBill" in task) == ("inProgress", False)
    ended = run(repository, task)
    assert ended["state"] == "done"
    bill = repository.get(BILL, ended["customerBill"]["id"])
    assert bill["taxExcludedAmount"] == money(30.25)
    assert [(item["taxRate"], item["taxAmount"]) for item in bill["taxItem"]] == [
        (7, money(1.40)),
        (20, money(2.04)),
    ]
    assert bill["taxIncludedAmount"] == bill["amountDue"] == bill["remainingAmount"] == money(33.69)
    assert (bill["state"], bill["runType"], bill["category"]) == ("new", "offCycle", "normal")
    assert bill["billingAccount"]["id"] == "acc"
    assert bill["paymentDueDate"] == "2026-03-15T12:00:00.000Z"
    assert bill["billingPeriod"] == {
        "startDateTime": "2026-02-01T00:00:00.000Z",
        "endDateTime": "2026-03-01T12:00:00.000Z",
    }
    for id in ("r1", "r2", "r3"):
        rate = repository.get(RATE, id)
        assert (rate["isBilled"], rate["bill"]["id"]) == (True, bill["id"])
    assert repository.get(RATE, "other")["isBilled"] is False
    (document,) = bill["billDocument"]
    assert "33.69 EUR" in base64.b64decode(document["content"]).decode()


def test_a_rate_is_not_billed_twice():
    repository, _ = a_bill()
    again = run(repository, request_bill(repository))
    assert again["state"] == "rejected"
    assert "no unbilled rates" in again["failure"][0]["reason"]
    assert len(repository.find(BILL, {})) == 1


def test_without_an_account_there_is_no_bill():
    repository = repository_with(a_rate("r1"))
    assert run(repository, request_bill(repository, account=None))["state"] == "rejected"


def test_rates_in_two_currencies_fail_and_stay_unchanged():
    repository = repository_with(a_rate("r1"), a_rate("r2", unit="USD"))
    ended = run(repository, request_bill(repository))
    assert ended["state"] == "terminatedWithError"
    assert "EUR, USD" in ended["failure"][0]["reason"]
    assert not repository.find(BILL, {})
    assert not any("bill" in rate for rate in repository.find(RATE, {}))


def test_a_negative_total_is_a_credit_note():
    repository = repository_with(a_rate("r1", -10))
    bill = repository.get(BILL, run(repository, request_bill(repository))["customerBill"]["id"])
    assert (bill["category"], bill["amountDue"]) == ("creditNote", money(-12))


def test_a_bill_belongs_to_account_owners_and_requested_parties():
    repository = repository_with(a_rate("r1"))
    repository.create(
        "Customer",
        {"id": "c", "engagedParty": {"id": "p1", "name": "A"}, "account": [{"id": "acc"}]},
    )
    payer = {"role": "payer", "partyOrPartyRole": {"@type": "PartyRef", "id": "p2"}}
    bill = repository.get(
        BILL, run(repository, request_bill(repository, relatedParty=payer))["customerBill"]["id"]
    )
    assert list(rules.parties(bill)) == ["p1", "p2", "acc"]


def test_a_party_can_see_its_own_accounts_only():
    assert not actions.can_see_account(repository_with(parties=frozenset({"p1"})), "acc")
    assert actions.can_see_account(repository_with(a_rate("r1"), parties=frozenset({"p1"})), "acc")
    assert actions.can_see_account(repository_with(parties=frozenset({"acc"})), "acc")


def check_totals(repository, bill):
    """Check that a bill adds up to its rates, and that they are billed."""
    with localcontext(prec=60):
        rates = repository.find(RATE, {"bill.id": bill["id"]})
        total = charges.total(map(charges.charge_of, rates))
    assert bill["taxIncludedAmount"]["value"] == float(total.tax_included)
    assert all(rate["isBilled"] for rate in rates)


RATES = st.lists(st.integers(-500, 500).map(lambda cents: cents / 100), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(RATES, st.lists(st.integers(0, 14), max_size=3), RATES)
def test_after_any_crashes_each_rate_is_on_one_bill_with_the_right_total(first, crashes, later):
    repository = repository_with(*(a_rate(f"a{index}", value) for index, value in enumerate(first)))
    task = request_bill(repository)
    for number, writes in enumerate(crashes):
        repository.writes_until_crash = writes
        with suppress(RuntimeError):
            run(repository, task)
        repository.writes_until_crash = None
        repository.create(RATE, a_rate(f"b{number}", later[number % len(later)]))
    run(repository, task)
    ended = run(repository, task)
    assert ended["state"] == "done"
    (bill,) = repository.find(BILL, {})
    check_totals(repository, bill)
    assert {f"a{index}" for index in range(len(first))} <= {
        rate["id"] for rate in repository.find(RATE, {"bill.id": bill["id"]})
    }
    second = run(repository, request_bill(repository))
    for bill in repository.find(BILL, {}):
        check_totals(repository, bill)
    assert second["state"] in {"done", "rejected"}
    assert all(rate["isBilled"] for rate in repository.find(RATE, {}))


def test_a_late_repetition_does_not_undo_a_payment():
    repository, bill = a_bill()
    for state in ("sent", "settled"):
        move(repository, bill, state)
    (task,) = repository.find(TASK, {})
    repository.resources[TASK][task["id"]]["state"] = "inProgress"
    assert run(repository, task)["state"] == "done"
    assert repository.get(BILL, bill)["remainingAmount"] == money(0)


def test_the_bill_id_follows_from_the_task_id():
    bill = bills.bill_of("t-1-bill", {"billingAccount": {"id": "acc"}}, [a_rate("r1")], [], NOW)
    assert bill["id"] == bills.bill_id("t-1")
    assert "relatedParty" not in bill


def test_everyone_can_read_bill_cycles():
    assert list(api_module(Settings()).policies["BillCycle"].parties({})) == ["*"]


def test_a_request_without_account_or_party_belongs_to_nobody():
    assert list(rules.parties({"billingAccount": {"name": "x"}})) == []


def test_a_stored_rate_that_cannot_be_billed_is_named():
    repository = repository_with(a_rate("r1"))
    del repository.resources[RATE]["r1"]["taxExcludedAmount"]
    ended = run(repository, request_bill(repository))
    assert ended["state"] == "terminatedWithError"
    assert "rate r1" in ended["failure"][0]["reason"]


def test_an_invalid_rate_after_the_claim_is_left_out_of_the_bill():
    repository = repository_with(a_rate("r1"), a_rate("r2"))
    task = request_bill(repository)
    repository.writes_until_crash = 1
    with suppress(RuntimeError):
        run(repository, task)
    repository.writes_until_crash = None
    del repository.resources[RATE]["r2"]["taxExcludedAmount"]
    assert run(repository, task)["state"] == "done"
    (bill,) = repository.find(BILL, {})
    assert bill["taxExcludedAmount"] == money(10)
