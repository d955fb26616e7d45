"""The references that the contracts declare: which attribute names a resource of which kind.

A reference is an object with the id of another resource (``ProductRef``, ``ServiceRefOrValue``,
``OrderRelationship``) or a plain id (``productOrderId``, ``parentId``). The attributes of a kind
are the union of those of all contracts that serve it. Nodes are resolved on demand and cached,
because types contain themselves.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tmf_apis.rest.contracts.contract import kind_of

Schema = Mapping[str, Any]
#: A schema, and the contract that its references point into.
Fragment = tuple[Mapping[str, Any], Schema]

#: The generic type of a reference; the value of ``@referredType`` names the kind.
ENTITY: Final = "Entity"
#: Account types are one pseudo-kind: accounts are not resources of this server.
ACCOUNT: Final = "Account"
_REFERENCE_SUFFIX: Final = re.compile(
    r"(RefOrPartyRoleRef|OrPartyRole|RefOrValue|Ref|Relationship)$"
)
#: Suffixes of the variants of a type: bodies of POST and PATCH, and responses.
_VARIANT_SUFFIX: Final = re.compile(r"_(FVO|MVO|RES|Create|Update)$")
#: Types whose name does not follow from the kind that they refer to.
_TYPE_ALIASES: Final[Mapping[str, str]] = {
    "Bill": "CustomerBill",
    "ConnectionPoint": "Resource",
    "Endpoint": "Resource",
    "ServiceSpec": "ServiceSpecification",
}


@dataclass(slots=True)
class _Shape:
    """The names, attributes and items of a schema, of its parents and of its alternatives."""

    names: list[str] = field(default_factory=list)
    properties: dict[str, list[Fragment]] = field(default_factory=dict)
    items: list[Fragment] = field(default_factory=list)

    def merge(self, other: "_Shape") -> None:
        self.names += [name for name in other.names if name not in self.names]
        for name, fragments in other.properties.items():
            self.properties.setdefault(name, []).extend(fragments)
        self.items += other.items


class ReferenceNode:
    """An attribute of a kind: what it refers to, and its own attributes.

    Attributes:
        target: The type that it refers to (``Product``, ``Agreement``, ``Entity``); empty: the
            attribute is not a reference.
        kind: The kind of the target if this server stores it or if it is an account; else empty.
        is_plain: The attribute is an id itself, not an object with an id.
    """

    __slots__ = ("_children", "_schema", "_shape", "is_plain", "kind", "target")

    def __init__(self, schema: "ReferenceSchema", shape: _Shape, name: str) -> None:
        self._schema = schema
        self._shape = shape
        self._children: dict[str, ReferenceNode] = {}
        self.is_plain = not shape.properties
        self.target = schema.plain_target(name) if self.is_plain else schema.target_of(shape)
        self.kind = schema.kind_of_type(self.target) if self.target else ""

    @property
    def names(self) -> Sequence[str]:
        """The names of the attributes that the contracts declare."""
        return tuple(self._shape.properties)

    @property
    def types(self) -> Sequence[str]:
        """The names of the schema, its parents and its alternatives."""
        return tuple(self._shape.names)

    def attribute(self, name: str) -> "ReferenceNode | None":
        """Return the node of an attribute or of its items; None if it is not declared."""
        if (fragments := self._shape.properties.get(name)) is None:
            return None  # not cached: the names come from clients
        if name not in self._children:
            self._children[name] = self._schema.node(fragments, name)
        return self._children[name]


class ReferenceSchema:
    """The references of one kind, from all contracts that serve it."""

    def __init__(
        self, kind: str, roots: Sequence[tuple[Mapping[str, Any], str]], kinds: Collection[str]
    ) -> None:
        """Store the schemas.

        Args:
            kind: The stored kind.
            roots: The OpenAPI documents that serve the kind, each with the name of its schema.
            kinds: All kinds that this server stores.
        """
        self.kind = kind
        self._kinds = kinds
        self._nodes: dict[frozenset[int], ReferenceNode] = {}
        fragments = [
            (document, {"$ref": f"#/components/schemas/{name}"}) for document, name in roots
        ]
        self.root = ReferenceNode(self, _merged(fragments), "")

    def node(self, fragments: Sequence[Fragment], name: str) -> ReferenceNode:
        """Return the node of an attribute; the same schemas always have the same node."""
        key = frozenset({id(schema) for _, schema in fragments})
        if key not in self._nodes:
            self._nodes[key] = ReferenceNode(self, _with_items(fragments), name)
        return self._nodes[key]

    def kind_of_type(self, name: object) -> str:
        """Return the kind of a type or of a reference type; empty if it is not stored here.

        An account has the pseudo-kind ``Account``.
        """
        if not isinstance(name, str):
            return ""
        name = _REFERENCE_SUFFIX.sub("", name)
        if name.endswith(ACCOUNT):
            return ACCOUNT
        kind = kind_of(_TYPE_ALIASES.get(name, name))
        if kind not in self._kinds and name and self.kind.endswith(name):
            return self.kind  # OrderRelationship of a ProductOrder
        return kind if kind in self._kinds else ""

    def plain_target(self, name: str) -> str:
        """Return the type that a plain id refers to, according to the attribute's name.

        The name has to be that of a kind: ``productOrderId``; ``parentId`` is of the same kind.
        """
        if not name.endswith("Id") or name == "Id":
            return ""
        if name == "parentId":
            return self.kind
        stem = name.removesuffix("Id").removeprefix("parent")
        type_name = stem[:1].upper() + stem[1:]
        return type_name if self.kind_of_type(type_name) else ""

    def target_of(self, shape: _Shape) -> str:
        """Return the type that objects of a shape refer to; empty if they are not references."""
        if "id" not in shape.properties and "href" not in shape.properties:
            return ""
        for name in shape.names:
            if target := self._target_of_name(name):
                return target
        return ENTITY if "@referredType" in shape.properties else ""

    def _target_of_name(self, name: str) -> str:
        stem = _REFERENCE_SUFFIX.sub("", name)
        if stem == name:
            return name if kind_of(name) in self._kinds else ""
        if not name.endswith("Relationship"):
            return stem.removeprefix("Related") or stem
        return stem if self.kind_of_type(stem) else ""


def references_of(schema: ReferenceSchema) -> Iterator[tuple[tuple[str, ...], ReferenceNode]]:
    """Yield path and node of every reference of a kind; each type is entered once on a path."""
    yield from _references(schema.root, (), frozenset())


def _references(
    node: ReferenceNode, path: tuple[str, ...], ancestors: frozenset[int]
) -> Iterator[tuple[tuple[str, ...], ReferenceNode]]:
    if id(node) in ancestors:
        return
    for name in node.names:
        if (child := node.attribute(name)) is None:
            continue
        inner = path if path[-1:] == (name,) else (*path, name)
        if child.target:
            yield inner, child
        yield from _references(child, inner, ancestors | {id(node)})


def _with_items(fragments: Sequence[Fragment]) -> _Shape:
    """Return the merged shape of schemas and of the items of arrays."""
    shape = _merged(fragments)
    while shape.items:
        items, shape.items = shape.items, []
        shape.merge(_merged(items))
    return shape


def _merged(fragments: Sequence[Fragment]) -> _Shape:
    shape = _Shape()
    for document, schema in fragments:
        shape.merge(_shape_of(document, schema, frozenset(), subtypes=True))
    return shape


def _shape_of(
    document: Mapping[str, Any], schema: Schema, ancestors: frozenset[str], *, subtypes: bool
) -> _Shape:
    shape = _Shape()
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        if name in ancestors:
            return shape
        shape.names.append(_VARIANT_SUFFIX.sub("", name))
        component = document.get("components", {}).get("schemas", {}).get(name, {})
        shape.merge(_shape_of(document, component, ancestors | {name}, subtypes=subtypes))
        return shape
    for name, child in schema.get("properties", {}).items():
        shape.properties[name] = [(document, child)]
    if "items" in schema:
        shape.items.append((document, schema["items"]))
    # The discriminator of a parent lists the siblings, so it is not followed upwards.
    for part in schema.get("allOf", ()):
        shape.merge(_shape_of(document, part, ancestors, subtypes=False))
    alternatives = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if subtypes:
        mapping = schema.get("discriminator", {}).get("mapping", {})
        alternatives += [{"$ref": target} for target in dict.fromkeys(mapping.values())]
    for part in alternatives:
        shape.merge(_shape_of(document, part, ancestors, subtypes=subtypes))
    return shape
