"""JSON Schemas from the schemas of a contract, with dispatch on ``@type``.

A plain ``oneOf`` accepts any schema that fits; a discriminator selects one. Here a schema with a
discriminator becomes a chain of if/then/else on ``@type``, so that an error message has the JSON
pointer and the rule of the type that the client chose. Each schema has two forms, because a
subtype inherits its base: ``Name`` dispatches on the type, ``Name~own`` is the base alone.

Source: TMF630 part 2, polymorphism; OpenAPI 3.0.3, discriminator object.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

Schema = dict[str, Any]

COMPONENTS = "#/components/schemas/"
#: Suffixes of the schemas of POST bodies, after the name of the resource.
_CREATE_SUFFIX = re.compile(r"_(?:FVO|Create)\Z")
#: Suffixes of the schemas of POST and PATCH bodies.
_FORM_SUFFIX = re.compile(r"_(?:FVO|MVO|Create|Update)\Z")
#: Formats that are validated; others (int32, uri) are only hints.
_CHECKED_FORMATS = frozenset({"date-time", "date", "email"})
#: Format of the unit of an amount of money; error messages show the name.
CURRENCY_FORMAT = "currency code of ISO 4217, such as EUR"
#: Schemas of amounts of money, without the suffixes of their forms.
_MONEY_SCHEMAS = frozenset({"Money"})
_COPIED_KEYWORDS = frozenset(
    {
        "type", "format", "enum", "required", "minimum", "maximum", "minItems", "maxItems",
        "minLength", "maxLength", "minProperties", "maxProperties", "uniqueItems",
    }
)  # fmt: skip


def form_base(name: str) -> str:
    """Return the name of a schema without the suffix of the form of a body.

    >>> form_base("ProductOrder_FVO"), form_base("Alarm")
    ('ProductOrder', 'Alarm')
    """
    return _FORM_SUFFIX.sub("", name)


class JsonSchemas:
    """The JSON Schemas of one contract and its extension types."""

    def __init__(
        self, schemas: Mapping[str, Schema], extensions: Mapping[str, Schema], *, strict: bool
    ) -> None:
        """Create the JSON Schemas of a contract.

        Args:
            schemas: The schemas of the OpenAPI document by name.
            extensions: The extension types by name; see ``Schemas``.
            strict: Whether objects of unknown types are refused.
        """
        self._schemas = schemas
        self._extensions = dict(extensions)
        self._strict = strict

    def json_schema(self, name: str) -> Schema:
        """Return a schema as JSON Schema (2020-12), including all schemas that it refers to."""
        definitions: dict[str, Schema] = {}
        waiting = [name]
        while waiting:
            key = waiting.pop()
            if key in definitions:
                continue
            definitions[key] = self._definition(key)
            waiting.extend(_referenced_names(definitions[key]))
        return {"$ref": f"#/$defs/{name}", "$defs": definitions}

    def _definition(self, key: str) -> Schema:
        name, _, form = key.partition("~")
        if form == "extension":
            return self._extension_schema(name)
        schema = self._schemas[name]
        mapping = (
            self.type_mapping(name) or self._implicit_mapping(name) or self._extension_mapping(name)
        )
        if _FORM_SUFFIX.sub("", name) in _MONEY_SCHEMAS:
            return self._money_schema(schema)
        if form == "own" or not mapping:
            return self._own_schema(schema)
        return self._dispatch_schema(name, schema, mapping)

    def _money_schema(self, schema: Schema) -> Schema:
        """Return the JSON Schema of an amount of money, whose unit is a currency."""
        own = self._own_schema(schema)
        unit = {**own["properties"]["unit"], "format": CURRENCY_FORMAT}
        return {**own, "properties": {**own["properties"], "unit": unit}}

    def type_mapping(self, name: str) -> dict[str, str]:
        """Return type name -> schema name, including the types of mapped types."""
        schemas_by_type: dict[str, str] = {}
        waiting = [name]
        seen = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            mapping = self._schemas[current].get("discriminator", {}).get("mapping", {})
            targets = {type: target.removeprefix(COMPONENTS) for type, target in mapping.items()}
            if len(targets) > 1:  # with a single type the contract allows no subtypes here
                mapped = set(targets.values())
                targets |= {
                    _FORM_SUFFIX.sub("", child): child
                    for child in self._subschemas(current) - mapped
                }
            for type_name, schema in targets.items():
                if schema in self._schemas:
                    schemas_by_type.setdefault(type_name, schema)
                    waiting.append(schema)
        return schemas_by_type

    @cached_property
    def _subschemas_by_base(self) -> Mapping[str, set[str]]:
        return _find_subschemas(self._schemas)

    def _subschemas(self, name: str) -> set[str]:
        """Return the schemas that inherit a schema by ``allOf``, in the same form (POST, PATCH).

        In OpenAPI, a discriminator needs no mapping for them. TMF622 maps all subtypes of
        Characteristic except the boolean one, TMF620 only four of CharacteristicValueSpecification.
        """
        form = name.partition("_")[2]
        subschemas = self._subschemas_by_base.get(name, ())
        return {subschema for subschema in subschemas if subschema.partition("_")[2] == form}

    def extension_types(self, types: Collection[str]) -> set[str]:
        """Return the names of the extension types that extend one of ``types``."""
        return {
            name for name, schema in self._extensions.items() if schema.get("x-baseType") in types
        }

    def _implicit_mapping(self, name: str) -> dict[str, str]:
        """Return a type mapping for a schema of version 4 with subtypes; empty if it has none.

        Version 4 has neither discriminators nor ``allOf``: a subtype repeats the attributes of its
        base, and its name ends with that of the base (``Resource``, ``PhysicalResource``).
        """
        if self._strict or not (subtypes := self._implicit_subtypes.get(name)):
            return {}
        return {_FORM_SUFFIX.sub("", type): type for type in (name, *subtypes)}

    @cached_property
    def _implicit_subtypes(self) -> Mapping[str, list[str]]:
        return _find_implicit_subtypes(self._schemas)

    def _extension_mapping(self, name: str) -> dict[str, str]:
        """Return a type mapping for a schema without a discriminator that has extensions.

        Most schemas of version 4 have no discriminator.
        """
        base = _CREATE_SUFFIX.sub("", name)
        return {base: name} if self.extension_types([base]) else {}

    def _dispatch_schema(self, name: str, schema: Schema, mapping: dict[str, str]) -> Schema:
        suffix = name[name.rindex("_") :] if name.endswith(("_FVO", "_MVO")) else ""
        own = {"$ref": f"#/$defs/{name}~own"}
        chain = self._fallback_schema(schema, mapping, own)
        for type_name, extension in self._extensions.items():
            base = mapping.get(str(extension.get("x-baseType")))
            if base:
                parts = [
                    {"$ref": f"#/$defs/{base}~own"},
                    {"$ref": f"#/$defs/{type_name}~extension"},
                ]
                chain = _conditional_schema("@type", type_name, {"allOf": parts}, chain)
        for type_name, target in mapping.items():
            reference = own if target == name else {"$ref": f"#/$defs/{target}~own"}
            for spelling in {type_name, type_name.removesuffix(suffix) if suffix else type_name}:
                chain = _conditional_schema("@type", spelling, reference, chain)
        return chain

    def _fallback_schema(self, schema: Schema, mapping: dict[str, str], own: Schema) -> Schema:
        """Return the schema of objects with a ``@type`` that the contract does not have."""
        if not self._strict:
            return own
        if len(mapping) == 1 and "oneOf" not in schema:
            return own
        known = {"enum": sorted({*mapping} | self.extension_types(mapping))}
        chain: Schema = {
            "type": "object",
            "required": ["@type"],
            "properties": {"@type": known, "@baseType": known},
        }
        for type_name, target in mapping.items():
            chain = _conditional_schema(
                "@baseType", type_name, {"$ref": f"#/$defs/{target}~own"}, chain
            )
        return chain

    def _own_schema(self, schema: Schema) -> Schema:
        """Return the JSON Schema of a schema alone; inherited schemas have the form ``~own``."""
        result: Schema = {}
        for keyword, value in schema.items():
            if keyword == "properties":
                result[keyword] = {name: self._value_schema(inner) for name, inner in value.items()}
            elif keyword == "allOf":
                result[keyword] = [self._base_schema(inner) for inner in value]
            elif keyword in {"oneOf", "anyOf"}:
                self._add_alternatives(result, schema, value)
            elif keyword in {"items", "additionalProperties"}:
                result[keyword] = self._value_schema(value) if isinstance(value, dict) else value
            elif keyword == "format" and value not in _CHECKED_FORMATS:
                continue
            elif keyword in _COPIED_KEYWORDS:
                result[keyword] = value
        return result

    def _add_alternatives(self, target: Schema, schema: Schema, alternatives: list[Schema]) -> None:
        if "discriminator" not in schema:
            target["anyOf"] = [self._value_schema(inner) for inner in alternatives]

    def _value_schema(self, schema: Schema) -> Schema:
        """Return the JSON Schema of a value; references dispatch on ``@type``.

        An ``allOf`` with a single ``$ref`` is a reference with a description, which OpenAPI 3.0
        does not allow beside ``$ref``.
        """
        if "properties" not in schema and len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(COMPONENTS)}"}
        return self._own_schema(schema)

    def _base_schema(self, schema: Schema) -> Schema:
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(COMPONENTS)}~own"}
        return self._own_schema(schema)

    def _extension_schema(self, name: str) -> Schema:
        return {key: value for key, value in self._extensions[name].items() if key[:2] != "x-"}


def _find_subschemas(schemas: Mapping[str, Schema]) -> Mapping[str, set[str]]:
    """Return base schema -> the schemas that inherit it directly."""
    subschemas: dict[str, set[str]] = {}
    for name, schema in schemas.items():
        for part in schema.get("allOf", ()):
            if reference := part.get("$ref"):
                subschemas.setdefault(reference.removeprefix(COMPONENTS), set()).add(name)
    return subschemas


def _find_implicit_subtypes(schemas: Mapping[str, Schema]) -> Mapping[str, list[str]]:
    """Return base schema -> the schemas that repeat its attributes under a longer name."""
    subtypes: dict[str, list[str]] = {}
    for base, schema in schemas.items():
        members = schema.get("properties", {}).keys()
        root, _, form = base.partition("_")
        for name, other in schemas.items() if "@type" in members else ():
            subtype, _, other_form = name.partition("_")
            if (
                (subtype.endswith(root) and subtype != root and form == other_form)
                and members <= other.get("properties", {}).keys()
            ):  # fmt: skip
                subtypes.setdefault(base, []).append(name)
    return subtypes


def _conditional_schema(attribute: str, value: str, then: Schema, otherwise: Schema) -> Schema:
    condition = {
        "type": "object",
        "required": [attribute],
        "properties": {attribute: {"const": value}},
    }
    return {"if": condition, "then": then, "else": otherwise}


def _referenced_names(schema: object) -> Iterable[str]:
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/$defs/")
            elif keyword not in {"enum", "const", "required"}:
                yield from _referenced_names(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _referenced_names(item)
