"""Compile a list request to one database query, and read the page that answers it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.query import fields, paging, sorting
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.fields import FieldSelection
from tmf_apis.rest.query.filtering import Pair, filter_query
from tmf_apis.rest.query.jsonpath_query import jsonpath_query
from tmf_apis.rest.query.paging import Page, PageResult
from tmf_apis.rest.query.parameters import Parameters
from tmf_apis.rest.query.schema_paths import AttributeNode, AttributeType, SchemaPaths
from tmf_apis.rest.query.version_values import VersionValues
from tmf_apis.rest.views import versions
from tmf_apis.settings import Settings
from tmf_apis.store.codec import BlindIndex
from tmf_apis.store.resources import Document, ResourceStore

Schema = Mapping[str, Any]

#: Query parameters that are not attribute filters.
RESERVED_PARAMETERS = frozenset(
    {"fields", "offset", "limit", "sort", "filter", "before", "after", "expand", "depth"}
)

#: Most compiled list requests of a contract that are kept, and the longest one, in characters.
_MAX_CACHED_QUERIES, _MAX_CACHED_LENGTH = 200, 300


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list request, compiled.

    Attributes:
        conditions: MongoDB queries that all have to match.
        page: The part of the matches to return.
        fields: The attributes to return.
        projection: The MongoDB projection of each document.
    """

    conditions: list[dict[str, Any]]
    page: Page
    fields: FieldSelection
    projection: dict[str, int]


@dataclass(frozen=True, slots=True)
class ListPage:
    """The documents of a page, with the totals and cursors of the list."""

    documents: list[Document]
    result: PageResult

    def status(self, settings: Settings) -> int:
        """Return the HTTP status of the page."""
        return paging.page_status(self.result.page, self.result.count, self.result.total, settings)

    def headers(self, url: str, parameters: Parameters, settings: Settings) -> dict[str, str]:
        """Return the response headers with the totals and the links to other pages."""
        headers = {
            "X-Total-Count": str(self.result.total),
            "X-Result-Count": str(self.result.count),
        }
        if link := paging.link_header(url, parameters, self.result, settings):
            headers["Link"] = link
        return headers


class ListQueryCompiler:
    """Compiles the list requests of one contract."""

    def __init__(
        self,
        contract: Contract,
        settings: Settings,
        extensions: Mapping[str, Sequence[Schema]] | None = None,
        stored_contract: Contract | None = None,
    ) -> None:
        """Create a compiler.

        Args:
            contract: The contract that the clients use.
            settings: The limits.
            extensions: Schemas with further attributes, by the type that they extend.
            stored_contract: The contract of the stored form. Responses show attributes that only
                this contract has, so queries may name them.
        """
        self._contract = contract
        self._settings = settings
        self._stored_contract = stored_contract
        self._body_nodes: dict[tuple[str, str], tuple[object, AttributeNode | None]] = {}
        self.set_extensions(extensions or {})

    def set_extensions(self, extensions: Mapping[str, Sequence[Schema]]) -> None:
        """Replace the extensions; the mapping is from a type to the schemas that extend it."""
        cache: dict[tuple[str, str], QueryableAttributes] = {}
        # One assignment: a thread never sees new extensions with an old cache.
        self._extensions_and_cache = (extensions, cache)
        self._queries: dict[tuple[Any, ...], ListQuery] = {}  # a thread that compiles keeps the old

    def attributes(self, kind: str, schema: str) -> QueryableAttributes:
        """Return the attributes of a kind that a client of this contract may name."""
        extensions, cache = self._extensions_and_cache
        if (attributes := cache.get((kind, schema))) is None:
            version = self._contract.version
            paths = SchemaPaths(self._contract.document, schema, extensions)
            stored = self._stored_schema_paths(kind)
            values = VersionValues(kind, version, paths, stored)
            attributes = cache[kind, schema] = QueryableAttributes(
                type_of=partial(_type_of, paths, stored, kind, version),
                stored_paths=partial(versions.stored_paths, kind, version),
                stored_values=values.stored,
                shown_values=values.shown_values,
                allow_unknown=self._settings.unknown_filters,
                names_at=partial(_names_at, paths),
            )
        return attributes

    def spelling(self, operation: Operation, path: str, text: str) -> str:
        """Return a client's text for an attribute in the spelling that resources have."""
        extensions, _ = self._extensions_and_cache
        paths = SchemaPaths(self._contract.document, operation.schema, extensions)
        stored = self._stored_schema_paths(operation.kind)
        return VersionValues(operation.kind, self._contract.version, paths, stored).spelling(
            path, text
        )

    def body_node(self, operation: Operation) -> AttributeNode | None:
        """Return the attributes that the body of an operation may have; None: any."""
        extensions, _ = self._extensions_and_cache
        schema, form = operation.schema, operation.body_schema or operation.schema
        cached = self._body_nodes.get((schema, form))
        if cached is None or cached[0] is not extensions:
            paths = SchemaPaths(self._contract.document, schema, extensions, forms=[form])
            cached = self._body_nodes[schema, form] = (extensions, paths.node())
        return cached[1]

    def _stored_schema_paths(self, kind: str) -> SchemaPaths | None:
        """Return the attributes of the stored form, or None if no stored contract has the kind."""
        if self._stored_contract is None:
            return None
        document = self._stored_contract.document
        return SchemaPaths(document, kind) if kind in document["components"]["schemas"] else None

    def parse(
        self,
        operation: Operation,
        parameters: Parameters,
        blind_index: BlindIndex | None = None,
    ) -> ListQuery:
        """Compile a list request.

        Args:
            operation: The operation.
            parameters: The query parameters.
            blind_index: Finds personal values for the client; None: the kind has none.

        Raises:
            InvalidQuery: A parameter is unknown, not of its type, or over a limit (HTTP 400).
            FeatureNotImplemented: The filter uses an unsupported feature of JSONPath (HTTP 501).
            Forbidden: An attribute is personal, and the client lacks the scope (HTTP 403).
        """
        if blind_index is not None or sum(map(len, chain(*parameters))) > _MAX_CACHED_LENGTH:
            return self._compile(operation, parameters, blind_index)
        queries = self._queries
        key = (operation.kind, operation.schema, *parameters)
        if (query := queries.get(key)) is None:
            if len(queries) >= _MAX_CACHED_QUERIES:
                queries.clear()
            query = queries[key] = self._compile(operation, parameters, None)
        return query

    def _compile(
        self, operation: Operation, parameters: Parameters, blind_index: BlindIndex | None
    ) -> ListQuery:
        attributes = self.attributes(operation.kind, operation.schema)
        if blind_index is not None:
            attributes = replace(attributes, blind_index=blind_index)
        filters = [pair for pair in parameters if pair[0] not in RESERVED_PARAMETERS]
        reserved = {name: value for name, value in parameters if name in RESERVED_PARAMETERS}
        filters = with_ids_of_versions(filters)
        conditions = [filter_query(filters, attributes, self._settings)] if filters else []
        conditions += [
            jsonpath_query(value, attributes, self._settings)
            for name, value in parameters
            if name == "filter"
        ]
        keys = sorting.sort_keys(reserved.get("sort", ""), attributes)
        page = paging.page_from_parameters(reserved, keys, self._settings)
        selection = FieldSelection.parse([value for name, value in parameters if name == "fields"])
        projection = fields.projection(selection, attributes.stored_paths)
        if projection:
            projection |= {"loose": 1, "reshaped": 1}
        else:
            projection = {"id": 1, f"text.{self._contract.version}": 1}
        sort_paths = [key.path for key in keys if key.path != "_id" and not key.is_multi_valued]
        return ListQuery(
            [condition for condition in conditions if condition],
            page,
            selection,
            _extended_projection(projection, sort_paths),
        )


