"""Conditional requests: ``If-Match`` and ``If-None-Match``.

Source: RFC 9110, section 13.
"""

import re
from collections.abc import Callable, Mapping

from tmf_apis.errors import BadRequest

_ENTITY_TAG = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e]*)"\s*', re.ASCII)


def _entity_tags(header: str) -> frozenset[str] | None:
    """Return the entity tags of a header, or None for ``*``.

    Raises:
        BadRequest: The header is not a list of entity tags (HTTP 400).
    """
    if header.strip() == "*":
        return None
    tags = set()
    for part in header.split(","):
        match = _ENTITY_TAG.fullmatch(part)
        if not match:
            raise BadRequest(f'{header[:80]!r} is not a list of entity tags such as "3"')
        tags.add(match[1])
    return frozenset(tags)


def if_match(headers: Mapping[str, str]) -> Callable[[int], bool] | None:
    """Return the predicate of ``If-Match`` over a resource's version; None without the header.

    Raises:
        BadRequest: The header is not a list of entity tags (HTTP 400).
    """
    if "if-match" not in headers:
        return None
    tags = _entity_tags(headers["if-match"])
    return lambda rev: tags is None or str(rev) in tags


def is_not_modified(headers: Mapping[str, str], rev: int) -> bool:
    """Return whether the client already has this version of a resource.

    Raises:
        BadRequest: ``If-None-Match`` is not a list of entity tags (HTTP 400).
    """
    if "if-none-match" not in headers:
        return False
    tags = _entity_tags(headers["if-none-match"])
    return tags is None or str(rev) in tags
