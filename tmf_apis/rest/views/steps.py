"""The kinds of difference between two versions of an object; a view is a row of them.

Every step is a bijection over all JSON objects, and all but ``Nest`` are their own inverse: they
*swap* two places, so a value that already stands where another goes changes places with it and
nothing is ever overwritten. A row of bijections is one too, which is why nothing is lost on a
round trip, whatever a client sends. Steps never change what they are given; they return the same
object when they do not apply.

``apply`` goes from v4 to the stored form, ``undo`` back; ``places`` says where a path goes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Path = tuple[str, ...]
#: v4 spelling of a value -> stored spelling; values that are not in it are spelled alike.
Spelling = Mapping[str, str]
Place = tuple[Path, Spelling]

NO_SPELLING: Final[Spelling] = {}


class Lookup(Protocol):
    """The other views of the same table, found when they are needed (products hold products)."""

    def transform(self, view: str, *, back: bool) -> Transform:
        """Return what applies (or, ``back``, undoes) a view."""

    def places(self, view: str, path: Path) -> Iterator[Place]:
        """Yield where a path of a view goes."""


class Step(Protocol):
    """One difference."""

    @property
    def names(self) -> frozenset[str]:
        """Members without any of which the step does not apply, either way."""

    def apply(self, views: Lookup) -> Transform:
        """Return the way from v4 to the stored form."""

    def undo(self, views: Lookup) -> Transform:
        """Return the way back."""

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:
        """Yield where a v4 path goes; itself where the step does not apply."""


class Swap:
    """A step that is its own inverse."""

    def apply(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def undo(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the swap."""
        return self.swap

    def swap(self, document: Json) -> Json:
        """Return the object with the places swapped."""
        raise NotImplementedError


def both_ways(table: Mapping[str, str]) -> dict[str, str]:
    """Return a table that leads there and back."""
    return {**table, **{new: old for old, new in table.items()}}


class Rename(Swap):
    """Members that have another name in v5: ``Rename(orderDate="creationDate")``."""

    def __init__(self, **new_names: str) -> None:
        self.table = both_ways(new_names)
        self.names = frozenset(self.table)

    def swap(self, document: Json) -> Json:
        """Return the object with each member under its other name, in the same order."""
        table = self.table
        if table.keys().isdisjoint(document):
            return document
        return {table.get(name, name): value for name, value in document.items()}

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path under its other name."""
        yield (self.table.get(path[0], path[0]), *path[1:]), NO_SPELLING


class Spell(Swap):
    """Values that are spelled otherwise in v5; text only, compared as a whole.

    Args:
        tables: By member: v4 spelling -> spelling of v5.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        self.tables = {name: both_ways(table) for name, table in tables.items()}
        self.names = frozenset(tables)

    def swap(self, document: Json) -> Json:
        """Return the object with the values in their other spelling."""
        result = document
        for name, table in self.tables.items():
            value = document.get(name)
            if isinstance(value, str) and value in table:
                result = {**result, name: table[value]}
        return result

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path as it is, with the spelling of its values."""
        yield path, self.tables.get(path[0], NO_SPELLING) if len(path) == 1 else NO_SPELLING


def typed(old: str, new: str) -> Spell:
    """Return the step of a type that has another name in v5."""
    return Spell({"@type": {old: new}, "@baseType": {old: new}})


class Nest:
    """Members that hold objects with a view of their own, one or a list of them.

    Members go by their v4 names: nesting comes before renaming in a row.

    Args:
        views: Member -> the name of the view of what it holds.
    """

    def __init__(self, **views: str) -> None:
        self.views = views
        self.names = frozenset(views)

    def apply(self, views: Lookup) -> Transform:
        """Return what applies its view to each of the objects."""
        return self._each(views, back=False)

    def undo(self, views: Lookup) -> Transform:
        """Return what undoes its view for each of the objects."""
        return self._each(views, back=True)

    def _each(self, views: Lookup, *, back: bool) -> Transform:
        pairs = [(name, views.transform(view, back=back)) for name, view in self.views.items()]

        def each(document: Json) -> Json:
            result = document
            for name, transform in pairs:
                if name in document:
                    value = document[name]
                    new = _in_each(transform, value)
                    if new is not value:
                        result = {**result, name: new}
            return result

        return each

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:
        """Yield where the rest of the path goes; a position in a list stays where it is."""
        stem = 2 if len(path) > 1 and path[1].isdecimal() else 1
        if path[0] not in self.views or len(path) == stem:
            yield path, NO_SPELLING
            return
        for place, spelling in views.places(self.views[path[0]], path[stem:]):
            yield path[:stem] + place, spelling


def _in_each(transform: Transform, value: Any) -> Any:  # noqa: ANN401
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
