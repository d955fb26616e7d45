"""Merge patches, JSON patches and JSON patch queries."""

import contextlib
import copy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmf_apis.errors import (
    Conflict,
    FeatureNotImplemented,
    InvalidBody,
    InvalidQuery,
    TooLarge,
    UnsupportedMediaType,
)
from tmf_apis.rest.pipeline.patch_budget import PatchBudget
from tmf_apis.rest.pipeline.patching import (
    JSON_PATCH,
    JSON_PATCH_QUERY,
    MERGE_PATCH,
    merge,
    parse_patch,
)
from tmf_apis.settings import Settings

SETTINGS = Settings()
ORDER = {
    "priority": "1",
    "productOrderItem": [
        {"id": "1", "quantity": 1, "note": [{"text": "a"}]},
        {"id": "2", "quantity": 2},
        {"id": "3", "quantity": 2},
    ],
    "note": [],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), JSON, max_size=4)


def patched(media_type, patch, document=ORDER):
    return parse_patch(media_type, patch, SETTINGS).apply(document)


def test_a_merge_patch_merges_objects_replaces_arrays_and_removes_nulls():
    document = {"a": {"b": 1, "c": 2}, "d": [1, 2], "e": 3}
    patch = {"a": {"b": None, "x": {"y": None, "z": 1}}, "d": [3], "e": None}
    assert patched(MERGE_PATCH, patch, document) == {"a": {"c": 2, "x": {"z": 1}}, "d": [3]}


def test_plain_json_is_a_merge_patch():
    assert patched("application/json", {"priority": None}) == {
        name: value for name, value in ORDER.items() if name != "priority"
    }


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/note/-", "value": 1}, ("note",), [1]),
        ({"op": "add", "path": "/note/0", "value": 1}, ("note",), [1]),
        ({"op": "replace", "path": "/priority", "value": "2"}, ("priority",), "2"),
        ({"op": "copy", "from": "/priority", "path": "/x"}, ("x",), "1"),
        ({"op": "move", "from": "/priority", "path": "/x"}, ("x",), "1"),
        ({"op": "test", "path": "/priority", "value": "1"}, ("priority",), "1"),
    ],
)
def test_each_operation_does_what_rfc_6902_says(operation, path, expected):
    value = patched(JSON_PATCH, [operation])
    for segment in path:
        value = value[segment]
    assert value == expected


def test_move_removes_the_value_at_its_old_path():
    moved = patched(JSON_PATCH, [{"op": "move", "from": "/productOrderItem/0", "path": "/first"}])
    assert [item["id"] for item in moved["productOrderItem"]] == ["2", "3"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nothing"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/nothing", "value": 1},
        {"op": "replace", "path": "/note/0", "value": 1},
        {"op": "add", "path": "/note/2", "value": 1},
        {"op": "add", "path": "/note/01", "value": 1},
        {"op": "add", "path": "/note/x", "value": 1},
        {"op": "add", "path": "/priority/x", "value": 1},
        {"op": "add", "path": "note", "value": 1},
        {"op": "add", "path": "/x"},
        {"op": "move", "from": "/productOrderItem", "path": "/productOrderItem/0/x"},
        {"op": "copy", "path": "/x"},
        {"op": "jump", "path": "/x"},
        {"op": ["add"], "path": "/x"},
        {"path": "/x"},
        {"op": "add", "path": 7, "value": 1},
        "add",
    ],
)
def test_an_impossible_operation_is_refused(operation):
    with pytest.raises(InvalidBody):
        patched(JSON_PATCH, [operation])


def test_a_test_that_fails_is_a_conflict():
    with pytest.raises(Conflict):
        patched(JSON_PATCH, [{"op": "test", "path": "/priority", "value": 1}])


def test_true_is_not_one():
    with pytest.raises(Conflict):
        patched(JSON_PATCH, [{"op": "test", "path": "/a", "value": 1}], {"a": True})


