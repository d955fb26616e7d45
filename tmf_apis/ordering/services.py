"""TMF641 Service Ordering: what a service order is allowed to be and to become.

It is the law of product orders under other names.

Source: TMF641 v4.1.0, ServiceOrder, ServiceOrderItem, CancelServiceOrder and their states.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody
from tmf_apis.ordering import actions, forms, rules
from tmf_apis.ordering.items import SERVICE as ITEMS
from tmf_apis.ordering.states import SERVICE_ORDER as ORDER
from tmf_apis.ordering.states import SERVICE_TASK
from tmf_apis.rest import references
from tmf_apis.rest.law import Circumstances, Desk, Law, Resource
from tmf_apis.rest.owners import party_ids
from tmf_apis.rest.periods import in_order
from tmf_apis.rest.references import Reference

FORM = forms.SERVICE

#: What only the server sets.
OWNED = frozenset({"orderDate", "startDate", "completionDate", "cancellationDate", "errorMessage"})
#: What a client cannot change any more once an order is finished.
SETTLED = (
    *("serviceOrderItem", "requestedStartDate", "requestedCompletionDate", "priority"),
    *("expectedCompletionDate", "relatedParty", "orderRelationship"),
)
#: States of a product that has no services any more.
_ENDED = ("terminated", "cancelled", "aborted", "aborted ")
#: What a client may still change in an item once work on the order has begun.
_OPEN_IN_ITEM = frozenset({"state"})


def laws() -> dict[str, Law]:
    """Return the laws of service orders and of the tasks that cancel them."""
    return {
        "ServiceOrder": Law(
            lifecycle=ORDER,
            server_owned=OWNED,
            on_create=on_create,
            on_change=on_change,
            on_delete=on_delete,
            check=check,
            parties=parties,
            news=partial(rules.news, form=FORM),
        ),
        "CancelServiceOrder": Law(
            lifecycle=SERVICE_TASK,
            server_owned=frozenset({"effectiveCancellationDate"}),
            act=actions.SERVICE.cancel,
            begin=actions.SERVICE.assess,
            parties=party_ids,
        ),
    }


def on_create(order: Resource, circumstances: Circumstances) -> Resource:
    """Return a new service order with what the server fills in.

    Raises:
        InvalidBody: The order is not whole (HTTP 400).
    """
    _check(order)
    order = ITEMS.numbered(order)
    order = ITEMS.summed(order) if circumstances.system else ITEMS.started(order)
    if not (circumstances.system and order.get("orderDate")):
        order = {**order, "orderDate": circumstances.timestamp}
    return rules.with_notes(_with_dates(order, circumstances), circumstances)


def on_change(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return a changed service order with items, state and dates in step.

    Raises:
        InvalidBody: The order is not whole any more (HTTP 400).
        Conflict: It is too late for this change (HTTP 409).
        IllegalTransition: An item cannot go there (HTTP 409).
    """
    new = {"state": old.get("state", ORDER.initial[0]), **new}
    _check(new)
    if not circumstances.system:
        _check_still_open(old, new)
    new = ITEMS.continued(old, ITEMS.numbered(new))
    ITEMS.check_steps(old, new, system=circumstances.system)
    new = rules.in_step(old, new, ITEMS)
    return rules.with_notes(_with_dates(new, circumstances), circumstances)


def on_delete(order: Resource, circumstances: Circumstances) -> None:
    """Let an order go that nothing was begun for, or that is finished.

    Raises:
        Conflict: It is being worked on (HTTP 409).
    """
    state = order.get("state", ORDER.initial[0])
    if circumstances.system or state in ORDER.final | {"acknowledged"}:
        return
    raise Conflict(
        f"ServiceOrder is {state}; only acknowledged and finished orders can be deleted:"
        " cancel it first (cancelServiceOrder)"
    )


def _check(order: Mapping[str, Any]) -> None:
    ITEMS.check(order)
    in_order(order, "requestedStartDate", "requestedCompletionDate")
    rules.check_priority(order)
    for at, item in ITEMS.of(order):
        if item.get("action") in {"modify", "delete"} and not (item.get("service") or {}).get("id"):
            raise InvalidBody(f"{at}/service/id: expected the service to {item['action']}")


