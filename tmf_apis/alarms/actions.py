"""Tasks on alarms: acknowledge, clear, comment and group, many at once; safe to repeat.

The alarms are found at once, as the client may see them, and stand in the task's result; few are
changed in the request, many by the worker. What could not be done stands in ``failure``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.alarms.links import (
    CHILDREN,
    PARENTS,
    reference,
    referenced_ids,
    refuse_cycle,
    with_references,
    without_references,
)
from tmf_apis.alarms.queries import find_matching
from tmf_apis.alarms.rules import is_cleared
from tmf_apis.errors import BadRequest, Conflict, Forbidden, NotFound
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most alarms that are changed in the request itself; more are left to the worker.
MAX_SYNCHRONOUS_ALARMS = 200

#: What stands in the way of one alarm only; anything else ends the attempt, to be made again.
PER_ALARM_ERRORS = (BadRequest, Conflict, Forbidden, NotFound)

AlarmEdit = Callable[[Resource, Resource], Resource]


@dataclass(frozen=True, slots=True)
class AlarmTask:
    """What one kind of task does.

    Attributes:
        kind: The task's kind.
        result_attribute: Its attribute that lists the alarms it was done to.
        edit_alarm: From task and alarm to the alarm as it should be; an alarm that is so already is
            returned as it is.
        pattern_attribute: Its attribute that says which alarms.
        edit_parent: From parent and children to the parent as it should be, where there is one.
    """

    kind: str
    result_attribute: str
    edit_alarm: AlarmEdit
    pattern_attribute: str = "alarmPattern"
    edit_parent: Callable[[Resource, str, Iterable[str]], Resource] | None = None


def start_task(task_type: AlarmTask, repository: Repository, task: Resource) -> Resource:
    """Do a task, or find what is to be done and leave it to the worker where that is much.

    Raises:
        Conflict: Grouping would close a circle (HTTP 409).
        InvalidBody: A pattern has no attribute (HTTP 400).
        Unprocessable: The patterns match too many alarms (HTTP 422).
    """
    found, missing = find_matching(
        repository,
        _objects(task.get(task_type.pattern_attribute)),
        f"/{task_type.pattern_attribute}",
    )
    failures = [_failure(id, "there is no such alarm") for id in missing]
    if task_type.edit_parent:
        parents, problem = _find_parent(repository, task)
        if problem:
            return _final_task(task_type, task, [], [*failures, problem])
        task = {**task, PARENTS: {**task[PARENTS], "id": parents[0]}}
        if task_type.edit_parent is with_references:
            refuse_cycle(repository, set(parents), set(found))
    planned = {
        **task,
        task_type.result_attribute: [reference(id) for id in found],
        "state": "inProgress",
    }
    if failures:
        planned["failure"] = failures
    return (
        _apply_task(task_type, repository, planned)
        if len(found) <= MAX_SYNCHRONOUS_ALARMS
        else planned
    )


def complete_task(task_type: AlarmTask, repository: Repository, task: Resource) -> None:
    """Do what a stored task has planned; once it is done, nothing happens any more."""
    current = repository.get(task_type.kind, task["id"])
    if current.get("state") != "inProgress":
        return
    ended = _apply_task(task_type, repository, current)
    repository.change(task_type.kind, task["id"], lambda _: ended)


def _apply_task(task_type: AlarmTask, repository: Repository, task: Resource) -> Resource:
    planned = sorted(str(one["id"]) for one in _objects(task.get(task_type.result_attribute)))
    failures = _objects(task.get("failure"))
    if (make := task_type.edit_parent) and planned:
        parent = task[PARENTS]["id"]
        try:
            repository.change("Alarm", parent, lambda alarm: make(alarm, CHILDREN, planned))
        except NotFound:
            return _final_task(
                task_type, task, [], [*failures, _failure(parent, "there is no such alarm")]
            )
    done = []
    for id in planned:
        try:
            repository.change("Alarm", id, lambda alarm: task_type.edit_alarm(task, alarm))
        except PER_ALARM_ERRORS as error:
            failures.append(_failure(id, error.message))
        else:
            done.append(id)
    return _final_task(task_type, task, done, failures)


def _final_task(
    task_type: AlarmTask, task: Resource, alarm_ids: Iterable[str], failures: list[dict[str, Any]]
) -> Resource:
    state = "terminatedWithError" if failures else "done"
    ended = {
        **task,
        task_type.result_attribute: [reference(id) for id in alarm_ids],
        "state": state,
    }
    return {**ended, "failure": failures} if failures else ended


def _failure(id: str, reason: str) -> dict[str, Any]:
    return {"@type": "TaskFailure", "alarm": reference(id), "reason": reason}


def _find_parent(repository: Repository, task: Resource) -> tuple[list[str], dict[str, Any] | None]:
    """Return the one alarm that the task calls the parent, or what is wrong with it."""
    wanted = _objects([task.get(PARENTS)])
    found, missing = find_matching(repository, wanted, f"/{PARENTS}")
    if len(found) == 1:
        return found, None
    name = missing[0] if missing else ""
    return [], _failure(name, f"parentAlarm matches {len(found)} alarms; expected one")


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _task_attributes(task: Resource, *names: str) -> Resource:
    return {name: task[name] for name in names if task.get(name) is not None}


def _acknowledged_alarm(task: Resource, alarm: Resource) -> Resource:
    if alarm.get("ackState") == "acknowledged":
        return alarm
    return {
        **alarm,
        "ackState": "acknowledged",
        **_task_attributes(task, "ackUserId", "ackSystemId"),
    }


def _unacknowledged_alarm(task: Resource, alarm: Resource) -> Resource:
    if alarm.get("ackState") != "acknowledged":
        return alarm
    return {
        **alarm,
        "ackState": "unacknowledged",
        **_task_attributes(task, "ackUserId", "ackSystemId"),
    }


def _cleared_alarm(task: Resource, alarm: Resource) -> Resource:
    if is_cleared(alarm):
        return alarm
    said = _task_attributes(task, "alarmClearedTime", "clearUserId", "clearSystemId")
    return {**alarm, "state": "cleared", **said}


def _commented_alarm(task: Resource, alarm: Resource) -> Resource:
    comment = task.get("comment")
    before = _objects(alarm.get("comment"))
    if not isinstance(comment, dict) or comment in before:
        return alarm
    return {**alarm, "comment": [*before, comment]}


def _grouped_alarm(task: Resource, alarm: Resource) -> Resource:
    made = with_references(alarm, PARENTS, {task[PARENTS]["id"]})
    return made if made is alarm else {**made, **_task_attributes(task, "alarmChangedTime")}


def _ungrouped_alarm(task: Resource, alarm: Resource) -> Resource:
    if task[PARENTS]["id"] not in referenced_ids(alarm, PARENTS):
        return alarm
    made = without_references(alarm, PARENTS, {task[PARENTS]["id"]})
    return {**made, **_task_attributes(task, "alarmChangedTime")}


ALARM_TASKS = (
    AlarmTask("AckAlarm", "ackedAlarm", _acknowledged_alarm),
    AlarmTask("UnAckAlarm", "unAckedAlarm", _unacknowledged_alarm),
    AlarmTask("ClearAlarm", "clearedAlarm", _cleared_alarm),
    AlarmTask("CommentAlarm", "commentedAlarm", _commented_alarm),
    AlarmTask("GroupAlarm", "groupedAlarm", _grouped_alarm, CHILDREN, with_references),
    AlarmTask("UnGroupAlarm", "unGroupedAlarm", _ungrouped_alarm, CHILDREN, without_references),
)
