"""Pages of a list, by offset or by cursor; the cost of a cursor does not grow with the depth.

Source: TMF630 part 1, "Pagination"; RFC 8288 for ``Link``.

A cursor holds the sort values of a resource. A page ``after=`` a cursor starts after that resource,
and a page ``before=`` a cursor ends before it, even if resources are inserted or deleted meanwhile.
An empty ``after=`` selects the first page and an empty ``before=`` the last. Cursors are neither
secret nor an authorization: the query always includes the access filter of the client.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson

from tmf_apis.errors import InvalidQuery, quoted
from tmf_apis.rest.contracts.numbers import INT64
from tmf_apis.rest.query.filtering import MongoQuery, Pair, any_of
from tmf_apis.rest.query.sorting import SortKey, mongodb_sort, reversed_keys
from tmf_apis.settings import Settings

#: The query parameters that select a page.
PAGING_PARAMETERS = frozenset({"offset", "limit", "before", "after"})

#: Longest cursor, in characters.
CURSOR_LIMIT = 4096

_NUMBER = re.compile(r"\d{1,1000}", re.ASCII)

Document = Mapping[str, Any]
SortValues = tuple[Any, ...]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The part of a list that a client requested.

    Attributes:
        limit: The most resources of the page.
        offset: The number of resources to skip.
        keys: The sort keys of the list.
        after: Sort values after which the page starts; empty: the start of the list; None: the
            client did not send ``after``.
        before: Sort values before which the page ends; empty: the end of the list; None: the
            client did not send ``before``.
        is_explicit: The client sent a paging parameter.
        max_offset: The largest offset of a page that is not empty, see ``check_depth``.
    """

    limit: int
    offset: int
    keys: tuple[SortKey, ...]
    after: SortValues | None = None
    before: SortValues | None = None
    is_explicit: bool = False
    max_offset: int = INT64.stop

    @property
    def is_deep(self) -> bool:
        """Return whether the offset is over its limit; only an empty page can be served then."""
        return self.offset > self.max_offset

    @property
    def is_cursor_page(self) -> bool:
        """Return whether the page is defined by a cursor."""
        return self.after is not None or self.before is not None

    @property
    def needs_cursors(self) -> bool:
        """Return whether the links to other pages may have cursors."""
        return self.is_cursor_page or self.offset + self.limit > self.max_offset

    def check_depth(self, total: int) -> None:
        """Check that a deep page is past the end of the list.

        Raises:
            InvalidQuery: The list has resources there (HTTP 400).
        """
        if self.offset < total:
            raise InvalidQuery(
                f"offset is a number from 0 to {self.max_offset} in a list of {total}; start"
                " with after= and follow the Link header to go deeper"
            )

    @property
    def _read_keys(self) -> tuple[SortKey, ...]:
        return self.keys if self.before is None else reversed_keys(self.keys)

    @property
    def cursor_clause(self) -> MongoQuery:
        """The MongoDB query of the cursor; empty for a page by offset."""
        values = self.after or self.before
        return _query_after(self._read_keys, values) if values else {}

    @property
    def sort(self) -> list[tuple[str, int]]:
        """The MongoDB sort to read the page with; it is reversed for a page before a cursor."""
        return mongodb_sort(self._read_keys)

    @property
    def fetch_limit(self) -> int:
        """The number of documents to read; with a cursor one more, to see whether others follow."""
        return self.limit + 1 if self.is_cursor_page and self.limit else self.limit

    def page_items(self, fetched: Sequence[Item]) -> tuple[list[Item], bool]:
        """Return the items of the page in the order of the list, and whether there are more."""
        items, has_more = list(fetched[: self.limit]), len(fetched) > self.limit
        return (items[::-1] if self.before is not None else items), has_more

    def provable_total(self, count: int) -> int | None:
        """Return the number of all matches if a page of ``count`` resources proves it, or None."""
        if self.is_cursor_page or count >= self.limit or (not count and self.offset):
            return None
        return self.offset + count


def page_from_parameters(
    parameters: Mapping[str, str], keys: tuple[SortKey, ...], settings: Settings
) -> Page:
    """Return the page that the query parameters of a request select, cut to the largest page.

    Args:
        parameters: The parameters; those not in ``PAGING_PARAMETERS`` are ignored.
        keys: The sort keys of the list.
        settings: The limits.

    Raises:
        InvalidQuery: A number or cursor is malformed, or a parameter contradicts another
            (HTTP 400).
    """
    cursors = {name: parameters[name] for name in ("after", "before") if name in parameters}
    if len(cursors) + ("offset" in parameters) > 1:
        raise InvalidQuery("only one of offset, after and before can be given")
    offset = _number_parameter(parameters, "offset", 0)
    limit = _number_parameter(parameters, "limit", settings.page_size)
    return Page(
        limit=min(limit, settings.page_limit),
        offset=offset,
        keys=keys,
        is_explicit=bool(PAGING_PARAMETERS & parameters.keys()),
        max_offset=settings.offset_limit,
        **{name: _cursor_values(text, keys) for name, text in cursors.items()},
    )


