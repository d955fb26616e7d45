"""The contracts in ``openapi/``: what each operation does, to which kind, for which scope.

The file name has number and version (``TMF620-v5.yaml``; an API of the operator's own has a word
instead, ``NETWORK-v5.yaml``), the servers in the document say where it is mounted; nothing else
about an API is known here, so a further file is enough to serve a further API.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import yaml

from tmf_apis.rest.contracts import documents
from tmf_apis.rest.contracts.documents import Document, resolve_reference

Action = Literal[
    "list",
    "create",
    "retrieve",
    "patch",
    "replace",
    "delete",
    "subscribe",
    "subscriptions",
    "subscription",
    "unsubscribe",
    "listen",
]

#: Names of files that are contracts.
_FILE_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*-v[0-9]+\.yaml")

#: What a method does, on a path without an id and on one with it.
_RESOURCE_ACTIONS: Final[Mapping[tuple[str, bool], Action]] = {
    ("get", False): "list",
    ("post", False): "create",
    ("get", True): "retrieve",
    ("patch", True): "patch",
    ("put", True): "replace",
    ("delete", True): "delete",
}
_HUB_ACTIONS: Final[Mapping[tuple[str, bool], Action]] = {
    ("post", False): "subscribe",
    ("get", False): "subscriptions",
    ("get", True): "subscription",
    ("delete", True): "unsubscribe",
}
_METHODS: Final = ("get", "post", "put", "patch", "delete")

#: Kinds whose name differs from the schema's, which is the one of version 4 (or of a subtype).
_KINDS_BY_SCHEMA: Final[Mapping[str, str]] = {
    "Catalog": "ProductCatalog",
    "PhysicalResource": "Resource",
    "LogicalResource": "Resource",
    "AckAlarms": "AckAlarm",
    "UnAckAlarms": "UnAckAlarm",
    "ClearAlarms": "ClearAlarm",
    "CommentAlarms": "CommentAlarm",
    "GroupAlarms": "GroupAlarm",
    "UnGroupAlarms": "UnGroupAlarm",
}
#: Kinds of schemas whose name another API has taken already.
_KINDS_BY_API_SCHEMA: Final[Mapping[tuple[str, str], str]] = {
    ("TMF633", "ImportJob"): "ServiceImportJob",
    ("TMF633", "ExportJob"): "ServiceExportJob",
    ("TMF634", "ImportJob"): "ResourceImportJob",
    ("TMF634", "ExportJob"): "ResourceExportJob",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    Attributes:
        operation_id: Its name, unique in the contract.
        method: In lower case.
        path: The path template, below the mount: ``/category/{id}``.
        action: What it does.
        resource: First segment of the path: ``category``; ``hub`` and ``listener`` too.
        schema: The schema of the resource in this version: ``Catalog``, ``PhysicalResource``;
            of the subscription or event for those of the hub and the listeners.
        kind: The stored kind: ``ProductCatalog``, ``Resource``; empty for hub and listeners.
        body_schema: The schema of the body where there is one; of PATCH, of its merge patch.
        event_type: The event's type, for "listen".
        scopes: Scopes that a token must have, all of them.
    """

    operation_id: str
    method: str
    path: str
    action: Action
    resource: str
    schema: str
    kind: str
    body_schema: str | None
    event_type: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contract:
    """One API in one version.

    Attributes:
        number: As "TMF620", or the word that an API of the operator's own has instead.
        version: "v4" or "v5".
        title: What people call it.
        api_name: Its name in the path: ``productCatalogManagement``.
        base_path: Where it is mounted: ``/tmf-api/productCatalogManagement/v4``.
        mounts: All paths that it is mounted under; ``base_path`` is the first.
        document: The whole OpenAPI document; not to be changed.
        operations: Its operations, in the order of the document.
    """

    number: str
    version: str
    title: str
    api_name: str
    base_path: str
    mounts: tuple[str, ...]
    document: Document = field(repr=False, compare=False)
    operations: tuple[Operation, ...] = field(repr=False)