def test_an_array_of_too_many_operations_is_refused():
    with pytest.raises(InvalidBody, match="100"):
        patched(JSON_PATCH, [{"op": "test", "path": "/priority", "value": "1"}] * 101)


def test_a_patch_that_doubles_a_resource_again_and_again_is_stopped():
    bomb = [{"op": "add", "path": "/x", "value": ["y" * 1000]}]
    bomb += [{"op": "copy", "from": "/x", "path": "/x/-"}] * 60
    with pytest.raises(TooLarge):
        patched(JSON_PATCH, bomb)


def test_a_body_that_is_not_a_patch_is_refused():
    with pytest.raises(UnsupportedMediaType, match="merge-patch"):
        parse_patch("text/plain", {}, SETTINGS)
    for wrong in ([], "x", None):
        with pytest.raises(InvalidBody):
            parse_patch(MERGE_PATCH, wrong, SETTINGS)
    with pytest.raises(InvalidBody):
        parse_patch(JSON_PATCH, {}, SETTINGS)


def test_a_query_changes_every_value_that_it_selects():
    path = "$.productOrderItem[?(@.quantity==2)].quantity"
    changed = patched(JSON_PATCH_QUERY, [{"op": "replace", "path": path, "value": 5}])
    assert [item["quantity"] for item in changed["productOrderItem"]] == [1, 5, 5]


def test_a_query_removes_every_element_that_it_selects():
    operation = {"op": "remove", "path": "$.productOrderItem[?(@.quantity==2)]"}
    changed = patched(JSON_PATCH_QUERY, [operation])
    assert [item["id"] for item in changed["productOrderItem"]] == ["1"]


def test_a_query_adds_a_member_that_does_not_exist():
    operation = {"op": "add", "path": "$.productOrderItem[?(@.id=='3')].action", "value": "add"}
    assert patched(JSON_PATCH_QUERY, [operation])["productOrderItem"][2]["action"] == "add"


def test_a_query_that_selects_nothing_is_refused():
    with pytest.raises(InvalidBody, match="nothing"):
        patched(JSON_PATCH_QUERY, [{"op": "remove", "path": "$.note[?(@.author=='x')]"}])


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_a_merge_patch_is_idempotent(document, patch):
    once = merge(document, patch)
    assert merge(once, patch) == once


@settings(deadline=None)
@given(OBJECTS, st.text("ab", min_size=1, max_size=2), JSON.filter(lambda value: value is not None))
def test_all_kinds_of_patch_replace_a_member_alike(document, name, value):
    scalar = value if not isinstance(value, dict) else "x"
    before = copy.deepcopy(document)
    by_merge = patched(MERGE_PATCH, {name: scalar}, document)
    by_operation = patched(
        JSON_PATCH, [{"op": "add", "path": f"/{name}", "value": scalar}], document
    )
    by_query = patched(
        JSON_PATCH_QUERY, [{"op": "add", "path": f"$.{name}", "value": scalar}], document
    )
    assert by_merge == by_operation
    if not isinstance(document.get(name), list):  # an array gets a further element
        assert by_query == by_operation
    assert document == before


OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
        "path": st.text("/ab01-~$.[]?(@)='", max_size=8)
        | st.text('/ab01-~?&=<>!.%"[]@(', max_size=12).map("/a?".__add__),
        "from": st.text("/ab01-~", max_size=4),
        "value": JSON,
    }
)


@settings(deadline=None)
@given(OBJECTS, st.lists(OPERATIONS, max_size=4), st.booleans())
def test_any_patch_results_in_a_document_or_an_error(document, patch, query):
    before = copy.deepcopy(document)
    with contextlib.suppress(InvalidBody, InvalidQuery, Conflict, TooLarge, FeatureNotImplemented):
        patched(JSON_PATCH_QUERY if query else JSON_PATCH, patch, document)
    assert document == before


