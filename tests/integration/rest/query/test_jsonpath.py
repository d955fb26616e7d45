"""``filter=`` paths match the same resources in the database as in a model in Python."""

import re
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.query_model import (
    ATTRIBUTES,
    BODIES,
    has_path,
    is_match,
    matching_ids,
    scalar_values,
)
from tmf_apis.errors import FeatureNotImplemented, InvalidQuery
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.jsonpath_query import jsonpath_query
from tmf_apis.settings import Settings


def query(text, attributes=ATTRIBUTES):
    return jsonpath_query(text, attributes, Settings())


@pytest.fixture
def ids(database):
    """Return a function from bodies and a query to the positions of the matching bodies."""
    return partial(matching_ids, database["Thing"])


SAME = [{"author": "x", "rank": 1}, {"author": "y", "rank": 2}]
NOTES = [
    {"note": SAME},
    {"note": [{"author": "x", "rank": 2}]},
    {"note": []},
    {},
    {"part": {"name": "p", "size": 2.5, "note": SAME}, "name": "n", "count": 3},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.note[?(@.author=='x' && @.rank==2)]", {1}),
        ("note[?(@.author=='x' && @.rank==2)]", {1}),
        ('$.note[?(@.author == "x")]', {0, 1}),
        ("$['note'][?(@['author']=='x')]", {0, 1}),
        ("$.note[*][?(@.author=='x')]", {0, 1}),
        ("$.note[?('x'==@.author)]", {0, 1}),
        ("$.note[?(2<=@.rank)]", {0, 1}),
        ("$.note[?(@.rank>1 || @.author=='x')]", {0, 1}),
        ("$.note[?(!(@.rank>1))]", {0}),
        ("$.note[?(!@.at)]", {0, 1}),
        ("$.note[?(@.at==null)]", {0, 1}),
        ("$.note[?(@.at!=null)]", set()),
        ("$.note[?(@.author in ['y', null])]", {0}),
        ("$.note[?(@.author nin ['y', null])]", {0, 1}),
        ("$.note[?(@.author nin ['x','y'])]", set()),
        ("$.note[?(@.author=~/^X/i)]", {0, 1}),
        ("$.note[?(@.author=~/^X/)]", set()),
        ("$.note[?(@.author)].rank", {0, 1}),
        ("$.note[?(@.author)].at", set()),
        ("$.note", {0, 1, 2}),
        ("$.part.note", {4}),
        ("$.part[?(@.size>2)]", {4}),
        ("$.part[?(@.note[?(@.author=='x' && @.rank==1)])]", {4}),
        ("$.part[?(@.note[?(@.author=='x' && @.rank==2)])]", set()),
        ("$[?(@.part.note[?(@.author=='y')] && @.name=='n')]", {4}),
        ("$[?(@.count>=3)]", {4}),
        ("[?(@.count>=3)]", {4}),
        ("$[*][?(@.count>=3)]", {4}),
        ("$[?(@.name=='n')].part[?(@.name=='p')]", {4}),
        ("$[?(@.name!='n')]", {0, 1, 2, 3}),
        ("$[?(@)]", {0, 1, 2, 3, 4}),
        ("$[?(@.count==3 && (@.name=='z' || @.name=='n'))]", {4}),
        ("$[?(@.count==3.0)]", {4}),
        ("$[?(@.id=='004')]", {4}),
    ],
)
def test_a_path_matches_resources_in_which_it_selects_something(ids, text, expected):
    assert ids(NOTES, query(text)) == expected


def test_scalar_elements_can_be_compared(ids):
    bodies = [{"tag": ["a", "b"]}, {"tag": ["c"]}, {}]
    assert ids(bodies, query("$.tag[?(@=='a')]")) == {0}
    assert ids(bodies, query("$.tag[?(@ in ['c','x'])]")) == {1}
    assert ids(bodies, query("$.tag[?(@>'a')]")) == {0, 1}


def test_characteristics_are_found_by_name_and_value(ids):
    bodies = [
        {"characteristic": [{"name": "speed", "value": 100}, {"name": "color", "value": "red"}]},
        {"characteristic": [{"name": "speed", "value": "100"}]},
        {"characteristic": [{"name": "speed", "value": 50}, {"name": "other", "value": 100}]},
    ]
    assert ids(bodies, query("$.characteristic[?(@.name=='speed' && @.value==100)]")) == {0, 1}
    assert ids(bodies, query("$.characteristic[?(@.name=='speed' && @.value>60)]")) == {0}


def test_conditions_apply_to_the_same_element_of_a_nested_array(ids):
    bodies = [
        {"child": [{"note": [{"author": "x", "rank": 1}]}, {"note": [{"author": "y"}]}]},
        {"child": [{"note": [{"author": "x"}, {"rank": 1}]}]},
        {"child": [{"name": "n", "note": [{"rank": 1}]}, {"name": "m"}]},
    ]
    assert ids(bodies, query("$.child.note[?(@.author=='x' && @.rank==1)]")) == {0}
    assert ids(bodies, query("$.child[?(@.name=='n' && @.note[?(@.rank==1)])]")) == {2}
    assert ids(bodies, query("$.child[?(@.name=='m' && @.note[?(@.rank==1)])]")) == set()
    assert ids(bodies, query("$.child[?(@.note.author=='x' && @.note.rank==1)]")) == {0, 1}


