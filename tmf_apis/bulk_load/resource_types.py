"""What a line of a file is: its kind, and the contract that it is held to."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_names import SUBTYPES

if TYPE_CHECKING:
    from tmf_apis.app import Engine
    from tmf_apis.rest.contracts.contract import Operation
    from tmf_apis.rest.http.api import Api

TypeEntry = tuple["Api", "Operation"]


class TypeResolver:
    """The types of one version, by every name that files give them."""

    def __init__(self, engine: "Engine", version: str) -> None:
        """Take the contracts of a version; of an API that has another one alone, that one."""
        self.version = version
        self._kinds: dict[str, str] = {}
        self._entries: dict[str, TypeEntry] = {}
        apis = sorted(engine.apis.values(), key=lambda api: api.contract.version != version)
        numbers: set[str] = set()
        for api in apis:
            if api.contract.version == version or api.contract.number not in numbers:
                self._register(api)
                numbers.add(api.contract.number)
        for kind, subtypes in SUBTYPES.items():
            for subtype, schema in subtypes.items():
                self._kinds[subtype] = kind
                if schema in self._entries:
                    self._entries.setdefault(subtype, self._entries[schema])
        self._lowercase_kinds = {name.lower(): kind for name, kind in self._kinds.items()}

    def _register(self, api: "Api") -> None:
        operations = [one for one in api.contract.operations if one.kind]
        for action in ("create", "list", "retrieve"):
            for one in operations:
                if one.action == action:
                    self._kinds.setdefault(one.schema, one.kind)
                    self._kinds.setdefault(one.kind, one.kind)
                    for name in (one.schema, one.kind):
                        self._entries.setdefault(name, (api, one))

    def kind_for_name(self, name: str) -> str:
        """Return the kind that a name means, whatever its case and number; empty: none."""
        lowered = name.lower()
        found = self._lowercase_kinds.get(lowered) or self._lowercase_kinds.get(
            lowered.removesuffix("s")
        )
        return found or self._lowercase_kinds.get(lowered.removesuffix("ies") + "y", "")

    def kind_for_file(self, path: str) -> str:
        """Return the kind that a file's name means: ``productOffering.ndjson.gz``; empty: none."""
        return self.kind_for_name(Path(path).name.partition(".")[0])

    def kind_for_resource(self, resource: Mapping[str, Any], default_kind: str) -> str:
        """Return the kind of a resource: what it says, or else what is said of the file.

        Raises:
            InvalidBody: Neither says one.
        """
        for name in (resource.get("@type"), resource.get("@baseType")):
            if isinstance(name, str) and name in self._kinds:
                return self._kinds[name]
        if default_kind:
            return default_kind
        raise InvalidBody("/@type: names no type of these APIs; say it with --kind")

    def to_stored(self, kind: str, resource: Resource) -> Resource:
        """Return the stored form of a resource after it was held to the contract.

        Raises:
            InvalidBody: It breaks the contract; the message has JSON pointer and rule.
        """
        api, operation = self._entry(kind, resource)
        resource = api.dates.normalise(operation.schema, {"@type": operation.schema, **resource})
        api.schemas.check(self._body_schema(operation), resource)
        api.schemas.check_resource_type(operation.schema, resource)
        members = {name: v for name, v in resource.items() if name not in {"id", "href"}}
        return versions.to_stored(kind, api.contract.version, members)

    def check_types(self, kind: str, resource: Resource, body: Resource) -> None:
        """Hold what would be stored to the types of the contract.

        Raises:
            InvalidBody: An attribute is not of its type.
        """
        api, operation = self._entry(kind, resource)
        members = versions.from_stored(kind, api.contract.version, body)
        api.schemas.check_partial(operation.schema, members)

    def _entry(self, kind: str, resource: Mapping[str, Any]) -> TypeEntry:
        for name in (resource.get("@type"), resource.get("@baseType"), kind):
            if isinstance(name, str) and name in self._entries:
                return self._entries[name]
        raise InvalidBody(f"/@type: {self.version} has no {kind}")

    @staticmethod
    def _body_schema(operation: "Operation") -> str:
        made = operation.action == "create" and operation.body_schema
        return made or operation.schema

    def kinds(self) -> Iterable[str]:
        """Return the kinds, in order."""
        return sorted(set(self._kinds.values()))
