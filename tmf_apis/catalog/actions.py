"""What the catalogue room checks and keeps in step across resources."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tmf_apis.catalog import rules
from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.cycles import DEEPEST, reaches
from tmf_apis.rest.law import Desk, Resource

#: What the name of a version may be made of, because it becomes a part of a path.
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

#: Most ids in one query.
_BATCH = 1000


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


def check_tree(desk: Desk, new: Resource | None) -> None:
    """Let a category pass that is not above itself.

    Raises:
        InvalidBody: It is, or the chain of parents is deeper than ``DEEPEST`` (HTTP 400).
    """
    if new is None:
        return
    above = _above(desk, new)
    below = set(rules.ids_in(new.get("subCategory")))
    if new["id"] in above:
        raise InvalidBody(f"/parent/id: category {new['id']} would be above itself")
    if wrong := below & {*above, new["id"]}:
        raise InvalidBody(f"/subCategory: {min(wrong)} is this category, or above it already")


def _above(desk: Desk, category: Resource) -> list[str]:
    found: list[str] = []
    parent = _parent(category)
    while parent:
        if parent in found or len(found) >= DEEPEST:
            raise InvalidBody(f"/parent/id: no end of the tree within {DEEPEST} levels")
        found.append(parent)
        if parent == category["id"]:
            break
        try:
            parent = _parent(desk.get("Category", parent))
        except NotFound:
            break
    return found


def keep_tree(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Keep ``parent`` of a category and ``subCategory`` of the one above saying the same.

    A category that names a parent stands in the parent's list, and one that is listed and has no
    parent gets it. Leaving the list and leaving the parent are the same, too. A reference to a
    category that is not there stays as it is. Safe to repeat.
    """
    me = (new or old or {})["id"]
    before, now = _parent(old), _parent(new)
    if before and before != now:
        _change(desk, before, lambda above: _without(above, me))
    if new and now:
        _change(desk, now, lambda above: _with(above, new))
    listed = set(rules.ids_in((new or {}).get("subCategory")))
    for gone in sorted(set(rules.ids_in((old or {}).get("subCategory"))) - listed):
        _change(desk, gone, lambda child: _orphan(child, me))
    if new:
        for child in sorted(listed):
            _change(desk, child, lambda child: _adopted(child, new))


def _change(desk: Desk, id: str, edit: Any) -> None:  # noqa: ANN401
    with suppress(NotFound):
        desk.change("Category", id, edit)


def _parent(category: Resource | None) -> str | None:
    return next(rules.ids_in([(category or {}).get("parent") or {}]), None)


def _reference(category: Resource) -> Resource:
    reference: Resource = {"@type": "CategoryRef", "id": category["id"]}
    reference["@referredType"] = "Category"
    return reference | {name: category[name] for name in ("name", "version") if name in category}


def _with(above: Resource, child: Resource) -> Resource:
    listed = above.get("subCategory") or []
    name = {"name": child["name"]} if "name" in child else {}
    if child["id"] not in rules.ids_in(listed):
        return {**above, "subCategory": [*listed, _reference(child)]}
    return {
        **above,
        "subCategory": [{**one, **name} if one.get("id") == child["id"] else one for one in listed],
    }


def _without(above: Resource, child: str) -> Resource:
    listed = above.get("subCategory") or []
    if child not in rules.ids_in(listed):
        return above
    left = [one for one in listed if one.get("id") != child]
    rest = {name: value for name, value in above.items() if name != "subCategory"}
    return {**rest, "subCategory": left} if left else rest


def _orphan(child: Resource, above: str) -> Resource:
    if _parent(child) != above:
        return child
    return {name: value for name, value in child.items() if name != "parent"}


def _adopted(child: Resource, above: Resource) -> Resource:
    return child if child.get("parent") else {**child, "parent": _reference(above)}
