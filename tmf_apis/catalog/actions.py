"""Checks and follow-up writes of catalogue entities that involve other resources."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from tmf_apis.catalog import rules
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource
from tmf_apis.rest.pipeline.references import Reference

#: Form of a version number; it becomes part of a path.
_VERSION_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

#: Largest number of ids in one query.
_BATCH_SIZE = 1000


def refuse_bundle_cycle(kind: str, repository: Repository, new: Resource | None) -> None:
    """Check that a bundle is not a part of itself, directly or through others.

    Raises:
        InvalidBody: The bundle is a part of itself (HTTP 400).
    """
    component_ids = rules.component_ids(kind, new) if new else []
    if new is None or not component_ids:
        return

    def fetch(ids: set[str]) -> Mapping[str, list[str]]:
        sorted_ids = sorted(ids)
        components: dict[str, list[str]] = {}
        for start in range(0, len(sorted_ids), _BATCH_SIZE):
            query = {"id": {"$in": sorted_ids[start : start + _BATCH_SIZE]}}
            for entity in repository.find(kind, query, limit=_BATCH_SIZE):
                components[entity["id"]] = rules.component_ids(kind, entity)
        return components

    if is_reachable(new["id"], component_ids, fetch):
        raise InvalidBody(
            f"/{rules.COMPONENT_ATTRIBUTES[kind]}: {kind} {new['id']} would be a part of itself"
        )


def bundle_lock_name(
    kind: str, old: Resource | None, new: Resource, context: RequestContext
) -> str:
    """Return the lock of the bundles of a kind, if a client adds a component to one.

    No bundle refers to a new entity, so a new one does not close a cycle.
    """
    if old is None or context.system:
        return ""
    added = set(rules.component_ids(kind, new)) - set(rules.component_ids(kind, old))
    return f"{kind}.bundle" if added else ""


def check_version(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Check that the number of a new version is valid and was not used before.

    Raises:
        InvalidBody: A version number contains characters that a path cannot have (HTTP 400).
        Conflict: The version number was used before (HTTP 409).
    """
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    for version in (old.get("version"), new.get("version")):
        if not _VERSION_PATTERN.fullmatch(str(version)):
            raise InvalidBody(f"/version: expected letters, digits, '.', '_', '-', not {version}")
    with suppress(NotFound):
        repository.get(kind, rules.version_id(new))
        raise Conflict(f"/version: {kind} {new['id']} had a version {new['version']} already")


def archive_version(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Store a superseded version as a resource of its own; safe to repeat."""
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    with suppress(Conflict):  # stored already
        repository.create(kind, rules.superseded_version({**old, "id": new["id"]}, repository.now))


def check_references(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Check that the specifications that an entity refers to exist.

    Runs only if the operator asks for it (``TMF_CHECK_REFERENCES``).

    Raises:
        InvalidBody: A specification does not exist (HTTP 400).
    """
    if new is not None:
        references.check_targets_exist(
            repository, _references(kind, old or {}), _references(kind, new)
        )


def _references(kind: str, resource: Resource) -> Iterator[Reference]:
    if kind == "ServiceSpecification":
        yield from references.references_at(resource, kind, "serviceSpecRelationship")
        yield from references.references_at(
            resource, "ResourceSpecification", "resourceSpecification"
        )
    elif kind == "ResourceSpecification":
        yield from references.references_at(resource, kind, "resourceSpecRelationship")
    elif kind == "ServiceCandidate":
        yield from references.reference_at(resource, "ServiceSpecification", "serviceSpecification")
    elif kind == "ResourceCandidate":
        yield from references.reference_at(
            resource, "ResourceSpecification", "resourceSpecification"
        )
