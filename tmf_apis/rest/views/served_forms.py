"""The form of a resource in each version that serves it, valid by the contract of that version.

Most resources are valid in every version as the transforms make them, which one fast check proves
when they are written. The rest are repaired: values and types that a version does not have become
those that stand for them there, and a value that no client of the version could read is left out.

What a client writes is checked before: a value that another version cannot serve is refused. So
only what an earlier release stored, or what the server itself makes, is ever left out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import jsonschema_rs

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.served_schemas import ServedSchemas, TypeRepairs, foreign_types
from tmf_apis.rest.contracts.spellings import published_spelling
from tmf_apis.rest.contracts.type_defaults import Transform, TypeDefaults
from tmf_apis.rest.contracts.violations import json_pointer
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_names import subtypes_of
from tmf_apis.rest.views.narrowed_values import narrowed_value
from tmf_apis.rest.views.transforms import Json
from tmf_apis.security.personal_attributes import MASK

#: Most rounds of repairs; after them, the attributes that are still invalid are left out.
_MAX_ROUNDS = 4

Violations = list[jsonschema_rs.ValidationError]


@dataclass(frozen=True, slots=True)
class ServedTypes:
    """The types of one contract.

    Attributes:
        schemas: The validators of its answers.
        replacements: Replaces the types that only another version has.
        repairs: Does so, and gives types of no version a base that the contract has.
    """

    schemas: ServedSchemas
    replacements: TypeRepairs
    repairs: TypeRepairs

    @classmethod
    def of(cls, contract: Contract, other: Contract | None) -> Self:
        """Return the types of a contract; ``other`` is the contract of the other version."""
        document, version = contract.document, contract.version
        foreign = foreign_types(document, other.document if other else None)
        return cls(
            ServedSchemas(document, version, foreign),
            TypeRepairs(document, foreign, adds_bases=False),
            TypeRepairs(document, foreign, adds_bases=version != "v4"),
        )


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind as one version serves it.

    Attributes:
        kind: The kind.
        version: "v4" or "v5".
        schema: Its schema in the contract.
        schemas: The validators of the contract's answers.
        with_types: Adds the types of nested objects that the version requires; None in v4.
        replace_types: Replaces types that only another version has.
        repair_types: Does so, and gives types of no version a base that the version has.
        lacks_base: Returns whether a form has a type that needs a base and has none.
    """

    kind: str
    version: str
    schema: str
    schemas: ServedSchemas
    with_types: Transform | None
    replace_types: Transform
    repair_types: Transform
    lacks_base: Callable[[Json], bool]

    def plain_form(self, body: Json, *, types_incomplete: bool = True) -> Json:
        """Return a stored form as the transforms make it, with the types that v5 requires."""
        members = versions.from_stored(self.kind, self.version, body)
        return self.with_types(members) if self.with_types and types_incomplete else members

    def violations(self, form: Json) -> Violations:
        """Return the violations of a form; masks are allowed everywhere."""
        violations = self.schemas.violations(self.schema, form)
        return [violation for violation in violations if violation.instance != MASK]

    def is_valid(self, form: Json) -> bool:
        """Return whether the contract allows a form."""
        return self.schemas.is_valid(self.schema, form) and not self.lacks_base(form)

    def substituted(self, form: Json) -> Json:
        """Return a form with the values and types that the version has for those it lacks."""
        for repair in (self.replace_types, self.repair_types):
            repaired = repair(form)
            if self.is_valid(repaired):
                return repaired
        form = repaired
        violations = self.violations(form)
        for path, value in spellings(violations):
            form = with_value(form, path, value)
        for violation in violations if self.version == "v4" else ():
            path = violation.instance_path
            if narrowed := narrowed_value(self.kind, path, violation.instance):
                form = with_value(form, path, narrowed)
        return form

    def repaired(self, form: Json) -> Json:
        """Return a form without violations."""
        for _ in range(_MAX_ROUNDS):
            form = self.substituted(form)
            if self.is_valid(form) or not (violations := self.violations(form)):
                return form
            paths = {tuple(violation.instance_path) for violation in violations} - {()}
            for path in sorted(paths, key=_removal_order, reverse=True):
                form = with_value(form, path)
        names = {violation.instance_path[0] for violation in violations if violation.instance_path}
        return {name: value for name, value in form.items() if name not in names}

    def accepted(self, body: Json, before: Json | None, reported: str = "") -> Json:
        """Return a stored form that this version can serve from that of another version's client.

        Args:
            body: The stored form that the client writes.
            before: The stored form before; values that were invalid already are not checked.
            reported: The faults in the client's version; those of the same values are left out.

        Raises:
            InvalidBody: This version has an attribute of another type (HTTP 400).
        """
        form = self.plain_form(body if before is None else _changed_part(body, before))
        # Most differences are types that only the client's version has: to replace them is fifteen
        # times as fast as to list what is wrong.
        if self.is_valid(self.replace_types(form)):
            return body
        if not self.violations(form):
            return body
        form = self.plain_form(body)
        if self.version == "v5":
            for path, value in spellings(self.violations(form)):
                body = with_value(body, path, value)
            form = self.plain_form(body)
        violations = self.violations(self.substituted(form))
        if violations and before is not None:
            old = self.substituted(self.plain_form(before))
            known = self.schemas.keys(self.violations(old))
            violations = [v for v in violations if not known >= self.schemas.keys([v])]
        if reported:
            violations = [v for v in violations if not _is_reported(v, reported)]
        if violations:
            message = self.schemas.message(violations)
            raise InvalidBody(f"{message} (in {self.version}, which serves this resource too)")
        return body


