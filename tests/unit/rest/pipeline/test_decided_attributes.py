"""Attributes that a party may not set: at any depth, new or changed, whatever the order."""

import pytest

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline import decided_attributes
from tmf_apis.rest.pipeline.party_rules import READ_ONLY, PartyRules, Setter
from tmf_apis.rest.pipeline.policy import Lifecycle

LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={"new": frozenset({"held", "done"}), "held": frozenset(), "done": frozenset()},
    initial_states=("new",),
)
RULES = PartyRules(
    setters={
        "state": Setter.OPERATOR,
        "item.price": Setter.OPERATOR,
        "owner": Setter.ON_CREATE,
        "severity": Setter.CREATOR,
    }
)


def check_change(old, new, *, rules=RULES, is_creator=False):
    decided_attributes.check_changed(rules, LIFECYCLE, old, new, is_creator=is_creator)


@pytest.mark.parametrize(
    ("resource", "pointer"),
    [
        ({"state": "done"}, "/state"),
        ({"item": [{"id": "1", "price": 0}]}, "/item/1/price"),
        ({"item": [{"item": [{"item": [{"id": "x", "price": None}]}]}]}, "/item/0/item/0/item/x"),
        ({"item": {"price": 1}}, "/item/price"),
    ],
)
def test_a_new_resource_has_no_attribute_of_the_operator(resource, pointer):
    with pytest.raises(Forbidden, match=pointer):
        decided_attributes.check_new(RULES, LIFECYCLE, resource)


def test_the_initial_state_and_other_attributes_may_be_sent():
    resource = {"state": "new", "owner": "a", "severity": "major", "item": [{"id": "1"}]}
    decided_attributes.check_new(RULES, LIFECYCLE, resource)


def test_only_differing_values_count():
    old = {"item": [{"id": "1", "price": 5}, {"id": "2", "price": 6}], "state": "held"}
    check_change(old, {**old, "item": [old["item"][1], {**old["item"][0], "note": "x"}]})
    check_change(old, {**old, "item": old["item"][:1]})


@pytest.mark.parametrize(
    "items",
    [
        [{"id": "1", "price": 4}],
        [{"id": "1"}],
        [{"id": "1", "price": 5}, {"id": "2", "price": 5}],
        [{"id": "1", "price": 4}, {"id": "1", "price": 5}],
        [{"id": "1", "price": 5, "item": [{"price": 1}]}],
    ],
)
def test_a_price_cannot_be_changed_removed_or_added(items):
    with pytest.raises(Forbidden, match="/item/"):
        check_change({"item": [{"id": "1", "price": 5}]}, {"item": items})


def test_an_attribute_may_be_set_on_create_only():
    with pytest.raises(Forbidden, match="/owner: only the operator changes"):
        check_change({"owner": "a"}, {"owner": "b"}, is_creator=True)
    with pytest.raises(Forbidden, match="/owner"):
        check_change({"owner": "a"}, {})


def test_some_attributes_are_those_of_the_creator():
    check_change({"severity": "minor"}, {"severity": "major"}, is_creator=True)
    with pytest.raises(Forbidden, match="/severity: only its creator"):
        check_change({"severity": "minor"}, {"severity": "major"})
    with pytest.raises(Forbidden, match="/severity"):
        decided_attributes.check_created(RULES, {}, {"severity": "major"}, is_creator=False)
    decided_attributes.check_created(RULES, {}, {"state": "done"}, is_creator=False)


def test_a_party_moves_a_resource_to_the_allowed_states_only():
    rules = PartyRules(states=frozenset({"held"}))
    check_change({"state": "new"}, {"state": "held"}, rules=rules)
    check_change({"state": "done"}, {"state": "done", "note": "x"}, rules=rules)
    with pytest.raises(Forbidden, match="/state: a party may move it only to held"):
        check_change({"state": "new"}, {"state": "done"}, rules=rules)


def test_a_read_only_resource_cannot_be_changed_at_all():
    check_change({"id": "1", "a": 1}, {"id": "1", "a": 1}, rules=READ_ONLY)
    for new in ({"a": 2}, {}, {"a": 1, "b": 2}):
        with pytest.raises(Forbidden, match="only the operator sets this attribute"):
            check_change({"a": 1}, new, rules=READ_ONLY, is_creator=True)
