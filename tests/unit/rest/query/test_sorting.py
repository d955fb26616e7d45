"""The ``sort=`` parameter is compiled to a MongoDB sort, or refused."""

import pytest

from tests.support.query_model import ATTRIBUTES
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.sorting import mongodb_sort, sort_keys


def sort(text, attributes=ATTRIBUTES):
    return mongodb_sort(sort_keys(text, attributes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("_id", 1)]),
        ("name", [("body.name", 1), ("_id", 1)]),
        ("-name", [("body.name", -1), ("_id", 1)]),
        ("+name", [("body.name", 1), ("_id", 1)]),
        (" name", [("body.name", 1), ("_id", 1)]),
        ("name, -count", [("body.name", 1), ("body.count", -1), ("_id", 1)]),
        ("part.name", [("body.part.name", 1), ("_id", 1)]),
        ("name,-name", [("body.name", 1), ("_id", 1)]),
        ("id", [("_id", 1)]),
        ("-id,name", [("_id", -1)]),
        ("name,-href", [("body.name", 1), ("_id", -1)]),
        ("note.rank", [("body.note.rank", 1), ("_id", 1)]),
    ],
)
def test_a_sort_ends_with_the_document_id(text, expected):
    assert sort(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nope", "'nope'"),
        ("-body.tenant", "body.tenant"),
        ("$where", "where"),
        ("name,", "''"),
        ("-", "''"),
        ("--name", "'-name'"),
        ("note.0.rank", "note.0.rank"),
        ("part", "has parts"),
        ("name,count,amount,flag,since,day", "at most 5"),
        ("tag,note.rank", "several values"),
        ("na\0me", "path"),
    ],
)
def test_a_bad_sort_is_refused_by_name(text, named):
    with pytest.raises(InvalidQuery) as caught:
        sort(text)
    assert named in caught.value.message


def test_a_sort_uses_the_stored_path():
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_paths=lambda path: (f"v5.{path}",)
    )
    assert sort("-name", attributes) == [("body.v5.name", -1), ("_id", 1)]
