"""The names that a version gives to the changed attributes of a resource.

An event of a change has them as ``fieldPath``: ``name,validFor``.

Source: TMF630 part 1, "Notification"; published contracts of version 4, ``fieldPath``.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.documents import Document, resolve_reference
from tmf_apis.rest.views.versions import stored_paths

Names = Mapping[str, tuple[str, ...]]


class ChangedAttributes:
    """The names of changed attributes in the contracts of one server."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        """Store the schemas of each kind; the names are read on first use."""
        self._schemas: dict[tuple[str, str], list[tuple[Contract, str]]] = {}
        for contract in contracts:
            for operation in contract.operations:
                if operation.kind and operation.action == "retrieve":
                    key = (operation.kind, contract.version)
                    self._schemas.setdefault(key, []).append((contract, operation.schema))
        self._names = cache(self._read_names)

    def field_path(self, kind: str, version: str, changes: Iterable[str]) -> str:
        """Return the names that a version gives to changed attributes of the stored form.

        An attribute that is stored with the same name, or that the contract does not have, keeps
        its name.
        """
        names = self._names(kind, version)
        paths = (name for change in changes for name in names.get(change, (change,)))
        return ",".join(dict.fromkeys(paths))

    def _read_names(self, kind: str, version: str) -> Names:
        """Return the names in a version by the first segment of their stored paths."""
        names: dict[str, tuple[str, ...]] = {}
        attributes = {
            name: None
            for contract, schema in self._schemas.get((kind, version), ())
            for name in _attribute_names(contract.document, schema)
        }
        for name in attributes:
            for path in stored_paths(kind, version, name):
                stored = path.partition(".")[0]
                names[stored] = (*names.get(stored, ()), name)
        return names


def _attribute_names(document: Document, schema: str) -> list[str]:
    """Return the attributes of a schema with those that it inherits."""
    return list(_inherited(document, {"$ref": f"#/components/schemas/{schema}"}))


def _inherited(document: Document, node: Document) -> dict[str, None]:
    resolved = resolve_reference(document, node)
    names: dict[str, None] = {}
    for part in resolved.get("allOf", ()):
        names |= _inherited(document, part)
    return names | dict.fromkeys(resolved.get("properties", ()))
