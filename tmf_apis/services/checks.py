"""Checks of a service that read other resources."""

from collections.abc import Iterable, Iterator, Mapping

from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource
from tmf_apis.rest.pipeline.references import Reference
from tmf_apis.services import rules


def check_dependencies(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that a service does not support itself.

    If the operator enables it, also check that the targets of added references exist.

    Raises:
        Conflict: The service would support itself (HTTP 409).
        InvalidBody: The target of a reference does not exist (HTTP 400).
    """
    if new is None:
        return
    if added := _added_ids(old, new):
        _refuse_cycle(repository, new, added)
    references.check_targets_exist(repository, _references(old or {}), _references(new))


def lock_name(old: Resource | None, new: Resource, context: RequestContext) -> str:
    """Return the lock of the tree of services, if a client adds a supporting service.

    No other service refers to a new one, so a new service does not close a cycle.
    """
    if old is None or context.system or not _added_ids(old, new):
        return ""
    return "Service.supportingService"


def _added_ids(old: Resource | None, new: Resource) -> set[str]:
    return set(rules.supporting_service_ids(new)) - set(rules.supporting_service_ids(old or {}))


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
