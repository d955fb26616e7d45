"""Writes the reservations of one task on resources, and releases them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth
from tmf_apis.fulfilment.reservation.allocation_draft import AllocationDraft
from tmf_apis.fulfilment.reservation.bandwidth import BandwidthAllocation
from tmf_apis.fulfilment.reservation.resource_queries import RESOURCE_KIND
from tmf_apis.fulfilment.values import OrderKey, Task
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import element_id_of
from tmf_apis.inventory.resource_state import ReservationMark
from tmf_apis.rest.pipeline.policy import Repository, Resource


class TaskReservations:
    """The reservations of one task; each is one edit that fails if another task was first.

    Attributes:
        mark: The reservation mark on resources that are not in use.
    """

    def __init__(
        self, repository: Repository, key: OrderKey, task: Task, duration: timedelta
    ) -> None:
        holder, now = task.holder(key), repository.now
        self.mark = ReservationMark.for_duration(holder, now, duration)
        self._existing_mark = ReservationMark.for_duration(holder, now, duration, task.service)
        self._repository = repository
        self._service = task.service

    @property
    def holder(self) -> str:
        """The holder that the reservations name."""
        return self.mark.holder

    def reserve(self, resource: Resource) -> Resource:
        """Reserve a resource that is not in use.

        Raises:
            Unfulfillable: It is reserved, in use, deleted or on another element by now.
        """

        def reserve(current: Resource) -> Resource:
            if element_id_of(current) != element_id_of(resource):
                name = resource_state.display_name(current)
                raise Unfulfillable(f"{name} was moved to another element")
            return resource_state.reserve(current, self.mark)

        try:
            return self._repository.change(RESOURCE_KIND, resource["id"], reserve)
        except NotFound:
            name = f"{resource.get('category')} {resource.get('name')}"
            raise Unfulfillable(f"{name} is not in the inventory any more") from None

    def reserve_existing(self, resource: Resource) -> Resource:
        """Reserve a resource that the task's service has.

        Raises:
            Unfulfillable: Another task has reserved it.
        """
        return self._repository.change(
            RESOURCE_KIND,
            resource["id"],
            lambda current: resource_state.reserve(current, self._existing_mark),
        )

    def share_of(self, resource: Resource, carrier_id: str) -> int:
        """Return the present share of the task's service, in bits per second."""
        return bandwidth.amount_of(resource, self._service, carrier_id)

    def reserve_share(self, resource: Resource, carrier_id: str, amount: int) -> Resource:
        """Reserve a share of a resource.

        Args:
            resource: The shared resource.
            carrier_id: Id of the service's carrier; empty if there is none.
            amount: The whole share of the service, in bits per second.

        Raises:
            NotFound: The resource was deleted (HTTP 404).
            Unfulfillable: Its capacity is not sufficient.
        """
        allocation = BandwidthAllocation(self.mark, self._service, carrier_id, amount)
        return self._repository.change(
            RESOURCE_KIND, resource["id"], lambda current: bandwidth.reserve(current, allocation)
        )

    def release_difference(self, attempt: AllocationDraft, draft: AllocationDraft) -> None:
        """Release the resources that an attempt has reserved in addition to a draft."""
        for slot in attempt.exclusive.keys() - draft.exclusive.keys():
            self._release(attempt.exclusive[slot], resource_state.release)
        for slot in attempt.shared.keys() - draft.shared.keys():
            self._release(attempt.shared[slot], bandwidth.release)

    def _release(self, resource: Resource, release: Callable[[Resource, str], Resource]) -> None:
        with suppress(NotFound):
            self._repository.change(
                RESOURCE_KIND, resource["id"], lambda current: release(current, self.holder)
            )
