"""Fallout tasks: failures that a person has to resolve, and the decisions on them."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution.journal import COMPENSATE, TaskEntry
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Repository, Resource

FALLOUT_TASK = "FalloutTask"
#: ``task`` of the fallout task for an element that does not answer, and most orders that share one:
#: each of them is added to the document, which must not grow without a limit.
OUTAGE, MAX_AFFECTED_ORDERS = "outage", 1000
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


def create_task(
    repository: Repository, key: OrderKey, entry: TaskEntry, order_path: str, *, outage: bool
) -> str:
    """Create a fallout task for a task that failed; return its id.

    Orders that wait for an element that does not answer share one task, up to
    ``MAX_AFFECTED_ORDERS``. Safe to repeat for the same ``entry.fallout_count``.

    Args:
        repository: Of the tenant.
        key: The order that waits.
        entry: The failed task; its reason describes the failure.
        order_path: The absolute path of the order in its API.
        outage: The element does not answer, and the task has not begun to be undone.
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
    if outage:
        return _join_outage(repository, task)
    with suppress(Conflict):  # created by an interrupted attempt
        repository.create(FALLOUT_TASK, task)
    return str(task["id"])


def _join_outage(repository: Repository, task: Resource) -> str:
    """Add an order to the open task for an element that does not answer, or create the task."""
    order, element = task["order"], task["element"]
    query = {"element": element, "task": OUTAGE}
    latest = next(iter(repository.find(FALLOUT_TASK, query, limit=1, sort="-creationDate")), {})
    id = str(latest.get("id", ""))
    if not _can_join(latest, order["id"]):
        # named after the one before, so that orders that fail at the same time create one task
        name = f"{repository.tenant}:{OUTAGE}:{element}:{id}"
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        new = {**task, "id": id, "task": OUTAGE, "affectedOrder": [order]}
        with suppress(Conflict):  # created by another order at this moment
            repository.create(FALLOUT_TASK, new)

    def with_order(old: Resource) -> Resource:
        orders = json_objects(old.get("affectedOrder"))
        if old.get("state") != "open" or any(each["id"] == order["id"] for each in orders):
            return old
        return {**old, "affectedOrder": [*orders, order]}

    # a decision that is made at this moment counts for this order, too: it finds it in its journal
    repository.change(FALLOUT_TASK, id, with_order)
    return id


def _can_join(task: Mapping[str, Any], order: str) -> bool:
    """Return whether an order has joined the task for an outage, or still can."""
    ids = [each["id"] for each in json_objects(task.get("affectedOrder"))]
    return task.get("state") == "open" and (order in ids or len(ids) < MAX_AFFECTED_ORDERS)


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

    An entry whose fallout task was deleted or withdrawn is retried.
    """
    waiting: dict[str, list[str]] = {}
    for entry in entries:
        if entry.state == "waiting":
            waiting.setdefault(entry.fallout_task, []).append(entry.id)
    if not waiting:
        return {}
    tasks = repository.find(FALLOUT_TASK, {"id": {"$in": sorted(waiting)}}, limit=len(waiting))
    undecided = {task["id"] for task in tasks if not task.get("decision")}
    withdrawn = {task["id"] for task in tasks if task["state"] == "cancelled"}
    by_task = {
        task["id"]: Decision(
            str(task["decision"]),
            str(task.get("decisionReason") or ""),
            str(task.get("decidedBy") or "a person"),
        )
        for task in tasks
        if task.get("decision")
    }
    return {
        entry: by_task.get(id, Decision(RETRY, "", "nobody"))
        for id, entry_ids in waiting.items()
        if id not in undecided - withdrawn
        for entry in entry_ids
    }


def withdraw(repository: Repository, entry: TaskEntry) -> None:
    """Cancel the fallout task of an entry, unless other orders wait for it, too."""
    order = entry.allocation.holder.partition("/")[0] if entry.allocation else ""
    _cancel_task(repository, entry.fallout_task, order)


def _cancel_task(repository: Repository, id: str, order: str = "") -> None:
    def cancel(task: Resource) -> Resource:
        if task.get("state") != "open":
            return task
        others = [each for each in json_objects(task.get("affectedOrder")) if each["id"] != order]
        if others:
            return {**task, "order": others[0], "affectedOrder": others}
        return {**task, "state": "cancelled"}

    with suppress(NotFound):
        repository.change(FALLOUT_TASK, id, cancel)
