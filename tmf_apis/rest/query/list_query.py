"""A list request as one query of the database, and the page that answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.http.messages import RESERVED_PARAMETERS, Request
from tmf_apis.rest.query import fields, paging, sorting
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.fields import FieldSelection
from tmf_apis.rest.query.filtering import filter_query
from tmf_apis.rest.query.jsonpath_query import jsonpath_query
from tmf_apis.rest.query.paging import Page, PageResult
from tmf_apis.rest.query.schema_paths import AttributeType, SchemaPaths
from tmf_apis.rest.views import versions
from tmf_apis.settings import Settings
from tmf_apis.store.resources import Document, ResourceStore

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list request asks for.

    Attributes:
        conditions: MongoDB queries that all have to match.
        page: Which part of the matches.
        fields: Which attributes.
        projection: What to read of each document.
    """

    conditions: list[dict[str, Any]]
    page: Page
    fields: FieldSelection
    projection: dict[str, int]


@dataclass(frozen=True, slots=True)
class ListPage:
    """The documents of a page and what is known of the whole list."""

    documents: list[Document]
    result: PageResult

    def status(self, settings: Settings) -> int:
        """Return the HTTP status of the page."""
        return paging.page_status(self.result.page, self.result.count, self.result.total, settings)

    def headers(self, request: Request, settings: Settings) -> dict[str, str]:
        """Return totals and links."""
        headers = {
            "X-Total-Count": str(self.result.total),
            "X-Result-Count": str(self.result.count),
        }
        url = request.base_url + request.path.rstrip("/")
        if link := paging.link_header(url, request.parameters(), self.result, settings):
            headers["Link"] = link
        return headers


class ListQueryCompiler:
    """The query compiler of one contract."""

    def __init__(
        self,
        contract: Contract,
        settings: Settings,
        extensions: Mapping[str, Sequence[Schema]] | None = None,
        stored_contract: Contract | None = None,
    ) -> None:
        """Take a contract.

        Args:
            contract: The contract that the clients speak.
            settings: The limits.
            extensions: Schemas with further attributes, by the type that they extend.
            stored_contract: The contract of the stored form; what it has and the client's does not is
                shown to the client all the same, so it may be named.
        """
        self._contract = contract
        self._settings = settings
        self._stored_contract = stored_contract
        self.set_extensions(extensions or {})

    def set_extensions(self, extensions: Mapping[str, Sequence[Schema]]) -> None:
        """Take other extensions, by the type they extend, in place of those that were known."""
        remembered: dict[tuple[str, str], QueryableAttributes] = {}
        self._extensions_and_cache = (extensions, remembered)

    def attributes(self, kind: str, schema: str) -> QueryableAttributes:
        """Return what a client of this contract may name of a kind."""
        extensions, remembered = self._extensions_and_cache
        if (found := remembered.get((kind, schema))) is None:
            version = self._contract.version
            paths = SchemaPaths(self._contract.document, schema, extensions)
            found = remembered[kind, schema] = QueryableAttributes(
                type_of=partial(_type_of, paths, self._stored_schema_paths(kind), kind, version),
                stored_paths=partial(versions.stored_paths, kind, version),
                stored_value=lambda path, value: str(
                    versions.stored_value(kind, version, path, value)
                ),
                allow_unknown=self._settings.unknown_filters,
            )
        return found

    def _stored_schema_paths(self, kind: str) -> SchemaPaths | None:
        """Return the attributes of the stored form where the client's is another."""
        if (
            self._stored_contract is None
            or kind not in self._stored_contract.document["components"]["schemas"]
        ):
            return None
        return SchemaPaths(self._stored_contract.document, kind)

    def parse(self, operation: Operation, request: Request) -> ListQuery:
        """Return what a list request asks for.

        Raises:
            InvalidQuery: A parameter is none, or not of its type, or too much (HTTP 400).
            NotImplementedHere: The filter uses what of JSONPath is not offered (HTTP 501).
        """
        attributes = self.attributes(operation.kind, operation.schema)
        pairs = request.parameters()
        filters = [pair for pair in pairs if pair[0] not in RESERVED_PARAMETERS]
        given = {name: value for name, value in pairs if name in RESERVED_PARAMETERS}
        conditions = [filter_query(filters, attributes, self._settings)] if filters else []
        conditions += [
            jsonpath_query(value, attributes, self._settings)
            for name, value in pairs
            if name == "filter"
        ]
        keys = sorting.sort_keys(given.get("sort", ""), attributes)
        page = paging.page_from_parameters(given, keys, self._settings)
        wanted = FieldSelection.parse([value for name, value in pairs if name == "fields"])
        shown = fields.projection(wanted, attributes.stored_paths)
        if shown:
            shown["loose"] = 1
        projection = shown or {"id": 1, f"text.{self._contract.version}": 1}
        extra = {key.path: 1 for key in keys if key.path != "_id" and not key.is_multi_valued}
        return ListQuery(
            [one for one in conditions if one],
            page,
            wanted,
            _extended_projection(projection, extra),
        )


def _type_of(
    paths: SchemaPaths, stored_schema_paths: SchemaPaths | None, kind: str, version: str, path: str
) -> AttributeType | None:
    """Return the type of an attribute that the client's contract or the stored form has."""
    if (found := paths.type_of(path)) is not None or stored_schema_paths is None:
        return found
    for stored in versions.stored_paths(kind, version, path):
        if (
            stored.count(".") == path.count(".")
            and (found := stored_schema_paths.type_of(stored)) is not None
        ):
            return found
    return None


def _extended_projection(projection: dict[str, int], extra: Mapping[str, int]) -> dict[str, int]:
    """Add paths to a projection, except below one that is read whole (MongoDB refuses that)."""
    joined = dict(projection)
    for path in extra:
        above = [path[:place] for place, letter in enumerate(path) if letter == "."]
        if not any(one in joined for one in above):
            joined[path] = 1
    return joined


def read_page(
    resources: ResourceStore, kind: str, access: Mapping[str, Any], query: ListQuery
) -> ListPage:
    """Return the page of a list.

    The total is counted only where the page does not prove it.

    Args:
        resources: The store.
        kind: The kind.
        access: The identity's part of the query, and the path's.
        query: What was asked for.
    """
    page = query.page
    matching = {**access, "$and": query.conditions} if query.conditions else dict(access)
    documents: list[Document] = []
    if page.fetch_limit:
        wanted = {"$and": [matching, page.cursor_clause]} if page.cursor_clause else matching
        documents = resources.find_many(
            kind, wanted, query.projection, sort=page.sort, skip=page.offset, limit=page.fetch_limit
        )
    documents, more = page.page_items(documents)
    total = page.provable_total(len(documents))
    if total is None:
        total = resources.counts.total(kind, matching)
    ends = (documents[0], documents[-1]) if documents else ()
    first, last = (paging.cursor(one, page.keys) for one in ends) if ends else (None, None)
    shown = PageResult(
        page=page,
        count=len(documents),
        total=total,
        has_more=more,
        first_cursor=first,
        last_cursor=last,
    )
    return ListPage(documents, shown)
