"""The document of a contract as this server serves it: the contract and what the server adds.

The files in ``openapi/`` have the published operations. The additions are the same for every
resource, so they are derived: PATCH of a collection (bulk), monitors of tasks, and the parameters
``expand`` and ``depth``. Each has ``x-addition``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.contracts.contract_examples import load_examples, with_examples

Json = dict[str, Any]

#: Actions of a resource that a bulk patch of its collection can contain.
_BULK_ACTIONS = frozenset({"create", "patch", "delete"})
#: Errors of every operation, by status.
_ERRORS = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "405": "MethodNotAllowed",
    "406": "NotAcceptable",
    "429": "TooManyRequests",
    "500": "InternalError",
    "501": "NotImplemented",
    "503": "Unavailable",
}
_BODY_ERRORS = {"413": "TooLarge", "415": "UnsupportedMediaType", "422": "Unprocessable"}
_MONITOR_PATH = "/monitor/{id}"
_EXPAND: Json = {
    "name": "expand",
    "in": "query",
    "description": "References to return as the resources that they name, separated by commas:"
    " dotted attributes, or `*` for all. What the client cannot read stays a reference.",
    "schema": {"type": "string"},
    "x-addition": "directive of TMF630 part 2",
}
_DEPTH: Json = {
    "name": "depth",
    "in": "query",
    "description": "0: references as they are, the default. 1: the same as `expand=*`.",
    "schema": {"type": "integer", "enum": [0, 1]},
    "x-addition": "directive of TMF630 part 2",
}
_OUTCOME: Json = {
    "type": "object",
    "required": ["op", "path", "status"],
    "properties": {
        "op": {"type": "string"},
        "path": {"type": "string"},
        "status": {"type": "integer", "description": "HTTP status of the operation."},
        "href": {"type": "string", "description": "URL of the resource; not after a removal."},
        "error": {"$ref": "#/components/schemas/Error"},
    },
}


def bulk_operations(contract: Contract) -> Iterator[Operation]:
    """Yield the list operation of each collection that a bulk patch can change."""
    changed = {o.resource for o in contract.operations if o.action in _BULK_ACTIONS}
    for operation in contract.operations:
        if operation.action == "list" and operation.resource in changed:
            yield operation


def served_document(contract: Contract) -> Json:
    """Return the document of a contract with the additions of this server and the examples.

    The document of the contract is not changed.
    """
    document = contract.document
    paths: Json = {path: dict(item) for path, item in document["paths"].items()}
    for operation in bulk_operations(contract):
        paths[operation.path]["patch"] = _bulk_patch(document, operation)
    for operation in contract.operations:
        if operation.kind and operation.action in {"list", "retrieve"}:
            paths[operation.path]["get"] = _with_directives(paths[operation.path]["get"])
    paths[_MONITOR_PATH] = {"get": _monitor(document, contract)}
    return with_examples({**document, "paths": paths}, load_examples(contract.examples_file))


def _with_directives(operation: Json) -> Json:
    parameters = [*operation.get("parameters", ()), _EXPAND, _DEPTH]
    return {**operation, "parameters": parameters}


def _bulk_patch(document: Mapping[str, Any], operation: Operation) -> Json:
    schema = {"$ref": "#/components/schemas/JsonPatchOperations"}
    answer = {
        "description": "The outcome of each operation, in their order.",
        "content": {"application/json": {"schema": {"type": "array", "items": _OUTCOME}}},
    }
    source = document["paths"][operation.path]["get"]
    return {
        "tags": source.get("tags", [operation.resource]),
        "operationId": f"bulkPatch{operation.resource[:1].upper()}{operation.resource[1:]}",
        "summary": f"Change several resources of {operation.path}",
        "description": "The document of the patch is the collection: `add /-` creates a resource,"
        " `remove /{id}` deletes one, and every operation at `/{id}/attribute` changes one. Each"
        " operation is a change of its own and needs its own scope; if one fails, the others are"
        " kept.",
        "parameters": _shared_parameters(document, "IdempotencyKey"),
        "requestBody": {
            "required": True,
            "content": {
                "application/json-patch+json": {"schema": schema},
                "application/json-patch-query+json": {"schema": schema},
            },
        },
        "responses": {
            "200": answer,
            "207": {**answer, "description": "The outcomes; at least one operation has failed."},
            **_error_responses(document, _ERRORS | _BODY_ERRORS),
        },
        "security": [{"oauth2": []}],
        "x-addition": "bulk changes of TMF630 part 5",
    }


def _monitor(document: Mapping[str, Any], contract: Contract) -> Json:
    monitor = {
        "type": "object",
        "required": ["id", "href", "state"],
        "properties": {
            "id": {"type": "string"},
            "href": {"type": "string"},
            "state": {"type": "string", "enum": ["InProgress", "Completed", "Failed"]},
            "sourceHref": {"type": "string", "description": "URL of the task."},
            "request": {"type": "object"},
            "response": {"type": "object", "description": "The task, once it has ended."},
            "@type": {"type": "string"},
        },
    }
    return {
        "tags": ["monitor"],
        "operationId": "retrieveMonitor",
        "summary": "Read the monitor of a task",
        "description": "A request with `Prefer: respond-async` whose work continues after the"
        " answer 202 has its monitor in `Location`.",
        "parameters": _shared_parameters(document, "Id")
        or [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "The monitor.",
                "content": {"application/json": {"schema": monitor}},
            },
            **_error_responses(document, _ERRORS),
        },
        "security": [{"oauth2": [f"{contract.number.lower()}:read"]}],
        "x-addition": "monitors of TMF630 part 4",
    }


def _shared_parameters(document: Mapping[str, Any], name: str) -> list[Json]:
    known = document["components"].get("parameters", {})
    return [{"$ref": f"#/components/parameters/{name}"}] if name in known else []


def _error_responses(document: Mapping[str, Any], errors: Mapping[str, str]) -> Json:
    known = document["components"].get("responses", {})
    return {
        status: {"$ref": f"#/components/responses/{name}"}
        for status, name in errors.items()
        if name in known
    }