def load_contracts(folder: Path, cache_dir: Path | None = None) -> list[Contract]:
    """Return the contracts of a folder, ordered by number and version.

    Args:
        folder: Where the ``TMFnnn-vN.yaml`` files are; a word in capitals may stand for the number.
        cache_dir: Folder that keeps them as JSON from one start to the next.

    Raises:
        ValueError: There is no contract, or one cannot be understood; the message names the file.
    """
    files = sorted(one for one in folder.glob("*.yaml") if _FILE_NAME.fullmatch(one.name))
    if not files:
        raise ValueError(f"there is no contract (TMFnnn-vN.yaml) in {folder}")
    return [_load_contract(file, cache_dir) for file in files]


def kind_of(schema: str, number: str = "") -> str:
    """Return the stored kind of the resources of a schema, as an API means it.

    >>> kind_of("Catalog"), kind_of("ImportJob"), kind_of("ImportJob", "TMF633")
    ('ProductCatalog', 'ImportJob', 'ServiceImportJob')
    """
    return _KINDS_BY_API_SCHEMA.get((number, schema)) or _KINDS_BY_SCHEMA.get(schema, schema)


def event_types(contract: Contract) -> frozenset[str]:
    """Return the types of the events that subscribers of a contract can get.

    They are those of its listeners; a contract without listeners names them beside its hub.
    """
    listed = {operation.event_type for operation in contract.operations if operation.event_type}
    hub = contract.document["paths"].get("/hub", {}).get("post", {})
    return frozenset(listed | set(hub.get("x-events", ())))


def _load_contract(file: Path, cache_dir: Path | None) -> Contract:
    number, _, version = file.stem.rpartition("-")
    try:
        document = documents.load_document(file, cache_dir)
        mounts = tuple(server["url"].rstrip("/") for server in document["servers"])
        return Contract(
            number=number,
            version=version,
            title=document["info"]["title"],
            api_name=mounts[0].split("/")[-2],
            base_path=mounts[0],
            mounts=mounts,
            document=document,
            operations=tuple(_operations(document, number)),
        )
    except (yaml.YAMLError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{file.name} is not a contract: {error!r}") from error


def _operations(document: Document, number: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(document, number, path, method)


def _operation(document: Document, number: str, path: str, method: str) -> Operation:
    operation = document["paths"][path][method]
    resource, *below = path.strip("/").split("/")
    action = _action(path, method)
    body = _body_schema(document, operation)
    event = below[0][0].upper() + below[0][1:] if action == "listen" else None
    schema = event or _resource_schema(document, document["paths"][path], operation)
    stored = resource not in {"hub", "listener"}
    return Operation(
        operation_id=operation["operationId"],
        method=method,
        path=path,
        action=action,
        resource=resource,
        schema=schema,
        kind=kind_of(schema, number) if stored else "",
        body_schema=body,
        event_type=event,
        scopes=tuple(scope for one in operation["security"] for scope in one.get("oauth2", ())),
    )


def _action(path: str, method: str) -> Action:
    resource, *below = path.strip("/").split("/")
    if resource == "listener" and method == "post" and len(below) == 1:
        return "listen"
    table = _HUB_ACTIONS if resource == "hub" else _RESOURCE_ACTIONS
    action = table.get((method, bool(below))) if below in ([], ["{id}"]) else None
    if action is None:
        raise KeyError(f"{method.upper()} {path} is not an operation of TMF630")
    return action


def _body_schema(document: Document, operation: Document) -> str | None:
    if "requestBody" not in operation:
        return None
    content = resolve_reference(document, operation["requestBody"])["content"]
    return _schema_name(content["application/json"]["schema"])


def _resource_schema(document: Document, path_item: Document, operation: Document) -> str:
    """Return the schema of the resource that an operation answers with, or is about.

    One that answers nothing (DELETE) is about what GET or POST on the same path answer; the one
    subscription that can be ended but not read is about what the hub answers.
    """
    others = (path_item[method] for method in ("get", "patch") if method in path_item)
    hub = document["paths"].get("/hub", {}).get("post")
    for candidate in (operation, *others, *([hub] if hub else [])):
        for status in ("200", "201"):
            if status in candidate["responses"]:
                answer = resolve_reference(document, candidate["responses"][status])
                return _schema_name(answer["content"]["application/json"]["schema"])
    raise KeyError(f"{operation['operationId']} answers with no resource")


def _schema_name(schema: Document) -> str:
    """Return the name of a schema, or of the items of a list; without the mark of an answer."""
    reference: str = schema.get("items", schema)["$ref"]
    return reference.rpartition("/")[2].removesuffix("_RES")
