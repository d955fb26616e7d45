"""Rules of customers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis.customer import api_module, rules
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.settings import Settings

CUSTOMER = {
    "id": "c1",
    "@type": "Customer",
    "name": "Ada",
    "engagedParty": {"@type": "PartyRef", "id": "p1"},
}


def repository_with(**settings):
    return MemoryRepository(api_module(Settings(**settings)).policies)


def test_a_new_customer_is_initialized():
    assert repository_with().create("Customer", CUSTOMER, system=False)["status"] == "Initialized"


@pytest.mark.parametrize("status", ["Approved", "Active", "anything else", "ACTIVE"])
def test_a_new_customer_keeps_its_status(status):
    customer = repository_with().create("Customer", {**CUSTOMER, "status": status}, system=False)
    assert customer["status"] == status


def test_a_new_customer_cannot_be_closed_already():
    with pytest.raises(IllegalTransition, match="Initialized"):
        repository_with().create("Customer", {**CUSTOMER, "status": "Closed"}, system=False)


def test_a_closed_customer_stays_closed():
    repository = repository_with()
    repository.create("Customer", {**CUSTOMER, "status": "Active"})
    repository.change("Customer", "c1", lambda old: {**old, "status": "Closed"}, system=False)
    with pytest.raises(IllegalTransition, match="final"):
        repository.change("Customer", "c1", lambda old: {**old, "status": "Active"}, system=False)


@given(st.lists(st.sampled_from([*sorted(rules.LIFECYCLE.states), "Dormant"]), max_size=8))
def test_every_reached_status_is_an_allowed_transition(statuses):
    current = "Initialized"
    for status in statuses:
        try:
            reached = rules.LIFECYCLE.transition("Customer", current, status)
        except IllegalTransition:
            assert status not in rules.LIFECYCLE.transitions[current]
            continue
        assert reached == status
        current = status
        if current == "Closed":
            break


@pytest.mark.parametrize(
    "address", ["a", "a@", "@b", "a@b@c", "a b@c.d", "a..b@c.d", "x" * 65 + "@c.d", "a@c..d"]
)
def test_a_malformed_address_is_refused_with_its_pointer(address):
    medium = [{"@type": "EmailContactMedium", "emailAddress": address}]
    with pytest.raises(InvalidBody, match="/contactMedium/0/emailAddress"):
        rules.on_create({**CUSTOMER, "contactMedium": medium}, request_context())


@pytest.mark.parametrize(
    "address", ["ada@example.com", "a.b+c@mail.example.co", "ünal@exämple.de", "root@localhost"]
)
def test_a_plausible_address_passes(address):
    medium = [{"@type": "EmailContactMedium", "emailAddress": address}]
    customer = {**CUSTOMER, "contactMedium": medium}
    assert rules.on_create(customer, request_context()) == customer


@pytest.mark.parametrize(
    "number", ["+49 89 12345-0", "(01) 2 34 56", "tel:+1-201-555-0123", "112", "0800/123 ext. 4"]
)
def test_a_plausible_telephone_number_passes(number):
    medium = [{"@type": "PhoneContactMedium", "phoneNumber": number}]
    customer = {**CUSTOMER, "contactMedium": medium}
    assert rules.on_create(customer, request_context()) == customer


@pytest.mark.parametrize("number", ["", "call me", "+", "1" * 65])
def test_a_telephone_number_without_digits_or_end_is_refused(number):
    medium = [{"@type": "FaxContactMedium", "faxNumber": number}]
    with pytest.raises(InvalidBody, match="faxNumber"):
        rules.on_create({**CUSTOMER, "contactMedium": medium}, request_context())


def test_an_untyped_contact_medium_of_v4_is_not_checked():
    medium = [{"mediumType": "email", "characteristic": {"emailAddress": "a"}}]
    customer = {**CUSTOMER, "contactMedium": medium}
    assert rules.on_create(customer, request_context()) == customer


def test_an_undated_credit_profile_is_dated():
    customer = {**CUSTOMER, "creditProfile": [{"@type": "CreditProfile", "creditScore": 5}]}
    (profile,) = rules.on_create(customer, request_context())["creditProfile"]
    assert profile["creditProfileDate"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize("name", rules.CREDIT_SCORE_ATTRIBUTES)
def test_a_negative_score_is_refused(name):
    profile = {"@type": "CreditProfile", name: -1}
    with pytest.raises(InvalidBody, match=f"/creditProfile/0/{name}"):
        rules.on_create({**CUSTOMER, "creditProfile": [profile]}, request_context())


def test_a_period_the_wrong_way_round_is_refused():
    period = {"startDateTime": "2026-02-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"}
    with pytest.raises(InvalidBody, match="validFor"):
        rules.on_create({**CUSTOMER, "validFor": period}, request_context())


def test_an_invalid_stored_attribute_does_not_block_other_changes():
    old = {**CUSTOMER, "contactMedium": [{"@type": "EmailContactMedium", "emailAddress": "a"}]}
    new = {**old, "name": "Grace"}
    assert rules.on_change(old, new, request_context()) == new


def test_two_customers_of_one_party_are_allowed_by_default():
    repository = repository_with()
    repository.create("Customer", CUSTOMER)
    assert repository.create("Customer", {**CUSTOMER, "id": "c2"}, system=False)["id"] == "c2"


def test_a_setting_refuses_a_second_customer_of_a_party():
    repository = repository_with(unique_customers=True)
    repository.create("Customer", CUSTOMER)
    with pytest.raises(Conflict, match="c1"):
        repository.create("Customer", {**CUSTOMER, "id": "c2"}, system=False)


def test_a_customer_is_not_a_duplicate_of_itself():
    repository = repository_with(unique_customers=True)
    repository.create("Customer", CUSTOMER)
    assert repository.change("Customer", "c1", lambda old: {**old, "name": "B"})["name"] == "B"


def test_a_customer_belongs_to_its_party_to_itself_and_to_related_parties():
    related = [{"partyOrPartyRole": {"id": "p2"}}, {"id": "p3"}, {}, "odd"]
    parties = rules.parties({**CUSTOMER, "relatedParty": related})
    assert list(parties) == ["p1", "c1", "p2", "p3"]


ODD = st.sampled_from([None, True, -1, "x", [], [None], [{}], [["x"]], {}, {"id": 7}, {"id": {}}])
NAMES = ["contactMedium", "creditProfile", "validFor", "engagedParty", "relatedParty"]


@given(st.dictionaries(st.sampled_from(NAMES), ODD).map(lambda members: {**members, "id": "c1"}))
def test_odd_shapes_are_accepted_or_refused_as_invalid(customer):
    try:
        rules.on_create(customer, request_context())
    except InvalidBody:
        return
    assert {"c1"} <= set(rules.parties(customer))


def test_the_api_module_has_a_policy_for_customers():
    assert isinstance(api_module(Settings()).policies["Customer"], ResourcePolicy)


def test_a_customer_without_ids_belongs_to_nobody():
    assert list(rules.parties({"engagedParty": {"name": "Ada"}})) == []
