"""A contract in the flat form, which code generators turn into clients that work.

Generators disagree about inheritance (``allOf``), alternatives (``oneOf``) and discriminators: some
call themselves without end for a base type that is its own subtype, some refuse an object that fits
two alternatives, some lose the attributes of subtypes. The flat form has none of the three. Each
schema is one object with all its attributes. A type with subtypes, and a choice between types, has
the attributes of all of them, as version 4 of the APIs has it (``ProductRefOrValue``). Paths,
operations, names, types, enumerations and mandatory attributes are those of the contract. Bodies of
PATCH are merge patches: generators cannot choose between an object and the array of a JSON Patch.

Source: TMF630 part 2, polymorphism; OpenAPI 3.0.3, discriminator object.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tmf_apis.rest.contracts.documents import Document
from tmf_apis.rest.contracts.json_schemas import COMPONENTS, JsonSchemas, Schema

_JSON: Final = "application/json"
#: Keywords that the flat form replaces.
_COMPOSITION: Final = frozenset(
    {"allOf", "oneOf", "anyOf", "discriminator", "properties", "required", "type"}
)
#: Keywords of a value that are about people and not about the value.
_ANNOTATIONS: Final = frozenset({"description", "title", "example", "x-reading"})


def flat_document(document: Document) -> Document:
    """Return a contract in the flat form; the contract is not changed.

    Args:
        document: The OpenAPI document of the contract.
    """
    components = document["components"]
    flat = _Flattener(components["schemas"])
    schemas = {name: flat.schema(name) for name in components["schemas"]}
    media = {"responses": _json_response, "requestBodies": _plain_body}
    return {
        **document,
        "paths": {path: _json_responses(item) for path, item in document["paths"].items()},
        "components": {
            **components,
            **{
                part: {name: narrow(value) for name, value in components.get(part, {}).items()}
                for part, narrow in media.items()
            },
            "schemas": schemas,
        },
    }


class _Flattener:
    """The schemas of one contract, each made flat."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._types = JsonSchemas(schemas, {}, strict=False)

    def schema(self, name: str) -> Schema:
        """Return a schema as one object; schemas of other types stay as they are."""
        schema = self._schemas[name]
        if not _is_composed(schema):
            return self._value(schema)
        flat = self._own(name)
        alternatives = [_target(part) for part in schema.get("oneOf", ())]
        properties = dict(flat["properties"])
        for other in self._subtypes(name):
            properties = _merge(properties, self._own(other)["properties"])
        required = set(flat["required"]).union(self._always_required(alternatives))
        result = {key: value for key, value in schema.items() if key not in _COMPOSITION}
        result |= {"type": "object", "properties": properties}
        if required:
            result["required"] = [each for each in properties if each in required]
        return result

    def _always_required(self, alternatives: Iterable[str]) -> set[str]:
        """Return the attributes that are mandatory in all alternatives."""
        sets = [set(self._own(name)["required"]) for name in alternatives]
        return set.intersection(*sets) if sets else set()

    def _subtypes(self, name: str) -> list[str]:
        """Return the schemas of the objects that may stand for a schema, without itself."""
        subtypes: dict[str, None] = {}
        waiting = [name]
        while waiting:
            current = waiting.pop(0)
            targets = [*self._types.type_mapping(current).values()]
            targets += [_target(part) for part in self._schemas[current].get("oneOf", ())]
            waiting += [target for target in targets if target not in subtypes]
            subtypes |= dict.fromkeys(targets)
        return [target for target in subtypes if target != name]

    def _own(self, name: str) -> dict[str, Any]:
        """Return the attributes of a schema and its bases: ``properties``, ``required``."""
        return self._attributes(self._schemas[name])

    def _attributes(self, schema: Schema) -> dict[str, Any]:
        properties: Schema = {}
        required: set[str] = set(schema.get("required", ()))
        for part in schema.get("allOf", ()):
            base = self._own(_target(part)) if "$ref" in part else self._attributes(part)
            properties |= base["properties"]
            required |= base["required"]
        own = schema.get("properties", {})
        properties |= {name: self._value(value) for name, value in own.items()}
        return {"properties": properties, "required": required}

    def _value(self, schema: Schema) -> Schema:
        """Return the flat form of a value, whose objects without a name are composed, too."""
        if _is_composed(schema) and not _is_described_reference(schema):
            flat = self._attributes(schema)
            kept = {key: value for key, value in schema.items() if key not in _COMPOSITION}
            required = [each for each in flat["properties"] if each in flat["required"]]
            body = {"type": "object", "properties": flat["properties"]}
            return {**kept, **body, **({"required": required} if required else {})}
        result = dict(schema)
        if "properties" in schema:
            result["properties"] = {
                name: self._value(value) for name, value in schema["properties"].items()
            }
        for keyword in ("items", "additionalProperties"):
            if isinstance(schema.get(keyword), dict):
                result[keyword] = self._value(schema[keyword])
        return _with_names(result) if "enum" in schema else result


