"""Queries on the resource inventory: candidates for requirements, pools and elements."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from adapters.errors import Misconfigured
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.reservation.pools import (
    IS_ALLOCATED_FROM,
    POOL,
    PoolRange,
    pool_id_of,
    range_of,
    value_of,
    value_resource_id,
)
from tmf_apis.fulfilment.values import InstalledResource, ResourceRequirement
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import carrier_key, target_of
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.inventory.ports import (
    HOLDER_IDENTIFIER,
    SERVICE_IDENTIFIER,
    element_id_of,
    external_id,
)
from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

RESOURCE_KIND = "Resource"
#: Pools, each with its values.
Pools = Sequence[tuple[Resource, PoolRange]]
#: Size of the first page and of further pages of candidates; most candidates for a requirement.
FIRST_PAGE_SIZE, PAGE_SIZE, MAX_CANDIDATES = 4, 50, 2000
#: Most elements and pools that are read.
_MAX_RESULTS = 1000
_IS_NO_POOL_VALUE = {"resourceRelationship.relationshipType": {"$ne": IS_ALLOCATED_FROM}}


class FindResources(Protocol):
    """``Repository.find``, or a function like it that leaves resources out."""

    def __call__(self, kind: str, query: Mapping[str, Any], *, limit: int) -> list[Resource]:
        """Return resources that match a query; see ``Repository.find``."""


def find_by_identifier(repository: Repository, type_: str, ids: list[str]) -> list[Resource]:
    """Return the resources to which fulfilment has assigned one of some identifiers."""
    wanted = set(ids)
    query = {"externalIdentifier.id": {"$in": sorted(wanted)}}
    resources = repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS) if wanted else []
    return [each for each in resources if external_id(each, type_) in wanted]


def element_of(repository: Repository, resource: Mapping[str, Any]) -> Resource | None:
    """Return the element that contains a resource, or that it is provisioned on.

    None if there is no such element, or it was deleted.
    """
    id = element_id_of(resource) or resource_state.service_use(resource).element
    return get_or_none(repository, RESOURCE_KIND, id) if id else None


def is_manageable(element: Mapping[str, Any]) -> bool:
    """Return whether an element has complete management data and is not locked."""
    is_locked = element.get("administrativeState") == "locked"
    try:
        return bool(target_of(element, "")) and not is_locked
    except Misconfigured:
        return False


def not_manageable(resource: Mapping[str, Any], element: Mapping[str, Any] | None) -> Unfulfillable:
    """Return the refusal of a resource whose element is not manageable.

    Args:
        resource: The resource.
        element: Its element; None: it is missing.
    """
    return Unfulfillable(
        f"{resource_state.display_name(resource)} cannot be set up: {_obstacle(element)}",
        f"the element of the {resource.get('category')} is not available",
    )


def _obstacle(element: Mapping[str, Any] | None) -> str:
    """Return why an element is not manageable."""
    if element is None:
        return "its element is missing in the inventory"
    name = element.get("name") or element.get("id")
    if element.get("administrativeState") == "locked":
        return f"{name} is locked"
    return (
        f"{name} is in the inventory only; it has no {MANAGEMENT_ADDRESS}, so there is no element"
        " to configure"
    )


def usable_elements(
    repository: Repository, category: str, places: tuple[str, ...], seed: str
) -> list[Resource]:
    """Return the manageable elements of a category; those at the given places come first."""
    elements = repository.find(RESOURCE_KIND, {"category": category}, limit=_MAX_RESULTS)
    usable = [element for element in rotation(elements, seed) if is_manageable(element)]
    return sorted(usable, key=lambda element: not places_of(element) & set(places))


def rotation(resources: list[Resource], seed: str) -> list[Resource]:
    """Return a list rotated by an offset that follows from a text, to distribute the orders."""
    first = zlib.crc32(seed.encode()) % (len(resources) or 1)
    return resources[first:] + resources[:first]


def places_of(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the places where a resource is."""
    return frozenset(
        str(related["place"].get("id"))
        for related in json_objects(resource.get("place"))
        if isinstance(related.get("place"), dict)
    )


