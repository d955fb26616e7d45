"""Attribute filters match the same resources in the database as in a model in Python."""

import re
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.query_model import (
    ATTRIBUTES,
    BODIES,
    TIMES,
    has_path,
    is_match,
    matching_ids,
    scalar_values,
)
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.filtering import filter_query
from tmf_apis.settings import Settings


def query(*pairs, attributes=ATTRIBUTES):
    return filter_query(pairs, attributes, Settings())


@pytest.fixture
def ids(database):
    """Return a function from bodies and a query to the positions of the matching bodies."""
    return partial(matching_ids, database["Thing"])


@pytest.mark.parametrize(
    "pairs",
    [
        [("name", "a,b")],
        [("name", "a, b")],
        [("name", "a;b")],
        [("name", '"a";"b"')],
        [("name", "a"), ("name", "b")],
        [("name", "a;name=b")],
        [("name.in", "a;name.eq=b")],
    ],
)
def test_comma_semicolon_and_repetition_are_or(ids, pairs):
    assert ids([{"name": "a"}, {"name": "b"}, {"name": "c"}, {}], query(*pairs)) == {0, 1}


def test_another_attribute_may_follow_a_semicolon(ids):
    bodies = [{"name": "a"}, {"count": 9}, {"name": "c", "count": 1}]
    assert ids(bodies, query(("name", "a;count>5"))) == {0, 1}
    assert ids(bodies, query(("name", "a;count.gt=5"))) == {0, 1}


def test_text_after_a_semicolon_is_a_value_if_it_names_no_attribute(ids):
    bodies = [{"name": "text/plain;charset=utf-8"}, {"name": "charset=utf-8"}, {"name": "x"}]
    assert ids(bodies, query(("name", bodies[0]["name"]))) == {0, 1}


def test_different_attributes_and_operators_are_and(ids):
    bodies = [{"count": 1, "name": "a"}, {"count": 3, "name": "a"}, {"count": 3, "name": "b"}]
    assert ids(bodies, query(("count.gte", "2"), ("count.lte", "4"), ("name", "a"))) == {1}


def test_repeated_alternatives_of_two_attributes_are_and(ids):
    bodies = [{"name": "a"}, {"count": 9}, {"name": "a", "count": 9}]
    assert ids(bodies, query(("name", "a;count>5"), ("name", "b;count>8"))) == {1, 2}


def test_quotes_are_removed_and_protect_a_comma(ids):
    bodies = [{"name": "x,y"}, {"name": "x"}, {"name": "y"}]
    assert ids(bodies, query(("name", '"x,y"'))) == {0}


@pytest.mark.parametrize("text", ["x,y", "x;y", 'say "hi", you', '"quoted"', "a=b", " x "])
def test_a_text_with_separators_matches_as_a_whole(ids, text):
    assert ids([{"name": text}, {"name": "other"}], query(("name.eq", text))) == {0}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T05:04:05.678+02:00",
        "2026-01-02T05:04:05.678 02:00",
        "2026-01-02T05:04:05.678999 0200",
        '"2026-01-02T03:04:05.678Z"',
    ],
)
def test_a_time_matches_in_any_offset(ids, text):
    assert ids([{"since": "2026-01-02T03:04:05.678Z"}], query(("since", text))) == {0}


def test_a_date_means_its_midnight(ids):
    bodies = [{"since": "2026-01-01T23:59:59.999Z"}, {"since": "2026-01-02T00:00:00.000Z"}]
    assert ids(bodies, query(("since.gte", "2026-01-02"))) == {1}


def test_a_date_attribute_accepts_a_time(ids):
    assert ids([{"day": "2026-01-02"}], query(("day", "2026-01-02T10:00:00Z"))) == {0}


def test_a_negative_filter_matches_resources_without_the_value(ids):
    bodies = [{}, {"tag": ["a", "b"]}, {"tag": ["b"]}, {"tag": []}]
    assert ids(bodies, query(("tag.ne", "a"))) == {0, 2, 3}
    assert ids(bodies, query(("tag.ne", "a"), ("tag.ne", "b"))) == {0, 3}


def test_exists_true_or_false_matches_everything(ids):
    either = query(("name.exists", "true"), ("name.exists", "false"))
    assert ids([{}, {"name": "a"}], either) == {0, 1}


def test_an_attribute_stored_at_two_paths_matches_at_both(ids):
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_paths=lambda path: (path, "part." + path)
    )
    bodies = [{"name": "a"}, {"part": {"name": "a"}}, {"name": "b", "part": {"name": "b"}}, {}]

    def matches(*pairs):
        return ids(bodies, query(*pairs, attributes=attributes))

    assert matches(("name", "a")) == {0, 1}
    assert matches(("name.ne", "a")) == {2, 3}
    assert matches(("name.exists", "false")) == {3}
    assert matches(("name.regex", "^a")) == {0, 1}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^a", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc", True),
        (".*b.*", "abc", True),
        ("a.*c", "abbc", True),
        ("a.*c", "ab\nc", False),
        ("B", "abc", False),
        ("^(foo|bar)+$", "foobarfoo", True),
        ("^[A-Z]{2}-\\d+$", "AB-17", True),
        ("[a-z]+@[a-z]+", "me@here", True),
        (r"\.*x", "..x", True),
        (r"\\.*", "a\\b", True),
        ("a|b.*|.*c", "xc", True),
        ("[]a]", "]", True),
        ("é", "café", True),
        (r"a\/b", "a/b", True),
        ("", "anything", True),
        ("(?:ab){2}", "abab", True),
        ("(?:a{2}b)*c", "aabaabc", True),
    ],
)
def test_a_pattern_matches_as_in_python(ids, pattern, text, expected):
    assert bool(re.search(pattern, text)) == expected
    assert ids([{"name": text}], query(("name.regex", pattern))) == ({0} if expected else set())


