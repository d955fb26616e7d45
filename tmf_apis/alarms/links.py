"""Groups of alarms: a child names its parents, a parent the alarms correlated under it."""

from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.rest.cycles import reaches
from tmf_apis.rest.law import Desk, Resource

PARENTS, CHILDREN = "parentAlarm", "correlatedAlarm"
_KIND = "Alarm"


def ids(alarm: Resource | None, attribute: str) -> set[str]:
    """Return the ids that an attribute of an alarm refers to."""
    return {str(one["id"]) for one in _references(alarm, attribute) if one.get("id")}


def linked(alarm: Resource, attribute: str, others: Iterable[str]) -> Resource:
    """Return the alarm with references to others that it does not have yet."""
    missing = sorted(set(others) - ids(alarm, attribute))
    if not missing:
        return alarm
    added = [reference(other) for other in missing]
    return {**alarm, attribute: [*_references(alarm, attribute), *added]}


def unlinked(alarm: Resource, attribute: str, others: Iterable[str]) -> Resource:
    """Return the alarm without references to others."""
    gone = set(others)
    if not gone & ids(alarm, attribute):
        return alarm
    kept = [one for one in _references(alarm, attribute) if str(one.get("id")) not in gone]
    rest = {key: value for key, value in alarm.items() if key != attribute}
    return {**rest, attribute: kept} if kept else rest


def reference(id: str) -> dict[str, Any]:
    """Return a reference to an alarm."""
    return {"@type": "AlarmRef", "id": id, "@referredType": _KIND}


def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that does not make an alarm a consequence of itself.

    Raises:
        Conflict: It would (HTTP 409).
    """
    if new and ids(new, PARENTS) - ids(old, PARENTS):
        refuse_circle(desk, ids(new, PARENTS), {new["id"]})


def refuse_circle(desk: Desk, parents: set[str], children: set[str]) -> None:
    """Walk upwards from the parents; meeting a child closes a circle.

    Raises:
        Conflict: There is one (HTTP 409).
    """

    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = desk.find(_KIND, {"id": {"$in": sorted(level)}}, limit=len(level))
        upwards = {one["id"]: ids(one, PARENTS) for one in found}
        return upwards | {child: {circle} for child in level & children}

    circle = min(children, default="")
    if children and reaches(circle, parents, fetch):
        raise Conflict(f"alarm {circle} or one grouped with it would be its own parent")


def mirror(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let the parents list their children, and nobody an alarm that is gone.

    A correlated alarm that a client lists by itself is not made a child: it may be a sibling.
    """
    id = (new or old or {})["id"]
    touched = ids(old, PARENTS) ^ ids(new, PARENTS)
    now = ids(_present(desk, id), PARENTS) if touched else set()
    for parent in sorted(touched - {id}):
        link = linked if parent in now else unlinked
        _edit(desk, parent, CHILDREN, id, link)
    if new is None:
        for child in sorted(ids(old, CHILDREN) - {id}):
            _edit(desk, child, PARENTS, id, unlinked)


def _edit(desk: Desk, id: str, attribute: str, other: str, link: Any) -> None:  # noqa: ANN401
    try:
        desk.change(_KIND, id, lambda alarm: link(alarm, attribute, {other}))
    except NotFound:
        return


def _present(desk: Desk, id: str) -> Resource | None:
    try:
        return desk.get(_KIND, id)
    except NotFound:
        return None


def _references(alarm: Resource | None, attribute: str) -> list[dict[str, Any]]:
    value = (alarm or {}).get(attribute)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
