"""Fallout tasks: failures that a person has to resolve, and the decisions on them."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution.journal import COMPENSATE, TaskEntry
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Repository, Resource

FALLOUT_TASK = "FalloutTask"
RETRY, SKIP, CANCEL, FORCE = "retry", "skip", "cancel", "force"
#: Names of steps in tasks that earlier versions created.
FORMER_STEP_NAMES = {"acceptance": "taking up", "due date check": "looking at the date"}


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of a person on a fallout task.

    Attributes:
        action: ``retry``, ``skip``, ``cancel`` or ``force``.
        reason: The reason that the person gave.
        decided_by: The person.
    """

    action: str
    reason: str
    decided_by: str


def create_task(repository: Repository, key: OrderKey, entry: TaskEntry, order_path: str) -> str:
    """Create a fallout task for a task that failed; return its id.

    Safe to repeat for the same ``entry.fallout_count``.

    Args:
        repository: Of the tenant.
        key: The order that waits.
        entry: The failed task; its reason describes the failure.
        order_path: The absolute path of the order in its API.
    """
    name = f"{key.qualified_id}/{entry.task.id}/{entry.fallout_count}"
    order = {
        "@type": "EntityRef",
        "id": key.order,
        "@referredType": key.kind,
        "href": order_path,
    }
    action = "compensate" if entry.goal == COMPENSATE else entry.task.action
    task: Resource = {
        "@type": FALLOUT_TASK,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": order,
        "orderItemId": entry.task.item,
        "task": entry.task.id,
        "element": entry.element,
        "reason": f"{action} {entry.task.service}: {entry.explanation}",
        "attempts": entry.attempts,
    }
    with suppress(Conflict):  # created by an interrupted attempt
        repository.create(FALLOUT_TASK, task)
    return str(task["id"])


def report_failure(
    repository: Repository, key: OrderKey, step: str, error: Exception, attempts: int
) -> str:
    """Create a fallout task for a step that fails by an error of this program; return its id.

    The step is retried regardless of the decision: it needs a new release or other data. There is
    an open fallout task as long as it fails.

    Args:
        repository: Of the tenant.
        key: The order that waits.
        step: Name of the step.
        error: The error of the last attempt.
        attempts: Number of failed attempts.
    """
    existing = _find_tasks(repository, key, step)
    if open_tasks := [task for task in existing if task["state"] == "open"]:
        return str(open_tasks[0]["id"])
    name = f"{key.qualified_id}/{step}/{len(existing)}"
    task: Resource = {
        "@type": FALLOUT_TASK,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": {"@type": "EntityRef", "id": key.order, "@referredType": key.kind},
        "task": step,
        "reason": (
            f"{step} fails with {type(error).__name__}: {error}; the worker's log has the traceback"
        ),
        "attempts": attempts,
    }
    with suppress(Conflict):  # created by a concurrent attempt
        repository.create(FALLOUT_TASK, task)
    return str(task["id"])


def withdraw_failure(repository: Repository, key: OrderKey, step: str) -> None:
    """Cancel the fallout tasks of a step that has succeeded."""
    for task in _find_tasks(repository, key, step):
        _cancel_task(repository, str(task["id"]))


def _find_tasks(repository: Repository, key: OrderKey, step: str) -> list[Resource]:
    names = [step, FORMER_STEP_NAMES.get(step, step)]
    query = {"order.id": key.order, "task": {"$in": names}}
    return list(repository.find(FALLOUT_TASK, query, limit=1000))


def decisions(repository: Repository, entries: Iterable[TaskEntry]) -> Mapping[str, Decision]:
    """Return the decisions on waiting entries, by the ids of the entries.

    An entry whose fallout task was deleted is retried.
    """
    waiting = {entry.fallout_task: entry.id for entry in entries if entry.state == "waiting"}
    if not waiting:
        return {}
    tasks = repository.find(FALLOUT_TASK, {"id": {"$in": sorted(waiting)}}, limit=len(waiting))
    existing_ids = {task["id"] for task in tasks}
    decided = {
        waiting[task["id"]]: Decision(
            str(task["decision"]),
            str(task.get("decisionReason") or ""),
            str(task.get("decidedBy") or "a person"),
        )
        for task in tasks
        if task.get("decision")
    }
    deleted = {
        waiting[id]: Decision(RETRY, "", "nobody") for id in waiting if id not in existing_ids
    }
    return decided | deleted


def withdraw(repository: Repository, entry: TaskEntry) -> None:
    """Cancel the fallout task of an entry: no decision is needed any more."""
    _cancel_task(repository, entry.fallout_task)


def _cancel_task(repository: Repository, id: str) -> None:
    def cancel(task: Resource) -> Resource:
        return {**task, "state": "cancelled"} if task.get("state") == "open" else task

    with suppress(NotFound):
        repository.change(FALLOUT_TASK, id, cancel)
