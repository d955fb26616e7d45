"""Lifecycle of qualifications, and the shape of their results.

Source: TMF645 v4.0.0, CheckServiceQualification, QueryServiceQualification.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.rest.pipeline.catalog_terms import ON_SALE_STATES
from tmf_apis.rest.pipeline.party_rules import PartyRules, operator_decides
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

_NO_STATES: frozenset[str] = frozenset()

#: Only the server changes the state.
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

#: The attribute with the time of the request, for each kind of qualification.
REQUEST_DATE_ATTRIBUTES = {
    "CheckServiceQualification": "checkServiceQualificationDate",
    "QueryServiceQualification": "queryServiceQualificationDate",
}
#: Attributes that only the server sets.
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


#: The results are the operator's.
PARTY_RULES = PartyRules(
    setters=operator_decides(
        *("state", "qualificationResult"),
        *(
            f"serviceQualificationItem.{name}"
            for name in (
                *("state", "qualificationResult", "eligibilityUnavailabilityReason"),
                *("alternateServiceProposal", "terminationError", "expirationDate"),
                *("expectedServiceAvailabilityDate",),
            )
        ),
    )
)


@dataclass(frozen=True, slots=True)
class UnavailabilityReason:
    """A reason why a service is not available.

    Attributes:
        code: Stable code for programs.
        label: Text for people.
    """

    code: str
    label: str


def on_create(kind: str, task: Resource, context: RequestContext) -> Resource:
    """Return a new qualification with its date and with ids for its items."""
    new = {REQUEST_DATE_ATTRIBUTES[kind]: context.timestamp, **task}
    items = new.get("serviceQualificationItem")
    if not items:
        return new
    used_ids = {item["id"] for item in items if item.get("id")}
    free_ids = (str(n) for n in range(1, 2 * len(items) + 1) if str(n) not in used_ids)
    numbered = [{**item, "id": item.get("id") or next(free_ids)} for item in items]
    return {**new, "serviceQualificationItem": numbered}


def is_on_sale(specification: Mapping[str, Any]) -> bool:
    """Return whether customers can order services of a specification."""
    return str(specification.get("lifecycleStatus", "")).capitalize() in ON_SALE_STATES


def place_ids(service: Mapping[str, Any]) -> list[str]:
    """Return the ids of the places of a requested service."""
    places = service.get("place") or ()
    return [place["id"] for place in places if isinstance(place.get("id"), str)]


def answered_item(
    item: Resource, reasons: Iterable[UnavailabilityReason], *, explain: bool
) -> Resource:
    """Return an item with its result, and with the reasons if ``explain`` is set."""
    reasons = list(reasons)
    new = {
        **item,
        "state": "done",
        "qualificationResult": "unqualified" if reasons else "qualified",
    }
    if reasons and explain:
        new["eligibilityUnavailabilityReason"] = [
            {"code": reason.code, "label": reason.label} for reason in reasons
        ]
    return new


def overall_result(items: Iterable[Mapping[str, Any]]) -> str:
    """Return the result of all items together."""
    is_qualified = all(item["qualificationResult"] == "qualified" for item in items)
    return "qualified" if is_qualified else "unqualified"
