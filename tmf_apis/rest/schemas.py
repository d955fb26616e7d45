"""Bodies against the contract: each object is held to the type that its ``@type`` names.

OpenAPI's ``oneOf`` accepts whatever fits; a discriminator says which one is meant. Here a schema
with a discriminator becomes a chain of if/then/else on ``@type``, so an error names the place and
the rule of the type that the client meant. Two forms of each schema are needed, because a subtype
inherits its base: ``Name`` dispatches, ``Name~own`` is the base alone.

Source: TMF630 part 2, polymorphism; OpenAPI 3.0.3, discriminator object.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import jsonschema_rs

from tmf_apis.errors import InvalidBody

Schema = dict[str, Any]

_COMPONENTS = "#/components/schemas/"
#: Formats that say something a client can get wrong; others (int32, uri) are hints.
_FORMATS = frozenset({"date-time", "date", "email"})
#: Most violations that one error message lists.
_SHOWN = 3


def pointer(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 JSON pointer.

    >>> pointer(["productOrderItem", 0, "a/b"])
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
        self._lock = Lock()

    def check(self, name: str, resource: object) -> None:
        """Hold a body to a schema.

        Raises:
            InvalidBody: It breaks the contract; the message has JSON pointer and rule.
        """
        validator = self.validator(name)
        if not validator.is_valid(resource):
            raise InvalidBody(_message(list(validator.iter_errors(resource))))

    def check_type(self, name: str, resource: Mapping[str, Any]) -> None:
        """Refuse a resource whose ``@type`` is neither the operation's nor an extension of it.

        Raises:
            InvalidBody: The message names the types that the operation takes.
        """
        base = name.removesuffix("_FVO")
        known = {base, *self._mapping(name), *self._extensions}
        given = (resource.get("@type", base), resource.get("@baseType"))
        if self._strict and known.isdisjoint(given):
            allowed = ", ".join(sorted(known))
            raise InvalidBody(
                f"/@type: {given[0]!r} is not one of {allowed}; an extension names its @baseType"
            )

    def check_change(self, name: str, old: object, new: object) -> None:
        """Hold a changed resource to a schema, without blaming the change for what it found.

        A mandatory attribute that the resource did not have before (it was written through the
        other version) is not missed now.

        Raises:
            InvalidBody: The change broke the contract.
        """
        validator = self.validator(name)
        if validator.is_valid(new):
            return
        before = {_identity(error) for error in validator.iter_errors(old)}
        broken = [error for error in validator.iter_errors(new) if _identity(error) not in before]
        if broken:
            raise InvalidBody(_message(broken))

    def check_types(self, name: str, resource: object) -> None:
        """Hold what would be stored to a schema, attributes that are missing apart.

        The schema of a create does not have what the server sets (states, dates); here it counts.

        Raises:
            InvalidBody: An attribute is not of its type.
        """
        validator = self.validator(name)
        if validator.is_valid(resource):
            return
        required = jsonschema_rs.ValidationErrorKind.Required
        broken = [e for e in validator.iter_errors(resource) if not isinstance(e.kind, required)]
        if broken:
            raise InvalidBody(_message(broken))

    def validator(self, name: str) -> jsonschema_rs.Validator:
        """Return the validator of a schema of the contract."""
        if (found := self._validators.get(name)) is None:
            with self._lock:
                found = self._validators.get(name)
                if found is None:
                    found = self._validators[name] = jsonschema_rs.Draft202012Validator(
                        self.json_schema(name), validate_formats=True
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
            waiting.extend(_references(definitions[key]))
        return {"$ref": f"#/$defs/{name}", "$defs": definitions}

    def _definition(self, key: str) -> Schema:
        name, _, form = key.partition("~")
        if form == "extension":
            return self._extension(name)
        schema = self._schemas[name]
        mapping = self._mapping(name)
        if form == "own" or not mapping:
            return self._own(schema)
        return self._dispatch(name, schema, mapping)

    def _mapping(self, name: str) -> dict[str, str]:
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
            for type_name, target in mapping.items():
                schema = target.removeprefix(_COMPONENTS)
                if schema in self._schemas:
                    found.setdefault(type_name, schema)
                    waiting.append(schema)
        return found

    def _dispatch(self, name: str, schema: Schema, mapping: dict[str, str]) -> Schema:
        suffix = name[name.rindex("_") :] if name.endswith(("_FVO", "_MVO")) else ""
        own = {"$ref": f"#/$defs/{name}~own"}
        chain = self._unknown_type(schema, mapping, own)
        for type_name, extension in self._extensions.items():
            base = mapping.get(str(extension.get("x-baseType")))
            if base:
                both = [
                    {"$ref": f"#/$defs/{base}~own"},
                    {"$ref": f"#/$defs/{type_name}~extension"},
                ]
                chain = _when("@type", type_name, {"allOf": both}, chain)
        for type_name, target in mapping.items():
            reference = own if target == name else {"$ref": f"#/$defs/{target}~own"}
            for spelled in {type_name, type_name.removesuffix(suffix) if suffix else type_name}:
                chain = _when("@type", spelled, reference, chain)
        return chain

    def _unknown_type(self, schema: Schema, mapping: dict[str, str], own: Schema) -> Schema:
        """Return what an object must be whose ``@type`` the contract does not have."""
        if not self._strict:
            return own
        if len(mapping) == 1 and "oneOf" not in schema:
            return own
        known = {"enum": sorted({*mapping, *self._extensions})}
        chain: Schema = {
            "required": ["@type"],
            "properties": {"@type": known, "@baseType": known},
        }
        for type_name, target in mapping.items():
            chain = _when("@baseType", type_name, {"$ref": f"#/$defs/{target}~own"}, chain)
        return chain

    def _own(self, schema: Schema) -> Schema:
        """Translate one schema; what it inherits is taken in its own form."""
        made: Schema = {}
        for keyword, value in schema.items():
            if keyword == "properties":
                made[keyword] = {name: self._place(inner) for name, inner in value.items()}
            elif keyword == "allOf":
                made[keyword] = [self._inherited(inner) for inner in value]
            elif keyword in {"oneOf", "anyOf"}:
                self._alternatives(made, schema, value)
            elif keyword in {"items", "additionalProperties"}:
                made[keyword] = self._place(value) if isinstance(value, dict) else value
            elif keyword == "format" and value not in _FORMATS:
                continue
            elif keyword in _KEPT:
                made[keyword] = value
        return made

    def _alternatives(self, made: Schema, schema: Schema, alternatives: list[Schema]) -> None:
        if "discriminator" not in schema:
            made["anyOf"] = [self._place(inner) for inner in alternatives]

    def _place(self, schema: Schema) -> Schema:
        """Translate a schema where a value stands: references dispatch on ``@type``."""
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(_COMPONENTS)}"}
        return self._own(schema)

    def _inherited(self, schema: Schema) -> Schema:
        if reference := schema.get("$ref"):
            return {"$ref": f"#/$defs/{reference.removeprefix(_COMPONENTS)}~own"}
        return self._own(schema)

    def _extension(self, name: str) -> Schema:
        return {key: value for key, value in self._extensions[name].items() if key[:2] != "x-"}


_KEPT = frozenset(
    {
        "type", "format", "enum", "required", "minimum", "maximum", "minItems", "maxItems",
        "minLength", "maxLength", "minProperties", "maxProperties", "uniqueItems",
    }
)  # fmt: skip


def _when(attribute: str, value: str, then: Schema, otherwise: Schema) -> Schema:
    condition = {
        "type": "object",
        "required": [attribute],
        "properties": {attribute: {"const": value}},
    }
    return {"if": condition, "then": then, "else": otherwise}


def _references(schema: object) -> Iterable[str]:
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/$defs/")
            elif keyword not in {"enum", "const", "required"}:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _identity(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    return pointer(error.instance_path), error.message


def _message(errors: list[jsonschema_rs.ValidationError]) -> str:
    lines = [f"{pointer(error.instance_path) or '/'}: {error.message}" for error in errors]
    unique = list(dict.fromkeys(lines))
    shown = unique[:_SHOWN]
    rest = len(unique) - len(shown)
    text = "; ".join(line if len(line) <= 300 else f"{line[:297]}..." for line in shown)  # noqa: PLR2004
    return f"{text}; and {rest} more" if rest else text
