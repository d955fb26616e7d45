"""Patches: what each media type does to one version of a resource.

A patch is read once, with its limits, and then applied as often as it takes to win against other
writers; it never changes the resource that it is given.

Source: RFC 7396 (merge patch), RFC 6902 (JSON patch), RFC 6901 (pointers), TMF630 part 5 (JSON
patch query: paths are JSONPath, one operation for every place that the path selects).
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from tmf_apis.errors import Conflict, InvalidBody, TooLarge, UnsupportedMediaType
from tmf_apis.rest import bodies
from tmf_apis.rest.places import places
from tmf_apis.settings import Settings

Resource = dict[str, Any]
Path = tuple[str, ...]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON_PATCH_QUERY = "application/json-patch-query+json"
ACCEPTED = (MERGE, bodies.JSON, JSON_PATCH, JSON_PATCH_QUERY)

_VALUED = frozenset({"add", "replace", "test"})
_FROM = frozenset({"move", "copy"})
_OPERATIONS = _VALUED | _FROM | {"remove"}
_LONGEST_PATH = 1024


class Patch(Protocol):
    """A change that can be applied to any version of a resource."""

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource; the given one stays as it is."""


def parse(media_type: str, value: object, settings: Settings) -> Patch:
    """Return the patch that a body is.

    Raises:
        UnsupportedMediaType: It is not a kind of patch; the message lists those that are.
        InvalidBody: It is malformed or has too many operations.
    """
    if media_type in {MERGE, bodies.JSON}:
        if not isinstance(value, dict):
            raise InvalidBody("/: a merge patch is an object")
        return MergePatch(value)
    if media_type in {JSON_PATCH, JSON_PATCH_QUERY}:
        return OperationPatch.parse(value, settings, query=media_type == JSON_PATCH_QUERY)
    raise UnsupportedMediaType(
        f"{media_type} is not a patch; send one of {', '.join(ACCEPTED)}",
        headers={"Accept-Patch": ", ".join(ACCEPTED)},
    )


def check_size(resource: Resource, settings: Settings) -> None:
    """Refuse what a patch would make of a resource when it is larger than one may be.

    Raises:
        TooLarge: In JSON it is over ``resource_limit`` (HTTP 413).
    """
    size = len(orjson.dumps(resource))
    if size > settings.resource_limit:
        raise TooLarge(f"the resource would have {size} bytes of {settings.resource_limit}")


@dataclass(frozen=True, slots=True)
class MergePatch:
    """RFC 7396: objects merge, null removes, everything else replaces."""

    members: Resource

    def apply(self, resource: Resource) -> Resource:
        """Return the merged resource."""
        return merge(resource, self.members)


def merge(target: object, patch: Resource) -> Resource:
    """Return ``target`` with a merge patch applied.

    >>> merge({"a": "b", "c": {"d": "e", "f": "g"}}, {"a": "z", "c": {"f": None}})
    {'a': 'z', 'c': {'d': 'e'}}
    """
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a JSON patch.

    Attributes:
        number: Its place in the patch, for messages.
        op: add, remove, replace, move, copy or test.
        path: Where; text, read by the kind of patch.
        value: What, for add, replace and test.
        source: From where, for move and copy.
    """

    number: int
    op: str
    path: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class OperationPatch:
    """RFC 6902: all operations in their order, or none."""

    operations: tuple[Operation, ...]
    settings: Settings
    query: bool

    @classmethod
    def parse(cls, value: object, settings: Settings, *, query: bool) -> "OperationPatch":
        """Read the operations.

        Raises:
            InvalidBody: One is malformed, or there are too many.
        """
        if not isinstance(value, list):
            raise InvalidBody("/: a JSON patch is an array of operations")
        if len(value) > settings.patch_limit:
            raise InvalidBody(f"/: more than {settings.patch_limit} operations")
        operations = tuple(_operation(number, one) for number, one in enumerate(value))
        return cls(operations, settings, query)

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource.

        Raises:
            InvalidBody: A path does not exist or cannot be (HTTP 400).
            Conflict: A test does not hold (HTTP 409).
            TooLarge: The result grows beyond the limit while operations copy into it.
        """
        document: Any = copy.deepcopy(resource)
        budget = _Budget(self.settings.resource_limit, len(orjson.dumps(resource)))
        for operation in self.operations:
            document, value = self._taken(document, operation)
            paths = self._places(document, operation, operation.path)
            if not paths:
                raise _bad(operation, "the path selects nothing")
            for path in paths:
                budget.spend(operation, value)
                document = _STEPS[operation.op](document, path, copy.deepcopy(value), operation)
        return document

    def _taken(self, document: Any, operation: Operation) -> tuple[Any, Any]:  # noqa: ANN401
        """Return the document and the value to put somewhere; a moved one is taken out of it."""
        if operation.op not in _FROM:
            return document, operation.value
        sources = self._places(document, operation, operation.source)
        if len(sources) != 1:
            raise _bad(operation, f"from selects {len(sources)} places, not one")
        source = sources[0]
        value = copy.deepcopy(_get(document, source, operation))
        if operation.op == "move":
            for path in self._places(document, operation, operation.path):
                if path != source and path[: len(source)] == source:
                    raise _bad(operation, "a value cannot be moved into itself")
            document = _remove(document, source, operation)
        return document, value

    def _places(self, document: Any, operation: Operation, path: str) -> list[Path]:  # noqa: ANN401
        """Return where a path leads: for a query every place, the last ones first.

        Going backwards, removing one does not move those that follow.
        """
        if not self.query or path.startswith("/") or path == "":
            return [_pointed(path)]
        target = path == operation.path and operation.op in {"add", "copy", "move"}
        found = places(path, document, self.settings, missing=target)
        return found[::-1]