def page_status(page: Page, count: int, total: int, settings: Settings) -> int:
    """Return the HTTP status of a page of ``count`` resources out of ``total``.

    The status is 200 if the client sent no paging parameter, if the page is the whole list, and
    if the page is empty.
    """
    return settings.partial_status if page.is_explicit and 0 < count < total else 200


def _number_parameter(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of at least 0; one that the database cannot hold becomes the largest."""
    if (text := parameters.get(name)) is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise InvalidQuery(f"{name} is a whole number from 0, not {quoted(text)}")
    return min(int(text), INT64.stop - 1)


def cursor(document: Document, keys: tuple[SortKey, ...]) -> str | None:
    """Return the cursor of a stored document, or None if the sort does not support cursors.

    Args:
        document: A document with at least the paths of the keys.
        keys: The sort keys of the list.
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
        InvalidQuery: The text is not a cursor of a list with this sort (HTTP 400).
    """
    if not text:
        return ()
    invalid = InvalidQuery("not a cursor of this list with this sort")
    if len(text) > CURSOR_LIMIT or any(key.is_multi_valued for key in keys):
        raise invalid
    try:
        values = orjson.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError):
        raise invalid from None
    if not isinstance(values, list) or len(values) != len(keys):
        raise invalid
    if not all(_is_sort_value(value, key) for value, key in zip(values, keys, strict=True)):
        raise invalid
    return tuple(values)


def _is_sort_value(value: object, key: SortKey) -> bool:
    if value is None:
        return key.path != "_id"
    if key.kind in ("number", "integer"):
        return type(value) is float or (type(value) is int and value in INT64)
    if key.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str)


def _query_after(keys: tuple[SortKey, ...], values: SortValues) -> MongoQuery:
    """Return the query for the documents after the sort values, in the order of the keys."""
    clauses: list[MongoQuery] = []
    equal_so_far: MongoQuery = {}
    for key, value in zip(keys, values, strict=True):
        clauses += [{**equal_so_far, **clause} for clause in _clauses_after(key, value)]
        equal_so_far = {**equal_so_far, key.path: {"$eq": value}}
    return any_of(*clauses)


def _clauses_after(key: SortKey, value: object) -> list[MongoQuery]:
    """Return the queries for the documents after a value; a missing value is the smallest."""
    if key.direction > 0:
        return [{key.path: {"$ne": None} if value is None else {"$gt": value}}]
    if value is None:
        return []
    missing = [] if key.path == "_id" else [{key.path: {"$eq": None}}]
    return [{key.path: {"$lt": value}}, *missing]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """Counts and cursors of a page that was read.

    Attributes:
        page: The requested page.
        count: The number of resources of the page.
        total: The number of all matches.
        has_more: With a cursor: there are more resources in the direction of reading.
        first_cursor: Cursor of the first resource, or None.
        last_cursor: Cursor of the last resource, or None.
    """

    page: Page
    count: int
    total: int
    has_more: bool = False
    first_cursor: str | None = None
    last_cursor: str | None = None


def link_header(url: str, query: Sequence[Pair], result: PageResult, settings: Settings) -> str:
    """Return the value of the ``Link`` header of a page; empty if there is no other page.

    Args:
        url: The URL of the list, without a query.
        query: Every query parameter of the request, decoded.
        result: The page.
        settings: The limits.
    """
    page = result.page
    if not page.limit or not result.total:
        return ""
    others = urlencode([(name, value) for name, value in query if name not in PAGING_PARAMETERS])
    start = f"{url}?{others}&" if others else f"{url}?"
    targets = _cursor_links(result) if page.is_cursor_page else _offset_links(result, settings)
    links = []
    for relation, (name, value) in targets.items():  # numbers and cursors need no escaping
        links.append(f'<{start}{name}={value}&limit={page.limit}>; rel="{relation}"')
    return ", ".join(links)


def _offset_links(result: PageResult, settings: Settings) -> dict[str, Pair]:
    offset, limit = result.page.offset, result.page.limit
    if offset == 0 and result.total <= limit:
        return {}
    targets = {"first": ("offset", "0")}
    if offset > 0:
        start = max(0, min(offset, result.total) - limit)
        is_near = start <= settings.offset_limit
        targets["prev"] = ("offset", str(start)) if is_near else ("before", "")
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
