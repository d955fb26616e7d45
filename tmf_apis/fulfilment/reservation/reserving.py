"""Reserving what a task needs, before anything is touched; giving it back; writing what became.

Every resource is reserved by one edit of its own that fails where somebody else was faster, so two
orders never get the same. What a task has reserved is found again by its holder: everything here
is safe to repeat.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.reservation import holdings, searching, shares
from tmf_apis.fulfilment.reservation.holdings import Claim, Use
from tmf_apis.fulfilment.reservation.ports import HOLDER, SERVICE, holder_of, service_of
from tmf_apis.fulfilment.reservation.refusals import told
from tmf_apis.fulfilment.reservation.searching import KIND, written
from tmf_apis.fulfilment.reservation.taking import HOLD, Taking
from tmf_apis.fulfilment.reservation.trials import TrialDesk
from tmf_apis.fulfilment.values import Missing, OrderKey, Refused, Taken, Task, Usage
from tmf_apis.rest.law import Desk, Resource, rfc3339

__all__ = [
    "HOLD", "activate", "feasible", "release", "renew", "reserve", "survey", "sweep",
]  # fmt: skip


def reserve(  # noqa: PLR0913
    desk: Desk,
    key: OrderKey,
    task: Task,
    owner: Desk,
    *,
    hold: timedelta = HOLD,
    fresh: bool = False,
) -> Taken:
    """Reserve what a task needs; safe to repeat.

    Args:
        desk: Sees the whole tenant.
        key: Which order.
        task: What is wanted.
        owner: Sees what whoever placed the order may see.
        hold: How long it is reserved, unless it is renewed.
        fresh: Nobody can have reserved anything for the task before.

    Raises:
        Refused: It is not to be had; the message says why.
    """
    return Taking(desk, key, task, owner, hold, fresh=fresh).taken()


def survey(
    desk: Desk, key: OrderKey, tasks: Iterable[Task], owner: Desk | None = None
) -> tuple[dict[str, Taken], list[Missing]]:
    """Return what every task of an order would take, and what is missing; touches nothing."""
    trial = TrialDesk(desk)
    readers = [owner] if owner else None
    if (owner or desk).circumstances.parties is None:
        readers = []
    found: dict[str, Taken] = {}
    missing: list[Missing] = []
    for task in tasks:
        taking = Taking(trial, key, task, owner or desk, HOLD)
        try:
            found[task.id] = taking.taken()
        except Refused as error:
            need = taking.at
            slot, category = (need.slot, need.category) if need else ("", "")
            missing.append(Missing(task.item, task.id, slot, category, told(error, readers)))
    return found, missing


def feasible(
    desk: Desk, key: OrderKey, tasks: Iterable[Task], owner: Desk | None = None
) -> list[Missing]:
    """Return what is missing so that all tasks of an order can be done; touches nothing."""
    return survey(desk, key, tasks, owner)[1]


def renew(desk: Desk, taken: Taken, hold: timedelta = HOLD) -> bool:
    """Hold what a task has reserved for longer; return whether it holds everything still."""
    whole = True

    def edit(resource: Resource, slot: str) -> Resource:
        service = service_of(resource)
        claim = Claim.made(taken.holder, desk.now, hold, service)
        if slot in taken.shared:
            return shares.renewed(resource, claim)
        if holder_of(resource) != taken.holder:
            raise Refused("it is somebody else's by now")
        return holdings.reserved(resource, claim)

    for slot, id in taken.resources.items():
        try:
            desk.change(KIND, id, lambda one, slot=slot: edit(one, slot))  # type: ignore[misc]
        except (Refused, NotFound):
            whole = False
    return whole


def activate(desk: Desk, taken: Taken) -> None:
    """Write into the inventory what is on the element now; safe to repeat.

    Raises:
        Refused: A resource is somebody else's now.
    """
    draws = tuple(taken.resources[slot] for slot in taken.shared)
    for slot, id in taken.resources.items():
        if slot in taken.shared:
            with suppress(NotFound):
                desk.change(KIND, id, lambda one: shares.settled(one, taken.holder))
            continue
        use = _after(taken, slot, draws)

        def edit(resource: Resource, use: Use = use) -> Resource:
            holder = holder_of(resource)
            if holder != taken.holder and (holder or not _same(resource, use)):
                what = holdings.called(resource)
                if holder:
                    raise holdings.held_by(what, holder)
                raise Refused(f"{what} is not reserved any more")
            return holdings.in_use(resource, use)

        try:
            desk.change(KIND, id, edit)
        except NotFound:
            if taken.action != "cease":
                raise Refused(
                    f"{taken.names.get(slot, id)} is not in the inventory any more"
                ) from None


def _same(resource: Resource, use: Use) -> bool:
    return holdings.use_of(resource).usage == use.usage


def _after(taken: Taken, slot: str, draws: tuple[str, ...]) -> Use:
    """Return what shall be on a resource."""
    if taken.action == "cease":
        return Use()
    before = taken.before.get(slot, Usage())
    ordered = before.ordered if taken.action == "change" and before.service else taken.holder
    carries = slot == taken.carrier
    return Use(
        Usage(taken.service, dict(taken.settings) if carries else {}, ordered),
        taken.product,
        draws if carries or not taken.carrier else (),
        taken.element if carries else "",
    )


def release(desk: Desk, key: OrderKey, task: Task, taken: Taken | None, doubt: str = "") -> None:
    """Leave what a task has reserved as it was before; safe to repeat.

    Args:
        desk: Sees the whole tenant.
        key: Which order.
        task: The task.
        taken: What was reserved; None: perhaps nothing was.
        doubt: The element may not be as it was: what was taken is kept out of use, with this note.
    """
    holder = task.holder(key)
    slots = {id: slot for slot, id in taken.resources.items()} if taken else {}
    part = {taken.resources[slot] for slot in taken.shared} if taken else set()
    whole = {one["id"]: one for one in written(desk, HOLDER, [holder])}
    if taken is None:
        part |= set(_drawn(desk, task, whole.values()))
    for id in sorted((whole.keys() | slots.keys()) - part):
        before = taken.before.get(slots[id], Usage()) if taken and id in slots else None
        after = _after(taken, slots[id], ()).usage if taken and id in slots else None

        def edit(
            resource: Resource, before: Usage | None = before, after: Usage | None = after
        ) -> Resource:
            use, by = holdings.use_of(resource), holder_of(resource)
            if by != holder and (by or use.usage not in (before, after)):
                return resource  # it is somebody else's by now
            if doubt:
                return holdings.in_doubt(resource, holder, doubt)
            return holdings.in_use(resource, _before(use, before))

        with suppress(NotFound):  # it was taken out of the inventory meanwhile
            desk.change(KIND, id, edit)
    for id in sorted(part):
        with suppress(NotFound):
            desk.change(KIND, id, lambda one: shares.returned(one, holder))


def _before(now: Use, before: Usage | None) -> Use:
    usage = now.usage if before is None else before
    return Use(usage, now.product, now.draws, now.element) if usage.service else Use()


def _drawn(desk: Desk, task: Task, held: Iterable[Resource]) -> Iterator[str]:
    """Yield the ids of shared resources of which a task may have reserved a part."""
    on = [element["id"] for one in held if (element := searching.element_of(desk, one))]
    for need in task.needs:
        if need.amount:
            for element in on or [""]:
                yield from (one["id"] for one in searching.shared(desk, need, element))


def sweep(desk: Desk) -> int:
    """Take away reservations that are over; return how many.

    Others may take what they hold without this; it is for those who look at the inventory.
    """
    over = {"$elemMatch": {"name": holdings.UNTIL, "value": {"$lte": rfc3339(desk.now)}}}
    query = {"externalIdentifier.externalIdentifierType": HOLDER, "resourceCharacteristic": over}
    count = 0
    for one in desk.find(KIND, query):

        def edit(resource: Resource) -> Resource:
            if not holder_of(resource) or not holdings.expired(resource, desk.now):
                return resource
            return holdings.in_use(resource, holdings.use_of(resource))

        with suppress(NotFound):
            desk.change(KIND, one["id"], edit)
            count += 1
    return count


def services(desk: Desk, ids: Iterable[str]) -> set[str]:
    """Return those of some services that are on a resource now."""
    wanted = list(ids)
    return {service_of(one) for one in written(desk, SERVICE, wanted)}
