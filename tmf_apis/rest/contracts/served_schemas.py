"""Validation of answers: types, enumerations and type names, without mandatory attributes.

A resource that was written through the other version of an API may lack an attribute that only this
version requires, because nobody can invent it. Everything that the resource has is of the type that
the contract gives it.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jsonschema_rs
import orjson

from tmf_apis.rest.contracts.json_schemas import JsonSchemas, Schema
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.contracts.type_defaults import Json, Transform, TypeDefaults

#: Name of the definition of type names that only the other version has.
_FOREIGN_TYPES = "type~foreign"


class ServedJsonSchemas(JsonSchemas):
    """The JSON Schemas of a contract without mandatory attributes.

    Args:
        schemas: The schemas of the OpenAPI document by name.
        extensions: The extension types by name.
        strict: Whether objects of unknown types are refused.
        foreign_types: The type names that only another version of the API has.
    """

    def __init__(
        self,
        schemas: Mapping[str, Schema],
        extensions: Mapping[str, Schema],
        *,
        strict: bool,
        foreign_types: Collection[str],
    ) -> None:
        super().__init__(schemas, extensions, strict=strict)
        self._foreign_types = sorted(foreign_types)

    def _definition(self, key: str) -> Schema:
        if key == _FOREIGN_TYPES:
            return {"type": "string", "not": {"enum": self._foreign_types}}
        return super()._definition(key)

    def _own_schema(self, schema: Schema) -> Schema:
        result = super()._own_schema(schema)
        result.pop("required", None)
        if "@type" in (properties := result.get("properties", {})):
            result["properties"] = {**properties, "@type": {"$ref": f"#/$defs/{_FOREIGN_TYPES}"}}
        return result

    def _fallback_schema(self, schema: Schema, mapping: dict[str, str], own: Schema) -> Schema:
        chain = super()._fallback_schema(schema, mapping, own)
        return {name: value for name, value in chain.items() if name != "required"}


class ServedSchemas(Schemas):
    """The validators of the answers of one contract."""

    def __init__(
        self, document: Mapping[str, Any], version: str, foreign_types: Collection[str]
    ) -> None:
        """Create the validators.

        Args:
            document: The OpenAPI document.
            version: "v4" or "v5".
            foreign_types: The type names that only another version of the API has.
        """
        self._foreign_types = foreign_types
        super().__init__(document, version)

    def _make_json_schemas(self, extensions: Mapping[str, Schema]) -> JsonSchemas:
        return ServedJsonSchemas(
            self._schemas,
            extensions,
            strict=self._strict,
            foreign_types=set(self._foreign_types) - extensions.keys(),
        )

    def is_valid(self, name: str, resource: Json) -> bool:
        """Return whether a resource can be served as a schema."""
        validator = self.validator(name)
        try:
            return validator.is_valid(resource)
        except ValueError:
            return validator.is_valid(_plain(resource))

    def violations(self, name: str, resource: Json) -> list[jsonschema_rs.ValidationError]:
        """Return the violations of a schema; empty if the resource can be served."""
        validator = self.validator(name)
        try:
            return list(validator.iter_errors(resource))
        except ValueError:
            return list(validator.iter_errors(_plain(resource)))


def _plain(resource: Json) -> Json:
    """Return a resource with JSON's types only.

    The database returns large integers in a type of its own, which the validators refuse.
    """
    plain: Json = orjson.loads(orjson.dumps(resource, default=str))
    return plain


class TypeRepairs(TypeDefaults):
    """Gives each object a type that the contract knows.

    A type that only another version has is replaced by the type that the contract declares; a type
    that no version has is an extension of it. So is a missing type where the contract requires one.
    """

    def __init__(
        self, document: Mapping[str, Any], foreign: Collection[str], *, adds_bases: bool
    ) -> None:
        """Read the types of a contract.

        Args:
            document: The OpenAPI document.
            foreign: The type names that only another version of the API has.
            adds_bases: Give types of no version a ``@baseType``, which v4 does not need.
        """
        super().__init__(document)
        self._adds_bases = adds_bases
        self._foreign = foreign
        self._extensions: Collection[str] = ()

    def set_extensions(self, names: Collection[str]) -> None:
        """Replace the names of the extension types."""
        self._extensions = frozenset(names)

    def transform_for(self, schema: str) -> Transform:
        """Return the transform that gives a resource of a schema and its parts known types."""

        def typed(resource: Json) -> Json:
            nested = self._with_nested_types(schema, resource)
            return self._typed_object(schema, resource, nested) if "@type" in resource else nested

        return typed

    def _typed_object(self, schema: str, value: Json, typed: Json) -> Json:
        type = value.get("@type")
        if type is None:
            return super()._typed_object(schema, value, typed)
        if not isinstance(type, str):
            return {**typed, "@type": schema}
        if type in self._extensions:
            return typed
        if type in self._foreign:
            return {**typed, "@type": schema}
        return {**typed, "@baseType": schema} if self.lacks_base(value) else typed

    def lacks_base(self, value: Json) -> bool:
        """Return whether an object has a type of no version without a base that the version has."""
        type, base = value.get("@type"), value.get("@baseType")
        if not self._adds_bases or not isinstance(type, str) or self._is_known(type):
            return False
        return not (isinstance(base, str) and self._is_known(base))

    def _is_known(self, type: str) -> bool:
        return type in self._schemas or type in self._extensions


def foreign_types(own: Mapping[str, Any], other: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names of the types that a document does not have and another one does.

    Without the types of objects by value (addresses, organizations), which version 4 does not
    declare, but allows in the place of a reference.
    """
    if other is None:
        return frozenset()
    others: Mapping[str, Schema] = other["components"]["schemas"]
    values = {name for schema in others.values() for name in _value_types(schema)}
    return frozenset(others.keys() - own["components"]["schemas"].keys() - values)


def _value_types(schema: Schema) -> Collection[str]:
    """Return the types that a schema allows in the place of a reference; empty if it has none."""
    types: Collection[str] = schema.get("discriminator", {}).get("mapping", {}).keys()
    values = [name for name in types if not name.endswith("Ref")]
    return values if len(values) < len(types) else ()
