"""Lines of JSON for logs and terminals."""

import json
import re
from typing import Any

import orjson

#: Characters that end a line, control a terminal, change the order of the text (Unicode UAX #9)
#: or cannot be written as UTF-8.
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_line(members: dict[str, Any]) -> str:
    r"""Return members as one line of JSON, without a line feed.

    Characters that a reader or a terminal could take for the end of the line or for a command
    are escaped.

    Args:
        members: Values that JSON does not know are written as their text.

    >>> json_line({"path": "/a\x85\u2028"})
    '{"path":"/a\\u0085\\u2028"}'
    """
    try:
        line = orjson.dumps(members, default=str).decode()
    except TypeError:  # a large integer, or text that is not UTF-8
        line = json.dumps(members, default=str, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