@pytest.mark.parametrize("pattern", ["a.*b", "^a*a*$", "(?:ab)*c", "(a|b).{0,99}c", "a?a?a?a?b"])
@pytest.mark.parametrize("text", ["a" * 1_000, "a" * 200_000, "ab" * 500])
def test_no_permitted_pattern_keeps_the_database_busy(ids, pattern, text):
    # The database ends the query with an error if it takes too long (``matching_ids``).
    assert ids([{"name": text}], query(("name.regex", pattern))) <= {0}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("a.*b", "a" * 998 + "b"),
        ("(?:ab)*c", "ab" * 499 + "c"),
        ("^a*a*b$", "a" * 999 + "b"),
        ("^[a-z]*[a-y]*!$", "a" * 999 + "!"),
        ("^a", "a" * 200_000),
    ],
)
def test_a_pattern_matches_texts_up_to_its_length_limit(ids, pattern, text):
    assert ids([{"name": text}], query(("name.regex", pattern))) == {0}


def test_a_costly_pattern_does_not_match_longer_texts(ids):
    assert ids([{"name": "a" * 1000 + "b"}], query(("name.regex", "a.*b"))) == set()


_TYPED = {
    "name": ("text", st.sampled_from(["a", "ab", "5", "true", "é"])),
    "count": ("number", st.sampled_from([-1, 0, 1, 2])),
    "amount": ("number", st.sampled_from([-1.5, 0, 2.5, 1e20])),
    "flag": ("flag", st.booleans()),
    "since": ("text", st.sampled_from(TIMES)),
    "tag": ("text", st.sampled_from(["a", "b", "5"])),
    "note.author": ("text", st.sampled_from(["a", "b"])),
    "note.rank": ("number", st.sampled_from([0, 1, 2])),
    "part.size": ("number", st.sampled_from([0, 1, 2.5])),
    "part.note.author": ("text", st.sampled_from(["a", "b"])),
    "characteristic.value": ("any", st.sampled_from(["a", "5", "true", "2.5"])),
}
_ORDERED = ("gt", "gte", "lt", "lte")


@st.composite
def filters(draw):
    """Draw a filter: path, operator and operands."""
    path = draw(st.sampled_from(sorted(_TYPED)))
    kind, operands = _TYPED[path]
    operators = ["eq", "ne", "in", "nin", "exists", *(() if kind == "flag" else _ORDERED)]
    operator = draw(st.sampled_from(operators))
    return path, operator, draw(st.lists(operands, min_size=1, max_size=3, unique=True))


def parameter_of(path, operator, operands):
    """Return the query parameter of a filter."""
    if operator == "exists":
        return f"{path}.exists", "true"
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in operands]
    return f"{path}.{operator}", ",".join(texts)


def interpretations(path, operator, operands):
    """Return the values that the texts of the operands represent."""
    if _TYPED[path][0] != "any":
        return operands
    typed = {"5": 5, "2.5": 2.5, "true": True}
    values = [typed.get(text) for text in operands]
    if operator in _ORDERED:
        pairs = zip(values, operands, strict=True)
        return [value if type(value) in (int, float) else text for value, text in pairs]
    return [*operands, *(value for value in values if value is not None)]


def matches_filter(body, path, operator, operands):
    if operator == "exists":
        return has_path(body, path)
    comparison = operator if operator in _ORDERED else "eq"
    has_match = any(
        is_match(value, comparison, operand)
        for value in scalar_values(body, path)
        for operand in interpretations(path, operator, operands)
    )
    return has_match is not (operator in ("ne", "nin"))


def attribute_and_comparison(filter_):
    """Return the key that alternative filters share: ``in`` is ``eq`` of a list."""
    attribute, operator, _ = filter_
    return attribute, {"in": "eq", "nin": "ne"}.get(operator, operator)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    bodies=st.lists(BODIES, min_size=1, max_size=8),
    drawn=st.lists(filters(), min_size=1, max_size=3, unique_by=attribute_and_comparison),
)
def test_filters_match_the_same_resources_as_in_python(ids, bodies, drawn):
    expected = {
        number
        for number, body in enumerate(bodies)
        if all(matches_filter(body, *parts) for parts in drawn)
    }
    assert ids(bodies, query(*(parameter_of(*parts) for parts in drawn))) == expected
