"""Transforms that move members into and out of a nested object, or between two members."""

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
    """Members that v5 nests in a container: ``parentId`` in v4 is ``parent.id`` in v5.

    If the container exists but is not an object, or is empty, nothing can be swapped and the object
    stays unchanged.

    Args:
        container: The member of v5 that holds the nested object.
        members: Name in v4, outside the container -> name in v5, inside it.
        type: The ``@type`` of the container. It is added to a container without a type, because
            v5 requires it, and removed in the inverse direction.
    """

    def __init__(self, container: str, members: Mapping[str, str], type: str) -> None:
        self.container, self.members, self.type = container, members, type
        self.outer_names = {inner: outer for outer, inner in members.items()}
        self.affected_members = frozenset({container, *members})

    def swap(self, document: Json) -> Json:
        """Return the object with the members inside and outside the container swapped."""
        container = document.get(self.container, _ABSENT)
        if container is _ABSENT:
            inside: Json = {}
        elif isinstance(container, dict) and container:
            inside = container
        else:
            return document
        wrapped = {new: document[old] for old, new in self.members.items() if old in document}
        result, remainder = self._split_container(inside)
        if not wrapped and not result:
            return document
        members = self.affected_members
        result.update([pair for pair in document.items() if pair[0] not in members])
        if remainder or wrapped:
            result[self.container] = {**remainder, **wrapped}
        return result

    def _split_container(self, container: Json) -> tuple[Json, Json]:
        """Return the members that leave the container, by their outer names, and the others."""
        unwrapped, remainder = {}, {}
        for name, value in container.items():
            if name in self.outer_names:
                unwrapped[self.outer_names[name]] = value
            else:
                remainder[name] = value
        return unwrapped, remainder

    def _with_toggled_type(self, document: Json) -> Json:
        """Return the object with the default type of its container added or removed."""
        container = document.get(self.container)
        if not isinstance(container, dict):
            return document
        if "@type" not in container:
            return {**document, self.container: {"@type": self.type, **container}}
        if container["@type"] != self.type:
            return document
        untyped = {name: value for name, value in container.items() if name != "@type"}
        return {**document, self.container: untyped}

    def _wrap(self, document: Json) -> Json:
        """Return the object with its members wrapped and the container typed.

        It is a swap followed by a change of the type; an object without the container, the usual
        case, needs one pass only.
        """
        if self.container in document:
            return self._with_toggled_type(self.swap(document))
        members, container, result = self.members, {"@type": self.type}, {}
        for name, value in document.items():
            if name in members:
                container[members[name]] = value
            else:
                result[name] = value
        if len(container) == 1:
            return document
        result[self.container] = container
        return result

    def _unwrap(self, document: Json) -> Json:
        """Return the inverse of ``_wrap``.

        An object whose container has the default type, and which has no outer members, is the
        usual case and needs one pass only.
        """
        container = document.get(self.container, _ABSENT)
        if container is _ABSENT and self.affected_members.isdisjoint(document):
            return document
        is_plain = (
            isinstance(container, dict)
            and container.get("@type") == self.type
            and len(container) > 1
            and self.members.keys().isdisjoint(document)
        )
        if not is_plain:
            return self.swap(self._with_toggled_type(document))
        result, remainder = self._split_container(container)
        del remainder["@type"]
        result.update(document)
        if remainder:
            result[self.container] = remainder
        else:
            del result[self.container]
        return result

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the transform that wraps the members."""
        return self._wrap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the transform that unwraps the members."""
        return self._unwrap

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path inside the container, or outside it."""
        if path[0] in self.members:
            yield (self.container, self.members[path[0]], *path[1:]), NO_VALUE_MAP
        elif path[0] == self.container and len(path) > 1 and path[1] in self.outer_names:
            yield (self.outer_names[path[1]], *path[2:]), NO_VALUE_MAP
        else:
            yield path, NO_VALUE_MAP


class Unwrap(Wrap):
    """Members that v4 nests in a container and v5 does not; the opposite of ``Wrap``."""

    def __init__(self, container: str, *members: str) -> None:
        super().__init__(container, {name: name for name in members}, "")

    def forward(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the transform that unwraps the members."""
        return self.swap

    def inverse(self, lookup: ViewLookup) -> Transform:  # noqa: ARG002
        """Return the transform that wraps the members."""
        return self.swap

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:
        """Yield the path; for the container itself also each member that v5 has outside it."""
        yield from super().mapped_paths(path, lookup)
        if path == (self.container,):
            for name in self.members:
                yield (name,), NO_VALUE_MAP


