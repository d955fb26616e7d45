"""What a service's law looks up in other resources."""

from collections.abc import Iterable, Iterator, Mapping

from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.references import Reference
from tmf_apis.services import rules

#: Most dependents that a refusal names.
MAX_NAMED_DEPENDENTS = 5


def check_dependencies(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Let a change pass that leaves no service resting on itself, or on one that is gone.

    Raises:
        Conflict: It would (HTTP 409).
        InvalidBody: The operator has references checked, and one leads nowhere (HTTP 400).
    """
    if new is None:
        if old is not None and not repository.context.system:
            _refuse_while_needed(repository, old)
        return
    added = set(rules.supporting_service_ids(new)) - set(rules.supporting_service_ids(old or {}))
    if added:
        _refuse_cycle(repository, new, added)
    references.check_targets_exist(repository, _references(old or {}), _references(new))


def _refuse_while_needed(repository: Repository, old: Resource) -> None:
    """Refuse to delete what a service or product that is not at its end rests on."""
    services = repository.find(
        "Service",
        {"supportingService.id": old["id"], "state": {"$ne": "terminated"}},
        limit=MAX_NAMED_DEPENDENTS + 1,
    )
    ended = ["terminated", "cancelled", "aborted", "aborted "]
    products = repository.find(
        "Product",
        {"realizingService.id": old["id"], "status": {"$nin": ended}},
        limit=MAX_NAMED_DEPENDENTS + 1,
    )
    dependents = [*services, *products]
    if dependents:
        names = ", ".join(
            f"{one.get('name', '')} ({one['id']})" for one in dependents[:MAX_NAMED_DEPENDENTS]
        )
        more = " and more" if len(dependents) > MAX_NAMED_DEPENDENTS else ""
        raise Conflict(f"Service {old['id']} is needed by {names}{more}; end these first")


def _refuse_cycle(repository: Repository, new: Resource, added_ids: Iterable[str]) -> None:
    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        found = repository.find("Service", {"id": {"$in": sorted(level)}}, limit=len(level))
        return {one["id"]: list(rules.supporting_service_ids(one)) for one in found}

    if is_reachable(new["id"], added_ids, fetch):
        raise Conflict(f"/supportingService: Service {new['id']} would rest on itself")


def _references(service: Resource) -> Iterator[Reference]:
    yield from references.reference_at(service, "ServiceSpecification", "serviceSpecification")
    yield from references.references_at(service, "Resource", "supportingResource")
    yield from references.references_at(service, "Service", "supportingService")
