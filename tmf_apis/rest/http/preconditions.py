"""Conditional requests: ``If-Match`` and ``If-None-Match``.

The server's entity tags are strong. ``If-Match`` compares strongly, so a weak tag never matches: a
change is based on exactly the stored version. ``If-None-Match`` compares weakly.

Source: RFC 9110, sections 8.8.3.2 and 13.
"""

import re
from collections.abc import Callable, Mapping

from tmf_apis.errors import BadRequest, quoted

_ENTITY_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*', re.ASCII)


def _entity_tags(header: str, *, strong: bool) -> frozenset[str] | None:
    """Return the entity tags of a header that can match, or None for ``*``.

    Args:
        header: The value of the header.
        strong: Leave out weak tags.

    Raises:
        BadRequest: The header is not a list of entity tags (HTTP 400).
    """
    if header.strip() == "*":
        return None
    tags = set()
    for part in header.split(","):
        match = _ENTITY_TAG.fullmatch(part)
        if not match:
            raise BadRequest(f'{quoted(header)} is not a list of entity tags such as "3"')
        if not (strong and match[1]):
            tags.add(match[2])
    return frozenset(tags)


def if_match(headers: Mapping[str, str]) -> Callable[[int], bool] | None:
    """Return the predicate of ``If-Match`` over a resource's version; None without the header.

    Raises:
        BadRequest: The header is not a list of entity tags (HTTP 400).
    """
    if "if-match" not in headers:
        return None
    tags = _entity_tags(headers["if-match"], strong=True)
    return lambda rev: tags is None or str(rev) in tags


def is_not_modified(headers: Mapping[str, str], rev: int | str) -> bool:
    """Return whether the client already has a representation: its version, or its entity tag.

    Raises:
        BadRequest: ``If-None-Match`` is not a list of entity tags (HTTP 400).
    """
    if "if-none-match" not in headers:
        return False
    tags = _entity_tags(headers["if-none-match"], strong=False)
    return tags is None or str(rev) in tags
