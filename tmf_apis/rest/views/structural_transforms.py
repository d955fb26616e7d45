"""Steps that move members between an object and a part of it, or between two members."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tmf_apis.rest.views.transforms import (
    NO_VALUE_MAP,
    Json,
    MappedPath,
    Path,
    SelfInverseTransform,
    Transform,
    ViewLookup,
    bidirectional_map,
)

_ABSENT: Final = object()


class Wrap(SelfInverseTransform):
    """Members that v5 has in an object of their own: ``parentId`` and ``parent.id``.

    Where the box is there already and is not an object with members, there is no place to swap
    with, and everything stays where it is.

    Args:
        container: The member that holds them in v5.
        members: Name in v4, beside the box -> name in v5, inside it.
        type: The ``@type`` of the box: given to one without, so that v5 has what it asks for, and
            taken away again on the way back (v4 has its type outside).
    """

    def __init__(self, container: str, members: Mapping[str, str], type: str) -> None:
        self.container, self.members, self.type = container, members, type
        self.outer_names = {inner: outer for outer, inner in members.items()}
        self.affected_members = frozenset({container, *members})

    def swap(self, document: Json) -> Json:
        """Return the object with members inside and beside the box swapped."""
        box = document.get(self.container, _ABSENT)
        if box is _ABSENT:
            inside: Json = {}
        elif isinstance(box, dict) and box:
            inside = box
        else:
            return document
        going_in = {new: document[old] for old, new in self.members.items() if old in document}
        result, left = self._split_container(inside)
        if not going_in and not result:
            return document
        members = self.affected_members
        result.update([pair for pair in document.items() if pair[0] not in members])
        if left or going_in:
            result[self.container] = {**left, **going_in}
        return result

    def _split_container(self, container: Json) -> tuple[Json, Json]:
        """Return what comes out of the box, by its names outside, and what stays."""
        out, left = {}, {}
        for name, value in container.items():
            if name in self.outer_names:
                out[self.outer_names[name]] = value
            else:
                left[name] = value
        return out, left

    def _with_toggled_type(self, document: Json) -> Json:
        """Return the object with the type of its box given or taken away."""
        box = document.get(self.container)
        if not isinstance(box, dict):
            return document
        if "@type" not in box:
            return {**document, self.container: {"@type": self.type, **box}}
        if box["@type"] != self.type:
            return document
        return {**document, self.container: {k: v for k, v in box.items() if k != "@type"}}

    def _wrap(self, document: Json) -> Json:
        """Return what a swap and a new type make of an object: in one go without a box."""
        if self.container in document:
            return self._with_toggled_type(self.swap(document))
        members, box, result = self.members, {"@type": self.type}, {}
        for name, value in document.items():
            if name in members:
                box[members[name]] = value
            else:
                result[name] = value
        if len(box) == 1:
            return document
        result[self.container] = box
        return result

    def _unwrap(self, document: Json) -> Json:
        """Return what undoes ``_wrap``: in one go for a plain box with nothing beside it."""
        box = document.get(self.container, _ABSENT)
        if box is _ABSENT and self.affected_members.isdisjoint(document):
            return document
        if not isinstance(box, dict) or box.get("@type") != self.type or len(box) == 1:
            return self.swap(self._with_toggled_type(document))
        if not self.members.keys().isdisjoint(document):
            return self.swap(self._with_toggled_type(document))
        result, left = self._split_container(box)
        del left["@type"]
        result.update(document)
        if left:
            result[self.container] = left
        else:
            del result[self.container]
        return result

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the way into the box."""
        return self._wrap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the way out of it."""
        return self._unwrap

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path inside the box, or outside of it."""
        if path[0] in self.members:
            yield (self.container, self.members[path[0]], *path[1:]), NO_VALUE_MAP
        elif path[0] == self.container and len(path) > 1 and path[1] in self.outer_names:
            yield (self.outer_names[path[1]], *path[2:]), NO_VALUE_MAP
        else:
            yield path, NO_VALUE_MAP


