"""Tasks that acknowledge, clear, comment or group many alarms; safe to repeat.

The request selects the alarms that the client may read and lists them in the result of the task.
A few alarms are changed in the request itself, many by the worker. Alarms that could not be
changed are listed in ``failure``.
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
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most alarms that a request changes itself; the worker changes larger numbers.
MAX_SYNCHRONOUS_ALARMS = 200

#: Errors that concern a single alarm; any other error ends the attempt, and it is repeated.
PER_ALARM_ERRORS = (BadRequest, Conflict, Forbidden, NotFound)

AlarmEdit = Callable[[Resource, Resource], Resource]


@dataclass(frozen=True, slots=True)
class AlarmTask:
    """A kind of task on alarms.

    Attributes:
        kind: The kind of the task resource.
        result_attribute: The attribute that lists the changed alarms.
        edit_alarm: Returns the changed alarm for a task and an alarm; an alarm that needs no
            change is returned unchanged.
        pattern_attribute: The attribute with the patterns that select the alarms.
        edit_parent: Returns the changed parent alarm for the parent, an attribute and the ids of
            its children; None for tasks without a parent.
    """

    kind: str
    result_attribute: str
    edit_alarm: AlarmEdit
    pattern_attribute: str = "alarmPattern"
    edit_parent: Callable[[Resource, str, Iterable[str]], Resource] | None = None


def start_task(task_type: AlarmTask, repository: Repository, task: Resource) -> Resource:
    """Select the alarms of a task, and change them unless there are too many for a request.

    Raises:
        Conflict: Grouping would create a cycle (HTTP 409).
        InvalidBody: A pattern has no attribute, or an invalid attribute name (HTTP 400).
        Unprocessable: The patterns match too many alarms (HTTP 422).
    """
    patterns = json_objects(task.get(task_type.pattern_attribute))
    alarm_ids, missing = find_matching(repository, patterns, f"/{task_type.pattern_attribute}")
    failures = [_failure(id, "there is no such alarm") for id in missing]
    if task_type.edit_parent:
        parents, problem = _find_parent(repository, task)
        if problem:
            return _final_task(task_type, task, [], [*failures, problem])
        task = {**task, PARENTS: {**task[PARENTS], "id": parents[0]}}
        if task_type.edit_parent is with_references:
            refuse_cycle(repository, set(parents), set(alarm_ids))
    planned = {
        **task,
        task_type.result_attribute: [reference(id) for id in alarm_ids],
        "state": "inProgress",
    }
    if failures:
        planned["failure"] = failures
    if len(alarm_ids) > MAX_SYNCHRONOUS_ALARMS:
        return planned
    return _apply_task(task_type, repository, planned)


def complete_task(task_type: AlarmTask, repository: Repository, task: Resource) -> None:
    """Change the selected alarms of a stored task, unless the task has ended already."""
    current = repository.get(task_type.kind, task["id"])
    if current.get("state") != "inProgress":
        return
    ended = _apply_task(task_type, repository, current)
    repository.change(task_type.kind, task["id"], lambda _: ended)


def _apply_task(task_type: AlarmTask, repository: Repository, task: Resource) -> Resource:
    references = json_objects(task.get(task_type.result_attribute))
    alarm_ids = sorted(str(alarm["id"]) for alarm in references)
    failures = json_objects(task.get("failure"))
    if (edit_parent := task_type.edit_parent) and alarm_ids:
        parent_id = task[PARENTS]["id"]
        try:
            repository.change(
                "Alarm", parent_id, lambda parent: edit_parent(parent, CHILDREN, alarm_ids)
            )
        except NotFound:
            failures.append(_failure(parent_id, "there is no such alarm"))
            return _final_task(task_type, task, [], failures)
    changed = []
    for id in alarm_ids:
        try:
            repository.change("Alarm", id, lambda alarm: task_type.edit_alarm(task, alarm))
        except PER_ALARM_ERRORS as error:
            failures.append(_failure(id, error.message))
        else:
            changed.append(id)
    return _final_task(task_type, task, changed, failures)


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
    """Return the parent alarm of a task, or the failure if the pattern does not match just one."""
    patterns = json_objects([task.get(PARENTS)])
    parents, missing = find_matching(repository, patterns, f"/{PARENTS}")
    if len(parents) == 1:
        return parents, None
    id = missing[0] if missing else ""
    return [], _failure(id, f"parentAlarm matches {len(parents)} alarms; expected one")


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
    attributes = _task_attributes(task, "alarmClearedTime", "clearUserId", "clearSystemId")
    return {**alarm, "state": "cleared", **attributes}


def _commented_alarm(task: Resource, alarm: Resource) -> Resource:
    comment = task.get("comment")
    comments = json_objects(alarm.get("comment"))
    if not isinstance(comment, dict) or comment in comments:
        return alarm
    return {**alarm, "comment": [*comments, comment]}


def _grouped_alarm(task: Resource, alarm: Resource) -> Resource:
    grouped = with_references(alarm, PARENTS, {task[PARENTS]["id"]})
    if grouped is alarm:
        return alarm
    return {**grouped, **_task_attributes(task, "alarmChangedTime")}


def _ungrouped_alarm(task: Resource, alarm: Resource) -> Resource:
    if task[PARENTS]["id"] not in referenced_ids(alarm, PARENTS):
        return alarm
    ungrouped = without_references(alarm, PARENTS, {task[PARENTS]["id"]})
    return {**ungrouped, **_task_attributes(task, "alarmChangedTime")}


ALARM_TASKS = (
    AlarmTask("AckAlarm", "ackedAlarm", _acknowledged_alarm),
    AlarmTask("UnAckAlarm", "unAckedAlarm", _unacknowledged_alarm),
    AlarmTask("ClearAlarm", "clearedAlarm", _cleared_alarm),
    AlarmTask("CommentAlarm", "commentedAlarm", _commented_alarm),
    AlarmTask("GroupAlarm", "groupedAlarm", _grouped_alarm, CHILDREN, with_references),
    AlarmTask("UnGroupAlarm", "unGroupedAlarm", _ungrouped_alarm, CHILDREN, without_references),
)
