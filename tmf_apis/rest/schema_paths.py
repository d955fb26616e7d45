"""What type a contract gives to an attribute that a client names by its dotted path."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Mapping[str, Any]
Kind = Literal["string", "integer", "number", "boolean", "date-time", "date", "object", "any"]

#: Most paths that one instance remembers; the names come from clients.
REMEMBERED = 4096

_SCALARS: Mapping[str, Kind] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
_DATES: Mapping[str, Kind] = {"date-time": "date-time", "dateTime": "date-time", "date": "date"}


@dataclass(frozen=True, slots=True)
class AttributeType:
    """What a contract says about one attribute.

    Attributes:
        kind: Its type; of an array, that of its items. ``any`` where the contract leaves it open.
        arrays: For each segment of the path, whether the contract has an array there.
        declared: The contract names the attribute; false below a free-form attribute.
    """

    kind: Kind
    arrays: tuple[bool, ...]
    declared: bool = True

    @property
    def in_array(self) -> bool:
        """Whether a resource can have more than one value here."""
        return any(self.arrays)


@dataclass(slots=True)
class _Shape:
    """All readings of a schema, laid over each other."""

    properties: dict[str, list[Schema]] = field(default_factory=dict)
    kinds: set[Kind] = field(default_factory=set)
    items: list[Schema] = field(default_factory=list)
    free: bool = False
    cut: bool = False  # a part was left out, because whoever asks has it already

    def add(self, other: "_Shape") -> None:
        for name, schemas in other.properties.items():
            self.properties.setdefault(name, []).extend(schemas)
        self.kinds |= other.kinds
        self.items += other.items
        self.free |= other.free
        self.cut |= other.cut

    def kind(self) -> Kind:
        kinds: set[Kind] = self.kinds | ({"object"} if self.properties else set())
        if kinds == {"integer", "number"}:
            return "number"
        if len(kinds) != 1:
            return "any"
        kind = next(iter(kinds))
        return "any" if kind == "object" and not self.properties else kind


class SchemaPaths:
    """The attributes of one schema of a contract; walked when asked, then remembered.

    Args:
        contract: An OpenAPI 3.0 document.
        name: A schema of it (``ProductOrder``).
        extensions: For the name of a schema, JSON schemas with further attributes that it may
            have, wherever it is reached.
    """

    def __init__(
        self,
        contract: Mapping[str, Any],
        name: str,
        extensions: Mapping[str, Sequence[Schema]] | None = None,
    ) -> None:
        self._schemas: Mapping[str, Schema] = contract.get("components", {}).get("schemas", {})
        self._extensions = extensions or {}
        self._root: Schema = {"$ref": f"#/components/schemas/{name}"}
        self._known: dict[str, AttributeType | None] = {}

    def type_of(self, path: str) -> AttributeType | None:
        """Return the type of an attribute, or None where the contract has no such one."""
        if path in self._known:
            return self._known[path]
        found = self._walk(path.split("."))
        if len(self._known) < REMEMBERED:
            self._known[path] = found
        return found

    def _walk(self, names: Sequence[str]) -> AttributeType | None:
        shape, _ = self._inside([self._root])
        arrays: list[bool] = []
        for name in names:
            if name not in shape.properties:
                below = len(names) - len(arrays)
                free = AttributeType("any", (*arrays, *[False] * below), declared=False)
                return free if shape.free else None
            shape, array = self._inside(shape.properties[name])
            arrays.append(array)
        return AttributeType(shape.kind(), tuple(arrays))

    def _inside(self, schemas: Sequence[Schema]) -> tuple[_Shape, bool]:
        """Return what the schemas say together, arrays opened, and whether there were any."""
        shape, array = self._union(schemas), False
        for _ in range(4):  # arrays of arrays of ...
            if not shape.items:
                break
            items, shape.items, array = shape.items, [], True
            shape.add(self._union(items))
        return shape, array

    def _union(self, schemas: Iterable[Schema]) -> _Shape:
        shape = _Shape()
        for schema in schemas:
            shape.add(self._shape(schema, subtypes=True, active=frozenset()))
        return shape

    def _shape(
        self, schema: Schema, *, subtypes: bool, active: frozenset[int], named: bool = False
    ) -> _Shape:
        if "$ref" in schema:
            return self._named(str(schema["$ref"]), subtypes=subtypes, active=active)
        shape = _own(schema)
        # The parents of a type say nothing about its siblings: mappings are followed down only.
        inherited = subtypes and not named
        for part in schema.get("allOf", ()):
            parent = self._shape(part, subtypes=inherited, active=active)
            parent.free = parent.free and _opens(part)
            shape.add(parent)
        alternatives = [
            self._shape(part, subtypes=subtypes, active=active)
            for part in _alternatives(schema, subtypes=subtypes)
        ]
        shape.free = _is_free(schema, shape, alternatives)
        for alternative in alternatives:
            shape.add(alternative)
        return shape

    def _named(self, reference: str, *, subtypes: bool, active: frozenset[int]) -> _Shape:
        name = reference.rsplit("/", 1)[-1]
        if (schema := self._schemas.get(name)) is None:
            return _Shape(free=True)
        if id(schema) in active:
            return _Shape(cut=True)
        shape = self._shape(schema, subtypes=subtypes, active=active | {id(schema)}, named=True)
        for extension in self._extensions.get(name, ()):
            shape.add(self._shape(extension, subtypes=False, active=active))
        return shape


def _alternatives(schema: Schema, *, subtypes: bool) -> Iterator[Schema]:
    yield from schema.get("oneOf", ())
    yield from schema.get("anyOf", ())
    if subtypes:
        for target in schema.get("discriminator", {}).get("mapping", {}).values():
            yield {"$ref": target}


def _own(schema: Schema) -> _Shape:
    types = schema.get("type", ())
    shape = _Shape()
    for one in (types,) if isinstance(types, str) else types:
        if one == "array":
            shape.items.append(schema.get("items", {}))
        elif one in _SCALARS:
            shape.kinds.add(_DATES.get(schema.get("format", ""), _SCALARS[one]))
        elif one == "object":
            shape.kinds.add("object")
    for name, child in schema.get("properties", {}).items():
        shape.properties[name] = [child]
    return shape


def _is_free(schema: Schema, shape: _Shape, alternatives: Sequence[_Shape]) -> bool:
    """Tell whether a schema, its parents included, leaves its attributes open."""
    if shape.free or _opens(schema):
        return True
    closed = bool(shape.properties or shape.items or shape.cut or alternatives)
    return not closed and shape.kinds <= {"object"}


def _opens(schema: Schema) -> bool:
    return bool(schema.get("additionalProperties"))
