"""What a qualification may be, and what an answer looks like; pure.

Source: TMF645 v4.0.0, CheckServiceQualification, QueryServiceQualification.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.rest.law import Circumstances, Lifecycle, Resource

_NONE: frozenset[str] = frozenset()

#: What becomes of a question; every step is the server's.
TASK = Lifecycle(
    attribute="state",
    initial=("accepted",),
    assigned=True,
    steps=dict.fromkeys(("accepted", "inProgress", "done", "terminatedWithError"), _NONE),
    system={
        "accepted": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="TMF645 Service Qualification Management, TaskStateType",
)

#: When each kind of question was asked.
ASKED = {
    "CheckServiceQualification": "checkServiceQualificationDate",
    "QueryServiceQualification": "queryServiceQualificationDate",
}
#: What only the server sets.
OWNED: Mapping[str, frozenset[str]] = {
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
#: ``relationshipType`` of a specification to those that it consists of.
PARTS = frozenset({"consistsOf", "composedOf", "bundled"})
#: A specification in one of these states can be ordered.
ON_SALE = frozenset({"active", "launched"})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a service cannot be had.

    Attributes:
        code: For programs.
        label: For people.
    """

    code: str
    label: str


def on_create(kind: str, task: Resource, circumstances: Circumstances) -> Resource:
    """Return a new question with its date, and its items numbered."""
    new = {ASKED[kind]: circumstances.timestamp, **task}
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


def on_sale(specification: Mapping[str, Any]) -> bool:
    """Return whether services of a specification can be ordered."""
    return str(specification.get("lifecycleStatus", "")).lower() in ON_SALE


def places(service: Mapping[str, Any]) -> list[str]:
    """Return the ids of the places where a service is wanted."""
    return [one["id"] for one in service.get("place") or () if isinstance(one.get("id"), str)]


def answered(item: Resource, reasons: Iterable[Reason], *, explain: bool) -> Resource:
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


def result(items: Iterable[Mapping[str, Any]]) -> str:
    """Return what the answers to all items are together."""
    good = all(item["qualificationResult"] == "qualified" for item in items)
    return "qualified" if good else "unqualified"
