"""What a resource's law looks up, and how the other side of a relationship is kept right."""

from collections.abc import Iterable, Mapping

from tmf_apis.errors import Conflict, NotFound, Stale
from tmf_apis.inventory.relationships import (
    CONTAINED_IN_TYPES,
    CONTAINS_TYPES,
    DEPENDENCY_TYPES,
    INVERSE_TYPES,
    edges,
    target_ids,
    with_edge,
    without_edge,
)
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most dependents that a refusal names.
MAX_NAMED_DEPENDENTS = 5
_KIND = "Resource"


def check_relationships(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that leaves no resource inside itself and nothing without what it needs.

    Raises:
        Conflict: It would (HTTP 409).
    """
    if new is None:
        if old is not None:
            _refuse_while_needed(repository, old)
        return
    contained = CONTAINED_IN_TYPES | CONTAINS_TYPES
    if {one for one in edges(new) - edges(old) if one[0] in contained}:
        _refuse_cycle(repository, new)


def update_inverse_relationships(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Give the other side of each relationship its inverse, and take away what is gone.

    What counts is what the resource says now, so that a repetition, however late, is harmless.
    An id that is not there is left alone: references are not resolved.
    """
    resource = new or old or {}
    id = resource["id"]
    touched = edges(old) ^ edges(new)
    if new is not None and old is None:
        _add_missing_inverses(repository, new)
    if not any(type_ in INVERSE_TYPES for type_, _ in touched):
        return
    now = _current_resource(repository, id)
    for target in sorted({target for _, target in touched} - {id}):
        of_target = {
            type_ for type_, other in touched if other == target and type_ in INVERSE_TYPES
        }
        kept = {type_ for type_, other in edges(now) if other == target}
        _update_edges(
            repository,
            target,
            id,
            now,
            types_to_remove=of_target - kept,
            types_to_add=of_target & kept,
        )


def _update_edges(  # noqa: PLR0913 - one call a pair of resources
    repository: Repository,
    target_id: str,
    id: str,
    resource: Resource | None,
    *,
    types_to_remove: Iterable[str],
    types_to_add: Iterable[str],
) -> None:
    """Take from a resource the inverses of what is gone, and give it those of what is wanted."""

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
    except (NotFound, Conflict):
        # It is not there, or two clients have closed a circle at the same moment: what each of
        # them said about its own resource stays.
        return


def _add_missing_inverses(repository: Repository, new: Resource) -> None:
    """Give a new resource the inverses of those that named it before it was there."""
    for other in repository.find(_KIND, {"resourceRelationship.resource.id": new["id"]}):
        wanted = {type_ for type_, target in edges(other) if target == new["id"]} & set(
            INVERSE_TYPES
        )
        _update_edges(
            repository, new["id"], other["id"], other, types_to_remove=(), types_to_add=wanted
        )


def _current_resource(repository: Repository, id: str) -> Resource | None:
    try:
        return repository.get(_KIND, id)
    except NotFound:
        return None


def _refuse_while_needed(repository: Repository, old: Resource) -> None:
    says_so = {"relationshipType": {"$in": sorted(DEPENDENCY_TYPES)}, "resource.id": old["id"]}
    query = {"id": {"$ne": old["id"]}, "resourceRelationship": {"$elemMatch": says_so}}
    dependents = repository.find(_KIND, query, limit=MAX_NAMED_DEPENDENTS + 1)
    if dependents:
        names = ", ".join(
            f"{one.get('name', '')} ({one['id']})" for one in dependents[:MAX_NAMED_DEPENDENTS]
        )
        more = " and more" if len(dependents) > MAX_NAMED_DEPENDENTS else ""
        raise Conflict(f"{_KIND} {old['id']} is needed by {names}{more}")


def _refuse_cycle(repository: Repository, new: Resource) -> None:
    """Walk outwards from the resource; meeting it or anything inside it closes a circle."""
    id, content = new["id"], target_ids(new, CONTAINS_TYPES)

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = repository.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        outwards = {one["id"]: target_ids(one, CONTAINED_IN_TYPES) for one in found}
        return outwards | {inner: {id} for inner in level & content}

    if is_reachable(id, target_ids(new, CONTAINED_IN_TYPES), fetch):
        raise Conflict(f"{_KIND} {id} would be inside itself")
