"""Types of attributes according to a contract."""

import pytest

from tests.support.query_model import ATTRIBUTES, CONTRACT
from tmf_apis.rest.query.schema_paths import AttributeType, SchemaPaths


@pytest.mark.parametrize(
    ("path", "kind", "arrays"),
    [
        ("name", "string", (False,)),
        ("note.rank", "integer", (True, False)),
        ("child.child.note.at", "date-time", (True, True, True, False)),
        ("part", "object", (False,)),
        ("tag", "string", (True,)),
        ("characteristic.value", "any", (True, False)),
    ],
)
def test_the_type_of_a_path_includes_its_arrays(path, kind, arrays):
    assert ATTRIBUTES.type_of(path) == AttributeType(kind, arrays)


def test_any_path_is_allowed_below_a_value_of_any_type():
    below = ATTRIBUTES.type_of("characteristic.value.x.y")
    assert below == AttributeType("any", (True, False, False, False), is_declared=False)


@pytest.mark.parametrize("path", ["", "x", "name.x", "note.x", "note.", "part.note.x"])
def test_an_undeclared_path_has_no_type(path):
    assert ATTRIBUTES.type_of(path) is None


def test_a_type_has_the_attributes_of_its_subtypes_but_not_of_its_siblings():
    schemas = {
        "Base": {
            "type": "object",
            "properties": {"@type": {"type": "string"}},
            "discriminator": {
                "propertyName": "@type",
                "mapping": {
                    "Left": "#/components/schemas/Left",
                    "Right": "#/components/schemas/Right",
                },
            },
        },
        "Left": {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"type": "object", "properties": {"size": {"type": "integer"}}},
            ]
        },
        "Right": {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"type": "object", "properties": {"size": {"type": "number"},
                 "color": {"type": "string"}}},
            ]
        },
    }  # fmt: skip
    contract = {"components": {"schemas": schemas}}
    base, left = SchemaPaths(contract, "Base"), SchemaPaths(contract, "Left")
    assert base.type_of("size") == AttributeType("number", (False,))
    assert base.type_of("color") == AttributeType("string", (False,))
    assert left.type_of("size") == AttributeType("integer", (False,))
    assert left.type_of("color") is None
    assert left.type_of("@type") == AttributeType("string", (False,))


def test_a_subtype_without_attributes_does_not_open_the_type():
    base = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "discriminator": {"mapping": {"Same": "#/components/schemas/Same"}},
    }
    same = {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object"}]}
    paths = SchemaPaths({"components": {"schemas": {"Base": base, "Same": same}}}, "Base")
    assert paths.type_of("nope") is None


def test_an_extension_adds_attributes_wherever_its_type_is_used():
    extra = {"Note": [{"properties": {"mood": {"type": "integer"}}}]}
    paths = SchemaPaths(CONTRACT, "Thing", extra)
    assert paths.type_of("part.note.mood") == AttributeType("integer", (False, True, False))
    assert paths.type_of("mood") is None