def _is_composed(schema: Schema) -> bool:
    return any(keyword in schema for keyword in ("allOf", "oneOf", "discriminator"))


def _is_described_reference(schema: Schema) -> bool:
    """Return whether a schema is a reference with a description, which OpenAPI writes as allOf."""
    parts = schema.get("allOf", ())
    return len(parts) == 1 and "$ref" in parts[0] and "properties" not in schema


def _target(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(COMPONENTS)


def _merge(properties: Schema, others: Mapping[str, Schema]) -> Schema:
    """Return the attributes of two types; an attribute whose types differ may have any value."""
    merged = dict(properties)
    for name, value in others.items():
        known: Schema = merged.setdefault(name, value)
        if _meaning(known) != _meaning(value):
            merged[name] = {key: known[key] for key in known if key in _ANNOTATIONS}
    return merged


def _meaning(schema: Schema) -> object:
    """Return a schema without the texts for people."""
    if _is_described_reference(schema):
        return schema["allOf"][0]["$ref"]
    if "$ref" in schema:
        return schema["$ref"]
    return {
        key: _meaning(value) if key == "items" else value
        for key, value in schema.items()
        if key not in _ANNOTATIONS
    }


def _with_names(schema: Schema) -> Schema:
    """Return an enumeration with names for its constants if two values would have the same."""
    names = [_constant(value) for value in schema["enum"]]
    if len(set(names)) == len(names) or "x-enum-varnames" in schema:
        return schema
    first = {name: min(v for v in schema["enum"] if _constant(v) == name) for name in names}
    numbered = [
        name if value == first[name] else f"{name}_{number}"
        for number, (name, value) in enumerate(zip(names, schema["enum"], strict=True))
    ]
    return {**schema, "x-enum-varnames": numbered}


def _constant(value: object) -> str:
    """Return a value of an enumeration as the name of a constant.

    >>> _constant("inProgress.accepted "), _constant("aborted ")
    ('IN_PROGRESS_ACCEPTED', 'ABORTED')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", str(value))
    return words.strip("_").upper()


def _json_responses(item: Document) -> Document:
    """Return a path item whose answers have the media type of JSON alone."""
    return {
        key: {
            **value,
            "responses": {
                status: _json_response(response) for status, response in value["responses"].items()
            },
        }
        if isinstance(value, dict) and "responses" in value
        else value
        for key, value in item.items()
    }


def _json_response(response: Document) -> Document:
    """Return an answer with ``application/json`` alone, the media type that the server sends."""
    content = response.get("content", {})
    return {**response, "content": {_JSON: content[_JSON]}} if _JSON in content else response


def _plain_body(body: Document) -> Document:
    """Return a request body without the media types of JSON Patch."""
    content = {media: v for media, v in body["content"].items() if "json-patch" not in media}
    return {**body, "content": content}
