"""What the machine cannot bring to an end goes to a person, and comes back with a decision."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution.journal import BACK, Entry
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest import versions
from tmf_apis.rest.law import Desk, Resource

KIND = "FalloutTask"
RETRY, SKIP, CANCEL = "retry", "skip", "cancel"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided.

    Attributes:
        what: ``retry``, ``skip`` or ``cancel``.
        reason: Why.
        who: The person.
    """

    what: str
    reason: str
    who: str


def ask(desk: Desk, key: OrderKey, entry: Entry) -> str:
    """Give a task to a person; return its id. Safe to repeat for the same ``entry.people``.

    Args:
        desk: Of the tenant.
        key: The order that waits.
        entry: The task of its plan; its reason says what went wrong.
    """
    name = f"{key.name}/{entry.task.id}/{entry.people}"
    version = "v5" if versions.known(key.kind, "v5") else "v4"
    order = {
        "@type": "EntityRef",
        "id": key.order,
        "@referredType": key.kind,
        "href": f"{versions.mount(key.kind, version)}/{versions.lower_first(key.kind)}/{key.order}",
    }
    doing = "taking back" if entry.goal == BACK else entry.task.action
    task: Resource = {
        "@type": KIND,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": order,
        "orderItemId": entry.task.item,
        "task": entry.task.id,
        "element": entry.element,
        "reason": f"{doing} {entry.task.service}: {entry.reason}",
        "attempts": entry.attempts,
    }
    with suppress(Conflict):  # made by an attempt that was cut short
        desk.create(KIND, task)
    return str(task["id"])


def report(desk: Desk, key: OrderKey, step: str, error: Exception, attempts: int) -> str:
    """Tell people that a step of an order fails by a mistake of this program; return the task's id.

    The step is tried on all the same: whatever is decided, it needs a new release or other data. As
    long as it fails there is an open task.

    Args:
        desk: Of the tenant.
        key: The order that waits.
        step: What the step is called.
        error: What it fails with.
        attempts: How often it did.
    """
    told = _of(desk, key, step)
    if still := [one for one in told if one["state"] == "open"]:
        return str(still[0]["id"])
    name = f"{key.name}/{step}/{len(told)}"
    task: Resource = {
        "@type": KIND,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "order": {"@type": "EntityRef", "id": key.order, "@referredType": key.kind},
        "task": step,
        "reason": f"{step} fails with {type(error).__name__}: {error}; the log has more",
        "attempts": attempts,
    }
    with suppress(Conflict):  # another attempt was faster
        desk.create(KIND, task)
    return str(task["id"])


def recovered(desk: Desk, key: OrderKey, step: str) -> None:
    """Say that a step that people were told of went well at last."""
    for one in _of(desk, key, step):
        _end(desk, str(one["id"]))


def _of(desk: Desk, key: OrderKey, step: str) -> list[Resource]:
    return list(desk.find(KIND, {"order.id": key.order, "task": step}, limit=1000))


def decisions(desk: Desk, entries: Iterable[Entry]) -> Mapping[str, Decision]:
    """Return what was decided of entries that wait, by the ids of the entries."""
    waiting = {one.fallout: one.id for one in entries if one.state == "waiting"}
    if not waiting:
        return {}
    found = desk.find(KIND, {"id": {"$in": sorted(waiting)}}, limit=len(waiting))
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


def withdraw(desk: Desk, entry: Entry) -> None:
    """Say that nobody needs to decide any more."""
    _end(desk, entry.fallout)


def _end(desk: Desk, id: str) -> None:
    def end(task: Resource) -> Resource:
        return {**task, "state": "cancelled"} if task.get("state") == "open" else task

    with suppress(NotFound):
        desk.change(KIND, id, end)
