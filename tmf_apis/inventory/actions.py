"""Check the relationships of a resource, and maintain their inverses on the other resources."""

from collections.abc import Iterable, Mapping

from tmf_apis.errors import Conflict, Forbidden, NotFound, Stale
from tmf_apis.inventory.relationships import (
    CONTAINED_IN_TYPES,
    CONTAINS_TYPES,
    INVERSE_TYPES,
    edges,
    target_ids,
    with_edge,
    without_edge,
)
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource

_KIND = "Resource"


def check_relationships(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that a resource does not contain itself.

    Raises:
        Conflict: The resource would contain itself (HTTP 409).
    """
    if new is None:
        return
    if _has_new_containment(old, new):
        _refuse_cycle(repository, new)


def lock_name(old: Resource | None, new: Resource, context: RequestContext) -> str:
    """Return the lock of the tree of resources, if a client puts a resource into another one.

    A new resource that is only contained in others does not close a cycle, and the server adds
    inverses of what a client has written.
    """
    if old is None or context.system or not _has_new_containment(old, new):
        return ""
    return "Resource.containment"


def _has_new_containment(old: Resource | None, new: Resource) -> bool:
    containment_types = CONTAINED_IN_TYPES | CONTAINS_TYPES
    return any(type_ in containment_types for type_, _ in edges(new) - edges(old))


def update_inverse_relationships(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Add and remove the inverses of changed relationships on the other resources.

    The current relationships of the resource decide, so that a late repetition does no harm.
    Ids that do not exist are ignored.
    """
    resource = new or old or {}
    id = resource["id"]
    touched = edges(old) ^ edges(new)
    if new is not None and old is None:
        _add_missing_inverses(repository, new)
    if not any(type_ in INVERSE_TYPES for type_, _ in touched):
        return
    current = get_or_none(repository, _KIND, id)
    for target in sorted({target for _, target in touched} - {id}):
        changed = {type_ for type_, other in touched if other == target and type_ in INVERSE_TYPES}
        present = {type_ for type_, other in edges(current) if other == target}
        _update_edges(
            repository,
            target,
            id,
            current,
            types_to_remove=changed - present,
            types_to_add=changed & present,
        )


def _update_edges(  # noqa: PLR0913 - one call for each pair of resources
    repository: Repository,
    target_id: str,
    id: str,
    resource: Resource | None,
    *,
    types_to_remove: Iterable[str],
    types_to_add: Iterable[str],
) -> None:
    """Remove inverse relationships from the target, and add others to it."""

    def edit(other: Resource) -> Resource:
        for type_ in sorted(types_to_remove):
            other = without_edge(other, (INVERSE_TYPES[type_], id))
        for type_ in sorted(types_to_add):
            other = with_edge(other, (INVERSE_TYPES[type_], id), resource or {})
        return other

    try:
        repository.change(_KIND, target_id, edit)
    except Stale:
        raise
    except (NotFound, Forbidden, Conflict):
        # The target does not exist, the party has not created it, or two clients created a cycle at
        # the same moment: keep the relationships that each client wrote on its own resource.
        return


def _add_missing_inverses(repository: Repository, new: Resource) -> None:
    """Add to a new resource the inverses of the relationships that others have to it already."""
    for other in repository.find(_KIND, {"resourceRelationship.resource.id": new["id"]}):
        types = {type_ for type_, target in edges(other) if target == new["id"]}
        _update_edges(
            repository,
            new["id"],
            other["id"],
            other,
            types_to_remove=(),
            types_to_add=types & set(INVERSE_TYPES),
        )


def _refuse_cycle(repository: Repository, new: Resource) -> None:
    """Check that neither the resource nor its content is among its containers."""
    id, content = new["id"], target_ids(new, CONTAINS_TYPES)

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        resources = repository.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        containers = {
            resource["id"]: target_ids(resource, CONTAINED_IN_TYPES) for resource in resources
        }
        # An edge from the content to the resource, so that one search finds either of them.
        return containers | {inner: {id} for inner in level & content}

    if is_reachable(id, target_ids(new, CONTAINED_IN_TYPES), fetch):
        raise Conflict(f"{_KIND} {id} would be inside itself")
