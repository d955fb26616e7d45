"""A desk in memory, for tests of rules and deeds: the laws run as the engine runs them."""

import copy
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import Conflict, InvalidBody, NotFound
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def request_context(**changes: Any) -> RequestContext:
    """What a rule is told in a test; ids are ``made-1``, ``made-2`` ..."""
    numbers = itertools.count(1)
    usual = RequestContext(
        now=NOW,
        version="v5",
        subject="tester",
        flags={},
        system=False,
        make_id=lambda: f"made-{next(numbers)}",
    )
    return replace(usual, **changes)


def values_at(value: Any, path: list[str]) -> Iterator[Any]:
    """What lies at a dotted path, through arrays as MongoDB goes through them."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from values_at(item, path)
        if not path:
            yield from value
            yield value
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


def _comparator(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def any_value(found: list[Any], wanted: Any) -> bool:
        return any(type(one) is type(wanted) and test(one, wanted) for one in found)

    return any_value


def _is_equal(found: list[Any], wanted: Any) -> bool:
    return wanted in found or (wanted is None and not found)


OPERATORS: Mapping[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _is_equal,
    "$ne": lambda found, wanted: not _is_equal(found, wanted),
    "$in": lambda found, wanted: any(_is_equal(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_is_equal(found, one) for one in wanted),
    "$exists": lambda found, wanted: bool(found) is bool(wanted),
    "$gt": _comparator(operator.gt),
    "$gte": _comparator(operator.ge),
    "$lt": _comparator(operator.lt),
    "$lte": _comparator(operator.le),
    "$elemMatch": lambda found, wanted: any(
        matches(item, wanted)
        for one in found
        if isinstance(one, list)
        for item in one
        if isinstance(item, dict)
    ),
}
LOGICAL_OPERATORS: Mapping[str, Callable[[list[bool]], bool]] = {
    "$and": all,
    "$or": any,
    "$nor": lambda results: not any(results),
}


def matches(resource: Resource, query: Mapping[str, Any]) -> bool:
    """Whether a resource matches a MongoDB query of the operators above."""
    for name, wanted in query.items():
        if name in LOGICAL_OPERATORS:
            if not LOGICAL_OPERATORS[name]([matches(resource, one) for one in wanted]):
                return False
            continue
        found = list(values_at(resource, name.split(".")))
        if not (isinstance(wanted, dict) and any(key.startswith("$") for key in wanted)):
            wanted = {"$eq": wanted}  # noqa: PLW2901
        if not all(OPERATORS[key](found, value) for key, value in wanted.items()):
            return False
    return True


class MemoryRepository:
    """A Desk whose resources lie in dictionaries.

    ``writes_until_crash`` makes the next writes raise after so many have succeeded: what is half done then
    must come right when it is done again.
    """

    def __init__(self, policies: Mapping[str, ResourcePolicy], **changes: Any) -> None:
        self.policies = policies
        self.context = request_context(**changes)
        self.now = self.context.now
        self.tenant = "default"
        self.resources: dict[str, dict[str, Resource]] = {}
        self.write_log: list[tuple[str, str, str]] = []
        self._remaining: dict[str, int | None] = {"writes": None}

    @property
    def writes_until_crash(self) -> int | None:
        """How many writes succeed before one does not; None: all do."""
        return self._remaining["writes"]

    @writes_until_crash.setter
    def writes_until_crash(self, writes: int | None) -> None:
        self._remaining["writes"] = writes

    def get(self, kind: str, id: str) -> Resource:
        try:
            return copy.deepcopy(self.resources.get(kind, {})[id])
        except KeyError:
            raise NotFound(f"no {kind} {id}") from None

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        found = [one for one in self.resources.get(kind, {}).values() if matches(one, query)]
        name = sort.removeprefix("-")
        found.sort(key=lambda one: str(next(values_at(one, name.split(".")), "")))
        if sort.startswith("-"):
            found.reverse()
        return copy.deepcopy(found[:limit])

    def revision_fingerprint(self, queries: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
        return repr([self.find(kind, query) for kind, query in queries])

    def create(self, kind: str, resource: Resource, *, system: bool = True) -> Resource:
        """Make a resource; with ``system=False`` as if a client had sent it."""
        law, desk = self._policy_and_repository(kind, system=system)
        new = copy.deepcopy(resource)
        new.setdefault("id", self.context.make_id())
        if new["id"] in self.resources.get(kind, {}):
            raise Conflict(f"{kind} {new['id']} exists already")
        if not system:
            new = {key: value for key, value in new.items() if key not in law.server_owned}
        if law.lifecycle:
            name = law.lifecycle.attribute
            new[name] = law.lifecycle.initial_state(kind, new.get(name), system=system)
        new = law.on_create(new, desk.context)
        if law.check:
            law.check(desk, None, new)
        if law.handle and not system:
            new = law.handle(desk, new)
        self._record_write("create", kind, new["id"])
        self.resources.setdefault(kind, {})[new["id"]] = copy.deepcopy(new)
        if law.after_commit:
            law.after_commit(desk, None, new)
        return self.get(kind, new["id"])

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        there = set()
        for one in resources:
            if one["id"] in self.resources.get(kind, {}):
                there.add(one["id"])
            else:
                law = self._policy_and_repository(kind, system=True)[0]
                self._record_write("create", kind, one["id"])
                made = law.on_create(copy.deepcopy(one), self.context)
                self.resources.setdefault(kind, {})[one["id"]] = made
        return there

    def change(
        self,
        kind: str,
        id: str,
        edit: Callable[[Resource], Resource],
        *,
        system: bool = True,
    ) -> Resource:
        """Change a resource; with ``system=False`` as if a client had sent it."""
        law, desk = self._policy_and_repository(kind, system=system)
        old = self.get(kind, id)
        new = edit(copy.deepcopy(old))
        if new == old:
            return old
        if not system and (
            kept := [one for one in law.server_owned if new.get(one) != old.get(one)]
        ):
            raise InvalidBody(f"{kept}: kept by the server")
        if law.lifecycle:
            name = law.lifecycle.attribute
            if name in old and name in new:
                law.lifecycle.transition(kind, old[name], new[name], system=system)
        new = law.on_change(copy.deepcopy(old), copy.deepcopy(new), desk.context)
        if law.check:
            law.check(desk, copy.deepcopy(old), copy.deepcopy(new))
        self._record_write("change", kind, id)
        self.resources[kind][id] = copy.deepcopy(new)
        if law.after_commit:
            law.after_commit(desk, old, copy.deepcopy(new))
        return self.get(kind, id)

    def change_many(self, kind: str, edits: Mapping[str, Any]) -> dict[str, Resource]:
        made = {}
        for id, edit in edits.items():
            with suppress(NotFound):
                made[id] = self.change(kind, id, edit)
        return made

    def delete(self, kind: str, id: str, *, system: bool = True) -> None:
        """Delete a resource; with ``system=False`` as if a client had asked for it."""
        law, desk = self._policy_and_repository(kind, system=system)
        old = self.get(kind, id)
        if law.on_delete:
            law.on_delete(copy.deepcopy(old), desk.context)
        if law.check:
            law.check(desk, copy.deepcopy(old), None)
        self._record_write("delete", kind, id)
        del self.resources[kind][id]
        if law.after_commit:
            law.after_commit(desk, old, None)

    def _policy_and_repository(
        self, kind: str, *, system: bool
    ) -> tuple[ResourcePolicy, "MemoryRepository"]:
        """Return a kind's law, and this desk as the law sees it."""
        desk = copy.copy(self)
        desk.context = replace(self.context, system=system)
        return self.policies.get(kind, ResourcePolicy()), desk

    def _record_write(self, action: str, kind: str, id: str) -> None:
        if self.writes_until_crash is not None:
            if self.writes_until_crash == 0:
                raise RuntimeError("crashed before the write")
            self.writes_until_crash -= 1
        self.write_log.append((action, kind, id))
