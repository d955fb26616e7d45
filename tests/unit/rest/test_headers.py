"""Repeated headers: lists are joined, headers with one value are refused."""

import ast

import pytest

from tests.support.paths import ROOT
from tmf_apis.errors import BadRequest
from tmf_apis.rest.http.headers import SINGLE_VALUE_HEADERS, request_headers

#: Headers that the server reads and whose values are lists (RFC 9110, RFC 7240).
LIST_HEADERS = {"accept", "content-encoding", "prefer"}
#: A header of responses, which the patch of a collection reads.
RESPONSE_HEADERS = {"location", "preference-applied"}


def headers_read_by_the_server():
    """Return the names in ``headers.get("...")`` and ``headers["..."]`` of requests."""
    names = set()
    for folder in ("rest/http", "security", "console"):
        for path in (ROOT / "tmf_apis" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case (
                        ast.Call(
                            func=ast.Attribute(value=holder, attr="get"),
                            args=[ast.Constant(value=str(name)), *_],
                        )
                        | ast.Subscript(
                            value=holder, slice=ast.Constant(value=str(name)), ctx=ast.Load()
                        )
                    ) if ast.unparse(holder).endswith("headers"):
                        names.add(name.lower())
    return names


def test_every_header_that_the_server_reads_has_one_value_or_is_a_list():
    names = headers_read_by_the_server()
    assert {"authorization", "host", "content-length", "content-type", "if-match",
            "idempotency-key"} <= names  # fmt: skip
    assert names <= SINGLE_VALUE_HEADERS | LIST_HEADERS | RESPONSE_HEADERS


@pytest.mark.parametrize("name", sorted(SINGLE_VALUE_HEADERS))
def test_a_header_with_one_value_must_not_be_repeated(name):
    pairs = [(b"accept", b"x"), (name.encode(), b"1"), (name.encode(), b"1")]
    with pytest.raises(BadRequest, match=name):
        request_headers(pairs)
    assert request_headers(pairs[:2]) == {"accept": "x", name: "1"}
