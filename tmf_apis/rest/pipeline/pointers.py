"""JSONPath evaluated on one resource, for JSON patch queries (TMF630 part 5).

The paths are parsed by ``rest/query/jsonpath``. They are evaluated in memory here, because a patch
is applied to one version of one resource.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import re2

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.query.attributes import number_from_text
from tmf_apis.rest.query.jsonpath import (
    AllOf,
    AnyOf,
    Compare,
    Exists,
    Expression,
    JsonPath,
    Literal,
    Match,
    Not,
    parse_path,
)
from tmf_apis.settings import Settings

#: Member names and array indexes on the way to a value (RFC 6901).
Pointer = tuple[str, ...]
_Matches = Iterator[tuple[Pointer, Any]]


def matching_pointers(
    text: str,
    document: Any,  # noqa: ANN401
    settings: Settings,
    *,
    include_missing: bool = False,
) -> list[Pointer]:
    """Return the pointers to the values that a path selects, in document order.

    Args:
        text: ``$.productOrderItem[?(@.id=='1')].quantity``.
        document: The resource.
        settings: The limits.
        include_missing: Also select a member that does not exist in an existing object, to add
            it.

    Raises:
        InvalidQuery: The path is malformed (HTTP 400).
        FeatureNotImplemented: It uses a part of JSONPath that is not supported (HTTP 501).
    """
    return [
        pointer
        for pointer, _ in _walk(
            document, parse_path(text, settings), (), include_missing=include_missing
        )
    ]


def _walk(value: Any, path: JsonPath, pointer: Pointer, *, include_missing: bool) -> _Matches:  # noqa: ANN401
    if not path:
        yield pointer, value
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk_element(
                item, path, (*pointer, str(index)), include_missing=include_missing
            )
    elif path[0].condition is not None:
        if _is_met(path[0].condition, value):
            yield from _walk(value, path[1:], pointer, include_missing=include_missing)
    elif isinstance(value, dict):
        yield from _walk_member(value, path, pointer, include_missing=include_missing)


def _walk_element(
    item: Any,  # noqa: ANN401
    path: JsonPath,
    pointer: Pointer,
    *,
    include_missing: bool,
) -> _Matches:
    condition = path[0].condition
    if condition is None:
        yield from _walk(item, path, pointer, include_missing=include_missing)
    elif _is_met(condition, item):
        yield from _walk(item, path[1:], pointer, include_missing=include_missing)


def _walk_member(
    value: dict[str, Any], path: JsonPath, pointer: Pointer, *, include_missing: bool
) -> _Matches:
    name, rest = path[0].name, path[1:]
    if name in value:
        yield from _walk(value[name], rest, (*pointer, name), include_missing=include_missing)
    elif include_missing and not rest:
        yield (*pointer, name), None


def _is_met(expression: Expression, value: Any) -> bool:  # noqa: ANN401
    match expression:
        case AllOf(parts):
            return all(_is_met(part, value) for part in parts)
        case AnyOf(parts):
            return any(_is_met(part, value) for part in parts)
        case Not(negated):
            return not _is_met(negated, value)
        case Exists(path):
            return any(True for _ in _walk(value, path, (), include_missing=False))
        case Match(path, pattern, flags):
            return _is_matched(pattern, flags, _values(value, path))
        case Compare(path, operator, literals):
            return _is_comparison_met(operator, literals, _values(value, path))


def _values(value: Any, path: JsonPath) -> list[Any]:  # noqa: ANN401
    """Return the values that a path selects; the elements of an array one by one."""
    values = []
    for _, selected in _walk(value, path, (), include_missing=False):
        values.extend(selected if isinstance(selected, list) else [selected])
    return values


def _is_matched(pattern: str, flags: str, values: list[Any]) -> bool:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        raise InvalidBody(f"{pattern[:80]!r} is not a regular expression") from None
    return any(isinstance(value, str) and compiled.search(value) for value in values)


def _is_comparison_met(operator: str, literals: tuple[Literal, ...], values: list[Any]) -> bool:
    if operator in {"eq", "ne"}:
        is_absent = None in literals and not values
        pairs = itertools.product(values, literals)
        has_equal = is_absent or any(_is_equal(value, literal) for value, literal in pairs)
        return has_equal == (operator == "eq")
    pairs = itertools.product(values, literals)
    return any(_is_ordered(operator, value, literal) for value, literal in pairs)


def _is_equal(value: Any, literal: Literal) -> bool:  # noqa: ANN401
    if literal is None or value is None:
        return literal is value
    if isinstance(value, bool):
        return literal == ("true" if value else "false")
    if isinstance(value, int | float):
        return number_from_text(literal) == value
    return bool(value == literal)


def _is_ordered(operator: str, value: Any, literal: Literal) -> bool:  # noqa: ANN401
    if literal is None:
        return False
    other: Any = literal
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (other := number_from_text(literal)) is None:
            return False
    elif not isinstance(value, str):
        return False
    order = {"lt": value < other, "lte": value <= other}
    order |= {"gt": value > other, "gte": value >= other}
    return bool(order[operator])
