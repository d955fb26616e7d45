"""Pages of a list: by offset, or by cursor, which costs the same however deep the page lies.

Source: TMF630 part 1, "Pagination"; RFC 8288 for ``Link``.

A cursor is the sort values of a resource. ``after=`` one goes on behind it, ``before=`` one ends
in front of it, whatever was inserted or deleted meanwhile; ``after=`` alone is the first page and
``before=`` alone the last. Cursors hold no secret and grant nothing: who asks is a part of the
query beside them.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.filtering import Pair, Query, either
from tmf_apis.rest.sorting import Key, backwards, mongodb_sort
from tmf_apis.settings import Settings

#: The parameters of this module; no filters.
PARAMETERS = frozenset({"offset", "limit", "before", "after"})

#: Longest cursor, in characters.
CURSOR_LIMIT = 4096

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_INT64 = range(-(2**63), 2**63)

Document = Mapping[str, Any]
Values = tuple[Any, ...]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What part of a list was asked for.

    Attributes:
        limit: Most resources.
        offset: Resources that are skipped.
        keys: What the list is sorted by.
        after: Sort values behind which the page starts; empty: at the start; None: by offset.
        before: Sort values in front of which it ends; empty: at the end; None: by offset.
        asked: The client asked for a page, and not just for the list.
    """

    limit: int
    offset: int
    keys: tuple[Key, ...]
    after: Values | None = None
    before: Values | None = None
    asked: bool = False

    @property
    def by_cursor(self) -> bool:
        """Whether the client goes by cursor."""
        return self.after is not None or self.before is not None

    @property
    def _reading(self) -> tuple[Key, ...]:
        return self.keys if self.before is None else backwards(self.keys)

    @property
    def clause(self) -> Query:
        """What the database is asked for beside the filters; empty by offset."""
        values = self.after or self.before
        return _behind(self._reading, values) if values else {}

    @property
    def sort(self) -> list[tuple[str, int]]:
        """The sort to read with."""
        return mongodb_sort(self._reading)

    @property
    def fetch(self) -> int:
        """How many documents to read: by cursor one more, which tells whether it goes on."""
        return self.limit + 1 if self.by_cursor and self.limit else self.limit

    def cut(self, read: Sequence[Item]) -> tuple[list[Item], bool]:
        """Return the page of what was read, in the list's order, and whether there was more."""
        items, more = list(read[: self.limit]), len(read) > self.limit
        return (items[::-1] if self.before is not None else items), more

    def total(self, count: int) -> int | None:
        """Return the number of all matches where a page of ``count`` resources proves it."""
        if self.by_cursor or count >= self.limit or (not count and self.offset):
            return None
        return self.offset + count


def page(parameters: Mapping[str, str], keys: tuple[Key, ...], settings: Settings) -> Page:
    """Return the page that a query asks for.

    Args:
        parameters: Those of ``PARAMETERS`` that were given.
        keys: What the list is sorted by.
        settings: The limits.

    Raises:
        InvalidQuery: A number or cursor is none, is over its limit, or contradicts another
            parameter (HTTP 400).
    """
    cursors = {name: parameters[name] for name in ("after", "before") if name in parameters}
    if len(cursors) + ("offset" in parameters) > 1:
        raise InvalidQuery("only one of offset, after and before can be given")
    return Page(
        limit=_number(parameters, "limit", settings.page_size, settings.page_limit),
        offset=_number(parameters, "offset", 0, settings.offset_limit),
        keys=keys,
        asked=bool(PARAMETERS & parameters.keys()),
        **{name: _values(text, keys) for name, text in cursors.items()},
    )


def status(page: Page, count: int, total: int, settings: Settings) -> int:
    """Return the HTTP status of a page of ``count`` resources out of ``total``.

    A list that nobody asked to be cut is 200, and so are one that is whole and an empty page.
    """
    return settings.partial_status if page.asked and 0 < count < total else 200


def _number(parameters: Mapping[str, str], name: str, default: int, most: int) -> int:
    if (text := parameters.get(name)) is None:
        return min(default, most)
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise InvalidQuery(f"{name} is a number from 0 to {most}, not {text[:40]!r}")
    return int(text)


def cursor(document: Document, keys: tuple[Key, ...]) -> str | None:
    """Return the cursor of a stored document, or None where such a sort has none.

    Args:
        document: With at least the paths of the keys.
        keys: What the list is sorted by.
    """
    if any(key.many for key in keys):
        return None
    values = [_value(document, key.path) for key in keys]
    if any(isinstance(value, list | dict) for value in values):
        return None
    text = base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")
    return text if len(text) <= CURSOR_LIMIT else None


