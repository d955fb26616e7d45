"""Patches by media type: merge patch, JSON patch and JSON patch query.

A patch is parsed once, within its limits, and applied again for each attempt at a change. It never
modifies the resource that it is applied to.

Source: RFC 7396 (merge patch), RFC 6902 (JSON patch), RFC 6901 (pointers), TMF630 part 5 (JSON
patch query: paths are JSONPath, one operation for every value that the path selects).
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from tmf_apis.errors import Conflict, InvalidBody, TooLarge, UnsupportedMediaType
from tmf_apis.rest.pipeline.pointers import matching_pointers
from tmf_apis.settings import Settings

Resource = dict[str, Any]
Pointer = tuple[str, ...]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON_PATCH_QUERY = "application/json-patch-query+json"
ACCEPT_PATCH = (MERGE_PATCH, JSON, JSON_PATCH, JSON_PATCH_QUERY)

_OPERATIONS_WITH_VALUE = frozenset({"add", "replace", "test"})
_OPERATIONS_WITH_FROM = frozenset({"move", "copy"})
_OPERATIONS = _OPERATIONS_WITH_VALUE | _OPERATIONS_WITH_FROM | {"remove"}
_MAX_PATH_LENGTH = 1024


class Patch(Protocol):
    """A change that can be applied to any version of a resource."""

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource; the given one is not modified."""


def parse_patch(media_type: str, value: object, settings: Settings) -> Patch:
    """Parse the patch in a request body.

    Raises:
        UnsupportedMediaType: The media type is not one of ``ACCEPT_PATCH`` (HTTP 415).
        InvalidBody: The patch is malformed or has too many operations (HTTP 400).
    """
    if media_type in {MERGE_PATCH, JSON}:
        if not isinstance(value, dict):
            raise InvalidBody("/: a merge patch is an object")
        return MergePatch(value)
    if media_type in {JSON_PATCH, JSON_PATCH_QUERY}:
        return JsonPatch.parse(value, settings, is_query=media_type == JSON_PATCH_QUERY)
    raise UnsupportedMediaType(
        f"{media_type} is not a patch; send one of {', '.join(ACCEPT_PATCH)}",
        headers={"Accept-Patch": ", ".join(ACCEPT_PATCH)},
    )


def check_size(resource: Resource, settings: Settings) -> None:
    """Check the size of a patched resource.

    Raises:
        TooLarge: Its JSON is longer than ``resource_limit`` (HTTP 413).
    """
    size = len(orjson.dumps(resource))
    if size > settings.resource_limit:
        raise TooLarge(f"the resource would have {size} of {settings.resource_limit} bytes")


@dataclass(frozen=True, slots=True)
class MergePatch:
    """A merge patch (RFC 7396): objects merge, null removes, everything else replaces."""

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
class PatchOperation:
    """One operation of a JSON patch.

    Attributes:
        number: Its index in the patch, for messages.
        op: add, remove, replace, move, copy or test.
        path: A JSON pointer, or a JSONPath in a JSON patch query.
        value: The value of add, replace and test.
        source: The member ``from`` of move and copy.
    """

    number: int
    op: str
    path: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON patch (RFC 6902): all operations in their order, or none."""

    operations: tuple[PatchOperation, ...]
    settings: Settings
    is_query: bool

    @classmethod
    def parse(cls, value: object, settings: Settings, *, is_query: bool) -> "JsonPatch":
        """Parse the operations.

        Raises:
            InvalidBody: An operation is malformed, or there are too many (HTTP 400).
        """
        if not isinstance(value, list):
            raise InvalidBody("/: a JSON patch is an array of operations")
        if len(value) > settings.patch_limit:
            raise InvalidBody(f"/: more than {settings.patch_limit} operations")
        operations = tuple(_parsed_operation(number, item) for number, item in enumerate(value))
        return cls(operations, settings, is_query)

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource.

        Raises:
            InvalidBody: A path does not exist, or the operation is impossible there (HTTP 400).
            Conflict: A test fails (HTTP 409).
            TooLarge: The operations add more than ``resource_limit`` allows (HTTP 413).
        """
        document: Any = copy.deepcopy(resource)
        budget = _SizeBudget(self.settings.resource_limit, len(orjson.dumps(resource)))
        for operation in self.operations:
            document, value = self._operand(document, operation)
            paths = self._pointers(document, operation, operation.path)
            if not paths:
                raise _invalid_operation(operation, "the path selects nothing")
            for path in paths:
                budget.spend(operation, value)
                document = _APPLIERS[operation.op](document, path, copy.deepcopy(value), operation)
        return document

    def _operand(self, document: Any, operation: PatchOperation) -> tuple[Any, Any]:  # noqa: ANN401
        """Return the document and the value of an operation; a moved value is removed from it."""
        if operation.op not in _OPERATIONS_WITH_FROM:
            return document, operation.value
        sources = self._pointers(document, operation, operation.source)
        if len(sources) != 1:
            raise _invalid_operation(operation, f"from selects {len(sources)} values, not one")
        source = sources[0]
        value = copy.deepcopy(_value_at(document, source, operation))
        if operation.op == "move":
            for path in self._pointers(document, operation, operation.path):
                if path != source and path[: len(source)] == source:
                    raise _invalid_operation(operation, "a value cannot be moved into itself")
            document = _remove(document, source, operation)
        return document, value

    def _pointers(self, document: Any, operation: PatchOperation, path: str) -> list[Pointer]:  # noqa: ANN401
        """Return the pointers that a path selects, in reverse document order.

        In this order, a removal does not shift the values that are changed later.
        """
        if not self.is_query or path.startswith("/") or path == "":
            return [_pointer_segments(path)]
        is_added = path == operation.path and operation.op in {"add", "copy", "move"}
        pointers = matching_pointers(path, document, self.settings, include_missing=is_added)
        return pointers[::-1]


