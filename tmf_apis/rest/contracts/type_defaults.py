"""The ``@type`` of nested objects that v5 must have and v4 may leave out.

v4 clients seldom name the type of a reference, and v5 asks for it in every object. What v4 wrote
is stored as it came; seen from v5, each nested object without a type gets the one that the
contract says it is. A document that v5 wrote has them all, so it stays as it is.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Schema = Mapping[str, Any]
#: What is inside an object: its attributes' schemas, and whether it must have a type.
ObjectShape = tuple[dict[str, Schema], bool]


class TypeDefaults:
    """The types of one contract."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self._cached_shape = cache(self._read_shape)
        self._cached_candidates = cache(self._read_candidates)
        self._cached_members = cache(self._read_members)

    def transform_for(self, schema: str) -> Transform:
        """Return what completes the nested objects of a resource of a schema.

        The resource itself keeps its type, or none; where nothing is missing it is returned as
        the same object.
        """
        return lambda resource: self._with_nested_types(schema, resource)

    def _with_nested_types(self, schema: str, value: Json) -> Json:
        """Return an object of a type with what it holds completed."""
        result = value
        type = value.get("@type")
        named = isinstance(type, str) and type in self._schemas
        members = self._cached_members(type if named else schema)
        for name, old in value.items():
            if name in members and isinstance(old, (dict, list)):
                new = self._with_types(members[name], old)
                if new is not old:
                    result = {**result, name: new}
        return result

    def _with_types(self, candidates: tuple[str, ...], value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            same, items = True, []
            for item in value:
                new = self._with_types(candidates, item)
                same = same and new is item
                items.append(new)
            return value if same else items
        if not isinstance(value, dict):
            return value
        schema = candidates[0] if len(candidates) == 1 else self._best_candidate(candidates, value)
        inside = self._with_nested_types(schema, value)
        if "@type" in value or not self._cached_shape(schema)[1]:
            return inside
        return {"@type": schema, **inside}

    def _best_candidate(self, candidates: tuple[str, ...], value: Json) -> str:
        """Return a reference for what has an id and nothing but attributes of the reference."""
        for name in candidates:
            if (
                name.endswith("Ref")
                and "id" in value
                and value.keys() <= self._cached_shape(name)[0].keys()
            ):
                return name
        return next((name for name in candidates if not name.endswith("Ref")), candidates[0])

    def _read_members(self, schema: str) -> dict[str, tuple[str, ...]]:
        """Return the attributes of a type that hold objects, with the types these may have."""
        found = {
            name: self._named_types(node) for name, node in self._cached_shape(schema)[0].items()
        }
        return {name: types for name, types in found.items() if types}

    def _named_types(self, node: Schema) -> tuple[str, ...]:
        """Return the named types that a value of a schema may have."""
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
        typed = "@type" in node.get("required", ())
        for part in node.get("allOf", ()):
            inherited, part_typed = (
                self._cached_shape(_reference_name(part))
                if "$ref" in part
                else self._merged_shape(part)
            )
            attributes |= inherited
            typed = typed or part_typed
        return attributes | node.get("properties", {}), typed


def _reference_name(node: Schema) -> str:
    return str(node["$ref"]).rsplit("/", 1)[-1]
