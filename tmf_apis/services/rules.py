"""Lifecycle and validation rules of services.

Source: TMF638 v4.0.0, Service, ServiceStateType and the state diagram of the user guide.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules, Setter, operator_decides
from tmf_apis.rest.pipeline.periods import check_order, check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource
from tmf_apis.rest.pipeline.provisioned import ProvisionedKind

#: States may be skipped on the way to ``active``; a suspended service is ``inactive``. A new
#: service may be in any state but ``terminated``.
LIFECYCLE = Lifecycle(
    attribute="state",
    initial_states=("feasibilityChecked", "designed", "reserved", "inactive", "active"),
    transitions={
        "feasibilityChecked": frozenset(
            {"designed", "reserved", "inactive", "active", "terminated"}
        ),
        "designed": frozenset(
            {"feasibilityChecked", "reserved", "inactive", "active", "terminated"}
        ),
        "reserved": frozenset({"designed", "inactive", "active", "terminated"}),
        "inactive": frozenset({"reserved", "active", "terminated"}),
        "active": frozenset({"inactive", "terminated"}),
        "terminated": frozenset(),
    },
    source="TMF638 Service Inventory Management, ServiceStateType",
)

#: Services come from orders: a party names and describes its own, and sets their place.
PARTY_RULES = PartyRules(
    references={
        "*.service": Access.OWN,
        "*.serviceRelationship": Access.OWN,
        "*.supportingService": Access.OWN,
        "*.supportingResource": Access.OWN,
    },
    setters=operator_decides(
        *("state", "serviceSpecification", "supportingService", "supportingResource"),
        *("serviceRelationship", "serviceOrderItem", "relatedEntity", "feature", "serviceType"),
        *("serviceDate", "startDate", "endDate", "startMode", "hasStarted"),
        *("isServiceEnabled", "isStateful", "isBundle"),
    ),
    deleted_by=Setter.CREATOR,
)

PROVISIONED_SERVICE = ProvisionedKind(
    kind="Service",
    state_attribute="state",
    in_service_states=frozenset({"reserved", "inactive", "active"}),
    supporting_attributes=("supportingResource", "supportingService"),
    ordered_attributes=(
        "state",
        "supportingResource",
        "supportingService",
        "serviceCharacteristic",
    ),
    modifying_order="TMF622 or TMF641, action modify",
    deleting_order="TMF622 productOrder or TMF641 serviceOrder with action delete",
)


def on_create(service: Resource, context: RequestContext) -> Resource:
    """Return a new service with its dates.

    Raises:
        InvalidBody: The dates or relationships contradict each other (HTTP 400).
    """
    _check(service)
    return _with_dates({"serviceDate": context.timestamp, **service}, context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed service with its dates.

    Raises:
        InvalidBody: The dates or relationships contradict each other (HTTP 400).
        Forbidden: A party changes an attribute that has to be ordered (HTTP 403).
    """
    PROVISIONED_SERVICE.check_change(old, new, context)
    _check(new)
    return _with_dates(new, context)


def supporting_service_ids(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the services that support a service."""
    for reference in service.get("supportingService") or ():
        if isinstance(reference.get("id"), str):
            yield reference["id"]


def _check(service: Resource) -> None:
    check_order(service, "startDate", "endDate")
    features = service.get("feature") or ()
    for index, feature in enumerate(features):
        for inner, relationship in enumerate(feature.get("featureRelationship") or ()):
            pointer = f"/feature/{index}/featureRelationship/{inner}"
            check_valid_for(relationship, pointer=pointer)
    for index, relationship in enumerate(service.get("serviceRelationship") or ()):
        if (relationship.get("service") or {}).get("id") == service["id"]:
            raise InvalidBody(
                f"/serviceRelationship/{index}: a service cannot be related to itself"
            )
    ids = [feature.get("id") for feature in features if feature.get("id")]
    if len(ids) != len(set(ids)):
        raise InvalidBody("/feature: two features have the same id")


def _with_dates(service: Resource, context: RequestContext) -> Resource:
    state = service.get("state")
    derived: dict[str, Any] = {}
    if state == "active":
        derived["hasStarted"] = True
        if not service.get("startDate"):
            derived["startDate"] = context.timestamp
    if state == "terminated" and not service.get("endDate"):
        derived["endDate"] = context.timestamp
    return {"hasStarted": False, **service, **derived}
