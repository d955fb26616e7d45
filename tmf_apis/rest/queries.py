"""A list request as one query of the database, and the page that answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tmf_apis.rest import fields, paging, sorting, versions
from tmf_apis.rest.attributes import Attributes
from tmf_apis.rest.contracts import Contract, Operation
from tmf_apis.rest.fields import Fields
from tmf_apis.rest.filtering import compiled
from tmf_apis.rest.messages import RESERVED, Request
from tmf_apis.rest.paging import Page, Shown
from tmf_apis.rest.schema_paths import AttributeType, SchemaPaths
from tmf_apis.rest.selecting import selecting
from tmf_apis.settings import Settings
from tmf_apis.store.resources import Document, Resources

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
    fields: Fields
    projection: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """The documents of a page and what is known of the whole list."""

    documents: list[Document]
    shown: Shown

    def status(self, settings: Settings) -> int:
        """Return the HTTP status of the page."""
        return paging.status(self.shown.page, self.shown.count, self.shown.total, settings)

    def headers(self, request: Request, settings: Settings) -> dict[str, str]:
        """Return totals and links."""
        headers = {
            "X-Total-Count": str(self.shown.total),
            "X-Result-Count": str(self.shown.count),
        }
        url = request.base + request.path.rstrip("/")
        if link := paging.link_header(url, request.parameters(), self.shown, settings):
            headers["Link"] = link
        return headers


class Queries:
    """The query compiler of one contract."""

    def __init__(
        self,
        contract: Contract,
        settings: Settings,
        extensions: Mapping[str, Sequence[Schema]] | None = None,
        stored: Contract | None = None,
    ) -> None:
        """Take a contract.

        Args:
            contract: The contract that the clients speak.
            settings: The limits.
            extensions: Schemas with further attributes, by the type that they extend.
            stored: The contract of the stored form; what it has and the client's does not is
                shown to the client all the same, so it may be named.
        """
        self._contract = contract
        self._settings = settings
        self._stored = stored
        self.extend(extensions or {})

    def extend(self, extensions: Mapping[str, Sequence[Schema]]) -> None:
        """Take other extensions, by the type they extend, in place of those that were known."""
        remembered: dict[tuple[str, str], Attributes] = {}
        self._known = (extensions, remembered)

    def attributes(self, kind: str, schema: str) -> Attributes:
        """Return what a client of this contract may name of a kind."""
        extensions, remembered = self._known
        if (found := remembered.get((kind, schema))) is None:
            version = self._contract.version
            paths = SchemaPaths(self._contract.document, schema, extensions)
            found = remembered[kind, schema] = Attributes(
                type_of=partial(_type_of, paths, self._beside(kind), kind, version),
                stored_paths=partial(versions.stored_paths, kind, version),
                stored_value=lambda path, value: str(
                    versions.stored_value(kind, version, path, value)
                ),
                unknown=self._settings.unknown_filters,
            )
        return found

    def _beside(self, kind: str) -> SchemaPaths | None:
        """Return the attributes of the stored form where the client's is another."""
        if self._stored is None or kind not in self._stored.document["components"]["schemas"]:
            return None
        return SchemaPaths(self._stored.document, kind)

    def parse(self, operation: Operation, request: Request) -> ListQuery:
        """Return what a list request asks for.

        Raises:
            InvalidQuery: A parameter is none, or not of its type, or too much (HTTP 400).
            NotImplementedHere: The filter uses what of JSONPath is not offered (HTTP 501).
        """
        attributes = self.attributes(operation.kind, operation.schema)
        pairs = request.parameters()
        filters = [pair for pair in pairs if pair[0] not in RESERVED]
        given = {name: value for name, value in pairs if name in RESERVED}
        conditions = [compiled(filters, attributes, self._settings)] if filters else []
        conditions += [
            selecting(value, attributes, self._settings)
            for name, value in pairs
            if name == "filter"
        ]
        keys = sorting.sort_keys(given.get("sort", ""), attributes)
        page = paging.page(given, keys, self._settings)
        wanted = Fields.read([value for name, value in pairs if name == "fields"])
        shown = fields.projection(wanted, attributes.stored_paths)
        if shown:
            shown["loose"] = 1
        projection = shown or {"id": 1, f"text.{self._contract.version}": 1}
        extra = {key.path: 1 for key in keys if key.path != "_id" and not key.many}
        return ListQuery(
            [one for one in conditions if one], page, wanted, _joined(projection, extra)
        )


def _type_of(
    paths: SchemaPaths, beside: SchemaPaths | None, kind: str, version: str, path: str
) -> AttributeType | None:
    """Return the type of an attribute that the client's contract or the stored form has."""
    if (found := paths.type_of(path)) is not None or beside is None:
        return found
    for stored in versions.stored_paths(kind, version, path):
        if stored.count(".") == path.count(".") and (found := beside.type_of(stored)) is not None:
            return found
    return None


def _joined(projection: dict[str, int], extra: Mapping[str, int]) -> dict[str, int]:
    """Add paths to a projection, except below one that is read whole (MongoDB refuses that)."""
    joined = dict(projection)
    for path in extra:
        above = [path[:place] for place, letter in enumerate(path) if letter == "."]
        if not any(one in joined for one in above):
            joined[path] = 1
    return joined


def read(resources: Resources, kind: str, access: Mapping[str, Any], query: ListQuery) -> Found:
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
    if page.fetch:
        wanted = {"$and": [matching, page.clause]} if page.clause else matching
        documents = resources.many(
            kind, wanted, query.projection, sort=page.sort, skip=page.offset, limit=page.fetch
        )
    documents, more = page.cut(documents)
    total = page.total(len(documents))
    if total is None:
        total = resources.counts.total(kind, matching)
    ends = (documents[0], documents[-1]) if documents else ()
    first, last = (paging.cursor(one, page.keys) for one in ends) if ends else (None, None)
    shown = Shown(page=page, count=len(documents), total=total, more=more, first=first, last=last)
    return Found(documents, shown)