class _Budget:
    """How much the operations may add, so that a patch cannot grow a resource without end."""

    def __init__(self, limit: int, size: int) -> None:
        self._left = limit - size
        self._limit = limit

    def spend(self, operation: Operation, value: object) -> None:
        if operation.op in {"add", "replace", "copy"}:
            self._left -= len(orjson.dumps(value))
            if self._left < 0:
                raise TooLarge(f"the patch adds more than a resource's {self._limit} bytes")


def _operation(number: int, value: object) -> Operation:
    if not isinstance(value, dict):
        raise InvalidBody(f"/{number}: an operation is an object")
    op = value.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise InvalidBody(f"/{number}/op: expected one of {', '.join(sorted(_OPERATIONS))}")
    path = _text(number, value, "path")
    source = _text(number, value, "from") if op in _FROM else ""
    if op in _VALUED and "value" not in value:
        raise InvalidBody(f"/{number}/value: {op} needs a value")
    return Operation(number, op, path, value.get("value"), source)


def _text(number: int, value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > _LONGEST_PATH:
        raise InvalidBody(f"/{number}/{name}: expected text of at most {_LONGEST_PATH} characters")
    return text


def _bad(operation: Operation, why: str) -> InvalidBody:
    return InvalidBody(f"/{operation.number}: {operation.op} {operation.path[:100]!r}: {why}")


def _pointed(path: str) -> Path:
    """Return the place that a JSON pointer names (RFC 6901)."""
    if path == "":
        return ()
    if not path.startswith("/"):
        raise InvalidBody(f"{path[:100]!r} is not a JSON pointer; it starts with /")
    return tuple(s.replace("~1", "/").replace("~0", "~") for s in path[1:].split("/"))


def _get(document: Any, path: Path, operation: Operation) -> Any:  # noqa: ANN401
    for segment in path:
        document = _step(document, segment, operation)
    return document


def _step(container: Any, segment: str, operation: Operation) -> Any:  # noqa: ANN401
    if isinstance(container, dict) and segment in container:
        return container[segment]
    if isinstance(container, list):
        return container[_index(segment, len(container) - 1, operation)]
    raise _bad(operation, f"there is no {segment[:100]!r}")


def _index(segment: str, last: int, operation: Operation) -> int:
    digits = segment.isascii() and segment.isdigit() and len(segment) < 7  # noqa: PLR2004
    if not digits or (segment[0] == "0" and segment != "0"):
        raise _bad(operation, f"{segment[:100]!r} is not an array index")
    if int(segment) > last:
        raise _bad(operation, f"the array has no item {segment}")
    return int(segment)


def _add(document: Any, path: Path, value: Any, operation: Operation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = _get(document, path[:-1], operation)
    segment = path[-1]
    if isinstance(container, dict):
        container[segment] = value
    elif isinstance(container, list):
        length = len(container)
        place = length if segment == "-" else _index(segment, length, operation)
        container.insert(place, value)
    else:
        raise _bad(operation, "the parent is neither an object nor an array")
    return document


def _remove(document: Any, path: Path, operation: Operation) -> Any:  # noqa: ANN401
    if not path:
        raise _bad(operation, "the whole resource cannot be removed by a patch")
    container = _get(document, path[:-1], operation)
    _step(container, path[-1], operation)
    if isinstance(container, list):
        del container[int(path[-1])]
    else:
        del container[path[-1]]
    return document


def _removed(document: Any, path: Path, value: Any, operation: Operation) -> Any:  # noqa: ANN401, ARG001
    return _remove(document, path, operation)


def _replace(document: Any, path: Path, value: Any, operation: Operation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = _get(document, path[:-1], operation)
    _step(container, path[-1], operation)
    container[int(path[-1]) if isinstance(container, list) else path[-1]] = value
    return document


def _test(document: Any, path: Path, value: Any, operation: Operation) -> Any:  # noqa: ANN401
    found = _get(document, path, operation)
    if not _equal(found, value):
        raise Conflict(
            f"/{operation.number}: test {operation.path[:100]!r}: another value is there"
        )
    return document


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Return whether two JSON values are the same; true is not 1, and 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


_STEPS: Mapping[str, Callable[[Any, Path, Any, Operation], Any]] = {
    "add": _add,
    "copy": _add,
    "move": _add,
    "remove": _removed,
    "replace": _replace,
    "test": _test,
}
