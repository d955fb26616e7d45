"""The facts about a write for the audit log; pure, no I/O.

The first event of a write carries them to the log, see ``audit_log.entries``. They never contain
the value of an attribute, except states of the kind's lifecycle.
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.audit_log.entries import attribute_names, client_facts
from tmf_apis.events.outbox import changed_attributes
from tmf_apis.rest.pipeline.policy import RequestContext, ResourcePolicy


def audit_record(
    policy: ResourcePolicy,
    context: RequestContext,
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the facts about a write.

    Args:
        policy: The policy of the kind.
        context: The request.
        old: The stored form before; None: the resource is new.
        new: The stored form after; None: it is deleted.
    """
    facts = client_facts(context.origin, context.subject, context.parties)
    if old is None:
        record = {"operation": "create", **facts}
    elif new is None:
        record = {"operation": "delete", **facts}
    else:
        names = attribute_names(changed_attributes(old, new))
        record = {"operation": "change", "attributes": names, **facts}
    if lifecycle := policy.lifecycle:
        for member, resource in (("oldState", old), ("newState", new)):
            state = resource.get(lifecycle.attribute) if resource else None
            if isinstance(state, str) and state in lifecycle.states:
                record[member] = state
        if record.get("oldState") == record.get("newState"):
            record.pop("oldState", None)
            record.pop("newState", None)
    return record
