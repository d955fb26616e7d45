"""Reservation of the resources of tasks, their release, and their assignment to services.

Every resource is reserved by an edit of its own that fails if another order was first, so two
orders never get the same resource. The reservations of a task are found by their holder, so every
function here is safe to repeat.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth, resource_queries
from tmf_apis.fulfilment.reservation.allocator import RESERVATION_TIME, ResourceAllocator
from tmf_apis.fulfilment.reservation.dry_run_repository import DryRunRepository
from tmf_apis.fulfilment.reservation.refusals import message_for
from tmf_apis.fulfilment.reservation.resource_queries import RESOURCE_KIND, find_by_identifier
from tmf_apis.fulfilment.values import Allocation, OrderKey, Task, UnmetRequirement
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import HOLDER_IDENTIFIER, holder_of, service_of
from tmf_apis.inventory.resource_state import ReservationMark, ResourceUsage, ServiceUse
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Repository, Resource

__all__ = [
    "RESERVATION_TIME",
    "ReleaseNotPossible",
    "activate",
    "dry_run_allocations",
    "release",
    "release_expired",
    "releasing_tasks",
    "renew",
    "reserve",
    "unmet_requirements",
]  # fmt: skip


class ReleaseNotPossible(Unfulfillable):
    """A task cannot be done although other tasks would release a resource for it.

    Attributes:
        predecessors: Those tasks.
    """

    def __init__(self, error: Unfulfillable, predecessors: Iterable[Task]) -> None:
        super().__init__(str(error), error.public_message, order=error.order)
        self.predecessors = tuple(predecessors)


def reserve(  # noqa: PLR0913
    repository: Repository,
    key: OrderKey,
    task: Task,
    owner_repository: Repository,
    *,
    duration: timedelta = RESERVATION_TIME,
    first_attempt: bool = False,
    releasing_tasks: Iterable[Task] = (),
) -> Allocation:
    """Reserve the resources of a task; safe to repeat.

    Args:
        repository: Sees the resources of the network that the order may use.
        key: The order.
        task: The task.
        owner_repository: Sees what the order's owner can see.
        duration: Duration of the reservation, unless it is renewed.
        first_attempt: No earlier attempt can have reserved anything for the task.
        releasing_tasks: Tasks that end services before this task begins; it can get their
            resources.

    Raises:
        ReleaseNotPossible: A resource is missing, and another task must not release one for it.
        Unfulfillable: A resource is missing.
    """
    tasks = {each.holder(key): each for each in releasing_tasks}
    allocator = ResourceAllocator(
        repository,
        key,
        task,
        owner_repository,
        duration,
        first_attempt=first_attempt,
        releasing_holders=tasks.keys(),
    )
    try:
        return allocator.allocate()
    except Unfulfillable as error:
        if predecessors := [tasks[holder] for holder in sorted(allocator.predecessors)]:
            raise ReleaseNotPossible(error, predecessors) from error
        raise


def dry_run_allocations(
    repository: Repository,
    key: OrderKey,
    tasks: Iterable[Task],
    owner_repository: Repository | None = None,
) -> tuple[dict[str, Allocation], list[UnmetRequirement]]:
    """Return the allocations that the tasks of an order would get, without a reservation.

    Args:
        repository: Sees the resources of the network that the order may use.
        key: The order.
        tasks: The tasks.
        owner_repository: Sees what the order's owner can see; None if the owner is not known.

    Returns:
        The allocations by task id, and the requirements that cannot be met.
    """
    dry_run = DryRunRepository(repository)
    readers = [owner_repository] if owner_repository else None
    if (owner_repository or repository).context.is_staff:
        readers = []
    allocations: dict[str, Allocation] = {}
    unmet: list[UnmetRequirement] = []
    tasks = list(tasks)
    for task in tasks:
        allocator = ResourceAllocator(
            dry_run,
            key,
            task,
            owner_repository or repository,
            RESERVATION_TIME,
            releasing_holders={each.holder(key) for each in releasing_tasks(task, tasks)},
            find_unreserved=dry_run.find_unreserved,
        )
        try:
            allocations[task.id] = allocator.allocate()
        except Unfulfillable as error:
            requirement = allocator.current_requirement
            slot, category = (requirement.slot, requirement.category) if requirement else ("", "")
            message = message_for(error, readers)
            unmet.append(UnmetRequirement(task.item, task.id, slot, category, message))
    return allocations, unmet


def unmet_requirements(
    repository: Repository,
    key: OrderKey,
    tasks: Iterable[Task],
    owner_repository: Repository | None = None,
) -> list[UnmetRequirement]:
    """Return the requirements of an order's tasks that cannot be met, without a reservation."""
    return dry_run_allocations(repository, key, tasks, owner_repository)[1]