def names_of(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the names by which an order can name a resource: id, name, value, natural key."""
    names = (resource["id"], resource.get("name"), resource.get("value"), carrier_key(resource))
    return frozenset(str(name) for name in names if name)


def installed_resource(resource: Mapping[str, Any]) -> InstalledResource:
    """Return a resource that a service has, for comparison with what the service requires."""
    return InstalledResource(
        str(resource.get("category") or ""), names_of(resource), resource_characteristics(resource)
    )


def find_named(
    repository: Repository, requirement: ResourceRequirement, pool_element: str
) -> Resource | None:
    """Return the resource that an order names by id, name or value; None if there is none.

    Values of pools that are not for the requirement are left out, unless named by their id.

    Args:
        repository: Sees the whole tenant.
        requirement: The requirement, which has the name.
        pool_element: Id of the element whose pools may be used; empty for any.

    Raises:
        Unfulfillable: Several resources have that name or value.
    """
    category, identifier = requirement.category, requirement.identifier
    is_named = [{"id": identifier}, {"name": identifier}, {"value": identifier}]
    query = {"category": category, "$or": is_named}
    resources = repository.find(RESOURCE_KIND, query, limit=3)
    matches = [resource for resource in resources if resource["id"] == identifier]
    if not matches and any(map(pool_id_of, resources)):
        pools = pools_for(repository, requirement, pool_element)
        pool_ids = {"$in": [pool["id"] for pool, _ in pools]}
        is_usable = [_IS_NO_POOL_VALUE, {"resourceRelationship.resource.id": pool_ids}]
        query = {"category": category, "$and": [{"$or": is_named}, {"$or": is_usable}]}
        resources = repository.find(RESOURCE_KIND, query, limit=3)
    matches = matches or resources
    if len(matches) > 1:
        raise Unfulfillable(
            f"several resources of category {category} are called {identifier}; name one by its id"
        )
    return next(iter(matches), None)


def check_characteristics(resource: Mapping[str, Any], requirement: ResourceRequirement) -> None:
    """Check that a resource has the characteristics of a requirement.

    A value of a pool need not have them: they say how it is used, and pools have none.

    Raises:
        Unfulfillable: A characteristic has another value.
    """
    present = {"value": resource.get("value"), **resource_characteristics(resource)}
    is_pool_value = bool(pool_id_of(resource))
    for name, value in requirement.characteristics.items():
        if present.get(name) != value and not (is_pool_value and present.get(name) is None):
            label = resource_state.display_name(resource)
            raise Unfulfillable(
                f"{label} has {name} {present.get(name, '(none)')}, not {value}",
                f"{label} does not have {name} {value}",
            )


def candidates(
    repository: Repository,
    requirement: ResourceRequirement,
    element: str,
    seed: str,
    *,
    find_unreserved: FindResources | None = None,
) -> Iterator[Resource]:
    """Yield free resources for a requirement, starting at one that follows from ``seed``.

    Values of pools are among them only if no place is required; see ``free_pool_values``.

    Args:
        repository: Sees the whole tenant.
        requirement: The requirement.
        element: Id of the element that they are on; empty for any.
        seed: Text that distributes concurrent orders over the free resources.
        find_unreserved: Used in place of ``repository.find``; see ``ResourceAllocator``.
    """
    find, count = find_unreserved or repository.find, 0
    for condition in _free_conditions(repository):
        for query in _candidate_queries(repository, requirement, element):
            for page in _pages(find, {"$and": [query, condition]}, seed):
                yield from (
                    resource
                    for resource in page
                    if resource_state.is_free(resource, repository.now)
                )
                count += len(page)
                if count >= MAX_CANDIDATES:
                    return


def _free_conditions(repository: Repository) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the conditions of resources that are free, and of expired reservations."""
    is_unassigned = {
        "externalIdentifier.externalIdentifierType": {
            "$nin": [SERVICE_IDENTIFIER, HOLDER_IDENTIFIER]
        }
    }
    is_expired = {
        "externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER,
        "resourceCharacteristic": {
            "$elemMatch": {
                "name": resource_state.RESERVED_UNTIL,
                "value": {"$lte": rfc3339(repository.now)},
            }
        },
    }
    return is_unassigned, is_expired


def free_pool_values(
    repository: Repository,
    category: str,
    pools: Pools,
    seed: str,
    find_unreserved: FindResources | None = None,
) -> Iterator[Resource]:
    """Yield the free resources of pool values that were in use before.

    A value is where its pool is, so the places of an order do not matter.
    """
    find = find_unreserved or repository.find
    for pool, values in pools:
        query = {
            "category": category,
            "resourceRelationship.resource.id": pool["id"],
            "usageState": "idle",
            "operationalState": "enabled",
        }
        for condition in _free_conditions(repository):
            for page in _pages(find, {"$and": [query, condition]}, seed):
                yield from (
                    resource
                    for resource in page
                    if pool_id_of(resource) == pool["id"]
                    and values.contains(value_of(resource))
                    and resource_state.is_free(resource, repository.now)
                )


def _pages(find: FindResources, query: Mapping[str, Any], seed: str) -> Iterator[list[Resource]]:
    """Yield pages of resources in the order of their ids, from one that follows from a text.

    The first page is small because its first resource is usually sufficient.
    """
    first_id = f"{zlib.crc32(seed.encode()):08x}"
    for bounds in ({"$gte": first_id}, {"$lt": first_id}):
        limit, last_id = FIRST_PAGE_SIZE, ""
        while True:
            id_bounds = {**bounds, "$gt": last_id} if last_id else bounds
            page = find(RESOURCE_KIND, {**query, "id": id_bounds}, limit=limit)
            yield page
            if len(page) < limit:
                break
            limit, last_id = PAGE_SIZE, max(resource["id"] for resource in page)


def _candidate_queries(
    repository: Repository, requirement: ResourceRequirement, element: str
) -> Iterator[dict[str, Any]]:
    """Yield queries for candidates: resources at the required places, then on elements there."""
    conditions = _conditions(requirement, element)
    usable = {"category": requirement.category, "usageState": "idle", "operationalState": "enabled"}
    if not requirement.places:
        yield {**usable, **_conjunction(conditions)}
        return
    places = sorted(requirement.places)
    yield {**usable, "place.place.id": {"$in": places}, **_conjunction(conditions)}
    if element_ids := _element_ids_at(repository, places):
        is_on_element = {"resourceRelationship.resource.id": {"$in": element_ids}}
        is_elsewhere = {"place.place.id": {"$nin": places}}
        yield {**usable, **_conjunction([*conditions, is_on_element, is_elsewhere])}


def _conditions(requirement: ResourceRequirement, element: str) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = [
        {"resourceCharacteristic": {"$elemMatch": {"name": name, "value": {"$eq": value}}}}
        for name, value in requirement.characteristics.items()
    ]
    if element:
        conditions.append({"resourceRelationship.resource.id": element})
    return conditions


def _conjunction(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"$and": conditions} if conditions else {}


def _element_ids_at(repository: Repository, places: list[str]) -> list[str]:
    """Return the ids of the elements at some places."""
    query = {
        "place.place.id": {"$in": places},
        "resourceCharacteristic.name": "managementAddress",
    }
    elements = repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS)
    return [element["id"] for element in elements]


