"""``filter=`` paths are compiled to MongoDB queries, or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.query_model import ATTRIBUTES
from tmf_apis.errors import FeatureNotImplemented, InvalidQuery, TmfError
from tmf_apis.rest.query.jsonpath_query import jsonpath_query
from tmf_apis.settings import Settings


def query(text, attributes=ATTRIBUTES):
    return jsonpath_query(text, attributes, Settings())


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "$", "$.", "$.note[", "$.note[?", "$.note[?(", "$.note[?()]",
        "$.note[?(@.author=)]",
        "$.note[?(@.author=='x')", "$.note[?(@.author=='x'])", "$.note[?(@.author=='x)]",
        "$.note[?(@.author='x')]", "$.note[?(@.author==x)]", "$.note[?(author=='x')]",
        "$.note[?(@.author=='x' &&)]", "$.note[?(@.author=='x' and @.rank==1)]",
        "$.note[?(@.author in 'x')]", "$.note[?(@.author in [])]", "$.note[?('x')]",
        "$.note[?(@.rank>null)]", "$.note[?(@.rank=='many')]", "$.note[?(@.rank=~/1/)]",
        "$.note[?(@.author=~/(a+)+/)]", "$.note[?(@.author=~'x')]", "$.nope", "$.note.nope",
        "$.note[?(@.nope=='x')]", "$.$where", "$['$where']", "$['a.b']", "$[?(@['$ne']==1)]",
        "$.note[?(@.author=='a\0b')]", "$.part[?(@=='x')]]", "x", "$ $", "$.name=='x'", "\ud800",
        "$.note[?(@.author=='\ud800')]", "#", "$.note[x]",
    ],
)  # fmt: skip
def test_a_malformed_path_or_an_unknown_attribute_is_400(text):
    with pytest.raises(InvalidQuery):
        query(text)


@pytest.mark.parametrize(
    "text",
    [
        "$..author", "$.*", "$.note[0]", "$.note[-1:]", "$.note[0:1]", "$.note[:1]",
        "$['note','tag']", "$.note.length()", "$.note[?(@.author.length()>1)]",
        "$.note[?(length(@.author)>1)]", "$.note[?(@.author==@.rank)]",
        "$.note[?(@.rank==$.count)]",
        "$.note[?($.count==1)]", "$.note[?(@.author=~/x/x)]", "$.tag[?(@!='a')]",
        "$.note[?(@.rank==1)][?(@.author=='x')]", "$.tag[?(@=='a' && @=='b')]",
        "$.child[?(@.note[?(@.rank==1)].author=='x')]", "$.tag[?(@=='a')].x",
    ],
)  # fmt: skip
def test_unsupported_jsonpath_is_501(text):
    with pytest.raises(FeatureNotImplemented):
        query(text)


@pytest.mark.parametrize(
    "text",
    [
        "$" + ".child" * 9,
        "$" + ".child" * 80,
        "$" + "[*]" * 150 + ".name" * 9,
        "$.note[?(" + "(" * 9 + "@.rank" + ")" * 9 + ")]",
        "$.note[?(" + "!" * 200 + "@.rank)]",
        "$.child[?(@" + ".child[?(@" * 9 + ".name" + ")]" * 9 + ")]",
        "$.note[?(" + "||".join(["@.rank"] * 40) + ")]",
        "$.note[?(@.rank in [" + ",".join(["1"] * 101) + "])]",
        "$.note[?(@.author=='" + "x" * 600 + "')]",
        "(" * 500,
        "[?(" * 100,
    ],
)
def test_an_oversized_path_is_400(text):
    with pytest.raises(InvalidQuery):
        query(text)


_PIECES = ["$", "@", ".", "[", "]", "?", "(", ")", "*", "note", "author", "'x'", "1", "==", "!=",
           "=~", "/a/", "&&", "||", "!", "in", "null", ",", "..", "$where", "\0", " "]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=30).map("".join) | st.text(max_size=50))
def test_any_text_is_compiled_or_refused(text):
    try:
        compiled = query(text)
    except TmfError as caught:
        assert caught.status in (400, 501)  # noqa: PT017
        return
    assert "$where" not in str(compiled)
    assert "$expr" not in str(compiled)
