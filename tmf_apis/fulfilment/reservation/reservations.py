"""Reserving what a task needs, before anything is touched; giving it back; writing what became.

Every resource is reserved by one edit of its own that fails where somebody else was faster, so two
orders never get the same. What a task has reserved is found again by its holder: everything here
is safe to repeat.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth, resource_queries
from tmf_apis.fulfilment.reservation.allocator import RESERVATION_TIME, ResourceAllocator
from tmf_apis.fulfilment.reservation.dry_run_repository import DryRunRepository
from tmf_apis.fulfilment.reservation.refusals import message_for
from tmf_apis.fulfilment.reservation.resource_queries import RESOURCE_KIND, find_by_identifier
from tmf_apis.fulfilment.values import Allocation, OrderKey, Task, UnmetRequirement
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import HOLDER_IDENTIFIER, SERVICE_IDENTIFIER, holder_of, service_of
from tmf_apis.inventory.resource_state import ReservationMark, ResourceUsage, ServiceUse
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

__all__ = [
    "RESERVATION_TIME",
    "activate",
    "dry_run_allocations",
    "release",
    "release_expired",
    "renew",
    "reserve",
    "unmet_requirements",
]  # fmt: skip


def reserve(  # noqa: PLR0913
    repository: Repository,
    key: OrderKey,
    task: Task,
    owner_repository: Repository,
    *,
    duration: timedelta = RESERVATION_TIME,
    first_attempt: bool = False,
) -> Allocation:
    """Reserve what a task needs; safe to repeat.

    Args:
        repository: Sees the whole tenant.
        key: Which order.
        task: What is wanted.
        owner_repository: Sees what whoever placed the order may see.
        duration: How long it is reserved, unless it is renewed.
        first_attempt: Nobody can have reserved anything for the task before.

    Raises:
        Refused: It is not to be had; the message says why.
    """
    return ResourceAllocator(
        repository, key, task, owner_repository, duration, first_attempt=first_attempt
    ).allocate()


def dry_run_allocations(
    repository: Repository,
    key: OrderKey,
    tasks: Iterable[Task],
    owner_repository: Repository | None = None,
) -> tuple[dict[str, Allocation], list[UnmetRequirement]]:
    """Return what every task of an order would take, and what is missing; touches nothing."""
    trial = DryRunRepository(repository)
    readers = [owner_repository] if owner_repository else None
    if (owner_repository or repository).context.parties is None:
        readers = []
    found: dict[str, Allocation] = {}
    missing: list[UnmetRequirement] = []
    for task in tasks:
        taking = ResourceAllocator(
            trial, key, task, owner_repository or repository, RESERVATION_TIME
        )
        try:
            found[task.id] = taking.allocate()
        except Unfulfillable as error:
            need = taking.current_requirement
            slot, category = (need.slot, need.category) if need else ("", "")
            missing.append(
                UnmetRequirement(task.item, task.id, slot, category, message_for(error, readers))
            )
    return found, missing


def unmet_requirements(
    repository: Repository,
    key: OrderKey,
    tasks: Iterable[Task],
    owner_repository: Repository | None = None,
) -> list[UnmetRequirement]:
    """Return what is missing so that all tasks of an order can be done; touches nothing."""
    return dry_run_allocations(repository, key, tasks, owner_repository)[1]


def renew(
    repository: Repository, allocation: Allocation, duration: timedelta = RESERVATION_TIME
) -> bool:
    """Hold what a task has reserved for longer; return whether it holds everything still."""
    whole = True

    def edit(resource: Resource, slot: str) -> Resource:
        service = service_of(resource)
        claim = ReservationMark.for_duration(allocation.holder, repository.now, duration, service)
        if slot in allocation.shared_slots:
            return bandwidth.renew(resource, claim)
        if holder_of(resource) != allocation.holder:
            raise Unfulfillable("it is somebody else's by now")
        return resource_state.reserve(resource, claim)

    for slot, id in allocation.resources.items():
        try:
            repository.change(RESOURCE_KIND, id, lambda one, slot=slot: edit(one, slot))  # type: ignore[misc]
        except (Unfulfillable, NotFound):
            whole = False
    return whole


def activate(repository: Repository, allocation: Allocation) -> None:
    """Write into the inventory what is on the element now; safe to repeat.

    Raises:
        Refused: A resource is somebody else's now.
    """
    draws = tuple(allocation.resources[slot] for slot in allocation.shared_slots)
    for slot, id in allocation.resources.items():
        if slot in allocation.shared_slots:
            with suppress(NotFound):
                repository.change(
                    RESOURCE_KIND, id, lambda one: bandwidth.commit(one, allocation.holder)
                )
            continue
        use = _use_after(allocation, slot, draws)

        def edit(resource: Resource, use: ServiceUse = use) -> Resource:
            holder = holder_of(resource)
            if holder != allocation.holder and (holder or not _has_usage(resource, use)):
                what = resource_state.display_name(resource)
                if holder:
                    raise resource_state.reservation_conflict(what, holder)
                raise Unfulfillable(f"{what} is not reserved any more")
            return resource_state.set_use(resource, use)

        try:
            repository.change(RESOURCE_KIND, id, edit)
        except NotFound:
            if allocation.action != "cease":
                raise Unfulfillable(
                    f"{allocation.names.get(slot, id)} is not in the inventory any more"
                ) from None


def _has_usage(resource: Resource, use: ServiceUse) -> bool:
    return resource_state.service_use(resource).usage == use.usage


def _use_after(allocation: Allocation, slot: str, shared_resources: tuple[str, ...]) -> ServiceUse:
    """Return what shall be on a resource."""
    if allocation.action == "cease":
        return ServiceUse()
    before = allocation.previous_usage.get(slot, ResourceUsage())
    ordered = (
        before.ordered_by if allocation.action == "change" and before.service else allocation.holder
    )
    carries = slot == allocation.carrier_slot
    return ServiceUse(
        ResourceUsage(allocation.service, dict(allocation.settings) if carries else {}, ordered),
        allocation.product,
        shared_resources if carries or not allocation.carrier_slot else (),
        allocation.element if carries else "",
    )


def release(
    repository: Repository,
    key: OrderKey,
    task: Task,
    allocation: Allocation | None,
    quarantine_reason: str = "",
) -> None:
    """Leave what a task has reserved as it was before; safe to repeat.

    Args:
        repository: Sees the whole tenant.
        key: Which order.
        task: The task.
        allocation: What was reserved; None: perhaps nothing was.
        quarantine_reason: The element may not be as it was: what was taken is kept out of use, with this note.
    """
    holder = task.holder(key)
    slots = {id: slot for slot, id in allocation.resources.items()} if allocation else {}
    part = {allocation.resources[slot] for slot in allocation.shared_slots} if allocation else set()
    whole = {one["id"]: one for one in find_by_identifier(repository, HOLDER_IDENTIFIER, [holder])}
    if allocation is None:
        part |= set(_shared_resource_ids(repository, task, whole.values()))
    for id in sorted((whole.keys() | slots.keys()) - part):
        before = (
            allocation.previous_usage.get(slots[id], ResourceUsage())
            if allocation and id in slots
            else None
        )
        after = _use_after(allocation, slots[id], ()).usage if allocation and id in slots else None

        def edit(
            resource: Resource,
            before: ResourceUsage | None = before,
            after: ResourceUsage | None = after,
        ) -> Resource:
            use, by = resource_state.service_use(resource), holder_of(resource)
            if by != holder and (by or use.usage not in (before, after)):
                return resource  # it is somebody else's by now
            if quarantine_reason:
                return resource_state.quarantine(resource, holder, quarantine_reason)
            return resource_state.set_use(resource, _previous_use(use, before))

        with suppress(NotFound):  # it was taken out of the inventory meanwhile
            repository.change(RESOURCE_KIND, id, edit)
    for id in sorted(part):
        with suppress(NotFound):
            repository.change(RESOURCE_KIND, id, lambda one: bandwidth.release(one, holder))


def _previous_use(now: ServiceUse, before: ResourceUsage | None) -> ServiceUse:
    usage = now.usage if before is None else before
    return (
        ServiceUse(usage, now.product, now.shared_resources, now.element)
        if usage.service
        else ServiceUse()
    )


def _shared_resource_ids(
    repository: Repository, task: Task, reserved_resources: Iterable[Resource]
) -> Iterator[str]:
    """Yield the ids of shared resources of which a task may have reserved a part."""
    on = [
        element["id"]
        for one in reserved_resources
        if (element := resource_queries.element_of(repository, one))
    ]
    for need in task.requirements:
        if need.amount:
            for element in on or [""]:
                yield from (
                    one["id"]
                    for one in resource_queries.shared_resources(repository, need, element)
                )


def release_expired(repository: Repository) -> int:
    """Take away reservations that are over; return how many.

    Others may take what they hold without this; it is for those who look at the inventory.
    """
    over = {
        "$elemMatch": {
            "name": resource_state.RESERVED_UNTIL,
            "value": {"$lte": rfc3339(repository.now)},
        }
    }
    query = {
        "externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER,
        "resourceCharacteristic": over,
    }
    count = 0
    for one in repository.find(RESOURCE_KIND, query):

        def edit(resource: Resource) -> Resource:
            if not holder_of(resource) or not resource_state.is_reservation_expired(
                resource, repository.now
            ):
                return resource
            return resource_state.set_use(resource, resource_state.service_use(resource))

        with suppress(NotFound):
            repository.change(RESOURCE_KIND, one["id"], edit)
            count += 1
    return count


def services_on_resources(repository: Repository, ids: Iterable[str]) -> set[str]:
    """Return those of some services that are on a resource now."""
    wanted = list(ids)
    return {service_of(one) for one in find_by_identifier(repository, SERVICE_IDENTIFIER, wanted)}
