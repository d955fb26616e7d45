"""Validation of bodies against the contract, each object against the type of its ``@type``.

A plain ``oneOf`` accepts any schema that fits; a discriminator selects one. Here a schema with a
discriminator becomes a chain of if/then/else on ``@type``, so that an error message has the JSON
pointer and the rule of the type that the client chose. Each schema has two forms, because a
subtype inherits its base: ``Name`` dispatches on the type, ``Name~own`` is the base alone.

Source: TMF630 part 2, polymorphism; OpenAPI 3.0.3, discriminator object.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any

import jsonschema_rs

from tmf_apis.errors import InvalidBody

Schema = dict[str, Any]
Resource = dict[str, Any]

_TYPE_ATTRIBUTES = ("@type", "@baseType")
_ABSENT = object()
#: Suffixes of the schemas of POST bodies, after the name of the resource.
_CREATE_SUFFIX = re.compile(r"_(?:FVO|Create)\Z")
#: Suffixes of the schemas of POST and PATCH bodies.
_FORM_SUFFIX = re.compile(r"_(?:FVO|MVO|Create|Update)\Z")
_COMPONENTS = "#/components/schemas/"
#: Formats that are validated; others (int32, uri) are only hints.
_CHECKED_FORMATS = frozenset({"date-time", "date", "email"})
#: Most violations that one error message lists.
_MAX_VIOLATIONS = 3


def json_pointer(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 JSON pointer.

    >>> json_pointer(["productOrderItem", 0, "a/b"])
    '/productOrderItem/0/a~1b'
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


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
        self._extensions = dict(extensions or {})
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._names_by_keyword: dict[tuple[str, str], frozenset[str]] = {}
        self._subschemas_by_base: Mapping[str, set[str]] | None = None
        self._lock = Lock()

    def set_extensions(self, extensions: Mapping[str, Schema]) -> None:
        """Replace the extension types."""
        with self._lock:
            self._extensions = dict(extensions)
            self._validators = {}

    def check(self, name: str, resource: object) -> None:
        """Validate a body against a schema.

        Raises:
            InvalidBody: It violates the contract; the message has JSON pointers and rules
                (HTTP 400).
        """
        validator = self.validator(name)
        if not validator.is_valid(resource):
            raise InvalidBody(_violation_message(list(validator.iter_errors(resource))))

    def check_resource_type(self, name: str, resource: Mapping[str, Any]) -> None:
        """Check that the ``@type`` of a resource is a type of the operation or an extension of it.

        Raises:
            InvalidBody: It is another type; the message lists the types of the operation
                (HTTP 400).
        """
        base = name.removesuffix("_FVO")
        types = {base, *self._type_mapping(name)}
        known = types | self._extension_types(types)
        type, base_type = resource.get("@type", base), resource.get("@baseType")
        if self._strict and known.isdisjoint((type, base_type)):
            allowed = ", ".join(sorted(known))
            raise InvalidBody(
                f"/@type: {type!r} is not one of {allowed}; an extension names its @baseType"
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
            raise InvalidBody(f"/{names[0]}: is mandatory and cannot be removed")
        if old.keys() <= new.keys() and all(old.get(t) == new.get(t) for t in _TYPE_ATTRIBUTES):
            changed = {
                k: v for k, v in new.items() if k in _TYPE_ATTRIBUTES or old.get(k, _ABSENT) != v
            }
            if not self._violations(name, changed):
                return
        before = {_violation_key(error) for error in self.validator(name).iter_errors(old)}
        errors = self.validator(name).iter_errors(new)
        if violations := [error for error in errors if _violation_key(error) not in before]:
            raise InvalidBody(_violation_message(violations))

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
            raise InvalidBody(_violation_message(violations))

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

    def validator(self, name: str) -> jsonschema_rs.Validator:
        """Return the validator of a schema of the contract."""
        if (validator := self._validators.get(name)) is None:
            with self._lock:
                validator = self._validators.get(name)
                if validator is None:
                    validator = self._validators[name] = jsonschema_rs.Draft202012Validator(
                        self.json_schema(name),
                        validate_formats=True,
                        pattern_options=jsonschema_rs.RegexOptions(),  # linear time
                    )
        return validator

    def json_schema(self, name: str) -> Schema:
        """Return a schema as JSON Schema (2020-12), including all schemas that it refers to."""
        definitions: dict[str, Schema] = {}
        waiting = [name]
        while waiting:
            key = waiting.pop()
            if key in definitions:
                continue
            definitions[key] = self._definition(key)
            waiting.extend(_referenced_names(definitions[key]))
        return {"$ref": f"#/$defs/{name}", "$defs": definitions}

    def _definition(self, key: str) -> Schema:
        name, _, form = key.partition("~")
        if form == "extension":
            return self._extension_schema(name)
        schema = self._schemas[name]
        mapping = self._type_mapping(name) or self._extension_mapping(name)
        if form == "own" or not mapping:
            return self._own_schema(schema)
        return self._dispatch_schema(name, schema, mapping)

    def _type_mapping(self, name: str) -> dict[str, str]:
        """Return type name -> schema name, including the types of mapped types."""
        schemas_by_type: dict[str, str] = {}
        waiting = [name]
        seen = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            mapping = self._schemas[current].get("discriminator", {}).get("mapping", {})
            targets = {type: target.removeprefix(_COMPONENTS) for type, target in mapping.items()}
            if len(targets) > 1:  # with a single type the contract allows no subtypes here
                mapped = set(targets.values())
                targets |= {
                    _FORM_SUFFIX.sub("", child): child
                    for child in self._subschemas(current) - mapped
                }
            for type_name, schema in targets.items():
                if schema in self._schemas:
                    schemas_by_type.setdefault(type_name, schema)
                    waiting.append(schema)
        return schemas_by_type

    def _subschemas(self, name: str) -> set[str]:
        """Return the schemas that inherit a schema by ``allOf``, in the same form (POST, PATCH).

        In OpenAPI, a discriminator needs no mapping for them. TMF622 maps all subtypes of
        Characteristic except the boolean one, TMF620 only four of CharacteristicValueSpecification.
        """
        if self._subschemas_by_base is None:
            self._subschemas_by_base = _find_subschemas(self._schemas)
        form = name.partition("_")[2]
        subschemas = self._subschemas_by_base.get(name, ())
        return {subschema for subschema in subschemas if subschema.partition("_")[2] == form}

    def _extension_types(self, types: Collection[str]) -> set[str]:
        """Return the names of the extension types that extend one of ``types``."""
        return {
            name for name, schema in self._extensions.items() if schema.get("x-baseType") in types
        }

    def _extension_mapping(self, name: str) -> dict[str, str]:
        """Return a type mapping for a schema without a discriminator that has extensions.

        Most schemas of version 4 have no discriminator.
        """
        base = _CREATE_SUFFIX.sub("", name)
        return {base: name} if self._extension_types([base]) else {}

    def _dispatch_schema(self, name: str, schema: Schema, mapping: dict[str, str]) -> Schema:
        suffix = name[name.rindex("_") :] if name.endswith(("_FVO", "_MVO")) else ""
        own = {"$ref": f"#/$defs/{name}~own"}
        chain = self._fallback_schema(schema, mapping, own)
        for type_name, extension in self._extensions.items():
            base = mapping.get(str(extension.get("x-baseType")))
            if base:
                parts = [
                    {"$ref": f"#/$defs/{base}~own"},
                    {"$ref": f"#/$defs/{type_name}~extension"},
                ]
                chain = _conditional_schema("@type", type_name, {"allOf": parts}, chain)
        for type_name, target in mapping.items():
            reference = own if target == name else {"$ref": f"#/$defs/{target}~own"}
            for spelling in {type_name, type_name.removesuffix(suffix) if suffix else type_name}:
                chain = _conditional_schema("@type", spelling, reference, chain)
        return chain

    def _fallback_schema(self, schema: Schema, mapping: dict[str, str], own: Schema) -> Schema:
        """Return the schema of objects with a ``@type`` that the contract does not have."""
        if not self._strict:
            return own
        if len(mapping) == 1 and "oneOf" not in schema:
            return own
        known = {"enum": sorted({*mapping} | self._extension_types(mapping))}
        chain: Schema = {
            "required": ["@type"],
            "properties": {"@type": known, "@baseType": known},
        }
        for type_name, target in mapping.items():
            chain = _conditional_schema(
                "@baseType", type_name, {"$ref": f"#/$defs/{target}~own"}, chain
            )
        return chain

    def _own_schema(self, schema: Schema) -> Schema:
        """Return the JSON Schema of a schema alone; inherited schemas have the form ``~own``."""
        result: Schema = {}
        for keyword, value in schema.items():
            if keyword == "properties":
                result[keyword] = {name: self._value_schema(inner) for name, inner in value.items()}
            elif keyword == "allOf":
                result[keyword] = [self._base_schema(inner) for inner in value]
            elif keyword in {"oneOf", "anyOf"}:
                self._add_alternatives(result, schema, value)
            elif keyword in {"items", "additionalProperties"}:
                result[keyword] = self._value_schema(value) if isinstance(value, dict) else value
            elif keyword == "format" and value not in _CHECKED_FORMATS:
                continue
            elif keyword in _COPIED_KEYWORDS:
                result[keyword] = value
        return result

    def _add_alternatives(self, target: Schema, schema: Schema, alternatives: list[Schema]) -> None:
        if "discriminator" not in schema:
            target["anyOf"] = [self._value_schema(inner) for inner in alternatives]

    def _value_schema(self, schema: Schema) -> Schema:
        """Return the JSON Schema of a value; references dispatch on ``@type``.

        An ``allOf`` with a single ``$ref`` is a reference with a description, which OpenAPI 3.0
        does not allow beside ``$ref``.
        """
        if "properties" not in schema and len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(_COMPONENTS)}"}
        return self._own_schema(schema)

    def _base_schema(self, schema: Schema) -> Schema:
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(_COMPONENTS)}~own"}
        return self._own_schema(schema)

    def _extension_schema(self, name: str) -> Schema:
        return {key: value for key, value in self._extensions[name].items() if key[:2] != "x-"}


_COPIED_KEYWORDS = frozenset(
    {
        "type", "format", "enum", "required", "minimum", "maximum", "minItems", "maxItems",
        "minLength", "maxLength", "minProperties", "maxProperties", "uniqueItems",
    }
)  # fmt: skip


def _inherited_names(schemas: Mapping[str, Schema], schema: Schema, keyword: str) -> Iterable[str]:
    """Yield the names that a keyword lists in a schema and in the schemas that it inherits."""
    yield from schema.get(keyword, ())
    for part in (schema, *schema.get("allOf", ())):
        if reference := part.get("$ref"):
            yield from _inherited_names(
                schemas, schemas[reference.removeprefix(_COMPONENTS)], keyword
            )
        elif part is not schema:
            yield from _inherited_names(schemas, part, keyword)


def _find_subschemas(schemas: Mapping[str, Schema]) -> Mapping[str, set[str]]:
    """Return base schema -> the schemas that inherit it directly."""
    subschemas: dict[str, set[str]] = {}
    for name, schema in schemas.items():
        for part in schema.get("allOf", ()):
            if reference := part.get("$ref"):
                subschemas.setdefault(reference.removeprefix(_COMPONENTS), set()).add(name)
    return subschemas


def _conditional_schema(attribute: str, value: str, then: Schema, otherwise: Schema) -> Schema:
    condition = {
        "type": "object",
        "required": [attribute],
        "properties": {attribute: {"const": value}},
    }
    return {"if": condition, "then": then, "else": otherwise}


def _referenced_names(schema: object) -> Iterable[str]:
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/$defs/")
            elif keyword not in {"enum", "const", "required"}:
                yield from _referenced_names(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _referenced_names(item)


def _violation_key(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    return json_pointer(error.instance_path), error.message


def _violation_message(errors: list[jsonschema_rs.ValidationError]) -> str:
    lines = [f"{json_pointer(error.instance_path) or '/'}: {error.message}" for error in errors]
    unique = list(dict.fromkeys(lines))
    first = unique[:_MAX_VIOLATIONS]
    rest = len(unique) - len(first)
    text = "; ".join(line if len(line) <= 300 else f"{line[:297]}..." for line in first)  # noqa: PLR2004
    return f"{text}; and {rest} more" if rest else text
