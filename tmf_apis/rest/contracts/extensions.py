"""Extension types: what an administrator may register, and what it means for each contract.

An extension is a JSON Schema (2020-12) of the attributes that a type of the operator's own has
beside those of the type it extends, which ``x-baseType`` names. Nothing is ever fetched: a
``$ref`` leads into the schema's own ``$defs`` and is replaced by what stands there.

Source: TMF630 part 2, extension by ``@type``, ``@baseType`` and ``@schemaLocation``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs
import orjson

from tmf_apis.errors import Conflict, InvalidBody, TooLarge
from tmf_apis.rest.contracts.contract import Contract, kind_of

Schema = dict[str, Any]
#: By type: its schema, references replaced, with ``x-baseType``.
Extensions = Mapping[str, Schema]

#: Largest schema, in bytes; deepest nesting; most objects and arrays, references replaced.
MAX_BYTES, MAX_DEPTH, MAX_NODES = 65_536, 24, 2_000

BASE_TYPE_KEYWORD = "x-baseType"
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}", re.ASCII)
_DEFS_PREFIX = "#/$defs/"
#: Keywords that lead out of the schema or change what its words mean.
_FORBIDDEN_KEYWORDS = frozenset(
    {"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$recursiveRef"}
)
_DROPPED_KEYWORDS = frozenset({"$defs", "$schema", "$comment"})
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def validated_schema(type: str, text: bytes, contracts: Sequence[Contract]) -> Schema:
    """Return the schema of a new extension type as it was sent, if it can be one.

    Raises:
        TooLarge: It has too many bytes (HTTP 413).
        InvalidBody: It is not a JSON Schema, or has what an extension cannot (HTTP 400).
        Conflict: The name is one of a contract's own types (HTTP 409).
    """
    if not _TYPE_NAME.fullmatch(type):
        raise InvalidBody(f"{type[:80]!r} cannot name a type; expected a letter A-Z, then A-z0-9_")
    for contract in contracts:
        if type in contract.document["components"]["schemas"]:
            raise Conflict(f"{type} is a type of {contract.number} {contract.version} itself")
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
    """Return a schema with its references replaced by what they lead to.

    Raises:
        InvalidBody: A reference leads elsewhere, to nothing or to itself, or it grows too large.
    """
    made: Schema = _Dereferencer(schema.get("$defs", {})).dereference(schema, ())
    return made


def validator(schema: Schema) -> jsonschema_rs.Validator:
    """Return the validator of a schema; patterns run in linear time.

    Raises:
        ValueError: It is not a JSON Schema.
    """
    return jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def base_schemas(contract: Contract, base: str) -> list[str]:
    """Return the schemas of a contract that a base type means; versions may name it differently.

    ``ProductCatalog`` and ``Catalog`` are the same to the contracts of both versions.
    """
    if base in contract.document["components"]["schemas"]:
        return [base]
    kind = kind_of(base, contract.number)
    found = {operation.schema for operation in contract.operations if operation.kind == kind}
    return sorted(found)


def contract_extensions(extensions: Extensions, contract: Contract) -> dict[str, Schema]:
    """Return the extensions of a contract's types, ``x-baseType`` as the contract names it."""
    found: dict[str, Schema] = {}
    for type, schema in extensions.items():
        for base in base_schemas(contract, schema[BASE_TYPE_KEYWORD])[:1]:
            found[type] = {**schema, BASE_TYPE_KEYWORD: base}
    return found


def extensions_by_base(extensions: Extensions) -> dict[str, list[Schema]]:
    """Return the schemas that extend a type, by that type."""
    found: dict[str, list[Schema]] = {}
    for schema in extensions.values():
        found.setdefault(schema[BASE_TYPE_KEYWORD], []).append(schema)
    return found


def _parse_schema(text: bytes) -> Schema:
    if len(text) > MAX_BYTES:
        raise TooLarge(f"the schema has {len(text)} bytes; at most {MAX_BYTES} are kept")
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
    """Refuse what would refuse the attributes of the base."""
    if schema.get("type", "object") != "object":
        raise InvalidBody("/type: an extension describes an object")
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            raise InvalidBody(f"/{keyword}: the attributes of the base type come on top")
    if not isinstance(schema.get("properties"), dict):
        raise InvalidBody("/properties: expected the attributes that the extension adds")
    if not isinstance(schema.get("$defs", {}), dict):
        raise InvalidBody("/$defs: expected an object")


class _Dereferencer:
    """Puts in the place of each reference what it leads to."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._nodes_left = MAX_NODES

    def dereference(self, value: Any, ancestors: tuple[str, ...]) -> Any:  # noqa: ANN401
        """Return a value with its references replaced; ``ancestors`` are those it stands below."""
        if not isinstance(value, dict | list):
            return value
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise InvalidBody(f"the schema has more than {MAX_NODES} parts, references replaced")
        if isinstance(value, list):
            return [self.dereference(item, ancestors) for item in value]
        if refused := _FORBIDDEN_KEYWORDS & value.keys():
            raise InvalidBody(f"{min(refused)} is not possible in an extension")
        made = {
            name: self.dereference(v, ancestors)
            for name, v in value.items()
            if name not in _DROPPED_KEYWORDS
        }
        if (reference := made.pop("$ref", None)) is None:
            return made
        target = self._resolve(reference, ancestors)
        return {"allOf": [target, made]} if made else target

    def _resolve(self, reference: object, ancestors: tuple[str, ...]) -> Any:  # noqa: ANN401
        name = str(reference).removeprefix(_DEFS_PREFIX)
        if not str(reference).startswith(_DEFS_PREFIX) or name not in self._definitions:
            raise InvalidBody(
                f"$ref {str(reference)[:200]!r}: only {_DEFS_PREFIX}... of the schema itself is followed"
            )
        if name in ancestors:
            raise InvalidBody(f"$ref {reference!r} leads back to itself")
        return self.dereference(self._definitions[name], (*ancestors, name))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
