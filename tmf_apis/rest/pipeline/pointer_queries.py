"""JSON pointers with conditions, the paths of a JSON patch query, compiled to JSONPath.

Source: TMF630 part 5, "JSON Patch extension to manage arrays"::

    /note/text?note.author=John Doe          conditions at the end, their names from the root
    /note?author=John Doe/text               conditions at a segment, their names from its value
    /productOrderItem?state=new&action=add/note?author=x/text
    /state?state=new                         the attribute itself has the value
    /note/-?...                              the end of an array
    /productOrderItem/quantity?productOrderItem.product.relatedParty[?(@.role=='customer')]

    path       = { "/" name [ "?" condition { "&" condition } ] }
    condition  = name operator value | name "[?(" JSONPath expression ")]"
    operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="
    value      = text | '"' text '"'

A name without a position means every element of an array. Conditions below the same attribute hold
for the same element; a repeated attribute may have either value. A value ends at ``/`` or ``&``;
inside, these are written ``%2F`` (or ``~1``) and ``%26``, or the value is put in double quotes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from tmf_apis.errors import InvalidQuery, quoted
from tmf_apis.rest.query.jsonpath import (
    COMPARISONS,
    DEPTH_LIMIT,
    TERM_LIMIT,
    AllOf,
    Compare,
    Exists,
    Expression,
    JsonPath,
    PathStep,
    parse_path,
)
from tmf_apis.settings import Settings

_SEGMENT = re.compile(r"/([^/?]*)")
_CONDITION_NAME = re.compile(r"[\w@:.\-]+")
_OPERATOR = re.compile(r"==|!=|<=|>=|=|<|>")
_VALUE = re.compile(r'"([^"]*)"(?=[&/]|\Z)|([^&/]*)')
_JSONPATH_PART = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[\[\]]|[^\[\]'"]+|.""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition: the names from the root to its attribute, and what holds there."""

    names: tuple[str, ...]
    operator: str
    literal: str = ""
    path: JsonPath = ()


def is_pointer_query(path: str) -> bool:
    """Return whether a path is a JSON pointer with conditions.

    >>> is_pointer_query("/note?author=x/text"), is_pointer_query("/note/0")
    (True, False)
    """
    return path.startswith("/") and "?" in path


def parse_pointer_query(text: str, settings: Settings) -> JsonPath:
    """Return the JSONPath of a JSON pointer with conditions.

    Raises:
        InvalidQuery: The path is malformed; the message has the position (HTTP 400).
        FeatureNotImplemented: A condition uses an unsupported feature of JSONPath (HTTP 501).
    """
    return _Parser(text, settings).parse()


