"""Sorting and the selection of attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.query_model import ATTRIBUTES, BODIES
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.fields import FieldSelection, projection, selected_resource
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
def test_a_sort_ends_with_the_identity(text, expected):
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
    with pytest.raises(InvalidQuery) as refused:
        sort(text)
    assert named in refused.value.message


def test_a_sort_is_by_the_stored_path():
    attributes = QueryableAttributes(
        type_of=ATTRIBUTES.type_of, stored_paths=lambda path: (f"v5.{path}",)
    )
    assert sort("-name", attributes) == [("body.v5.name", -1), ("_id", 1)]


WHOLE = {
    "id": "1",
    "href": "http://here/1",
    "@type": "Thing",
    "name": "n",
    "note": [{"author": "x", "rank": 1, "@type": "Note"}, {"rank": 2}, {}],
    "part": {"name": "p", "note": [{"author": "y", "rank": 3}]},
    "tag": ["a"],
}
ALWAYS = {"id": "1", "href": "http://here/1"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["none"], {}),
        (["name"], {"name": "n"}),
        (["name,tag"], {"name": "n", "tag": ["a"]}),
        (["name", "tag"], {"name": "n", "tag": ["a"]}),
        (["name, tag"], {"name": "n", "tag": ["a"]}),
        (["none,name"], {"name": "n"}),
        (["id"], {}),
        (["nope"], {}),
        (["@type"], {"@type": "Thing"}),
        (["note.author"], {"note": [{"author": "x"}]}),
        (["note.rank"], {"note": [{"rank": 1}, {"rank": 2}]}),
        (["note.nope"], {}),
        (["part.note.author,part.name"], {"part": {"name": "p", "note": [{"author": "y"}]}}),
        (["part,part.name"], {"part": WHOLE["part"]}),
        (["part.name,part"], {"part": WHOLE["part"]}),
        (["part.name,part.name.x"], {"part": {"name": "p"}}),
        (["name.first"], {}),
        (["tag.x"], {}),
    ],
)
def test_what_is_asked_for_is_sent_with_id_and_href(texts, expected):
    fields = FieldSelection.parse(texts)
    assert selected_resource(WHOLE, fields, with_type=False) == ALWAYS | expected
    assert (
        selected_resource(WHOLE, fields, with_type=True) == ALWAYS | {"@type": "Thing"} | expected
    )


@pytest.mark.parametrize("texts", [[], [""], ["", " "]])
def test_without_fields_everything_is_sent(texts):
    assert selected_resource(WHOLE, FieldSelection.parse(texts), with_type=False) == WHOLE
    assert projection(FieldSelection.parse(texts), lambda path: (path,)) is None


@pytest.mark.parametrize(
    "text",
    [
        "a..b",
        ".",
        "a,",
        ",",
        "$where",
        "a.$b",
        "a\0",
        "a b",
        "a.0",
        "x" * 300,
        "a," * 200,
        "\ud800",
    ],
)
def test_malformed_fields_are_refused(text):
    with pytest.raises(InvalidQuery):
        FieldSelection.parse([text])


def test_what_is_read_is_what_the_view_needs():
    places = {"orderDate": ("creationDate",), "catalog.id": ("productCatalog.id", "catalog.id")}
    read = projection(
        FieldSelection.parse(["orderDate,catalog.id,note.author,note.text"]),
        lambda path: places.get(path, (path,)),
    )
    assert set(read) == {"id", "body.@type", "body.@baseType", "body.creationDate",
                         "body.productCatalog", "body.catalog", "body.note"}  # fmt: skip
    assert set(projection(FieldSelection.parse(["none"]), lambda path: (path,))) == {
        "id",
        "body.@type",
        "body.@baseType",
    }


@given(BODIES, st.lists(st.sampled_from(["name", "note", "note.author", "part.note.rank"])))
def test_selecting_twice_is_selecting_once(body, names):
    fields = FieldSelection.parse([*names, "none"])
    once = selected_resource({"id": "1", **body}, fields, with_type=False)
    assert selected_resource(once, fields, with_type=False) == once
