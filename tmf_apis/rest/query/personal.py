"""Queries on personal attributes: compiled to tokens of the blind index, or refused.

Encrypted values are found by equality, and names by their beginning. Everything else that a client
could learn a value from (order, patterns, sorting) is refused, also for clients with the scope
``pii``: the database could not do it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Forbidden, InvalidQuery
from tmf_apis.security.identity import PERSONAL_DATA_SCOPE
from tmf_apis.security.personal_attributes import Coverage
from tmf_apis.store.codec import BlindIndex

MongoQuery = dict[str, Any]

#: A pattern that names the beginning of a text.
_PREFIX_PATTERN = re.compile(r"\^([\w ,'\-]+)(?:\.\*)?")


@dataclass(frozen=True, slots=True)
class BlindAttribute:
    """An attribute with personal values.

    Attributes:
        path: Its path as the client wrote it.
        stored_paths: The paths in the stored form that have personal values.
        is_whole: All of its values are personal.
        index: The blind index.
    """

    path: str
    stored_paths: tuple[str, ...]
    is_whole: bool
    index: BlindIndex

    def comparison(self, operator: str, values: Sequence[Any], plain: MongoQuery) -> MongoQuery:
        """Return the query that compares the attribute with values.

        Args:
            operator: One of ``eq ne gt gte lt lte``.
            values: The values.
            plain: The query that compares values that are not encrypted.

        Raises:
            InvalidQuery: The operator needs the order of encrypted values (HTTP 400).
        """
        if operator not in {"eq", "ne"}:
            self.require_plain("has no order")
            return plain
        if not self.index.is_searchable:
            self.require_plain("cannot select events")
            return plain
        tokens = [
            token for path in self.stored_paths for token in self.index.value_tokens(path, values)
        ]
        if operator == "ne":
            return {"$and": [{"blind": {"$nin": tokens}}, plain]}
        by_token = {"blind": {"$in": tokens}}
        if self.is_whole and self.index.is_complete:
            return by_token
        return {"$or": [by_token, plain]}

    def search(self, pattern: str, plain: MongoQuery) -> MongoQuery:
        """Return the query that searches the attribute with a pattern.

        Raises:
            InvalidQuery: The pattern is not the beginning of a name (HTTP 400).
        """
        prefix = _PREFIX_PATTERN.fullmatch(pattern)
        if prefix and self.is_whole:
            tokens = [
                token
                for path in self.stored_paths
                for token in self.index.prefix_tokens(path, prefix[1])
            ]
            if tokens:
                return {"blind": {"$in": tokens}}
        self.require_plain("supports no regular expressions (a name is found by ^ and 3 letters)")
        return plain

    def require_plain(self, problem: str) -> None:
        """Check that the attribute has values that are not personal.

        Raises:
            InvalidQuery: All of them are encrypted (HTTP 400).
        """
        if self.is_whole:
            raise InvalidQuery(
                f"{self.path!r} is personal and encrypted, so it {problem}; it can only be equal"
                " or not equal to a value"
            )


def blind_attribute(
    path: str, stored_paths: Sequence[str], index: BlindIndex | None
) -> BlindAttribute | None:
    """Return the personal side of an attribute; None if it has none that the client may query.

    Raises:
        Forbidden: All of its values are personal, and the client lacks the scope (HTTP 403).
    """
    if index is None:
        return None
    coverages = {stored: index.coverage(stored) for stored in stored_paths}
    is_whole = Coverage.ALL in coverages.values()
    if not index.is_permitted:
        if is_whole:
            raise Forbidden(
                f"{path!r} is personal; the token lacks the scope {PERSONAL_DATA_SCOPE}"
            )
        return None
    personal = tuple(stored for stored, share in coverages.items() if share is not Coverage.NONE)
    return BlindAttribute(path, personal, is_whole, index) if personal else None
