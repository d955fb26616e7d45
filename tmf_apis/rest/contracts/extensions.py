"""Extension types: validation of their schemas, and the contracts that they apply to.

An extension is a JSON Schema (2020-12) of the attributes that a type of the operator adds to the
type that it extends, which ``x-baseType`` names. Schemas are never fetched: a ``$ref`` must refer
to the schema's own ``$defs``, and is replaced by the definition.

Source: TMF630 part 2, extension by ``@type``, ``@baseType`` and ``@schemaLocation``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs
import orjson

from tmf_apis.errors import Conflict, InvalidBody, TooLarge, quoted
from tmf_apis.rest.contracts.contract import Contract, kind_of

Schema = dict[str, Any]
#: Type -> its schema with references replaced, including ``x-baseType``.
Extensions = Mapping[str, Schema]

#: Largest schema, in bytes; deepest nesting; most objects and arrays after dereferencing.
MAX_BYTES, MAX_DEPTH, MAX_NODES = 65_536, 24, 2_000

BASE_TYPE_KEYWORD = "x-baseType"
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}", re.ASCII)
_DEFS_PREFIX = "#/$defs/"
#: Keywords that refer to other schemas or change the meaning of keywords.
_FORBIDDEN_KEYWORDS = frozenset(
    {"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$recursiveRef"}
)
_DROPPED_KEYWORDS = frozenset({"$defs", "$schema", "$comment"})
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def validated_schema(type: str, text: bytes, contracts: Sequence[Contract]) -> Schema:
    """Return the schema of a new extension type, parsed and validated.

    Raises:
        TooLarge: The schema has too many bytes (HTTP 413).
        InvalidBody: It is not a JSON Schema, or has a forbidden keyword or value (HTTP 400).
        Conflict: A contract has a type of the same name (HTTP 409).
    """
    if not _TYPE_NAME.fullmatch(type):
        raise InvalidBody(
            f"{quoted(type)} cannot name a type; expected a letter A-Z, then letters, digits, _"
        )
    for contract in contracts:
        if type in contract.document["components"]["schemas"]:
            raise Conflict(f"{type} is already a type of {contract.number} {contract.version}")
    schema = _parse_schema(text)
    if schema.get("$schema", _DIALECT) != _DIALECT:
        raise InvalidBody(f"/$schema: expected {_DIALECT}")
    base = schema.get(BASE_TYPE_KEYWORD)
    if not isinstance(base, str) or not any(base_schemas(contract, base) for contract in contracts):
        raise InvalidBody(
            f"/{BASE_TYPE_KEYWORD}: expected the type that {type} extends, as in a contract"
        )
    _check_object_schema(schema)
    try:
        validator(dereferenced_schema(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidBody(f"not a JSON Schema (2020-12): {_first_line(error)}") from None
    return schema


def dereferenced_schema(schema: Schema) -> Schema:
    """Return a schema with its references replaced by their definitions.

    Raises:
        InvalidBody: A reference has no definition in ``$defs`` or is recursive, or the result is
            too large (HTTP 400).
    """
    dereferenced: Schema = _Dereferencer(schema.get("$defs", {})).dereference(schema, ())
    return dereferenced


def validator(schema: Schema) -> jsonschema_rs.Validator:
    """Return the validator of a schema; its patterns run in linear time.

    Raises:
        ValueError: The schema is not a JSON Schema.
    """
    return jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def base_schemas(contract: Contract, base: str) -> list[str]:
    """Return the schemas of a contract for a base type, whose name may differ between versions.

    ``ProductCatalog`` and ``Catalog`` name the same type in the contracts of both versions.
    """
    if base in contract.document["components"]["schemas"]:
        return [base]
    kind = kind_of(base, contract.number)
    return sorted({o.schema for o in contract.operations if o.kind == kind})


def contract_extensions(extensions: Extensions, contract: Contract) -> dict[str, Schema]:
    """Return the extensions of a contract's types, with ``x-baseType`` as the contract names it."""
    applicable: dict[str, Schema] = {}
    for type, schema in extensions.items():
        if bases := base_schemas(contract, schema[BASE_TYPE_KEYWORD]):
            applicable[type] = {**schema, BASE_TYPE_KEYWORD: bases[0]}
    return applicable


def extensions_by_base(extensions: Extensions) -> dict[str, list[Schema]]:
    """Return the schemas of the extensions by the type that they extend."""
    by_base: dict[str, list[Schema]] = {}
    for schema in extensions.values():
        by_base.setdefault(schema[BASE_TYPE_KEYWORD], []).append(schema)
    return by_base


def _parse_schema(text: bytes) -> Schema:
    if len(text) > MAX_BYTES:
        raise TooLarge(f"the schema has {len(text)} bytes; at most {MAX_BYTES} are allowed")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidBody("/: expected an object, a JSON Schema")
    _check_depth(value)
    json.loads(text, object_pairs_hook=_reject_duplicate_members)
    return value


def _reject_duplicate_members(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidBody("the body has an object with the same member twice")


def _check_depth(value: Any) -> None:  # noqa: ANN401
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise InvalidBody(f"the schema is nested deeper than {MAX_DEPTH} levels")


def _check_object_schema(schema: Schema) -> None:
    """Refuse a schema that would reject the attributes of the base type."""
    if schema.get("type", "object") != "object":
        raise InvalidBody("/type: an extension describes an object")
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            raise InvalidBody(f"/{keyword}: not allowed; the base type has other attributes")
    if not isinstance(schema.get("properties"), dict):
        raise InvalidBody("/properties: expected the attributes that the extension adds")
    if not isinstance(schema.get("$defs", {}), dict):
        raise InvalidBody("/$defs: expected an object")


class _Dereferencer:
    """Replaces the references of a schema by their definitions."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._nodes_left = MAX_NODES

    def dereference(self, value: Any, ancestors: tuple[str, ...]) -> Any:  # noqa: ANN401
        """Return a value with its references replaced.

        Args:
            value: A part of the schema.
            ancestors: Names of the definitions that contain the value.
        """
        if not isinstance(value, dict | list):
            return value
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise InvalidBody(f"the schema has over {MAX_NODES} parts, counting references")
        if isinstance(value, list):
            return [self.dereference(item, ancestors) for item in value]
        if forbidden := _FORBIDDEN_KEYWORDS & value.keys():
            raise InvalidBody(f"{min(forbidden)} is not allowed in an extension")
        schema = {
            keyword: self.dereference(inner, ancestors)
            for keyword, inner in value.items()
            if keyword not in _DROPPED_KEYWORDS
        }
        if (reference := schema.pop("$ref", None)) is None:
            return schema
        target = self._resolve(reference, ancestors)
        return {"allOf": [target, schema]} if schema else target

    def _resolve(self, reference: object, ancestors: tuple[str, ...]) -> Any:  # noqa: ANN401
        name = str(reference).removeprefix(_DEFS_PREFIX)
        if not str(reference).startswith(_DEFS_PREFIX) or name not in self._definitions:
            raise InvalidBody(
                f"$ref {quoted(str(reference))}: expected {_DEFS_PREFIX}... of the schema itself"
            )
        if name in ancestors:
            raise InvalidBody(f"$ref {quoted(reference)} is recursive")
        return self.dereference(self._definitions[name], (*ancestors, name))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
