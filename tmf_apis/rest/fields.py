"""The ``fields=`` parameter: which attributes of a resource are sent.

Source: TMF630 part 1, "Attribute selection".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.attributes import check_path

Resource = dict[str, Any]
#: Attribute -> what of it is asked for; None is all of it.
Tree = dict[str, Any]

#: Most attributes in one selection.
FIELD_LIMIT = 100
#: What the conversion between versions needs of every resource.
_ALWAYS_READ = ("@type", "@baseType")


@dataclass(frozen=True, slots=True)
class Fields:
    """What a client asked for; ``tree`` is None where it did not say, so everything.

    Attributes it names that a resource does not have, or no resource can have, are no error.
    """

    tree: Tree | None = None

    @classmethod
    def read(cls, texts: Iterable[str]) -> Self:
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
        tree: Tree = {}
        for name in names:
            check_path(name)
            if name != "none":
                _plant(tree, name.split("."))
        return cls(tree)

    def simple(self, version: str) -> frozenset[str]:
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


def _plant(tree: Tree, names: list[str]) -> None:
    for name in names[:-1]:
        below = tree.setdefault(name, {})
        if below is None:
            return
        tree = below
    tree[names[-1]] = None


def select(resource: Resource, fields: Fields, *, typed: bool) -> Resource:
    """Return what was asked for of a resource in a client's form; id and href always.

    Args:
        resource: As the client would see it whole.
        fields: What it asked for.
        typed: ``@type`` always too, as v5 has it.
    """
    if fields.tree is None:
        return resource
    always = ("id", "href", "@type") if typed else ("id", "href")
    return _picked(resource, fields.tree | dict.fromkeys(always))


def _picked(value: Mapping[str, Any], tree: Tree) -> Resource:
    picked = {}
    for name, member in value.items():
        if name in tree:
            below = member if tree[name] is None else _below(member, tree[name])
            if below is not None:
                picked[name] = below
    return picked


def _below(value: object, tree: Tree) -> object:
    """Return the parts asked for of an object or of each object of an array, or None."""
    if isinstance(value, dict):
        return _picked(value, tree) or None
    if isinstance(value, list):
        return [part for item in value if (part := _below(item, tree)) is not None] or None
    return None


def projection(
    fields: Fields, stored_paths: Callable[[str], tuple[str, ...]], prefix: str = "body."
) -> dict[str, int] | None:
    """Return what to read of a stored document for the fields, or None for all of it.

    First-level attributes are read whole, so that the view of a version can be made from them.

    >>> projection(Fields.read(["name,note.date"]), lambda path: (path,))
    {'id': 1, 'body.@type': 1, 'body.@baseType': 1, 'body.name': 1, 'body.note': 1}
    """
    if fields.tree is None:
        return None
    stored = [path.split(".", 1)[0] for name in _leaves(fields.tree) for path in stored_paths(name)]
    return {"id": 1} | {prefix + name: 1 for name in (*_ALWAYS_READ, *stored)}


def _leaves(tree: Tree, above: str = "") -> Iterable[str]:
    for name, below in tree.items():
        if below is None:
            yield above + name
        else:
            yield from _leaves(below, f"{above}{name}.")
