"""Groups of alarms: a child names its parents, a parent the alarms correlated under it."""

from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, Resource

PARENTS, CHILDREN = "parentAlarm", "correlatedAlarm"
_KIND = "Alarm"


def referenced_ids(alarm: Resource | None, attribute: str) -> set[str]:
    """Return the ids that an attribute of an alarm refers to."""
    return {str(one["id"]) for one in _references(alarm, attribute) if one.get("id")}


def with_references(alarm: Resource, attribute: str, alarm_ids: Iterable[str]) -> Resource:
    """Return the alarm with references to others that it does not have yet."""
    missing = sorted(set(alarm_ids) - referenced_ids(alarm, attribute))
    if not missing:
        return alarm
    added = [reference(other) for other in missing]
    return {**alarm, attribute: [*_references(alarm, attribute), *added]}


def without_references(alarm: Resource, attribute: str, alarm_ids: Iterable[str]) -> Resource:
    """Return the alarm without references to others."""
    gone = set(alarm_ids)
    if not gone & referenced_ids(alarm, attribute):
        return alarm
    kept = [one for one in _references(alarm, attribute) if str(one.get("id")) not in gone]
    rest = {key: value for key, value in alarm.items() if key != attribute}
    return {**rest, attribute: kept} if kept else rest


def reference(id: str) -> dict[str, Any]:
    """Return a reference to an alarm."""
    return {"@type": "AlarmRef", "id": id, "@referredType": _KIND}


def check_parents(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that does not make an alarm a consequence of itself.

    Raises:
        Conflict: It would (HTTP 409).
    """
    if new and referenced_ids(new, PARENTS) - referenced_ids(old, PARENTS):
        refuse_cycle(repository, referenced_ids(new, PARENTS), {new["id"]})


def refuse_cycle(repository: Repository, parents: set[str], children: set[str]) -> None:
    """Walk upwards from the parents; meeting a child closes a circle.

    Raises:
        Conflict: There is one (HTTP 409).
    """

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = repository.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        upwards = {one["id"]: referenced_ids(one, PARENTS) for one in found}
        return upwards | {child: {circle} for child in level & children}

    circle = min(children, default="")
    if children and is_reachable(circle, parents, fetch):
        raise Conflict(f"alarm {circle} or one grouped with it would be its own parent")


def update_inverse_references(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Let the parents list their children, and nobody an alarm that is gone.

    A correlated alarm that a client lists by itself is not made a child: it may be a sibling.
    """
    id = (new or old or {})["id"]
    touched = referenced_ids(old, PARENTS) ^ referenced_ids(new, PARENTS)
    now = referenced_ids(_current_alarm(repository, id), PARENTS) if touched else set()
    for parent in sorted(touched - {id}):
        link = with_references if parent in now else without_references
        _edit_references(repository, parent, CHILDREN, id, link)
    if new is None:
        for child in sorted(referenced_ids(old, CHILDREN) - {id}):
            _edit_references(repository, child, PARENTS, id, without_references)


def _edit_references(
    repository: Repository, id: str, attribute: str, other_id: str, edit: Any
) -> None:  # noqa: ANN401
    try:
        repository.change(_KIND, id, lambda alarm: edit(alarm, attribute, {other_id}))
    except NotFound:
        return


def _current_alarm(repository: Repository, id: str) -> Resource | None:
    try:
        return repository.get(_KIND, id)
    except NotFound:
        return None


def _references(alarm: Resource | None, attribute: str) -> list[dict[str, Any]]:
    value = (alarm or {}).get(attribute)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
