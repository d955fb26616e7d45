"""A repository that keeps changes in memory, for feasibility checks and dry runs."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tmf_apis.errors import Conflict, NotFound, TmfError
from tmf_apis.inventory.ports import holder_of
from tmf_apis.rest.pipeline.policy import Repository, Resource


class DryRunRepository:
    """A repository whose changes are an overlay in memory; the underlying one is only read."""

    def __init__(self, repository: Repository) -> None:
        """Create an empty overlay.

        Args:
            repository: The underlying repository.
        """
        self._repository = repository
        self.now, self.tenant = repository.now, repository.tenant
        self.context = repository.context
        self._overlay: dict[tuple[str, str], Resource] = {}

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its changes.

        Raises:
            NotFound: The resource does not exist (HTTP 404).
        """
        changed = self._overlay.get((kind, id))
        return copy.deepcopy(changed) if changed is not None else self._repository.get(kind, id)

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources with their changes; some may not match the query any more.

        A query by id or external identifier also finds resources in the overlay.
        """
        overlaid = [resource for (of, _), resource in self._overlay.items() if of == kind]
        stored = self._repository.find(kind, query, limit=limit + len(overlaid), sort=sort)
        by_id = {
            resource["id"]: self._overlay.get((kind, resource["id"]), resource)
            for resource in stored
        }
        by_id |= {
            resource["id"]: resource for resource in overlaid if _is_named_in(resource, query)
        }
        return copy.deepcopy([*by_id.values()])

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return a text that changes when the result of one of the queries changes."""
        return f"{self._repository.revision_fingerprint(queries)}\n{self._overlay}"

    def find_unreserved(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000
    ) -> list[Resource]:
        """Return stored resources that match a query and are not reserved in the overlay."""
        reserved = [
            id for (of, id), resource in self._overlay.items() if of == kind and holder_of(resource)
        ]
        return self._repository.find(
            kind, {"$and": [query, {"id": {"$nin": reserved}}]}, limit=limit
        )

    def create(self, kind: str, resource: Resource) -> Resource:
        """Create a resource in the overlay.

        Raises:
            Conflict: The id is in use (HTTP 409).
        """
        key = (kind, resource["id"])
        if key in self._overlay or self._repository.find(kind, {"id": resource["id"]}, limit=1):
            raise Conflict(f"there is a {kind} {resource['id']} already")
        self._overlay[key] = resource
        return resource

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Create resources in the overlay; return the ids of those that existed already."""
        existing_ids = set()
        for resource in resources:
            try:
                self.create(kind, resource)
            except Conflict:
                existing_ids.add(resource["id"])
        return existing_ids

    def create_each(self, kind: str, resources: Sequence[Resource]) -> list[TmfError | None]:
        """Create resources in the overlay; return the error of each, None if there is none."""
        existing_ids = self.create_many(kind, resources)
        return [
            Conflict(f"there is a {kind} {id} already") if id in existing_ids else None
            for id in (resource["id"] for resource in resources)
        ]

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource in the overlay.

        Raises:
            NotFound: The resource does not exist (HTTP 404).
        """
        new = edit(self.get(kind, id))
        self._overlay[kind, id] = new
        return new

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources in the overlay; return those that exist, by id."""
        changed = {}
        for id, edit in edits.items():
            with suppress(NotFound):
                changed[id] = self.change(kind, id, edit)
        return changed

    def delete(self, kind: str, id: str) -> None:
        """Refuse to delete: dry runs delete nothing.

        Raises:
            NotFound: Always (HTTP 404).
        """
        raise NotFound(f"{kind} {id} cannot be deleted in a dry run")

    def for_network(self, parties: frozenset[str] | None) -> "DryRunRepository":
        """Return a repository of the operator's own resources with the same changes."""
        network = DryRunRepository(self._repository.for_network(parties))
        network._overlay = self._overlay
        return network


def _is_named_in(resource: Resource, query: Mapping[str, Any]) -> bool:
    """Return whether a query names a resource by its id or by an external identifier."""
    identifiers = {
        str(identifier.get("id")) for identifier in resource.get("externalIdentifier") or ()
    }
    for name, own in (("id", {resource["id"]}), ("externalIdentifier.id", identifiers)):
        if name in query:
            condition = query[name]
            is_operator = isinstance(condition, Mapping)
            return bool(own & (set(condition.get("$in", ())) if is_operator else {condition}))
    return False
