"""The kinds of difference between two versions of an object; a view is a row of them.

Every step is a bijection over all JSON objects, and all but ``Nest`` are their own inverse: they
*swap* two places, so a value that already stands where another goes changes places with it and
nothing is ever overwritten. A row of bijections is one too, which is why nothing is lost on a
round trip, whatever a client sends. Steps never change what they are given; they return the same
object when they do not apply.

``apply`` goes from v4 to the stored form, ``undo`` back; ``places`` says where a path goes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

Json = dict[str, Any]
Transform = Callable[[Json], Json]
Path = tuple[str, ...]
#: v4 spelling of a value -> stored spelling; values that are not in it are spelled alike.
Spelling = Mapping[str, str]
Place = tuple[Path, Spelling]

NO_SPELLING: Final[Spelling] = {}
_ABSENT: Final = object()


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


class _Swap:
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


def _both_ways(table: Mapping[str, str]) -> dict[str, str]:
    return {**table, **{new: old for old, new in table.items()}}


class Rename(_Swap):
    """Members that have another name in v5: ``Rename(orderDate="creationDate")``."""

    def __init__(self, **new_names: str) -> None:
        self.table = _both_ways(new_names)
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


class Spell(_Swap):
    """A member's value that is spelled otherwise in v5; text only, compared as a whole."""

    def __init__(self, name: str, table: Mapping[str, str]) -> None:
        self.name, self.table = name, _both_ways(table)
        self.names = frozenset({name})

    def swap(self, document: Json) -> Json:
        """Return the object with the value in its other spelling."""
        value = document.get(self.name)
        if not isinstance(value, str) or value not in self.table:
            return document
        return {**document, self.name: self.table[value]}

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path as it is, with the spelling of its values."""
        yield path, self.table if path == (self.name,) else NO_SPELLING


def typed(old: str, new: str) -> tuple[Spell, Spell]:
    """Return the steps of a type that has another name in v5."""
    return Spell("@type", {old: new}), Spell("@baseType", {old: new})


class Wrap(_Swap):
    """Members that v5 has in an object of their own: ``parentId`` and ``parent.id``.

    Where the box is there already and is not an object with members, there is no place to swap
    with, and everything stays where it is.

    Args:
        box: The member that holds them in v5.
        members: Name in v4, beside the box -> name in v5, inside it.
        type: The ``@type`` of the box: given to one without, so that v5 has what it asks for, and
            taken away again on the way back (v4 has its type outside).
    """

    def __init__(self, box: str, members: Mapping[str, str], type: str) -> None:
        self.box, self.members, self.type = box, members, type
        self.inside = {inner: outer for outer, inner in members.items()}
        self.names = frozenset({box, *members})

    def swap(self, document: Json) -> Json:
        """Return the object with members inside and beside the box swapped."""
        box = document.get(self.box, _ABSENT)
        if box is _ABSENT:
            inside: Json = {}
        elif isinstance(box, dict) and box:
            inside = box
        else:
            return document
        going_in = {new: document[old] for old, new in self.members.items() if old in document}
        coming_out = {old: inside[new] for new, old in self.inside.items() if new in inside}
        if not going_in and not coming_out:
            return document
        left = {name: value for name, value in inside.items() if name not in self.inside}
        result = {
            name: value
            for name, value in document.items()
            if name not in self.members and name != self.box
        }
        if coming_out:
            result = {**coming_out, **result}
        if left or going_in:
            result[self.box] = {**left, **going_in}
        return result

    def _retype(self, document: Json) -> Json:
        """Return the object with the type of its box given or taken away."""
        box = document.get(self.box)
        if not isinstance(box, dict):
            return document
        if "@type" not in box:
            return {**document, self.box: {"@type": self.type, **box}}
        if box["@type"] != self.type:
            return document
        return {**document, self.box: {k: v for k, v in box.items() if k != "@type"}}

    def apply(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way into the box."""
        return lambda document: self._retype(self.swap(document))

    def undo(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way out of it."""
        return lambda document: self.swap(self._retype(document))

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path inside the box, or outside of it."""
        if path[0] in self.members:
            yield (self.box, self.members[path[0]], *path[1:]), NO_SPELLING
        elif path[0] == self.box and len(path) > 1 and path[1] in self.inside:
            yield (self.inside[path[1]], *path[2:]), NO_SPELLING
        else:
            yield path, NO_SPELLING


class Unwrap(Wrap):
    """Members that v4 has in an object of their own and v5 beside it; ``Wrap`` the other way."""

    def __init__(self, box: str, *members: str) -> None:
        super().__init__(box, {name: name for name in members}, "")

    def _retype(self, document: Json) -> Json:
        return document

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:
        """Yield the path; for the box as a whole also every member that has left it."""
        yield from super().places(path, views)
        if path == (self.box,):
            for name in self.members:
                yield (name,), NO_SPELLING


class First(_Swap):
    """One object in v4, a list in v5: v4 has the first, and the others as an extension.

    Args:
        name: The member.
        others: The member of the v4 form that keeps the list from its second item on.
    """

    def __init__(self, name: str, others: str) -> None:
        self.name, self.others = name, others
        self.names = frozenset({name})

    def swap(self, document: Json) -> Json:
        """Return the object with a list for its first item, or the other way round."""
        value, others = document.get(self.name), document.get(self.others, _ABSENT)
        if isinstance(value, dict):
            if others is _ABSENT:
                return {**document, self.name: [value]}
            if isinstance(others, list) and others:
                rest = {k: v for k, v in document.items() if k != self.others}
                return {**rest, self.name: [value, *others]}
        elif isinstance(value, list) and value and others is _ABSENT and isinstance(value[0], dict):
            result = {**document, self.name: value[0]}
            if len(value) > 1:
                result[self.others] = value[1:]
            return result
        return document

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path into the list."""
        yield (self.name if path[0] == self.others else path[0], *path[1:]), NO_SPELLING


class Kindred(_Swap):
    """Two members that say the same in two vocabularies: v4 ``mediumType`` and v5 ``@type``.

    A value that the table does not have stays where it is.
    """

    def __init__(self, old: str, new: str, table: Mapping[str, str]) -> None:
        self.old, self.new, self.table = old, new, _both_ways(table)
        self._old_values, self._new_values = frozenset(table), frozenset(table.values())
        self.names = frozenset({old, new})

    def swap(self, document: Json) -> Json:
        """Return the object with the two members swapped, each in the other's vocabulary."""
        old, new = document.get(self.old), document.get(self.new)
        if not (
            (isinstance(old, str) and old in self._old_values)
            or (isinstance(new, str) and new in self._new_values)
        ):
            return document
        result = {k: v for k, v in document.items() if k not in (self.old, self.new)}
        if self.new in document:
            result = {self.old: self._translated(new), **result}
        if self.old in document:
            result = {self.new: self._translated(old), **result}
        return result

    def _translated(self, value: object) -> object:
        return self.table.get(value, value) if isinstance(value, str) else value

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield both members, as the value decides where it is."""
        if path in {(self.old,), (self.new,)}:
            yield (self.old,), self.table
            yield (self.new,), self.table
        else:
            yield path, NO_SPELLING


class Default(_Swap):
    """A member that v5 must have and v4 may leave out.

    Given where it is absent, and taken away on the way back where it has just this value.

    Args:
        name: The member.
        names: Members without any of which there is no default.
        of: The default, from the other members; None where there is none.
    """

    def __init__(self, name: str, names: frozenset[str], of: Callable[[Json], str | None]) -> None:
        self.name, self.names, self.of = name, names, of

    def swap(self, document: Json) -> Json:
        """Return the object with its default, or without."""
        default = self.of(document)
        if default is None:
            return document
        if self.name not in document:
            return {self.name: default, **document}
        if document[self.name] != default:
            return document
        return {name: value for name, value in document.items() if name != self.name}

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path as it is."""
        yield path, NO_SPELLING


@dataclass(frozen=True)
class Nest:
    """A member that holds objects with a view of their own, one or a list of them.

    Attributes:
        name: The member, by its v4 name: nesting comes before renaming in a row.
        view: The name of their view.
    """

    name: str
    view: str

    @property
    def names(self) -> frozenset[str]:
        """The member."""
        return frozenset({self.name})

    def apply(self, views: Lookup) -> Transform:
        """Return what applies the view to each of the objects."""
        return self._each(views.transform(self.view, back=False))

    def undo(self, views: Lookup) -> Transform:
        """Return what undoes the view for each of the objects."""
        return self._each(views.transform(self.view, back=True))

    def _each(self, transform: Transform) -> Transform:
        name = self.name

        def each(document: Json) -> Json:
            value = document.get(name)
            if isinstance(value, dict):
                new: Any = transform(value)
                return document if new is value else {**document, name: new}
            if not isinstance(value, list):
                return document
            new = [transform(item) if isinstance(item, dict) else item for item in value]
            if all(a is b for a, b in zip(new, value, strict=True)):
                return document
            return {**document, name: new}

        return each

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:
        """Yield where the rest of the path goes; a position in a list stays where it is."""
        stem = 2 if len(path) > 1 and path[1].isdecimal() else 1
        if path[0] != self.name or len(path) == stem:
            yield path, NO_SPELLING
            return
        for place, spelling in views.places(self.view, path[stem:]):
            yield path[:stem] + place, spelling
