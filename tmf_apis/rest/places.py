"""Where a JSONPath leads to in one resource: the places that a JSON patch query changes.

The paths are those of ``jsonpath``; here they are walked over a document in memory, because a
patch is applied to one version of one resource.
"""

import math
from collections.abc import Iterator
from typing import Any

import re2

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.attributes import number
from tmf_apis.rest.jsonpath import (
    All,
    Compare,
    Exists,
    Expression,
    Literal,
    Match,
    Not,
    One,
    Path,
    parsed,
)
from tmf_apis.settings import Settings

#: The way to a value: member names and array indexes, as in a JSON pointer.
Place = tuple[str, ...]
_Steps = Iterator[tuple[Place, Any]]


def places(text: str, document: Any, settings: Settings, *, missing: bool = False) -> list[Place]:  # noqa: ANN401
    """Return the places that a path selects, in the order of the document.

    Args:
        text: ``$.productOrderItem[?(@.id=='1')].quantity``.
        document: The resource.
        settings: The limits.
        missing: A member that is not there is selected too, where its object is (to add it).

    Raises:
        InvalidQuery: The path is malformed (HTTP 400).
        NotImplementedHere: It uses what of JSONPath is not offered (HTTP 501).
    """
    return [place for place, _ in _walk(document, parsed(text, settings), (), missing=missing)]


def _walk(value: Any, path: Path, at: Place, *, missing: bool) -> _Steps:  # noqa: ANN401
    if not path:
        yield at, value
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _into_element(item, path, (*at, str(index)), missing=missing)
    elif path[0].condition is not None:
        if _met(path[0].condition, value):
            yield from _walk(value, path[1:], at, missing=missing)
    elif isinstance(value, dict):
        yield from _into_member(value, path, at, missing=missing)


def _into_element(item: Any, path: Path, at: Place, *, missing: bool) -> _Steps:  # noqa: ANN401
    condition = path[0].condition
    if condition is None:
        yield from _walk(item, path, at, missing=missing)
    elif _met(condition, item):
        yield from _walk(item, path[1:], at, missing=missing)


def _into_member(value: dict[str, Any], path: Path, at: Place, *, missing: bool) -> _Steps:
    name, rest = path[0].name, path[1:]
    if name in value:
        yield from _walk(value[name], rest, (*at, name), missing=missing)
    elif missing and not rest:
        yield (*at, name), None


def _met(expression: Expression, value: Any) -> bool:  # noqa: ANN401
    match expression:
        case All(parts):
            return all(_met(part, value) for part in parts)
        case One(parts):
            return any(_met(part, value) for part in parts)
        case Not(negated):
            return not _met(negated, value)
        case Exists(path):
            return any(True for _ in _walk(value, path, (), missing=False))
        case Match(path, pattern, flags):
            return _finds(pattern, flags, _values(value, path))
        case Compare(path, operator, literals):
            return _compares(operator, literals, _values(value, path))


def _values(value: Any, path: Path) -> list[Any]:  # noqa: ANN401
    found = []
    for _, one in _walk(value, path, (), missing=False):
        found.extend(one if isinstance(one, list) else [one])
    return found


def _finds(pattern: str, flags: str, values: list[Any]) -> bool:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        raise InvalidBody(f"{pattern[:80]!r} is not a regular expression") from None
    return any(isinstance(value, str) and compiled.search(value) for value in values)


def _compares(operator: str, literals: tuple[Literal, ...], values: list[Any]) -> bool:
    if operator in {"eq", "ne"}:
        absent = None in literals and not values
        equal = absent or any(_equals(value, text) for value in values for text in literals)
        return equal == (operator == "eq")
    return any(_ordered(operator, value, text) for value in values for text in literals)


def _equals(value: Any, text: Literal) -> bool:  # noqa: ANN401
    if text is None or value is None:
        return text is value
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int | float):
        return number(text) == value
    return bool(value == text)


def _ordered(operator: str, value: Any, text: Literal) -> bool:  # noqa: ANN401
    other: Any = text
    if isinstance(value, int | float) and not isinstance(value, bool):
        other = math.nan if text is None or number(text) is None else number(text)
    elif not isinstance(value, str) or text is None:
        return False
    order = {"lt": value < other, "lte": value <= other}
    order |= {"gt": value > other, "gte": value >= other}
    return bool(order[operator])
