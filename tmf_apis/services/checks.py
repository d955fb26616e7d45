"""Checks of a service that read other resources."""

from collections.abc import Iterable, Iterator, Mapping

from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.lookups import MAX_NAMED_DEPENDENTS, refuse_while_needed
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.references import Reference
from tmf_apis.services import rules


def check_dependencies(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that a service does not support itself, and is not deleted while it is needed.

    If the operator enables it, also check that the targets of added references exist.

    Raises:
        Conflict: The service would support itself, or is still needed (HTTP 409).
        InvalidBody: The target of a reference does not exist (HTTP 400).
    """
    if new is None:
        if old is not None and not repository.context.system:
            _refuse_delete_while_needed(repository, old)
        return
    added = set(rules.supporting_service_ids(new)) - set(rules.supporting_service_ids(old or {}))
    if added:
        _refuse_cycle(repository, new, added)
    references.check_targets_exist(repository, _references(old or {}), _references(new))


def _refuse_delete_while_needed(repository: Repository, old: Resource) -> None:
    """Refuse to delete a service that supports a service or product that has not ended."""
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
    refuse_while_needed(f"Service {old['id']}", [*services, *products], "; end these first")


def _refuse_cycle(repository: Repository, new: Resource, added_ids: Iterable[str]) -> None:
    def fetch(level: set[str]) -> Mapping[str, Iterable[str]]:
        services = repository.find("Service", {"id": {"$in": sorted(level)}}, limit=len(level))
        return {service["id"]: list(rules.supporting_service_ids(service)) for service in services}

    if is_reachable(new["id"], added_ids, fetch):
        raise Conflict(f"/supportingService: Service {new['id']} would support itself")


def _references(service: Resource) -> Iterator[Reference]:
    yield from references.reference_at(service, "ServiceSpecification", "serviceSpecification")
    yield from references.references_at(service, "Resource", "supportingResource")
    yield from references.references_at(service, "Service", "supportingService")
