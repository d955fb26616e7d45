"""Rules of product orders (TMF622) that service orders do not share.

Source: TMF622 v4.0 and v5.0, ProductOrder, CancelProductOrder.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict, Faults, shortened
from tmf_apis.ordering.items import PRODUCT_ORDER_ITEMS
from tmf_apis.rest.pipeline.catalog_terms import ON_SALE_STATES
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource


def parties(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all parties that an order and its items name."""
    items = (item for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(order))
    for holder in (order, *items):
        yield from _party_ids(holder.get("relatedParty") or ())


def _party_ids(related_parties: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the ids of related parties; for a party role, the id of its party as well."""
    for related_party in related_parties:
        party = related_party.get("partyOrPartyRole") or related_party
        yield from (party[name] for name in ("id", "partyId") if isinstance(party.get(name), str))


def on_create_cancellation(task: Resource, context: RequestContext) -> Resource:
    """Return a new cancellation task with its creation date."""
    if context.system and task.get("creationDate"):
        return task
    return {**task, "creationDate": context.timestamp}


def task_parties(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the parties of a cancellation task, which are those of its order."""
    return _party_ids(task.get("relatedParty") or ())


def check_offerings(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that the ordered offerings exist and, if added, are on sale.

    Runs only if the operator asks for it (``TMF_CHECK_REFERENCES``) and the items change.

    Raises:
        InvalidBody: An item names an offering that does not exist (HTTP 400).
        Conflict: An item adds an offering that is not on sale, or not sold separately (HTTP 409).
    """
    if new is None or not repository.context.flags.get("check_references"):
        return
    ordered = _ordered_offerings(new)
    if old is not None and _ordered_offerings(old) == ordered:
        return
    ids = sorted({id for _, id, _ in ordered})
    offerings = {
        offering["id"]: offering
        for offering in repository.find("ProductOffering", {"id": {"$in": ids}})
    }
    faults = Faults()
    for item_pointer, id, action in ordered:
        pointer = f"{item_pointer}/productOffering/id"
        if id not in offerings:
            faults.add(f"{pointer}: the catalogue has no offering {shortened(id)}")
        elif action == "add":
            is_top_level = item_pointer.count("/productOrderItem/") == 1
            _check_on_sale(pointer, offerings[id], standalone=is_top_level)
    faults.refuse()


def _ordered_offerings(order: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return JSON pointer, offering id and action of the items that name an offering."""
    return [
        (pointer, item["productOffering"]["id"], item.get("action", "add"))
        for pointer, item in PRODUCT_ORDER_ITEMS.items_with_pointers(order)
        if (item.get("productOffering") or {}).get("id")
    ]


def _check_on_sale(pointer: str, offering: Mapping[str, Any], *, standalone: bool) -> None:
    status = offering.get("lifecycleStatus")
    if status not in ON_SALE_STATES:
        raise Conflict(f"{pointer}: the offering is {status}; expected Launched or Active")
    if standalone and offering.get("isSellable") is False:
        raise Conflict(f"{pointer}: the offering is sold as a part of others only (isSellable)")
