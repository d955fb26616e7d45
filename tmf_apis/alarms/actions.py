"""Tasks on alarms: acknowledge, clear, comment and group, many at once; safe to repeat.

The alarms are found at once, as the client may see them, and stand in the task's result; few are
changed in the request, many by the worker. What could not be done stands in ``failure``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.alarms.finding import matching
from tmf_apis.alarms.links import (
    CHILDREN,
    PARENTS,
    ids,
    linked,
    reference,
    refuse_circle,
    unlinked,
)
from tmf_apis.alarms.rules import is_cleared
from tmf_apis.errors import BadRequest, Conflict, Forbidden, NotFound
from tmf_apis.rest.law import Desk, Resource

#: Most alarms that are changed in the request itself; more are left to the worker.
AT_ONCE = 200

#: What stands in the way of one alarm only; anything else ends the attempt, to be made again.
REFUSALS = (BadRequest, Conflict, Forbidden, NotFound)

Edit = Callable[[Resource, Resource], Resource]


@dataclass(frozen=True, slots=True)
class Deed:
    """What one kind of task does.

    Attributes:
        kind: The task's kind.
        result: Its attribute that lists the alarms it was done to.
        edit: From task and alarm to the alarm as it should be; an alarm that is so already is
            returned as it is.
        patterns: Its attribute that says which alarms.
        parent: From parent and children to the parent as it should be, where there is one.
    """

    kind: str
    result: str
    edit: Edit
    patterns: str = "alarmPattern"
    parent: Callable[[Resource, str, Iterable[str]], Resource] | None = None


def act(deed: Deed, desk: Desk, task: Resource) -> Resource:
    """Do a task, or find what is to be done and leave it to the worker where that is much.

    Raises:
        Conflict: Grouping would close a circle (HTTP 409).
        InvalidBody: A pattern has no attribute (HTTP 400).
        Unprocessable: The patterns match too many alarms (HTTP 422).
    """
    found, missing = matching(desk, _objects(task.get(deed.patterns)), f"/{deed.patterns}")
    failures = [_failure(id, "there is no such alarm") for id in missing]
    if deed.parent:
        parents, problem = _parent(desk, task)
        if problem:
            return _ended(deed, task, [], [*failures, problem])
        task = {**task, PARENTS: {**task[PARENTS], "id": parents[0]}}
        if deed.parent is linked:
            refuse_circle(desk, set(parents), set(found))
    planned = {**task, deed.result: [reference(id) for id in found], "state": "inProgress"}
    if failures:
        planned["failure"] = failures
    return _perform(deed, desk, planned) if len(found) <= AT_ONCE else planned


def begin(deed: Deed, desk: Desk, task: Resource) -> None:
    """Do what a stored task has planned; once it is done, nothing happens any more."""
    current = desk.get(deed.kind, task["id"])
    if current.get("state") != "inProgress":
        return
    ended = _perform(deed, desk, current)
    desk.change(deed.kind, task["id"], lambda _: ended)


def _perform(deed: Deed, desk: Desk, task: Resource) -> Resource:
    planned = sorted(str(one["id"]) for one in _objects(task.get(deed.result)))
    failures = _objects(task.get("failure"))
    if (make := deed.parent) and planned:
        parent = task[PARENTS]["id"]
        try:
            desk.change("Alarm", parent, lambda alarm: make(alarm, CHILDREN, planned))
        except NotFound:
            return _ended(deed, task, [], [*failures, _failure(parent, "there is no such alarm")])
    done = []
    for id in planned:
        try:
            desk.change("Alarm", id, lambda alarm: deed.edit(task, alarm))
        except REFUSALS as error:
            failures.append(_failure(id, error.message))
        else:
            done.append(id)
    return _ended(deed, task, done, failures)


def _ended(
    deed: Deed, task: Resource, done: Iterable[str], failures: list[dict[str, Any]]
) -> Resource:
    state = "terminatedWithError" if failures else "done"
    ended = {**task, deed.result: [reference(id) for id in done], "state": state}
    return {**ended, "failure": failures} if failures else ended


def _failure(id: str, reason: str) -> dict[str, Any]:
    return {"@type": "TaskFailure", "alarm": reference(id), "reason": reason}


def _parent(desk: Desk, task: Resource) -> tuple[list[str], dict[str, Any] | None]:
    """Return the one alarm that the task calls the parent, or what is wrong with it."""
    wanted = _objects([task.get(PARENTS)])
    found, missing = matching(desk, wanted, f"/{PARENTS}")
    if len(found) == 1:
        return found, None
    name = missing[0] if missing else ""
    return [], _failure(name, f"parentAlarm matches {len(found)} alarms; expected one")


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _taken(task: Resource, *names: str) -> Resource:
    return {name: task[name] for name in names if task.get(name) is not None}


def _acknowledged(task: Resource, alarm: Resource) -> Resource:
    if alarm.get("ackState") == "acknowledged":
        return alarm
    return {**alarm, "ackState": "acknowledged", **_taken(task, "ackUserId", "ackSystemId")}


def _unacknowledged(task: Resource, alarm: Resource) -> Resource:
    if alarm.get("ackState") != "acknowledged":
        return alarm
    return {**alarm, "ackState": "unacknowledged", **_taken(task, "ackUserId", "ackSystemId")}


def _cleared(task: Resource, alarm: Resource) -> Resource:
    if is_cleared(alarm):
        return alarm
    said = _taken(task, "alarmClearedTime", "clearUserId", "clearSystemId")
    return {**alarm, "state": "cleared", **said}


def _commented(task: Resource, alarm: Resource) -> Resource:
    comment = task.get("comment")
    before = _objects(alarm.get("comment"))
    if not isinstance(comment, dict) or comment in before:
        return alarm
    return {**alarm, "comment": [*before, comment]}


def _grouped(task: Resource, alarm: Resource) -> Resource:
    made = linked(alarm, PARENTS, {task[PARENTS]["id"]})
    return made if made is alarm else {**made, **_taken(task, "alarmChangedTime")}


def _ungrouped(task: Resource, alarm: Resource) -> Resource:
    if task[PARENTS]["id"] not in ids(alarm, PARENTS):
        return alarm
    made = unlinked(alarm, PARENTS, {task[PARENTS]["id"]})
    return {**made, **_taken(task, "alarmChangedTime")}


DEEDS = (
    Deed("AckAlarm", "ackedAlarm", _acknowledged),
    Deed("UnAckAlarm", "unAckedAlarm", _unacknowledged),
    Deed("ClearAlarm", "clearedAlarm", _cleared),
    Deed("CommentAlarm", "commentedAlarm", _commented),
    Deed("GroupAlarm", "groupedAlarm", _grouped, CHILDREN, linked),
    Deed("UnGroupAlarm", "unGroupedAlarm", _ungrouped, CHILDREN, unlinked),
)
