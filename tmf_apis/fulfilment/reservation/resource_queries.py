"""Looking resources up in the inventory: what a need may take, and the element that it is on."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.errors import Misconfigured
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.reservation.pools import POOL, PoolRange, range_of, value_resource_id
from tmf_apis.fulfilment.values import ResourceRequirement
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import target_of
from tmf_apis.inventory.ports import HOLDER_IDENTIFIER, SERVICE_IDENTIFIER, element_id_of
from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

RESOURCE_KIND = "Resource"
#: How many resources are read first and then at once, and most that are looked at for one need.
FIRST_PAGE_SIZE, PAGE_SIZE, MAX_CANDIDATES = 4, 50, 2000
#: Most elements and pools that are looked at.
_MAX_RESULTS = 1000


def find_by_identifier(repository: Repository, type_: str, ids: list[str]) -> list[Resource]:
    """Return the resources on which fulfilment has written one of some ids."""
    wanted = set(ids)
    query = {"externalIdentifier.id": {"$in": sorted(wanted)}}
    found = repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS) if wanted else []
    return [one for one in found if resource_state.external_id(one, type_) in wanted]


def element_of(repository: Repository, resource: Mapping[str, Any]) -> Resource | None:
    """Return the element that a resource is contained in, or was brought to; None: it is gone."""
    id = element_id_of(resource) or resource_state.service_use(resource).element
    return get_or_none(repository, RESOURCE_KIND, id) if id else None


def is_reachable(element: Mapping[str, Any]) -> bool:
    """Return whether an element can be worked on: it says how, and nobody has locked it."""
    locked = element.get("administrativeState") == "locked"
    try:
        return bool(target_of(element)) and not locked
    except Misconfigured:
        return False


def usable_elements(
    repository: Repository, category: str, places: tuple[str, ...], seed: str
) -> list[Resource]:
    """Return elements of a category that can be worked on; those at the places go before."""
    found = repository.find(RESOURCE_KIND, {"category": category}, limit=_MAX_RESULTS)
    here = set(places)
    usable = [one for one in rotation(found, seed) if is_reachable(one)]
    return sorted(usable, key=lambda one: not here & places_of(one))


def rotation(resources: list[Resource], seed: str) -> list[Resource]:
    """Return a list from a place on that follows from a text, so that orders do not collide."""
    first = zlib.crc32(seed.encode()) % (len(resources) or 1)
    return resources[first:] + resources[:first]


def places_of(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the places where a resource is."""
    return frozenset(
        str(one["place"].get("id"))
        for one in json_objects(resource.get("place"))
        if isinstance(one.get("place"), dict)
    )


def find_named(repository: Repository, requirement: ResourceRequirement) -> Resource | None:
    """Return the resource that an order names, by id, name or value; None: there is none.

    Raises:
        Refused: Several are called so.
    """
    either = [
        {"id": requirement.identifier},
        {"name": requirement.identifier},
        {"value": requirement.identifier},
    ]
    found = repository.find(
        RESOURCE_KIND, {"category": requirement.category, "$or": either}, limit=3
    )
    by_id = [one for one in found if one["id"] == requirement.identifier]
    if len(by_id or found) > 1:
        raise Unfulfillable(
            f"several resources of category {requirement.category} are called {requirement.identifier}; name one by"
            " its id"
        )
    return next(iter(by_id or found), None)


def check_characteristics(resource: Mapping[str, Any], requirement: ResourceRequirement) -> None:
    """Let a resource pass if it has what is wanted.

    Raises:
        Refused: It has not.
    """
    found = {"value": resource.get("value"), **resource_characteristics(resource)}
    for name, value in requirement.characteristics.items():
        if found.get(name) != value:
            raise Unfulfillable(
                f"{resource_state.display_name(resource)} has {name} {found.get(name, '(none)')}, not {value}"
            )


def candidates(
    repository: Repository, requirement: ResourceRequirement, element: str, seed: str
) -> Iterator[Resource]:
    """Yield free resources that a need may take, from a place on that follows from ``seed``.

    Args:
        repository: Sees the whole tenant.
        requirement: What is wanted.
        element: Id of the element that they are on; empty: any.
        seed: Text that spreads orders over what is free.
    """
    unheld = {
        "externalIdentifier.externalIdentifierType": {
            "$nin": [SERVICE_IDENTIFIER, HOLDER_IDENTIFIER]
        }
    }
    over = {
        "externalIdentifier.externalIdentifierType": HOLDER_IDENTIFIER,
        "resourceCharacteristic": {
            "$elemMatch": {
                "name": resource_state.RESERVED_UNTIL,
                "value": {"$lte": rfc3339(repository.now)},
            }
        },
    }
    first = f"{zlib.crc32(seed.encode()):08x}"
    seen = 0
    for part in (unheld, over):
        for query in _candidate_queries(repository, requirement, element):
            for bounds in ({"$gte": first}, {"$lt": first}):
                for found in _pages(repository, {"$and": [query, part]}, bounds):
                    yield from (one for one in found if resource_state.is_free(one, repository.now))
                    seen += len(found)
                    if seen >= MAX_CANDIDATES:
                        return


