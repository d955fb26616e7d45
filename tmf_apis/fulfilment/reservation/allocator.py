"""One task takes what it needs, resource by resource; if one is missing, all are given back."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Setting, Target
from tmf_apis.errors import Conflict, NotFound, Stale, Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth, pools, resource_queries
from tmf_apis.fulfilment.reservation.bandwidth import BandwidthAllocation
from tmf_apis.fulfilment.reservation.refusals import can_read_order
from tmf_apis.fulfilment.reservation.resource_queries import RESOURCE_KIND, find_by_identifier
from tmf_apis.fulfilment.values import Allocation, OrderKey, ResourceRequirement, Task
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import carrier_key, target_of
from tmf_apis.inventory.ports import SERVICE_IDENTIFIER, element_id_of, holder_of, service_of
from tmf_apis.inventory.resource_state import ReservationMark, ResourceUsage
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: How long a reservation holds unless it is renewed.
RESERVATION_TIME = timedelta(hours=1)


@dataclass(slots=True)
class _AllocationDraft:
    """What a task has by now: resources by slot, and how they were."""

    exclusive: dict[str, Resource] = field(default_factory=dict)
    shared: dict[str, Resource] = field(default_factory=dict)
    previous_usage: dict[str, ResourceUsage] = field(default_factory=dict)
    carrier_slot: str = ""
    element: Resource | None = None


class ResourceAllocator:
    """Takes what one task needs."""

    def __init__(  # noqa: PLR0913
        self,
        repository: Repository,
        key: OrderKey,
        task: Task,
        owner_repository: Repository,
        duration: timedelta,
        *,
        first_attempt: bool = False,
    ) -> None:
        """Take what it works with; see ``reserving.reserve``."""
        # A service that is called after the order is as new as that.
        self._is_first_attempt = first_attempt and task.service.startswith(f"{key.order}-")
        self._repository, self._key, self._task, self._owner_repository = (
            repository,
            key,
            task,
            owner_repository,
        )
        self._holder = task.holder(key)
        self._mark = ReservationMark.for_duration(self._holder, repository.now, duration)
        self._existing_mark = ReservationMark.for_duration(
            self._holder, repository.now, duration, task.service
        )
        #: The need that was looked at last.
        self.current_requirement: ResourceRequirement | None = None

    def allocate(self) -> Allocation:
        """Take it.

        Raises:
            Refused: It is not to be had; nothing is kept then.
        """
        got = _AllocationDraft()
        try:
            if self._task.action == "provide":
                got = self._allocate_new(got)
            else:
                self._allocate_existing(got)
            return self._to_allocation(got)
        except Unfulfillable:
            self._release_difference(got, _AllocationDraft())
            raise

    def _allocate_new(self, draft: _AllocationDraft) -> _AllocationDraft:
        task = self._task
        ids = sorted({self._holder, task.service})
        found = (
            []
            if self._is_first_attempt
            else self._repository.find(RESOURCE_KIND, {"externalIdentifier.id": {"$in": ids}})
        )
        mine = [one for one in found if holder_of(one) == self._holder]
        there = [
            one
            for one in found
            if service_of(one) == task.service and holder_of(one) != self._holder
        ]
        if there and not task.is_move:
            raise Unfulfillable(
                f"service {task.service} is in operation already, on {resource_state.display_name(there[0])}"
            )
        for need, one in _matches(task.requirements, mine):
            self._add(draft, need, one)
        carrier = next((need for need in task.requirements if need.is_carrier), None)
        if carrier is None or carrier.slot in draft.exclusive:
            self._allocate_remaining(draft)
            return draft
        return self._allocate_carrier(carrier, draft)

    def _allocate_carrier(
        self, requirement: ResourceRequirement, draft: _AllocationDraft
    ) -> _AllocationDraft:
        """Take a carrier on whose element everything else is to be had, too."""
        self.current_requirement = requirement
        refusal, barren = None, set[str]()
        for candidate in self._candidates(requirement, ""):
            self.current_requirement = requirement
            if (on := element_id_of(candidate)) in barren:
                continue
            trial = _AllocationDraft(
                dict(draft.exclusive), dict(draft.shared), dict(draft.previous_usage)
            )
            try:
                trial.element = self._element_for(requirement, candidate)
                self._add(trial, requirement, self._reserve(candidate, requirement))
                self._allocate_remaining(trial)
            except (Unfulfillable, Stale) as error:
                self._release_difference(trial, draft)
                refusal = _refusal(error)
                if requirement.identifier or not self._is_carrier_specific(requirement, on):
                    raise refusal from None
                if requirement.slot in trial.exclusive or trial.element is None:
                    barren.add(on)
                continue
            return trial
        raise refusal or Unfulfillable(self._unmet_reason(requirement))

    def _is_carrier_specific(self, carrier: ResourceRequirement, element: str) -> bool:
        """Return whether another carrier may have what this one, or its element, has not."""
        at = self.current_requirement or carrier
        return at.is_carrier or (bool(element) and _is_on_carrier_element(at, self._task))

    def _allocate_remaining(self, draft: _AllocationDraft) -> None:
        """Take what is missing beside the carrier.

        Raises:
            Refused: Some is not to be had.
        """
        for need in self._task.requirements:
            self.current_requirement = need
            if need.slot in draft.exclusive or need.slot in draft.shared:
                continue
            element = (
                str(draft.element["id"])
                if draft.element and _is_on_carrier_element(need, self._task)
                else ""
            )
            if need.element_category and not element:
                if not need.optional:
                    raise Unfulfillable(self._unmet_reason(need))
            elif need.amount:
                self._allocate_shared(draft, need, element)
            else:
                self._allocate_exclusive(draft, need, element)

    def _allocate_exclusive(
        self, draft: _AllocationDraft, requirement: ResourceRequirement, element: str
    ) -> None:
        refusal = None
        for candidate in self._candidates(requirement, element):
            try:
                self._add(draft, requirement, self._reserve(candidate, requirement))
            except (Unfulfillable, Stale) as error:
                if requirement.identifier:
                    raise
                refusal = _refusal(error)
                continue
            return
        if not requirement.optional:
            raise refusal or Unfulfillable(self._unmet_reason(requirement))

    def _allocate_shared(
        self, draft: _AllocationDraft, requirement: ResourceRequirement, element: str
    ) -> None:
        task, carrier = self._task, draft.exclusive.get(draft.carrier_slot, {})
        draw = BandwidthAllocation(
            self._mark, task.service, str(carrier.get("id", "")), requirement.amount
        )
        found = resource_queries.shared_resources(self._repository, requirement, element)
        found.sort(key=lambda one: not bandwidth.amount_of(one, draw.service, draw.carrier))
        refusal = None
        for one in found:
            before = bandwidth.amount_of(one, draw.service, draw.carrier)
            try:
                new = self._repository.change(
                    RESOURCE_KIND, one["id"], lambda r: bandwidth.reserve(r, draw)
                )
            except (Unfulfillable, NotFound, Stale) as error:
                refusal = _refusal(error)
                continue
            draft.shared[requirement.slot] = new
            draft.previous_usage[requirement.slot] = ResourceUsage(
                task.service if before else "", amount=before
            )
            return
        if refusal or not requirement.optional:
            raise refusal or Unfulfillable(self._unmet_reason(requirement))

    def _candidates(self, requirement: ResourceRequirement, element: str) -> Iterator[Resource]:
        """Yield resources that a need may take; a value of a pool is made when it is wanted."""
        if requirement.identifier:
            yield self._named_resource(requirement, element)
            return
        yield from resource_queries.candidates(self._repository, requirement, element, self._holder)
        for pool, values in resource_queries.pools_for(self._repository, requirement, element):
            for value in resource_queries.unused_values(
                self._repository, pool, values, self._holder
            ):
                with suppress(Conflict):  # somebody else was faster
                    yield self._create_from_pool(pool, requirement, value)

    def _named_resource(self, requirement: ResourceRequirement, element: str) -> Resource:
        if found := resource_queries.find_named(self._repository, requirement):
            resource_queries.check_characteristics(found, requirement)
            if (
                element
                and requirement.element_category
                and element_id_of(found) not in {"", element}
            ):
                raise Unfulfillable(f"{resource_state.display_name(found)} is on another element")
            return found
        for pool, values in resource_queries.pools_for(self._repository, requirement, element):
            if values.contains(requirement.identifier):
                try:
                    return self._create_from_pool(pool, requirement, requirement.identifier)
                except Conflict:
                    id = pools.value_resource_id(
                        self._repository.tenant, str(pool["id"]), requirement.identifier
                    )
                    return self._repository.get(RESOURCE_KIND, id)
        raise Unfulfillable(f"there is no {requirement.category} called {requirement.identifier}")

    def _create_from_pool(
        self, pool: Resource, requirement: ResourceRequirement, value: str
    ) -> Resource:
        made = pools.value_resource(self._repository.tenant, pool, requirement.category, value)
        return self._repository.create(RESOURCE_KIND, resource_state.reserve(made, self._mark))

    def _reserve(self, resource: Resource, requirement: ResourceRequirement) -> Resource:
        def edit(one: Resource) -> Resource:
            if element_id_of(one) != element_id_of(resource):
                raise Unfulfillable(
                    f"{resource_state.display_name(one)} is on another element by now"
                )
            return resource_state.reserve(one, self._mark)

        try:
            return self._repository.change(RESOURCE_KIND, resource["id"], edit)
        except NotFound:
            raise Unfulfillable(
                f"{requirement.category} {resource.get('name')} is not in the inventory any more"
            ) from None

    def _add(
        self, draft: _AllocationDraft, requirement: ResourceRequirement, resource: Resource
    ) -> None:
        draft.exclusive[requirement.slot] = resource
        draft.previous_usage[requirement.slot] = resource_state.service_use(resource).usage
        if requirement.is_carrier:
            draft.carrier_slot = requirement.slot
            draft.element = draft.element or self._element_for(requirement, resource)

    def _element_for(self, requirement: ResourceRequirement, resource: Resource) -> Resource | None:
        """Return the element that a carrier is on, or is brought to; None: it needs none.

        Raises:
            Refused: It cannot be worked on.
        """
        if element_id_of(resource) or resource_state.service_use(resource).element:
            found = resource_queries.element_of(self._repository, resource)
            if found is None or not resource_queries.is_reachable(found):
                raise Unfulfillable(
                    f"the element of {resource_state.display_name(resource)} cannot be worked on"
                )
            if (
                requirement.element_category
                and found.get("category") != requirement.element_category
            ):
                kind = found.get("category")
                raise Unfulfillable(
                    f"{resource_state.display_name(resource)} is on a {kind}, not on a {requirement.element_category}"
                )
            return found
        if not requirement.element_category:
            return None
        usable = resource_queries.usable_elements(
            self._repository, requirement.element_category, requirement.places, self._task.service
        )
        if not usable:
            raise Unfulfillable(f"there is no {requirement.element_category} that can be worked on")
        return usable[0]

    def _release_difference(self, attempt: _AllocationDraft, draft: _AllocationDraft) -> None:
        """Leave what was taken for nothing as it was."""
        for slot in attempt.exclusive.keys() - draft.exclusive.keys():
            self._change_if_present(
                attempt.exclusive[slot], lambda one: resource_state.release(one, self._holder)
            )
        for slot in attempt.shared.keys() - draft.shared.keys():
            self._change_if_present(
                attempt.shared[slot], lambda one: bandwidth.release(one, self._holder)
            )

    def _change_if_present(self, resource: Resource, edit: Any) -> None:  # noqa: ANN401
        with suppress(NotFound):
            self._repository.change(RESOURCE_KIND, resource["id"], edit)

    def _allocate_existing(self, draft: _AllocationDraft) -> None:
        """Take the resources that a service has, which whoever placed the order may change."""
        task = self._task
        found = [
            one for one in find_by_identifier(self._repository, SERVICE_IDENTIFIER, [task.service])
            if not self._is_moving_in(one)
        ]  # fmt: skip
        if not found or not self._can_change(found):
            raise Unfulfillable(f"no service {task.service} is in operation")
        carrier = resource_queries.carrier_of(found)
        named = _resources_by_slot(task.requirements, found)
        for slot, one in named.items():
            new = self._repository.change(
                RESOURCE_KIND, one["id"], lambda r: resource_state.reserve(r, self._existing_mark)
            )
            draft.exclusive[slot] = new
            draft.previous_usage[slot] = resource_state.service_use(one).usage
            if one["id"] == carrier["id"]:
                draft.carrier_slot = slot
        draft.element = resource_queries.element_of(self._repository, carrier)
        if draft.element is not None and not resource_queries.is_reachable(draft.element):
            raise Unfulfillable(
                f"the element of {resource_state.display_name(carrier)} cannot be worked on"
            )
        self._allocate_existing_shares(draft, carrier)
        if task.action == "change" and task.requirements:
            self._allocate_remaining(draft)

    def _is_moving_in(self, resource: Resource) -> bool:
        """Return whether a service is only about to come to a resource, by another task."""
        return holder_of(resource) not in {"", self._holder} and not service_of(resource)

    def _allocate_existing_shares(self, draft: _AllocationDraft, carrier: Resource) -> None:
        """Take up what the service draws of shared resources, to change or to end it."""
        task, wanted = self._task, [need for need in self._task.requirements if need.amount]
        for number, id in enumerate(resource_state.service_use(carrier).shared_resources):
            try:
                one = self._repository.get(RESOURCE_KIND, id)
            except NotFound:
                continue
            amount = bandwidth.amount_of(one, task.service, carrier["id"])
            need = next((n for n in wanted if n.category == one.get("category")), None)
            next_ = amount
            if task.action == "cease":
                next_ = 0
            elif need:
                wanted.remove(need)
                next_ = need.amount
            slot = need.slot if need else f"draw.{number + 1}"
            self.current_requirement = need
            draw = BandwidthAllocation(self._mark, task.service, carrier["id"], next_)
            draft.shared[slot] = self._repository.change(
                RESOURCE_KIND,
                id,
                lambda r, d=draw: bandwidth.reserve(r, d),  # type: ignore[misc]
            )
            draft.previous_usage[slot] = ResourceUsage(task.service, amount=amount)

    def _can_change(self, resources: list[Resource]) -> bool:
        made_by = {
            resource_state.service_use(one).usage.ordered_by.partition("/")[0] for one in resources
        } - {""}
        kinds = dict.fromkeys(("ProductOrder", self._key.kind))
        return all(can_read_order(self._owner_repository, order, *kinds) for order in made_by)

    def _unmet_reason(self, requirement: ResourceRequirement) -> str:
        words = f"no {_CATEGORY_NAMES.get(requirement.category, requirement.category)} is free"
        if requirement.amount:
            words = f"there is no {requirement.category} to draw from"
        having = ", ".join(f"{name} {value}" for name, value in requirement.characteristics.items())
        where = f" at {', '.join(requirement.places)}" if requirement.places else ""
        return words + (f" with {having}" if having else "") + where

    def _to_allocation(self, draft: _AllocationDraft) -> Allocation:
        task = self._task
        every = {**draft.exclusive, **draft.shared}
        carrier = draft.exclusive.get(draft.carrier_slot)
        settings: dict[str, Setting] = dict(task.settings)
        if task.action == "change":
            settings = {
                **draft.previous_usage.get(draft.carrier_slot, ResourceUsage()).settings,
                **settings,
            }
        for name, (slot, of) in task.derived_settings.items():
            if slot in every and (value := _characteristic_value(every[slot], of)) is not None:
                settings[name] = value
        return Allocation(
            task=task.id,
            service=task.service,
            action=task.action,
            resources={slot: one["id"] for slot, one in every.items()},
            names={slot: str(one.get("name") or one["id"]) for slot, one in every.items()},
            previous_usage=draft.previous_usage,
            settings={} if task.action == "cease" else settings,
            element=str(draft.element["id"]) if draft.element else "",
            target=_target_or_none(draft.element),
            port=carrier_key(carrier) if carrier else "",
            holder=self._holder,
            product=task.product,
            shared_slots=tuple(draft.shared),
            carrier_slot=draft.carrier_slot,
            test_head=str(resource_characteristics(carrier or {}).get("testAddress") or ""),
        )


#: What people call resources of a category.
_CATEGORY_NAMES: Mapping[str, str] = {"accessPort": "access port", "simCard": "SIM card"}


def _refusal(error: Exception) -> Unfulfillable:
    return error if isinstance(error, Unfulfillable) else Unfulfillable(str(error))


def _is_on_carrier_element(requirement: ResourceRequirement, task: Task) -> bool:
    """Return whether a need is met on the element of the carrier."""
    carrier = next((one for one in task.requirements if one.is_carrier), None)
    return (
        bool(requirement.element_category)
        and carrier is not None
        and requirement.element_category == carrier.element_category
    )


def _matches(
    needs: tuple[ResourceRequirement, ...], resources: list[Resource]
) -> Iterator[tuple[ResourceRequirement, Resource]]:
    left = list(resources)
    for need in needs:
        one = next((r for r in left if r.get("category") == need.category), None)
        if one is not None and not need.amount:
            left.remove(one)
            yield need, one


def _resources_by_slot(
    needs: tuple[ResourceRequirement, ...], resources: list[Resource]
) -> dict[str, Resource]:
    """Return resources by the slots of their needs, or else by their categories."""
    named = {need.slot: one for need, one in _matches(needs, resources)}
    used = {one["id"] for one in named.values()}
    for one in resources:
        if one["id"] in used:
            continue
        slot = category = str(one.get("category") or "resource")
        number = 1
        while slot in named:
            number += 1
            slot = f"{category}.{number}"
        named[slot] = one
    return named


def _characteristic_value(resource: Resource, name: str) -> Setting | None:
    found = resource_characteristics(resource)
    if name not in found and name in {"value", "name", str(resource.get("category"))}:
        return str(resource.get("value") or resource.get("name") or "") or None
    value = found.get(name)
    return value if isinstance(value, bool | int | str) else None


def _target_or_none(element: Resource | None) -> Target | None:
    if element is None:
        return None
    try:
        return target_of(element)
    except Misconfigured as error:
        raise Unfulfillable(str(error)) from error
