"""What a resource's law looks up, and how the other side of a relationship is kept right."""

from collections.abc import Iterable, Mapping

from tmf_apis.errors import Conflict, NotFound, Stale
from tmf_apis.inventory.relationships import (
    AROUND,
    INSIDE,
    INVERSE,
    NEEDS,
    edges,
    targets,
    with_edge,
    without_edge,
)
from tmf_apis.rest.cycles import reaches
from tmf_apis.rest.law import Desk, Resource

#: Most dependents that a refusal names.
NAMED = 5
_KIND = "Resource"


def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that leaves no resource inside itself and nothing without what it needs.

    Raises:
        Conflict: It would (HTTP 409).
    """
    if new is None:
        if old is not None:
            _refuse_while_needed(desk, old)
        return
    contained = INSIDE | AROUND
    if {one for one in edges(new) - edges(old) if one[0] in contained}:
        _refuse_cycle(desk, new)


def mirror(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Give the other side of each relationship its inverse, and take away what is gone.

    What counts is what the resource says now, so that a repetition, however late, is harmless.
    An id that is not there is left alone: references are not resolved.
    """
    resource = new or old or {}
    id = resource["id"]
    touched = edges(old) ^ edges(new)
    if new is not None and old is None:
        _adopt(desk, new)
    if not any(type_ in INVERSE for type_, _ in touched):
        return
    now = _present(desk, id)
    for target in sorted({target for _, target in touched} - {id}):
        of_target = {type_ for type_, other in touched if other == target and type_ in INVERSE}
        kept = {type_ for type_, other in edges(now) if other == target}
        _set_edges(desk, target, id, now, gone=of_target - kept, wanted=of_target & kept)


def _set_edges(  # noqa: PLR0913 - one call a pair of resources
    desk: Desk,
    target: str,
    id: str,
    resource: Resource | None,
    *,
    gone: Iterable[str],
    wanted: Iterable[str],
) -> None:
    """Take from a resource the inverses of what is gone, and give it those of what is wanted."""

    def edit(other: Resource) -> Resource:
        for type_ in sorted(gone):
            other = without_edge(other, (INVERSE[type_], id))
        for type_ in sorted(wanted):
            other = with_edge(other, (INVERSE[type_], id), resource or {})
        return other

    try:
        desk.change(_KIND, target, edit)
    except Stale:
        raise
    except (NotFound, Conflict):
        # It is not there, or two clients have closed a circle at the same moment: what each of
        # them said about its own resource stays.
        return


def _adopt(desk: Desk, new: Resource) -> None:
    """Give a new resource the inverses of those that named it before it was there."""
    for other in desk.find(_KIND, {"resourceRelationship.resource.id": new["id"]}):
        wanted = {type_ for type_, target in edges(other) if target == new["id"]} & set(INVERSE)
        _set_edges(desk, new["id"], other["id"], other, gone=(), wanted=wanted)


def _present(desk: Desk, id: str) -> Resource | None:
    try:
        return desk.get(_KIND, id)
    except NotFound:
        return None


def _refuse_while_needed(desk: Desk, old: Resource) -> None:
    says_so = {"relationshipType": {"$in": sorted(NEEDS)}, "resource.id": old["id"]}
    query = {"id": {"$ne": old["id"]}, "resourceRelationship": {"$elemMatch": says_so}}
    dependents = desk.find(_KIND, query, limit=NAMED + 1)
    if dependents:
        names = ", ".join(f"{one.get('name', '')} ({one['id']})" for one in dependents[:NAMED])
        more = " and more" if len(dependents) > NAMED else ""
        raise Conflict(f"{_KIND} {old['id']} is needed by {names}{more}")


def _refuse_cycle(desk: Desk, new: Resource) -> None:
    """Walk outwards from the resource; meeting it or anything inside it closes a circle."""
    id, content = new["id"], targets(new, AROUND)

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = desk.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        outwards = {one["id"]: targets(one, INSIDE) for one in found}
        return outwards | {inner: {id} for inner in level & content}

    if reaches(id, targets(new, INSIDE), fetch):
        raise Conflict(f"{_KIND} {id} would be inside itself")