class FirstItem(SelfInverseTransform):
    """One object in v4, a list in v5: v4 has the first item, and the others as an extension.

    An empty list becomes an empty ``remainder``, so that v4 never has a list where its contract has
    an object.

    Args:
        name: The member.
        remainder: The member of v4 with the items of the list from the second on.
    """

    def __init__(self, name: str, remainder: str) -> None:
        self.name, self.remainder = name, remainder
        self.affected_members = frozenset({name, remainder})

    def swap(self, document: Json) -> Json:
        """Return the object with the list in place of its first item, or the reverse."""
        value = document.get(self.name, _ABSENT)
        remainder = document.get(self.remainder, _ABSENT)
        swapped = self._whole_list(value, remainder) or self._first_and_remainder(value, remainder)
        if swapped is None:
            return document
        others = {
            name: value for name, value in document.items() if name not in self.affected_members
        }
        return {**others, **swapped}

    def _whole_list(self, value: object, remainder: object) -> Json | None:
        """Return the list of a first item and its remainder; None if there is no such pair."""
        if isinstance(value, dict) and remainder is _ABSENT:
            return {self.name: [value]}
        if isinstance(value, dict) and isinstance(remainder, list) and remainder:
            return {self.name: [value, *remainder]}
        if value is _ABSENT and remainder == []:
            return {self.name: []}
        return None

    def _first_and_remainder(self, value: object, remainder: object) -> Json | None:
        """Return the first item of a list and its remainder; None if the value is not a list."""
        if remainder is not _ABSENT or not isinstance(value, list):
            return None
        if not value:
            return {self.remainder: []}
        if not isinstance(value[0], dict):
            return None
        return {self.name: value[0], **({self.remainder: value[1:]} if len(value) > 1 else {})}

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path of the list."""
        yield (self.name if path[0] == self.remainder else path[0], *path[1:]), NO_VALUE_MAP


class MemberTranslation(SelfInverseTransform):
    """Two members with the same meaning but different values: v4 ``mediumType``, v5 ``@type``.

    Values that the mapping does not have are not moved.
    """

    def __init__(self, v4_member: str, v5_member: str, mapping: Mapping[str, str]) -> None:
        self.v4_member, self.v5_member = v4_member, v5_member
        self.mapping = bidirectional_map(mapping)
        self._v4_values, self._v5_values = frozenset(mapping), frozenset(mapping.values())
        self.affected_members = frozenset({v4_member, v5_member})

    def swap(self, document: Json) -> Json:
        """Return the object with the two members swapped and their values translated."""
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
        """Yield both members, because the value decides which of them holds it."""
        if path in {(self.v4_member,), (self.v5_member,)}:
            yield (self.v4_member,), self.mapping
            yield (self.v5_member,), self.mapping
        else:
            yield path, NO_VALUE_MAP


class DefaultMember(SelfInverseTransform):
    """A member that v5 requires and v4 does not.

    It is added if it is absent, and removed in the inverse direction if it has the default value.

    Args:
        name: The member.
        affected_members: Members that the default depends on; an object without any of them has
            no default.
        default_value: Returns the default for an object; None if there is none.
    """

    def __init__(
        self,
        name: str,
        affected_members: frozenset[str],
        default_value: Callable[[Json], str | None],
    ) -> None:
        self.name, self.affected_members, self.default_value = name, affected_members, default_value

    def swap(self, document: Json) -> Json:
        """Return the object with its default added or removed."""
        default = self.default_value(document)
        if default is None:
            return document
        if self.name not in document:
            return {self.name: default, **document}
        if document[self.name] != default:
            return document
        return {name: value for name, value in document.items() if name != self.name}

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path unchanged."""
        yield path, NO_VALUE_MAP
