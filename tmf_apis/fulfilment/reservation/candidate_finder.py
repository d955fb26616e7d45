"""Search for resources that a task may reserve, and for the element of its carrier."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from tmf_apis.errors import Conflict, Unfulfillable
from tmf_apis.fulfilment.reservation import pools, resource_queries
from tmf_apis.fulfilment.reservation.resource_queries import RESOURCE_KIND, FindResources
from tmf_apis.fulfilment.values import ResourceRequirement
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import element_id_of
from tmf_apis.inventory.resource_state import ReservationMark
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Names of categories in messages, if they differ from the category.
_CATEGORY_NAMES: Mapping[str, str] = {"accessPort": "access port", "simCard": "SIM card"}


class CandidateFinder:
    """Finds free resources in the inventory; creates the resources of pool values."""

    def __init__(
        self, repository: Repository, mark: ReservationMark, find_unreserved: FindResources
    ) -> None:
        """Store the collaborators.

        Args:
            repository: Sees the whole tenant.
            mark: The reservation of the task.
            find_unreserved: ``find``, without the resources that are reserved in a dry run.
        """
        self._repository = repository
        self._mark = mark
        self._find_unreserved = find_unreserved

    def candidates(
        self, requirement: ResourceRequirement, element: str, carrier_element: str = ""
    ) -> Iterator[Resource]:
        """Yield resources that a requirement may reserve.

        The resource of a pool value is created, already reserved, when it is yielded.

        Args:
            requirement: The requirement.
            element: Id of the element that they must be on; empty for any.
            carrier_element: Id of the carrier's element; pools of other elements are left out.

        Raises:
            Unfulfillable: The requirement names a resource that it cannot have.
        """
        pool_element = element or carrier_element
        if requirement.identifier:
            yield self._named_resource(requirement, element, pool_element)
            return
        has_pool_values = False
        for resource in resource_queries.candidates(
            self._repository,
            requirement,
            element,
            self._mark.holder,
            find_unreserved=self._find_unreserved,
        ):
            if not pools.pool_id_of(resource):
                yield resource
            elif not has_pool_values:
                has_pool_values = True
                yield from self._free_pool_values(requirement, pool_element)
        if not has_pool_values:
            yield from self._free_pool_values(requirement, pool_element)
        yield from self._new_pool_values(requirement, pool_element)

    def can_stay(
        self,
        resource: Resource,
        requirement: ResourceRequirement,
        element: str,
        carrier_element: str,
    ) -> bool:
        """Return whether a service can keep a resource when its carrier changes.

        Args:
            resource: The resource.
            requirement: The requirement that it has to meet.
            element: Id of the element that it must be on; empty for any.
            carrier_element: Id of the element of the new carrier.
        """
        if pool_id := pools.pool_id_of(resource):
            pool = get_or_none(self._repository, RESOURCE_KIND, pool_id)
            pool_element = element or carrier_element
            return pool is None or resource_queries.is_pool_for(
                pool, set(requirement.places), pool_element
            )
        places = resource_queries.places_of(resource)
        is_there = not (requirement.places and places) or bool(places & set(requirement.places))
        return is_there and element_id_of(resource) in {"", element or carrier_element}

    def _free_pool_values(
        self, requirement: ResourceRequirement, pool_element: str
    ) -> Iterator[Resource]:
        repository = self._repository
        usable_pools = resource_queries.pools_for(repository, requirement, pool_element)
        return resource_queries.free_pool_values(
            repository,
            requirement.category,
            usable_pools,
            self._mark.holder,
            self._find_unreserved,
        )

    def _new_pool_values(
        self, requirement: ResourceRequirement, pool_element: str
    ) -> Iterator[Resource]:
        repository = self._repository
        for pool, values in resource_queries.pools_for(repository, requirement, pool_element):
            for value in resource_queries.unused_values(
                repository, pool, values, self._mark.holder
            ):
                with suppress(Conflict):  # taken by a concurrent order
                    yield self._create_from_pool(pool, requirement, value)

    def _named_resource(
        self, requirement: ResourceRequirement, element: str, pool_element: str
    ) -> Resource:
        repository = self._repository
        if resource := resource_queries.find_named(repository, requirement, pool_element):
            resource_queries.check_characteristics(resource, requirement)
            is_elsewhere = element_id_of(resource) not in {"", element}
            if element and requirement.element_category and is_elsewhere:
                name = resource_state.display_name(resource)
                raise Unfulfillable(f"{name} is on another element")
            return resource
        for pool, values in resource_queries.pools_for(repository, requirement, pool_element):
            if values.contains(requirement.identifier):
                try:
                    return self._create_from_pool(pool, requirement, requirement.identifier)
                except Conflict:
                    id = pools.value_resource_id(
                        repository.tenant, str(pool["id"]), requirement.identifier
                    )
                    return repository.get(RESOURCE_KIND, id)
        raise Unfulfillable(f"there is no {requirement.category} called {requirement.identifier}")

    def _create_from_pool(
        self, pool: Resource, requirement: ResourceRequirement, value: str
    ) -> Resource:
        resource = pools.value_resource(self._repository.tenant, pool, requirement.category, value)
        return self._repository.create(RESOURCE_KIND, resource_state.reserve(resource, self._mark))

    def carrier_element(
        self, requirement: ResourceRequirement, carrier: Resource, service: str
    ) -> Resource | None:
        """Return the element that a carrier is on, or can be provisioned on.

        Args:
            requirement: The requirement of the carrier.
            carrier: The resource.
            service: Id of the service; distributes services over the usable elements.

        Returns:
            The element; None if the carrier needs none.

        Raises:
            Unfulfillable: There is no such element, or it is not manageable.
        """
        category = requirement.element_category
        if element_id_of(carrier) or resource_state.service_use(carrier).element:
            element = resource_queries.element_of(self._repository, carrier)
            if element is None or not resource_queries.is_manageable(element):
                raise resource_queries.not_manageable(carrier, element)
            if category and element.get("category") != category:
                name = resource_state.display_name(carrier)
                raise Unfulfillable(
                    f"{name} is on a {element.get('category')}, not on a {category}",
                    f"the {requirement.category} is not on a {category}",
                )
            return element
        if not category:
            return None
        elements = resource_queries.usable_elements(
            self._repository, category, requirement.places, service
        )
        if not elements:
            raise Unfulfillable(f"there is no unlocked {category} with complete management data")
        return elements[0]


def unmet_reason(requirement: ResourceRequirement) -> str:
    """Return why a requirement without candidates is not met, for the customer."""
    category = requirement.category
    if requirement.amount:
        reason = f"no {category} is available"
    else:
        reason = f"no {_CATEGORY_NAMES.get(category, category)} is free"
    if requirement.characteristics:
        values = (f"{name} {value}" for name, value in requirement.characteristics.items())
        reason += f" with {', '.join(values)}"
    if requirement.places:
        reason += f" at {', '.join(requirement.places)}"
    return reason
