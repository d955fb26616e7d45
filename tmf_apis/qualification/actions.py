"""Answer qualifications from the catalogues and from the free resources of the inventory.

Nothing is reserved: an answer is valid at the moment of the request only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.qualification import rules
from tmf_apis.qualification.rules import UnavailabilityReason
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.catalog_terms import COMPOSITION_TYPES, ON_SALE_STATES
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most services in the answer to a query, and most components of a service.
MAX_SERVICES = 100
#: Returns the reasons why a service cannot be provided at the moment.
ObstacleFinder = Callable[[Repository, Mapping[str, Any]], Iterable[str]]


def qualify(
    kind: str, find_obstacles: ObstacleFinder | None, repository: Repository, task: Resource
) -> Resource:
    """Answer a qualification. Handles POST /checkServiceQualification and its query variant."""
    answer = _check_result if kind == "CheckServiceQualification" else _query_result
    return {
        **task,
        **answer(repository, task, find_obstacles),
        "effectiveQualificationDate": rfc3339(repository.now),
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
    criteria = (task.get("searchCriteria") or {}).get("service") or {}
    id = (criteria.get("serviceSpecification") or {}).get("id")
    query: dict[str, Any] = {"lifecycleStatus": {"$in": [*sorted(ON_SALE_STATES), "active"]}}
    if id:
        query["id"] = id
    specifications = repository.find("ServiceSpecification", query, limit=MAX_SERVICES)
    if not id:  # components of other services are not ordered by themselves
        components = {
            component
            for specification in specifications
            for component in _component_ids(specification)
        }
        specifications = [
            specification
            for specification in specifications
            if specification["id"] not in components
        ]
    items: list[Resource] = []
    for specification in specifications:
        reference = {
            "id": specification["id"],
            "name": specification.get("name", specification["id"]),
            "@referredType": "ServiceSpecification",
        }
        service = {**criteria, "serviceSpecification": reference}
        if not list(unavailability_reasons(repository, service, find_obstacles)):
            items.append({"id": str(len(items) + 1), "service": service})
    return {"serviceQualificationItem": items}


def _component_ids(specification: Mapping[str, Any]) -> list[str]:
    return [
        relationship["id"]
        for relationship in specification.get("serviceSpecRelationship") or ()
        if relationship.get("relationshipType") in COMPOSITION_TYPES
        and isinstance(relationship.get("id"), str)
    ]


def unavailability_reasons(
    repository: Repository, service: Mapping[str, Any], find_obstacles: ObstacleFinder | None = None
) -> Iterator[UnavailabilityReason]:
    """Yield the reasons why a service is not available; nothing if it is available."""
    id = (service.get("serviceSpecification") or {}).get("id")
    if not isinstance(id, str):
        yield UnavailabilityReason("noSpecification", "the service names no specification")
        return
    specifications, reasons = _read_specifications(repository, id)
    if find_obstacles and not reasons:
        for obstacle in find_obstacles(repository, service):
            yield UnavailabilityReason("notFeasible", obstacle)
        return
    places = rules.place_ids(service)
    for category in sorted(_required_categories(repository, specifications)):
        if not _has_free_resource(repository, category, places):
            location = f" at {', '.join(places)}" if places else ""
            yield UnavailabilityReason("noResource", f"no {category} is free{location}")
    yield from reasons


def _read_specifications(
    repository: Repository, id: str
) -> tuple[list[Resource], list[UnavailabilityReason]]:
    """Return a service specification with all components, and reasons why it is unavailable."""
    specifications: list[Resource] = []
    reasons: list[UnavailabilityReason] = []
    level, seen = [id], set[str]()
    for depth in range(MAX_DEPTH):
        query = {"id": {"$in": level}}
        resources = repository.find("ServiceSpecification", query, limit=MAX_SERVICES)
        by_id = {specification["id"]: specification for specification in resources}
        for specification_id in level:
            specification = by_id.get(specification_id)
            if specification is None:
                label = f"there is no service specification {specification_id}"
                reasons.append(UnavailabilityReason("unknownSpecification", label))
            elif depth == 0 and not rules.is_on_sale(specification):
                status = specification.get("lifecycleStatus")
                label = f"service specification {specification_id} is {status}"
                reasons.append(UnavailabilityReason("notOnSale", label))
            else:
                specifications.append(specification)
        seen |= set(level)
        level = sorted({part for resource in resources for part in _component_ids(resource)} - seen)
        if not level or len(seen) > MAX_SERVICES:
            break
    return specifications, reasons


def _required_categories(repository: Repository, specifications: Iterable[Resource]) -> set[str]:
    """Return the categories of the resources that services of the specifications require."""
    ids = {
        reference["id"]
        for specification in specifications
        for reference in specification.get("resourceSpecification") or ()
        if reference.get("minimumQuantity") != 0 and isinstance(reference.get("id"), str)
    }
    if not ids:
        return set()
    query = {"id": {"$in": sorted(ids)}}
    resources = repository.find("ResourceSpecification", query, limit=MAX_SERVICES)
    return {str(resource["category"]) for resource in resources if resource.get("category")}


def _has_free_resource(repository: Repository, category: str, place_ids: list[str]) -> bool:
    """Return whether a resource of a category is free, or there is a pool of the category.

    Resources that parties created are not for others.
    """
    repository = repository.for_network(repository.context.parties)
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
    characteristic = {"$elemMatch": {"name": "poolOf", "value": category}}
    query = {"category": "pool", "resourceCharacteristic": characteristic}
    return bool(repository.find("Resource", query, limit=1))
