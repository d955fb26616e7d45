"""What fulfilment writes into an order: pure edits, each the same when repeated."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.execution import progress
from tmf_apis.fulfilment.values import ItemPlan, Taken
from tmf_apis.ordering import forms
from tmf_apis.ordering.forms import Form
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

#: What an item says of the state of what is ordered: the attribute, and the words for each status.
_STATUS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ProductOrder": (
        "status",
        {
            **{one: one for one in ("active", "suspended", "terminated", "cancelled")},
            "pendingActive": "pendingActive",
            "aborted": "aborted ",  # as the contract writes it
        },
    ),
    "ServiceOrder": (
        "state",
        {
            "pendingActive": "reserved",
            "active": "active",
            "suspended": "inactive",
            **dict.fromkeys(("terminated", "cancelled", "aborted"), "terminated"),
        },
    ),
}
#: The type of what is ordered, where its contract must have one.
_TYPE: Mapping[str, Resource] = {"ProductOrder": {"@type": "Product"}, "ServiceOrder": {}}
#: Which resources and services what is ordered rests on.
_RESTS_ON: Mapping[str, tuple[str, str]] = {
    "ProductOrder": ("realizingResource", "realizingService"),
    "ServiceOrder": ("supportingResource", "supportingService"),
}


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


def begun(
    order: Resource,
    plans: Mapping[str, ItemPlan | None],
    now: datetime,
    form: Form = forms.PRODUCT,
) -> Resource:
    """Return an order whose items are in progress, and it with them.

    Args:
        order: The order.
        plans: What becomes of each item, by id.
        now: The time.
        form: What kind of order it is.
    """
    status, words = _STATUS[form.kind]

    def begin(item: Resource) -> Resource:
        if item["id"] not in plans or item.get("state", "acknowledged") != "acknowledged":
            return item
        plan = plans[item["id"]]
        made = plan.product if plan and plan.action == "add" else None
        if made is None:
            return {**item, "state": "inProgress"}
        subject = {**_TYPE[form.kind], **(item.get(form.subject) or {})}
        subject |= {"id": made.id, status: words["pendingActive"]}
        return {**item, form.subject: subject, "state": "inProgress"}

    new = progress.announced({**form.changed(order, begin), "state": "inProgress"}, now, form)
    if not new.get("expectedCompletionDate"):
        new["expectedCompletionDate"] = expected(new, len(plans), now)
    return new


def expected(order: Mapping[str, Any], count: int, now: datetime) -> str:
    """Return when an order is expected to be finished: when its customer wants it, or soon."""
    wanted, soon = moment(order.get("requestedCompletionDate")), now + ESTIMATE + count * EACH
    if wanted and datetime.fromisoformat(wanted) > soon:
        return rfc3339(datetime.fromisoformat(wanted).astimezone(UTC))
    return rfc3339(soon.replace(microsecond=0))


def told(order: Resource, news: News, now: datetime, form: Form = forms.PRODUCT) -> Resource:
    """Return an order that says what has happened."""
    open_ = {i["id"] for i in form.of(order) if i.get("state") not in ITEM.final}
    change = partial(_item, form, news, open_, cancelled=is_cancelling(order))
    new = form.changed(order, change)
    if news.reserved or news.done:
        new = progress.reached(new, progress.RESERVED, now, form=form)
    if any(taken for _, taken in news.done.values()):
        new = progress.reached(new, POINT_OF_NO_RETURN, now, form=form)
    for item, alert in _alerts(news):
        new = progress.warned(new, alert, now, item, form=form)
    for text in news.notes:
        new = progress.noted(new, text, AUTHOR)
    if not is_cancelling(order):
        why_not = {id: why for id, why in news.failed.items() if id in open_}
        new = progress.regretted(new, why_not, now, form)
    return ended(new, now, form)


def _item(
    form: Form, news: News, open_: Container[str], item: Resource, *, cancelled: bool
) -> Resource:
    id, done = item["id"], news.done
    if id not in open_:
        return item
    if id in done:
        return {**with_subject(form, item, *done[id]), "state": "completed"}
    if id in news.failed:
        return _failed(form, item, cancelled=cancelled)
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


def ended(order: Resource, now: datetime, form: Form = forms.PRODUCT) -> Resource:
    """Return an order that says so where all its items have a final state."""
    states = set(form.items.leaf_states(order))
    if not states <= ITEM.final:
        return order
    good = states <= {"completed"}
    status = progress.REACHED if good else progress.VIOLATED
    return progress.reached(order, progress.COMPLETED, now, status, form)


def cancelled(
    order: Resource, gone: Iterable[str], now: datetime, form: Form = forms.PRODUCT
) -> Resource:
    """Return an order whose items that were taken back are cancelled, though it goes on."""
    ids = set(gone)

    def change(item: Resource) -> Resource:
        if item["id"] in ids and item.get("state") not in ITEM.final:
            return {**item, "state": "cancelled"}
        return item

    return ended(form.changed(order, change), now, form)


def _failed(form: Form, item: Resource, *, cancelled: bool) -> Resource:
    """Return an item of which nothing is left; that of a cancelled order follows the order."""
    status, words = _STATUS[form.kind]
    subject = dict(item.get(form.subject) or {})
    if subject.get(status) == words["pendingActive"] and item.get("action") == "add":
        subject[status] = words["cancelled" if cancelled else "aborted"]
        item = {**item, form.subject: subject}
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


def with_subject(form: Form, item: Resource, plan: ItemPlan, taken: Iterable[Taken]) -> Resource:
    """Return an item whose product or service says which it is, and what it is on."""
    if plan.product is None:
        return item
    status, words = _STATUS[form.kind]
    subject = {**_TYPE[form.kind], **(item.get(form.subject) or {})}
    subject |= {"id": plan.product.id, status: words[plan.product.status]}
    resources = [
        {"@type": "ResourceRef", "id": id, "name": one.names.get(slot, id),
         "@referredType": "Resource"}
        for one in taken
        if one.action != "cease" or plan.change == "cease"
        for slot, id in one.resources.items()
    ]  # fmt: skip
    typed = {"@type": "ServiceRef"} if form is forms.PRODUCT else {}
    services = [
        {**typed, "id": id, "@referredType": "Service"}
        for id in plan.product.services
        if id != plan.product.id
    ]
    rests = _RESTS_ON[form.kind]
    for name, found in zip(rests, (resources, services), strict=True):
        others = {one["id"]: one for one in objects(subject.get(name)) if "id" in one}
        if merged := {**others, **{one["id"]: one for one in found}}:
            subject[name] = list(merged.values())
    return {**item, form.subject: subject}
