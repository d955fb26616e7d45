"""A desk on which everything can be tried and nothing is written: for feasibility and dry runs."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.inventory.ports import holder_of
from tmf_apis.rest.pipeline.policy import Repository, Resource


class DryRunRepository:
    """What a desk shows, with what was changed here laid over it."""

    def __init__(self, repository: Repository) -> None:
        """Lay a sheet over a desk."""
        self._repository = repository
        self.now, self.tenant = repository.now, repository.tenant
        self.context = repository.context
        self._overlay: dict[tuple[str, str], Resource] = {}
        self._created_keys: set[tuple[str, str]] = set()

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource as it would be."""
        found = self._overlay.get((kind, id))
        return copy.deepcopy(found) if found is not None else self._repository.get(kind, id)

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources as they would be; some may not match the query any more.

        Those that were made or changed here and are asked for by id or identifier are among them.
        """
        more = sum(1 for key in self._overlay if key[0] == kind)
        found = self._repository.find(kind, query, limit=limit + more, sort=sort)
        here = {
            one["id"]: one
            for (its, _), one in self._overlay.items()
            if its == kind and _is_named_in(one, query)
        }
        shown = {one["id"]: self._overlay.get((kind, one["id"]), one) for one in found}
        return copy.deepcopy([*{**shown, **here}.values()])

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return a text that changes when the result of one of the queries changes."""
        return f"{self._repository.revision_fingerprint(queries)}\n{self._overlay}"

    def find_unreserved(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000
    ) -> list[Resource]:
        """Return resources that nobody holds here."""
        touched = [id for (its, id), one in self._overlay.items() if its == kind and holder_of(one)]
        return self._repository.find(
            kind, {"$and": [query, {"id": {"$nin": touched}}]}, limit=limit
        )

    def create(self, kind: str, resource: Resource) -> Resource:
        """Make a resource here.

        Raises:
            Conflict: There is one already.
        """
        key = (kind, resource["id"])
        if key in self._overlay or self._repository.find(kind, {"id": resource["id"]}, limit=1):
            raise Conflict(f"there is a {kind} {resource['id']} already")
        self._overlay[key] = resource
        return resource

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Make resources here; return the ids of those that were there already."""
        there = set()
        for one in resources:
            try:
                self.create(kind, one)
            except Conflict:
                there.add(one["id"])
        return there

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource here."""
        new = edit(self.get(kind, id))
        self._overlay[kind, id] = new
        return new

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources here; return those that are there."""
        made = {}
        for id, edit in edits.items():
            with suppress(NotFound):
                made[id] = self.change(kind, id, edit)
        return made

    def delete(self, kind: str, id: str) -> None:
        """Nothing is deleted in a trial.

        Raises:
            NotFound: Always.
        """
        raise NotFound(f"there is no {kind} {id} to be deleted in a trial")


def _is_named_in(resource: Resource, query: Mapping[str, Any]) -> bool:
    """Return whether a query names a resource by an identifier, or by its id."""
    identifiers = {str(one.get("id")) for one in resource.get("externalIdentifier") or ()}
    for name, own in (("id", {resource["id"]}), ("externalIdentifier.id", identifiers)):
        if name in query:
            wanted = query[name]
            named = set(wanted.get("$in", ())) if isinstance(wanted, Mapping) else {wanted}
            return bool(own & named)
    return False
