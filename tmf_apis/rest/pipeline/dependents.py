"""Resources that rest on others: they keep the others from being deleted.

A policy declares which kinds refer to its own kind in which attributes; the writer looks them up
before it deletes a resource for a client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tmf_apis.errors import Conflict
from tmf_apis.security.identity import Identity

#: Most dependents that an error message names.
MAX_NAMED_DEPENDENTS = 5

#: Queries for the resources of a kind that have not ended. One of the published product states has
#: a trailing blank.
ACTIVE_PRODUCTS: Mapping[str, Any] = {
    "status": {"$nin": ["terminated", "cancelled", "aborted", "aborted "]}
}
ACTIVE_SERVICES: Mapping[str, Any] = {"state": {"$ne": "terminated"}}
ACTIVE_CATALOG_ENTITIES: Mapping[str, Any] = {
    "lifecycleStatus": {"$nin": ["Retired", "Obsolete", "Rejected"]}
}
OPEN_BILLS: Mapping[str, Any] = {"state": {"$ne": "settled"}}


@dataclass(frozen=True, slots=True)
class Dependents:
    """The resources of one kind that rest on a resource by one of their attributes.

    Attributes:
        kind: The kind of the dependents.
        path: Path of the id of the resource that they rest on ("supportingService.id").
        active: Query for the dependents that still count; those that have ended do not.
        types: Relationship types that count, if the first segment of the path is an array of
            relationships of several types; empty: every reference counts.
        blocks_server: The server itself cannot delete the resource either.
    """

    kind: str
    path: str
    active: Mapping[str, Any] = field(default_factory=dict)
    types: frozenset[str] = frozenset()
    blocks_server: bool = False

    def query(self, id: str) -> dict[str, Any]:
        """Return the query over the stored form for the dependents of a resource."""
        if not self.types:
            reference: dict[str, Any] = {self.path: id}
        else:
            attribute, _, inner = self.path.partition(".")
            relationship = {"relationshipType": {"$in": sorted(self.types)}, inner: id}
            reference = {attribute: {"$elemMatch": relationship}, self.path: id}
        return {**reference, **self.active}


def blocking_filter(identity: Identity, parties: Sequence[str]) -> dict[str, Any]:
    """Return the query for the documents that may keep a client from deleting a resource.

    A resource of another party must not keep the owner from deleting what it owns. The operator is
    also kept from it by what it has created itself for any party.

    Args:
        identity: The client.
        parties: The parties of the resource to be deleted.
    """
    allowed: list[dict[str, Any]] = [{"parties": {"$in": sorted(parties)}}, {"parties": []}]
    if identity.is_staff:
        allowed.append({"owner": {"$exists": False}})
    return {"tenant": identity.tenant, "$or": allowed}


def refuse_deletion(label: str, dependents: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to delete a resource on which others rest.

    Args:
        label: Kind and id of the resource.
        dependents: ``id`` and ``name`` of the resources that rest on it; at least one more than
            ``MAX_NAMED_DEPENDENTS`` if there are that many. Those that the client cannot read have
            no id.

    Raises:
        Conflict: There are dependents; the message names the first of them (HTTP 409).
    """
    if not dependents:
        return
    named = [dependent for dependent in dependents if dependent.get("id")][:MAX_NAMED_DEPENDENTS]
    names = [f"{dependent.get('name') or ''} ({dependent['id']})".strip() for dependent in named]
    more = " and more" if len(dependents) > len(named) else ""
    raise Conflict(
        f"{label} is needed by {', '.join(names) or 'others'}{more if names else ''}; end these"
        " first"
    )
