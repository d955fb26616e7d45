"""The operations of a JSON patch on a document; they modify the document that they are given.

Source: RFC 6902, section 4; RFC 6901 (pointers).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody, quoted
from tmf_apis.rest.pipeline.patch_budget import PatchBudget
from tmf_apis.rest.query.jsonpath import JsonPath

Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One operation of a JSON patch.

    Attributes:
        number: Its index in the patch, for messages.
        op: add, remove, replace, move, copy or test.
        path: A JSON pointer, or a JSONPath in a JSON patch query.
        value: The value of add, replace and test.
        source: The member ``from`` of move and copy.
        steps: The parsed ``path`` if it is not a plain pointer.
        source_steps: The parsed ``source`` if it is not a plain pointer.
    """

    number: int
    op: str
    path: str
    value: Any
    source: str
    steps: JsonPath = ()
    source_steps: JsonPath = ()


def invalid_operation(operation: PatchOperation, reason: str) -> InvalidBody:
    """Return the error for an operation that is impossible."""
    return InvalidBody(
        f"/{operation.number}: {operation.op} {quoted(operation.path, 100)}: {reason}"
    )


def pointer_segments(path: str, operation: PatchOperation) -> Pointer:
    """Return the segments of a JSON pointer (RFC 6901).

    Raises:
        InvalidBody: It is not a JSON pointer (HTTP 400).
    """
    if path == "":
        return ()
    if not path.startswith("/"):
        reason = f"{quoted(path, 100)} is not a JSON pointer, which starts with /"
        raise invalid_operation(operation, reason)
    return tuple(s.replace("~1", "/").replace("~0", "~") for s in path[1:].split("/"))


def value_at(document: Any, path: Pointer, operation: PatchOperation) -> Any:  # noqa: ANN401
    """Return the value that a pointer selects.

    Raises:
        InvalidBody: There is none (HTTP 400).
    """
    for segment in path:
        document = _child(document, segment, operation)
    return document


def _child(container: Any, segment: str, operation: PatchOperation) -> Any:  # noqa: ANN401
    if isinstance(container, dict) and segment in container:
        return container[segment]
    if isinstance(container, list):
        return container[_index(segment, len(container) - 1, operation)]
    raise invalid_operation(operation, f"there is no {quoted(segment)}")


def _index(segment: str, last: int, operation: PatchOperation) -> int:
    is_number = segment.isascii() and segment.isdigit() and len(segment) < 7  # noqa: PLR2004
    if not is_number or (segment[0] == "0" and segment != "0"):
        raise invalid_operation(operation, f"{quoted(segment)} is not an array index")
    if int(segment) > last:
        raise invalid_operation(operation, f"the array has no item {segment}")
    return int(segment)


def _add(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = value_at(document, path[:-1], operation)
    segment = path[-1]
    if isinstance(container, dict):
        container[segment] = value
    elif isinstance(container, list):
        length = len(container)
        index = length if segment == "-" else _index(segment, length, operation)
        container.insert(index, value)
    else:
        raise invalid_operation(operation, "the parent is neither an object nor an array")
    return document


def add_selected(
    document: Any,  # noqa: ANN401
    path: Pointer,
    value: Any,  # noqa: ANN401
    operation: PatchOperation,
) -> Any:  # noqa: ANN401
    """Return the document after the "add" of a JSON patch query.

    A value is added to the array that the path selects, and the members of an object to the object
    that conditions select; in all other cases it is the "add" of RFC 6902.

    Source: TMF630 part 5, "adding an element to an array", "adding an attribute".
    """
    container: Any = document
    for segment in path:
        if isinstance(container, dict):
            container = container.get(segment)
        elif isinstance(container, list) and segment.isdecimal() and int(segment) < len(container):
            if not operation.steps and segment is path[-1]:
                return _add(document, path, value, operation)  # RFC 6902: insert before
            container = container[int(segment)]
        else:
            container = None
    if path and isinstance(container, list) and not isinstance(value, list):
        container.append(value)
    elif operation.steps and isinstance(container, dict) and isinstance(value, dict):
        container.update(value)
    else:
        return _add(document, path, value, operation)
    return document


def remove(document: Any, path: Pointer, operation: PatchOperation) -> Any:  # noqa: ANN401
    """Return the document after removing a value from it.

    Raises:
        InvalidBody: There is none, or it is the whole document (HTTP 400).
    """
    if not path:
        raise invalid_operation(operation, "the whole resource cannot be removed by a patch")
    container = value_at(document, path[:-1], operation)
    _child(container, path[-1], operation)
    if isinstance(container, list):
        del container[int(path[-1])]
    else:
        del container[path[-1]]
    return document


def _remove_value(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401, ARG001
    return remove(document, path, operation)


def _replace(document: Any, path: Pointer, value: Any, operation: PatchOperation) -> Any:  # noqa: ANN401
    if not path:
        return value
    container = value_at(document, path[:-1], operation)
    _child(container, path[-1], operation)
    container[int(path[-1]) if isinstance(container, list) else path[-1]] = value
    return document


def check_value(
    document: Any,  # noqa: ANN401
    path: Pointer,
    operation: PatchOperation,
    budget: PatchBudget,
) -> None:
    """Carry out a test.

    Raises:
        Conflict: The value at the path is different (HTTP 409).
    """
    if not _is_equal(value_at(document, path, operation), operation.value, budget):
        raise Conflict(
            f"/{operation.number}: test {quoted(operation.path, 100)}: the value is different"
        )


def _is_equal(left: Any, right: Any, budget: PatchBudget) -> bool:  # noqa: ANN401
    """Return whether two JSON values are equal; true does not equal 1, but 1 equals 1.0."""
    budget.visit(1)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            _is_equal(left[name], right[name], budget) for name in left
        )
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(_is_equal(*pair, budget) for pair in pairs)
    return bool(left == right)


#: The changes that operations make, by their name. ``check_value`` carries out tests.
APPLIERS: Mapping[str, Callable[[Any, Pointer, Any, PatchOperation], Any]] = {
    "add": _add,
    "copy": _add,
    "move": _add,
    "remove": _remove_value,
    "replace": _replace,
}
