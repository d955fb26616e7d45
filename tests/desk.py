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
from tmf_apis.rest.law import Circumstances, Law, Resource

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def circumstances(**changes: Any) -> Circumstances:
    """What a rule is told in a test; ids are ``made-1``, ``made-2`` ..."""
    numbers = itertools.count(1)
    usual = Circumstances(
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


def _compares(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def any_value(found: list[Any], wanted: Any) -> bool:
        return any(type(one) is type(wanted) and test(one, wanted) for one in found)

    return any_value


def _equal(found: list[Any], wanted: Any) -> bool:
    return wanted in found or (wanted is None and not found)


OPERATORS: Mapping[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$in": lambda found, wanted: any(_equal(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_equal(found, one) for one in wanted),
    "$exists": lambda found, wanted: bool(found) is bool(wanted),
    "$gt": _compares(operator.gt),
    "$gte": _compares(operator.ge),
    "$lt": _compares(operator.lt),
    "$lte": _compares(operator.le),
    "$elemMatch": lambda found, wanted: any(
        matches(item, wanted)
        for one in found
        if isinstance(one, list)
        for item in one
        if isinstance(item, dict)
    ),
}
LOGIC: Mapping[str, Callable[[list[bool]], bool]] = {
    "$and": all,
    "$or": any,
    "$nor": lambda results: not any(results),
}


def matches(resource: Resource, query: Mapping[str, Any]) -> bool:
    """Whether a resource matches a MongoDB query of the operators above."""
    for name, wanted in query.items():
        if name in LOGIC:
            if not LOGIC[name]([matches(resource, one) for one in wanted]):
                return False
            continue
        found = list(values_at(resource, name.split(".")))
        if not (isinstance(wanted, dict) and any(key.startswith("$") for key in wanted)):
            wanted = {"$eq": wanted}  # noqa: PLW2901
        if not all(OPERATORS[key](found, value) for key, value in wanted.items()):
            return False
    return True


class MemoryDesk:
    """A Desk whose resources lie in dictionaries.

    ``crash`` makes the next writes raise after so many have succeeded: what is half done then
    must come right when it is done again.
    """

    def __init__(self, laws: Mapping[str, Law], **changes: Any) -> None:
        self.laws = laws
        self.circumstances = circumstances(**changes)
        self.now = self.circumstances.now
        self.tenant = "default"
        self.stored: dict[str, dict[str, Resource]] = {}
        self.writes: list[tuple[str, str, str]] = []
        self._left: dict[str, int | None] = {"writes": None}

    @property
    def crash(self) -> int | None:
        """How many writes succeed before one does not; None: all do."""
        return self._left["writes"]

    @crash.setter
    def crash(self, writes: int | None) -> None:
        self._left["writes"] = writes

    def get(self, kind: str, id: str) -> Resource:
        try:
            return copy.deepcopy(self.stored.get(kind, {})[id])
        except KeyError:
            raise NotFound(f"no {kind} {id}") from None

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        found = [one for one in self.stored.get(kind, {}).values() if matches(one, query)]
        name = sort.removeprefix("-")
        found.sort(key=lambda one: str(next(values_at(one, name.split(".")), "")))
        if sort.startswith("-"):
            found.reverse()
        return copy.deepcopy(found[:limit])

    def create(self, kind: str, resource: Resource, *, system: bool = True) -> Resource:
        """Make a resource; with ``system=False`` as if a client had sent it."""
        law, desk = self._law(kind, system=system)
        new = copy.deepcopy(resource)
        new.setdefault("id", self.circumstances.make_id())
        if new["id"] in self.stored.get(kind, {}):
            raise Conflict(f"{kind} {new['id']} exists already")
        if not system:
            new = {key: value for key, value in new.items() if key not in law.server_owned}
        if law.lifecycle:
            name = law.lifecycle.attribute
            new[name] = law.lifecycle.start(kind, new.get(name), system=system)
        new = law.on_create(new, desk.circumstances)
        if law.check:
            law.check(desk, None, new)
        if law.act and not system:
            new = law.act(desk, new)
        self._write("create", kind, new["id"])
        self.stored.setdefault(kind, {})[new["id"]] = copy.deepcopy(new)
        if law.after:
            law.after(desk, None, new)
        return self.get(kind, new["id"])

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        there = set()
        for one in resources:
            if one["id"] in self.stored.get(kind, {}):
                there.add(one["id"])
            else:
                law = self._law(kind, system=True)[0]
                self._write("create", kind, one["id"])
                made = law.on_create(copy.deepcopy(one), self.circumstances)
                self.stored.setdefault(kind, {})[one["id"]] = made
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
        law, desk = self._law(kind, system=system)
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
                law.lifecycle.move(kind, old[name], new[name], system=system)
        new = law.on_change(copy.deepcopy(old), copy.deepcopy(new), desk.circumstances)
        if law.check:
            law.check(desk, copy.deepcopy(old), copy.deepcopy(new))
        self._write("change", kind, id)
        self.stored[kind][id] = copy.deepcopy(new)
        if law.after:
            law.after(desk, old, copy.deepcopy(new))
        return self.get(kind, id)

    def change_many(self, kind: str, edits: Mapping[str, Any]) -> dict[str, Resource]:
        made = {}
        for id, edit in edits.items():
            with suppress(NotFound):
                made[id] = self.change(kind, id, edit)
        return made

    def delete(self, kind: str, id: str, *, system: bool = True) -> None:
        """Delete a resource; with ``system=False`` as if a client had asked for it."""
        law, desk = self._law(kind, system=system)
        old = self.get(kind, id)
        if law.on_delete:
            law.on_delete(copy.deepcopy(old), desk.circumstances)
        if law.check:
            law.check(desk, copy.deepcopy(old), None)
        self._write("delete", kind, id)
        del self.stored[kind][id]
        if law.after:
            law.after(desk, old, None)

    def _law(self, kind: str, *, system: bool) -> tuple[Law, "MemoryDesk"]:
        """Return a kind's law, and this desk as the law sees it."""
        desk = copy.copy(self)
        desk.circumstances = replace(self.circumstances, system=system)
        return self.laws.get(kind, Law()), desk

    def _write(self, what: str, kind: str, id: str) -> None:
        if self.crash is not None:
            if self.crash == 0:
                raise RuntimeError("crashed before the write")
            self.crash -= 1
        self.writes.append((what, kind, id))
