"""States and validation rules of resources.

Source: ITU-T X.731, clause 8.1 (operational, usage and administrative state, and their valid
combinations); TMF639 v5.0.0, Resource.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.inventory.management import check_management_data
from tmf_apis.inventory.relationships import edges
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules, Setter, operator_decides
from tmf_apis.rest.pipeline.periods import check_order, check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

ADMINISTRATIVE_LIFECYCLE = Lifecycle(
    attribute="administrativeState",
    transitions={
        "unlocked": frozenset({"locked", "shuttingDown"}),
        "shuttingDown": frozenset({"locked", "unlocked"}),
        "locked": frozenset({"unlocked"}),
    },
    initial_states=("unlocked", "locked", "shuttingDown"),
    source="ITU-T X.731, clause 8.1.3",
)

#: Usage states of a resource that is in use.
IN_USE_STATES = frozenset({"active", "busy"})
_OPERATING_DATES = ("startOperatingDate", "endOperatingDate")

#: Attributes whose change is a state change.
STATE_ATTRIBUTES = frozenset(
    {"administrativeState", "operationalState", "usageState", "resourceStatus", "lifecycleState"}
)


#: Attributes of the operator's resources by which fulfilment finds and configures them.
_NETWORK_ATTRIBUTES = (
    *("@type", "category", "externalIdentifier", "name", "place", "relatedParty"),
    *("resourceCharacteristic", "resourceRelationship", "resourceSpecification", "value"),
)
#: A party documents its own equipment; the states are those of the network. It relates only
#: resources that it has created, because a relationship has an inverse on the other resource and
#: keeps that from being deleted.
PARTY_RULES = PartyRules(
    references={
        "*.resource": Access.CREATED,
        "*.resourceRelationship": Access.CREATED,
        "*.supportingResource": Access.CREATED,
        "*.connectionPoint": Access.CREATED,
        "*.endpoint": Access.CREATED,
    },
    setters=operator_decides(
        *STATE_ATTRIBUTES,
        *("alarmStatus", "allocationStatus", "availabilityStatus", "controlStatus"),
        *("proceduralStatus", "standbyStatus", "unknownStatus", "powerConsumingState"),
        *("autoModification", "resourceOrderItem", "startOperatingDate", "endOperatingDate"),
        *("creationDate", "lastUpdate"),
    )
    | dict.fromkeys(_NETWORK_ATTRIBUTES, Setter.CREATOR),
    deleted_by=Setter.CREATOR,
)


def on_create(resource: Resource, context: RequestContext) -> Resource:
    """Return a new resource with its states and a name.

    Raises:
        Forbidden: The client may not set management data (HTTP 403).
        InvalidBody: The states, dates or characteristics contradict each other (HTTP 400).
    """
    check_management_data(None, resource, context)
    _check(resource)
    check_order(resource, *_OPERATING_DATES)
    new = {"operationalState": "enabled", **resource}
    if reason := out_of_service_reason(new):
        if new.get("usageState") in IN_USE_STATES:
            raise InvalidBody(f"/usageState: {_contradiction(new, reason)}")
        new["usageState"] = "idle"
    new.setdefault("usageState", "idle")
    if not str(new.get("name") or "").strip():
        new["name"] = _default_name(new)
    return new


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed resource; one that goes out of service is no longer in use.

    Raises:
        Forbidden: The client may not change a resource with management data (HTTP 403).
        Conflict: A resource that is out of service would be in use (HTTP 409).
        InvalidBody: The dates or characteristics contradict each other (HTTP 400).
    """
    check_management_data(old, new, context)
    _check({name: value for name, value in new.items() if value != old.get(name) or name == "id"})
    if any(new.get(name) != old.get(name) for name in _OPERATING_DATES):
        check_order(new, *_OPERATING_DATES)
    reason = out_of_service_reason(new)
    if not reason or new.get("usageState") not in IN_USE_STATES:
        return new
    if new.get("usageState") == old.get("usageState") and not out_of_service_reason(old):
        return {**new, "usageState": "idle"}
    raise Conflict(_contradiction(new, reason))


def on_delete(resource: Resource, context: RequestContext) -> None:
    """Check that the client may delete a resource.

    Raises:
        Forbidden: The client may not delete a resource with management data (HTTP 403).
    """
    check_management_data(resource, None, context)


def out_of_service_reason(resource: Mapping[str, Any]) -> str | None:
    """Return the state that puts a resource out of service, or None if it is in service."""
    if resource.get("operationalState") == "disabled":
        return "operationalState disabled"
    if resource.get("administrativeState") == "locked":
        return "administrativeState locked"
    return None


def _contradiction(resource: Resource, reason: str) -> str:
    return f"a resource with {reason} cannot be {resource['usageState']}; allowed: idle"


def _check(resource: Resource) -> None:
    check_valid_for(resource)
    characteristics = json_objects(resource.get("resourceCharacteristic"))
    names = Counter(str(item["name"]) for item in characteristics if "name" in item)
    for name, count in names.items():
        if count > 1:
            raise InvalidBody(f"/resourceCharacteristic: {count} characteristics named {name}")
    for type_, target in edges(resource):
        if target == resource.get("id"):
            raise InvalidBody(f"/resourceRelationship: a resource cannot be its own {type_}")


def _default_name(resource: Resource) -> str:
    specification: Any = resource.get("resourceSpecification")
    choices = [
        resource.get("value"),
        resource.get("serialNumber"),
        specification.get("name") if isinstance(specification, Mapping) else None,
    ]
    for choice in choices:
        if isinstance(choice, str) and choice.strip():
            return choice
    return f"{resource.get('@type', 'Resource')} {resource['id']}"
