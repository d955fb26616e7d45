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
from tmf_apis.rest.query.filtering import MongoQuery, Pair, any_of
from tmf_apis.rest.query.sorting import SortKey, mongodb_sort, reversed_keys
from tmf_apis.settings import Settings

#: The parameters of this module; no filters.
PAGING_PARAMETERS = frozenset({"offset", "limit", "before", "after"})

#: Longest cursor, in characters.
CURSOR_LIMIT = 4096

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_INT64 = range(-(2**63), 2**63)

Document = Mapping[str, Any]
SortValues = tuple[Any, ...]
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
        is_explicit: The client asked for a page, and not just for the list.
    """

    limit: int
    offset: int
    keys: tuple[SortKey, ...]
    after: SortValues | None = None
    before: SortValues | None = None
    is_explicit: bool = False

    @property
    def is_cursor_page(self) -> bool:
        """Whether the client goes by cursor."""
        return self.after is not None or self.before is not None

    @property
    def _read_keys(self) -> tuple[SortKey, ...]:
        return self.keys if self.before is None else reversed_keys(self.keys)

    @property
    def cursor_clause(self) -> MongoQuery:
        """What the database is asked for beside the filters; empty by offset."""
        values = self.after or self.before
        return _query_after(self._read_keys, values) if values else {}

    @property
    def sort(self) -> list[tuple[str, int]]:
        """The sort to read with."""
        return mongodb_sort(self._read_keys)

    @property
    def fetch_limit(self) -> int:
        """How many documents to read: by cursor one more, which tells whether it goes on."""
        return self.limit + 1 if self.is_cursor_page and self.limit else self.limit

    def page_items(self, read: Sequence[Item]) -> tuple[list[Item], bool]:
        """Return the page of what was read, in the list's order, and whether there was more."""
        items, more = list(read[: self.limit]), len(read) > self.limit
        return (items[::-1] if self.before is not None else items), more

    def provable_total(self, count: int) -> int | None:
        """Return the number of all matches where a page of ``count`` resources proves it."""
        if self.is_cursor_page or count >= self.limit or (not count and self.offset):
            return None
        return self.offset + count


