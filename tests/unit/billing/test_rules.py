import base64
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_enums import enum_values, schemas
from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tmf_apis.billing import actions, api_module, bills, charges, rules
from tmf_apis.customer import api_module as customer_room
from tmf_apis.errors import IllegalTransition, InvalidBody, NotFound
from tmf_apis.settings import Settings

TASK, BILL, RATE = actions.TASK_KIND, actions.BILL_KIND, actions.RATE_KIND


def money(value, unit="EUR"):
    return {"unit": unit, "value": value}


def a_rate(one, net=10, *, account="acc", tax=20, unit="EUR", **more):
    rate = {
        "id": one,
        "@type": RATE,
        "billingAccount": {"@type": "BillingAccountRef", "id": account},
        "taxExcludedAmount": money(net, unit),
        "appliedTax": [{"@type": "AppliedBillingTaxRate", "taxCategory": "VAT", "taxRate": tax}],
    }
    return {**rate, **more}


def a_desk(*rates, **changes):
    laws = {**api_module(Settings()).policies, **customer_room(Settings()).policies}
    desk = MemoryRepository(laws, **changes)
    for rate in rates:
        desk.create(RATE, rate)
    return desk


def ask(desk, account="acc", **more):
    task = {"@type": TASK, **more}
    if account:
        task["billingAccount"] = {"@type": "BillingAccountRef", "id": account}
    return desk.create(TASK, task, system=False)


def run(desk, task):
    desk.policies[TASK].run_in_background(desk, task)
    return desk.get(TASK, task["id"])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (rules.BILL_LIFECYCLE.states, "CustomerBillStateType"),
        (rules.TASK_LIFECYCLE.states, "CustomerBillOnDemandStateType"),
        (rules.RUN_TYPES, "CustomerBillRunType"),
    ],
)
def test_the_words_are_exactly_those_of_the_contract(words, name):
    assert set(words) == enum_values("TMF678-v5", name)


def test_all_of_a_bill_but_state_and_cycle_is_the_servers():
    names = set()
    pending = [schemas("TMF678-v5")["CustomerBill"]]
    while pending:
        schema = pending.pop()
        names |= set(schema.get("properties", {}))
        references = [one for one in schema.get("allOf", []) if "$ref" in one]
        pending += [one for one in schema.get("allOf", []) if "$ref" not in one]
        pending += [schemas("TMF678-v5")[one["$ref"].split("/")[-1]] for one in references]
    own = {name for name in names if not name.startswith("@")} - {"id", "href"}
    assert own - {"state", "billCycle"} == rules.SERVER_OWNED


# What charges add up to


AMOUNTS = st.decimals(min_value=-10_000, max_value=10_000, places=4)
CENTS = st.decimals(min_value=-10_000, max_value=10_000, places=2)
PERCENT = st.sampled_from([Decimal(7), Decimal(20), None])
NAMES = st.tuples(st.sampled_from(["VAT", "city"]), PERCENT)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def charge_lists(amounts):
    taxes = st.lists(st.tuples(NAMES, amounts), max_size=3).map(tuple)
    return st.lists(st.builds(charges.Charge, st.just("EUR"), amounts, taxes), max_size=8)


@given(charge_lists(AMOUNTS), st.randoms())
def test_the_order_of_the_charges_does_not_matter(listed, random):
    shuffled = list(listed)
    random.shuffle(shuffled)
    assert charges.total(shuffled) == charges.total(listed)


@given(charge_lists(AMOUNTS))
def test_with_tax_is_without_tax_and_the_taxes(listed):
    found = charges.total(listed)
    assert found.tax_included == found.tax_excluded + sum(amount for _, amount in found.taxes)


@given(charge_lists(CENTS))
def test_charges_in_cents_add_up_to_the_cent(listed):
    found = charges.total(listed)
    assert found.tax_excluded == sum(one.tax_excluded for one in listed)
    everything = sum(one.tax_excluded + sum(tax for _, tax in one.taxes) for one in listed)
    assert found.tax_included == everything


@given(charge_lists(AMOUNTS))
def test_it_is_rounded_once_at_the_end(listed):
    exact = sum((one.tax_excluded for one in listed), Decimal(0))
    found = charges.total(listed)
    assert found.tax_excluded == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert abs(found.tax_excluded - exact) <= Decimal("0.005")


@given(charge_lists(AMOUNTS))
def test_each_tax_stands_there_once(listed):
    names = [name for name, _ in charges.total(listed).taxes]
    assert sorted(names, key=str) == sorted(
        {name for one in listed for name, _ in one.taxes}, key=str
    )


@given(st.lists(FLOATS, min_size=1, max_size=6), st.randoms())
def test_any_numbers_that_json_has_add_up_the_same_in_any_order(values, random):
    rates = [a_rate(str(place), value) for place, value in enumerate(values)]
    once = charges.total(map(charges.charge_of, rates))
    random.shuffle(rates)
    assert charges.total(map(charges.charge_of, rates)) == once


