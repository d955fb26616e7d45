"""Numbers of JSON that keep their value: 64-bit integers, and decimals that a double keeps.

A decimal of up to 15 significant digits is always kept, and many of 16 and 17 digits are. A double
stands for the shortest decimal that is nearest to it, as every writer of JSON prints it, so 0.1 is
one tenth. A number that would come back as another one is refused.

Source: RFC 8259, section 6; IEEE 754, binary64.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

#: BSON integers are 64 bits wide and signed.
INT64 = range(-(2**63), 2**63)
#: Says which numbers are kept, for error messages.
RULE = "a number has at most 15 significant digits, or is an integer of at most 64 bits"

#: Longest text of a number, in characters.
_MAX_LENGTH = 400
#: Digits and points become 0, the letter of an exponent e; a search in the result is fast.
_SHAPE = bytes.maketrans(b"123456789.E", b"0000000000e")
#: Only a number of 16 digits or near the smallest double can lose digits.
_MANY_DIGITS, _SMALL_EXPONENT = b"0" * 16, b"0e-000"
_STRING_OR_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*)', re.DOTALL)


def is_exact(text: str) -> bool:
    """Return whether a decimal has the same value after it was stored.

    >>> is_exact("0.1"), is_exact("10.10"), is_exact("123456789012345.6")
    (True, True, True)
    >>> is_exact("99999999999999999.99"), is_exact("1e400"), is_exact("1e-400")
    (False, False, False)
    """
    if len(text) > _MAX_LENGTH:
        return False
    real = float(text)
    try:
        return isfinite(real) and Decimal(repr(real)) == Decimal(text)
    except InvalidOperation:  # an exponent that no decimal has
        return False


def inexact_number(raw: bytes, value: Any) -> tuple[list[str | int], str] | None:  # noqa: ANN401
    """Return the path and the text of the first number of a JSON text that loses digits, or None.

    Integers are not considered; the parser keeps or refuses them.

    Args:
        raw: The JSON text.
        value: Its parsed value.
    """
    shape = raw.translate(_SHAPE)
    if _MANY_DIGITS not in shape and _SMALL_EXPONENT not in shape:
        return None
    numbers = (match[1] for match in _STRING_OR_NUMBER.finditer(raw) if match[1])
    for index, number in enumerate(numbers):
        text = number.decode()
        if not text.lstrip("-").isdecimal() and not is_exact(text):
            paths = list(_number_paths(value, ()))
            return list(paths[index]) if index < len(paths) else [], text
    return None


def _number_paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """Yield the paths of all numbers in a value, in the order of its text."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _number_paths(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _number_paths(item, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path
