"""What a product may be and become; pure.

Source: TMF637 v4.0.0, Product, ProductStatusType and the state diagram of the user guide.
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import Conflict, Forbidden, InvalidBody
from tmf_apis.rest.pipeline.periods import check_order
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

_NO_STATES: frozenset[str] = frozenset()
_CANCELLATION_STATES = frozenset({"cancelled", "aborted", "aborted "})

#: What becomes of a product. A new one may be in any state that is no end, so that an inventory
#: can be taken over. The published list has ``aborted`` with a blank; both are one state.
LIFECYCLE = Lifecycle(
    attribute="status",
    initial_states=("created", "pendingActive", "active", "suspended", "pendingTerminate"),
    transitions={
        "created": frozenset({"pendingActive", "active"}) | _CANCELLATION_STATES,
        "pendingActive": frozenset({"active"}) | _CANCELLATION_STATES,
        "active": frozenset({"suspended", "pendingTerminate", "terminated"}),
        "suspended": frozenset({"active", "pendingTerminate", "terminated"}),
        "pendingTerminate": frozenset({"active", "suspended", "terminated"}),
        "cancelled": _NO_STATES,
        "aborted": _NO_STATES,
        "aborted ": _NO_STATES,
        "terminated": _NO_STATES,
    },
    system_transitions={
        "created": frozenset({"suspended"}),
        "pendingActive": frozenset({"suspended"}),
    },
    source="TMF637 Product Inventory Management, ProductStatusType",
)

#: States in which the product works, or is about to.
IN_SERVICE_STATES = frozenset({"active", "suspended", "pendingActive", "pendingTerminate"})

#: What fulfilment keeps of a product that it made.
FULFILMENT_ATTRIBUTES = ("status", "realizingService", "realizingResource", "productCharacteristic")

_DATE_ATTRIBUTES = ("startDate", "terminationDate")


def on_create(product: Resource, context: RequestContext) -> Resource:
    """Return a new product with its dates.

    Raises:
        InvalidBody: Its dates or relationships contradict each other (HTTP 400).
    """
    _check(product)
    made = {"isBundle": bool(product.get("product")), **product}
    return _with_dates(made, context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return what a product becomes, with its dates.

    Raises:
        InvalidBody: Its dates or relationships contradict each other (HTTP 400).
        Forbidden: A party changes by itself what has to be ordered (HTTP 403).
    """
    if context.parties is not None and not context.system and is_provisioned(old):
        changed = next(
            (name for name in FULFILMENT_ATTRIBUTES if old.get(name) != new.get(name)), None
        )
        if changed:
            raise Forbidden(f"/{changed}: changed by an order (TMF622 productOrder, action modify)")
    _check(new)
    return _with_dates(new, context)


def on_delete(product: Resource, context: RequestContext) -> None:
    """Let a product go that nothing on the network rests on.

    Raises:
        Conflict: It is in service (HTTP 409).
    """
    status = product.get("status")
    if context.system or status not in IN_SERVICE_STATES or not is_provisioned(product):
        return
    raise Conflict(
        f"Product is {status} and was provisioned; order its end first (TMF622 productOrder with"
        f" action delete and product.id {product['id']}), then it can be deleted"
    )


def is_provisioned(product: Mapping[str, Any]) -> bool:
    """Return whether something of the network makes the product work."""
    return bool(product.get("realizingService") or product.get("realizingResource"))


def _check(product: Resource) -> None:
    check_order(product, *_DATE_ATTRIBUTES)
    me = product["id"]
    for place, one in enumerate(product.get("productRelationship") or ()):
        if (one.get("product") or {}).get("id") == me:
            raise InvalidBody(f"/productRelationship/{place}: a product is not related to itself")
    for place, one in enumerate(product.get("product") or ()):
        if one.get("id") == me:
            raise InvalidBody(f"/product/{place}: a product is not a part of itself")


def _with_dates(product: Resource, context: RequestContext) -> Resource:
    dates = {}
    if product.get("status") == "active" and not product.get("startDate"):
        dates["startDate"] = context.timestamp
    if product.get("status") == "terminated" and not product.get("terminationDate"):
        dates["terminationDate"] = context.timestamp
    return {**product, **dates}
