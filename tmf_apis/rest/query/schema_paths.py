"""Types of the attributes that clients name by dotted path, according to a contract."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Mapping[str, Any]
ValueType = Literal["string", "integer", "number", "boolean", "date-time", "date", "object", "any"]

#: Most paths that one instance caches; the names come from clients.
MAX_CACHED_PATHS = 4096

_SCALAR_TYPES: Mapping[str, ValueType] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
_DATE_FORMATS: Mapping[str, ValueType] = {
    "date-time": "date-time",
    "dateTime": "date-time",
    "date": "date",
}


@dataclass(frozen=True, slots=True)
class AttributeType:
    """Type of an attribute according to a contract.

    Attributes:
        value_type: The type; for an array, the type of its items; ``any`` if the contract leaves
            the type open.
        array_segments: For each segment of the path, whether the contract has an array there.
        is_declared: The contract names the attribute; false below a free-form attribute.
        texts: The texts that the attribute may have; empty if it may have any.
    """

    value_type: ValueType
    array_segments: tuple[bool, ...]
    is_declared: bool = True
    texts: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def is_multi_valued(self) -> bool:
        """Return whether a resource can have several values of the attribute."""
        return any(self.array_segments)


@dataclass(slots=True)
class _Shape:
    """The union of everything that a schema, its parents and its alternatives allow."""

    properties: dict[str, list[Schema]] = field(default_factory=dict)
    value_types: set[ValueType] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    has_any_text: bool = False
    items: list[Schema] = field(default_factory=list)
    is_open: bool = False
    has_cycle: bool = False  # a part is missing, because an enclosing call already has it

    def merge(self, other: "_Shape") -> None:
        for name, schemas in other.properties.items():
            self.properties.setdefault(name, []).extend(schemas)
        self.value_types |= other.value_types
        self.texts |= other.texts
        self.has_any_text |= other.has_any_text
        self.items += other.items
        self.is_open |= other.is_open
        self.has_cycle |= other.has_cycle

    def value_type(self) -> ValueType:
        kinds: set[ValueType] = self.value_types | ({"object"} if self.properties else set())
        if kinds == {"integer", "number"}:
            return "number"
        if len(kinds) != 1:
            return "any"
        kind = next(iter(kinds))
        return "any" if kind == "object" and not self.properties else kind


class AttributeNode:
    """An object of a contract: the names of its attributes, and the objects in them.

    Attributes:
        names: The names that the contract declares, in any of the types of the object.
    """

    __slots__ = ("_children", "_paths", "_shape", "names")

    def __init__(self, paths: "SchemaPaths", shape: _Shape) -> None:
        self._paths = paths
        self._shape = shape
        self._children: dict[str, AttributeNode | None] = {}
        self.names = frozenset(shape.properties)

    def child(self, name: str) -> "AttributeNode | None":
        """Return the object in an attribute; None if it may have any attributes, or has none."""
        try:
            return self._children[name]
        except KeyError:
            if name not in self.names:
                return None
            child = self._children[name] = self._paths.node(self._shape.properties[name])
            return child


class SchemaPaths:
    """The attributes of one schema of a contract; resolved on demand and cached."""

    def __init__(
        self,
        contract: Mapping[str, Any],
        name: str,
        extensions: Mapping[str, Sequence[Schema]] | None = None,
        *,
        forms: Iterable[str] = (),
    ) -> None:
        """Store the schemas.

        Args:
            contract: An OpenAPI 3.0 document.
            name: The name of a schema in the document (``ProductOrder``).
            extensions: JSON schemas with further attributes, by the name of the schema that they
                extend, wherever in the contract it is used.
            forms: Further schemas whose attributes ``node`` has: those of POST and PATCH bodies.
        """
        self._schemas: Mapping[str, Schema] = contract.get("components", {}).get("schemas", {})
        self._extensions = extensions or {}
        self._root: Schema = {"$ref": f"#/components/schemas/{name}"}
        self._roots: Sequence[Schema] = [
            self._root, *({"$ref": f"#/components/schemas/{form}"} for form in forms)
        ]  # fmt: skip
        self._cache: dict[str, AttributeType | None] = {}
        self._nodes: dict[frozenset[int], AttributeNode | None] = {}

    def type_of(self, path: str) -> AttributeType | None:
        """Return the type of an attribute, or None if the contract has no such attribute."""
        if path in self._cache:
            return self._cache[path]
        attribute_type = self._resolve_path(path.split("."))
        if len(self._cache) < MAX_CACHED_PATHS:
            self._cache[path] = attribute_type
        return attribute_type

    def node(self, schemas: Sequence[Schema] = ()) -> AttributeNode | None:
        """Return the object of some schemas, by default of the schema itself; None if it is open.

        The same schemas always have the same node, because types contain themselves.
        """
        schemas = schemas or self._roots
        key = frozenset(map(id, schemas))
        if key not in self._nodes:
            shape, _ = self._item_shape(schemas)
            is_closed = bool(shape.properties) and not shape.is_open
            self._nodes[key] = AttributeNode(self, shape) if is_closed else None
        return self._nodes[key]

    def _resolve_path(self, names: Sequence[str]) -> AttributeType | None:
        shape, _ = self._item_shape([self._root])
        arrays: list[bool] = []
        for name in names:
            if name not in shape.properties:
                if not shape.is_open:
                    return None
                undeclared = [False] * (len(names) - len(arrays))
                return AttributeType("any", (*arrays, *undeclared), is_declared=False)
            shape, is_array = self._item_shape(shape.properties[name])
            arrays.append(is_array)
        texts = frozenset[str]() if shape.has_any_text else frozenset(shape.texts)
        return AttributeType(shape.value_type(), tuple(arrays), texts=texts)

    def _item_shape(self, schemas: Sequence[Schema]) -> tuple[_Shape, bool]:
        """Return the merged shape of schemas and of their items, and whether there are arrays."""
        shape, is_array = self._merged_shape(schemas), False
        for _ in range(4):  # arrays of arrays of ...
            if not shape.items:
                break
            items, shape.items, is_array = shape.items, [], True
            shape.merge(self._merged_shape(items))
        return shape, is_array

    def _merged_shape(self, schemas: Iterable[Schema]) -> _Shape:
        shape = _Shape()
        for schema in schemas:
            shape.merge(self._schema_shape(schema, subtypes=True, ancestors=frozenset()))
        return shape

    def _schema_shape(
        self,
        schema: Schema,
        *,
        subtypes: bool,
        ancestors: frozenset[int],
        is_component: bool = False,
    ) -> _Shape:
        if "$ref" in schema:
            return self._component_shape(
                str(schema["$ref"]), subtypes=subtypes, ancestors=ancestors
            )
        shape = _own_shape(schema)
        # Follow discriminator mappings only downwards: a parent's mapping lists the siblings.
        inherited = subtypes and not is_component
        for part in schema.get("allOf", ()):
            parent = self._schema_shape(part, subtypes=inherited, ancestors=ancestors)
            parent.is_open = parent.is_open and _has_additional_properties(part)
            shape.merge(parent)
        alternatives = [
            self._schema_shape(part, subtypes=subtypes, ancestors=ancestors)
            for part in _alternatives(schema, subtypes=subtypes)
        ]
        shape.is_open = _is_open(schema, shape, alternatives)
        for alternative in alternatives:
            shape.merge(alternative)
        return shape

    def _component_shape(
        self, reference: str, *, subtypes: bool, ancestors: frozenset[int]
    ) -> _Shape:
        name = reference.rsplit("/", 1)[-1]
        if (schema := self._schemas.get(name)) is None:
            return _Shape(is_open=True)
        if id(schema) in ancestors:
            return _Shape(has_cycle=True)
        shape = self._schema_shape(
            schema, subtypes=subtypes, ancestors=ancestors | {id(schema)}, is_component=True
        )
        for extension in self._extensions.get(name, ()):
            shape.merge(self._schema_shape(extension, subtypes=False, ancestors=ancestors))
        return shape


def _alternatives(schema: Schema, *, subtypes: bool) -> Iterator[Schema]:
    yield from schema.get("oneOf", ())
    yield from schema.get("anyOf", ())
    if subtypes:
        for target in schema.get("discriminator", {}).get("mapping", {}).values():
            yield {"$ref": target}


def _own_shape(schema: Schema) -> _Shape:
    types = schema.get("type", ())
    shape = _Shape()
    for name in (types,) if isinstance(types, str) else types:
        if name == "array":
            shape.items.append(schema.get("items", {}))
        elif name in _SCALAR_TYPES:
            shape.value_types.add(_DATE_FORMATS.get(schema.get("format", ""), _SCALAR_TYPES[name]))
        elif name == "object":
            shape.value_types.add("object")
    shape.texts.update(text for text in schema.get("enum", ()) if isinstance(text, str))
    shape.has_any_text = "string" in types and "enum" not in schema
    for property_name, child in schema.get("properties", {}).items():
        shape.properties[property_name] = [child]
    return shape


def _is_open(schema: Schema, shape: _Shape, alternatives: Sequence[_Shape]) -> bool:
    """Return whether a schema, including its parents, allows undeclared attributes."""
    if shape.is_open or _has_additional_properties(schema):
        return True
    closed = bool(shape.properties or shape.items or shape.has_cycle or alternatives)
    return not closed and shape.value_types <= {"object"}


def _has_additional_properties(schema: Schema) -> bool:
    return bool(schema.get("additionalProperties"))
