"""Transforms between v4 and the stored form; a view is a sequence of them.

Every transform is a bijection over all JSON objects, and all but ``NestedViews`` are their own
inverse. They *swap* two members: if the target is occupied, both values change places, so nothing
is overwritten. A sequence of bijections is a bijection too, so no document loses anything on a
round trip. Transforms never modify their argument; they return the same object if they do not
apply.

``forward`` leads from v4 to the stored form and ``inverse`` back; ``mapped_paths`` maps the paths
of v4 to those of the stored form.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Path = tuple[str, ...]
#: v4 spelling of a value -> stored spelling; other values have the same spelling in both.
ValueMap = Mapping[str, str]
MappedPath = tuple[Path, ValueMap]

NO_VALUE_MAP: Final[ValueMap] = {}


class ViewLookup(Protocol):
    """The views of a table by name, looked up on use because a product may contain products."""

    def transform(self, view: str, *, inverse: bool) -> Transform:
        """Return the transform of a view from v4 to the stored form, or its ``inverse``."""

    def mapped_paths(self, view: str, path: Path) -> Iterator[MappedPath]:
        """Yield the stored paths of a v4 path of a view."""


class BidirectionalTransform(Protocol):
    """One difference between v4 and the stored form."""

    @property
    def affected_members(self) -> frozenset[str]:
        """Members of either form; an object without any of them is not changed."""

    def forward(self, lookup: ViewLookup) -> Transform:
        """Return the transform from v4 to the stored form."""

    def inverse(self, lookup: ViewLookup) -> Transform:
        """Return the transform from the stored form to v4."""

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield the stored paths of a v4 path; the path itself if it does not differ."""


class SelfInverseTransform:
    """A transform that is its own inverse."""

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def swap(self, document: Json) -> Json:
        """Return the object in its other form."""
        raise NotImplementedError


def bidirectional_map(table: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping with the pairs of ``table`` in both directions."""
    return {**table, **{new: old for old, new in table.items()}}


class Rename(SelfInverseTransform):
    """Members with another name in v5: ``Rename(orderDate="creationDate")``."""

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
    """Text values with another spelling in v5.

    Args:
        mappings: Member -> v4 spelling -> v5 spelling.
    """

    def __init__(self, mappings: Mapping[str, Mapping[str, str]]) -> None:
        self.mappings = {name: bidirectional_map(table) for name, table in mappings.items()}
        self.affected_members = frozenset(mappings)

    def swap(self, document: Json) -> Json:
        """Return the object with the other spelling of its values."""
        result = document
        for name, table in self.mappings.items():
            value = document.get(name)
            if isinstance(value, str) and value in table:
                result = {**result, name: table[value]}
        return result

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the unchanged path with the spelling of its values."""
        yield path, self.mappings.get(path[0], NO_VALUE_MAP) if len(path) == 1 else NO_VALUE_MAP


def type_rename(v4_type: str, v5_type: str) -> ValueTranslation:
    """Return the transform of a type with another name in v5."""
    return ValueTranslation({"@type": {v4_type: v5_type}, "@baseType": {v4_type: v5_type}})


class NestedViews:
    """Members whose value is an object, or a list of objects, with a view of its own.

    The members have their v4 names: in a view, nested views come before renames.

    Args:
        views: Member -> name of the view of its value.
    """

    def __init__(self, **views: str) -> None:
        self.views = views
        self.affected_members = frozenset(views)

    def forward(self, lookup: ViewLookup) -> Transform:
        """Return the transform that applies the views to the nested objects."""
        return self._nested_transform(lookup, inverse=False)

    def inverse(self, lookup: ViewLookup) -> Transform:
        """Return the transform that reverses the views of the nested objects."""
        return self._nested_transform(lookup, inverse=True)

    def _nested_transform(self, lookup: ViewLookup, *, inverse: bool) -> Transform:
        pairs = [
            (name, lookup.transform(view, inverse=inverse)) for name, view in self.views.items()
        ]

        def transform_members(document: Json) -> Json:
            result = document
            for name, transform in pairs:
                if name in document:
                    value = document[name]
                    new = _transformed_objects(transform, value)
                    if new is not value:
                        result = {**result, name: new}
            return result

        return transform_members

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield the mapped paths inside the nested object; a list index is kept."""
        stem = 2 if len(path) > 1 and path[1].isdecimal() else 1
        if path[0] not in self.views or len(path) == stem:
            yield path, NO_VALUE_MAP
            return
        for inner_path, values in lookup.mapped_paths(self.views[path[0]], path[stem:]):
            yield path[:stem] + inner_path, values


def _transformed_objects(transform: Transform, value: Any) -> Any:  # noqa: ANN401
    """Return a transformed object or list of objects; the same value if nothing changes."""
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
