"""TMF641 Service Ordering: what a service order is allowed to be and to become.

It is the law of product orders under other names.

Source: TMF641 v4.1.0, ServiceOrder, ServiceOrderItem, CancelServiceOrder and their states.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.ordering import actions, order_schema, rules
from tmf_apis.ordering.items import SERVICE_ORDER_ITEMS as ITEMS
from tmf_apis.ordering.states import CANCEL_SERVICE_TASK_LIFECYCLE
from tmf_apis.ordering.states import SERVICE_ORDER_LIFECYCLE as ORDER
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.periods import check_order
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.pipeline.references import Reference

SCHEMA = order_schema.SERVICE_ORDER_SCHEMA

#: What only the server sets.
SERVER_OWNED = frozenset(
    {"orderDate", "startDate", "completionDate", "cancellationDate", "errorMessage"}
)
#: What a client cannot change any more once an order is finished.
IMMUTABLE_WHEN_FINISHED = (
    *("serviceOrderItem", "requestedStartDate", "requestedCompletionDate", "priority"),
    *("expectedCompletionDate", "relatedParty", "orderRelationship"),
)
#: States of a product that has no services any more.
_ENDED_PRODUCT_STATUSES = ("terminated", "cancelled", "aborted", "aborted ")
#: What a client may still change in an item once work on the order has begun.
_MUTABLE_ITEM_ATTRIBUTES = frozenset({"state"})


def policies() -> dict[str, ResourcePolicy]:
    """Return the laws of service orders and of the tasks that cancel them."""
    return {
        "ServiceOrder": ResourcePolicy(
            lifecycle=ORDER,
            server_owned=SERVER_OWNED,
            on_create=on_create,
            on_change=on_change,
            on_delete=on_delete,
            check=check_services,
            parties=parties,
            extra_events=partial(rules.extra_events, schema=SCHEMA),
        ),
        "CancelServiceOrder": ResourcePolicy(
            lifecycle=CANCEL_SERVICE_TASK_LIFECYCLE,
            server_owned=frozenset({"effectiveCancellationDate"}),
            handle=actions.SERVICE_ORDER_CANCELLATION.cancel,
            run_in_background=actions.SERVICE_ORDER_CANCELLATION.assess,
            parties=party_ids,
        ),
    }


def on_create(order: Resource, context: RequestContext) -> Resource:
    """Return a new service order with what the server fills in.

    Raises:
        InvalidBody: The order is not whole (HTTP 400).
    """
    _check_order(order)
    order = ITEMS.with_item_ids(order)
    order = ITEMS.with_bundle_states(order) if context.system else ITEMS.with_initial_states(order)
    if not (context.system and order.get("orderDate")):
        order = {**order, "orderDate": context.timestamp}
    return rules.with_notes(_with_dates(order, context), context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return a changed service order with items, state and dates in step.

    Raises:
        InvalidBody: The order is not whole any more (HTTP 400).
        Conflict: It is too late for this change (HTTP 409).
        IllegalTransition: An item cannot go there (HTTP 409).
    """
    new = {"state": old.get("state", ORDER.initial_states[0]), **new}
    _check_order(new)
    if not context.system:
        _check_mutable(old, new)
    new = ITEMS.with_previous_states(old, ITEMS.with_item_ids(new))
    ITEMS.check_transitions(old, new, system=context.system)
    new = rules.with_consistent_states(old, new, ITEMS)
    return rules.with_notes(_with_dates(new, context), context)


def on_delete(order: Resource, context: RequestContext) -> None:
    """Let an order go that nothing was begun for, or that is finished.

    Raises:
        Conflict: It is being worked on (HTTP 409).
    """
    state = order.get("state", ORDER.initial_states[0])
    if context.system or state in ORDER.final_states | {"acknowledged"}:
        return
    raise Conflict(
        f"ServiceOrder is {state}; only acknowledged and finished orders can be deleted:"
        " cancel it first (cancelServiceOrder)"
    )


def _check_order(order: Mapping[str, Any]) -> None:
    ITEMS.check(order)
    check_order(order, "requestedStartDate", "requestedCompletionDate")
    rules.check_priority(order)
    for at, item in ITEMS.items_with_pointers(order):
        if item.get("action") in {"modify", "delete"} and not (item.get("service") or {}).get("id"):
            raise InvalidBody(f"{at}/service/id: expected the service to {item['action']}")