class _SizeBudget:
    """The number of bytes that the operations of a patch may still add to a resource."""

    def __init__(self, limit: int, size: int) -> None:
        self._remaining = limit - size
        self._limit = limit

    def spend(self, operation: PatchOperation, value: object) -> None:
        if operation.op in {"add", "replace", "copy"}:
            self._remaining -= len(orjson.dumps(value))
            if self._remaining < 0:
                raise TooLarge(f"the patched resource would exceed {self._limit} bytes")


def _parsed_operation(number: int, value: object) -> PatchOperation:
    if not isinstance(value, dict):
        raise InvalidBody(f"/{number}: an operation is an object")
    op = value.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise InvalidBody(f"/{number}/op: expected one of {', '.join(sorted(_OPERATIONS))}")
    path = _text_member(number, value, "path")
    source = _text_member(number, value, "from") if op in _OPERATIONS_WITH_FROM else ""
    if op in _OPERATIONS_WITH_VALUE and "value" not in value:
        raise InvalidBody(f"/{number}/value: {op} needs a value")
    return PatchOperation(number, op, path, value.get("value"), source)


def _text_member(number: int, value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > _MAX_PATH_LENGTH:
        raise InvalidBody(
            f"/{number}/{name}: expected text of at most {_MAX_PATH_LENGTH} characters"
        )
    return text


def _invalid_operation(operation: PatchOperation, reason: str) -> InvalidBody:
    return InvalidBody(f"/{operation.number}: {operation.op} {operation.path[:100]!r}: {reason}")


def _pointer_segments(path: str) -> Pointer:
    """Return the segments of a JSON pointer (RFC 6901)."""
    if path == "":
        return ()
    if not path.startswith("/"):
        raise InvalidBody(f"{path[:100]!r} is not a JSON pointer; it starts with /")
    return tuple(s.replace("~1", "/").replace("~0", "~") for s in path[1:].split("/"))


def _value_at(document: Any, path: Pointer, operation: PatchOperation) -> Any:  # noqa: ANN401
    for segment in path:
        document = _child(document, segment, operation)
    return document


def _child(container: Any, segment: str, operation: PatchOperation) -> Any:  # noqa: ANN401
    if isinstance(container, dict) and segment in container:
        return container[segment]
    if isinstance(container, list):
        return container[_index(segment, len(container) - 1, operation)]
    raise _invalid_operation(operation, f"there is no {segment[:100]!r}")


def _index(segment: str, last: int, operation: PatchOperation) -> int:
    is_number = segment.isascii() and segment.isdigit() and len(segment) < 7  # noqa: PLR2004
    if not is_number or (segment[0] == "0" and segment != "0"):
        raise _invalid_operation(operation, f"{segment[:100]!r} is not an array index")
    if int(segment) > last:
        raise _invalid_operation(operation, f"the array has no item {segment}")
    return int(segment)


def _add(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = _value_at(document, path[:-1], operation)
    segment = path[-1]
    if isinstance(container, dict):
        container[segment] = value
    elif isinstance(container, list):
        length = len(container)
        index = length if segment == "-" else _index(segment, length, operation)
        container.insert(index, value)
    else:
        raise _invalid_operation(operation, "the parent is neither an object nor an array")
    return document


def _remove(document: Any, path: Pointer, operation: PatchOperation) -> Any:  # noqa: ANN401
    if not path:
        raise _invalid_operation(operation, "the whole resource cannot be removed by a patch")
    container = _value_at(document, path[:-1], operation)
    _child(container, path[-1], operation)
    if isinstance(container, list):
        del container[int(path[-1])]
    else:
        del container[path[-1]]
    return document


def _remove_value(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401, ARG001
    return _remove(document, path, operation)


def _replace(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = _value_at(document, path[:-1], operation)
    _child(container, path[-1], operation)
    container[int(path[-1]) if isinstance(container, list) else path[-1]] = value
    return document


def _test(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401
    current = _value_at(document, path, operation)
    if not _is_equal(current, value):
        raise Conflict(
            f"/{operation.number}: test {operation.path[:100]!r}: the value is different"
        )
    return document


def _is_equal(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Return whether two JSON values are equal; true does not equal 1, but 1 equals 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return bool(left == right)


_APPLIERS: Mapping[str, Callable[[Any, Pointer, Any, PatchOperation], Any]] = {
    "add": _add,
    "copy": _add,
    "move": _add,
    "remove": _remove_value,
    "replace": _replace,
    "test": _test,
}
