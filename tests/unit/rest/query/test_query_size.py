"""The size of the database query of a list grows no faster than the request."""

import contextlib
from urllib.parse import quote

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import TmfError
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.query.parameters import parse_parameters
from tmf_apis.settings import Settings

#: Most bytes of the query for each byte of the request, and for an empty request.
GROWTH, BASE = 25, 1000
NAMES = st.sampled_from(
    ["id", "priority", "state", "category", "relatedParty.role", "note.text", "productOrderItem.id",
     "productOrderItem.product.productCharacteristic.value", "expectedCompletionDate"]
)  # fmt: skip
VALUES = st.lists(st.sampled_from(["1", "held", "x y", "2026-01-01T00:00:00Z"]), min_size=1)
OPERATORS = st.sampled_from(["", ".ne", ".in", ".nin", ".gt", ".lte", ".regex", ".exists"])
FILTERS = st.builds(
    lambda name, operator, values: f"{name}{operator}={quote(','.join(values))}",
    NAMES, OPERATORS, VALUES,
)  # fmt: skip
TERMS = st.builds(lambda name, value: f"@.{name}=='{value}'", NAMES, st.sampled_from("ab"))
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=6).map(" || ".join)
        | st.lists(inner, min_size=1, max_size=6).map(lambda parts: f"({' && '.join(parts)})")
        | inner.map(lambda part: f"!({part})")
        | inner.map(lambda part: f"@.productOrderItem[?({part})].note")
    ),
    max_leaves=20,
)
JSONPATHS = CONDITIONS.map(lambda condition: "filter=" + quote(f"$[?({condition})]"))
SORTS = st.lists(NAMES, min_size=1, max_size=12).map(lambda names: "sort=" + ",".join(names))
FIELDS = st.lists(NAMES, min_size=1, max_size=120).map(lambda names: "fields=" + ",".join(names))
CURSORS = st.sampled_from(["after=", "before=", "after=WyJhIiwiYiIsImMiLCJkIiwiZSJd", "offset=9"])
QUERIES = st.lists(FILTERS | JSONPATHS | SORTS | FIELDS | CURSORS, max_size=40).map("&".join)


@pytest.fixture(scope="module")
def list_operation(contracts):
    contract = contracts["TMF622", "v5"]
    operation = next(
        o for o in contract.operations if o.action == "list" and o.kind == "ProductOrder"
    )
    return ListQueryCompiler(contract, Settings()), operation


@given(query=QUERIES)
def test_a_hostile_list_request_compiles_to_a_bounded_query(list_operation, query):
    compiler, operation = list_operation
    with contextlib.suppress(TmfError):
        compiled = compiler.parse(operation, parse_parameters(query))
        parts = {
            "conditions": compiled.conditions,
            "sort": [list(key) for key in compiled.page.sort],
            "cursor": compiled.page.cursor_clause,
            "projection": compiled.projection,
        }
        assert len(bson.encode(parts)) <= BASE + GROWTH * len(query)
