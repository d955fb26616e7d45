"""The desk: what deeds, jobs and workflows may do to resources, bound to who asks."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.law import Circumstances, Desk, Resource
from tmf_apis.rest.writes import Writes
from tmf_apis.security.identity import Identity


class BoundDesk:
    """A desk of one identity; implements the ``Desk`` protocol over the engine's writes."""

    def __init__(self, writes: Writes, identity: Identity, circumstances: Circumstances) -> None:
        self._writes = writes
        self._identity = identity
        self.circumstances = circumstances
        self.now: datetime = circumstances.now
        self.tenant = identity.tenant

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none for this client (HTTP 404).
        """
        resources = self._writes.resources
        found = resources.one(kind, self._identity.readable(), id, {"body": 1})
        if found is None:
            raise NotFound(f"there is no {kind} {id}")
        return {"id": id, **found["body"]}

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources whose stored form matches a query over its paths."""
        column, direction = (sort[1:], -1) if sort.startswith("-") else (sort, 1)
        order = "_id" if column == "id" else f"body.{column}"
        found = self._writes.resources.many(
            kind,
            {"$and": [self._identity.readable(), _over_body(query)]},
            {"id": 1, "body": 1},
            sort=[(order, direction)] if order == "_id" else [(order, direction), ("_id", 1)],
            limit=limit,
        )
        return [{"id": one["id"], **one["body"]} for one in found]

    def create(self, kind: str, resource: Resource) -> Resource:
        """Make a resource and return it with its id."""
        written = self._writes.create(self._identity, kind, resource, self._system())
        return {"id": written.id, **written.body}

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Make resources with ids; return the ids of those that were there already."""
        return self._writes.create_many(self._identity, kind, resources, self._system())

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form."""
        written = self._writes.change(self._identity, kind, id, edit, self._system())
        return {"id": id, **written.body}

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource."""
        self._writes.delete(self._identity, kind, id, self._system())

    def _system(self) -> Circumstances:
        return self._writes.circumstances(self._identity, self.circumstances.version, system=True)


def _over_body(query: Mapping[str, Any]) -> dict[str, Any]:
    """Put ``body.`` before every path of a query, inside logical operators too."""
    made: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"$and", "$or", "$nor"}:
            made[name] = [_over_body(part) for part in value]
        else:
            made["id" if name == "id" else f"body.{name}"] = value
    return made


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

    def staff(self, tenant: str) -> Desk:
        """Return a desk that sees the whole of a tenant."""
        return self._desk(Identity(self._subject, tenant))

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
