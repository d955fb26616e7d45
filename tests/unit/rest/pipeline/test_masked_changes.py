"""Changes of masked resources: values that the client could not read are kept, and never moved."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.masked_changes import unmasked
from tmf_apis.security.personal_attributes import MASK, PersonalAttributes

RULES = PersonalAttributes().rules("Customer")
_MEDIA = st.lists(
    st.fixed_dictionaries(
        {"preferred": st.booleans(), "emailAddress": st.sampled_from(["a@x", "b@x", "c@x"])},
        optional={"id": st.sampled_from(["1", "2", "3"]), "quality": st.integers(1, 3)},
    ),
    max_size=4,
)
_CUSTOMERS = st.fixed_dictionaries({"name": st.text("ab", max_size=2), "contactMedium": _MEDIA})


def change(full, edit):
    masked = RULES.masked(full)
    return unmasked(RULES, edit(copy.deepcopy(masked)), masked, full)


@given(_CUSTOMERS)
def test_a_resource_that_comes_back_masked_is_unchanged(full):
    assert change(full, lambda masked: masked) == full


@given(_CUSTOMERS)
def test_a_change_of_another_attribute_keeps_all_personal_values(full):
    changed = change(full, lambda masked: {**masked, "name": "new"})
    assert changed == {**full, "name": "new"}


@given(_CUSTOMERS, st.integers(0, 3))
def test_the_removal_of_a_part_moves_no_value_to_another_part(full, index):
    def remove(masked):
        del masked["contactMedium"][index : index + 1]
        return masked

    media = change(full, remove)["contactMedium"]
    assert [m for m in media if m not in full["contactMedium"]] == []
    assert len(media) == len(full["contactMedium"]) - (index < len(full["contactMedium"]))


def test_a_new_value_replaces_a_masked_one():
    full = {"contactMedium": [{"id": "1", "emailAddress": "a@x", "preferred": True}]}

    def edit(masked):
        masked["contactMedium"][0]["emailAddress"] = "new@x"
        return masked

    assert change(full, edit)["contactMedium"][0]["emailAddress"] == "new@x"


def test_a_mask_in_a_new_part_is_refused():
    full = {"contactMedium": [{"id": "1", "emailAddress": "a@x"}]}
    new = {"id": "2", "emailAddress": MASK}
    with pytest.raises(Forbidden, match="/contactMedium/1/emailAddress: the value is masked"):
        change(full, lambda masked: {"contactMedium": [*masked["contactMedium"], new]})


def test_a_value_that_is_the_mask_itself_can_be_sent_back():
    full = {"contactMedium": [{"id": "1", "emailAddress": MASK}]}
    assert change(full, lambda masked: {**masked, "name": "x"}) == {**full, "name": "x"}