def with_ids_of_versions(filters: Sequence[Pair]) -> list[Pair]:
    """Return filters in which an id and a version also select an earlier version of the entity.

    An earlier version is stored under the id with its version (TMF630 part 1).

    >>> with_ids_of_versions([("id", "42"), ("version", "1.0")])
    [('id', '42'), ('version', '1.0'), ('id', '42:(version=1.0)')]
    """
    ids = [id for name, value in filters if name in {"id", "id.eq"} for id in value.split(",")]
    if not ids:
        return list(filters)
    versions = [
        version
        for name, value in filters
        if name in {"version", "version.eq"}
        for version in value.split(",")
    ]
    pairs = [("id", f"{id}:(version={version})") for id in ids for version in versions]
    return [*filters, *pairs]


def _names_at(paths: SchemaPaths, parent: str) -> Iterable[str]:
    """Return the names of the attributes below a path; nothing if they are not declared."""
    node = paths.node()
    for name in parent.split(".") if parent else ():
        node = node.child(name) if node else None
    return node.names if node else ()


def _type_of(
    paths: SchemaPaths, stored_schema_paths: SchemaPaths | None, kind: str, version: str, path: str
) -> AttributeType | None:
    """Return the type of an attribute in the client's contract, otherwise in the stored form."""
    if (attribute_type := paths.type_of(path)) is not None or stored_schema_paths is None:
        return attribute_type
    for stored in versions.stored_paths(kind, version, path):
        if stored.count(".") != path.count("."):
            continue
        if (attribute_type := stored_schema_paths.type_of(stored)) is not None:
            return attribute_type
    return None


def _extended_projection(projection: dict[str, int], paths: Iterable[str]) -> dict[str, int]:
    """Return a projection with further paths, except below a path that it already reads.

    MongoDB refuses a projection that has both a path and a part of it.
    """
    extended = dict(projection)
    for path in paths:
        parents = [path[:index] for index, character in enumerate(path) if character == "."]
        if not any(parent in extended for parent in parents):
            extended[path] = 1
    return extended


def read_page(
    resources: ResourceStore,
    kind: str,
    access: Mapping[str, Any],
    query: ListQuery,
    *,
    masked: bool = False,
) -> ListPage:
    """Read a page of a list.

    The matches are counted only if the page itself does not prove their number.

    Args:
        resources: The store.
        kind: The kind of the resources.
        access: The MongoDB query of the resources that the client may read, including the
            conditions of the path.
        query: The list request.
        masked: Leave personal values out.

    Raises:
        InvalidQuery: The page is deeper than its offset may be (HTTP 400).
    """
    page = query.page
    matching = {**access, "$and": query.conditions} if query.conditions else dict(access)
    documents: list[Document] = []
    if page.is_deep and page.limit:
        page.check_depth(resources.counts.total(kind, matching))
    elif page.fetch_limit:
        documents = resources.find_many(
            kind,
            {"$and": [matching, page.cursor_clause]} if page.cursor_clause else matching,
            query.projection,
            sort=page.sort,
            skip=page.offset,
            limit=page.fetch_limit,
            masked=masked,
            is_page=True,
        )
    documents, has_more = page.page_items(documents)
    total = page.provable_total(len(documents))
    if total is None:
        total = resources.counts.total(kind, matching)
    has_cursors = bool(documents) and page.needs_cursors
    result = PageResult(
        page=page,
        count=len(documents),
        total=total,
        has_more=has_more,
        first_cursor=paging.cursor(documents[0], page.keys) if has_cursors else None,
        last_cursor=paging.cursor(documents[-1], page.keys) if has_cursors else None,
    )
    return ListPage(documents, result)
