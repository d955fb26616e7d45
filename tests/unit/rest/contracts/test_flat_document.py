"""The flat form of the contracts: plain objects with all that the contracts declare."""

import functools

import orjson
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.support.contract_collections import CONTRACTS
from tests.support.contracts.facts import document_facts
from tmf_apis.rest.contracts.flat_document import flat_document
from tmf_apis.rest.contracts.json_schemas import COMPONENTS, JsonSchemas

IDS = [f"{contract.number}-{contract.version}" for contract in CONTRACTS]


@functools.cache
def flat_contract(number, version):
    contract = next(c for c in CONTRACTS if (c.number, c.version) == (number, version))
    return flat_document(contract.document)


@pytest.fixture(params=CONTRACTS, ids=IDS)
def contract(request):
    return request.param


@pytest.fixture
def document(contract):
    return contract.document


@pytest.fixture
def flat(contract):
    return flat_contract(contract.number, contract.version)


def attributes(schemas, name):
    """Return attribute -> schema, and the mandatory ones, of a schema with its bases."""
    return inline_attributes(schemas, schemas[name])


def inline_attributes(schemas, schema):
    own, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            base, base_required = attributes(schemas, part["$ref"].removeprefix(COMPONENTS))
        else:
            base, base_required = inline_attributes(schemas, part)
        own, required = {**base, **own}, required | base_required
    return own, required


def values(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from values(value)
    elif isinstance(node, list):
        for item in node:
            yield from values(item)


def test_the_flat_form_is_valid_openapi(flat):
    assert list(OpenAPIV30SpecValidator(flat).iter_errors()) == []


def test_the_contract_is_not_changed(document):
    before = orjson.dumps(document)
    flat_document(document)
    assert orjson.dumps(document) == before


def test_there_are_no_alternatives_discriminators_or_inheritance(flat):
    for node in values(flat["components"]["schemas"]):
        assert not {"oneOf", "anyOf", "discriminator"} & {k for k in node if k != "properties"}
        if "allOf" in node and isinstance(node["allOf"], list):
            assert [set(part) for part in node["allOf"]] == [{"$ref"}]
            assert "properties" not in node
    for schema in flat["components"]["schemas"].values():
        assert "allOf" not in schema


def test_operations_are_those_of_the_contract(document, flat):
    theirs, ours = document_facts(document)["operations"], document_facts(flat)["operations"]
    assert ours.keys() == theirs.keys()
    for name, lines in ours.items():
        assert set(lines) <= set(theirs[name])
        missing = set(theirs[name]) - set(lines)
        # PATCH declares its answer once for each media type of a patch; the server sends JSON.
        assert all("json-patch" in line or "merge-patch" in line for line in missing), name


def test_every_schema_has_the_attributes_and_mandatory_attributes_of_the_contract(document, flat):
    schemas, flat_schemas = document["components"]["schemas"], flat["components"]["schemas"]
    assert list(flat_schemas) == list(schemas)
    for name, schema in schemas.items():
        properties, required = attributes(schemas, name)
        assert properties.keys() <= flat_schemas[name].get("properties", {}).keys()
        if "oneOf" not in schema:
            assert set(flat_schemas[name].get("required", ())) == required, name
        for key in ("type", "enum", "description", "items"):
            if "properties" not in flat_schemas[name]:
                assert flat_schemas[name].get(key) == schema.get(key), name


def test_a_type_has_the_attributes_of_all_its_subtypes(document, flat):
    schemas, flat_schemas = document["components"]["schemas"], flat["components"]["schemas"]
    types = JsonSchemas(schemas, {}, strict=False)
    for name in schemas:
        for subtype in types.type_mapping(name).values():
            properties, _ = attributes(schemas, subtype)
            assert properties.keys() <= flat_schemas[name]["properties"].keys(), (name, subtype)


def test_a_choice_requires_what_all_alternatives_require(document, flat):
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if "oneOf" in schema:
            needed = [
                attributes(schemas, part["$ref"].removeprefix(COMPONENTS))[1]
                for part in schema["oneOf"]
            ]
            assert set(flat["components"]["schemas"][name].get("required", ())) == set.intersection(
                *needed
            )


def test_an_attribute_of_one_type_keeps_it_and_one_of_several_types_has_any_value():
    schemas = flat_contract("TMF622", "v5")["components"]["schemas"]
    characteristic = schemas["Characteristic"]["properties"]
    assert characteristic["name"]["type"] == "string"
    assert set(characteristic["value"]) == {"description"}
    assert schemas["StringCharacteristic"]["properties"]["value"]["type"] == "string"
    assert schemas["ProductRefOrValue"]["properties"]["productPrice"]["type"] == "array"


def test_constants_of_an_enumeration_have_different_names():
    status = flat_contract("TMF637", "v4")["components"]["schemas"]["ProductStatusType"]
    names = dict(zip(status["enum"], status["x-enum-varnames"], strict=True))
    assert (names["aborted"], names["aborted "]) == ("ABORTED", "ABORTED_7")


def test_enumerations_without_equal_names_are_unchanged(flat):
    for node in values(flat["components"]["schemas"]):
        if isinstance(node.get("enum"), list) and "x-enum-varnames" not in node:
            assert len(set(node["enum"])) == len(node["enum"])


def test_names_of_schemas_are_identifiers_and_differ_in_more_than_case(flat):
    names = list(flat["components"]["schemas"])
    assert all(name.replace("_", "").isalnum() and name[0].isalpha() for name in names)
    assert len({name.lower().replace("_", "") for name in names}) == len(names)
