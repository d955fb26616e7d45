"""What a service may be and become; pure.

Source: TMF638 v4.0.0, Service, ServiceStateType and the state diagram of the user guide.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict, Forbidden, InvalidBody
from tmf_apis.rest.pipeline.periods import check_order, check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

_NO_STATES: frozenset[str] = frozenset()

#: What becomes of a service. Steps may be left out on the way to ``active``; a suspended service
#: is ``inactive``. A new one may be in any state but the last.
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
        "terminated": _NO_STATES,
    },
    source="TMF638 Service Inventory Management, ServiceStateType",
)

#: States in which the service holds resources.
IN_SERVICE_STATES = frozenset({"reserved", "inactive", "active"})

#: What fulfilment keeps of a service that it made.
FULFILMENT_ATTRIBUTES = (
    "state",
    "supportingResource",
    "supportingService",
    "serviceCharacteristic",
)


def on_create(service: Resource, context: RequestContext) -> Resource:
    """Return a new service with its dates.

    Raises:
        InvalidBody: Its dates or relationships contradict each other (HTTP 400).
    """
    _check(service)
    return _with_dates({"serviceDate": context.timestamp, **service}, context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return what a service becomes, with its dates.

    Raises:
        InvalidBody: Its dates or relationships contradict each other (HTTP 400).
        Forbidden: A party changes by itself what has to be ordered (HTTP 403).
    """
    if context.parties is not None and not context.system and is_provisioned(old):
        changed = next(
            (name for name in FULFILMENT_ATTRIBUTES if old.get(name) != new.get(name)), None
        )
        if changed:
            raise Forbidden(f"/{changed}: changed by an order (TMF622 or TMF641, action modify)")
    _check(new)
    return _with_dates(new, context)


def on_delete(service: Resource, context: RequestContext) -> None:
    """Let a service go that holds nothing on the network.

    Raises:
        Conflict: It is in service (HTTP 409).
    """
    state = service.get("state")
    if context.system or state not in IN_SERVICE_STATES or not is_provisioned(service):
        return
    raise Conflict(
        f"Service is {state} and was provisioned; order its end first (TMF622 productOrder or"
        f" TMF641 serviceOrder with action delete), then it can be deleted"
    )


def is_provisioned(service: Mapping[str, Any]) -> bool:
    """Return whether the service rests on something of the network."""
    return bool(service.get("supportingResource") or service.get("supportingService"))


def supporting_service_ids(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the services that a service rests on."""
    for one in service.get("supportingService") or ():
        if isinstance(one.get("id"), str):
            yield one["id"]


def _check(service: Resource) -> None:
    check_order(service, "startDate", "endDate")
    for place, feature in enumerate(service.get("feature") or ()):
        for number, one in enumerate(feature.get("featureRelationship") or ()):
            check_valid_for(one, pointer=f"/feature/{place}/featureRelationship/{number}")
    for place, one in enumerate(service.get("serviceRelationship") or ()):
        if (one.get("service") or {}).get("id") == service["id"]:
            raise InvalidBody(f"/serviceRelationship/{place}: a service is not related to itself")
    names = [one.get("id") for one in service.get("feature") or () if one.get("id")]
    if len(names) != len(set(names)):
        raise InvalidBody("/feature: two features have the same id")


def _with_dates(service: Resource, context: RequestContext) -> Resource:
    state = service.get("state")
    made: dict[str, Any] = {}
    if state == "active":
        made["hasStarted"] = True
        if not service.get("startDate"):
            made["startDate"] = context.timestamp
    if state == "terminated" and not service.get("endDate"):
        made["endDate"] = context.timestamp
    return {"hasStarted": False, **service, **made}
