"""Bulk changes of a collection: a JSON Patch whose document is the collection.

Each operation of the patch is handled like a request of its own, in order: it needs its own scope,
its policy applies, and it is one atomic write. If an operation fails, the others are not affected.
The response has the outcome of each operation. When the time of the request is used up, the rest of
the operations is not started, and their outcome is 503.

    add      /  or  /-            a new resource
    replace  /{id}/name           an attribute of a resource, or a part of one; also add, remove
    move     /{id}/name           another place in the same resource, which from names; also copy
    test     /{id}/name           the value that the attribute must have
    remove   /{id}                a resource

In a JSON Patch query, the path below the id may have conditions: ``/{id}/note?author=x/text``.

Source: TMF630 part 5, "Bulk resource operations"; RFC 6902.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from tmf_apis.audit_log.recorder import RefusalRecorder, is_recorded_refusal
from tmf_apis.errors import (
    FeatureNotImplemented,
    InvalidBody,
    MethodNotAllowed,
    TmfError,
    Unavailable,
    UnsupportedMediaType,
    quoted,
    shortened,
)
from tmf_apis.rest.contracts.contract import Action, Operation
from tmf_apis.rest.http import bodies
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.handlers import ResourceHandlers
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.pipeline import patching
from tmf_apis.rest.pipeline.patch_operations import PatchOperation
from tmf_apis.settings import Settings

Json = dict[str, Any]
#: The operations of a collection, by their action.
OperationsByAction = Mapping[Action, Operation]
#: Media types of a patch of a collection.
ACCEPT_PATCH = (patching.JSON_PATCH, patching.JSON_PATCH_QUERY)
#: Paths of an operation that adds a resource to the collection.
_COLLECTION_PATHS = frozenset({"", "/", "/-"})
#: Headers that apply to a single resource, or to the body of the whole request.
_EXCLUDED_HEADERS = frozenset(
    {"if-match", "if-none-match", "content-length", "content-type", "prefer"}
)


class BulkHandler:
    """The handler of PATCH on a collection."""

    def __init__(
        self, handlers: ResourceHandlers, settings: Settings, refusal_recorder: RefusalRecorder
    ) -> None:
        self._handlers = handlers
        self._refusal_recorder = refusal_recorder
        self._settings = settings

    def patch(self, api: Api, operation: Operation, request: Request) -> Response:
        """Apply a JSON Patch; return the outcomes with 200, or 207 if an operation failed.

        Raises:
            InvalidBody: The body is not a JSON Patch, or has too many operations (HTTP 400).
            UnsupportedMediaType: It is of another media type (HTTP 415).
        """
        media_type = _patch_media_type(request)
        value = bodies.parse(request.body, self._settings)
        patch = patching.JsonPatch.parse(value, self._settings, is_query=False)
        operations = {
            candidate.action: candidate
            for candidate in api.contract.operations
            if candidate.resource == operation.resource
        }
        run = self._timed(partial(self._run_item, api, operations, media_type, request))
        outcomes = [run(item) for item in patch.operations]
        has_errors = any("error" in outcome for outcome in outcomes)
        return json_response(207 if has_errors else 200, outcomes)

    def _timed(self, run: Callable[[PatchOperation], Json]) -> Callable[[PatchOperation], Json]:
        """Return a function that runs an operation unless the time of the request is used up."""
        seconds = self._settings.bulk_seconds
        ends_at = time.monotonic() + (seconds or math.inf)

        def run_in_time(item: PatchOperation) -> Json:
            if item.number == 0 or time.monotonic() < ends_at:
                return run(item)
            message = f"not started: those before took {seconds:g} seconds; send it again"
            return _failure(item, Unavailable(message))

        return run_in_time

    def _run_item(
        self,
        api: Api,
        operations: OperationsByAction,
        media_type: str,
        request: Request,
        item: PatchOperation,
    ) -> Json:
        try:
            response, href = self._dispatch_item(api, operations, media_type, request, item)
        except TmfError as error:
            self._record_refusal(api, operations, request, item, error.status)
            return _failure(item, error)
        outcome: Json = {"op": item.op, "path": item.path, "status": response.status}
        return {**outcome, "href": href} if href else outcome

    def _record_refusal(
        self,
        api: Api,
        operations: OperationsByAction,
        request: Request,
        item: PatchOperation,
        status: int,
    ) -> None:
        """Add a refused operation to the audit log."""
        if is_recorded_refusal("PATCH", status, request.identity):
            kind = next(iter(operations.values())).kind
            name = f"{api.contract.number} {api.contract.version} bulk {item.op} {kind}"
            resource = item.path.removeprefix("/").partition("/")[0]
            self._refusal_recorder.count_refusal(
                request.origin, request.identity, name, status, kind=kind, resource=resource
            )

    def _dispatch_item(
        self,
        api: Api,
        operations: OperationsByAction,
        media_type: str,
        request: Request,
        item: PatchOperation,
    ) -> tuple[Response, str]:
        """Run one operation; return its response and the resource's URL, "" after a removal."""
        if item.op == "add" and item.path in _COLLECTION_PATHS:
            operation = _authorized_operation(operations, "create", request)
            item_request = _item_request(request, item, "POST", bodies.JSON, item.value)
            response = self._handlers.create(api, operation, item_request)
            return response, response.headers["Location"]
        id, attribute = _split_item_path(item)
        if not attribute:
            operation = _authorized_operation(operations, "delete", request)
            item_request = _item_request(request, item, "DELETE", bodies.JSON, None)
            return self._handlers.delete(api, operation, replace(item_request, id=id)), ""
        step = {"op": item.op, "path": attribute}
        if item.op in {"move", "copy"}:
            step["from"] = _source_below(item)
        elif item.op != "remove":
            step["value"] = item.value
        operation = _authorized_operation(operations, "patch", request)
        item_request = _item_request(request, item, "PATCH", media_type, [step])
        response = self._handlers.patch(api, operation, replace(item_request, id=id))
        return response, orjson.loads(response.body)["href"]