def page_from_parameters(
    parameters: Mapping[str, str], keys: tuple[SortKey, ...], settings: Settings
) -> Page:
    """Return the page that a query asks for.

    Args:
        parameters: Those of ``PAGING_PARAMETERS`` that were given.
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
        limit=_number_parameter(parameters, "limit", settings.page_size, settings.page_limit),
        offset=_number_parameter(parameters, "offset", 0, settings.offset_limit),
        keys=keys,
        is_explicit=bool(PAGING_PARAMETERS & parameters.keys()),
        **{name: _cursor_values(text, keys) for name, text in cursors.items()},
    )


def page_status(page: Page, count: int, total: int, settings: Settings) -> int:
    """Return the HTTP status of a page of ``count`` resources out of ``provable_total``.

    A list that nobody asked to be cut is 200, and so are one that is whole and an empty page.
    """
    return settings.partial_status if page.is_explicit and 0 < count < total else 200


def _number_parameter(parameters: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    if (text := parameters.get(name)) is None:
        return min(default, maximum)
    if not _NUMBER.fullmatch(text) or int(text) > maximum:
        raise InvalidQuery(f"{name} is a number from 0 to {maximum}, not {text[:40]!r}")
    return int(text)


def cursor(document: Document, keys: tuple[SortKey, ...]) -> str | None:
    """Return the cursor of a stored document, or None where such a sort has none.

    Args:
        document: With at least the paths of the keys.
        keys: What the list is sorted by.
    """
    if any(key.is_multi_valued for key in keys):
        return None
    values = [_value_at(document, key.path) for key in keys]
    if any(isinstance(value, list | dict) for value in values):
        return None
    text = base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")
    return text if len(text) <= CURSOR_LIMIT else None


def _value_at(document: object, path: str) -> Any:  # noqa: ANN401
    for name in path.split("."):
        if isinstance(document, list):
            return document
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _cursor_values(text: str, keys: tuple[SortKey, ...]) -> SortValues:
    """Return the sort values in a cursor.

    Raises:
        InvalidQuery: It is not a cursor of a list sorted like this (HTTP 400).
    """
    if not text:
        return ()
    refused = InvalidQuery("not a cursor of this list in this order")
    if len(text) > CURSOR_LIMIT or any(key.is_multi_valued for key in keys):
        raise refused
    try:
        values = orjson.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError):
        raise refused from None
    if not isinstance(values, list) or len(values) != len(keys):
        raise refused
    if not all(_is_sort_value(value, key) for value, key in zip(values, keys, strict=True)):
        raise refused
    return tuple(values)


def _is_sort_value(value: object, key: SortKey) -> bool:
    if value is None:
        return key.path != "_id"
    if key.kind in ("number", "integer"):
        return type(value) is float or (type(value) is int and value in _INT64)
    if key.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str)


def _query_after(keys: tuple[SortKey, ...], values: SortValues) -> MongoQuery:
    """Return the query for what comes behind the sort values in the order of the keys."""
    clauses: list[MongoQuery] = []
    same: MongoQuery = {}
    for key, value in zip(keys, values, strict=True):
        clauses += [{**same, **further} for further in _clauses_after(key, value)]
        same = {**same, key.path: {"$eq": value}}
    return any_of(*clauses)


def _clauses_after(key: SortKey, value: object) -> list[MongoQuery]:
    """Return the queries for what is behind a value; nothing is less than a missing one."""
    if key.direction > 0:
        return [{key.path: {"$ne": None} if value is None else {"$gt": value}}]
    if value is None:
        return []
    missing = [] if key.path == "_id" else [{key.path: {"$eq": None}}]
    return [{key.path: {"$lt": value}}, *missing]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """A page as it was answered.

    Attributes:
        page: What was asked for.
        count: Resources in it.
        total: All matches.
        has_more: By cursor: there was more than the page in the direction of reading.
        first_cursor: Cursor of its first resource; None where there is none.
        last_cursor: Cursor of its last resource; None where there is none.
    """

    page: Page
    count: int
    total: int
    has_more: bool = False
    first_cursor: str | None = None
    last_cursor: str | None = None


def link_header(url: str, query: Sequence[Pair], result: PageResult, settings: Settings) -> str:
    """Return the value of ``Link`` for a page; empty where there is no other page.

    Args:
        url: The list's own, without query.
        query: Every argument as it came, decoded.
        result: The page.
        settings: The limits.
    """
    page = result.page
    if not page.limit or not result.total:
        return ""
    kept = urlencode([(name, value) for name, value in query if name not in PAGING_PARAMETERS])
    start = f"{url}?{kept}&" if kept else f"{url}?"
    targets = _cursor_links(result) if page.is_cursor_page else _offset_links(result, settings)
    links = []
    for relation, (name, value) in targets.items():  # numbers and cursors need no escapes
        links.append(f'<{start}{name}={value}&limit={page.limit}>; rel="{relation}"')
    return ", ".join(links)


def _offset_links(result: PageResult, settings: Settings) -> dict[str, Pair]:
    offset, limit = result.page.offset, result.page.limit
    if offset == 0 and result.total <= limit:
        return {}
    targets = {"first": ("offset", "0")}
    if offset > 0:
        targets["prev"] = ("offset", str(max(0, min(offset, result.total) - limit)))
    if offset + result.count < result.total and result.count:
        if offset + limit <= settings.offset_limit:
            targets["next"] = ("offset", str(offset + limit))
        elif result.last_cursor:
            targets["next"] = ("after", result.last_cursor)
    end = (result.total - 1) // limit * limit
    targets["last"] = ("offset", str(end)) if end <= settings.offset_limit else ("before", "")
    return targets


def _cursor_links(result: PageResult) -> dict[str, Pair]:
    page = result.page
    backward = page.before is not None
    earlier = result.has_more if backward else bool(page.after)
    later = bool(page.before) if backward else result.has_more
    targets = {"first": ("after", "")}
    if earlier and result.first_cursor:
        targets["prev"] = ("before", result.first_cursor)
    if later and result.last_cursor:
        targets["next"] = ("after", result.last_cursor)
    return targets | {"last": ("before", "")}