@pytest.mark.parametrize(
    ("unit", "rounded"),
    [("EUR", "1.01"), ("JPY", "1"), ("KWD", "1.005"), ("CLF", "1.0050"), ("", "1.01")],
)
def test_a_currency_has_its_own_decimals(unit, rounded):
    found = charges.total([charges.Charge(unit, Decimal("1.005"), ())])
    assert str(found.tax_excluded) == rounded


@pytest.mark.parametrize(("amount", "rounded"), [("0.005", "0.01"), ("-0.005", "-0.01")])
def test_halves_go_away_from_zero(amount, rounded):
    found = charges.total([charges.Charge("EUR", Decimal(amount), ())])
    assert found.tax_excluded == Decimal(rounded)


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
def test_what_is_missing_follows_from_the_rest(amounts, net, tax):
    found = charges.charge_of(amounts)
    assert found.tax_excluded == Decimal(net)
    assert [amount for _, amount in found.taxes] == [Decimal(one) for one in tax]


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
def test_a_rate_that_says_no_amount_is_refused(rate):
    with pytest.raises(InvalidBody):
        rules.on_create_rate({"id": "r", **rate}, request_context())


# A bill's way


def a_bill():
    desk = a_desk(a_rate("r1"))
    return desk, run(desk, ask(desk))["customerBill"]["id"]


def move(desk, bill, state):
    return desk.change(BILL, bill, lambda old: {**old, "state": state}, system=False)


def test_a_settled_bill_leaves_nothing_to_pay_and_stays_settled():
    desk, bill = a_bill()
    for state in ("validated", "sent", "partiallyPaid", "settled"):
        assert move(desk, bill, state)["state"] == state
    assert desk.get(BILL, bill)["remainingAmount"] == money(0)
    with pytest.raises(IllegalTransition, match="final"):
        move(desk, bill, "new")


def test_a_new_bill_is_not_settled_before_it_was_sent():
    desk, bill = a_bill()
    with pytest.raises(IllegalTransition, match="onHold, sent, validated"):
        move(desk, bill, "settled")


@pytest.mark.parametrize("name", ["amountDue", "billNo", "somethingOfTheirs"])
def test_a_client_changes_nothing_of_a_bill_but_its_state(name):
    desk, bill = a_bill()
    with pytest.raises(InvalidBody, match=name):
        desk.change(BILL, bill, lambda old: {**old, name: "x"}, system=False)


def test_a_client_may_put_a_bill_into_another_cycle():
    desk, bill = a_bill()
    cycle = {"@type": "BillCycleRef", "id": "c"}
    changed = desk.change(BILL, bill, lambda old: {**old, "billCycle": cycle}, system=False)
    assert changed["billCycle"] == cycle


# A bill on demand


