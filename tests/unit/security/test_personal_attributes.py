"""The table of personal attributes: what it covers, and that nothing is lost by masking."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.security.personal_attributes import MASK, Coverage, PersonalAttributes, restored
from tmf_apis.security.personal_table import IMPERSONAL_KINDS
from tmf_apis.settings import Settings

_SCALARS = st.one_of(st.booleans(), st.integers(-9, 9), st.text("abc*", max_size=4))
_NAMES = st.sampled_from(
    ["contactMedium", "place", "id", "@type", "name", "value", "note", "city", "email", "birthDate"]
)
_VALUES = st.recursive(
    _SCALARS | st.just("email"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=25,
)
_RESOURCES = st.dictionaries(_NAMES, _VALUES, max_size=5)


@pytest.fixture(scope="module")
def table():
    return PersonalAttributes()


@given(_RESOURCES)
def test_a_masked_resource_with_its_values_restored_is_the_resource(resource):
    masked, leaves = PersonalAttributes().rules("ProductOrder").split(copy.deepcopy(resource))
    masked = orjson.loads(orjson.dumps(masked))
    restored(masked, leaves)
    assert masked == resource


@given(_RESOURCES)
def test_a_text_without_a_mark_has_no_personal_value(resource):
    rules = PersonalAttributes().rules("ProductOrder")
    leaves = rules.split(resource)[1]
    assert not leaves or rules.may_occur_in(orjson.dumps(resource))


@given(_RESOURCES)
def test_the_path_of_each_personal_value_is_covered(resource):
    rules = PersonalAttributes().rules("ProductOrder")
    for leaf in rules.split(resource)[1]:
        assert rules.coverage(leaf.path) is not Coverage.NONE, leaf.path


_PHONE = {"@type": "PhoneContactMedium", "preferred": True}


def _item(city):
    place = {"id": "1", "city": city}
    return [{"id": "1", "product": {"place": [{"role": "home", "place": place}]}}]


@pytest.mark.parametrize(
    ("kind", "resource", "masked"),
    [
        ("Customer", {"contactMedium": [{**_PHONE, "number": 1}]}, {"contactMedium": [_PHONE]}),
        ("ProductOrder", {"item": _item("Bonn")}, {"item": _item(MASK)}),
        ("Resource", {"item": _item("Bonn")}, {"item": _item("Bonn")}),
        ("KindOfAFutureApi", {"item": _item("Bonn")}, {"item": _item(MASK)}),
        (
            "Product",
            {"characteristic": [{"name": "Birth-Date", "value": "1970"}, {"name": "x"}]},
            {"characteristic": [{"name": "Birth-Date", "value": MASK}, {"name": "x"}]},
        ),
    ],
)
def test_personal_values_are_masked_at_any_depth(table, kind, resource, masked):
    assert table.masked(kind, resource) == masked


def test_names_are_personal_only_where_the_operator_wants_it():
    party = {"id": "1", "name": "Ada"}
    customer = {"name": "Ada", "engagedParty": party, "account": [{"name": "A"}]}
    assert PersonalAttributes().masked("Customer", customer) == customer
    assert PersonalAttributes(with_names=True).masked("Customer", customer) == {
        "name": MASK, "engagedParty": {"id": "1", "name": MASK}, "account": [{"name": MASK}],
    }  # fmt: skip


def test_the_settings_add_and_remove_attributes_and_characteristics():
    settings = Settings.from_environment(
        {
            "TMF_PII_ATTRIBUTES": "note.text,Alarm.ackUserId,-place",
            "TMF_PII_CHARACTERISTICS": "-email,nickname",
        }
    )
    table = PersonalAttributes.from_settings(settings)
    assert table.masked("Alarm", {"ackUserId": "ada"}) == {"ackUserId": MASK}
    order = {
        "note": [{"text": "t"}],
        "place": [{"city": "Bonn"}],
        "characteristic": [{"name": "email", "value": "v"}, {"name": "Nickname", "value": "v"}],
    }
    assert table.masked("ProductOrder", order) == {
        "note": [{"text": MASK}],
        "place": [{"city": "Bonn"}],
        "characteristic": [{"name": "email", "value": "v"}, {"name": "Nickname", "value": MASK}],
    }
    assert table.fingerprint != PersonalAttributes().fingerprint


@pytest.mark.parametrize("rule", ["Customer", "a..b", "a b", "-"])
def test_a_rule_that_is_no_path_is_refused(rule):
    with pytest.raises(ValueError, match="TMF_PII_ATTRIBUTES"):
        Settings.from_environment({"TMF_PII_ATTRIBUTES": rule})


def test_each_kind_without_rules_is_a_kind_of_a_contract(contracts):
    kinds = {o.kind for contract in contracts.values() for o in contract.operations}
    assert kinds >= IMPERSONAL_KINDS
