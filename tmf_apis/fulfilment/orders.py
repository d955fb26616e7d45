"""What fulfilment writes into an order: pure edits, each the same when repeated."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tmf_apis.fulfilment import progress
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.values import ItemPlan, Taken
from tmf_apis.ordering import items
from tmf_apis.ordering.rules import POINT_OF_NO_RETURN, PRIORITIES
from tmf_apis.ordering.states import CANCELLING, ITEM, ORDER
from tmf_apis.rest.law import Resource, rfc3339
from tmf_apis.rest.periods import moment

#: Who signs our notes.
AUTHOR = "tmf-apis"
#: States in which fulfilment takes an order up, or goes on with it.
OPEN = frozenset({"acknowledged", "inProgress", "inProgress.accepted"})
#: What an order takes as a whole, and each of its tasks, where nobody says when it shall be done.
ESTIMATE, EACH = timedelta(minutes=1), timedelta(seconds=1)


@dataclass(slots=True)
class News:
    """What an order is told at once.

    Attributes:
        reserved: Whether everything it needs is reserved.
        done: From the ids of items that are completed to what became of each, and what it is on.
        failed: From the ids of items of which nothing is left to the reason.
        waiting: From the ids of items that wait for a person to what for.
        resumed: Ids of items that may have waited and go on.
        late: From the ids of items whose element cannot be reached to its name and the reason.
        notes: What people should read.
    """

    reserved: bool = False
    done: dict[str, tuple[ItemPlan, list[Taken]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    resumed: set[str] = field(default_factory=set)
    late: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def begun(order: Resource, plans: Mapping[str, ItemPlan | None], now: datetime) -> Resource:
    """Return an order whose items are in progress, and it with them.

    Args:
        order: The order.
        plans: What becomes of each item, by id.
        now: The time.
    """

    def begin(item: Resource) -> Resource:
        if item["id"] not in plans or item.get("state", "acknowledged") != "acknowledged":
            return item
        plan = plans[item["id"]]
        made = plan.product if plan and plan.action == "add" else None
        if made is None:
            return {**item, "state": "inProgress"}
        product = {"@type": "Product", **(item.get("product") or {})}
        product |= {"id": made.id, "status": "pendingActive"}
        return {**item, "product": product, "state": "inProgress"}

    new = progress.announced({**_each(order, begin), "state": "inProgress"}, now)
    if not new.get("expectedCompletionDate"):
        new["expectedCompletionDate"] = expected(new, len(plans), now)
    return new


def expected(order: Mapping[str, Any], count: int, now: datetime) -> str:
    """Return when an order is expected to be finished: when its customer wants it, or soon."""
    wanted, soon = moment(order.get("requestedCompletionDate")), now + ESTIMATE + count * EACH
    if wanted and datetime.fromisoformat(wanted) > soon:
        return rfc3339(datetime.fromisoformat(wanted).astimezone(UTC))
    return rfc3339(soon.replace(microsecond=0))


def told(order: Resource, news: News, now: datetime) -> Resource:
    """Return an order that says what has happened."""
    open_ = {i["id"] for _, i in items.of(order) if i.get("state") not in ITEM.final}
    new = _each(order, partial(_item, news, open_, cancelled=is_cancelling(order)))
    if news.reserved or news.done:
        new = progress.reached(new, progress.RESERVED, now)
    if any(taken for _, taken in news.done.values()):
        new = progress.reached(new, POINT_OF_NO_RETURN, now)
    for item, alert in _alerts(news):
        new = progress.warned(new, alert, now, item)
    for text in news.notes:
        new = progress.noted(new, text, AUTHOR)
    if not is_cancelling(order):
        why_not = {id: why for id, why in news.failed.items() if id in open_}
        new = progress.regretted(new, why_not, now)
    return ended(new, now)


def _item(news: News, open_: Container[str], item: Resource, *, cancelled: bool) -> Resource:
    id, done = item["id"], news.done
    if id not in open_:
        return item
    if id in done:
        return {**with_product(item, *done[id]), "state": "completed"}
    if id in news.failed:
        return _failed(item, cancelled=cancelled)
    if id in news.waiting:
        return {**item, "state": "pending"}
    if id in news.resumed and item.get("state") == "pending":
        return {**item, "state": "inProgress"}
    return item


def _alerts(news: News) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield item and alert of whatever is waited for."""
    for item, (name, why) in sorted(news.late.items()):
        message = f"{name} is waited for: {why}"
        yield item, (f"element {name}", progress.ELEMENT, message)
    for item, (id, why) in sorted(news.waiting.items()):
        yield item, (f"task {id}", progress.PERSON, f"a person has to decide: {why}")


