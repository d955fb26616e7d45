"""Reservation of the resources of one task; if a resource is missing, all are released."""

from collections.abc import Container
from datetime import timedelta

from tmf_apis.errors import NotFound, Stale, Unfulfillable
from tmf_apis.fulfilment import setting_check
from tmf_apis.fulfilment.reservation import resource_queries
from tmf_apis.fulfilment.reservation.allocation_draft import (
    AllocationDraft,
    match_resources,
    meets,
    resources_by_slot,
)
from tmf_apis.fulfilment.reservation.candidate_finder import CandidateFinder, unmet_reason
from tmf_apis.fulfilment.reservation.resource_queries import (
    RESOURCE_KIND,
    FindResources,
    find_by_identifier,
)
from tmf_apis.fulfilment.reservation.task_reservations import TaskReservations
from tmf_apis.fulfilment.values import Allocation, OrderKey, ResourceRequirement, Task
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import (
    SERVICE_IDENTIFIER,
    element_id_of,
    external_id,
    holder_of,
    service_of,
)
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Duration of a reservation that is not renewed.
RESERVATION_TIME = timedelta(hours=1)


class ResourceAllocator:
    """Reserves the resources of one task."""

    def __init__(  # noqa: PLR0913
        self,
        repository: Repository,
        key: OrderKey,
        task: Task,
        owner_repository: Repository,
        duration: timedelta,
        *,
        first_attempt: bool = False,
        releasing_holders: Container[str] = (),
        find_unreserved: FindResources | None = None,
    ) -> None:
        """Store the task.

        Args:
            repository: Sees the resources of the network that the order may use.
            key: The order.
            task: The task.
            owner_repository: Sees what the order's owner can see.
            duration: Duration of the reservation.
            first_attempt: No earlier attempt can have reserved anything for the task.
            releasing_holders: The holders of tasks that are done before this one and end services.
            find_unreserved: ``find`` without the resources that are reserved in a dry run; None to
                use ``repository.find``.
        """
        # A service that is named after the order did not exist before the order either.
        self._is_first_attempt = first_attempt and task.service.startswith(f"{key.order}-")
        self._repository = repository
        self._task = task
        self._owner_repository = owner_repository
        self._reservations = TaskReservations(repository, key, task, duration)
        self._holder = self._reservations.holder
        self._item_prefix = f"{key.order}/{task.item}#"
        self._finder = CandidateFinder(
            repository, self._reservations.mark, find_unreserved or repository.find
        )
        #: The requirement that was tried last.
        self.current_requirement: ResourceRequirement | None = None
        self._releasing_holders = releasing_holders
        #: Holders of the tasks whose resources the task was about to get.
        self.predecessors: set[str] = set()
        #: Resources of a service that moves, which it may keep.
        self._movable: list[Resource] = []

    def allocate(self) -> Allocation:
        """Reserve all resources of the task.

        Raises:
            Unfulfillable: A resource is missing; nothing is reserved then.
        """
        draft = AllocationDraft()
        try:
            if self._task.action == "provide":
                draft = self._allocate_new(draft)
            else:
                self._allocate_existing(draft)
            allocation = draft.to_allocation(self._task, self._holder, self._repository.tenant)
            setting_check.check_allocation(allocation)
        except Unfulfillable:
            self._reservations.release_difference(draft, AllocationDraft())
            raise
        return allocation

    def _allocate_new(self, draft: AllocationDraft) -> AllocationDraft:
        task = self._task
        reserved, in_use = self._present_resources()
        if in_use:
            carrier_id = resource_queries.carrier_of(in_use)["id"]
            self._movable = [each for each in in_use if each["id"] != carrier_id]
        for requirement, resource in match_resources(task.requirements, reserved):
            self._add(draft, requirement, resource)
        carrier = next((each for each in task.requirements if each.is_carrier), None)
        if carrier is None or carrier.slot in draft.exclusive:
            self._allocate_remaining(draft)
            return draft
        return self._allocate_carrier(carrier, draft)

    def _present_resources(self) -> tuple[list[Resource], list[Resource]]:
        """Return the resources that an earlier attempt has reserved, and those in operation.

        Raises:
            Unfulfillable: The service is in operation and does not move.
        """
        if self._is_first_attempt:
            return [], []
        task = self._task
        ids = sorted({self._holder, task.service})
        resources = self._repository.find(RESOURCE_KIND, {"externalIdentifier.id": {"$in": ids}})
        reserved = [each for each in resources if holder_of(each) == self._holder]
        in_use = [
            each
            for each in resources
            if service_of(each) == task.service and holder_of(each) != self._holder
        ]
        if in_use and not task.is_move:
            name = resource_state.display_name(in_use[0])
            message = f"service {task.service} is in operation already"
            raise Unfulfillable(f"{message}, on {name}", message)
        return reserved, in_use

    def _allocate_carrier(
        self, requirement: ResourceRequirement, draft: AllocationDraft
    ) -> AllocationDraft:
        """Reserve a carrier whose element has all other resources, too."""
        self.current_requirement = requirement
        refusal, exhausted_elements = None, set[str]()
        for candidate in self._finder.candidates(requirement, ""):
            self.current_requirement = requirement
            if (element_id := element_id_of(candidate)) in exhausted_elements:
                continue
            attempt = draft.copy()
            try:
                attempt.element = self._element_for(requirement, candidate)
                self._reserve(attempt, requirement, candidate)
                self._allocate_remaining(attempt)
            except (Unfulfillable, Stale) as error:
                self._reservations.release_difference(attempt, draft)
                refusal = _refusal(error)
                if requirement.identifier or not self._is_carrier_specific(requirement, element_id):
                    raise refusal from None
                if requirement.slot in attempt.exclusive or attempt.element is None:
                    exhausted_elements.add(element_id)
                continue
            return attempt
        raise refusal or Unfulfillable(unmet_reason(requirement))

    def _is_carrier_specific(self, carrier: ResourceRequirement, element_id: str) -> bool:
        """Return whether another carrier may help to meet the requirement that has failed."""
        failed = self.current_requirement or carrier
        return failed.is_carrier or (bool(element_id) and self._is_on_carrier_element(failed))

    def _is_on_carrier_element(self, requirement: ResourceRequirement) -> bool:
        """Return whether a requirement must be met on the element of the carrier."""
        carrier = next((each for each in self._task.requirements if each.is_carrier), None)
        return (
            bool(requirement.element_category)
            and carrier is not None
            and requirement.element_category == carrier.element_category
        )

    def _allocate_remaining(self, draft: AllocationDraft) -> None:
        """Reserve the resources that the draft lacks.

        Raises:
            Unfulfillable: A resource is missing.
        """
        for requirement in self._task.requirements:
            self.current_requirement = requirement
            if requirement.slot in draft.exclusive or requirement.slot in draft.shared:
                continue
            element = ""
            if draft.element and self._is_on_carrier_element(requirement):
                element = str(draft.element["id"])
            if requirement.element_category and not element:
                if not requirement.optional:
                    raise Unfulfillable(unmet_reason(requirement))
            elif requirement.amount:
                self._allocate_shared(draft, requirement, element)
            else:
                self._allocate_exclusive(draft, requirement, element)

    def _allocate_exclusive(
        self, draft: AllocationDraft, requirement: ResourceRequirement, element: str
    ) -> None:
        refusal = None
        carrier_element = str((draft.element or {}).get("id", ""))
        if kept := self._kept_resource(draft, requirement, element, carrier_element):
            self._add(draft, requirement, self._reservations.reserve_existing(kept))
            return
        for candidate in self._finder.candidates(requirement, element, carrier_element):
            try:
                self._reserve(draft, requirement, candidate)
            except (Unfulfillable, Stale) as error:
                if requirement.identifier:
                    raise
                refusal = _refusal(error)
                continue
            return
        if not requirement.optional:
            raise refusal or Unfulfillable(unmet_reason(requirement))

    def _reserve(
        self, draft: AllocationDraft, requirement: ResourceRequirement, candidate: Resource
    ) -> None:
        """Reserve a resource, or record that another task of the order hands it over."""
        if (holder := holder_of(candidate)) not in self._releasing_holders:
            self._add(draft, requirement, self._reservations.reserve(candidate))
            return
        self.predecessors.add(holder)
        self._add(draft, requirement, candidate)
        draft.previous_usage[requirement.slot] = ResourceUsage()
        draft.inherited_slots = (*draft.inherited_slots, requirement.slot)

    def _kept_resource(
        self,
        draft: AllocationDraft,
        requirement: ResourceRequirement,
        element: str,
        carrier_element: str,
    ) -> Resource | None:
        """Return the resource that a service keeps when it moves; None if it needs another one."""
        drafted_ids = {resource["id"] for resource in draft.exclusive.values()}
        return next(
            (
                resource
                for resource in self._movable
                if resource["id"] not in drafted_ids
                and meets(resource, requirement)
                and self._finder.can_stay(resource, requirement, element, carrier_element)
            ),
            None,
        )

    def _allocate_shared(
        self, draft: AllocationDraft, requirement: ResourceRequirement, element: str
    ) -> None:
        reservations, carrier_id = self._reservations, str((draft.carrier or {}).get("id", ""))
        resources = resource_queries.shared_resources(self._repository, requirement, element)
        resources.sort(key=lambda resource: not reservations.share_of(resource, carrier_id))
        refusal = None
        for resource in resources:
            share = reservations.share_of(resource, carrier_id)
            try:
                draft.shared[requirement.slot] = reservations.reserve_share(
                    resource, carrier_id, requirement.amount
                )
            except (Unfulfillable, NotFound, Stale) as error:
                refusal = _refusal(error)
                continue
            draft.previous_usage[requirement.slot] = ResourceUsage(
                self._task.service if share else "", amount=share
            )
            return
        if refusal or not requirement.optional:
            raise refusal or Unfulfillable(unmet_reason(requirement))

    def _add(
        self, draft: AllocationDraft, requirement: ResourceRequirement, resource: Resource
    ) -> None:
        draft.exclusive[requirement.slot] = resource
        draft.previous_usage[requirement.slot] = resource_state.service_use(resource).usage
        if requirement.is_carrier:
            draft.carrier_slot = requirement.slot
            draft.element = draft.element or self._element_for(requirement, resource)

    def _element_for(self, requirement: ResourceRequirement, carrier: Resource) -> Resource | None:
        return self._finder.carrier_element(requirement, carrier, self._task.service)

    def _allocate_existing(self, draft: AllocationDraft) -> None:
        """Reserve the resources that a service has, if the order's owner may change it."""
        task = self._task
        resources = [
            resource
            for resource in find_by_identifier(self._repository, SERVICE_IDENTIFIER, [task.service])
            if not self._is_moving_in(resource)
        ]
        if not resources or not self._can_change(resources):
            raise Unfulfillable(f"no service {task.service} is in operation")
        carrier = resource_queries.carrier_of(resources)
        by_slot = resources_by_slot(task.requirements, resources)
        if task.action == "change" and task.requirements:
            required_slots = {requirement.slot for requirement in task.requirements}
            draft.released_slots = tuple(
                slot
                for slot, resource in by_slot.items()
                if slot not in required_slots and resource["id"] != carrier["id"]
            )
        for slot, resource in by_slot.items():
            draft.exclusive[slot] = self._reservations.reserve_existing(resource)
            draft.previous_usage[slot] = resource_state.service_use(resource).usage
            if resource["id"] == carrier["id"]:
                draft.carrier_slot = slot
        draft.element = resource_queries.element_of(self._repository, carrier)
        if draft.element is not None and not resource_queries.is_manageable(draft.element):
            raise resource_queries.not_manageable(carrier, draft.element)
        self._allocate_existing_shares(draft, carrier)
        if task.action == "change" and task.requirements:
            self._allocate_remaining(draft)

    def _is_moving_in(self, resource: Resource) -> bool:
        """Return whether another task has reserved a resource to move the service there.

        It may be one that the service has already, and keeps.
        """
        holder = holder_of(resource)
        if holder in {"", self._holder}:
            return False
        is_kept = self._task.action == "cease" and holder.startswith(self._item_prefix)
        return is_kept or not service_of(resource)

    def _allocate_existing_shares(self, draft: AllocationDraft, carrier: Resource) -> None:
        """Reserve the shares of a service in shared resources, to change or to release them."""
        task = self._task
        unmatched = [requirement for requirement in task.requirements if requirement.amount]
        for number, id in enumerate(resource_state.service_use(carrier).shared_resources, 1):
            try:
                resource = self._repository.get(RESOURCE_KIND, id)
            except NotFound:
                continue
            category = resource.get("category")
            requirement = next((each for each in unmatched if each.category == category), None)
            share = self._reservations.share_of(resource, carrier["id"])
            new_share = 0 if task.action == "cease" or task.requirements else share
            if requirement:
                unmatched.remove(requirement)
                new_share = requirement.amount
            slot = requirement.slot if requirement else f"draw.{number}"
            self.current_requirement = requirement
            draft.shared[slot] = self._reservations.reserve_share(
                resource, carrier["id"], new_share
            )
            draft.previous_usage[slot] = ResourceUsage(task.service, amount=share)

    def _can_change(self, resources: list[Resource]) -> bool:
        """Return whether the order's owner may change the service that is on some resources.

        It is a service of a product that the owner can see or, if it belongs to no product, a
        service that it can see.
        """
        owner = self._owner_repository
        if owner.context.parties is None:
            return True
        products = {external_id(each, resource_state.PRODUCT_IDENTIFIER) for each in resources}
        if products := products - {""}:
            return all(get_or_none(owner, "Product", id) for id in products)
        return get_or_none(owner, "Service", self._task.service) is not None


def _refusal(error: Exception) -> Unfulfillable:
    return error if isinstance(error, Unfulfillable) else Unfulfillable(str(error))
