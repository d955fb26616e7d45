"""Ids of new resources, and which ids of files and other systems are accepted."""

import os
import time

from tmf_apis.errors import InvalidBody

#: Longest id, in characters; its percent-encoded form has up to twelve times as many.
MAX_ID_LENGTH = 256
#: Clients remove these segments from a path, percent-encoded or not (RFC 3986, section 5.2.4).
_DOT_SEGMENTS = frozenset({".", ".."})


def new_id() -> str:
    """Return a new id; ids sort by the time of their creation.

    Source: RFC 9562, UUID version 7.
    """
    stamp = time.time_ns() // 1_000_000
    value = (stamp << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(id: object) -> str:
    """Return an id of a file after checking that every client can read the resource at its href.

    The href has the id percent-encoded, so it can have any character that is shown, ``/`` and ``%``
    too.

    Raises:
        InvalidBody: It is not such a text (HTTP 400).

    >>> check_id("gw-1:ge-0/0/1 #2")
    'gw-1:ge-0/0/1 #2'
    """
    if isinstance(id, str) and 0 < len(id) <= MAX_ID_LENGTH and id.isprintable():
        if id in _DOT_SEGMENTS:
            raise InvalidBody(f"/id: {id!r} cannot be read at a URL; clients remove it from paths")
        if id == id.strip():
            return id
    raise InvalidBody(
        f"/id: expected a text of 1 to {MAX_ID_LENGTH} printable characters, without blanks at its"
        " ends"
    )