class ServedForms:
    """The forms of every kind."""

    def __init__(self, contracts: Sequence[Contract] = ()) -> None:
        self._kinds: dict[str, dict[str, ServedKind]] = {}
        self._types: dict[str, ServedTypes] = {}
        for contract in contracts:
            others = (c for c in contracts if c.number == contract.number)
            other = next((c for c in others if c.version != contract.version), None)
            types = self._types[contract.base_path] = ServedTypes.of(contract, other)
            for served in _served_kinds(contract, types):
                self._kinds.setdefault(served.kind, {})[served.version] = served

    @property
    def type_defaults(self) -> Mapping[str, Transform]:
        """For each kind, the transform that gives nested objects the types that v5 requires."""
        return {
            kind: served["v5"].with_types
            for kind, served in self._kinds.items()
            if "v5" in served and served["v5"].with_types
        }

    def set_extensions(self, base_path: str, extensions: Mapping[str, Any]) -> None:
        """Replace the extension types of one contract."""
        types = self._types[base_path]
        types.schemas.set_extensions(extensions)
        types.replacements.set_extensions(extensions)
        types.repairs.set_extensions(extensions)

    def form(
        self,
        kind: str,
        version: str,
        body: Json,
        *,
        types_incomplete: bool = True,
        trusted: Collection[str] = (),
    ) -> tuple[Json, bool]:
        """Return a stored form in a version, and whether it had to be repaired.

        Args:
            kind: The kind.
            version: "v4" or "v5".
            body: The stored form, without id.
            types_incomplete: Nested objects may lack the types that v5 requires.
            trusted: The versions in which the form has been validated already.
        """
        served = self._kinds.get(kind, {}).get(version)
        if served is None:
            return versions.from_stored(kind, version, body), False
        form = served.plain_form(body, types_incomplete=types_incomplete)
        if version in trusted and not served.lacks_base(form):
            return form, False
        # Most differences are types that only another version has: to replace them takes as long
        # as to find them by validation.
        if served.is_valid(repaired := served.replace_types(form)):
            return repaired, repaired is not form
        repaired = served.repaired(form)
        return repaired, repaired != form

    def accepted(
        self,
        kind: str,
        version: str,
        body: Json,
        before: Json | None = None,
        *,
        reported: str = "",
    ) -> Json:
        """Return a stored form that the other versions can serve from that of a client.

        An enumeration of v5 that is free text in v4 gets the spelling of v5.

        Args:
            kind: The kind.
            version: The version of the client.
            body: The stored form that the client writes.
            before: The stored form before; values that were invalid already are not checked.
            reported: The faults in the client's version; those of the same values are left out.

        Raises:
            InvalidBody: Another version has an attribute of another type (HTTP 400).
        """
        for other, served in self._kinds.get(kind, {}).items():
            if other != version:
                body = served.accepted(body, before, reported)
        return body


def _served_kinds(contract: Contract, types: ServedTypes) -> Iterable[ServedKind]:
    """Yield the kinds of a contract."""
    version = contract.version
    defaults = TypeDefaults(contract.document) if version != "v4" else None
    for operation in contract.operations:
        kind, schema = operation.kind, operation.schema
        if operation.action == "retrieve" and kind and not subtypes_of(kind, schema):
            with_types = defaults.transform_for(schema) if defaults else None
            yield ServedKind(
                kind, version, schema, types.schemas, with_types,
                types.replacements.transform_for(schema),
                types.repairs.transform_for(schema),
                types.repairs.lacks_base,
            )  # fmt: skip


def _is_reported(violation: jsonschema_rs.ValidationError, faults: str) -> bool:
    """Return whether a list of faults has one of the value that breaks a rule."""
    return f"; {json_pointer(violation.instance_path) or '/'}: " in f"; {faults}"


def _changed_part(body: Json, before: Json) -> Json:
    """Return the members that differ from those before, and the types."""
    return {
        name: value
        for name, value in body.items()
        if name in {"@type", "@baseType"} or before.get(name) != value
    }


def spellings(violations: Violations) -> Iterator[tuple[list[str | int], str]]:
    """Yield the paths of values that differ from one of an enumeration in their spelling only."""
    for violation in violations:
        rule = violation.kind
        if isinstance(rule, jsonschema_rs.ValidationErrorKind.Enum) and (
            text := published_spelling(violation.instance, rule.options)
        ):
            yield violation.instance_path, text


def with_value(form: Any, path: Iterable[str | int], value: Any = None) -> Any:  # noqa: ANN401
    """Return a form with another value at a path, or without the member if there is no value.

    >>> with_value({"a": [{"b": 1}, 2]}, ["a", 0, "b"], 3)
    {'a': [{'b': 3}, 2]}
    >>> with_value({"a": [{"b": 1}, 2]}, ["a", 1])
    {'a': [{'b': 1}]}
    """
    step, *rest = path
    if isinstance(form, dict) and step in form:
        if not rest and value is None:
            return {name: member for name, member in form.items() if name != step}
        return {**form, step: with_value(form[step], rest, value) if rest else value}
    if isinstance(form, list) and isinstance(step, int) and step < len(form):
        if not rest and value is None:
            return [*form[:step], *form[step + 1 :]]
        new = with_value(form[step], rest, value) if rest else value
        return [*form[:step], new, *form[step + 1 :]]
    return form


def _removal_order(path: tuple[str | int, ...]) -> tuple[str | tuple[int, int], ...]:
    """Return a key by which the later items of a list come after the earlier ones."""
    return tuple(json_pointer([f"{step:08}" if isinstance(step, int) else step]) for step in path)
