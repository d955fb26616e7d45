"""The revocation list: tokens that are refused before they expire.

A JSON object with the list ``revoked``. Its members have ``jti``, the id of one token, or ``sub``
and ``before``: all tokens of a subject that were issued before a time::

    {"revoked": [{"jti": "7d1c"}, {"sub": "partner-7", "before": "2026-05-01T00:00:00Z"}]}

Source: RFC 7519, sections 4.1.6 (iat) and 4.1.7 (jti).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The revoked tokens.

    Attributes:
        token_ids: Ids of revoked tokens (jti).
        issued_before: Subject -> time before which its tokens are revoked, in seconds since 1970.
    """

    token_ids: frozenset[str] = frozenset()
    issued_before: Mapping[str, float] | None = None

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """Return whether a token is revoked; a token of a listed subject needs the claim iat."""
        id = claims.get("jti")
        if isinstance(id, str) and id in self.token_ids:
            return True
        before = (self.issued_before or {}).get(claims["sub"])
        if before is None:
            return False
        issued_at = claims.get("iat")
        return not isinstance(issued_at, int | float) or issued_at < before


def parse_revocations(text: str) -> RevocationList:
    """Return the revocation list in a text.

    Raises:
        ValueError: The text is not a revocation list; the message names the first wrong entry.
    """
    document = json.loads(text)
    entries = document.get("revoked") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('a revocation list is {"revoked": [...]}')  # noqa: TRY004 - of the text
    token_ids: set[str] = set()
    issued_before: dict[str, float] = {}
    for position, entry in enumerate(entries):
        match entry:
            case {"jti": str(id)}:
                token_ids.add(id)
            case {"sub": str(subject), "before": str() | int() | float() as time}:
                issued_before[subject] = max(issued_before.get(subject, 0.0), _seconds(time))
            case _:
                raise ValueError(f"entry {position} has neither jti nor sub and before")
    return RevocationList(frozenset(token_ids), issued_before)


def _seconds(time: str | float) -> float:
    """Return a time in seconds since 1970.

    Raises:
        ValueError: A text is not an RFC 3339 time with an offset.
    """
    if not isinstance(time, str):
        return float(time)
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"the time {time} has no offset")
    return moment.timestamp()
