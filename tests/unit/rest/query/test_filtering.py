"""Attribute filters are compiled to MongoDB queries, or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.query_model import ATTRIBUTES
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.filtering import all_of, any_of, filter_query
from tmf_apis.settings import Settings

SETTINGS = Settings()
UNTYPED = QueryableAttributes(type_of=ATTRIBUTES.type_of, allow_unknown=True)


def query(*pairs, attributes=ATTRIBUTES, settings=SETTINGS):
    return filter_query(pairs, attributes, settings)


def refusal(*pairs, **options):
    with pytest.raises(InvalidQuery) as caught:
        query(*pairs, **options)
    return caught.value.message


def test_without_filters_the_query_is_empty():
    assert query() == {}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("name", "a"), {"body.name": {"$eq": "a"}}),
        (("name.eq", "a"), {"body.name": {"$eq": "a"}}),
        (("name", "=a"), {"body.name": {"$eq": "a"}}),
        (("name==a", ""), {"body.name": {"$eq": "a"}}),
        (("name.eq", "=a"), {"body.name": {"$eq": "=a"}}),
        (("name!", "a"), {"body.name": {"$ne": "a"}}),
        (("name!=a", ""), {"body.name": {"$ne": "a"}}),
        (("count>5", ""), {"body.count": {"$gt": 5}}),
        (("count>", "5"), {"body.count": {"$gte": 5}}),
        (("count>=", "5"), {"body.count": {"$gte": 5}}),
        (("count>=5", ""), {"body.count": {"$gte": 5}}),
        (("count<5", ""), {"body.count": {"$lt": 5}}),
        (("count<", "5"), {"body.count": {"$lte": 5}}),
        (("count.in", "1,2"), {"body.count": {"$in": [1, 2]}}),
        (("count.nin", "1,2"), {"body.count": {"$nin": [1, 2]}}),
        (("count.nin", "1"), {"body.count": {"$ne": 1}}),
        (("count.gt", "1,2"), {"$or": [{"body.count": {"$gt": 1}}, {"body.count": {"$gt": 2}}]}),
        (("amount", "2.5"), {"body.amount": {"$eq": 2.5}}),
        (("amount", " 5"), {"body.amount": {"$eq": 5}}),
        (("flag", "true"), {"body.flag": {"$eq": True}}),
        (("name>a", "b"), {"body.name": {"$gt": "a=b"}}),
        (("name", "~^a,b"), {"body.name": {"$regex": "^a,b"}}),
        (("name*", "^a;b"), {"body.name": {"$regex": "^a;b"}}),
        (("name.regex", ".*a.*"), {"body.name": {"$regex": "a"}}),
        (("name=~a", ""), {"body.name": {"$regex": "a"}}),
        (("note.regex", "a"), {"body.note.regex": {"$eq": "a"}}),
        (("part.exists", "true"), {"body.part": {"$exists": True}}),
        (("part.exists", "false"), {"body.part": {"$exists": False}}),
        (("id", "42"), {"id": {"$eq": "42"}}),
        (("href", "https://h/x/4%202/"), {"id": {"$eq": "4 2"}}),
        (("characteristic.value", "5"), {"body.characteristic.value": {"$in": ["5", 5]}}),
        (("characteristic.value", "x"), {"body.characteristic.value": {"$eq": "x"}}),
        (("characteristic.value.gt", "5"), {"body.characteristic.value": {"$gt": 5}}),
        (("characteristic.value.gt", "x"), {"body.characteristic.value": {"$gt": "x"}}),
        (("characteristic.value.deep", "x"), {"body.characteristic.value.deep": {"$eq": "x"}}),
        (("child.child.name", "x"), {"body.child.child.name": {"$eq": "x"}}),
    ],
)
def test_each_form_of_a_filter_has_its_query(pair, expected):
    assert query(pair) == expected


def test_a_value_is_converted_to_its_stored_form():
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_values=lambda path, value: (f"{path}:{value}",)
    )
    assert query(("name", "a"), attributes=attributes) == {"body.name": {"$eq": "name:a"}}


def test_document_paths_may_have_another_prefix():
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, prefix="event.thing.", outside_body={}
    )
    compiled = query(("id", "1"), attributes=attributes)
    assert compiled == {"event.thing.id": {"$eq": "1"}}


def test_a_filter_does_not_override_another_clause_on_the_same_path():
    own = {"tenant": "mine"}
    compiled = query(
        ("tenant", "yours"),
        attributes=QueryableAttributes(type_of=UNTYPED.type_of, allow_unknown=True),
    )
    assert all_of(own, compiled) == {"$and": [own, {"body.tenant": {"$eq": "yours"}}]}
    assert all_of({}, own) == own
    assert any_of({}, own) == {}


@pytest.mark.parametrize(
    ("pair", "named"),
    [
        (("nope", "x"), "'nope'"),
        (("part.nope", "x"), "'part.nope'"),
        (("name.like", "x"), "'name.like'; operators: eq"),
        (("name.like.this", "x"), "'name.like.this'"),
        (("body.tenant", "x"), "'body.tenant'"),
        (("tenant", "x"), "'tenant'"),
        (("__proto__", "x"), "'__proto__'"),
        (("constructor.prototype", "x"), "'constructor.prototype'"),
        (("$where", "sleep(1000)"), "$where"),
        (("name.$ne", "x"), "name.$ne"),
        (("name[$ne]", "x"), "name[$ne]"),
        (("", "x"), "''"),
        ((".", "x"), "'.'"),
        (("name.", "x"), "'name.'"),
        (("name", "a;" + "n" * 300 + "=b" + "\0"), "not text"),
        (("note..author", "x"), "'note..author'"),
        (("note.0.author", "x"), "'note.0.author'"),
        (("na\0me", "x"), "'na\\x00me'"),
        (("n" * 300, "x"), "256 characters"),
        (("name." + "n" * 300, "x"), "256 characters"),
        (("n" * 300 + ".gt", "x"), "256 characters"),
        ((".".join("n" * 20), "x"), "16 segments"),
        (("a!b", "x"), "'a!b'"),
        (("count", "five"), "'count' is a number"),
        (("count", ""), "'count' is a number"),
        (("count", "1,,2"), "'count' is a number"),
        (("count", "9223372036854775808"), "'count' is a number"),
        (("count", "9" * 4000), "'count' is a number"),
        (("amount", "1e400"), "'amount' is a number"),
        (("amount", "NaN"), "'amount' is a number"),
        (("amount", "0x10"), "'amount' is a number"),
        (("count", "٣"), "'count' is a number"),
        (("flag", "yes"), "'flag' is true or false"),
        (("flag.gt", "true"), "has no order"),
        (("href.gt", "x"), "has no order"),
        (("href.regex", "x"), "is not text"),
        (("count.regex", "x"), "is not text"),
        (("since", "yesterday"), "'since' is a time"),
        (("since", "2026-13-01"), "'since' is a time"),
        (("day", "x"), "'day' is a date"),
        (("part", "x"), "'part' has parts"),
        (("name.exists", "perhaps"), "exists is true or false"),
        (("name", "a\0b"), "not text"),
        (("name", "a\0b,c"), "not text"),
        (("name", "\ud800"), "not text"),
        (("name.regex", "\0"), "not text"),
        (("name", "x" * 10_000), "4096 characters"),
        (("name.regex", "x" * 300), "256 characters"),
        (("name", "a," * 100), "100 values"),
    ],
)
def test_a_bad_filter_is_refused_by_name(pair, named):
    assert named in refusal(pair)


def test_too_many_filters_are_refused():
    assert "100 filters" in refusal(*[("name", "x")] * 101)


def test_too_many_values_of_alternatives_are_refused():
    assert "2 values" in refusal(("name", "a,b;count=1"), settings=Settings(filter_values=2))


def test_a_path_that_is_stored_nowhere_is_refused():
    attributes = QueryableAttributes(type_of=ATTRIBUTES.type_of, stored_paths=lambda _: ())
    assert "'name'" in refusal(("name", "x"), attributes=attributes)


def test_unknown_attributes_are_of_any_type_if_they_are_allowed():
    assert query(("nope", "5"), attributes=UNTYPED) == {"body.nope": {"$in": ["5", 5]}}
    assert "$where" in refusal(("$where", "1"), attributes=UNTYPED)


def operators_in(value):
    """Return the names with a dollar sign at any depth of a query."""
    if isinstance(value, dict):
        inner = {name for member in value.values() for name in operators_in(member)}
        return inner | {name for name in value if name.startswith("$")}
    if isinstance(value, list):
        return {name for item in value for name in operators_in(item)}
    return set()


@settings(max_examples=300, deadline=None)
@given(name=st.text(max_size=40), value=st.text(max_size=40))
def test_any_name_and_value_is_compiled_or_refused(name, value):
    try:
        compiled = query((name, value), attributes=UNTYPED)
    except InvalidQuery:
        return
    assert operators_in(compiled) <= {
        "$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$regex", "$exists",
        "$or", "$and",
    }  # fmt: skip
