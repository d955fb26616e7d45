"""MongoDB aggregation expressions that compute the element and the status of a resource."""

from datetime import datetime
from typing import Any

from tmf_apis.inventory.resource_state import RESERVED_UNTIL
from tmf_apis.rest.contracts.dates import rfc3339

_SERVICE_ID = "serviceId"


def _first_match(array: str, condition: dict[str, Any], value: str) -> dict[str, Any]:
    """Return the expression of a value of the first array item that meets a condition."""
    matches = {"$filter": {"input": {"$ifNull": [array, []]}, "cond": condition}}
    return {"$first": {"$map": {"input": matches, "in": value}}}


def _characteristic_value(name: str) -> dict[str, Any]:
    return _first_match(
        "$body.resourceCharacteristic", {"$eq": ["$$this.name", name]}, "$$this.value"
    )


#: Id of the resource that contains a resource.
ELEMENT_ID = _first_match(
    "$body.resourceRelationship",
    {"$eq": ["$$this.relationshipType", "isContainedIn"]},
    "$$this.resource.id",
)


def status_expression(now: datetime) -> dict[str, Any]:
    """Return the expression of the status under which a resource is counted.

    - ``used``: it has a service or is in doubt;
    - ``reserved``: an order has reserved it and the reservation has not expired;
    - ``out``: it is locked or has no link, so orders cannot use it;
    - ``free``: otherwise.
    """
    allocation = "$body.allocationStatus"
    reserved_until = _characteristic_value(RESERVED_UNTIL)
    is_reserved = {"$eq": [allocation, "reserved"]}
    is_expired = {"$lte": [{"$ifNull": [reserved_until, "~"]}, rfc3339(now)]}
    branches = (
        ({"$in": [allocation, ["allocated", "unknown"]]}, "used"),
        ({"$and": [is_reserved, {"$ifNull": [_characteristic_value(_SERVICE_ID), False]}]}, "used"),
        ({"$and": [is_reserved, {"$not": [is_expired]}]}, "reserved"),
        ({"$eq": ["$body.administrativeState", "locked"]}, "out"),
        ({"$eq": ["$body.operationalState", "disabled"]}, "out"),
        ({"$and": [{"$not": [is_reserved]}, {"$ne": ["$body.usageState", "idle"]}]}, "used"),
    )
    return {
        "$switch": {
            "branches": [{"case": case, "then": then} for case, then in branches],
            "default": "free",
        }
    }
