"""Request bodies: strict JSON within limits, checked before the contract.

The checks refuse a body that would be changed silently (a duplicate member, an integer that the
database cannot hold, a decimal that would lose digits) or that would cost too much (depth, length).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from tmf_apis.errors import InvalidBody, UnsupportedMediaType, quoted
from tmf_apis.rest.contracts.numbers import INT64, RULE, inexact_number
from tmf_apis.rest.contracts.violations import json_pointer
from tmf_apis.rest.pipeline.json_values import JSON_STRING, check_value_count
from tmf_apis.settings import Settings

#: Attributes that the contracts leave to any JSON value. Inside them all names are data.
OPEN_ATTRIBUTES = frozenset({"adapterOptions", "event", "expected", "observed", "value"})
#: What a repeated check accepts, because it was examined: large floats, names such as ``$ref``.
_LARGE_FLOATS, _SPECIAL_NAMES = 1, 2

_CHECKED_TYPES = frozenset({dict, list, int, float})
_CONTAINERS, _NUMBERS = frozenset({dict, list}), frozenset({int, float})
#: Integers from here on do not fit into 64 bits; orjson reads them as floats.
_INT64_LIMIT = 2.0**63
#: Most characters of a 64-bit integer, with its sign.
_MAX_INT64_LENGTH = 20
_LONG_INTEGER = re.compile(rb"(?<![\d.eE+-])-?\d{19,}(?![\d.eE])")

JSON = "application/json"


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of the body in lower case, without parameters; JSON by default.

    Raises:
        UnsupportedMediaType: The body is compressed, or its charset is not UTF-8 (HTTP 415).
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(f"Content-Encoding {encoding} is not accepted; use identity")
    name, _, parameters = headers.get("content-type", JSON).partition(";")
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(f"charset {charset[1]} is not accepted; JSON is UTF-8")
    return name.strip().lower()


def parse(raw: bytes, settings: Settings) -> Any:  # noqa: ANN401
    """Return the JSON value of a body.

    Raises:
        InvalidBody: The body is not JSON, or exceeds a limit; the message has the JSON pointer
            (HTTP 400).
    """
    if not raw:
        raise InvalidBody("the request has no body; expected JSON")
    check_value_count(raw, settings.value_limit)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    count = _plain_member_count(raw, value, settings)
    if count is None:
        count = _checked_member_count(value, settings, lambda: _has_long_integer(raw))
    if _raw_member_count(raw, count) != count:
        raise InvalidBody("the body has an object with the same member twice")
    if inexact := inexact_number(raw, value):
        path, number = inexact
        raise InvalidBody(f"{json_pointer(path) or '/'}: {number[:40]} would lose digits; {RULE}")
    return value


def check_limits(value: object, settings: Settings) -> None:
    """Check that the result of a patch is within the limits of a body.

    Raises:
        InvalidBody: The value exceeds a limit; the message has the JSON pointer (HTTP 400).
    """
    _checked_member_count(value, settings, lambda: False)


def _plain_member_count(raw: bytes, value: object, settings: Settings) -> int | None:
    """Return the number of object members of a value without special names and large numbers.

    Most bodies are like that, which a loop shows faster than the walk that knows the paths.

    Returns:
        The number; None if the value has to be checked by ``_checked_member_count``.
    """
    if b"\\" in raw or b'"$' in raw or b'""' in raw:  # a name may be empty or begin with $
        return None
    if type(value) not in _CONTAINERS:
        return None
    count = 0
    level: list[Any] = [value]
    for _ in range(settings.depth_limit):
        try:
            members, level = _next_level(level, settings.array_limit)
        except _NotPlain:
            return None
        count += members
        if not level:
            return count
    return None


def _next_level(level: list[Any], array_limit: int) -> tuple[int, list[Any]]:
    """Return the number of members of objects and arrays, and the objects and arrays in them.

    Raises:
        _NotPlain: An array is too long, or a number is large.
    """
    count = 0
    following: list[Any] = []
    for container in level:
        members = container
        if type(container) is dict:
            count += len(container)
            members = container.values()
        elif len(container) > array_limit:
            raise _NotPlain
        for member in members:
            kind = type(member)
            if kind in _CONTAINERS:
                following.append(member)
            elif kind in _NUMBERS and not -_INT64_LIMIT < member < _INT64_LIMIT:
                raise _NotPlain
    return count, following


def _checked_member_count(
    value: object, settings: Settings, has_long_integer: Callable[[], bool]
) -> int:
    """Return the number of object members in a value after checking the limits."""
    depth, items = settings.depth_limit, settings.array_limit
    accepted = 0
    try:
        while True:
            try:
                return _member_count(value, depth, items, accepted)
            except _LargeFloat:
                if has_long_integer():
                    raise _LimitExceeded("integers have at most 64 bits") from None
                accepted |= _LARGE_FLOATS
            except _SpecialName:
                _check_names(value, depth, is_data=False)
                accepted |= _SPECIAL_NAMES
    except _LimitExceeded as error:
        raise InvalidBody(f"{json_pointer(reversed(error.path)) or '/'}: {error.rule}") from None


def _has_long_integer(raw: bytes) -> bool:
    """Return whether a JSON text has an integer that does not fit into 64 bits."""
    without_strings = JSON_STRING.sub(b"", raw)
    return any(
        len(match[0]) > _MAX_INT64_LENGTH or int(match[0]) not in INT64
        for match in _LONG_INTEGER.finditer(without_strings)
    )


def _raw_member_count(raw: bytes, parsed_count: int) -> int:
    """Return the number of object members in a JSON text, counting duplicates.

    Without white space, each member name ends with a quote before a colon. The same characters may
    occur inside a string, so counting them is fast but may give too many. If it does, the strings
    are removed and the colons are counted.
    """
    if raw.translate(None, b" \t\r\n").count(b'":') == parsed_count:
        return parsed_count
    return JSON_STRING.sub(b"", raw).count(b":")


class _NotPlain(Exception):
    """A value has to be checked by the walk that knows the paths."""


class _LargeFloat(Exception):
    """A number may have been written as an integer that does not fit into 64 bits."""


class _SpecialName(Exception):
    """A name is empty or begins with ``$``."""


class _LimitExceeded(Exception):
    """A limit is exceeded; the path to the value is collected while the recursion unwinds."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path: list[str | int] = []


