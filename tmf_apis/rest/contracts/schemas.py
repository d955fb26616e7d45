"""Validation of bodies against the contract, each object against the type of its ``@type``."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import jsonschema_rs

from tmf_apis.errors import InvalidBody, listed_faults, quoted
from tmf_apis.rest.contracts.currencies import is_currency
from tmf_apis.rest.contracts.dates import is_timestamp
from tmf_apis.rest.contracts.json_schemas import (
    COMPONENTS,
    CURRENCY_FORMAT,
    JsonSchemas,
    Schema,
)
from tmf_apis.rest.contracts.violations import json_pointer, violation_message

Resource = dict[str, Any]

_TYPE_ATTRIBUTES = ("@type", "@baseType")
_ABSENT = object()
#: Checks of formats that differ from those of the library: its ``date-time`` has leap seconds and
#: years that the stored form cannot have.
_FORMATS = {"date-time": is_timestamp, CURRENCY_FORMAT: is_currency}


class Schemas:
    """The validators of one contract, each built on first use."""

    def __init__(
        self,
        document: Mapping[str, Any],
        version: str,
        extensions: Mapping[str, Schema] | None = None,
    ) -> None:
        """Create the validators of a contract.

        Args:
            document: The OpenAPI document.
            version: "v4" or "v5"; in v4 ``@type`` is optional and unknown types are accepted.
            extensions: The registered extension types by name: JSON Schemas of their additional
                attributes, with the type that they extend in ``x-baseType``.
        """
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self._strict = version != "v4"
        self._json_schemas = self._make_json_schemas(extensions or {})
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._names_by_keyword: dict[tuple[str, str], frozenset[str]] = {}
        self._lock = Lock()

    def set_extensions(self, extensions: Mapping[str, Schema]) -> None:
        """Replace the extension types."""
        with self._lock:
            self._json_schemas = self._make_json_schemas(extensions)
            self._validators = {}

    def _make_json_schemas(self, extensions: Mapping[str, Schema]) -> JsonSchemas:
        return JsonSchemas(self._schemas, extensions, strict=self._strict)

    def check(self, name: str, resource: object) -> None:
        """Validate a body against a schema.

        Raises:
            InvalidBody: It violates the contract; the message has JSON pointers and rules
                (HTTP 400).
        """
        if faults := self.faults(name, resource):
            raise InvalidBody(faults)

    def faults(self, name: str, resource: object) -> str:
        """Return all violations of a schema as one message; empty if there are none."""
        validator = self.validator(name)
        if validator.is_valid(resource):
            return ""
        return violation_message(validator.iter_errors(resource))

    def check_resource_type(self, name: str, resource: Mapping[str, Any]) -> None:
        """Check that the ``@type`` of a resource is a type of the operation or an extension of it.

        Raises:
            InvalidBody: It is another type; the message lists the types of the operation
                (HTTP 400).
        """
        base = name.removesuffix("_FVO")
        types = {base, *self._json_schemas.type_mapping(name)}
        known = types | self._json_schemas.extension_types(types)
        type, base_type = resource.get("@type", base), resource.get("@baseType")
        if not isinstance(type, str) or not isinstance(base_type, str | None):
            return  # a violation of the schema, which ``check`` has reported
        if self._strict and known.isdisjoint((type, base_type)):
            allowed = ", ".join(sorted(known))
            raise InvalidBody(
                f"/@type: {quoted(type)} is not one of {allowed}; an extension names its @baseType"
            )

    def check_change(
        self, name: str, old: Resource, new: Resource, *, create_schema: str | None = None
    ) -> None:
        """Validate a changed resource against a schema, ignoring violations that it had before.

        For example, a resource that was written through the other version may lack a mandatory
        attribute of this version. If no attribute was removed, only the changed attributes are
        validated, which is faster.

        Args:
            name: The schema of the resource.
            old: The resource before the change, in the client's form.
            new: The resource after the change.
            create_schema: The schema of POST, whose mandatory attributes cannot be removed.

        Raises:
            InvalidBody: The change violates the contract (HTTP 400).
        """
        removed = old.keys() - new.keys()
        if create_schema and (names := sorted(removed & self._required_attributes(create_schema))):
            faults = (f"/{name}: is mandatory and cannot be removed" for name in names)
            raise InvalidBody(listed_faults(faults))
        if old.keys() <= new.keys() and all(old.get(t) == new.get(t) for t in _TYPE_ATTRIBUTES):
            changed = {
                k: v for k, v in new.items() if k in _TYPE_ATTRIBUTES or old.get(k, _ABSENT) != v
            }
            if not self._violations(name, changed):
                return
        before = {_violation_key(error) for error in self.validator(name).iter_errors(old)}
        errors = self.validator(name).iter_errors(new)
        if violations := [error for error in errors if _violation_key(error) not in before]:
            raise InvalidBody(violation_message(violations))

    def check_additions(
        self, name: str, create_schema: str, resource: Resource, stored: Resource
    ) -> None:
        """Validate the attributes of a new resource that ``create_schema`` has not covered.

        These are the attributes that the server has added or changed (states, dates), and those
        that the schema of POST does not declare.

        Args:
            name: The schema of the resource.
            create_schema: The schema of POST, against which ``resource`` has been validated.
            resource: The body of the request.
            stored: The resource to be stored, in the client's form.

        Raises:
            InvalidBody: An attribute has a wrong type (HTTP 400).
        """
        declared = self._declared_attributes(create_schema)
        additions = {
            attribute: value
            for attribute, value in stored.items()
            if attribute in _TYPE_ATTRIBUTES
            or attribute not in declared
            or value is not resource.get(attribute)
        }
        self.check_partial(name, additions)

    def check_partial(self, name: str, resource: Resource) -> None:
        """Validate a resource against a schema, allowing missing first-level attributes.

        Raises:
            InvalidBody: An attribute has a wrong type (HTTP 400).
        """
        if violations := self._violations(name, resource):
            raise InvalidBody(violation_message(violations))

    def _violations(self, name: str, resource: Resource) -> list[jsonschema_rs.ValidationError]:
        """Return the violations of a resource, except missing first-level attributes."""
        validator = self.validator(name)
        if validator.is_valid(resource):
            return []
        required = jsonschema_rs.ValidationErrorKind.Required
        return [
            error
            for error in validator.iter_errors(resource)
            if error.instance_path or not isinstance(error.kind, required)
        ]

    def _required_attributes(self, name: str) -> frozenset[str]:
        """Return the first-level attributes that a schema requires, including inherited ones."""
        return self._collected_names(name, "required")

    def _declared_attributes(self, name: str) -> frozenset[str]:
        """Return the first-level attributes that a schema declares, including inherited ones."""
        return self._collected_names(name, "properties")

    def _collected_names(self, name: str, keyword: str) -> frozenset[str]:
        if (names := self._names_by_keyword.get((name, keyword))) is None:
            names = frozenset(_inherited_names(self._schemas, self._schemas[name], keyword))
            self._names_by_keyword[name, keyword] = names
        return names

    @staticmethod
    def message(violations: list[jsonschema_rs.ValidationError]) -> str:
        """Return the JSON pointers and rules of violations, without the values."""
        return violation_message(violations)

    @staticmethod
    def keys(violations: list[jsonschema_rs.ValidationError]) -> set[tuple[str, str]]:
        """Return the JSON pointer and the text of each violation, by which two are the same."""
        return {_violation_key(violation) for violation in violations}

    def validator(self, name: str) -> jsonschema_rs.Validator:
        """Return the validator of a schema of the contract."""
        if (validator := self._validators.get(name)) is None:
            with self._lock:
                validator = self._validators.get(name)
                if validator is None:
                    validator = self._validators[name] = jsonschema_rs.Draft202012Validator(
                        self._json_schemas.json_schema(name),
                        validate_formats=True,
                        formats=_FORMATS,
                        pattern_options=jsonschema_rs.RegexOptions(),  # linear time
                    )
        return validator


def _inherited_names(schemas: Mapping[str, Schema], schema: Schema, keyword: str) -> Iterable[str]:
    """Yield the names that a keyword lists in a schema and in the schemas that it inherits."""
    yield from schema.get(keyword, ())
    for part in (schema, *schema.get("allOf", ())):
        if reference := part.get("$ref"):
            yield from _inherited_names(
                schemas, schemas[reference.removeprefix(COMPONENTS)], keyword
            )
        elif part is not schema:
            yield from _inherited_names(schemas, part, keyword)


def _violation_key(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    return json_pointer(error.instance_path), error.message
