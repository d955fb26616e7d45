"""Parts of JSON values whose shape the contract leaves open, and the number of values."""

import re
from typing import Any

from tmf_apis.errors import InvalidBody

#: A string in a JSON text.
JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def json_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in a JSON array; empty if the value is not an array.

    >>> json_objects([{"id": "1"}, "text"]), json_objects({"id": "1"}), json_objects(None)
    ([{'id': '1'}], [], [])
    """
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def check_value_count(raw: bytes, limit: int) -> None:
    """Check the number of values in a JSON text, without parsing it.

    A value is the first one of an object or array, or follows a comma, so their characters are
    counted; an empty object or array counts twice. Strings may have the same characters, and are
    removed if the fast count gives too many.

    Raises:
        InvalidBody: The text has more than ``limit`` values (HTTP 400).
    """
    if len(raw) <= limit or _value_count(raw) <= limit:
        return
    if _value_count(JSON_STRING.sub(b"", raw)) > limit:
        raise InvalidBody(f"more than {limit} values")


def _value_count(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"{") + raw.count(b"[") + 1
