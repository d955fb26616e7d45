"""What a fallout task may be, and what a person decides with it; pure.

The order that waits for the decision goes on when it hears of it (``fulfilment``).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.rest.law import Circumstances, Law, Lifecycle, Resource
from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored

OPEN, RESOLVED, CANCELLED = "open", "resolved", "cancelled"
LIFECYCLE = Lifecycle(
    attribute="state",
    initial=(OPEN,),
    assigned=True,
    steps={OPEN: frozenset(), RESOLVED: frozenset(), CANCELLED: frozenset()},
    system={OPEN: frozenset({RESOLVED, CANCELLED})},
    source="openapi/NETWORK-v5.yaml, FalloutTask.state",
)
#: All that the server says; a person says the rest.
OWNED = frozenset({
    *("creationDate", "order", "orderItemId", "task", "element", "reason", "attempts"),
    *("decidedBy", "decisionDate"),
})  # fmt: skip


class FalloutTask(Stored):
    """Something that a person has to decide."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "FalloutTask",
        "indexes": [by("state"), by("order.id"), by("element"), by("creationDate")],
    }


def on_create(task: Resource, circumstances: Circumstances) -> Resource:
    """Return a new task with its date."""
    return {"creationDate": circumstances.timestamp, **task}


def on_change(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return a task that is resolved as soon as it has a decision.

    Raises:
        Conflict: It was decided before, or there is nothing to try again (HTTP 409).
        InvalidBody: Something is skipped without a reason (HTTP 400).
    """
    if old.get("decision") == new.get("decision"):
        return new
    if old.get("state") != OPEN:
        raise Conflict(f"/decision: the task is {old.get('state')}, nothing is left to decide")
    if new.get("decision") == "retry" and not new.get("order"):
        raise Conflict(
            "/decision: no order waits for this task, so nothing is tried again; let the audit's"
            " difference be set right (resolveDifference), then skip or cancel the task"
        )
    if new.get("decision") == "skip" and not str(new.get("decisionReason") or "").strip():
        raise InvalidBody("/decisionReason: what is skipped needs a reason")
    return {
        **new,
        "state": RESOLVED,
        "decidedBy": circumstances.subject,
        "decisionDate": circumstances.timestamp,
    }


def nobody(task: Mapping[str, Any]) -> list[str]:  # noqa: ARG001
    """Return the parties that a task belongs to: none, it is the operator's own."""
    return []


LAW = Law(
    lifecycle=LIFECYCLE,
    server_owned=OWNED,
    on_create=on_create,
    on_change=on_change,
    parties=nobody,
)
