"""Names in bodies: data inside a value of any type, and never an operator of the database."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.contract_collections import CONTRACTS
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.http.bodies import OPEN_ATTRIBUTES, check_limits, parse
from tmf_apis.settings import Settings

SETTINGS = Settings()
TYPING = {"type", "properties", "allOf", "oneOf", "anyOf", "enum", "discriminator"}
NAMES = st.one_of(
    st.sampled_from(["$ref", "$schema", "$where", "$gt", "$", "", ".", "a.b", "_id", "__proto__"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("$a", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def is_open(schemas, node):
    """Return whether a schema allows any JSON value, or an object of any members."""
    while "$ref" in node or node.get("type") == "array":
        reference = node.get("$ref")
        node = schemas[reference.rpartition("/")[2]] if reference else node.get("items", {})
    return TYPING.isdisjoint(node) or (
        node.get("type") == "object" and len(TYPING & set(node)) == 1
    )


def test_the_open_attributes_are_those_of_the_contracts():
    names = set()
    for contract in CONTRACTS:
        schemas = contract.document["components"]["schemas"]
        for schema in schemas.values():
            for part in (schema, *schema.get("allOf", ())):
                members = part.get("properties", {}).items()
                names |= {name for name, node in members if is_open(schemas, node)}
    assert names == OPEN_ATTRIBUTES


@given(VALUES)
def test_every_name_in_a_value_of_any_type_is_data(value):
    body = {"characteristic": [{"name": "x", "value": value}]}
    assert parse(orjson.dumps(body), SETTINGS) == body
    check_limits(body, SETTINGS)


@given(st.sampled_from(["", "$where", "$ref", "$"]), VALUES)
def test_such_a_name_outside_of_it_is_refused_with_its_place(name, value):
    for body in (
        {name: value},
        {"a": [{"b": 1}, {name: value}]},
        {"value": value, "a": [{"b": 1}, {name: value}]},
    ):
        with pytest.raises(InvalidBody) as refusal:
            parse(orjson.dumps(body), SETTINGS)
        place = "/a/1" if "a" in body else "/"
        assert refusal.value.message.startswith(f"{place}: {name!r} cannot be the name")


def test_a_reference_of_the_database_is_refused():
    for inner in ({"$ref": "a", "$id": 1}, {"x": [{"$id": None, "$ref": ""}]}):
        body = {"value": inner}
        with pytest.raises(InvalidBody, match=r"cannot have both \$ref and \$id"):
            parse(orjson.dumps(body), SETTINGS)


def test_deep_values_with_such_names_are_refused():
    deep = b'{"value":' * 500 + b'{"$x":1}' + b"}" * 500
    for text in (deep, b'{"value":{"$a":1,"b":' + deep + b"}}"):
        with pytest.raises(InvalidBody, match="nested too deep"):
            parse(text, SETTINGS)