def test_conditions_apply_to_the_same_object_inside_an_array(ids):
    bodies = [
        {"child": [{"part": {"name": "a", "size": 1}}, {"part": {"name": "b", "size": 2}}]},
        {"child": [{"part": {"name": "a", "size": 2}}]},
    ]
    assert ids(bodies, query("$.child.part[?(@.name=='a' && @.size==2)]")) == {1}


def test_times_are_compared_as_times(ids):
    bodies = [{"note": [{"at": "2026-01-01T10:00:00.000Z"}]}]
    assert ids(bodies, query("$.note[?(@.at=='2026-01-01T12:00:00+02:00')]")) == {0}
    assert ids(bodies, query("$.note[?(@.at>'2026-01-01')]")) == {0}


def test_an_element_is_searched_at_its_stored_path(ids):
    stored = {"note": ("remark",), "note.author": ("remark.by.name",), "note.rank": ("rank",)}
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_paths=lambda path: stored.get(path, (path,))
    )
    bodies = [{"remark": [{"by": {"name": "x"}}]}, {"remark": [{"by": {"name": "y"}}]}]
    assert ids(bodies, query("$.note[?(@.author=='x')]", attributes)) == {0}
    with pytest.raises(FeatureNotImplemented, match=r"note\.rank"):
        query("$.note[?(@.rank==1)]", attributes)


def test_an_array_stored_at_two_paths_matches_at_both(ids):
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_paths=lambda path: (path, "part." + path)
    )
    bodies = [{"note": [{"author": "x"}]}, {"part": {"note": [{"author": "x"}]}}, {}]
    assert ids(bodies, query("$.note[?(@.author=='x')]", attributes)) == {0, 1}


_TEXTS = st.sampled_from(["'a'", "'b'", "'5'"])
_NUMBERS = st.sampled_from(["0", "1", "2", "2.5", "-1"])
_ATTRIBUTES_AT = {
    "$": {"name": _TEXTS, "count": _NUMBERS, "amount": _NUMBERS, "tag": _TEXTS,
          "part.name": _TEXTS, "note.rank": _NUMBERS},
    "note": {"author": _TEXTS, "rank": _NUMBERS},
    "part": {"name": _TEXTS, "size": _NUMBERS, "note.author": _TEXTS},
    "part.note": {"author": _TEXTS, "rank": _NUMBERS},
}  # fmt: skip
_MARKS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def expressions(parent):
    """Return a strategy of expression trees about the attributes at a parent path."""
    attributes = _ATTRIBUTES_AT[parent]
    path = st.sampled_from(sorted(attributes))
    compare = path.flatmap(
        lambda name: st.tuples(
            st.just("compare"), st.just(name), st.sampled_from(sorted(_MARKS)), attributes[name]
        )
    )
    leaf = compare | st.tuples(st.just("exists"), path)
    return st.recursive(
        leaf,
        lambda inner: (
            st.tuples(st.sampled_from(["&&", "||"]), inner, inner) | st.tuples(st.just("!"), inner)
        ),
        max_leaves=5,
    )


def text_of(tree):
    match tree:
        case ("compare", path, mark, literal):
            return f"@.{path}{mark}{literal}"
        case ("exists", path):
            return f"@.{path}"
        case ("!", inner):
            return f"!({text_of(inner)})"
        case (mark, left, right):
            return f"({text_of(left)}){mark}({text_of(right)})"


def matches_tree(tree, element):
    match tree:
        case ("compare", path, mark, literal):
            operand = literal[1:-1] if literal.startswith("'") else float(literal)
            operator = "eq" if mark == "!=" else _MARKS[mark]
            return (mark == "!=") != any(
                is_match(value, operator, operand) for value in scalar_values(element, path)
            )
        case ("exists", path):
            return has_path(element, path)
        case ("!", inner):
            return not matches_tree(inner, element)
        case ("&&", left, right):
            return matches_tree(left, element) and matches_tree(right, element)
        case ("||", left, right):
            return matches_tree(left, element) or matches_tree(right, element)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bodies=st.lists(BODIES, min_size=1, max_size=8), data=st.data())
def test_paths_match_the_same_resources_as_in_python(ids, bodies, data):
    parent = data.draw(st.sampled_from(sorted(_ATTRIBUTES_AT)))
    tree = data.draw(expressions(parent))
    start = "$" if parent == "$" else f"$.{parent}"
    try:
        compiled = query(f"{start}[?({text_of(tree)})]")
    except InvalidQuery as caught:
        assert re.search("characters|nested", caught.message)  # noqa: PT017
        return
    expected = {
        number
        for number, body in enumerate(bodies)
        if any(
            matches_tree(tree, element)
            for element in ([body] if parent == "$" else scalar_values(body, parent))
        )
    }
    assert ids(bodies, compiled) == expected
