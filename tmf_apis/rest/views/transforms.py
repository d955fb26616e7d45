"""The kinds of difference between two versions of an object; a view is a row of them.

Every step is a bijection over all JSON objects, and all but ``NestedViews`` are their own inverse: they
*swap* two places, so a value that already stands where another goes changes places with it and
nothing is ever overwritten. A row of bijections is one too, which is why nothing is lost on a
round trip, whatever a client sends. Steps never change what they are given; they return the same
object when they do not apply.

``forward`` goes from v4 to the stored form, ``inverse`` back; ``mapped_paths`` says where a path goes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Path = tuple[str, ...]
#: v4 spelling of a value -> stored spelling; values that are not in it are spelled alike.
ValueMap = Mapping[str, str]
MappedPath = tuple[Path, ValueMap]

NO_VALUE_MAP: Final[ValueMap] = {}


class ViewLookup(Protocol):
    """The other views of the same table, found when they are needed (products hold products)."""

    def transform(self, view: str, *, inverse: bool) -> Transform:
        """Return what applies (or, ``inverse``, undoes) a view."""

    def mapped_paths(self, view: str, path: Path) -> Iterator[MappedPath]:
        """Yield where a path of a view goes."""


class BidirectionalTransform(Protocol):
    """One difference."""

    @property
    def affected_members(self) -> frozenset[str]:
        """Members without any of which the step does not apply, either way."""

    def forward(self, lookup: ViewLookup) -> Transform:
        """Return the way from v4 to the stored form."""

    def inverse(self, lookup: ViewLookup) -> Transform:
        """Return the way back."""

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield where a v4 path goes; itself where the step does not apply."""


class SelfInverseTransform:
    """A step that is its own inverse."""

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def swap(self, document: Json) -> Json:
        """Return the object with the places swapped."""
        raise NotImplementedError


def bidirectional_map(table: Mapping[str, str]) -> dict[str, str]:
    """Return a table that leads there and back."""
    return {**table, **{new: old for old, new in table.items()}}


class Rename(SelfInverseTransform):
    """Members that have another name in v5: ``Rename(orderDate="creationDate")``."""

    def __init__(self, **new_names: str) -> None:
        self.mapping = bidirectional_map(new_names)
        self.affected_members = frozenset(self.mapping)

    def swap(self, document: Json) -> Json:
        """Return the object with each member under its other name, in the same order."""
        table = self.mapping
        if table.keys().isdisjoint(document):
            return document
        return {table.get(name, name): value for name, value in document.items()}

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path under its other name."""
        yield (self.mapping.get(path[0], path[0]), *path[1:]), NO_VALUE_MAP


class ValueTranslation(SelfInverseTransform):
    """Values that are spelled otherwise in v5; text only, compared as a whole.

    Args:
        mappings: By member: v4 spelling -> spelling of v5.
    """

    def __init__(self, mappings: Mapping[str, Mapping[str, str]]) -> None:
        self.mappings = {name: bidirectional_map(table) for name, table in mappings.items()}
        self.affected_members = frozenset(mappings)

    def swap(self, document: Json) -> Json:
        """Return the object with the values in their other spelling."""
        result = document
        for name, table in self.mappings.items():
            value = document.get(name)
            if isinstance(value, str) and value in table:
                result = {**result, name: table[value]}
        return result

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path as it is, with the spelling of its values."""
        yield path, self.mappings.get(path[0], NO_VALUE_MAP) if len(path) == 1 else NO_VALUE_MAP


def type_rename(v4_type: str, v5_type: str) -> ValueTranslation:
    """Return the step of a type that has another name in v5."""
    return ValueTranslation({"@type": {v4_type: v5_type}, "@baseType": {v4_type: v5_type}})


class NestedViews:
    """Members that hold objects with a view of their own, one or a list of them.

    Members go by their v4 names: nesting comes before renaming in a row.

    Args:
        views: Member -> the name of the view of what it holds.
    """

    def __init__(self, **views: str) -> None:
        self.views = views
        self.affected_members = frozenset(views)

    def forward(self, lookup: ViewLookup) -> Transform:
        """Return what applies its view to each of the objects."""
        return self._nested_transform(lookup, inverse=False)

    def inverse(self, lookup: ViewLookup) -> Transform:
        """Return what undoes its view for each of the objects."""
        return self._nested_transform(lookup, inverse=True)

    def _nested_transform(self, lookup: ViewLookup, *, inverse: bool) -> Transform:
        pairs = [
            (name, lookup.transform(view, inverse=inverse)) for name, view in self.views.items()
        ]

        def each(document: Json) -> Json:
            result = document
            for name, transform in pairs:
                if name in document:
                    value = document[name]
                    new = _transformed_objects(transform, value)
                    if new is not value:
                        result = {**result, name: new}
            return result

        return each

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield where the rest of the path goes; a position in a list stays where it is."""
        stem = 2 if len(path) > 1 and path[1].isdecimal() else 1
        if path[0] not in self.views or len(path) == stem:
            yield path, NO_VALUE_MAP
            return
        for place, spelling in lookup.mapped_paths(self.views[path[0]], path[stem:]):
            yield path[:stem] + place, spelling


def _transformed_objects(transform: Transform, value: Any) -> Any:  # noqa: ANN401
    """Return an object or list of objects, each transformed; the same one if all are the same."""
    if isinstance(value, dict):
        return transform(value)
    if not isinstance(value, list):
        return value
    same, result = True, []
    for item in value:
        new = transform(item) if isinstance(item, dict) else item
        same = same and new is item
        result.append(new)
    return value if same else result
