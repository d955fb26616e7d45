"""What the machine cannot bring to an end goes to a person, and comes back with a decision."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution.journal import COMPENSATE, TaskEntry
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Repository, Resource

FALLOUT_TASK = "FalloutTask"
RETRY, SKIP, CANCEL = "retry", "skip", "cancel"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided.

    Attributes:
        action: ``retry``, ``skip`` or ``cancel``.
        reason: Why.
        decided_by: The person.
    """

    action: str
    reason: str
    decided_by: str


def create_task(repository: Repository, key: OrderKey, entry: TaskEntry, order_path: str) -> str:
    """Give a task to a person; return its id. Safe to repeat for the same ``entry.fallout_count``.

    Args:
        repository: Of the tenant.
        key: The order that waits.
        entry: The task of its plan; its reason says what went wrong.
        order_path: The absolute path of the order in its API.
    """
    name = f"{key.qualified_id}/{entry.task.id}/{entry.fallout_count}"
    order = {
        "@type": "EntityRef",
        "id": key.order,
        "@referredType": key.kind,
        "href": order_path,
    }
    doing = "taking back" if entry.goal == COMPENSATE else entry.task.action
    task: Resource = {
        "@type": FALLOUT_TASK,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": order,
        "orderItemId": entry.task.item,
        "task": entry.task.id,
        "element": entry.element,
        "reason": f"{doing} {entry.task.service}: {entry.reason}",
        "attempts": entry.attempts,
    }
    with suppress(Conflict):  # made by an attempt that was cut short
        repository.create(FALLOUT_TASK, task)
    return str(task["id"])


def report_failure(
    repository: Repository, key: OrderKey, step: str, error: Exception, attempts: int
) -> str:
    """Tell people that a step of an order fails by a mistake of this program; return the task's id.

    The step is tried on all the same: whatever is decided, it needs a new release or other data. As
    long as it fails there is an open task.

    Args:
        repository: Of the tenant.
        key: The order that waits.
        step: What the step is called.
        error: What it fails with.
        attempts: How often it did.
    """
    told = _find_tasks(repository, key, step)
    if still := [one for one in told if one["state"] == "open"]:
        return str(still[0]["id"])
    name = f"{key.qualified_id}/{step}/{len(told)}"
    task: Resource = {
        "@type": FALLOUT_TASK,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": {"@type": "EntityRef", "id": key.order, "@referredType": key.kind},
        "task": step,
        "reason": f"{step} fails with {type(error).__name__}: {error}; the log has more",
        "attempts": attempts,
    }
    with suppress(Conflict):  # another attempt was faster
        repository.create(FALLOUT_TASK, task)
    return str(task["id"])


def withdraw_failure(repository: Repository, key: OrderKey, step: str) -> None:
    """Say that a step that people were told of went well at last."""
    for one in _find_tasks(repository, key, step):
        _cancel_task(repository, str(one["id"]))


def _find_tasks(repository: Repository, key: OrderKey, step: str) -> list[Resource]:
    return list(repository.find(FALLOUT_TASK, {"order.id": key.order, "task": step}, limit=1000))


def decisions(repository: Repository, entries: Iterable[TaskEntry]) -> Mapping[str, Decision]:
    """Return what was decided of entries that wait, by the ids of the entries."""
    waiting = {one.fallout_task: one.id for one in entries if one.state == "waiting"}
    if not waiting:
        return {}
    found = repository.find(FALLOUT_TASK, {"id": {"$in": sorted(waiting)}}, limit=len(waiting))
    known = {one["id"] for one in found}
    made = {
        waiting[one["id"]]: Decision(
            str(one["decision"]),
            str(one.get("decisionReason") or ""),
            str(one.get("decidedBy") or "somebody"),
        )
        for one in found
        if one.get("decision")
    }
    lost = {waiting[id]: Decision(RETRY, "", "nobody") for id in waiting if id not in known}
    return made | lost  # a task that somebody has deleted


def withdraw(repository: Repository, entry: TaskEntry) -> None:
    """Say that nobody needs to decide any more."""
    _cancel_task(repository, entry.fallout_task)


def _cancel_task(repository: Repository, id: str) -> None:
    def end(task: Resource) -> Resource:
        return {**task, "state": "cancelled"} if task.get("state") == "open" else task

    with suppress(NotFound):
        repository.change(FALLOUT_TASK, id, end)
