"""Many changes of one collection in one request: a JSON patch whose document is the collection.

Each operation is a request of its own, done in the order they stand in: its scope, its law, its
one atomic write. What one of them does is kept when a later one fails; the answer has the outcome
of each.

    add      /  or  /-            a new resource
    replace  /{id}/name           an attribute of a resource, or a part of one; also add, remove
    test     /{id}/name           a value that must be there
    remove   /{id}                a resource

Source: TMF630 part 5, "Bulk resource operations"; RFC 6902.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from tmf_apis.errors import InvalidBody, MethodNotAllowed, TmfError
from tmf_apis.rest.contracts.contract import Action, Operation
from tmf_apis.rest.http import bodies
from tmf_apis.rest.http.handlers import Api, ResourceHandlers
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.pipeline import patching
from tmf_apis.settings import Settings

Json = dict[str, Any]
#: The operations of a collection by what they do.
OperationsByAction = Mapping[Action, Operation]
#: Paths of the collection itself, for what is added.
_COLLECTION_PATHS = frozenset({"", "/", "/-"})
#: Headers that are about one resource, or about the body of the whole request.
_EXCLUDED_HEADERS = frozenset(
    {"if-match", "if-none-match", "content-length", "content-type", "prefer"}
)


class BulkHandler:
    """PATCH of a collection."""

    def __init__(self, handlers: ResourceHandlers, settings: Settings) -> None:
        self._handlers = handlers
        self._settings = settings

    def patch(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer 200 with the outcome of each operation, 207 where not all of them succeeded.

        Raises:
            InvalidBody: The body is no JSON patch, or has too many operations (HTTP 400).
        """
        value = bodies.parse(request.body, self._settings)
        patch = patching.JsonPatch.parse(value, self._settings, is_query=False)
        offered = {
            one.action: one for one in api.contract.operations if one.resource == operation.resource
        }
        outcomes = [self._run_item(api, offered, request, one) for one in patch.operations]
        failed = any("error" in one for one in outcomes)
        return json_response(207 if failed else 200, outcomes)

    def _run_item(
        self,
        api: Api,
        operations: OperationsByAction,
        request: Request,
        item: patching.PatchOperation,
    ) -> Json:
        said: Json = {"op": item.op, "path": item.path}
        try:
            response, href = self._dispatch_item(api, operations, request, item)
        except TmfError as error:
            return {**said, "status": error.status, "error": error.body()}
        return {**said, "status": response.status, **({"href": href} if href else {})}

    def _dispatch_item(
        self,
        api: Api,
        operations: OperationsByAction,
        request: Request,
        item: patching.PatchOperation,
    ) -> tuple[Response, str]:
        """Do one operation; return its answer and where the resource is."""
        if item.op == "add" and item.path in _COLLECTION_PATHS:
            one = _item_request(request, item, "POST", bodies.JSON, item.value)
            response = self._handlers.create(
                api, _authorized_operation(operations, "create", request), one
            )
            return response, response.headers["Location"]
        id, attribute = _split_item_path(item)
        if not attribute:
            operation = _authorized_operation(operations, "delete", request)
            one = replace(_item_request(request, item, "DELETE", bodies.JSON, None), id=id)
            return self._handlers.delete(api, operation, one), ""
        step = {"op": item.op, "path": attribute}
        if item.op != "remove":
            step["value"] = item.value
        one = replace(_item_request(request, item, "PATCH", patching.JSON_PATCH, [step]), id=id)
        response = self._handlers.patch(
            api, _authorized_operation(operations, "patch", request), one
        )
        return response, orjson.loads(response.body)["href"]


def _split_item_path(item: patching.PatchOperation) -> tuple[str, str]:
    """Return the id of an operation's resource, and the pointer inside it.

    Raises:
        InvalidBody: The operation is none for a collection.
    """
    first, _, rest = item.path.removeprefix("/").partition("/")
    whole = not rest
    if not item.path.startswith("/") or not first or (whole and item.op != "remove"):
        raise InvalidBody(
            f"/{item.number}/path: {item.op} {item.path[:100]!r} is not possible in a collection; "
            "add /-, remove /{id}, and add, replace, remove or test /{id}/attribute are"
        )
    if item.op in {"move", "copy"}:
        raise InvalidBody(f"/{item.number}/op: {item.op} is not possible in a collection")
    return first.replace("~1", "/").replace("~0", "~"), "" if whole else f"/{rest}"


def _authorized_operation(
    operations: OperationsByAction, action: Action, request: Request
) -> Operation:
    """Return the operation that does a part, if the contract has it and the client may.

    Raises:
        MethodNotAllowed: The contract has no such operation.
        Forbidden: The token lacks its scope.
    """
    if action not in operations:
        raise MethodNotAllowed(f"resources of this collection have no {action}")
    request.identity.require_scopes(operations[action].scopes)
    return operations[action]


def _item_request(
    request: Request, item: patching.PatchOperation, method: str, media_type: str, value: object
) -> Request:
    """Return the request that one operation is."""
    headers = {
        name: text for name, text in request.headers.items() if name not in _EXCLUDED_HEADERS
    }
    headers["content-type"] = media_type
    if "idempotency-key" in headers:
        headers["idempotency-key"] += f"/{item.number}"
    body = b"" if method == "DELETE" else orjson.dumps(value)
    return replace(request, method=method, headers=headers, body=body, query_string="")
