"""The ``fields=`` parameter selects the attributes of a response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.query_model import BODIES
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.fields import FieldSelection, projection, selected_resource

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
def test_selected_attributes_are_returned_with_id_and_href(texts, expected):
    fields = FieldSelection.parse(texts)
    assert selected_resource(WHOLE, fields, with_type=False) == ALWAYS | expected
    assert (
        selected_resource(WHOLE, fields, with_type=True) == ALWAYS | {"@type": "Thing"} | expected
    )


@pytest.mark.parametrize("texts", [[], [""], ["", " "]])
def test_without_fields_everything_is_returned(texts):
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


def test_a_projection_reads_the_attributes_that_the_view_needs():
    stored = {"orderDate": ("creationDate",), "catalog.id": ("productCatalog.id", "catalog.id")}
    read = projection(
        FieldSelection.parse(["orderDate,catalog.id,note.author,note.text"]),
        lambda path: stored.get(path, (path,)),
    )
    assert set(read) == {"id", "body.@type", "body.@baseType", "body.creationDate",
                         "body.productCatalog", "body.catalog", "body.note"}  # fmt: skip
    assert set(projection(FieldSelection.parse(["none"]), lambda path: (path,))) == {
        "id",
        "body.@type",
        "body.@baseType",
    }


@given(BODIES, st.lists(st.sampled_from(["name", "note", "note.author", "part.note.rank"])))
def test_selecting_attributes_is_idempotent(body, names):
    fields = FieldSelection.parse([*names, "none"])
    once = selected_resource({"id": "1", **body}, fields, with_type=False)
    assert selected_resource(once, fields, with_type=False) == once
