"""Steps that move members between an object and a part of it, or between two members."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tmf_apis.rest.views.steps import (
    NO_SPELLING,
    Json,
    Lookup,
    Path,
    Place,
    Swap,
    Transform,
    both_ways,
)

_ABSENT: Final = object()


class Wrap(Swap):
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
        result, left = self._out_of(inside)
        if not going_in and not result:
            return document
        members = self.names
        result.update([pair for pair in document.items() if pair[0] not in members])
        if left or going_in:
            result[self.box] = {**left, **going_in}
        return result

    def _out_of(self, inside: Json) -> tuple[Json, Json]:
        """Return what comes out of the box, by its names outside, and what stays."""
        out, left = {}, {}
        for name, value in inside.items():
            if name in self.inside:
                out[self.inside[name]] = value
            else:
                left[name] = value
        return out, left

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

    def _into(self, document: Json) -> Json:
        """Return what a swap and a new type make of an object: in one go without a box."""
        if self.box in document:
            return self._retype(self.swap(document))
        members, box, result = self.members, {"@type": self.type}, {}
        for name, value in document.items():
            if name in members:
                box[members[name]] = value
            else:
                result[name] = value
        if len(box) == 1:
            return document
        result[self.box] = box
        return result

    def _from(self, document: Json) -> Json:
        """Return what undoes ``_into``: in one go for a plain box with nothing beside it."""
        box = document.get(self.box, _ABSENT)
        if box is _ABSENT and self.names.isdisjoint(document):
            return document
        if not isinstance(box, dict) or box.get("@type") != self.type or len(box) == 1:
            return self.swap(self._retype(document))
        if not self.members.keys().isdisjoint(document):
            return self.swap(self._retype(document))
        result, left = self._out_of(box)
        del left["@type"]
        result.update(document)
        if left:
            result[self.box] = left
        else:
            del result[self.box]
        return result

    def apply(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way into the box."""
        return self._into

    def undo(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way out of it."""
        return self._from

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

    def apply(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way out of the box."""
        return self.swap

    def undo(self, views: Lookup) -> Transform:  # noqa: ARG002
        """Return the way into it."""
        return self.swap

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:
        """Yield the path; for the box as a whole also every member that has left it."""
        yield from super().places(path, views)
        if path == (self.box,):
            for name in self.members:
                yield (name,), NO_SPELLING


class First(Swap):
    """One object in v4, a list in v5: v4 has the first, and the others as an extension.

    So that v4 never finds a list where its contract has an object, an empty list is the empty
    list of others.

    Args:
        name: The member.
        others: The member of the v4 form that keeps the list from its second item on.
    """

    def __init__(self, name: str, others: str) -> None:
        self.name, self.others = name, others
        self.names = frozenset({name, others})

    def swap(self, document: Json) -> Json:
        """Return the object with a list for its first item, or the other way round."""
        value, others = document.get(self.name, _ABSENT), document.get(self.others, _ABSENT)
        moved = self._joined(value, others) or self._split(value, others)
        if moved is None:
            return document
        rest = {name: value for name, value in document.items() if name not in self.names}
        return {**rest, **moved}

    def _joined(self, value: object, others: object) -> Json | None:
        """Return the list of a first item and others; None where they are not these."""
        if isinstance(value, dict) and others is _ABSENT:
            return {self.name: [value]}
        if isinstance(value, dict) and isinstance(others, list) and others:
            return {self.name: [value, *others]}
        if value is _ABSENT and others == []:
            return {self.name: []}
        return None

    def _split(self, value: object, others: object) -> Json | None:
        """Return the first item of a list and the others; None where there is no list."""
        if others is not _ABSENT or not isinstance(value, list):
            return None
        if not value:
            return {self.others: []}
        if not isinstance(value[0], dict):
            return None
        return {self.name: value[0], **({self.others: value[1:]} if len(value) > 1 else {})}

    def places(self, path: Path, views: Lookup) -> Iterator[Place]:  # noqa: ARG002
        """Yield the path into the list."""
        yield (self.name if path[0] == self.others else path[0], *path[1:]), NO_SPELLING


class Kindred(Swap):
    """Two members that say the same in two vocabularies: v4 ``mediumType`` and v5 ``@type``.

    A value that the table does not have stays where it is.
    """

    def __init__(self, old: str, new: str, table: Mapping[str, str]) -> None:
        self.old, self.new, self.table = old, new, both_ways(table)
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


class Default(Swap):
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
