"""JSONPath evaluated on one resource, for JSON patch queries (TMF630 part 5).

``rest/query/jsonpath`` and ``pointer_queries`` parse the paths. They are evaluated in memory here,
because a patch is applied to one version of one resource.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import re2

from tmf_apis.errors import InvalidBody, quoted
from tmf_apis.rest.contracts.dates import accepted_timestamp
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
)

#: Member names and array indexes on the way to a value (RFC 6901).
Pointer = tuple[str, ...]
#: A regular expression reads as many characters in the time in which a value is visited.
_CHARACTERS_PER_VISIT = 64
#: First characters of a position in an array; no attribute of a contract begins with one.
_POSITIONS = frozenset("0123456789-")
_MAX_INDEX_DIGITS = 6
_Matches = Iterator[tuple[Pointer, Any]]


def matching_pointers(
    path: JsonPath,
    document: Any,  # noqa: ANN401
    visit: Callable[[int], None],
    *,
    include_missing: bool = False,
) -> list[Pointer]:
    """Return the pointers to the values that a path selects, in document order.

    Args:
        path: The parsed path, of JSONPath or of a pointer with conditions.
        document: The resource.
        visit: Called with numbers of visited values; it raises an exception to stop.
        include_missing: Also select a member that does not exist in an existing object, and the end
            of an array (``-``), to add it.
    """
    matches = _Evaluator(visit).walk(document, path, (), include_missing=include_missing)
    return [pointer for pointer, _ in matches]


class _Evaluator:
    """Evaluates JSONPath on a value, and counts the values that it visits."""

    def __init__(self, visit: Callable[[int], None]) -> None:
        self._visit = visit

    def walk(
        self,
        value: Any,  # noqa: ANN401
        path: JsonPath,
        pointer: Pointer,
        *,
        include_missing: bool = False,
    ) -> _Matches:
        """Yield the pointers and values that a path selects."""
        self._visit(1)
        if not path:
            yield pointer, value
            return
        if isinstance(value, list) and path[0].name and path[0].name[0] in _POSITIONS:
            yield from self._walk_position(value, path, pointer, include_missing=include_missing)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._walk_element(
                    item, path, (*pointer, str(index)), include_missing=include_missing
                )
        elif path[0].condition is not None:
            if self._is_met(path[0].condition, value):
                yield from self.walk(value, path[1:], pointer, include_missing=include_missing)
        elif isinstance(value, dict):
            yield from self._walk_member(value, path, pointer, include_missing=include_missing)

    def _walk_position(
        self, value: list[Any], path: JsonPath, pointer: Pointer, *, include_missing: bool
    ) -> _Matches:
        """Yield the values that a path selects at one position of an array, or its end."""
        name, rest = path[0].name, path[1:]
        if name == "-":
            if include_missing and not rest:
                yield (*pointer, name), None
        elif name.isdecimal() and len(name) <= _MAX_INDEX_DIGITS and int(name) < len(value):
            inner = (*pointer, str(int(name)))
            yield from self.walk(value[int(name)], rest, inner, include_missing=include_missing)

    def _walk_element(
        self,
        item: Any,  # noqa: ANN401
        path: JsonPath,
        pointer: Pointer,
        *,
        include_missing: bool,
    ) -> _Matches:
        condition = path[0].condition
        if condition is None:
            yield from self.walk(item, path, pointer, include_missing=include_missing)
        elif self._is_met(condition, item):
            yield from self.walk(item, path[1:], pointer, include_missing=include_missing)

    def _walk_member(
        self, value: dict[str, Any], path: JsonPath, pointer: Pointer, *, include_missing: bool
    ) -> _Matches:
        name, rest = path[0].name, path[1:]
        if name in value:
            yield from self.walk(
                value[name], rest, (*pointer, name), include_missing=include_missing
            )
        elif include_missing and not rest:
            yield (*pointer, name), None

    def _is_met(self, expression: Expression, value: Any) -> bool:  # noqa: ANN401
        self._visit(1)
        match expression:
            case AllOf(parts):
                return all(self._is_met(part, value) for part in parts)
            case AnyOf(parts):
                return any(self._is_met(part, value) for part in parts)
            case Not(negated):
                return not self._is_met(negated, value)
            case Exists(path):
                return any(True for _ in self.walk(value, path, ()))
            case Match(path, pattern, flags):
                return self._is_matched(_regex(pattern, flags), self._values(value, path))
            case Compare(path, operator, literals):
                values = self._values(value, path)
                self._visit(len(values) * len(literals))
                return _is_comparison_met(operator, literals, values)

    def _values(self, value: Any, path: JsonPath) -> list[Any]:  # noqa: ANN401
        """Return the values that a path selects; the elements of an array one by one."""
        values = []
        for _, selected in self.walk(value, path, ()):
            values.extend(selected if isinstance(selected, list) else [selected])
        return values

    def _is_matched(self, regex: Any, values: list[Any]) -> bool:  # noqa: ANN401
        for value in values:
            if isinstance(value, str):
                self._visit(1 + len(value) // _CHARACTERS_PER_VISIT)
                if regex.search(value):
                    return True
        return False


@functools.lru_cache(maxsize=256)
def _regex(pattern: str, flags: str) -> Any:  # noqa: ANN401
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise InvalidBody(f"{quoted(pattern)} is not a regular expression") from None


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
    return bool(value == literal or value == _stored_text(value, literal))


def _stored_text(value: Any, literal: str) -> str:  # noqa: ANN401
    """Return a literal as it would be stored beside a text: a time in UTC."""
    if isinstance(value, str) and value[-1:] == "Z":
        return accepted_timestamp(literal) or literal
    return literal


def _is_ordered(operator: str, value: Any, literal: Literal) -> bool:  # noqa: ANN401
    if literal is None:
        return False
    other: Any = literal
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (other := number_from_text(literal)) is None:
            return False
    elif not isinstance(value, str):
        return False
    else:
        other = _stored_text(value, literal)
    order = {"lt": value < other, "lte": value <= other}
    order |= {"gt": value > other, "gte": value >= other}
    return bool(order[operator])
