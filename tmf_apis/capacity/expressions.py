"""What MongoDB finds out of a resource: the element that it is on, and whether it is taken."""

from datetime import datetime
from typing import Any

from tmf_apis.inventory.resource_state import RESERVED_UNTIL
from tmf_apis.rest.pipeline.policy import rfc3339

_SERVICE_ID = "serviceId"


def _first_match(array: str, condition: dict[str, Any], value: str) -> dict[str, Any]:
    """Return the expression of a member of the first item of an array that fits."""
    fitting = {"$filter": {"input": {"$ifNull": [array, []]}, "cond": condition}}
    return {"$first": {"$map": {"input": fitting, "in": value}}}


def _characteristic_value(name: str) -> dict[str, Any]:
    return _first_match(
        "$body.resourceCharacteristic", {"$eq": ["$$this.name", name]}, "$$this.value"
    )


#: Id of the resource that one is contained in.
ELEMENT_ID = _first_match(
    "$body.resourceRelationship",
    {"$eq": ["$$this.relationshipType", "isContainedIn"]},
    "$$this.resource.id",
)


def status_expression(now: datetime) -> dict[str, Any]:
    """Return the expression of how a resource counts.

    ``used``: with a service, or in doubt; ``reserved``: for an order, while that lasts; ``out``:
    locked or without a link, so that no order gets it; ``free``.
    """
    allocation = "$body.allocationStatus"
    until = _characteristic_value(RESERVED_UNTIL)
    held = {"$eq": [allocation, "reserved"]}
    over = {"$lte": [{"$ifNull": [until, "~"]}, rfc3339(now)]}
    branches = (
        ({"$in": [allocation, ["allocated", "unknown"]]}, "used"),
        ({"$and": [held, {"$ifNull": [_characteristic_value(_SERVICE_ID), False]}]}, "used"),
        ({"$and": [held, {"$not": [over]}]}, "reserved"),
        ({"$eq": ["$body.administrativeState", "locked"]}, "out"),
        ({"$eq": ["$body.operationalState", "disabled"]}, "out"),
        ({"$and": [{"$not": [held]}, {"$ne": ["$body.usageState", "idle"]}]}, "used"),
    )
    return {
        "$switch": {
            "branches": [{"case": case, "then": then} for case, then in branches],
            "default": "free",
        }
    }