def renew(
    repository: Repository, allocation: Allocation, duration: timedelta = RESERVATION_TIME
) -> bool:
    """Extend the reservations of a task; return whether it still has all of them."""
    is_complete = True

    def extend(resource: Resource, slot: str) -> Resource:
        service = service_of(resource)
        mark = ReservationMark.for_duration(allocation.holder, repository.now, duration, service)
        if slot in allocation.shared_slots:
            return bandwidth.renew(resource, mark)
        if slot in allocation.inherited_slots and service:
            return resource  # the other task has it still, and renews it
        if holder_of(resource) != allocation.holder:
            raise Unfulfillable("it is reserved for another task by now")
        return resource_state.reserve(resource, mark)

    for slot, id in allocation.resources.items():
        try:
            repository.change(RESOURCE_KIND, id, partial(extend, slot=slot))
        except (Unfulfillable, NotFound):
            is_complete = False
    return is_complete


def releasing_tasks(task: Task, tasks: Iterable[Task]) -> list[Task]:
    """Return those of some tasks that end services before a task begins."""
    by_id = {each.id: each for each in tasks}
    releasing: dict[str, Task] = {}
    pending = list(task.depends_on)
    while pending:
        if (id := pending.pop()) in by_id and id not in releasing:
            releasing[id] = by_id[id]
            pending += by_id[id].depends_on
    return [each for each in releasing.values() if each.action == "cease"]


def activate(
    repository: Repository, allocation: Allocation, successors: Mapping[str, str] | None = None
) -> None:
    """Assign the reserved resources of a task to its service; safe to repeat.

    Args:
        repository: Sees the resources of the network that the order may use.
        allocation: The allocation of the task.
        successors: From ids of resources to the holders that get them when they are released.

    Raises:
        Unfulfillable: Another task has taken a resource, or it was deleted.
    """
    shared_resources = tuple(allocation.resources[slot] for slot in allocation.shared_slots)
    for slot, id in allocation.resources.items():
        if slot in allocation.shared_slots:
            with suppress(NotFound):
                repository.change(
                    RESOURCE_KIND, id, lambda current: bandwidth.commit(current, allocation.holder)
                )
            continue
        use = _use_after(allocation, slot, shared_resources)
        edit = partial(_activated, allocation, use)
        if not use.usage.service and (successor := (successors or {}).get(id)):
            mark = ReservationMark.for_duration(successor, repository.now, RESERVATION_TIME)
            edit = partial(_handed_over, allocation, mark)
        try:
            repository.change(RESOURCE_KIND, id, edit)
        except NotFound:
            if allocation.action != "cease":
                raise Unfulfillable(
                    f"{allocation.names.get(slot, id)} is not in the inventory any more"
                ) from None


def _activated(allocation: Allocation, use: ServiceUse, resource: Resource) -> Resource:
    """Return a resource with its use after a task.

    A resource that an interrupted attempt has released may be in use again.

    Raises:
        Unfulfillable: The task has not reserved it, and it does not have that use already.
    """
    holder = holder_of(resource)
    is_reserved = holder == allocation.holder
    if not (is_reserved or use.usage.service or service_of(resource) == allocation.service):
        return resource
    if not is_reserved and (holder or not _has_usage(resource, use)):
        name = resource_state.display_name(resource)
        if holder:
            raise resource_state.reservation_conflict(name, holder)
        raise Unfulfillable(f"{name} is not reserved any more")
    return resource_state.set_use(resource, use)


def _handed_over(allocation: Allocation, mark: ReservationMark, resource: Resource) -> Resource:
    """Return a resource that a task has released, reserved for the task that gets it next."""
    released = _activated(allocation, ServiceUse(), resource)
    return released if released is resource else resource_state.reserve(released, mark)


def _has_usage(resource: Resource, use: ServiceUse) -> bool:
    return resource_state.service_use(resource).usage == use.usage


