"""A repository in memory, for tests of rules and task handlers."""

import copy
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import Conflict, NotFound, TmfError
from tmf_apis.rest.pipeline.dependents import refuse_deletion
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.pipeline.policy_application import (
    changed_resource,
    check_deletion,
    needs_after_commit,
    new_resource,
)
from tmf_apis.store.resources import is_same_json

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def request_context(**changes: Any) -> RequestContext:
    """Return the context of a request in a test; ids are ``made-1``, ``made-2`` ..."""
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
    """Yield the values at a dotted path; like MongoDB, look into arrays."""
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
    def any_value(values: list[Any], operand: Any) -> bool:
        return any(type(value) is type(operand) and test(value, operand) for value in values)

    return any_value


def _is_equal(values: list[Any], operand: Any) -> bool:
    return operand in values or (operand is None and not values)


OPERATORS: Mapping[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _is_equal,
    "$ne": lambda values, operand: not _is_equal(values, operand),
    "$in": lambda values, operands: any(_is_equal(values, operand) for operand in operands),
    "$nin": lambda values, operands: not any(_is_equal(values, operand) for operand in operands),
    "$exists": lambda values, operand: bool(values) is bool(operand),
    "$gt": _comparator(operator.gt),
    "$gte": _comparator(operator.ge),
    "$lt": _comparator(operator.lt),
    "$lte": _comparator(operator.le),
    "$elemMatch": lambda values, query: any(
        matches(item, query)
        for value in values
        if isinstance(value, list)
        for item in value
        if isinstance(item, dict)
    ),
}
LOGICAL_OPERATORS: Mapping[str, Callable[[list[bool]], bool]] = {
    "$and": all,
    "$or": any,
    "$nor": lambda results: not any(results),
}


def matches(resource: Resource, query: Mapping[str, Any]) -> bool:
    """Return whether a resource matches a MongoDB query of the operators above."""
    for name, condition in query.items():
        if name in LOGICAL_OPERATORS:
            if not LOGICAL_OPERATORS[name]([matches(resource, part) for part in condition]):
                return False
            continue
        values = list(values_at(resource, name.split(".")))
        is_operator = isinstance(condition, dict) and any(k.startswith("$") for k in condition)
        operands = condition if is_operator else {"$eq": condition}
        if not all(OPERATORS[key](values, operand) for key, operand in operands.items()):
            return False
    return True


