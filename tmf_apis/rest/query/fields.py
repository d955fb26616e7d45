"""The ``fields=`` parameter: which attributes of a resource are sent.

Source: TMF630 part 1, "Attribute selection".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import check_path

Resource = dict[str, Any]
#: Attribute -> what of it is asked for; None is all of it.
FieldTree = dict[str, Any]

#: Most attributes in one selection.
FIELD_LIMIT = 100
#: What the conversion between versions needs of every resource.
_ALWAYS_READ = ("@type", "@baseType")


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """What a client asked for; ``tree`` is None where it did not say, so everything.

    Attributes it names that a resource does not have, or no resource can have, are no error.
    """

    tree: FieldTree | None = None

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Return what the values of ``fields`` parameters say.

        ``none`` asks for no attribute beside those that are always sent.

        Raises:
            InvalidQuery: One is not the path of an attribute, or there are too many (HTTP 400).
        """
        names = [name.strip(" ") for text in texts for name in text.split(",") if text.strip(" ")]
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
        """Return the attributes to pick where that is all there is to do: v5, first level only.

        Nothing where the view of a version or a path below the first level is in the way.
        """
        if (
            version != "v5"
            or not self.tree
            or any(below is not None for below in self.tree.values())
        ):
            return frozenset()
        return frozenset({*self.tree, "@type"})


def _insert_path(tree: FieldTree, names: list[str]) -> None:
    for name in names[:-1]:
        below = tree.setdefault(name, {})
        if below is None:
            return
        tree = below
    tree[names[-1]] = None


def selected_resource(resource: Resource, fields: FieldSelection, *, with_type: bool) -> Resource:
    """Return what was asked for of a resource in a client's form; id and href always.

    Args:
        resource: As the client would see it whole.
        fields: What it asked for.
        with_type: ``@type`` always too, as v5 has it.
    """
    if fields.tree is None:
        return resource
    always = ("id", "href", "@type") if with_type else ("id", "href")
    return _selected_members(resource, fields.tree | dict.fromkeys(always))


def _selected_members(value: Mapping[str, Any], tree: FieldTree) -> Resource:
    picked = {}
    for name, member in value.items():
        if name in tree:
            below = member if tree[name] is None else _selected_value(member, tree[name])
            if below is not None:
                picked[name] = below
    return picked


def _selected_value(value: object, tree: FieldTree) -> object:
    """Return the parts asked for of an object or of each object of an array, or None."""
    if isinstance(value, dict):
        return _selected_members(value, tree) or None
    if isinstance(value, list):
        return [part for item in value if (part := _selected_value(item, tree)) is not None] or None
    return None


def projection(
    fields: FieldSelection, stored_paths: Callable[[str], tuple[str, ...]], prefix: str = "body."
) -> dict[str, int] | None:
    """Return what to read of a stored document for the fields, or None for all of it.

    First-level attributes are read whole, so that the view of a version can be made from them.

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
    for name, below in tree.items():
        if below is None:
            yield prefix + name
        else:
            yield from _leaf_paths(below, f"{prefix}{name}.")
