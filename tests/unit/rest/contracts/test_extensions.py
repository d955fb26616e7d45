"""Extension types: the schemas that can be registered, and the contracts that they apply to."""

import json

import pytest

from tests.support.contract_collections import CONTRACTS
from tests.support.extension_types import FRUIT
from tmf_apis.errors import Conflict, InvalidBody, TooLarge
from tmf_apis.rest.contracts.extensions import (
    contract_extensions,
    dereferenced_schema,
    extensions_by_base,
    validated_schema,
)


def refusal(schema, name="Fruit", error=InvalidBody):
    with pytest.raises(error) as caught:
        validated_schema(name, json.dumps(schema).encode(), CONTRACTS)
    return caught.value.message


def with_properties(**properties):
    return {"x-baseType": "ProductOffering", "properties": properties}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x-baseType": "Nonsense"}, "/x-baseType"),
        ({"x-baseType": 3}, "/x-baseType"),
        ({"type": "array"}, "/type"),
        ({"properties": {"a": {"type": "colour"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"type": "string", "pattern": "(a"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"type": "string", "pattern": "(a)\\1"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"$ref": "https://elsewhere.example/x.json"}}}, "$ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "$ref"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "$ref"),
        ({"properties": {"a": {"$id": "https://elsewhere.example"}}}, "$id"),
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, "$dynamicRef"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"additionalProperties": False}, "/additionalProperties"),
        ({"properties": 3}, "/properties"),
        ({"$defs": 3}, "/$defs"),
    ],
)
def test_a_forbidden_keyword_or_value_is_refused(change, message):
    assert message in refusal({**FRUIT, **change})


def test_a_recursive_schema_is_refused():
    schema = {**with_properties(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert "is recursive" in refusal(schema)


def test_a_schema_that_is_too_large_when_dereferenced_is_refused():
    definitions = {"D0": {"type": "string"}}
    for level in range(1, 16):
        inner = {"$ref": f"#/$defs/D{level - 1}"}
        definitions[f"D{level}"] = {"type": "object", "properties": {"a": inner, "b": inner}}
    schema = {**with_properties(a={"$ref": "#/$defs/D15"}), "$defs": definitions}
    assert "parts" in refusal(schema)


def test_a_duplicate_member_is_refused():
    with pytest.raises(InvalidBody, match="twice"):
        validated_schema(
            "Fruit",
            b'{"x-baseType": "ProductOffering", "properties": {}, "properties": {}}',
            CONTRACTS,
        )


def test_a_type_name_of_a_contract_is_refused():
    assert "TMF620" in refusal(FRUIT, "Category", Conflict)


@pytest.mark.parametrize("name", ["fruit", "Fru it", "F" * 65, "F$", "Früchte", "A.b"])
def test_an_invalid_type_name_is_refused(name):
    assert "cannot name a type" in refusal(FRUIT, name)


def test_a_schema_that_is_too_large_is_refused():
    refusal(with_properties(**{f"a{n}": {"title": "x" * 40} for n in range(2000)}), error=TooLarge)


def test_references_are_replaced_by_their_definitions():
    assert dereferenced_schema(FRUIT)["properties"]["box"] == FRUIT["$defs"]["Box"]
    assert "$defs" not in dereferenced_schema(FRUIT)


def test_an_extension_applies_to_contracts_with_its_base_type():
    schema = {"x-baseType": "ProductCatalog", "properties": {"shelf": {"type": "string"}}}
    bases = {
        f"{c.number} {c.version}": list(
            extensions_by_base(contract_extensions({"Shop": schema}, c))
        )
        for c in CONTRACTS
        if contract_extensions({"Shop": schema}, c)
    }
    assert bases == {"TMF620 v4": ["Catalog"], "TMF620 v5": ["ProductCatalog"]}
