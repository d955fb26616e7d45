"""The desk: what deeds, jobs and workflows may do to resources, bound to who asks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.pipeline.documents import READ_PROJECTION
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document

#: Documents that a desk keeps in mind; of a longer list it keeps none.
IDENTITY_MAP_LIMIT = 100


class ScopedRepository:
    """A desk of one identity; implements the ``Repository`` protocol over the engine's writes.

    What was read or written here lately and is changed then is not read again, unless somebody
    else has changed it meanwhile.

    Attributes:
        now, tenant, circumstances: As of the ``Repository`` protocol.
        identity_map: What was read or written here lately, by kind and id.
    """

    def __init__(self, writer: ResourceWriter, identity: Identity, context: RequestContext) -> None:
        self._writer = writer
        self._identity = identity
        self.context = context
        self.now: datetime = context.now
        self.tenant = identity.tenant
        self._sees_tenant = identity.parties is None
        self.identity_map: dict[tuple[str, str], Document] = {}

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none for this client (HTTP 404).
        """
        resources = self._writer.resources
        found = resources.find_one(kind, self._identity.read_filter(), id, READ_PROJECTION)
        if found is None:
            raise NotFound(f"there is no {kind} {id}")
        self._cache_documents(kind, [found])
        return {"id": id, **found["body"]}

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources whose stored form matches a query over its paths."""
        column, direction = (sort[1:], -1) if sort.startswith("-") else (sort, 1)
        order = "_id" if column == "id" else f"body.{column}"
        found = self._writer.resources.find_many(
            kind,
            {"$and": [self._identity.read_filter(), body_query(query, self.tenant)]},
            READ_PROJECTION,
            sort=[(order, direction)] if order == "_id" else [(order, direction), ("_id", 1)],
            limit=limit,
        )
        self._cache_documents(kind, found)
        return [{"id": one["id"], **one["body"]} for one in found]

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return what is the same as long as some queries find the same, for the whole tenant.

        Args:
            queries: Kinds and queries, as ``find`` takes them.
        """
        parts: list[list[dict[str, Any]]] = [
            [
                {"$match": {"$and": [{"tenant": self.tenant}, body_query(query, self.tenant)]}},
                {"$project": {"rev": 1, "at": "$body.lastUpdate", "query": {"$literal": number}}},
            ]
            for number, (_, query) in enumerate(queries)
        ]
        unions = [
            {"$unionWith": {"coll": kind, "pipeline": part}}
            for (kind, _), part in zip(queries[1:], parts[1:], strict=True)
        ]
        database = self._writer.resources.database
        if not queries:
            return database.name
        with translate_errors():
            found = list(database[queries[0][0]].aggregate([*parts[0], *unions]))
        lines = sorted(f"{one['query']} {one['_id']} {one['rev']} {one.get('at')}" for one in found)
        return "\n".join([database.name, *lines])

    def create(self, kind: str, resource: Resource) -> Resource:
        """Make a resource and return it with its id."""
        written = self._writer.create(self._identity, kind, resource, self._system_context())
        self._cache_documents(kind, [written.document])
        return {"id": written.id, **written.body}

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Make resources with ids; return the ids of those that were there already."""
        made, there = self._writer.create_many(
            self._identity, kind, resources, self._system_context()
        )
        self._cache_documents(kind, made)
        return there

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form."""
        known = self.identity_map.pop((kind, id), None)
        written = self._writer.change(
            self._identity, kind, id, edit, self._system_context(), cached_document=known
        )
        self._cache_documents(kind, [written.document])
        return {"id": id, **written.body}

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources, each by a function of its stored form; return those that are there."""
        found = [self.identity_map.pop((kind, id), None) for id in edits]
        known = [one for one in found if one]
        known = known if len(known) == len(edits) else []
        return self._writer.change_many(self._identity, kind, edits, self._system_context(), known)

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource."""
        self._writer.delete(self._identity, kind, id, self._system_context())

    def _cache_documents(self, kind: str, documents: Sequence[Document | None]) -> None:
        """Keep documents in mind; a party may see what it may not change."""
        if not self._sees_tenant or len(documents) > IDENTITY_MAP_LIMIT:
            return
        if len(self.identity_map) + len(documents) > IDENTITY_MAP_LIMIT:
            self.identity_map.clear()
        self.identity_map.update({(kind, one["id"]): one for one in documents if one})

    def _system_context(self) -> RequestContext:
        return self._writer.request_context(self._identity, self.context.version, system=True)


def body_query(query: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """Return a query over documents from one over the stored form, inside logical operators too.

    Ids become keys, which an index has.

    >>> body_query({"id": {"$in": ["1"]}, "name": "a"}, "t")
    {'_id': {'$in': ['t:1']}, 'body.name': 'a'}
    """
    made: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"$and", "$or", "$nor"}:
            made[name] = [body_query(part, tenant) for part in value]
        elif name == "id":
            made["_id"] = _document_keys(value, tenant)
        else:
            made[f"body.{name}"] = value
    return made


def _document_keys(condition: Any, tenant: str) -> Any:  # noqa: ANN401
    """Return the keys of a tenant's documents with some ids, inside comparisons too."""
    if isinstance(condition, Mapping):
        return {operator: _document_keys(value, tenant) for operator, value in condition.items()}
    if isinstance(condition, list):
        return [_document_keys(one, tenant) for one in condition]
    return f"{tenant}:{condition}"


class RepositoryFactory:
    """Makes desks for work that goes on after the request: workflows, jobs, notifications."""

    def __init__(self, writer: ResourceWriter, subject: str) -> None:
        """Take what desks stand on.

        Args:
            writer: The engine's writes.
            subject: Who the work is signed by.
        """
        self._writer = writer
        self._subject = subject

    def for_tenant(self, tenant: str, previous: Repository | None = None) -> Repository:
        """Return a desk that sees the whole of a tenant; ``previous`` was one of an earlier time."""
        desk = self._repository_for(Identity(self._subject, tenant))
        if isinstance(desk, ScopedRepository) and isinstance(previous, ScopedRepository):
            desk.identity_map = previous.identity_map
        return desk

    def for_owner(self, tenant: str, kind: str, id: str) -> Repository:
        """Return a desk that sees what the maker of a resource may see.

        Raises:
            NotFound: The resource is gone.
        """
        found = self._writer.resources.find_one(kind, {"tenant": tenant}, id, {"owner": 1})
        if found is None:
            raise NotFound(f"there is no {kind} {id}")
        parties = found.get("owner")
        return self._repository_for(
            Identity(self._subject, tenant, frozenset(parties) if parties else None)
        )

    def for_readers(self, tenant: str, kind: str, id: str) -> list[Repository]:
        """Return for each party that may read a resource a desk that sees what it may see.

        None are returned for what is the operator's own.
        """
        found = self._writer.resources.find_one(kind, {"tenant": tenant}, id, {"parties": 1}) or {}
        return [
            self._repository_for(Identity(self._subject, tenant, frozenset({one})))
            for one in found.get("parties") or ()
        ]

    def path_of(self, kind: str, id: str) -> str:
        """Return the absolute path of a resource in the newest version of its API."""
        kinds = self._writer.kinds
        return kinds.resource_path(kind, kinds.latest_version(kind), id, {})

    def _repository_for(self, identity: Identity) -> Repository:
        return self._writer.repository_for(
            identity, self._writer.request_context(identity, system=True)
        )