def _check_still_open(old: Resource, new: Resource) -> None:
    state = old.get("state", ORDER.initial[0])
    if state in ORDER.final:
        if late := [name for name in SETTLED if old.get(name) != new.get(name)]:
            raise Conflict(f"/{late[0]}: the order is {state}, this cannot be changed any more")
    elif rules.begun(old, FORM):
        if _ordered(old) != _ordered(new):
            raise Conflict(
                "/serviceOrderItem: work on the order has begun; only the state of an item can be"
                " changed, anything else needs a new order"
            )
        if old.get("requestedStartDate") != new.get("requestedStartDate"):
            raise Conflict("/requestedStartDate: work on the order has begun")
        if new.get("state") == "cancelled":
            raise Conflict("/state: work on the order has begun; cancel it by cancelServiceOrder")


def _ordered(order: Mapping[str, Any]) -> list[tuple[str, Resource]]:
    return [
        (at, {name: item[name] for name in item.keys() - _OPEN_IN_ITEM - {ITEMS.member}})
        for at, item in ITEMS.of(order)
    ]


def _with_dates(order: Resource, circumstances: Circumstances) -> Resource:
    if order.get("state") == "inProgress" and not order.get("startDate"):
        order = {**order, "startDate": circumstances.timestamp}
    return rules.with_dates(order, circumstances)


def parties(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all parties that an order names, for itself or for a service in it."""
    yield from party_ids(order)
    for _, item in ITEMS.of(order):
        yield from party_ids(item.get("service") or {})


def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let an order pass whose services and specifications are there, where that is checked.

    Services that belong to a product or to another service are changed with it.

    Raises:
        InvalidBody: One is not (HTTP 400).
        Conflict: A service belongs to something else (HTTP 409).
    """
    if new is None:
        return
    references.check(desk, _references(old or {}), _references(new))
    named = _changed(new)
    if new.get("state") == ORDER.initial[0] and named != _changed(old or {}):
        _check_masters(desk, named)


def _changed(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of the services that an order changes or ends, with their JSON pointers."""
    return {
        str(service["id"]): f"{at}/service"
        for at, item in ITEMS.of(order)
        if item.get("action") in {"modify", "delete"}
        if (service := item.get("service") or {}).get("id")
    }


def _check_masters(desk: Desk, named: Mapping[str, str]) -> None:
    ids = sorted(named)
    found = desk.find("Service", {"id": {"$in": ids}}, limit=len(ids)) if ids else []
    asking = desk.circumstances.parties
    seen = [one for one in found if asking is None or asking & set(party_ids(one))]
    for id, (what, master) in masters(desk, seen).items():
        raise Conflict(
            f"{named[id]}: service {id} belongs to {what} {master}; order a change of that one"
            f" ({'TMF622' if what == 'product' else 'TMF641'})"
        )


def masters(desk: Desk, some: Iterable[Resource]) -> dict[str, tuple[str, str]]:
    """Return what services belong to, by their ids: ``product`` or ``service``, and its id.

    A service that realizes a product is changed by an order for the product, one that another
    service rests on with that one: so they stay in agreement.

    Args:
        desk: Sees the whole tenant.
        some: The services.
    """
    known = {one["id"]: one for one in some}
    if not known:
        return {}
    within = {"$in": sorted(known)}
    above = desk.find("Service", {"supportingService.id": within, "state": {"$ne": "terminated"}})
    products = desk.find(
        "Product", {"realizingService.id": within, "status": {"$nin": list(_ENDED)}}
    )
    found = [
        *_named(above, "supportingService", "service"),
        *_of_products(known.values()),
        *_named(products, "realizingService", "product"),
    ]
    return {id: (what, master) for id, what, master in found if id in known}


def _named(some: Iterable[Resource], member: str, what: str) -> Iterator[tuple[str, str, str]]:
    for one in some:
        for part in one.get(member) or ():
            yield str(part.get("id")), what, one["id"]


def _of_products(some: Iterable[Resource]) -> Iterator[tuple[str, str, str]]:
    for one in some:
        for entity in one.get("relatedEntity") or ():
            if entity.get("@referredType") == "Product":
                yield one["id"], "product", str(entity.get("id"))


def _references(order: Resource) -> Iterator[Reference]:
    for at, item in ITEMS.of(order):
        service = item.get("service") or {}
        yield from references.single(
            service, "ServiceSpecification", "serviceSpecification", f"{at}/service"
        )
        if item.get("action") != "add":
            yield from references.single(item, "Service", "service", at)
