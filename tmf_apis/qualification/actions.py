"""Answers from the catalogues of services and resources, and from what is free in the inventory.

Nothing is reserved: an answer says what could be had at that moment.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.qualification import rules
from tmf_apis.qualification.rules import UnavailabilityReason
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, ON_SALE_STATES
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

#: Most services that one query answers with, and most that one service consists of.
MAX_SERVICES = 100
#: Says why a service cannot be had as things are.
ObstacleFinder = Callable[[Repository, Mapping[str, Any]], Iterable[str]]


def qualify(
    kind: str, find_obstacles: ObstacleFinder | None, repository: Repository, task: Resource
) -> Resource:
    """Answer a question; what POST /checkServiceQualification does."""
    work = _check_result if kind == "CheckServiceQualification" else _query_result
    now = rfc3339(repository.now)
    return {
        **task,
        **work(repository, task, find_obstacles),
        "effectiveQualificationDate": now,
        "state": "done",
    }


def _check_result(
    repository: Repository, task: Resource, find_obstacles: ObstacleFinder | None
) -> Resource:
    explain = task.get("provideUnavailabilityReason") is True
    items = [
        rules.answered_item(
            item,
            unavailability_reasons(repository, item.get("service") or {}, find_obstacles),
            explain=explain,
        )
        for item in task["serviceQualificationItem"]
    ]
    return {"serviceQualificationItem": items, "qualificationResult": rules.overall_result(items)}


def _query_result(
    repository: Repository, task: Resource, find_obstacles: ObstacleFinder | None
) -> Resource:
    wanted = (task.get("searchCriteria") or {}).get("service") or {}
    id = (wanted.get("serviceSpecification") or {}).get("id")
    query: dict[str, Any] = {"lifecycleStatus": {"$in": [*sorted(ON_SALE_STATES), "active"]}}
    if id:
        query["id"] = id
    found = repository.find("ServiceSpecification", query, limit=MAX_SERVICES)
    parts = {
        part for one in found for part in _component_ids(one) if not id
    }  # what others consist of is not ordered by itself
    items: list[Resource] = []
    for one in found:
        reference = {"id": one["id"], "name": one.get("name", one["id"])}
        reference["@referredType"] = "ServiceSpecification"
        service = {**wanted, "serviceSpecification": reference}
        if one["id"] not in parts and not list(
            unavailability_reasons(repository, service, find_obstacles)
        ):
            items.append({"id": str(len(items) + 1), "service": service})
    return {"serviceQualificationItem": items}


def _component_ids(specification: Mapping[str, Any]) -> list[str]:
    return [
        one["id"]
        for one in specification.get("serviceSpecRelationship") or ()
        if one.get("relationshipType") in COMPOSITION_TYPES and isinstance(one.get("id"), str)
    ]


def unavailability_reasons(
    repository: Repository, service: Mapping[str, Any], find_obstacles: ObstacleFinder | None = None
) -> Iterator[UnavailabilityReason]:
    """Yield why a service cannot be had; nothing where it can."""
    id = (service.get("serviceSpecification") or {}).get("id")
    if not isinstance(id, str):
        yield UnavailabilityReason("noSpecification", "the service names no specification")
        return
    places = rules.place_ids(service)
    whole = list(_read_specifications(repository, id))
    if find_obstacles and not any(isinstance(one, UnavailabilityReason) for one in whole):
        yield from (
            UnavailabilityReason("notFeasible", one) for one in find_obstacles(repository, service)
        )
        return
    for category in sorted(_required_categories(whole, repository)):
        if not _has_free_resource(repository, category, places):
            where = f" at {', '.join(places)}" if places else ""
            yield UnavailabilityReason("noResource", f"no {category} is free{where}")
    yield from (one for one in whole if isinstance(one, UnavailabilityReason))


def _read_specifications(
    repository: Repository, id: str
) -> Iterator[Resource | UnavailabilityReason]:
    """Yield a service specification and all that it consists of; what is not there is a reason."""
    level, seen = [id], set[str]()
    for depth in range(MAX_DEPTH):
        found = {
            one["id"]: one
            for one in repository.find(
                "ServiceSpecification", {"id": {"$in": level}}, limit=MAX_SERVICES
            )
        }
        for name in level:
            if name not in found:
                yield UnavailabilityReason(
                    "unknownSpecification", f"there is no service specification {name}"
                )
            elif depth == 0 and not rules.is_on_sale(found[name]):
                status = found[name].get("lifecycleStatus")
                yield UnavailabilityReason("notOnSale", f"service specification {name} is {status}")
            else:
                yield found[name]
        seen |= set(level)
        level = sorted({part for one in found.values() for part in _component_ids(one)} - seen)
        if not level or len(seen) > MAX_SERVICES:
            return


def _required_categories(
    specifications: list[Resource | UnavailabilityReason], repository: Repository
) -> set[str]:
    """Return the categories of the resources that services of some specifications must have."""
    ids = sorted(
        {
            one["id"]
            for specification in specifications
            if not isinstance(specification, UnavailabilityReason)
            for one in specification.get("resourceSpecification") or ()
            if one.get("minimumQuantity") != 0 and isinstance(one.get("id"), str)
        }
    )
    found = (
        repository.find("ResourceSpecification", {"id": {"$in": ids}}, limit=MAX_SERVICES)
        if ids
        else []
    )
    return {str(one["category"]) for one in found if one.get("category")}


def _has_free_resource(repository: Repository, category: str, place_ids: list[str]) -> bool:
    """Return whether a resource of a category is free, or a pool has some."""
    query: dict[str, Any] = {
        "category": category,
        "usageState": "idle",
        "operationalState": "enabled",
        "administrativeState": "unlocked",
        "resourceStatus": {"$nin": ["reserved", "suspended", "unknown"]},
        "allocationStatus": {"$nin": ["reserved", "allocated"]},
    }
    if place_ids:
        query["place.place.id"] = {"$in": place_ids}
    if repository.find("Resource", query, limit=1):
        return True
    of_it = {"$elemMatch": {"name": "poolOf", "value": category}}
    return bool(
        repository.find("Resource", {"category": "pool", "resourceCharacteristic": of_it}, limit=1)
    )
