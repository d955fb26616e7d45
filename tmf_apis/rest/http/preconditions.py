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
        BadRequest: The header is not a list of entity tags.
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
    """Return what a write asks of the resource's version; None where it asks nothing."""
    if "if-match" not in headers:
        return None
    revs = _entity_tags(headers["if-match"])
    return lambda rev: revs is None or str(rev) in revs


def is_not_modified(headers: Mapping[str, str], rev: int) -> bool:
    """Return whether the client has this version already."""
    if "if-none-match" not in headers:
        return False
    revs = _entity_tags(headers["if-none-match"])
    return revs is None or str(rev) in revs
