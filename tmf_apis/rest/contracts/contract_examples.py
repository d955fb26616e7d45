"""The examples of a contract, and the contract with them.

The file ``openapi/examples/TMFnnn-vN.json`` has them by operation id::

    parameters   values of path and query parameters
    bodies       bodies of the request by media type
    status       status of the answer
    answer       body of the answer; absent without a body
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tmf_apis.rest.contracts.documents import Document, resolve_reference

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_JSON = "application/json"
_BODIES = "#/components/requestBodies/"

Examples = Mapping[str, Mapping[str, Any]]


def load_examples(file: Path | None) -> Examples:
    """Return the examples of a contract by operation id; none if the file does not exist."""
    examples: Examples = orjson.loads(file.read_bytes()) if file and file.exists() else {}
    return examples


def with_examples(document: Document, examples: Examples) -> Document:
    """Return an OpenAPI document with examples; the given document is not changed.

    Request bodies of the components get their examples there, because each belongs to one
    operation. Answers and parameters get them in the operation.
    """
    bodies = dict(document["components"].get("requestBodies", {}))
    paths: Document = {}
    for path, item in document["paths"].items():
        paths[path] = dict(item)
        for method in _METHODS & item.keys():
            operation = item[method]
            if example := examples.get(operation["operationId"]):
                paths[path][method] = _with_example(document, operation, item, example)
                name = operation.get("requestBody", {}).get("$ref", "").removeprefix(_BODIES)
                if name:
                    bodies[name] = _with_bodies(bodies[name], example["bodies"])
    components = {**document["components"], **({"requestBodies": bodies} if bodies else {})}
    return {**document, "paths": paths, "components": components}


def _with_example(
    document: Document, operation: Document, path_item: Document, example: Mapping[str, Any]
) -> Document:
    result = dict(operation)
    if values := example.get("parameters"):
        result["parameters"] = _parameters(document, operation, path_item, values)
    if "content" in operation.get("requestBody", {}):
        result["requestBody"] = _with_bodies(operation["requestBody"], example["bodies"])
    if "answer" in example:
        status = example["status"]
        response = resolve_reference(document, operation["responses"][status])
        answered = _with_bodies(response, {_JSON: example["answer"]})
        result["responses"] = {**operation["responses"], status: answered}
    return result


def _parameters(
    document: Document, operation: Document, path_item: Document, values: Mapping[str, Any]
) -> list[Document]:
    """Return the parameters of an operation, and those of its path that have a value."""
    own = [resolve_reference(document, each) for each in operation.get("parameters", ())]
    names = {each["name"] for each in own}
    inherited = [resolve_reference(document, each) for each in path_item.get("parameters", ())]
    own += [each for each in inherited if each["name"] in values and each["name"] not in names]
    return [
        {**each, "example": values[each["name"]]} if each["name"] in values else each
        for each in own
    ]


def _with_bodies(node: Document, bodies: Mapping[str, Any]) -> Document:
    """Return a request body or response with an example for each media type."""
    content = {
        media_type: {**value, "example": bodies[media_type]} if media_type in bodies else value
        for media_type, value in node["content"].items()
    }
    return {**node, "content": content}