def _pages(
    repository: Repository, query: Mapping[str, Any], bounds: Mapping[str, str]
) -> Iterator[list[Resource]]:
    """Yield resources with ids within bounds, in order: few at first, for one is enough mostly."""
    find = getattr(repository, "find_unreserved", repository.find)
    limit, last = FIRST_PAGE_SIZE, ""
    while True:
        within = {**bounds, "$gt": last} if last else bounds
        found = find(RESOURCE_KIND, {**query, "id": within}, limit=limit)
        yield found
        if len(found) < limit:
            return
        limit, last = PAGE_SIZE, max(one["id"] for one in found)


def _candidate_queries(
    repository: Repository, requirement: ResourceRequirement, element: str
) -> Iterator[dict[str, Any]]:
    """Yield queries for what a need may take: what is at its places, then on elements there."""
    every = _conditions(requirement, element)
    usable = {"category": requirement.category, "usageState": "idle", "operationalState": "enabled"}
    if not requirement.places:
        yield {**usable, **_conjunction(every)}
        return
    wanted = sorted(requirement.places)
    yield {**usable, "place.place.id": {"$in": wanted}, **_conjunction(every)}
    if there := _element_ids_at(repository, wanted):
        on_them = {"resourceRelationship.resource.id": {"$in": there}}
        elsewhere = {"place.place.id": {"$nin": wanted}}
        yield {**usable, **_conjunction([*every, on_them, elsewhere])}


def _conditions(requirement: ResourceRequirement, element: str) -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [
        {"resourceCharacteristic": {"$elemMatch": {"name": name, "value": value}}}
        for name, value in requirement.characteristics.items()
    ]
    if element:
        every.append({"resourceRelationship.resource.id": element})
    return every


def _conjunction(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"$and": conditions} if conditions else {}


def _element_ids_at(repository: Repository, places: list[str]) -> list[str]:
    """Return the ids of the elements at some places."""
    query = {
        "place.place.id": {"$in": places},
        "resourceCharacteristic.name": "managementAddress",
    }
    return [one["id"] for one in repository.find(RESOURCE_KIND, query, limit=_MAX_RESULTS)]


def shared_resources(
    repository: Repository, requirement: ResourceRequirement, element: str
) -> list[Resource]:
    """Return the resources that a need may draw a part of: those of the element, if it has one."""
    every = _conditions(requirement, element)
    if requirement.places:
        wanted = sorted(requirement.places)
        here: list[dict[str, Any]] = [{"place.place.id": {"$in": wanted}}]
        if there := _element_ids_at(repository, wanted):
            here.append({"resourceRelationship.resource.id": {"$in": there}})
        every.append({"$or": here})
    found = repository.find(
        RESOURCE_KIND, {"category": requirement.category, **_conjunction(every)}, limit=_MAX_RESULTS
    )
    return [one for one in found if not out_of_service_reason(one)]


def pools_for(
    repository: Repository, requirement: ResourceRequirement, element: str
) -> list[tuple[Resource, PoolRange]]:
    """Return the pools that have values for a need; those of the element go before the others."""
    of = {
        "resourceCharacteristic": {"$elemMatch": {"name": "poolOf", "value": requirement.category}}
    }
    found = repository.find(RESOURCE_KIND, {"category": POOL, **of}, limit=_MAX_RESULTS)
    here = set(requirement.places)
    usable = [
        (one, values)
        for one in found
        if (values := range_of(one))
        and not out_of_service_reason(one)
        and (not element_id_of(one) or not element or element_id_of(one) == element)
        and (not here or not places_of(one) or here & places_of(one))
        and (
            not element
            or not requirement.element_category
            or element_id_of(one) == element
            or not element_id_of(one)
        )
    ]
    return sorted(usable, key=lambda one: not element_id_of(one[0]))


def unused_values(
    repository: Repository, pool: Resource, values: PoolRange, seed: str
) -> Iterator[str]:
    """Yield values of a pool of which there is no resource yet."""
    window: list[str] = []
    for place in values.indexes_from(seed):
        window.append(values.value_at(place))
        if len(window) == PAGE_SIZE * 4:
            yield from _without_resource(repository, pool, window)
            window = []
    yield from _without_resource(repository, pool, window)


def _without_resource(repository: Repository, pool: Resource, values: list[str]) -> Iterator[str]:
    ids = {value_resource_id(repository.tenant, str(pool["id"]), value): value for value in values}
    there = (
        repository.find(RESOURCE_KIND, {"id": {"$in": list(ids)}}, limit=len(ids)) if ids else []
    )
    for one in there:
        ids.pop(one["id"], None)
    yield from ids.values()


def carrier_of(resources: list[Resource]) -> Resource:
    """Return the one of a service's resources that it is set up on."""
    for one in resources:
        if resource_characteristics(one).get(resource_state.SERVICE_SETTINGS) is not None:
            return one
    return next((one for one in resources if element_id_of(one)), resources[0])