class MemoryRepository:
    """A repository that stores resources in dictionaries; policies run as the writer runs them.

    With ``writes_until_crash``, a test can check that a follow-up that was interrupted between two
    writes completes when it is repeated.
    """

    def __init__(self, policies: Mapping[str, ResourcePolicy], **changes: Any) -> None:
        self.policies = policies
        self.context = request_context(**changes)
        self.now = self.context.now
        self.tenant = "default"
        self.resources: dict[str, dict[str, Resource]] = {}
        self.write_log: list[tuple[str, str, str]] = []
        # A dictionary, because the copies of the repository that policies get share the count.
        self._remaining: dict[str, int | None] = {"writes": None}

    @property
    def writes_until_crash(self) -> int | None:
        """Number of writes that succeed before one raises an error; None if all succeed."""
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
        resources = [r for r in self.resources.get(kind, {}).values() if matches(r, query)]
        path = sort.removeprefix("-").split(".")
        resources.sort(key=lambda resource: str(next(values_at(resource, path), "")))
        if sort.startswith("-"):
            resources.reverse()
        return copy.deepcopy(resources[:limit])

    def revision_fingerprint(self, queries: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
        return repr([self.find(kind, query) for kind, query in queries])

    def create(self, kind: str, resource: Resource, *, system: bool = True) -> Resource:
        """Create a resource; with ``system=False`` as a client."""
        new = self._checked_new(kind, resource, system=system)
        return self._store_new(kind, new, system=system)

    def _checked_new(self, kind: str, resource: Resource, *, system: bool = True) -> Resource:
        policy, repository = self._policy_and_repository(kind, system=system)
        new = copy.deepcopy(resource)
        new.setdefault("id", self.context.make_id())
        if new["id"] in self.resources.get(kind, {}):
            raise Conflict(f"{kind} {new['id']} exists already")
        new = new_resource(policy, kind, new, repository.context)
        if policy.check:
            policy.check(repository, None, new)
        return policy.handle(repository, new) if policy.handle and not system else new

    def _store_new(self, kind: str, new: Resource, *, system: bool = True) -> Resource:
        policy, repository = self._policy_and_repository(kind, system=system)
        self._record_write("create", kind, new["id"])
        self.resources.setdefault(kind, {})[new["id"]] = copy.deepcopy(new)
        self._follow_up(policy, repository, None, new)
        return self.get(kind, new["id"])

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        policy, repository = self._policy_and_repository(kind, system=True)
        existing = set()
        for resource in resources:
            id = resource["id"]
            if id in self.resources.get(kind, {}):
                existing.add(id)
            else:
                self._record_write("create", kind, id)
                new = new_resource(policy, kind, copy.deepcopy(resource), repository.context)
                self.resources.setdefault(kind, {})[id] = new
        return existing

    def create_each(self, kind: str, resources: Iterable[Resource]) -> list[TmfError | None]:
        outcomes: list[TmfError | None] = []
        checked = []
        for resource in resources:
            outcomes.append(None)
            try:
                checked.append(self._checked_new(kind, resource))
            except TmfError as error:
                outcomes[-1] = error
        for new in checked:
            self._store_new(kind, new)
        return outcomes

    def change(
        self,
        kind: str,
        id: str,
        edit: Callable[[Resource], Resource],
        *,
        system: bool = True,
    ) -> Resource:
        """Change a resource; with ``system=False`` as a client."""
        policy, repository = self._policy_and_repository(kind, system=system)
        old = self.get(kind, id)
        new = edit(copy.deepcopy(old))
        if is_same_json(new, old):
            return old
        new = changed_resource(
            policy, kind, copy.deepcopy(old), copy.deepcopy(new), repository.context
        )
        if is_same_json(new, old):
            return old
        if policy.check:
            policy.check(repository, copy.deepcopy(old), copy.deepcopy(new))
        self._record_write("change", kind, id)
        self.resources[kind][id] = copy.deepcopy(new)
        self._follow_up(policy, repository, old, copy.deepcopy(new))
        return self.get(kind, id)

    def change_many(self, kind: str, edits: Mapping[str, Any]) -> dict[str, Resource]:
        changed = {}
        for id, edit in edits.items():
            with suppress(NotFound):
                changed[id] = self.change(kind, id, edit)
        return changed

    def for_network(self, parties: frozenset[str] | None) -> "MemoryRepository":
        """Return this repository: it has no owners."""
        return self

    def delete(self, kind: str, id: str, *, system: bool = True) -> None:
        """Delete a resource; with ``system=False`` as a client."""
        policy, repository = self._policy_and_repository(kind, system=system)
        old = self.get(kind, id)
        check_deletion(policy, copy.deepcopy(old), repository.context)
        dependents = [
            resource
            for dependent in policy.needed_by
            if not system or dependent.blocks_server
            for resource in self.find(dependent.kind, dependent.query(id), limit=10)
            if (dependent.kind, resource["id"]) != (kind, id)
        ]
        refuse_deletion(f"{kind} {id}", dependents)
        if policy.check:
            policy.check(repository, copy.deepcopy(old), None)
        self._record_write("delete", kind, id)
        del self.resources[kind][id]
        self._follow_up(policy, repository, old, None)

    @staticmethod
    def _follow_up(
        policy: ResourcePolicy,
        repository: "MemoryRepository",
        old: Resource | None,
        new: Resource | None,
    ) -> None:
        if needs_after_commit(policy, old, new):
            policy.after_commit(repository, old, new)

    def _policy_and_repository(
        self, kind: str, *, system: bool
    ) -> tuple[ResourcePolicy, "MemoryRepository"]:
        """Return a kind's policy, and a copy of this repository for the policy."""
        repository = copy.copy(self)
        repository.context = replace(self.context, system=system)
        return self.policies.get(kind, ResourcePolicy()), repository

    def _record_write(self, action: str, kind: str, id: str) -> None:
        if self.writes_until_crash is not None:
            if self.writes_until_crash == 0:
                raise RuntimeError("crashed before the write")
            self.writes_until_crash -= 1
        self.write_log.append((action, kind, id))