def _value(document: object, path: str) -> Any:  # noqa: ANN401
    for name in path.split("."):
        if isinstance(document, list):
            return document
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _values(text: str, keys: tuple[Key, ...]) -> Values:
    """Return the sort values in a cursor.

    Raises:
        InvalidQuery: It is not a cursor of a list sorted like this (HTTP 400).
    """
    if not text:
        return ()
    refused = InvalidQuery("not a cursor of this list in this order")
    if len(text) > CURSOR_LIMIT or any(key.many for key in keys):
        raise refused
    try:
        values = orjson.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError):
        raise refused from None
    if not isinstance(values, list) or len(values) != len(keys):
        raise refused
    if not all(_fits(value, key) for value, key in zip(values, keys, strict=True)):
        raise refused
    return tuple(values)


def _fits(value: object, key: Key) -> bool:
    if value is None:
        return key.path != "_id"
    if key.kind in ("number", "integer"):
        return type(value) is float or (type(value) is int and value in _INT64)
    if key.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str)


def _behind(keys: tuple[Key, ...], values: Values) -> Query:
    """Return the query for what comes behind the sort values in the order of the keys."""
    clauses: list[Query] = []
    same: Query = {}
    for key, value in zip(keys, values, strict=True):
        clauses += [{**same, **further} for further in _further(key, value)]
        same = {**same, key.path: {"$eq": value}}
    return either(*clauses)


def _further(key: Key, value: object) -> list[Query]:
    """Return the queries for what is behind a value; nothing is less than a missing one."""
    if key.direction > 0:
        return [{key.path: {"$ne": None} if value is None else {"$gt": value}}]
    if value is None:
        return []
    missing = [] if key.path == "_id" else [{key.path: {"$eq": None}}]
    return [{key.path: {"$lt": value}}, *missing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page as it was answered.

    Attributes:
        page: What was asked for.
        count: Resources in it.
        total: All matches.
        more: By cursor: there was more than the page in the direction of reading.
        first: Cursor of its first resource; None where there is none.
        last: Cursor of its last resource; None where there is none.
    """

    page: Page
    count: int
    total: int
    more: bool = False
    first: str | None = None
    last: str | None = None


def link_header(url: str, query: Sequence[Pair], shown: Shown, settings: Settings) -> str:
    """Return the value of ``Link`` for a page; empty where there is no other page.

    Args:
        url: The list's own, without query.
        query: Every argument as it came, decoded.
        shown: The page.
        settings: The limits.
    """
    page = shown.page
    if not page.limit or not shown.total:
        return ""
    kept = urlencode([(name, value) for name, value in query if name not in PARAMETERS])
    start = f"{url}?{kept}&" if kept else f"{url}?"
    targets = _by_cursor(shown) if page.by_cursor else _by_offset(shown, settings)
    links = []
    for relation, (name, value) in targets.items():  # numbers and cursors need no escapes
        links.append(f'<{start}{name}={value}&limit={page.limit}>; rel="{relation}"')
    return ", ".join(links)


def _by_offset(shown: Shown, settings: Settings) -> dict[str, Pair]:
    offset, limit = shown.page.offset, shown.page.limit
    if offset == 0 and shown.total <= limit:
        return {}
    targets = {"first": ("offset", "0")}
    if offset > 0:
        targets["prev"] = ("offset", str(max(0, min(offset, shown.total) - limit)))
    if offset + shown.count < shown.total and shown.count:
        if offset + limit <= settings.offset_limit:
            targets["next"] = ("offset", str(offset + limit))
        elif shown.last:
            targets["next"] = ("after", shown.last)
    end = (shown.total - 1) // limit * limit
    targets["last"] = ("offset", str(end)) if end <= settings.offset_limit else ("before", "")
    return targets


def _by_cursor(shown: Shown) -> dict[str, Pair]:
    page = shown.page
    backward = page.before is not None
    earlier = shown.more if backward else bool(page.after)
    later = bool(page.before) if backward else shown.more
    targets = {"first": ("after", "")}
    if earlier and shown.first:
        targets["prev"] = ("before", shown.first)
    if later and shown.last:
        targets["next"] = ("after", shown.last)
    return targets | {"last": ("before", "")}