def _failure(item: PatchOperation, error: TmfError) -> Json:
    return {"op": item.op, "path": item.path, "status": error.status, "error": error.body()}


def _split_item_path(item: PatchOperation) -> tuple[str, str]:
    """Return the id of the resource, and the JSON pointer inside it.

    Raises:
        InvalidBody: The operation is not possible on a collection (HTTP 400).
    """
    id, _, attribute = item.path.removeprefix("/").partition("/")
    if not item.path.startswith("/") or not id or (not attribute and item.op != "remove"):
        raise InvalidBody(
            f"/{item.number}/path: {item.op} {quoted(item.path, 100)} is not possible in a"
            " collection; add /-, remove /{id}, and any operation at /{id}/attribute are"
        )
    if "?" in id:
        raise FeatureNotImplemented(
            f"/{item.number}/path: {item.op} {quoted(item.path, 100)}: conditions on the resources"
            " of a collection are not supported; begin with the id of a resource: /{id}"
        )
    return id.replace("~1", "/").replace("~0", "~"), f"/{attribute}" if attribute else ""


def _source_below(item: PatchOperation) -> str:
    """Return the pointer of ``from`` inside the resource that the path names.

    Raises:
        InvalidBody: It is in another resource (HTTP 400).
    """
    prefix = f"/{item.path.removeprefix('/').partition('/')[0]}/"
    if not item.source.startswith(prefix):
        raise InvalidBody(
            f"/{item.number}/from: {item.op} {quoted(item.path, 100)}: expected a path in the same"
            f" resource, beginning with {shortened(prefix, 100)}; found {quoted(item.source, 100)}"
        )
    return item.source[len(prefix) - 1 :]


def _patch_media_type(request: Request) -> str:
    """Return the media type of the patch of a collection.

    Raises:
        UnsupportedMediaType: It is none of ``ACCEPT_PATCH`` (HTTP 415).
    """
    media_type = bodies.media_type(request.headers)
    if media_type not in ACCEPT_PATCH:
        allowed = ", ".join(ACCEPT_PATCH)
        raise UnsupportedMediaType(
            f"{shortened(media_type)} is not a patch of a collection; send one of {allowed}, or"
            " PATCH the path of one resource",
            headers={"Accept-Patch": allowed},
        )
    return media_type


def _authorized_operation(
    operations: OperationsByAction, action: Action, request: Request
) -> Operation:
    """Return the operation with an action after checking that the client may use it.

    Raises:
        MethodNotAllowed: The contract has no such operation (HTTP 405).
        Forbidden: The token lacks its scope (HTTP 403).
    """
    if action not in operations:
        raise MethodNotAllowed(f"the collection does not support {action}")
    request.identity.require_scopes(operations[action].scopes)
    return operations[action]


def _item_request(
    request: Request, item: PatchOperation, method: str, media_type: str, value: object
) -> Request:
    """Return the request that is equivalent to one operation of the patch."""
    headers = {
        name: value for name, value in request.headers.items() if name not in _EXCLUDED_HEADERS
    }
    headers["content-type"] = media_type
    if "idempotency-key" in headers:
        headers["idempotency-key"] += f"/{item.number}"
    body = b"" if method == "DELETE" else orjson.dumps(value)
    return replace(request, method=method, headers=headers, body=body, query_string="")
