"""What the catalogue room checks and keeps in step across resources."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from tmf_apis.catalog import rules
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.cycles import is_reachable
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.references import Reference

#: What the name of a version may be made of, because it becomes a part of a path.
_VERSION_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

#: Most ids in one query.
_BATCH_SIZE = 1000

#: Most dependents that a refusal names.
MAX_NAMED_DEPENDENTS = 5


def refuse_bundle_cycle(kind: str, repository: Repository, new: Resource | None) -> None:
    """Let a bundle pass that is not a part of itself, directly or through others.

    Raises:
        InvalidBody: It is (HTTP 400).
    """
    start = rules.component_ids(kind, new) if new else []
    if new is None or not start:
        return

    def fetch(wanted: set[str]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        names = sorted(wanted)
        for first in range(0, len(names), _BATCH_SIZE):
            query = {"id": {"$in": names[first : first + _BATCH_SIZE]}}
            for one in repository.find(kind, query, limit=_BATCH_SIZE):
                found[one["id"]] = rules.component_ids(kind, one)
        return found

    if is_reachable(new["id"], start, fetch):
        raise InvalidBody(
            f"/{rules.COMPONENT_ATTRIBUTES[kind]}: {kind} {new['id']} would be a part of itself"
        )


def check_version(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Let a new version pass whose number was not used before.

    Raises:
        InvalidBody: The number of a version cannot stand in a path (HTTP 400).
        Conflict: There was a version of that number (HTTP 409).
    """
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    for one in (old, new):
        if not _VERSION_PATTERN.fullmatch(str(one.get("version"))):
            raise InvalidBody(
                f"/version: expected letters, digits, '.', '_', '-', not {one['version']}"
            )
    with suppress(NotFound):
        repository.get(kind, rules.version_id(new))
        raise Conflict(f"/version: {kind} {new['id']} had a version {new['version']} already")


def archive_version(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Keep the version that was replaced as a resource of its own; safe to repeat."""
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    with suppress(Conflict):  # kept already
        repository.create(kind, rules.superseded_version({**old, "id": new["id"]}, repository.now))


def refuse_while_needed(kind: str, repository: Repository, old: Resource | None) -> None:
    """Let a specification go that no other consists of or needs.

    Raises:
        Conflict: One does (HTTP 409).
    """
    if old is None or repository.context.system:
        return
    name = rules.RELATIONSHIP_ATTRIBUTES[kind]
    says_so = {"relationshipType": {"$in": sorted(rules.PREREQUISITE_TYPES)}, "id": old["id"]}
    query = {"id": {"$ne": old["id"]}, name: {"$elemMatch": says_so}}
    dependents = repository.find(kind, query, limit=MAX_NAMED_DEPENDENTS + 1)
    if dependents:
        names = ", ".join(
            f"{one.get('name', '')} ({one['id']})" for one in dependents[:MAX_NAMED_DEPENDENTS]
        )
        more = " and more" if len(dependents) > MAX_NAMED_DEPENDENTS else ""
        raise Conflict(f"{kind} {old['id']} is needed by {names}{more}")


def check_references(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Let an entity pass whose specifications are there, where the operator has that checked.

    Raises:
        InvalidBody: One is not (HTTP 400).
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
