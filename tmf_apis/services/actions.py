"""What a service's law looks up in other resources."""

from collections.abc import Iterable, Iterator, Mapping

from tmf_apis.errors import Conflict
from tmf_apis.rest import references
from tmf_apis.rest.cycles import reaches
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.rest.references import Reference
from tmf_apis.services import rules

#: Most dependents that a refusal names.
NAMED = 5


def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that leaves no service resting on itself, or on one that is gone.

    Raises:
        Conflict: It would (HTTP 409).
        InvalidBody: The operator has references checked, and one leads nowhere (HTTP 400).
    """
    if new is None:
        if old is not None and not desk.circumstances.system:
            _refuse_while_needed(desk, old)
        return
    added = set(rules.rests_on(new)) - set(rules.rests_on(old or {}))
    if added:
        _refuse_cycle(desk, new, added)
    references.check(desk, _references(old or {}), _references(new))


def _refuse_while_needed(desk: Desk, old: Resource) -> None:
    """Refuse to delete what a service or product that is not at its end rests on."""
    services = desk.find(
        "Service",
        {"supportingService.id": old["id"], "state": {"$ne": "terminated"}},
        limit=NAMED + 1,
    )
    ended = ["terminated", "cancelled", "aborted", "aborted "]
    products = desk.find(
        "Product",
        {"realizingService.id": old["id"], "status": {"$nin": ended}},
        limit=NAMED + 1,
    )
    dependents = [*services, *products]
    if dependents:
        names = ", ".join(f"{one.get('name', '')} ({one['id']})" for one in dependents[:NAMED])
        more = " and more" if len(dependents) > NAMED else ""
        raise Conflict(f"Service {old['id']} is needed by {names}{more}; end these first")


def _refuse_cycle(desk: Desk, new: Resource, added: Iterable[str]) -> None:
    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = desk.find("Service", {"id": {"$in": sorted(level)}}, limit=len(level))
        return {one["id"]: list(rules.rests_on(one)) for one in found}

    if reaches(new["id"], added, fetch):
        raise Conflict(f"/supportingService: Service {new['id']} would rest on itself")


def _references(service: Resource) -> Iterator[Reference]:
    yield from references.single(service, "ServiceSpecification", "serviceSpecification")
    yield from references.several(service, "Resource", "supportingResource")
    yield from references.several(service, "Service", "supportingService")
