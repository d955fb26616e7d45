"""The desk: what deeds, jobs and workflows may do to resources, bound to who asks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.law import Circumstances, Desk, Resource
from tmf_apis.rest.writes import READ, Writes
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import translated
from tmf_apis.store.resources import Document

#: Documents that a desk keeps in mind; of a longer list it keeps none.
MEMORY = 100


class BoundDesk:
    """A desk of one identity; implements the ``Desk`` protocol over the engine's writes.

    What was read or written here lately and is changed then is not read again, unless somebody
    else has changed it meanwhile.

    Attributes:
        now, tenant, circumstances: As of the ``Desk`` protocol.
        mind: What was read or written here lately, by kind and id.
    """

    def __init__(self, writes: Writes, identity: Identity, circumstances: Circumstances) -> None:
        self._writes = writes
        self._identity = identity
        self.circumstances = circumstances
        self.now: datetime = circumstances.now
        self.tenant = identity.tenant
        self._whole = identity.parties is None
        self.mind: dict[tuple[str, str], Document] = {}

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none for this client (HTTP 404).
        """
        resources = self._writes.resources
        found = resources.one(kind, self._identity.readable(), id, READ)
        if found is None:
            raise NotFound(f"there is no {kind} {id}")
        self._keep(kind, [found])
        return {"id": id, **found["body"]}

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources whose stored form matches a query over its paths."""
        column, direction = (sort[1:], -1) if sort.startswith("-") else (sort, 1)
        order = "_id" if column == "id" else f"body.{column}"
        found = self._writes.resources.many(
            kind,
            {"$and": [self._identity.readable(), over_body(query, self.tenant)]},
            READ,
            sort=[(order, direction)] if order == "_id" else [(order, direction), ("_id", 1)],
            limit=limit,
        )
        self._keep(kind, found)
        return [{"id": one["id"], **one["body"]} for one in found]

    def revisions(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return what is the same as long as some queries find the same, for the whole tenant.

        Args:
            queries: Kinds and queries, as ``find`` takes them.
        """
        parts: list[list[dict[str, Any]]] = [
            [
                {"$match": {"$and": [{"tenant": self.tenant}, over_body(query, self.tenant)]}},
                {"$project": {"rev": 1, "at": "$body.lastUpdate", "query": {"$literal": number}}},
            ]
            for number, (_, query) in enumerate(queries)
        ]
        unions = [
            {"$unionWith": {"coll": kind, "pipeline": part}}
            for (kind, _), part in zip(queries[1:], parts[1:], strict=True)
        ]
        database = self._writes.resources.database
        if not queries:
            return database.name
        with translated():
            found = list(database[queries[0][0]].aggregate([*parts[0], *unions]))
        lines = sorted(f"{one['query']} {one['_id']} {one['rev']} {one.get('at')}" for one in found)
        return "\n".join([database.name, *lines])

    def create(self, kind: str, resource: Resource) -> Resource:
        """Make a resource and return it with its id."""
        written = self._writes.create(self._identity, kind, resource, self._system())
        self._keep(kind, [written.document])
        return {"id": written.id, **written.body}

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Make resources with ids; return the ids of those that were there already."""
        made, there = self._writes.create_many(self._identity, kind, resources, self._system())
        self._keep(kind, made)
        return there

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form."""
        known = self.mind.pop((kind, id), None)
        written = self._writes.change(self._identity, kind, id, edit, self._system(), known=known)
        self._keep(kind, [written.document])
        return {"id": id, **written.body}

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources, each by a function of its stored form; return those that are there."""
        found = [self.mind.pop((kind, id), None) for id in edits]
        known = [one for one in found if one]
        known = known if len(known) == len(edits) else []
        return self._writes.change_many(self._identity, kind, edits, self._system(), known)

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource."""
        self._writes.delete(self._identity, kind, id, self._system())

    def _keep(self, kind: str, found: Sequence[Document | None]) -> None:
        """Keep documents in mind; a party may see what it may not change."""
        if not self._whole or len(found) > MEMORY:
            return
        if len(self.mind) + len(found) > MEMORY:
            self.mind.clear()
        self.mind.update({(kind, one["id"]): one for one in found if one})

    def _system(self) -> Circumstances:
        return self._writes.circumstances(self._identity, self.circumstances.version, system=True)


def over_body(query: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """Return a query over documents from one over the stored form, inside logical operators too.

    Ids become keys, which an index has.

    >>> over_body({"id": {"$in": ["1"]}, "name": "a"}, "t")
    {'_id': {'$in': ['t:1']}, 'body.name': 'a'}
    """
    made: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"$and", "$or", "$nor"}:
            made[name] = [over_body(part, tenant) for part in value]
        elif name == "id":
            made["_id"] = _keys(value, tenant)
        else:
            made[f"body.{name}"] = value
    return made


def _keys(wanted: Any, tenant: str) -> Any:  # noqa: ANN401
    """Return the keys of a tenant's documents with some ids, inside comparisons too."""
    if isinstance(wanted, Mapping):
        return {operator: _keys(value, tenant) for operator, value in wanted.items()}
    if isinstance(wanted, list):
        return [_keys(one, tenant) for one in wanted]
    return f"{tenant}:{wanted}"


class Desks:
    """Makes desks for work that goes on after the request: workflows, jobs, notifications."""

    def __init__(self, writes: Writes, subject: str) -> None:
        """Take what desks stand on.

        Args:
            writes: The engine's writes.
            subject: Who the work is signed by.
        """
        self._writes = writes
        self._subject = subject

    def staff(self, tenant: str, mind: Desk | None = None) -> Desk:
        """Return a desk that sees the whole of a tenant; ``mind`` was one of an earlier time."""
        desk = self._desk(Identity(self._subject, tenant))
        if isinstance(desk, BoundDesk) and isinstance(mind, BoundDesk):
            desk.mind = mind.mind
        return desk

    def owner(self, tenant: str, kind: str, id: str) -> Desk:
        """Return a desk that sees what the maker of a resource may see.

        Raises:
            NotFound: The resource is gone.
        """
        found = self._writes.resources.one(kind, {"tenant": tenant}, id, {"owner": 1})
        if found is None:
            raise NotFound(f"there is no {kind} {id}")
        parties = found.get("owner")
        return self._desk(Identity(self._subject, tenant, frozenset(parties) if parties else None))

    def readers(self, tenant: str, kind: str, id: str) -> list[Desk]:
        """Return for each party that may read a resource a desk that sees what it may see.

        None are returned for what is the operator's own.
        """
        found = self._writes.resources.one(kind, {"tenant": tenant}, id, {"parties": 1}) or {}
        return [
            self._desk(Identity(self._subject, tenant, frozenset({one})))
            for one in found.get("parties") or ()
        ]

    def _desk(self, identity: Identity) -> Desk:
        return self._writes.desk(identity, self._writes.circumstances(identity, system=True))
