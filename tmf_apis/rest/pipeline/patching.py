"""Patches by media type: merge patch, JSON patch and JSON patch query.

A patch is parsed once, within its limits, and applied again for each attempt at a change. It never
modifies the resource that it is applied to.

Source: RFC 7396 (merge patch), RFC 6902 (JSON patch), RFC 6901 (pointers), TMF630 parts 5 and 6
(JSON patch query: paths are pointers with conditions or JSONPath, one operation for every value
that the path selects).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from tmf_apis.errors import (
    FeatureNotImplemented,
    InvalidBody,
    InvalidQuery,
    TooLarge,
    UnsupportedMediaType,
    listed_faults,
    quoted,
    shortened,
)
from tmf_apis.rest.pipeline.json_values import check_value_count
from tmf_apis.rest.pipeline.patch_budget import COPY_WORK, PatchBudget, copied
from tmf_apis.rest.pipeline.patch_operations import (
    APPLIERS,
    PatchOperation,
    Pointer,
    add_selected,
    check_value,
    invalid_operation,
    pointer_segments,
    remove,
    value_at,
)
from tmf_apis.rest.pipeline.pointer_queries import is_pointer_query, parse_pointer_query
from tmf_apis.rest.pipeline.pointers import matching_pointers
from tmf_apis.rest.query.jsonpath import JsonPath, parse_path
from tmf_apis.settings import Settings

Resource = dict[str, Any]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON_PATCH_QUERY = "application/json-patch-query+json"
ACCEPT_PATCH = (MERGE_PATCH, JSON, JSON_PATCH, JSON_PATCH_QUERY)

_OPERATIONS_WITH_VALUE = frozenset({"add", "replace", "test"})
_OPERATIONS_WITH_FROM = frozenset({"move", "copy"})
_OPERATIONS = _OPERATIONS_WITH_VALUE | _OPERATIONS_WITH_FROM | {"remove"}
_MAX_PATH_LENGTH = 1024


class Patch(Protocol):
    """A change that can be applied to any version of a resource."""

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource; the given one is not modified."""


def parse_patch(media_type: str, value: object, settings: Settings) -> Patch:
    """Parse the patch in a request body.

    Raises:
        UnsupportedMediaType: The media type is not one of ``ACCEPT_PATCH`` (HTTP 415).
        InvalidBody: The patch is malformed or has too many operations (HTTP 400).
    """
    if media_type in {MERGE_PATCH, JSON}:
        if not isinstance(value, dict):
            raise InvalidBody("/: a merge patch is an object")
        return MergePatch(value)
    if media_type in {JSON_PATCH, JSON_PATCH_QUERY}:
        return JsonPatch.parse(value, settings, is_query=media_type == JSON_PATCH_QUERY)
    raise UnsupportedMediaType(
        f"{shortened(media_type)} is not a patch; send one of {', '.join(ACCEPT_PATCH)}",
        headers={"Accept-Patch": ", ".join(ACCEPT_PATCH)},
    )


def check_size(resource: Resource, settings: Settings) -> None:
    """Check the size of a patched resource.

    Raises:
        InvalidBody: It has more than ``value_limit`` values (HTTP 400).
        TooLarge: Its JSON is longer than ``resource_limit`` (HTTP 413).
    """
    text = orjson.dumps(resource)
    if len(text) > settings.resource_limit:
        raise TooLarge(f"the resource would have {len(text)} of {settings.resource_limit} bytes")
    check_value_count(text, settings.value_limit)


@dataclass(frozen=True, slots=True)
class MergePatch:
    """A merge patch (RFC 7396): objects merge, null removes, everything else replaces."""

    members: Resource

    def apply(self, resource: Resource) -> Resource:
        """Return the merged resource."""
        return merge(resource, self.members)


