"""The ``fields=`` parameter: select the attributes of a resource that a response contains.

Source: TMF630 part 1, "Attribute selection".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import check_path, dotted_path

Resource = dict[str, Any]
#: The tree of the selected attributes by name; None selects the whole attribute.
FieldTree = dict[str, Any]

#: Most attributes in one selection.
FIELD_LIMIT = 100
#: Attributes that the conversion between versions needs of every resource.
_ALWAYS_READ = ("@type", "@baseType")


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """The attributes that a client selected.

    Attributes that a resource does not have, or that no resource can have, are ignored.

    Attributes:
        tree: The selected attributes; None selects all of them.
    """

    tree: FieldTree | None = None

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Return the selection of the values of all ``fields`` parameters.

        ``none`` selects no attribute besides those that a response always contains.

        Raises:
            InvalidQuery: A name is not the path of an attribute, or there are more than
                ``FIELD_LIMIT`` names (HTTP 400).
        """
        names = [
            dotted_path(name.strip(" "), "fields")
            for text in texts
            for name in ([text] if "[?" in text else text.split(","))
            if text.strip(" ")
        ]
        if not names:
            return cls()
        if len(names) > FIELD_LIMIT:
            raise InvalidQuery(f"fields: at most {FIELD_LIMIT} attributes")
        tree: FieldTree = {}
        for name in names:
            check_path(name)
            if name != "none":
                _insert_path(tree, name.split("."))
        return cls(tree)

    def top_level_names(self, version: str) -> frozenset[str]:
        """Return the top-level attributes whose copy is the whole response.

        Empty if the resource has to be converted first (any version except v5), or if the
        selection has a path below the top level.
        """
        if version != "v5" or not self.tree:
            return frozenset()
        if any(subtree is not None for subtree in self.tree.values()):
            return frozenset()
        return frozenset({*self.tree, "@type"})


def _insert_path(tree: FieldTree, names: list[str]) -> None:
    for name in names[:-1]:
        subtree = tree.setdefault(name, {})
        if subtree is None:
            return
        tree = subtree
    tree[names[-1]] = None


def selected_resource(resource: Resource, fields: FieldSelection, *, with_type: bool) -> Resource:
    """Return the selected attributes of a resource; ``id`` and ``href`` are always included.

    Args:
        resource: The whole resource in the client's version.
        fields: The client's selection.
        with_type: Always include ``@type`` too, as v5 requires.
    """
    if fields.tree is None:
        return resource
    always = ("id", "href", "@type") if with_type else ("id", "href")
    return _selected_members(resource, fields.tree | dict.fromkeys(always))


def _selected_members(value: Mapping[str, Any], tree: FieldTree) -> Resource:
    selected = {}
    for name, member in value.items():
        if name in tree:
            part = member if tree[name] is None else _selected_value(member, tree[name])
            if part is not None:
                selected[name] = part
    return selected


def _selected_value(value: object, tree: FieldTree) -> object:
    """Return the selected parts of an object, or of each object of an array; None if empty."""
    if isinstance(value, dict):
        return _selected_members(value, tree) or None
    if isinstance(value, list):
        return [part for item in value if (part := _selected_value(item, tree)) is not None] or None
    return None


def projection(
    fields: FieldSelection, stored_paths: Callable[[str], tuple[str, ...]], prefix: str = "body."
) -> dict[str, int] | None:
    """Return the MongoDB projection that reads the selected attributes, or None to read all.

    Top-level attributes are read whole, because the conversion between versions needs them whole.

    >>> projection(FieldSelection.parse(["name,note.date"]), lambda path: (path,))
    {'id': 1, 'body.@type': 1, 'body.@baseType': 1, 'body.name': 1, 'body.note': 1}
    """
    if fields.tree is None:
        return None
    stored = [
        path.split(".", 1)[0] for name in _leaf_paths(fields.tree) for path in stored_paths(name)
    ]
    return {"id": 1} | {prefix + name: 1 for name in (*_ALWAYS_READ, *stored)}


def _leaf_paths(tree: FieldTree, prefix: str = "") -> Iterable[str]:
    for name, subtree in tree.items():
        if subtree is None:
            yield prefix + name
        else:
            yield from _leaf_paths(subtree, f"{prefix}{name}.")
