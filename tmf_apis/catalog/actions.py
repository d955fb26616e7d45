"""What the catalogue room checks and keeps in step across resources."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from tmf_apis.catalog import rules
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest import references
from tmf_apis.rest.cycles import reaches
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.rest.references import Reference

#: What the name of a version may be made of, because it becomes a part of a path.
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

#: Most ids in one query.
_BATCH = 1000

#: Most dependents that a refusal names.
NAMED = 5


def check_parts(kind: str, desk: Desk, new: Resource | None) -> None:
    """Let a bundle pass that is not a part of itself, directly or through others.

    Raises:
        InvalidBody: It is (HTTP 400).
    """
    start = rules.parts(kind, new) if new else []
    if new is None or not start:
        return

    def fetch(wanted: set[str]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        names = sorted(wanted)
        for first in range(0, len(names), _BATCH):
            query = {"id": {"$in": names[first : first + _BATCH]}}
            for one in desk.find(kind, query, limit=_BATCH):
                found[one["id"]] = rules.parts(kind, one)
        return found

    if reaches(new["id"], start, fetch):
        raise InvalidBody(f"/{rules.PARTS[kind]}: {kind} {new['id']} would be a part of itself")


def check_version(kind: str, desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a new version pass whose number was not used before.

    Raises:
        InvalidBody: The number of a version cannot stand in a path (HTTP 400).
        Conflict: There was a version of that number (HTTP 409).
    """
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    for one in (old, new):
        if not _VERSION.fullmatch(str(one.get("version"))):
            raise InvalidBody(
                f"/version: expected letters, digits, '.', '_', '-', not {one['version']}"
            )
    with suppress(NotFound):
        desk.get(kind, rules.kept_id(new))
        raise Conflict(f"/version: {kind} {new['id']} had a version {new['version']} already")


def keep_version(kind: str, desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Keep the version that was replaced as a resource of its own; safe to repeat."""
    if old is None or new is None or not rules.is_new_version(old, new):
        return
    with suppress(Conflict):  # kept already
        desk.create(kind, rules.superseded({**old, "id": new["id"]}, desk.now))


def check_needed(kind: str, desk: Desk, old: Resource | None) -> None:
    """Let a specification go that no other consists of or needs.

    Raises:
        Conflict: One does (HTTP 409).
    """
    if old is None or desk.circumstances.system:
        return
    name = rules.RELATIONS[kind]
    says_so = {"relationshipType": {"$in": sorted(rules.LEADING)}, "id": old["id"]}
    query = {"id": {"$ne": old["id"]}, name: {"$elemMatch": says_so}}
    dependents = desk.find(kind, query, limit=NAMED + 1)
    if dependents:
        names = ", ".join(f"{one.get('name', '')} ({one['id']})" for one in dependents[:NAMED])
        more = " and more" if len(dependents) > NAMED else ""
        raise Conflict(f"{kind} {old['id']} is needed by {names}{more}")


def check_references(kind: str, desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let an entity pass whose specifications are there, where the operator has that checked.

    Raises:
        InvalidBody: One is not (HTTP 400).
    """
    if new is not None:
        references.check(desk, _references(kind, old or {}), _references(kind, new))


def _references(kind: str, resource: Resource) -> Iterator[Reference]:
    if kind == "ServiceSpecification":
        yield from references.several(resource, kind, "serviceSpecRelationship")
        yield from references.several(resource, "ResourceSpecification", "resourceSpecification")
    elif kind == "ResourceSpecification":
        yield from references.several(resource, kind, "resourceSpecRelationship")
    elif kind == "ServiceCandidate":
        yield from references.single(resource, "ServiceSpecification", "serviceSpecification")
    elif kind == "ResourceCandidate":
        yield from references.single(resource, "ResourceSpecification", "resourceSpecification")
