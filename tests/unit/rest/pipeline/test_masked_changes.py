"""Changes of masked resources: values that the client could not read are kept, and never moved."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.masked_changes import merged, unmasked
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


def test_parts_without_ids_that_change_places_and_values_keep_no_value():
    full = {
        "contactMedium": [
            {"contactType": "private", "emailAddress": "a@x", "preferred": True},
            {"contactType": "work", "emailAddress": "b@x", "preferred": False},
        ]
    }

    def swap(masked):
        first, second = masked["contactMedium"]
        return {"contactMedium": [{**second, "preferred": True}, {**first, "preferred": False}]}

    with pytest.raises(Forbidden, match="the value is masked; to move it"):
        change(full, swap)


@given(_CUSTOMERS)
def test_a_changed_part_without_id_never_gets_the_value_of_a_part_that_it_resembles_more(full):
    """Each part is told apart by ``quality``, which the client keeps."""
    for index, medium in enumerate(full["contactMedium"]):
        medium |= {"quality": index, "quantity": index, "contactType": str(index)}
        medium.pop("id", None)
    media = full["contactMedium"]
    values = {medium["quality"]: medium["emailAddress"] for medium in media}

    def rotate(masked):
        rotated = [*masked["contactMedium"][1:], *masked["contactMedium"][:1]]
        return {"contactMedium": [{**m, "preferred": not m["preferred"]} for m in rotated]}

    try:
        changed = change(full, rotate)
    except Forbidden:
        return
    assert all(m["emailAddress"] == values[m["quality"]] for m in changed["contactMedium"])


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)),
    st.dictionaries(st.sampled_from("cde"), st.integers(0, 2) | st.just({"x": 1})),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(3, 5) | st.just({"y": 1})),
)
def test_an_attribute_that_a_version_only_shows_is_stored_if_it_is_changed(full, added, edit):
    shown = {**added, **full}
    assert merged({**shown, **edit}, shown, full) == {**full, **edit}