def _use_after(allocation: Allocation, slot: str, shared_resources: tuple[str, ...]) -> ServiceUse:
    """Return the use of a resource after a task."""
    if allocation.action == "cease" or slot in allocation.released_slots:
        return ServiceUse()
    before = allocation.previous_usage.get(slot, ResourceUsage())
    keeps_order = before.service == allocation.service
    ordered_by = before.ordered_by if keeps_order else allocation.holder
    is_carrier = slot == allocation.carrier_slot
    return ServiceUse(
        ResourceUsage(
            allocation.service, dict(allocation.settings) if is_carrier else {}, ordered_by
        ),
        allocation.product,
        shared_resources if is_carrier or not allocation.carrier_slot else (),
        allocation.element if is_carrier else "",
    )


def release(
    repository: Repository,
    key: OrderKey,
    task: Task,
    allocation: Allocation | None,
    quarantine_reason: str = "",
) -> None:
    """Restore the resources that a task has reserved; safe to repeat.

    Args:
        repository: Sees the whole tenant.
        key: The order.
        task: The task.
        allocation: The allocation of the task; None if it is not known.
        quarantine_reason: Why the element may differ from the inventory. If it is given, the
            resources are quarantined with it as a note.
    """
    holder = task.holder(key)
    slots = {id: slot for slot, id in allocation.resources.items()} if allocation else {}
    shared_ids: set[str] = set()
    if allocation:
        shared_ids = {allocation.resources[slot] for slot in allocation.shared_slots}
    reserved = {
        resource["id"]: resource
        for resource in find_by_identifier(repository, HOLDER_IDENTIFIER, [holder])
    }
    if allocation is None:
        shared_ids |= set(_shared_resource_ids(repository, task, reserved.values()))
    for id in sorted((reserved.keys() | slots.keys()) - shared_ids):
        before = after = None
        if allocation and id in slots:
            before = allocation.previous_usage.get(slots[id], ResourceUsage())
            after = _use_after(allocation, slots[id], ()).usage
        edit = partial(_released, holder, before, after, quarantine_reason)
        with suppress(NotFound):  # deleted meanwhile
            repository.change(RESOURCE_KIND, id, edit)
    for id in sorted(shared_ids):
        with suppress(NotFound):
            repository.change(RESOURCE_KIND, id, lambda current: bandwidth.release(current, holder))


def _released(
    task_holder: str,
    before: ResourceUsage | None,
    after: ResourceUsage | None,
    quarantine_reason: str,
    resource: Resource,
) -> Resource:
    """Return a resource as it was before a task, or in quarantine.

    Args:
        task_holder: The holder of the task's reservations.
        before: The usage before the task; None if it is not known.
        after: The usage after the task; None if it is not known.
        quarantine_reason: Why the resource is quarantined; empty if it is not.
        resource: The resource; unchanged if another task has taken it.
    """
    use, holder = resource_state.service_use(resource), holder_of(resource)
    if holder != task_holder and (holder or use.usage not in (before, after)):
        return resource
    if quarantine_reason:
        return resource_state.quarantine(resource, task_holder, quarantine_reason)
    return resource_state.set_use(resource, _previous_use(use, before))


def _previous_use(current: ServiceUse, before: ResourceUsage | None) -> ServiceUse:
    usage = current.usage if before is None else before
    if not usage.service:
        return ServiceUse()
    return ServiceUse(usage, current.product, current.shared_resources, current.element)


def _shared_resource_ids(
    repository: Repository, task: Task, reserved_resources: Iterable[Resource]
) -> Iterator[str]:
    """Yield the ids of shared resources in which a task may have reserved a share."""
    elements = [
        element["id"]
        for resource in reserved_resources
        if (element := resource_queries.element_of(repository, resource))
    ]
    for requirement in task.requirements:
        if requirement.amount:
            for element in elements or [""]:
                for resource in resource_queries.shared_resources(repository, requirement, element):
                    yield resource["id"]


def release_expired(repository: Repository) -> int:
    """Remove expired reservations from the resources; return their number.

    Other orders can reserve a resource with an expired reservation anyway. The removal shows people
    who read the inventory that the resource is free.
    """
    has_expired = {
        "$elemMatch": {
            "name": resource_state.RESERVED_UNTIL,
            "value": {"$lte": rfc3339(repository.now)},
        }
    }
    query = {
        "externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER,
        "resourceCharacteristic": has_expired,
    }

    def release(resource: Resource) -> Resource:
        if not holder_of(resource) or not resource_state.is_reservation_expired(
            resource, repository.now
        ):
            return resource
        return resource_state.set_use(resource, resource_state.service_use(resource))

    count = 0
    for resource in repository.find(RESOURCE_KIND, query):
        with suppress(NotFound):
            repository.change(RESOURCE_KIND, resource["id"], release)
            count += 1
    return count