def shared_resources(
    repository: Repository, requirement: ResourceRequirement, element: str
) -> list[Resource]:
    """Return the resources in which a requirement may have a share, on the element if given."""
    conditions = _conditions(requirement, element)
    if requirement.places:
        places = sorted(requirement.places)
        is_there: list[dict[str, Any]] = [{"place.place.id": {"$in": places}}]
        if element_ids := _element_ids_at(repository, places):
            is_there.append({"resourceRelationship.resource.id": {"$in": element_ids}})
        conditions.append({"$or": is_there})
    query = {"category": requirement.category, **_conjunction(conditions)}
    resources = repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS)
    return [resource for resource in resources if not out_of_service_reason(resource)]


def pools_for(repository: Repository, requirement: ResourceRequirement, element: str) -> Pools:
    """Return the pools with values for a requirement; those of the element come first."""
    is_of_category = {
        "resourceCharacteristic": {
            "$elemMatch": {"name": "poolOf", "value": {"$eq": requirement.category}}
        }
    }
    query = {"category": POOL, **is_of_category}
    usable = [
        (pool, values)
        for pool in repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS)
        if (values := range_of(pool))
        and not out_of_service_reason(pool)
        and is_pool_for(pool, set(requirement.places), element)
    ]
    return sorted(usable, key=lambda pool_and_values: not element_id_of(pool_and_values[0]))


def is_pool_for(pool: Mapping[str, Any], places: set[str], element: str) -> bool:
    """Return whether neither the element nor the places of a pool exclude it."""
    pool_element, pool_places = element_id_of(pool), places_of(pool)
    if pool_element and element and pool_element != element:
        return False
    return not places or not pool_places or bool(places & pool_places)


def unused_values(
    repository: Repository, pool: Resource, values: PoolRange, seed: str
) -> Iterator[str]:
    """Yield pool values that have no resource yet, starting at one that follows from a seed."""
    chunk: list[str] = []
    for index in values.indexes_from(seed):
        chunk.append(values.value_at(index))
        if len(chunk) == PAGE_SIZE * 4:
            yield from _without_resource(repository, pool, chunk)
            chunk = []
    yield from _without_resource(repository, pool, chunk)


def _without_resource(repository: Repository, pool: Resource, values: list[str]) -> Iterator[str]:
    if not values:
        return
    by_id = {
        value_resource_id(repository.tenant, str(pool["id"]), value): value for value in values
    }
    query = {"id": {"$in": list(by_id)}}
    for resource in repository.find(RESOURCE_KIND, query, limit=len(by_id)):
        by_id.pop(resource["id"], None)
    yield from by_id.values()


def carrier_of(resources: list[Resource]) -> Resource:
    """Return the resource of a service that the service is set up on.

    That is the one with settings, or else one on an element, or else the first.
    """
    for resource in resources:
        settings = resource_characteristics(resource).get(resource_state.SERVICE_SETTINGS)
        if settings is not None:
            return resource
    return next((resource for resource in resources if element_id_of(resource)), resources[0])
