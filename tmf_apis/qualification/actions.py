"""Answers from the catalogues of services and resources, and from what is free in the inventory.

Nothing is reserved: an answer says what could be had at that moment.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.qualification import rules
from tmf_apis.qualification.rules import Reason
from tmf_apis.rest.cycles import DEEPEST
from tmf_apis.rest.law import Desk, Resource, rfc3339

#: Most services that one query answers with, and most that one service consists of.
MOST = 100
#: Says why a service cannot be had as things are.
Obstacles = Callable[[Desk, Mapping[str, Any]], Iterable[str]]


def answer(kind: str, obstacles: Obstacles | None, desk: Desk, task: Resource) -> Resource:
    """Answer a question; what POST /checkServiceQualification does."""
    work = _checked if kind == "CheckServiceQualification" else _queried
    now = rfc3339(desk.now)
    return {
        **task,
        **work(desk, task, obstacles),
        "effectiveQualificationDate": now,
        "state": "done",
    }


def _checked(desk: Desk, task: Resource, obstacles: Obstacles | None) -> Resource:
    explain = task.get("provideUnavailabilityReason") is True
    items = [
        rules.answered(item, reasons(desk, item.get("service") or {}, obstacles), explain=explain)
        for item in task["serviceQualificationItem"]
    ]
    return {"serviceQualificationItem": items, "qualificationResult": rules.result(items)}


def _queried(desk: Desk, task: Resource, obstacles: Obstacles | None) -> Resource:
    wanted = (task.get("searchCriteria") or {}).get("service") or {}
    id = (wanted.get("serviceSpecification") or {}).get("id")
    query: dict[str, Any] = {"lifecycleStatus": {"$in": ["Active", "Launched", "active"]}}
    if id:
        query["id"] = id
    found = desk.find("ServiceSpecification", query, limit=MOST)
    parts = {
        part for one in found for part in _related(one) if not id
    }  # what others consist of is not ordered by itself
    items: list[Resource] = []
    for one in found:
        reference = {"id": one["id"], "name": one.get("name", one["id"])}
        reference["@referredType"] = "ServiceSpecification"
        service = {**wanted, "serviceSpecification": reference}
        if one["id"] not in parts and not list(reasons(desk, service, obstacles)):
            items.append({"id": str(len(items) + 1), "service": service})
    return {"serviceQualificationItem": items}


def _related(specification: Mapping[str, Any]) -> list[str]:
    return [
        one["id"]
        for one in specification.get("serviceSpecRelationship") or ()
        if one.get("relationshipType") in rules.PARTS and isinstance(one.get("id"), str)
    ]


def reasons(
    desk: Desk, service: Mapping[str, Any], obstacles: Obstacles | None = None
) -> Iterator[Reason]:
    """Yield why a service cannot be had; nothing where it can."""
    id = (service.get("serviceSpecification") or {}).get("id")
    if not isinstance(id, str):
        yield Reason("noSpecification", "the service names no specification")
        return
    places = rules.places(service)
    whole = list(_below(desk, id))
    if obstacles and not any(isinstance(one, Reason) for one in whole):
        yield from (Reason("notFeasible", one) for one in obstacles(desk, service))
        return
    for category in sorted(_categories(whole, desk)):
        if not _free(desk, category, places):
            where = f" at {', '.join(places)}" if places else ""
            yield Reason("noResource", f"no {category} is free{where}")
    yield from (one for one in whole if isinstance(one, Reason))


def _below(desk: Desk, id: str) -> Iterator[Resource | Reason]:
    """Yield a service specification and all that it consists of; what is not there is a reason."""
    level, seen = [id], set[str]()
    for depth in range(DEEPEST):
        found = {
            one["id"]: one
            for one in desk.find("ServiceSpecification", {"id": {"$in": level}}, limit=MOST)
        }
        for name in level:
            if name not in found:
                yield Reason("unknownSpecification", f"there is no service specification {name}")
            elif depth == 0 and not rules.on_sale(found[name]):
                status = found[name].get("lifecycleStatus")
                yield Reason("notOnSale", f"service specification {name} is {status}")
            else:
                yield found[name]
        seen |= set(level)
        level = sorted({part for one in found.values() for part in _related(one)} - seen)
        if not level or len(seen) > MOST:
            return


def _categories(specifications: list[Resource | Reason], desk: Desk) -> set[str]:
    """Return the categories of the resources that services of some specifications must have."""
    ids = sorted(
        {
            one["id"]
            for specification in specifications
            if not isinstance(specification, Reason)
            for one in specification.get("resourceSpecification") or ()
            if one.get("minimumQuantity") != 0 and isinstance(one.get("id"), str)
        }
    )
    found = desk.find("ResourceSpecification", {"id": {"$in": ids}}, limit=MOST) if ids else []
    return {str(one["category"]) for one in found if one.get("category")}


def _free(desk: Desk, category: str, places: list[str]) -> bool:
    """Return whether a resource of a category is free, or a pool has some."""
    query: dict[str, Any] = {
        "category": category,
        "usageState": "idle",
        "operationalState": "enabled",
        "administrativeState": "unlocked",
        "resourceStatus": {"$nin": ["reserved", "suspended", "unknown"]},
        "allocationStatus": {"$nin": ["reserved", "allocated"]},
    }
    if places:
        query["place.place.id"] = {"$in": places}
    if desk.find("Resource", query, limit=1):
        return True
    of_it = {"$elemMatch": {"name": "poolOf", "value": category}}
    return bool(
        desk.find("Resource", {"category": "pool", "resourceCharacteristic": of_it}, limit=1)
    )
