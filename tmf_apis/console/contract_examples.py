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
#: Parts of an operation that can be references to components.
_MEDIA_TYPE = "application/json"

Examples = Mapping[str, Mapping[str, Any]]


def load_examples(contract_file: Path) -> Examples:
    """Return the examples of a contract by operation id; none if it has no file of examples.

    Args:
        contract_file: The file of the contract.
    """
    file = contract_file.parent / "examples" / f"{contract_file.stem}.json"
    examples: Examples = orjson.loads(file.read_bytes()) if file.exists() else {}
    return examples


def with_examples(document: Document, examples: Examples) -> Document:
    """Return an OpenAPI document with examples; the given document is not changed."""
    paths = {
        path: {
            name: _with_example(document, value, item, examples.get(value["operationId"], {}))
            if name in _METHODS
            else value
            for name, value in item.items()
        }
        for path, item in document["paths"].items()
    }
    return {**document, "paths": paths}


def _with_example(
    document: Document, operation: Document, path_item: Document, example: Mapping[str, Any]
) -> Document:
    if not example:
        return operation
    result = dict(operation)
    if values := example.get("parameters"):
        result["parameters"] = _parameters(document, operation, path_item, values)
    if bodies := example.get("bodies"):
        result["requestBody"] = _content(document, operation["requestBody"], bodies)
    if "answer" in example:
        responses = dict(operation["responses"])
        answer = {_MEDIA_TYPE: example["answer"]}
        responses[example["status"]] = _content(document, responses[example["status"]], answer)
        result["responses"] = responses
    return result


def _parameters(
    document: Document, operation: Document, path_item: Document, values: Mapping[str, Any]
) -> list[Document]:
    """Return the parameters of an operation, with those of its path that have a value."""
    own = [resolve_reference(document, each) for each in operation.get("parameters", ())]
    names = {(each["in"], each["name"]) for each in own}
    inherited = (resolve_reference(document, each) for each in path_item.get("parameters", ()))
    own += [
        each
        for each in inherited
        if each["name"] in values and (each["in"], each["name"]) not in names
    ]
    return [
        {**each, "example": values[each["name"]]} if each["name"] in values else each
        for each in own
    ]


def _content(document: Document, node: Document, values: Mapping[str, Any]) -> Document:
    """Return a request body or response with an example for each media type."""
    target = resolve_reference(document, node)
    content = {
        media_type: {**value, "example": values[media_type]} if media_type in values else value
        for media_type, value in target["content"].items()
    }
    return {**target, "content": content}