class _Parser:
    """Reads a path from left to right."""

    def __init__(self, text: str, settings: Settings) -> None:
        self._text = text
        self._settings = settings
        self._position = 0
        self._segments: list[str] = []
        #: Conditions by the number of segments before their place in the path.
        self._conditions: dict[int, list[_Condition]] = {}

    def parse(self) -> JsonPath:
        while self._position < len(self._text):
            match = _SEGMENT.match(self._text, self._position)
            if match is None:
                raise self._unexpected("/ and a name")
            self._position = match.end()
            self._segments.append(match[1].replace("~1", "/").replace("~0", "~"))
            if self._accept("?"):
                self._read_conditions()
        if len(self._segments) > self._settings.jsonpath_segments:
            raise InvalidQuery(f"a path has at most {self._settings.jsonpath_segments} segments")
        return tuple(self._steps())

    def _accept(self, mark: str) -> bool:
        if is_next := self._text.startswith(mark, self._position):
            self._position += len(mark)
        return is_next

    def _unexpected(self, expected: str) -> InvalidQuery:
        rest = self._text[self._position :]
        actual = quoted(rest, 20) if rest else "the end"
        return InvalidQuery(
            f"expected {expected} at character {self._position + 1}, found {actual}; in a value, /"
            ' is written %2F and & is written %26, or the value is put in "quotes"'
        )

    def _read_conditions(self) -> None:
        place = len(self._segments)
        count = 0
        while count == 0 or self._accept("&"):
            count += 1
            condition = self._condition()
            self._conditions.setdefault(self._place(condition, place), []).append(condition)
        if sum(map(len, self._conditions.values())) > TERM_LIMIT:
            raise InvalidQuery(f"more than {TERM_LIMIT} conditions")

    def _condition(self) -> _Condition:
        match = _CONDITION_NAME.match(self._text, self._position)
        names = tuple(match[0].split(".")) if match else ()
        if match is None or not all(names) or len(names) > self._settings.jsonpath_segments:
            raise self._unexpected("the name of an attribute")
        self._position = match.end()
        names = self._absolute_names(names)
        if self._text.startswith("[", self._position):
            return _Condition(names, "exists", path=self._parsed_bracket())
        operator = _OPERATOR.match(self._text, self._position)
        if operator is None:
            raise self._unexpected("one of = == != < <= > >= and a value")
        value = _VALUE.match(self._text, operator.end())
        assert value is not None  # noqa: S101 - the pattern matches anything
        self._position = value.end()
        literal = value[1] if value[1] is not None else _decoded(value[2])
        return _Condition(names, COMPARISONS.get(operator[0], "eq"), literal)

    def _parsed_bracket(self) -> JsonPath:
        return parse_path(self._bracket(), self._settings, subject="")

    def _bracket(self) -> str:
        """Return the JSONPath from here to the end of its brackets."""
        start, depth = self._position, 0
        for part in _JSONPATH_PART.finditer(self._text, start):
            depth += {"[": 1, "]": -1}.get(part[0], 0)
            if depth == 0:
                end = part.end()
                self._position = end
                return f"${self._text[start:end]}"
            if depth > DEPTH_LIMIT:
                break
        raise self._unexpected("a condition in brackets")

    def _absolute_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names from the root to the attribute of a condition.

        A name starts at the root if it begins with the first segment of the path, at the parent if
        it begins with the segment itself, and otherwise at the value of the segment.
        """
        segments = [name for name in self._segments if not name.isdecimal()]
        if names[0] == segments[0]:
            return names
        if names[0] == segments[-1]:
            return (*segments[:-1], *names)
        return (*segments, *names)

    def _place(self, condition: _Condition, place: int) -> int:
        """Return after how many segments a condition is checked: those that it has in common."""
        common, position = 0, 0
        for index, segment in enumerate(self._segments[:place]):
            if segment.isdecimal():
                position = index + 1 if position == index else position
            elif common < len(condition.names) and segment == condition.names[common]:
                common, position = common + 1, index + 1
            else:
                break
        return position

    def _steps(self) -> Iterator[PathStep]:
        for place in range(len(self._segments) + 1):
            if place:
                yield PathStep(self._segments[place - 1])
            if conditions := self._conditions.get(place):
                names = [s for s in self._segments[:place] if not s.isdecimal()]
                below = [(c.names[len(names) :], c) for c in conditions]
                yield PathStep(condition=_joined(below))


def _decoded(value: str) -> str:
    try:
        return unquote(value.replace("~1", "/").replace("~0", "~"), errors="strict")
    except UnicodeDecodeError:
        raise InvalidQuery(f"{quoted(value)} is not UTF-8 when its escapes are decoded") from None


def _joined(conditions: Sequence[tuple[tuple[str, ...], _Condition]]) -> Expression:
    """Return the conjunction of conditions on a value.

    Args:
        conditions: The names below the value, and the condition that holds there.
    """
    groups: dict[str, list[tuple[tuple[str, ...], _Condition]]] = {}
    for names, condition in conditions:
        groups.setdefault(names[0] if names else "", []).append((names[1:], condition))
    parts = [_group(name, group) for name, group in groups.items()]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _group(name: str, group: Sequence[tuple[tuple[str, ...], _Condition]]) -> Expression:
    """Return the conjunction of the conditions below one attribute, or on the value itself."""
    path = (PathStep(name),) if name else ()
    if len({(names, c.operator) for names, c in group}) == 1 and group[0][1].operator != "exists":
        names, condition = group[0]
        literals = tuple(c.literal for _, c in group)
        return Compare((*path, *map(PathStep, names)), condition.operator, literals)
    if len(group) == 1:
        names, condition = group[0]
        return Exists((*path, *map(PathStep, names), *condition.path))
    if not any(names for names, _ in group):
        parts = [_on_value(path, condition) for _, condition in group]
        return AllOf(tuple(parts))
    return Exists((*path, PathStep(condition=_joined(group))))


def _on_value(path: JsonPath, condition: _Condition) -> Expression:
    if condition.operator == "exists":
        return Exists((*path, *condition.path))
    return Compare(path, condition.operator, (condition.literal,))
