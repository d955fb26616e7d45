"""What a qualification may be, and what an answer looks like; pure.

Source: TMF645 v4.0.0, CheckServiceQualification, QueryServiceQualification.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.rest.pipeline.catalog_terms import ON_SALE_STATES
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

_NO_STATES: frozenset[str] = frozenset()

#: What becomes of a question; every step is the server's.
TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("accepted",),
    server_sets_initial=True,
    transitions=dict.fromkeys(
        ("accepted", "inProgress", "done", "terminatedWithError"), _NO_STATES
    ),
    system_transitions={
        "accepted": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="TMF645 Service Qualification Management, TaskStateType",
)

#: When each kind of question was asked.
REQUEST_DATE_ATTRIBUTES = {
    "CheckServiceQualification": "checkServiceQualificationDate",
    "QueryServiceQualification": "queryServiceQualificationDate",
}
#: What only the server sets.
SERVER_OWNED: Mapping[str, frozenset[str]] = {
    "CheckServiceQualification": frozenset(
        {
            "checkServiceQualificationDate",
            "effectiveQualificationDate",
            "estimatedResponseDate",
            "expirationDate",
            "qualificationResult",
        }
    ),
    "QueryServiceQualification": frozenset(
        {
            "queryServiceQualificationDate",
            "effectiveQualificationDate",
            "estimatedResponseDate",
            "expirationDate",
            "serviceQualificationItem",
        }
    ),
}


@dataclass(frozen=True, slots=True)
class UnavailabilityReason:
    """Why a service cannot be had.

    Attributes:
        code: For programs.
        label: For people.
    """

    code: str
    label: str


def on_create(kind: str, task: Resource, context: RequestContext) -> Resource:
    """Return a new question with its date, and its items numbered."""
    new = {REQUEST_DATE_ATTRIBUTES[kind]: context.timestamp, **task}
    items = new.get("serviceQualificationItem")
    if not items:
        return new
    taken = {item["id"] for item in items if item.get("id")}
    free = (str(n) for n in range(1, 2 * len(items) + 1) if str(n) not in taken)
    return {
        **new,
        "serviceQualificationItem": [
            {**item, "id": item.get("id") or next(free)} for item in items
        ],
    }


def is_on_sale(specification: Mapping[str, Any]) -> bool:
    """Return whether services of a specification can be ordered."""
    return str(specification.get("lifecycleStatus", "")).capitalize() in ON_SALE_STATES


def place_ids(service: Mapping[str, Any]) -> list[str]:
    """Return the ids of the places where a service is wanted."""
    return [one["id"] for one in service.get("place") or () if isinstance(one.get("id"), str)]


def answered_item(
    item: Resource, reasons: Iterable[UnavailabilityReason], *, explain: bool
) -> Resource:
    """Return an item with the answer to it."""
    found = list(reasons)
    new = {
        **item,
        "state": "done",
        "qualificationResult": "unqualified" if found else "qualified",
    }
    if found and explain:
        new["eligibilityUnavailabilityReason"] = [
            {"code": one.code, "label": one.label} for one in found
        ]
    return new


def overall_result(items: Iterable[Mapping[str, Any]]) -> str:
    """Return what the answers to all items are together."""
    good = all(item["qualificationResult"] == "qualified" for item in items)
    return "qualified" if good else "unqualified"
