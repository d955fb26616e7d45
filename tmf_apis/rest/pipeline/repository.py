"""Repositories over the write pipeline, for task handlers, jobs and workflows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tmf_apis.errors import NotFound, TmfError
from tmf_apis.rest.pipeline.body_queries import body_query
from tmf_apis.rest.pipeline.documents import READ_PROJECTION
from tmf_apis.rest.pipeline.policy import RequestContext, Resource
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.security.identity import EVERYONE, DelegatedIdentity, Identity, NetworkIdentity
from tmf_apis.security.request_origin import current_origin
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document

#: Most documents in an identity map; a longer query result is not cached.
IDENTITY_MAP_LIMIT = 100

IdentityMap = dict[tuple[str, str], Document]


class ScopedRepository:
    """The repository of one identity; implements the ``Repository`` protocol.

    A resource that this repository has recently read or written is not read again before a change,
    unless another client has changed it meanwhile.

    Attributes:
        now, context, tenant: See ``Repository``.
        identity_map: The documents recently read or written, by kind and id.
    """

    def __init__(self, writer: ResourceWriter, identity: Identity, context: RequestContext) -> None:
        self._writer = writer
        self._identity = identity
        self.context = context
        self.now: datetime = context.now
        self.tenant = identity.tenant
        self._sees_tenant = identity.is_staff
        self.identity_map: IdentityMap = {}

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none that the identity may see (HTTP 404).
        """
        resources = self._writer.resources
        document = resources.find_one(kind, self._identity.read_filter(), id, READ_PROJECTION)
        if document is None:
            raise NotFound(f"there is no {kind} {id}")
        self._cache_documents(kind, [document])
        return {"id": id, **document["body"]}

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return the resources whose stored form matches a MongoDB query."""
        column, direction = (sort[1:], -1) if sort.startswith("-") else (sort, 1)
        order = "_id" if column == "id" else f"body.{column}"
        documents = self._writer.resources.find_many(
            kind,
            {"$and": [self._identity.read_filter(), body_query(query, self.tenant)]},
            READ_PROJECTION,
            sort=[(order, direction)] if order == "_id" else [(order, direction), ("_id", 1)],
            limit=limit,
        )
        self._cache_documents(kind, documents)
        return [{"id": document["id"], **document["body"]} for document in documents]

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return a text that changes when the result of one of the queries changes.

        The queries cover the whole tenant, even if the repository sees only a part of it.

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
            rows = list(database[queries[0][0]].aggregate([*parts[0], *unions]))
        lines = sorted(f"{row['query']} {row['_id']} {row['rev']} {row.get('at')}" for row in rows)
        return "\n".join([database.name, *lines])

    def create(self, kind: str, resource: Resource) -> Resource:
        """Create a resource and return it with its id."""
        result = self._writer.create(self._identity, kind, resource, self._system_context())
        self._cache_documents(kind, [result.document])
        return {"id": result.id, **result.body}

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Create resources with ids; return the ids of those that existed already."""
        documents, existing = self._writer.create_many(
            self._identity, kind, resources, self._system_context()
        )
        self._cache_documents(kind, documents)
        return existing

    def create_each(self, kind: str, resources: Sequence[Resource]) -> list[TmfError | None]:
        """Create resources as ``create`` does; return the error of each, None if there is none."""
        if not resources:
            return []
        return self._writer.create_each(self._identity, kind, resources, self._system_context())

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form."""
        document = self.identity_map.pop((kind, id), None)
        result = self._writer.change(
            self._identity, kind, id, edit, self._system_context(), cached_document=document
        )
        self._cache_documents(kind, [result.document])
        return {"id": id, **result.body}

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources by functions of their stored forms; return those that exist."""
        cached = [self.identity_map.pop((kind, id), None) for id in edits]
        documents = [document for document in cached if document]
        if len(documents) < len(edits):
            documents = []
        context = self._system_context()
        return self._writer.change_many(self._identity, kind, edits, context, documents)

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource."""
        self._writer.delete(self._identity, kind, id, self._system_context())

    def for_network(self, parties: frozenset[str] | None) -> "ScopedRepository":
        """Return a repository of the operator's own resources, see ``Repository``.

        The repository of a party is returned unchanged: it never sees more.
        """
        if not self._identity.is_staff:
            return self
        identity = NetworkIdentity(self._identity.subject, self.tenant, customers=parties)
        return ScopedRepository(self._writer, identity, self.context)

    def owner_of(self, kind: str, id: str) -> frozenset[str] | None:
        """Return the parties of the client that created a resource; None: the operator did.

        A resource that was just read is not read again.

        Raises:
            NotFound: There is none that the identity may see (HTTP 404).
        """
        document = self.identity_map.get((kind, id))
        if document is None:
            access = self._identity.read_filter()
            document = self._writer.resources.find_one(kind, access, id, {"owner": 1})
        if document is None:
            raise NotFound(f"there is no {kind} {id}")
        return frozenset(document["owner"]) if "owner" in document else None

    def _cache_documents(self, kind: str, documents: Sequence[Document | None]) -> None:
        """Add documents to the identity map.

        A party may see more than it may change, so its repository has an empty map.
        """
        if not self._sees_tenant or len(documents) > IDENTITY_MAP_LIMIT:
            return
        if len(self.identity_map) + len(documents) > IDENTITY_MAP_LIMIT:
            self.identity_map.clear()
        self.identity_map |= {(kind, doc["id"]): doc for doc in documents if doc}

    def _system_context(self) -> RequestContext:
        """Return the context of a write now; its origin is that of the repository."""
        return self._writer.request_context(
            self._identity, self.context.version, system=True, origin=self.context.origin
        )


class RepositoryFactory:
    """Creates repositories for tasks outside a request: workflows, jobs, notifications."""

    def __init__(self, writer: ResourceWriter, subject: str, cause: str = "") -> None:
        """Store the writer.

        Args:
            writer: The write pipeline.
            subject: The subject of the writes.
            cause: The resource that the writes are made for, as "<kind>:<id>"; empty: none.
        """
        self._writer = writer
        self._subject = subject
        self._cause = cause

    def working_for(self, kind: str, id: str) -> "RepositoryFactory":
        """Return a factory of repositories whose writes the audit log attributes to a resource."""
        return RepositoryFactory(self._writer, self._subject, f"{kind}:{id}")

    def for_tenant(self, tenant: str, previous: ScopedRepository | None = None) -> ScopedRepository:
        """Return a repository that sees the whole tenant.

        Args:
            tenant: The tenant.
            previous: An earlier repository of the same tenant, whose identity map is shared.
        """
        repository = self._repository_for(Identity(self._subject, tenant))
        if previous is not None:
            repository.identity_map = previous.identity_map
        return repository

    def on_behalf_of(self, tenant: str, parties: frozenset[str]) -> ScopedRepository:
        """Return a repository of the operator that sees and changes what some parties may."""
        identity = DelegatedIdentity(self._subject, tenant, customers=parties)
        context = self._context(identity)
        return ScopedRepository(self._writer, identity, replace(context, parties=parties))

    def for_owner(self, tenant: str, kind: str, id: str) -> ScopedRepository:
        """Return a repository that sees what the client that created a resource may see.

        Raises:
            NotFound: The resource does not exist (HTTP 404).
        """
        owner = self.for_tenant(tenant).owner_of(kind, id)
        return self._repository_for(Identity(self._subject, tenant, owner))

    def for_readers(self, tenant: str, kind: str, id: str) -> list[ScopedRepository]:
        """Return a repository of each party that may read a resource.

        The list is empty for the operator's own resources.
        """
        document = self._writer.resources.find_one(kind, {"tenant": tenant}, id, {"parties": 1})
        parties = (document or {}).get("parties") or ()
        return [
            self._repository_for(Identity(self._subject, tenant, frozenset({party})))
            for party in parties
            if party != EVERYONE
        ]

    def path_of(self, kind: str, id: str) -> str:
        """Return the absolute path of a resource in the newest version of its API."""
        kinds = self._writer.kinds
        return kinds.resource_path(kind, kinds.latest_version(kind), id, {})

    def _repository_for(self, identity: Identity) -> ScopedRepository:
        return ScopedRepository(self._writer, identity, self._context(identity))

    def _context(self, identity: Identity) -> RequestContext:
        origin = current_origin.get()
        if self._cause:
            origin = replace(origin, cause=self._cause)
        return self._writer.request_context(identity, system=True, origin=origin)
