"""The default ``@type`` of nested objects, which v5 requires and v4 does not.

v4 clients seldom send the type of a reference; v5 requires it in every object. Resources of v4
clients are stored as they are. In responses of v5, each nested object without a type gets the type
that the contract declares. Resources of v5 clients have all types and are not changed.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import is_not
from typing import Any

from tmf_apis.rest.contracts.json_schemas import form_base

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Schema = Mapping[str, Any]
#: The schemas of an object's attributes, and the names of the mandatory ones.
ObjectShape = tuple[dict[str, Schema], frozenset[str]]
_CONTAINERS = (dict, list)
#: End of the names of unions in published examples, whether the contract has them or not.
_UNION_SUFFIX = "RefOrValue"


class TypeDefaults:
    """The default types of one contract."""

    def __init__(self, document: Mapping[str, Any], *, adds_types: bool = True) -> None:
        """Read the schemas.

        Args:
            document: The OpenAPI document.
            adds_types: Add missing types; False: only replace unions by the type of the shape.
        """
        self._adds_types = adds_types
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self._object_types = {name for name, node in self._schemas.items() if "oneOf" not in node}
        self._cached_shape = cache(self._read_shape)
        self._cached_candidates = cache(self._read_candidates)
        self._cached_members = cache(self._read_members)

    def transform_for(self, schema: str) -> Transform:
        """Return the transform that adds the types of nested objects to a resource of a schema.

        The type of the resource itself is not changed. The name of a union
        (``ProductRefOrValue``) counts as a missing type. If no type is missing, the transform
        returns the same object.
        """
        return lambda resource: self._with_nested_types(schema, resource)

    def _with_nested_types(self, schema: str, value: Json) -> Json:
        """Return an object of a schema with the types of its nested objects."""
        type = value.get("@type")
        is_known = isinstance(type, str) and type in self._schemas
        members = self._cached_members(type if is_known else schema)
        changed: Json = {}
        for name in members.keys() & value.keys() if members else ():
            old = value[name]
            if isinstance(old, _CONTAINERS):
                new = self._with_types(members[name], old)
                if new is not old:
                    changed[name] = new
        return {**value, **changed} if changed else value

    def _with_types(self, candidates: tuple[str, ...], value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            items = [
                self._with_types(candidates, item) if isinstance(item, _CONTAINERS) else item
                for item in value
            ]
            return items if any(map(is_not, items, value)) else value
        is_union = self._is_union(value.get("@type"))
        if is_union:
            value = {name: member for name, member in value.items() if name != "@type"}
        schema = candidates[0] if len(candidates) == 1 else self._best_candidate(candidates, value)
        typed = self._with_nested_types(schema, value)
        if is_union:
            return {"@type": form_base(schema), **typed}
        return self._typed_object(schema, value, typed)

    def _typed_object(self, schema: str, value: Json, typed: Json) -> Json:
        """Return an object, whose nested objects have types, with its own type."""
        is_missing = self._adds_types and "@type" in self._cached_shape(schema)[1]
        if "@type" in value or not is_missing:
            return typed
        return {"@type": form_base(schema), **typed}

    def required_attributes(self, schema: str) -> frozenset[str]:
        """Return the mandatory attributes of a schema, including inherited ones."""
        return self._cached_shape(schema)[1]

    def _is_union(self, type: object) -> bool:
        """Return whether a type is the name of a union, which no object can have."""
        if not isinstance(type, str) or type in self._object_types:
            return False
        return type in self._schemas or type.endswith(_UNION_SUFFIX)

    def _best_candidate(self, candidates: tuple[str, ...], value: Json) -> str:
        """Return the type of an object without ``@type``.

        An object with an id and only attributes of a reference type is such a reference.
        """
        for name in candidates:
            if (
                form_base(name).endswith("Ref")
                and "id" in value
                and value.keys() <= self._cached_shape(name)[0].keys()
            ):
                return name
        values = (name for name in candidates if not form_base(name).endswith("Ref"))
        return next(values, candidates[0])

    def _read_members(self, schema: str) -> dict[str, tuple[str, ...]]:
        """Return the attributes of a type whose values are objects, with their possible types."""
        attributes = self._cached_shape(schema)[0]
        members = {name: self._named_types(node) for name, node in attributes.items()}
        return {name: types for name, types in members.items() if types}

    def _named_types(self, node: Schema) -> tuple[str, ...]:
        """Return the named types of the values of a schema."""
        if "$ref" in node:
            return self._cached_candidates(_reference_name(node))
        if "items" in node:
            return self._named_types(node["items"])
        parts = (*node.get("oneOf", ()), *node.get("anyOf", ()), *node.get("allOf", ()))
        return tuple(name for part in parts for name in self._named_types(part))

    def _read_candidates(self, schema: str) -> tuple[str, ...]:
        node = self._schemas.get(schema, {})
        if "oneOf" in node or "anyOf" in node or "items" in node:
            return self._named_types(node)
        return (schema,) if self._cached_shape(schema)[0] else ()

    def _read_shape(self, schema: str) -> ObjectShape:
        return self._merged_shape(self._schemas.get(schema, {}))

    def _merged_shape(self, node: Schema) -> ObjectShape:
        attributes: dict[str, Schema] = {}
        required = frozenset(node.get("required", ()))
        for part in node.get("allOf", ()):
            inherited, required_in_part = (
                self._cached_shape(_reference_name(part))
                if "$ref" in part
                else self._merged_shape(part)
            )
            attributes |= inherited
            required |= required_in_part
        return attributes | node.get("properties", {}), required


def _reference_name(node: Schema) -> str:
    return str(node["$ref"]).rsplit("/", 1)[-1]