def ended(order: Resource, now: datetime) -> Resource:
    """Return an order that says so where all its items have a final state."""
    states = set(items.leaf_states(order))
    if not states <= ITEM.final:
        return order
    good = states <= {"completed"}
    status = progress.REACHED if good else progress.VIOLATED
    return progress.reached(order, progress.COMPLETED, now, status)


def cancelled(order: Resource, gone: Iterable[str], now: datetime) -> Resource:
    """Return an order whose items that were taken back are cancelled, though it goes on."""
    ids = set(gone)

    def change(item: Resource) -> Resource:
        if item["id"] in ids and item.get("state") not in ITEM.final:
            return {**item, "state": "cancelled"}
        return item

    return ended(_each(order, change), now)


def _failed(item: Resource, *, cancelled: bool) -> Resource:
    """Return an item of which nothing is left; that of a cancelled order follows the order."""
    product = dict(item.get("product") or {})
    if product.get("status") == "pendingActive":
        product["status"] = "cancelled" if cancelled else "aborted "  # as the contract writes it
        item = {**item, "product": product}
    return item if cancelled else {**item, "state": "failed"}


def is_cancelling(order: Mapping[str, Any]) -> bool:
    """Return whether a request to cancel the order is being decided or carried out."""
    return order.get("state") in CANCELLING


def rank(order: Mapping[str, Any]) -> int:
    """Return an order's priority from 1, the highest, to 5; 0: it has none.

    >>> rank({"priority": "0"}), rank({})
    (1, 0)
    """
    priority = order.get("priority")
    return int(priority) + 1 if priority in PRIORITIES else 0


def is_final(state: str) -> bool:
    """Return whether an order in a state is finished, or gone."""
    return not state or state in ORDER.final


def with_product(item: Resource, plan: ItemPlan, taken: Iterable[Taken]) -> Resource:
    """Return an item whose product says which it is, and on which services and resources."""
    if plan.product is None:
        return item
    product = {"@type": "Product", **(item.get("product") or {})}
    product |= {"id": plan.product.id, "status": plan.product.status}
    resources = [
        {"@type": "ResourceRef", "id": id, "name": one.names.get(slot, id),
         "@referredType": "Resource"}
        for one in taken
        if one.action != "cease" or plan.change == "cease"
        for slot, id in one.resources.items()
    ]  # fmt: skip
    services = [
        {"@type": "ServiceRef", "id": id, "@referredType": "Service"}
        for id in plan.product.services
    ]
    for name, found in (("realizingResource", resources), ("realizingService", services)):
        others = {one["id"]: one for one in objects(product.get(name)) if "id" in one}
        if merged := {**others, **{one["id"]: one for one in found}}:
            product[name] = list(merged.values())
    return {**item, "product": product}


def _each(order: Resource, change: Callable[[Resource], Resource]) -> Resource:
    """Return an order with every item that has none inside it changed."""

    def within(held: list[Resource]) -> list[Resource]:
        return [
            {**item, "productOrderItem": within(item["productOrderItem"])}
            if item.get("productOrderItem")
            else change(item)
            for item in held
        ]

    return {**order, "productOrderItem": within(order.get("productOrderItem") or [])}
