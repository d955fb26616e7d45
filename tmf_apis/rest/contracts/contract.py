"""The contracts in ``openapi/``: the action, kind and scopes of each operation.

The file name has the number and version of an API (``TMF620-v5.yaml``); an API that TM Forum does
not define has a word in place of the number (``NETWORK-v5.yaml``). The servers of the document are
the mount paths. This module knows nothing else about an API, so a new file is enough to serve a new
API.
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

#: File names of contracts.
_FILE_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*-v[0-9]+\.yaml")

#: Action of a method on a path without an id and with an id.
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
#: Errors of code that reads a contract with another structure.
_MALFORMED: Final = (KeyError, IndexError, TypeError, AttributeError)

#: Schema -> kind, where the names differ: schemas of version 4, and of subtypes.
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
#: (number, schema) -> kind, where another API has a kind of the same name.
_KINDS_BY_API_SCHEMA: Final[Mapping[tuple[str, str], str]] = {
    ("TMF633", "ImportJob"): "ServiceImportJob",
    ("TMF633", "ExportJob"): "ServiceExportJob",
    ("TMF634", "ImportJob"): "ResourceImportJob",
    ("TMF634", "ExportJob"): "ResourceExportJob",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path of a contract.

    Attributes:
        operation_id: Its name, unique in the contract.
        method: The HTTP method, in lower case.
        path: The path template below the mount path: ``/category/{id}``.
        action: The action of the operation.
        resource: First segment of the path: ``category``, or ``hub`` and ``listener``.
        schema: The schema of the resource in this version: ``Catalog``, ``PhysicalResource``. The
            hub has the schema of a subscription, a listener that of its event.
        kind: The stored kind: ``ProductCatalog``, ``Resource``; empty for hub and listeners.
        body_schema: The schema of the body, of PATCH that of a merge patch; None without a body.
        event_type: The event type of "listen"; None for other actions.
        scopes: The scopes that a token must have, all of them.
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
    """An API in one version.

    Attributes:
        number: "TMF620", or the word in its place (``NETWORK``).
        version: "v4" or "v5".
        title: The title of the document.
        api_name: The name in the path: ``productCatalogManagement``.
        base_path: The mount path: ``/tmf-api/productCatalogManagement/v4``.
        mounts: All mount paths; ``base_path`` is the first.
        document: The whole OpenAPI document, which must not be changed.
        operations: The operations, in the order of the document.
        examples_file: The file of its examples, which need not exist; None: there are none.
    """

    number: str
    version: str
    title: str
    api_name: str
    base_path: str
    mounts: tuple[str, ...]
    document: Document = field(repr=False, compare=False)
    operations: tuple[Operation, ...] = field(repr=False)
    examples_file: Path | None = field(default=None, repr=False, compare=False)

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that the contract declares; some belong to no operation alone."""
        schemes = self.document["components"].get("securitySchemes", {})
        flows = (flow for each in schemes.values() for flow in each.get("flows", {}).values())
        return frozenset(scope for flow in flows for scope in flow.get("scopes", ()))


def load_contracts(folder: Path, cache_dir: Path | None = None) -> list[Contract]:
    """Return the contracts of a folder, ordered by number and version.

    Args:
        folder: Folder of the files ``TMFnnn-vN.yaml``; a word in capitals may replace the number.
        cache_dir: Folder of the JSON cache; None to parse the files every time.

    Raises:
        ValueError: There is no contract, or one is invalid; the message names the file.
    """
    files = sorted(file for file in folder.glob("*.yaml") if _FILE_NAME.fullmatch(file.name))
    if not files:
        raise ValueError(f"there is no contract (TMFnnn-vN.yaml) in {folder}")
    return [_load_contract(file, cache_dir) for file in files]


def kind_of(schema: str, number: str = "") -> str:
    """Return the stored kind of the resources of a schema in an API.

    >>> kind_of("Catalog"), kind_of("ImportJob"), kind_of("ImportJob", "TMF633")
    ('ProductCatalog', 'ImportJob', 'ServiceImportJob')
    """
    return _KINDS_BY_API_SCHEMA.get((number, schema)) or _KINDS_BY_SCHEMA.get(schema, schema)


def event_types(contract: Contract) -> frozenset[str]:
    """Return the event types that subscribers of a contract can receive.

    They are the event types of its listeners. A contract without listeners lists them in
    ``x-events`` of its hub.
    """
    types = {operation.event_type for operation in contract.operations if operation.event_type}
    hub = contract.document["paths"].get("/hub", {}).get("post", {})
    return frozenset(types | set(hub.get("x-events", ())))


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
            examples_file=file.parent / "examples" / f"{file.stem}.json",
        )
    except (yaml.YAMLError, ValueError, *_MALFORMED) as error:
        raise ValueError(f"{file.name} is not a contract: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error) or repr(error)


def _operations(document: Document, number: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                try:
                    yield _operation(document, number, path, method)
                except _MALFORMED as error:
                    name = f"{method.upper()} {path}"
                    raise ValueError(f"{name}: {_explain(error)}") from error


def _operation(document: Document, number: str, path: str, method: str) -> Operation:
    operation = document["paths"][path][method]
    resource, *subpath = path.strip("/").split("/")
    action = _action(path, method)
    event_type = subpath[0][0].upper() + subpath[0][1:] if action == "listen" else None
    schema = event_type or _resource_schema(document, document["paths"][path], operation)
    is_stored = resource not in {"hub", "listener"}
    return Operation(
        operation_id=operation["operationId"],
        method=method,
        path=path,
        action=action,
        resource=resource,
        schema=schema,
        kind=kind_of(schema, number) if is_stored else "",
        body_schema=_body_schema(document, operation),
        event_type=event_type,
        scopes=tuple(
            scope
            for requirement in operation["security"]
            for scope in requirement.get("oauth2", ())
        ),
    )


def _action(path: str, method: str) -> Action:
    resource, *subpath = path.strip("/").split("/")
    if resource == "listener" and method == "post" and len(subpath) == 1:
        return "listen"
    table = _HUB_ACTIONS if resource == "hub" else _RESOURCE_ACTIONS
    action = table.get((method, bool(subpath))) if subpath in ([], ["{id}"]) else None
    if action is None:
        raise ValueError(f"{method.upper()} {path} is not an operation of TMF630")
    return action


def _body_schema(document: Document, operation: Document) -> str | None:
    if "requestBody" not in operation:
        return None
    content = resolve_reference(document, operation["requestBody"])["content"]
    return _schema_name(content["application/json"]["schema"])


def _resource_schema(document: Document, path_item: Document, operation: Document) -> str:
    """Return the schema of the resource of an operation, which is the schema of its response.

    DELETE has no response body, so its schema is that of GET or PATCH on the same path. If a
    subscription can be deleted but not read, its schema is that of POST on the hub.
    """
    others = (path_item[method] for method in ("get", "patch") if method in path_item)
    hub = document["paths"].get("/hub", {}).get("post")
    for candidate in (operation, *others, *([hub] if hub else [])):
        for status in ("200", "201"):
            if status in candidate["responses"]:
                response = resolve_reference(document, candidate["responses"][status])
                return _schema_name(response["content"]["application/json"]["schema"])
    raise ValueError(f"{operation['operationId']} has no response with a resource")


def _schema_name(schema: Document) -> str:
    """Return the name of a schema, or of the items of a list, without the suffix ``_RES``."""
    reference: str = schema.get("items", schema)["$ref"]
    return reference.rpartition("/")[2].removesuffix("_RES")