def test_a_bill_on_demand_gathers_what_is_not_billed_yet():
    desk = a_desk(
        a_rate("r1", 10.10),
        a_rate("r2", 20.05, tax=7),
        a_rate("r3", 0.1, periodCoverage={"startDateTime": "2026-02-01T00:00:00.000Z"}),
        a_rate("other", 99, account="another"),
        a_rate("old", 99, isBilled=True, bill={"id": "old"}),
    )
    task = ask(desk, state="done", customerBill={"id": "forged"}, lastUpdate="never")
    assert (task["state"], "customerBill" in task) == ("inProgress", False)
    ended = run(desk, task)
    assert ended["state"] == "done"
    bill = desk.get(BILL, ended["customerBill"]["id"])
    assert bill["taxExcludedAmount"] == money(30.25)
    assert [(one["taxRate"], one["taxAmount"]) for one in bill["taxItem"]] == [
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
    for one in ("r1", "r2", "r3"):
        rate = desk.get(RATE, one)
        assert (rate["isBilled"], rate["bill"]["id"]) == (True, bill["id"])
    assert desk.get(RATE, "other")["isBilled"] is False
    (document,) = bill["billDocument"]
    assert "33.69 EUR" in base64.b64decode(document["content"]).decode()


def test_what_is_billed_is_not_billed_again():
    desk, _ = a_bill()
    again = run(desk, ask(desk))
    assert again["state"] == "rejected"
    assert "no unbilled rates" in again["failure"][0]["reason"]
    assert len(desk.find(BILL, {})) == 1


def test_without_an_account_there_is_no_bill():
    desk = a_desk(a_rate("r1"))
    assert run(desk, ask(desk, account=None))["state"] == "rejected"


def test_two_currencies_are_not_one_bill_and_nothing_is_touched():
    desk = a_desk(a_rate("r1"), a_rate("r2", unit="USD"))
    ended = run(desk, ask(desk))
    assert ended["state"] == "terminatedWithError"
    assert "EUR, USD" in ended["failure"][0]["reason"]
    assert not desk.find(BILL, {})
    assert not any("bill" in rate for rate in desk.find(RATE, {}))


def test_more_credit_than_charge_is_a_credit_note():
    desk = a_desk(a_rate("r1", -10))
    bill = desk.get(BILL, run(desk, ask(desk))["customerBill"]["id"])
    assert (bill["category"], bill["amountDue"]) == ("creditNote", money(-12))


def test_the_bill_belongs_to_whose_account_it_is_and_to_whom_the_request_names():
    desk = a_desk(a_rate("r1"))
    desk.create(
        "Customer",
        {"id": "c", "engagedParty": {"id": "p1", "name": "A"}, "account": [{"id": "acc"}]},
    )
    named = {"role": "payer", "partyOrPartyRole": {"@type": "PartyRef", "id": "p2"}}
    bill = desk.get(BILL, run(desk, ask(desk, relatedParty=named))["customerBill"]["id"])
    assert list(rules.parties(bill)) == ["p1", "p2", "acc"]


def test_a_party_asks_for_bills_of_its_own_accounts_only():
    stranger = a_desk(parties=frozenset({"p1"}))
    with pytest.raises(NotFound, match="acc"):
        ask(stranger)
    known = a_desk(a_rate("r1"), parties=frozenset({"p1"}))
    assert ask(known)["state"] == "inProgress"
    assert ask(a_desk(parties=frozenset({"acc"})))["state"] == "inProgress"


def adds_up(desk, bill):
    with localcontext(prec=60):
        rates = desk.find(RATE, {"bill.id": bill["id"]})
        found = charges.total(map(charges.charge_of, rates))
    assert bill["taxIncludedAmount"]["value"] == float(found.tax_included)
    assert all(rate["isBilled"] for rate in rates)


RATES = st.lists(st.integers(-500, 500).map(lambda cents: cents / 100), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(RATES, st.lists(st.integers(0, 14), max_size=3), RATES)
def test_wherever_it_is_cut_off_each_rate_is_on_one_bill_that_adds_up(first, crashes, later):
    desk = a_desk(*(a_rate(f"a{place}", value) for place, value in enumerate(first)))
    task = ask(desk)
    for number, writes in enumerate(crashes):
        desk.writes_until_crash = writes
        with suppress(RuntimeError):
            run(desk, task)
        desk.writes_until_crash = None
        desk.create(RATE, a_rate(f"b{number}", later[number % len(later)]))
    run(desk, task)
    ended = run(desk, task)
    assert ended["state"] == "done"
    (bill,) = desk.find(BILL, {})
    adds_up(desk, bill)
    assert {f"a{place}" for place in range(len(first))} <= {
        rate["id"] for rate in desk.find(RATE, {"bill.id": bill["id"]})
    }
    second = run(desk, ask(desk))
    for one in desk.find(BILL, {}):
        adds_up(desk, one)
    assert second["state"] in {"done", "rejected"}
    assert all(rate["isBilled"] for rate in desk.find(RATE, {}))


def test_a_late_repetition_does_not_undo_a_payment():
    desk, bill = a_bill()
    for state in ("sent", "settled"):
        move(desk, bill, state)
    (task,) = desk.find(TASK, {})
    desk.resources[TASK][task["id"]]["state"] = "inProgress"
    assert run(desk, task)["state"] == "done"
    assert desk.get(BILL, bill)["remainingAmount"] == money(0)


def test_the_bill_of_a_task_has_one_id():
    bill = bills.bill_of({"id": "t-1", "billingAccount": {"id": "acc"}}, [a_rate("r1")], [], NOW)
    assert bill["id"] == bills.bill_id("t-1")
    assert "relatedParty" not in bill


def test_bill_cycles_are_for_everyone_to_read():
    assert list(api_module(Settings()).policies["BillCycle"].parties({})) == ["*"]


def test_a_request_without_account_or_party_belongs_to_nobody():
    assert list(rules.parties({"billingAccount": {"name": "x"}})) == []


def test_a_stored_rate_that_cannot_be_billed_is_named():
    desk = a_desk(a_rate("r1"))
    del desk.resources[RATE]["r1"]["taxExcludedAmount"]
    ended = run(desk, ask(desk))
    assert ended["state"] == "terminatedWithError"
    assert "rate r1" in ended["failure"][0]["reason"]


def test_a_spoiled_rate_that_comes_after_the_claim_waits_for_another_bill():
    desk = a_desk(a_rate("r1"), a_rate("r2"))
    task = ask(desk)
    desk.writes_until_crash = 1
    with suppress(RuntimeError):
        run(desk, task)
    desk.writes_until_crash = None
    del desk.resources[RATE]["r2"]["taxExcludedAmount"]
    assert run(desk, task)["state"] == "done"
    (bill,) = desk.find(BILL, {})
    assert bill["taxExcludedAmount"] == money(10)
