"""Groups of alarms: a child refers to its parents, a parent to its correlated alarms."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from tmf_apis.errors import Conflict, Forbidden, NotFound
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource

PARENTS, CHILDREN = "parentAlarm", "correlatedAlarm"
_KIND = "Alarm"


def referenced_ids(alarm: Resource | None, attribute: str) -> set[str]:
    """Return the ids of the alarms that an attribute refers to."""
    references = _references(alarm, attribute)
    return {str(reference["id"]) for reference in references if reference.get("id")}


def with_references(alarm: Resource, attribute: str, alarm_ids: Iterable[str]) -> Resource:
    """Return the alarm with references to the given alarms; unchanged if it has them all."""
    missing = sorted(set(alarm_ids) - referenced_ids(alarm, attribute))
    if not missing:
        return alarm
    added = [reference(id) for id in missing]
    return {**alarm, attribute: [*_references(alarm, attribute), *added]}


def without_references(alarm: Resource, attribute: str, alarm_ids: Iterable[str]) -> Resource:
    """Return the alarm without references to the given alarms; unchanged if it has none."""
    removed_ids = set(alarm_ids)
    if not removed_ids & referenced_ids(alarm, attribute):
        return alarm
    remaining = [
        reference
        for reference in _references(alarm, attribute)
        if str(reference.get("id")) not in removed_ids
    ]
    rest = {key: value for key, value in alarm.items() if key != attribute}
    return {**rest, attribute: remaining} if remaining else rest


def reference(id: str) -> dict[str, Any]:
    """Return a reference to an alarm."""
    return {"@type": "AlarmRef", "id": id, "@referredType": _KIND}


def check_parents(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that an alarm does not become its own ancestor.

    Raises:
        Conflict: A new parent is a descendant of the alarm (HTTP 409).
    """
    if new and _has_new_parent(old, new):
        refuse_cycle(repository, referenced_ids(new, PARENTS), {new["id"]})


def lock_name(old: Resource | None, new: Resource, context: RequestContext) -> str:  # noqa: ARG001
    """Return the lock of the groups of alarms, if an existing alarm gets a parent."""
    return "Alarm.parentAlarm" if old is not None and _has_new_parent(old, new) else ""


def _has_new_parent(old: Resource | None, new: Resource) -> bool:
    return bool(referenced_ids(new, PARENTS) - referenced_ids(old, PARENTS))


def refuse_cycle(repository: Repository, parents: set[str], children: set[str]) -> None:
    """Check that no parent, nor an ancestor of one, is among the children.

    Raises:
        Conflict: The group would have a cycle (HTTP 409).
    """

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        alarms = repository.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        parents_by_id = {alarm["id"]: referenced_ids(alarm, PARENTS) for alarm in alarms}
        # An edge from every child to the goal, so that one search finds any of them.
        return parents_by_id | {child: {goal} for child in level & children}

    goal = min(children, default="")
    if children and is_reachable(goal, parents, fetch):
        raise Conflict(f"alarm {goal} or one grouped with it would be its own parent")


def update_inverse_references(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Make the parents list their children, and remove references to a deleted alarm.

    A correlated alarm that only the parent lists does not become a child: it may be a sibling.
    """
    id = (new or old or {})["id"]
    touched = referenced_ids(old, PARENTS) ^ referenced_ids(new, PARENTS)
    current = referenced_ids(get_or_none(repository, _KIND, id), PARENTS) if touched else set()
    for parent in sorted(touched - {id}):
        edit = with_references if parent in current else without_references
        _edit_references(repository, parent, CHILDREN, id, edit)
    if new is None:
        for child in sorted(referenced_ids(old, CHILDREN) - {id}):
            _edit_references(repository, child, PARENTS, id, without_references)


def _edit_references(
    repository: Repository,
    id: str,
    attribute: str,
    other_id: str,
    edit: Callable[[Resource, str, Iterable[str]], Resource],
) -> None:
    with suppress(NotFound, Forbidden):
        repository.change(_KIND, id, lambda alarm: edit(alarm, attribute, {other_id}))


def _references(alarm: Resource | None, attribute: str) -> list[dict[str, Any]]:
    return json_objects((alarm or {}).get(attribute))