class Unwrap(Wrap):
    """Members that v4 has in an object of their own and v5 beside it; ``Wrap`` the other way."""

    def __init__(self, container: str, *members: str) -> None:
        super().__init__(container, {name: name for name in members}, "")

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the way out of the box."""
        return self.swap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the way into it."""
        return self.swap

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield the path; for the box as a whole also every member that has left it."""
        yield from super().mapped_paths(path, lookup)
        if path == (self.container,):
            for name in self.members:
                yield (name,), NO_VALUE_MAP


class FirstItem(SelfInverseTransform):
    """One object in v4, a list in v5: v4 has the first, and the others as an extension.

    So that v4 never finds a list where its contract has an object, an empty list is the empty
    list of others.

    Args:
        name: The member.
        remainder: The member of the v4 form that keeps the list from its second item on.
    """

    def __init__(self, name: str, remainder: str) -> None:
        self.name, self.remainder = name, remainder
        self.affected_members = frozenset({name, remainder})

    def swap(self, document: Json) -> Json:
        """Return the object with a list for its first item, or the other way round."""
        value, others = document.get(self.name, _ABSENT), document.get(self.remainder, _ABSENT)
        moved = self._whole_list(value, others) or self._first_and_remainder(value, others)
        if moved is None:
            return document
        rest = {
            name: value for name, value in document.items() if name not in self.affected_members
        }
        return {**rest, **moved}

    def _whole_list(self, value: object, remainder: object) -> Json | None:
        """Return the list of a first item and others; None where they are not these."""
        if isinstance(value, dict) and remainder is _ABSENT:
            return {self.name: [value]}
        if isinstance(value, dict) and isinstance(remainder, list) and remainder:
            return {self.name: [value, *remainder]}
        if value is _ABSENT and remainder == []:
            return {self.name: []}
        return None

    def _first_and_remainder(self, value: object, remainder: object) -> Json | None:
        """Return the first item of a list and the others; None where there is no list."""
        if remainder is not _ABSENT or not isinstance(value, list):
            return None
        if not value:
            return {self.remainder: []}
        if not isinstance(value[0], dict):
            return None
        return {self.name: value[0], **({self.remainder: value[1:]} if len(value) > 1 else {})}

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path into the list."""
        yield (self.name if path[0] == self.remainder else path[0], *path[1:]), NO_VALUE_MAP


class MemberTranslation(SelfInverseTransform):
    """Two members that say the same in two vocabularies: v4 ``mediumType`` and v5 ``@type``.

    A value that the table does not have stays where it is.
    """

    def __init__(self, v4_member: str, v5_member: str, mapping: Mapping[str, str]) -> None:
        self.v4_member, self.v5_member, self.mapping = (
            v4_member,
            v5_member,
            bidirectional_map(mapping),
        )
        self._v4_values, self._v5_values = frozenset(mapping), frozenset(mapping.values())
        self.affected_members = frozenset({v4_member, v5_member})

    def swap(self, document: Json) -> Json:
        """Return the object with the two members swapped, each in the other's vocabulary."""
        old, new = document.get(self.v4_member), document.get(self.v5_member)
        if not (
            (isinstance(old, str) and old in self._v4_values)
            or (isinstance(new, str) and new in self._v5_values)
        ):
            return document
        result = {k: v for k, v in document.items() if k not in (self.v4_member, self.v5_member)}
        if self.v5_member in document:
            result = {self.v4_member: self._translation(new), **result}
        if self.v4_member in document:
            result = {self.v5_member: self._translation(old), **result}
        return result

    def _translation(self, value: object) -> object:
        return self.mapping.get(value, value) if isinstance(value, str) else value

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield both members, as the value decides where it is."""
        if path in {(self.v4_member,), (self.v5_member,)}:
            yield (self.v4_member,), self.mapping
            yield (self.v5_member,), self.mapping
        else:
            yield path, NO_VALUE_MAP


class DefaultMember(SelfInverseTransform):
    """A member that v5 must have and v4 may leave out.

    Given where it is absent, and taken away on the way back where it has just this value.

    Args:
        name: The member.
        affected_members: Members without any of which there is no default.
        default_value: The default, from the other members; None where there is none.
    """

    def __init__(
        self,
        name: str,
        affected_members: frozenset[str],
        default_value: Callable[[Json], str | None],
    ) -> None:
        self.name, self.affected_members, self.default_value = name, affected_members, default_value

    def swap(self, document: Json) -> Json:
        """Return the object with its default, or without."""
        default = self.default_value(document)
        if default is None:
            return document
        if self.name not in document:
            return {self.name: default, **document}
        if document[self.name] != default:
            return document
        return {name: value for name, value in document.items() if name != self.name}

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path as it is."""
        yield path, NO_VALUE_MAP