def _check_mutable(old: Resource, new: Resource) -> None:
    state = old.get("state", ORDER.initial_states[0])
    if state in ORDER.final_states:
        if late := [name for name in IMMUTABLE_WHEN_FINISHED if old.get(name) != new.get(name)]:
            raise Conflict(f"/{late[0]}: the order is {state}, this cannot be changed any more")
    elif rules.is_started(old, SCHEMA):
        if _immutable_items(old) != _immutable_items(new):
            raise Conflict(
                "/serviceOrderItem: work on the order has begun; only the state of an item can be"
                " changed, anything else needs a new order"
            )
        if old.get("requestedStartDate") != new.get("requestedStartDate"):
            raise Conflict("/requestedStartDate: work on the order has begun")
        if new.get("state") == "cancelled":
            raise Conflict("/state: work on the order has begun; cancel it by cancelServiceOrder")


def _immutable_items(order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
    return [
        (
            at,
            {
                name: item[name]
                for name in item.keys() - _MUTABLE_ITEM_ATTRIBUTES - {ITEMS.items_attribute}
            },
        )
        for at, item in ITEMS.items_with_pointers(order)
    ]


def _with_dates(order: Resource, context: RequestContext) -> Resource:
    if order.get("state") == "inProgress" and not order.get("startDate"):
        order = {**order, "startDate": context.timestamp}
    return rules.with_end_dates(order, context)


def parties(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all parties that an order names, for itself or for a service in it."""
    yield from party_ids(order)
    for _, item in ITEMS.items_with_pointers(order):
        yield from party_ids(item.get("service") or {})


def check_services(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Let an order pass whose services and specifications are there, where that is checked.

    Services that belong to a product or to another service are changed with it.

    Raises:
        InvalidBody: One is not (HTTP 400).
        Conflict: A service belongs to something else (HTTP 409).
    """
    if new is None:
        return
    references.check_targets_exist(repository, _references(old or {}), _references(new))
    named = _changed_services(new)
    if new.get("state") == ORDER.initial_states[0] and named != _changed_services(old or {}):
        _check_standalone(repository, named)


def _changed_services(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of the services that an order changes or ends, with their JSON pointers."""
    return {
        str(service["id"]): f"{at}/service"
        for at, item in ITEMS.items_with_pointers(order)
        if item.get("action") in {"modify", "delete"}
        if (service := item.get("service") or {}).get("id")
    }


def _check_standalone(repository: Repository, pointers: Mapping[str, str]) -> None:
    ids = sorted(pointers)
    found = repository.find("Service", {"id": {"$in": ids}}, limit=len(ids)) if ids else []
    asking = repository.context.parties
    seen = [one for one in found if asking is None or asking & set(party_ids(one))]
    for id, (what, master) in service_owners(repository, seen).items():
        raise Conflict(
            f"{pointers[id]}: service {id} belongs to {what} {master}; order a change of that one"
            f" ({'TMF622' if what == 'product' else 'TMF641'})"
        )


def service_owners(
    repository: Repository, services: Iterable[Resource]
) -> dict[str, tuple[str, str]]:
    """Return what services belong to, by their ids: ``product`` or ``service``, and its id.

    A service that realizes a product is changed by an order for the product, one that another
    service rests on with that one: so they stay in agreement.

    Args:
        repository: Sees the whole tenant.
        services: The services.
    """
    known = {one["id"]: one for one in services}
    if not known:
        return {}
    within = {"$in": sorted(known)}
    above = repository.find(
        "Service", {"supportingService.id": within, "state": {"$ne": "terminated"}}
    )
    products = repository.find(
        "Product",
        {"realizingService.id": within, "status": {"$nin": list(_ENDED_PRODUCT_STATUSES)}},
    )
    found = [
        *_owners_by_reference(above, "supportingService", "service"),
        *_owning_products(known.values()),
        *_owners_by_reference(products, "realizingService", "product"),
    ]
    return {id: (what, master) for id, what, master in found if id in known}


def _owners_by_reference(
    owners: Iterable[Resource], attribute: str, owner_type: str
) -> Iterator[tuple[str, str, str]]:
    for one in owners:
        for part in one.get(attribute) or ():
            yield str(part.get("id")), owner_type, one["id"]


def _owning_products(services: Iterable[Resource]) -> Iterator[tuple[str, str, str]]:
    for one in services:
        for entity in one.get("relatedEntity") or ():
            if entity.get("@referredType") == "Product":
                yield one["id"], "product", str(entity.get("id"))


def _references(order: Resource) -> Iterator[Reference]:
    for at, item in ITEMS.items_with_pointers(order):
        service = item.get("service") or {}
        yield from references.reference_at(
            service, "ServiceSpecification", "serviceSpecification", f"{at}/service"
        )
        if item.get("action") != "add":
            yield from references.reference_at(item, "Service", "service", at)