def hostile_patches():
    """Short patches that multiply values or visit them again and again."""
    seed = {"op": "add", "path": "/a", "value": {"x": [1] * 20}}
    large = {"op": "add", "path": "/a", "value": [[1] * 50] * 20}
    item = "$.productOrderItem[?(@.quantity==2)]"
    below = st.sampled_from(["/a", "/a/x", "/a/x/0", "", "/b", "/note"])
    copies = st.builds(
        lambda source, target, count: [
            {"op": "copy", "from": source, "path": f"{target}/c{n}"} for n in range(count)
        ],
        below,
        below,
        st.integers(1, 40),
    )
    moves = st.builds(
        lambda count: [
            {"op": "move", "from": ["/a", "/b"][n % 2], "path": ["/b", "/a"][n % 2]}
            for n in range(count)
        ],
        st.integers(1, 60),
    )
    tests = st.integers(1, 60).map(lambda n: [{**large, "op": "test"}] * n)
    selections = st.integers(1, 60).map(
        lambda n: [{"op": "add", "path": f"{item}.x", "value": list(range(50))}] * n
    )
    conditions = st.integers(1, 30).map(
        lambda n: [{"op": "test", "path": f"$.a[?(@.x=~/1*/ || {n}<@.x)]", "value": 1}] * n
    )
    parts = st.lists(copies | moves | tests | selections | conditions, min_size=1, max_size=4)
    return st.builds(
        lambda first, more: [first, *(o for part in more for o in part)][:100],
        st.sampled_from([seed, large]),
        parts,
    )


@settings(deadline=None)
@given(hostile_patches(), st.booleans())
def test_the_work_of_a_patch_stays_within_its_limit(operations, query):
    limits = Settings(patch_work=20_000, resource_limit=200_000)
    patch = parse_patch(JSON_PATCH_QUERY if query else JSON_PATCH, operations, limits)
    budget = PatchBudget.of(ORDER, limits)
    result = None
    with contextlib.suppress(InvalidBody, InvalidQuery, Conflict, FeatureNotImplemented, TooLarge):
        result = patch.apply_within(budget, ORDER)
    # Work is counted before it is done, so at most one step is over the limit.
    assert budget.work <= limits.patch_work + 1000
    if result is not None:
        assert budget.work <= limits.patch_work
        assert len(orjson.dumps(result)) <= limits.resource_limit
        assert number_of_values(result) <= limits.patch_work


def number_of_values(value):
    """Return the number of JSON values in a value, itself included."""
    members = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 1
    return 1 + sum(number_of_values(member) for member in members)


def test_copies_of_copies_are_stopped_by_the_number_of_values_that_they_make():
    bomb = [{"op": "add", "path": "/x", "value": {"a": [0] * 8}}]
    bomb += [{"op": "copy", "from": "/x", "path": f"/x/{n}"} for n in range(14)]
    assert len(orjson.dumps(bomb)) < 900
    budget = PatchBudget.of(ORDER, SETTINGS)
    with pytest.raises(TooLarge, match="work"):
        parse_patch(JSON_PATCH, bomb, SETTINGS).apply_within(budget, ORDER)
    assert budget.work <= SETTINGS.patch_work + 10


def test_a_value_that_the_client_sends_is_not_counted_as_copied():
    values = [[number] * 100 for number in range(900)]
    budget = PatchBudget.of(ORDER, SETTINGS)
    operation = {"op": "replace", "path": "/note", "value": values}
    changed = parse_patch(JSON_PATCH, [operation], SETTINGS).apply_within(budget, ORDER)
    assert changed["note"] == values
    assert budget.work < 100_000


def test_a_move_costs_the_same_for_a_large_value():
    budget = PatchBudget.of(ORDER, SETTINGS)
    patch = [{"op": "move", "from": "/productOrderItem", "path": "/x"}]
    moved = parse_patch(JSON_PATCH, patch, SETTINGS).apply_within(budget, ORDER)
    assert moved["x"] == ORDER["productOrderItem"]
    assert budget.work < 10
