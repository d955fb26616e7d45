"""Bodies against the contract: each object is held to the type that its ``@type`` names.

OpenAPI's ``oneOf`` accepts whatever fits; a discriminator says which one is meant. Here a schema
with a discriminator becomes a chain of if/then/else on ``@type``, so an error names the place and
the rule of the type that the client meant. Two forms of each schema are needed, because a subtype
inherits its base: ``Name`` dispatches, ``Name~own`` is the base alone.

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
#: What the name of a schema of a create ends with; before it is that of the resource.
_CREATE_SUFFIX = re.compile(r"_(?:FVO|Create)\Z")
#: The same for every form of a schema.
_FORM_SUFFIX = re.compile(r"_(?:FVO|MVO|Create|Update)\Z")
_COMPONENTS = "#/components/schemas/"
#: Formats that say something a client can get wrong; others (int32, uri) are hints.
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
    """Validators of one contract, each built when it is first needed and kept."""

    def __init__(
        self,
        document: Mapping[str, Any],
        version: str,
        extensions: Mapping[str, Schema] | None = None,
    ) -> None:
        """Take a contract and the operator's extension types.

        Args:
            document: The OpenAPI document.
            version: "v4" or "v5"; in v4 ``@type`` is optional and unknown types are accepted.
            extensions: Registered extension types by name: JSON Schemas of their own attributes,
                with the type that they extend under ``x-baseType``.
        """
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self._strict = version != "v4"
        self._extensions = dict(extensions or {})
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._names_by_keyword: dict[tuple[str, str], frozenset[str]] = {}
        self._subschemas_by_base: Mapping[str, set[str]] | None = None
        self._lock = Lock()

    def set_extensions(self, extensions: Mapping[str, Schema]) -> None:
        """Take other extension types in place of those that were known."""
        with self._lock:
            self._extensions = dict(extensions)
            self._validators = {}

    def check(self, name: str, resource: object) -> None:
        """Hold a body to a schema.

        Raises:
            InvalidBody: It breaks the contract; the message has JSON pointer and rule.
        """
        validator = self.validator(name)
        if not validator.is_valid(resource):
            raise InvalidBody(_violation_message(list(validator.iter_errors(resource))))

    def check_resource_type(self, name: str, resource: Mapping[str, Any]) -> None:
        """Refuse a resource whose ``@type`` is neither the operation's nor an extension of it.

        Raises:
            InvalidBody: The message names the types that the operation takes.
        """
        base = name.removesuffix("_FVO")
        types = {base, *self._type_mapping(name)}
        known = types | self._extension_types(types)
        given = (resource.get("@type", base), resource.get("@baseType"))
        if self._strict and known.isdisjoint(given):
            allowed = ", ".join(sorted(known))
            raise InvalidBody(
                f"/@type: {given[0]!r} is not one of {allowed}; an extension names its @baseType"
            )

    def check_change(
        self, name: str, old: Resource, new: Resource, *, create_schema: str | None = None
    ) -> None:
        """Hold a changed resource to a schema, without blaming the change for what it found.

        A mandatory attribute that the resource did not have before (it was written through the
        other version) is not missed now. Where nothing was taken away, what changed is looked at
        alone, for it costs less.

        Args:
            name: The schema of the resource.
            old: As it was, in the client's form.
            new: As it would be.
            create_schema: The schema of its create, whose mandatory attributes are not taken away either.

        Raises:
            InvalidBody: The change broke the contract.
        """
        taken = old.keys() - new.keys()
        if create_schema and (missed := sorted(taken & self._required_attributes(create_schema))):
            raise InvalidBody(f"/{missed[0]}: is mandatory and cannot be removed")
        if old.keys() <= new.keys() and all(old.get(t) == new.get(t) for t in _TYPE_ATTRIBUTES):
            changed = {
                k: v for k, v in new.items() if k in _TYPE_ATTRIBUTES or old.get(k, _ABSENT) != v
            }
            if not self._violations(name, changed):
                return
        before = {_violation_key(error) for error in self.validator(name).iter_errors(old)}
        errors = self.validator(name).iter_errors(new)
        if broken := [error for error in errors if _violation_key(error) not in before]:
            raise InvalidBody(_violation_message(broken))

    def check_additions(
        self, name: str, create_schema: str, resource: Resource, stored: Resource
    ) -> None:
        """Hold what the server adds or changes, and what ``create_schema`` does not know, to a schema.

        The schema of a create does not have what the server sets (states, dates); here it counts.

        Args:
            name: The schema of the resource.
            create_schema: The schema of the create, which ``resource`` has passed.
            resource: What the client sent.
            stored: What would be stored, in the client's form.

        Raises:
            InvalidBody: An attribute is not of its type.
        """
        known = self._declared_attributes(create_schema)
        rest = {
            attribute: value
            for attribute, value in stored.items()
            if attribute in _TYPE_ATTRIBUTES
            or attribute not in known
            or value is not resource.get(attribute)
        }
        if wrong := self._violations(name, rest):
            raise InvalidBody(_violation_message(wrong))

    def check_partial(self, name: str, resource: Resource) -> None:
        """Hold a resource to a schema, first-level attributes that are missing apart.

        Raises:
            InvalidBody: An attribute is not of its type.
        """
        if wrong := self._violations(name, resource):
            raise InvalidBody(_violation_message(wrong))

    def _violations(self, name: str, resource: Resource) -> list[jsonschema_rs.ValidationError]:
        """Return the violations of a part of a resource: what it lacks itself is none."""
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
        """Return the first-level attributes that a schema requires, inherited ones included."""
        return self._collected_names(name, "required")

    def _declared_attributes(self, name: str) -> frozenset[str]:
        """Return the first-level attributes that a schema declares, those it inherits included."""
        return self._collected_names(name, "properties")

    def _collected_names(self, name: str, keyword: str) -> frozenset[str]:
        if (found := self._names_by_keyword.get((name, keyword))) is None:
            names = _inherited_names(self._schemas, self._schemas[name], keyword)
            found = self._names_by_keyword[name, keyword] = frozenset(names)
        return found

    def validator(self, name: str) -> jsonschema_rs.Validator:
        """Return the validator of a schema of the contract."""
        if (found := self._validators.get(name)) is None:
            with self._lock:
                found = self._validators.get(name)
                if found is None:
                    found = self._validators[name] = jsonschema_rs.Draft202012Validator(
                        self.json_schema(name),
                        validate_formats=True,
                        pattern_options=jsonschema_rs.RegexOptions(),  # linear time
                    )
        return found

    def json_schema(self, name: str) -> Schema:
        """Return a JSON Schema (2020-12) of one schema with all that it refers to."""
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
        """Return type name -> schema name, types of mapped types included."""
        found: dict[str, str] = {}
        waiting = [name]
        seen = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            mapping = self._schemas[current].get("discriminator", {}).get("mapping", {})
            targets = {type: target.removeprefix(_COMPONENTS) for type, target in mapping.items()}
            if len(targets) > 1:  # else the contract has one type here, whatever extends it
                mapped = set(targets.values())
                targets |= {
                    _FORM_SUFFIX.sub("", child): child
                    for child in self._subschemas(current) - mapped
                }
            for type_name, schema in targets.items():
                if schema in self._schemas:
                    found.setdefault(type_name, schema)
                    waiting.append(schema)
        return found

    def _subschemas(self, name: str) -> set[str]:
        """Return the schemas that say ``allOf`` a schema, in the same form (create, merge).

        A discriminator names them without a mapping, by OpenAPI; TMF622's Characteristic maps
        every type of value but boolean, TMF620's CharacteristicValueSpecification four others.
        """
        if self._subschemas_by_base is None:
            self._subschemas_by_base = _find_subschemas(self._schemas)
        form = name.partition("_")[2]
        return {
            one for one in self._subschemas_by_base.get(name, ()) if one.partition("_")[2] == form
        }

    def _extension_types(self, types: Collection[str]) -> set[str]:
        """Return the extension types of some types."""
        return {name for name, one in self._extensions.items() if one.get("x-baseType") in types}

    def _extension_mapping(self, name: str) -> dict[str, str]:
        """Return a mapping for a schema whose contract has no discriminator, if it is extended.

        The contracts of version 4 have none at most places.
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
                both = [
                    {"$ref": f"#/$defs/{base}~own"},
                    {"$ref": f"#/$defs/{type_name}~extension"},
                ]
                chain = _conditional_schema("@type", type_name, {"allOf": both}, chain)
        for type_name, target in mapping.items():
            reference = own if target == name else {"$ref": f"#/$defs/{target}~own"}
            for spelled in {type_name, type_name.removesuffix(suffix) if suffix else type_name}:
                chain = _conditional_schema("@type", spelled, reference, chain)
        return chain

    def _fallback_schema(self, schema: Schema, mapping: dict[str, str], own: Schema) -> Schema:
        """Return what an object must be whose ``@type`` the contract does not have."""
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
        """Translate one schema; what it inherits is taken in its own form."""
        made: Schema = {}
        for keyword, value in schema.items():
            if keyword == "properties":
                made[keyword] = {name: self._value_schema(inner) for name, inner in value.items()}
            elif keyword == "allOf":
                made[keyword] = [self._base_schema(inner) for inner in value]
            elif keyword in {"oneOf", "anyOf"}:
                self._add_alternatives(made, schema, value)
            elif keyword in {"items", "additionalProperties"}:
                made[keyword] = self._value_schema(value) if isinstance(value, dict) else value
            elif keyword == "format" and value not in _CHECKED_FORMATS:
                continue
            elif keyword in _COPIED_KEYWORDS:
                made[keyword] = value
        return made

    def _add_alternatives(self, target: Schema, schema: Schema, alternatives: list[Schema]) -> None:
        if "discriminator" not in schema:
            target["anyOf"] = [self._value_schema(inner) for inner in alternatives]

    def _value_schema(self, schema: Schema) -> Schema:
        """Translate a schema where a value stands: references dispatch on ``@type``.

        OpenAPI 3.0 takes no description beside ``$ref``, so it may stand in an ``allOf`` alone.
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
    """Yield what a keyword lists in a schema and in all that it inherits."""
    yield from schema.get(keyword, ())
    for part in (schema, *schema.get("allOf", ())):
        if reference := part.get("$ref"):
            yield from _inherited_names(
                schemas, schemas[reference.removeprefix(_COMPONENTS)], keyword
            )
        elif part is not schema:
            yield from _inherited_names(schemas, part, keyword)


def _find_subschemas(schemas: Mapping[str, Schema]) -> Mapping[str, set[str]]:
    """Return the schemas that inherit from each schema directly."""
    found: dict[str, set[str]] = {}
    for name, schema in schemas.items():
        for part in schema.get("allOf", ()):
            if reference := part.get("$ref"):
                found.setdefault(reference.removeprefix(_COMPONENTS), set()).add(name)
    return found


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
    shown = unique[:_MAX_VIOLATIONS]
    rest = len(unique) - len(shown)
    text = "; ".join(line if len(line) <= 300 else f"{line[:297]}..." for line in shown)  # noqa: PLR2004
    return f"{text}; and {rest} more" if rest else text
