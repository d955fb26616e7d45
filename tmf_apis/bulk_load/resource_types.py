"""Determines the kind of a resource in a file and validates it with the API contract."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.texts import check_texts
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_names import SUBTYPES

if TYPE_CHECKING:
    from tmf_apis.app import Engine
    from tmf_apis.rest.contracts.contract import Operation
    from tmf_apis.rest.http.api import Api

#: The API and the operation whose contract describes a type.
TypeEntry = tuple["Api", "Operation"]


class TypeResolver:
    """The types of one API version, by all names that files can use for them."""

    def __init__(self, engine: "Engine", version: str) -> None:
        """Register the types of a version, and of APIs that have another version only."""
        self.version = version
        self._settings = engine.settings
        self._forms = engine.forms
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
        operations = [operation for operation in api.contract.operations if operation.kind]
        for action in ("create", "list", "retrieve"):
            for operation in operations:
                if operation.action == action:
                    for name in (operation.schema, operation.kind):
                        self._kinds.setdefault(name, operation.kind)
                        self._entries.setdefault(name, (api, operation))

    def kind_for_name(self, name: str) -> str:
        """Return the kind of a name in any case, singular or plural; empty: there is none."""
        lowered = name.lower()
        for spelling in (lowered, lowered.removesuffix("s"), lowered.removesuffix("ies") + "y"):
            if kind := self._lowercase_kinds.get(spelling):
                return kind
        return ""

    def kind_for_file(self, path: str) -> str:
        """Return the kind for a file name such as ``productOffering.ndjson.gz``; empty: none."""
        return self.kind_for_name(Path(path).name.partition(".")[0])

    def kind_for_resource(self, resource: Mapping[str, Any], default_kind: str) -> str:
        """Return the kind that ``@type`` or ``@baseType`` names, else ``default_kind``.

        Raises:
            InvalidBody: The resource has no known type and there is no default (HTTP 400).
        """
        for name in (resource.get("@type"), resource.get("@baseType")):
            if isinstance(name, str) and name in self._kinds:
                return self._kinds[name]
        if default_kind:
            return default_kind
        raise InvalidBody("/@type: not a type of these APIs; name the kind with --kind")

    def to_stored(self, kind: str, resource: Resource) -> Resource:
        """Validate a resource and return its stored form.

        Raises:
            InvalidBody: The resource violates the contract (HTTP 400); the message has the JSON
                pointer and the rule.
        """
        api, operation = self._entry(kind, resource)
        check_texts(resource, self._settings)
        resource = api.dates.normalise(operation.schema, {"@type": operation.schema, **resource})
        resource = api.defaults.typed(operation.schema, resource)
        api.schemas.check(self._body_schema(operation), resource)
        api.schemas.check_resource_type(operation.schema, resource)
        members = {name: v for name, v in resource.items() if name not in {"id", "href"}}
        stored = versions.to_stored(kind, api.contract.version, members)
        return self._forms.accepted(kind, api.contract.version, stored)

    def check_types(self, kind: str, resource: Resource, body: Resource) -> None:
        """Validate the types of a stored form.

        Raises:
            InvalidBody: An attribute has the wrong type (HTTP 400).
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
        if operation.action == "create" and operation.body_schema:
            return operation.body_schema
        return operation.schema

    def kinds(self) -> Iterable[str]:
        """Return the kinds in alphabetical order."""
        return sorted(set(self._kinds.values()))
