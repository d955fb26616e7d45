"""Lifecycle and validation rules of products.

Source: TMF637 v4.0.0, Product, ProductStatusType and the state diagram of the user guide.
"""

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.reference_schema import ACCOUNT
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules, Setter, operator_decides
from tmf_apis.rest.pipeline.periods import check_order
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource
from tmf_apis.rest.pipeline.provisioned import ProvisionedKind

_NO_STATES: frozenset[str] = frozenset()
_CANCELLATION_STATES = frozenset({"cancelled", "aborted", "aborted "})

#: A new product may be in any state that is not final, so that an inventory can be migrated. The
#: published list has ``aborted`` with a trailing blank; both spellings mean the same state.
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

#: Products come from orders: a party names and describes its own, and sets their place.
PARTY_RULES = PartyRules(
    references={
        "*.product": Access.OWN,
        "*.realizingService": Access.OWN,
        "*.realizingResource": Access.OWN,
    },
    setters=operator_decides(
        *("status", "productPrice", "productTerm", "billingAccount", "agreement"),
        *("productOffering", "productSpecification", "productRelationship", "product"),
        *("realizingService", "realizingResource", "productOrderItem", "orderDate"),
        *("startDate", "terminationDate", "isBundle", "isCustomerVisible"),
        "productSerialNumber",
    ),
    holds={ACCOUNT: ("billingAccount.id",)},
    deleted_by=Setter.CREATOR,
)

PROVISIONED_PRODUCT = ProvisionedKind(
    kind="Product",
    state_attribute="status",
    in_service_states=frozenset({"active", "suspended", "pendingActive", "pendingTerminate"}),
    supporting_attributes=("realizingService", "realizingResource"),
    ordered_attributes=(
        "status",
        "realizingService",
        "realizingResource",
        "productCharacteristic",
    ),
    modifying_order="TMF622 productOrder, action modify",
    deleting_order="TMF622 productOrder with action delete and product.id {id}",
)


def on_create(product: Resource, context: RequestContext) -> Resource:
    """Return a new product with its dates.

    Raises:
        InvalidBody: The dates or relationships contradict each other (HTTP 400).
    """
    _check(product)
    return _with_dates({"isBundle": bool(product.get("product")), **product}, context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed product with its dates.

    Raises:
        InvalidBody: The dates or relationships contradict each other (HTTP 400).
        Forbidden: A party changes an attribute that has to be ordered (HTTP 403).
    """
    PROVISIONED_PRODUCT.check_change(old, new, context)
    _check(new)
    return _with_dates(new, context)


def _check(product: Resource) -> None:
    check_order(product, "startDate", "terminationDate")
    id = product["id"]
    for index, relationship in enumerate(product.get("productRelationship") or ()):
        if (relationship.get("product") or {}).get("id") == id:
            raise InvalidBody(
                f"/productRelationship/{index}: a product cannot be related to itself"
            )
    for index, part in enumerate(product.get("product") or ()):
        if part.get("id") == id:
            raise InvalidBody(f"/product/{index}: a product cannot be a part of itself")


def _with_dates(product: Resource, context: RequestContext) -> Resource:
    dates = {}
    if product.get("status") == "active" and not product.get("startDate"):
        dates["startDate"] = context.timestamp
    if product.get("status") == "terminated" and not product.get("terminationDate"):
        dates["terminationDate"] = context.timestamp
    return {**product, **dates}