def _member_count(value: Any, depth: int, items: int, accepted: int) -> int:  # noqa: ANN401
    """Return the number of object members in ``value``, checking the limits."""
    value_type = type(value)
    if value_type is dict:
        return _object_member_count(value, depth - 1, items, accepted)
    if value_type is list:
        return _array_member_count(value, depth - 1, items, accepted)
    if (
        value_type is float
        and not accepted & _LARGE_FLOATS
        and not -_INT64_LIMIT < value < _INT64_LIMIT
    ):
        raise _LargeFloat
    if value_type is int and not INT64.start <= value < INT64.stop:
        raise _LimitExceeded("integers have at most 64 bits")
    return 0


def _object_member_count(value: dict[str, Any], depth: int, items: int, accepted: int) -> int:
    if depth < 0:
        raise _LimitExceeded("nested too deep")
    count = len(value)
    for key, member in value.items():
        if (not key or key[0] == "$") and not accepted & _SPECIAL_NAMES:
            raise _SpecialName
        if "\0" in key:
            raise _LimitExceeded(f"{quoted(key)} cannot be the name of an attribute")
        if type(member) in _CHECKED_TYPES:
            try:
                count += _member_count(member, depth, items, accepted)
            except _LimitExceeded as error:
                error.path.append(key)
                raise
    return count


def _array_member_count(value: list[Any], depth: int, items: int, accepted: int) -> int:
    if depth < 0:
        raise _LimitExceeded("nested too deep")
    if len(value) > items:
        raise _LimitExceeded(f"more than {items} items")
    count = 0
    for index, item in enumerate(value):
        if type(item) in _CHECKED_TYPES:
            try:
                count += _member_count(item, depth, items, accepted)
            except _LimitExceeded as error:
                error.path.append(index)
                raise
    return count


def _check_names(value: object, depth: int, *, is_data: bool) -> None:
    """Check that names that are empty or begin with ``$`` are inside an open attribute.

    The driver of the database reads an object with ``$ref`` and ``$id`` as a reference.

    Raises:
        _LimitExceeded: One is not, or the value is nested too deep.
    """
    if depth < 0:
        raise _LimitExceeded("nested too deep")
    if isinstance(value, dict) and isinstance(value.get("$ref"), str) and "$id" in value:
        raise _LimitExceeded("an object cannot have both $ref and $id")
    for name, member in _members(value):
        if not is_data:
            _check_name(name)
        if isinstance(member, dict | list):
            try:
                _check_names(member, depth - 1, is_data=is_data or name in OPEN_ATTRIBUTES)
            except _LimitExceeded as error:
                error.path.append(name)
                raise


def _members(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _check_name(name: str | int) -> None:
    if isinstance(name, str) and (not name or name[0] == "$"):
        raise _LimitExceeded(
            f"{name!r} cannot be the name of an attribute; inside a value of any type it can"
        )


def without_nulls(value: Any) -> Any:  # noqa: ANN401
    """Return ``value`` without null members; the same object if it has none.

    >>> without_nulls({"name": "x", "description": None, "note": [{"text": None}]})
    {'name': 'x', 'note': [{}]}
    """
    if type(value) is dict:
        changed: dict[str, Any] = {}
        for key, member in value.items():
            if member is None:
                changed[key] = None
            elif type(member) is dict or type(member) is list:
                clean = without_nulls(member)
                if clean is not member:
                    changed[key] = clean
        if not changed:
            return value
        merged = {**value, **changed}
        return {key: member for key, member in merged.items() if member is not None}
    if type(value) is list:
        cleaned = [without_nulls(item) for item in value]
        same = all(a is b for a, b in zip(cleaned, value, strict=True))
        return value if same else cleaned
    return value