def merge(target: object, patch: Resource) -> Resource:
    """Return ``target`` with a merge patch applied.

    >>> merge({"a": "b", "c": {"d": "e", "f": "g"}}, {"a": "z", "c": {"f": None}})
    {'a': 'z', 'c': {'d': 'e'}}
    """
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON patch (RFC 6902): all operations in their order, or none."""

    operations: tuple[PatchOperation, ...]
    settings: Settings
    is_query: bool

    @classmethod
    def parse(cls, value: object, settings: Settings, *, is_query: bool) -> "JsonPatch":
        """Parse the operations.

        Raises:
            InvalidBody: An operation is malformed, or there are too many (HTTP 400).
        """
        if not isinstance(value, list):
            raise InvalidBody("/: a JSON patch is an array of operations")
        if len(value) > settings.patch_limit:
            raise InvalidBody(f"/: more than {settings.patch_limit} operations")
        operations: list[PatchOperation] = []
        faults: list[str] = []
        for number, item in enumerate(value):
            try:
                operation = _parsed_operation(number, item)
                operations.append(_with_steps(operation, settings) if is_query else operation)
            except InvalidBody as error:
                faults.append(error.message)
        if faults:
            raise InvalidBody(listed_faults(faults))
        return cls(tuple(operations), settings, is_query)

    def apply(self, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource.

        Raises:
            InvalidBody: A path does not exist, or the operation is impossible there (HTTP 400).
            Conflict: A test fails (HTTP 409).
            TooLarge: The operations add more than ``resource_limit`` allows, or need more work
                than ``patch_work`` (HTTP 413).
        """
        return self.apply_within(PatchBudget.of(resource, self.settings), resource)

    def apply_within(self, budget: PatchBudget, resource: Resource) -> Any:  # noqa: ANN401
        """Return the patched resource; count the work in a budget."""
        document: Any = copied(resource)
        for operation in self.operations:
            document = self._apply_operation(document, operation, budget)
        return document

    def _apply_operation(
        self,
        document: Any,  # noqa: ANN401
        operation: PatchOperation,
        budget: PatchBudget,
    ) -> Any:  # noqa: ANN401
        document, value = self._operand(document, operation, budget)
        paths = self._pointers(document, operation, budget)
        if not paths:
            raise invalid_operation(operation, "the path selects nothing")
        if operation.op in {"add", "replace", "copy"}:
            budget.grow(value, times=len(paths))
        work = COPY_WORK if operation.op in _OPERATIONS_WITH_FROM else 1
        for path in paths:
            budget.visit(1 + len(path))
            if operation.op == "test":
                check_value(document, path, operation, budget)
                continue
            is_moved = operation.op == "move" and len(paths) == 1
            new = value if is_moved else budget.copy(value, work)
            is_selected_add = self.is_query and operation.op == "add"
            apply = add_selected if is_selected_add else APPLIERS[operation.op]
            document = apply(document, path, new, operation)
            work = COPY_WORK
        return document

    def _operand(
        self,
        document: Any,  # noqa: ANN401
        operation: PatchOperation,
        budget: PatchBudget,
    ) -> tuple[Any, Any]:
        """Return the document and the value of an operation; a moved value is removed from it."""
        if operation.op not in _OPERATIONS_WITH_FROM:
            return document, operation.value
        sources = self._pointers(document, operation, budget, is_source=True)
        if len(sources) != 1:
            raise invalid_operation(operation, f"from selects {len(sources)} values, not one")
        source = sources[0]
        value = value_at(document, source, operation)
        if operation.op == "move":
            for path in self._pointers(document, operation, budget):
                if path != source and path[: len(source)] == source:
                    raise invalid_operation(operation, "a value cannot be moved into itself")
            document = remove(document, source, operation)
        return document, value

    def _pointers(
        self,
        document: Any,  # noqa: ANN401
        operation: PatchOperation,
        budget: PatchBudget,
        *,
        is_source: bool = False,
    ) -> list[Pointer]:
        """Return the pointers that a path selects, in reverse document order.

        In this order, a removal does not shift the values that are changed later.
        """
        steps = operation.source_steps if is_source else operation.steps
        if not steps:
            path = operation.source if is_source else operation.path
            return [pointer_segments(path, operation)]
        is_added = not is_source and operation.op in {"add", "copy", "move"}
        return matching_pointers(steps, document, budget.visit, include_missing=is_added)[::-1]


def _with_steps(operation: PatchOperation, settings: Settings) -> PatchOperation:
    """Return an operation of a query with its paths parsed.

    Raises:
        InvalidBody: A path is malformed (HTTP 400).
        FeatureNotImplemented: A path uses an unsupported feature of JSONPath (HTTP 501).
    """
    return replace(
        operation,
        steps=_steps(operation, "path", operation.path, settings),
        source_steps=_steps(operation, "from", operation.source, settings),
    )


def _steps(operation: PatchOperation, name: str, path: str, settings: Settings) -> JsonPath:
    """Return the steps of a path with conditions; empty for a plain pointer."""
    try:
        if is_pointer_query(path):
            return parse_pointer_query(path, settings)
        return () if path.startswith("/") or not path else parse_path(path, settings, subject="")
    except (InvalidQuery, FeatureNotImplemented) as error:
        message = f"/{operation.number}/{name}: {operation.op} {quoted(path, 100)}: {error.message}"
        if isinstance(error, FeatureNotImplemented):
            raise FeatureNotImplemented(message) from None
        raise InvalidBody(message) from None


def _parsed_operation(number: int, value: object) -> PatchOperation:
    if not isinstance(value, dict):
        raise InvalidBody(f"/{number}: an operation is an object")
    op = value.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        note = f", not {quoted(op)}" if "op" in value else ""
        raise InvalidBody(f"/{number}/op: expected one of {', '.join(sorted(_OPERATIONS))}{note}")
    path = _text_member(number, value, "path")
    source = _text_member(number, value, "from") if op in _OPERATIONS_WITH_FROM else ""
    if op in _OPERATIONS_WITH_VALUE and "value" not in value:
        raise InvalidBody(f"/{number}/value: {op} needs a value")
    return PatchOperation(number, op, path, value.get("value"), source)


def _text_member(number: int, value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > _MAX_PATH_LENGTH:
        raise InvalidBody(
            f"/{number}/{name}: expected text of at most {_MAX_PATH_LENGTH} characters"
        )
    return text
