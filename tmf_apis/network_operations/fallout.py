"""Lifecycle and rules of fallout tasks, on which a person decides.

The event of the decision resumes the order that waits for it (``fulfilment``).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.rest.pipeline.element_scope import require_element_scope
from tmf_apis.rest.pipeline.party_rules import READ_ONLY
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource, ResourcePolicy
from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource

STATE_OPEN, STATE_RESOLVED, STATE_CANCELLED = "open", "resolved", "cancelled"
#: Decision: assert the desired state whatever is on the element.
FORCE = "force"
LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=(STATE_OPEN,),
    server_sets_initial=True,
    transitions={
        STATE_OPEN: frozenset(),
        STATE_RESOLVED: frozenset(),
        STATE_CANCELLED: frozenset(),
    },
    system_transitions={STATE_OPEN: frozenset({STATE_RESOLVED, STATE_CANCELLED})},
    source="openapi/NETWORK-v5.yaml, FalloutTask.state",
)
#: Attributes that only the server sets.
SERVER_OWNED = frozenset({
    *("creationDate", "order", "affectedOrder", "orderItemId", "task", "element", "reason"),
    *("attempts", "decidedBy", "decisionDate"),
})  # fmt: skip


class FalloutTask(StoredResource):
    """A failure that a person has to decide on."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "FalloutTask",
        "indexes": [
            body_index("state"),
            body_index("order.id"),
            body_index("element"),
            body_index("creationDate"),
        ],
    }


def on_create(task: Resource, context: RequestContext) -> Resource:
    """Return a new fallout task with its date."""
    return {"creationDate": context.timestamp, **task}


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed fallout task; a decision resolves it.

    Raises:
        Conflict: The task is not open, or there is nothing to retry (HTTP 409).
        InvalidBody: The decision needs a reason (HTTP 400).
        Forbidden: The client may not force changes onto elements (HTTP 403).
    """
    if old.get("decision") == new.get("decision"):
        return new
    if old.get("state") != STATE_OPEN:
        raise Conflict(f"/decision: the task is {old.get('state')}: nothing is left to decide")
    if new.get("decision") in {"retry", FORCE} and not new.get("order"):
        raise Conflict(
            "/decision: no order waits for this task, so nothing can be retried; resolve the"
            " difference of the audit (resolveDifference), then skip or cancel the task"
        )
    if new.get("decision") in {"skip", FORCE} and not str(new.get("decisionReason") or "").strip():
        raise InvalidBody(f"/decisionReason: required if the decision is {new['decision']}")
    if new.get("decision") == FORCE:
        require_element_scope(context, "it overwrites what is on an element")
    return {
        **new,
        "state": STATE_RESOLVED,
        "decidedBy": context.subject,
        "decisionDate": context.timestamp,
    }


def no_parties(task: Mapping[str, Any]) -> list[str]:  # noqa: ARG001
    """Return no parties: fallout tasks belong to the operator."""
    return []


POLICY = ResourcePolicy(
    lifecycle=LIFECYCLE,
    server_owned=SERVER_OWNED,
    on_create=on_create,
    on_change=on_change,
    parties=no_parties,
    party_rules=READ_ONLY,
)
