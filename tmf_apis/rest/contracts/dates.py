"""Stored times: RFC 3339 text in UTC with milliseconds, whose text order is the order of time.

Clients send times with an offset, because a time without one is ambiguous. Version 4 also accepts
the form of the published examples, without seconds and offset (UTC is assumed). Digits after the
milliseconds are cut off. A leap second is refused: no clock of the server has one.

Only attributes of the format ``date-time`` in the contract are converted. Other text that looks
like a time (the value of a characteristic) is not changed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_COMPONENTS = "#/components/schemas/"
_HOUR_AND_MINUTE = r"(?:[01]\d|2[0-3]):[0-5]\d"
_MOMENT = rf"\d{{4}}-\d\d-\d\d[Tt ]{_HOUR_AND_MINUTE}(?::[0-5]\d(?:\.\d{{1,30}})?)?"
_OFFSET = r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
#: RFC 3339, and forms of the published examples: without seconds, without offset (UTC is assumed).
_DATE_TIME = re.compile(f"{_MOMENT}{_OFFSET}?", re.ASCII)
_WITH_OFFSET = re.compile(_MOMENT + _OFFSET, re.ASCII)
_MINUTES = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]{_HOUR_AND_MINUTE}", re.ASCII)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


#: Longest text that can be a time: with thirty digits of a second and an offset.
_MAX_LENGTH = 64


def canonical_timestamp(text: str) -> str | None:
    """Return the stored form of a time, or None if the text is not a time.

    A time without an offset is accepted, because an earlier release has stored such times; see
    ``accepted_timestamp`` for those that clients send.

    >>> canonical_timestamp("2026-03-01T12:00:00+02:00")
    '2026-03-01T10:00:00.000Z'
    >>> canonical_timestamp("2017-08-23T00:00")
    '2017-08-23T00:00:00.000Z'
    >>> canonical_timestamp("yesterday") is None
    True
    """
    return _cached_timestamp(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=10_000)  # each check of a body meets the same few times again
def _cached_timestamp(text: str) -> str | None:
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return rfc3339(moment)


def accepted_timestamp(text: str, *, accept_minutes: bool = True) -> str | None:
    """Return the stored form of a time that a client sends, or None if it is not accepted.

    Args:
        text: The client's text.
        accept_minutes: Accept a time without seconds and offset, in UTC.

    >>> accepted_timestamp("2026-03-01T12:00:00+02:00"), accepted_timestamp("2017-08-23T00:00")
    ('2026-03-01T10:00:00.000Z', '2017-08-23T00:00:00.000Z')
    >>> accepted_timestamp("2026-03-01T12:00:00"), accepted_timestamp("2026-03-01T12:00:60Z")
    (None, None)
    """
    if _WITH_OFFSET.fullmatch(text) or (accept_minutes and _MINUTES.fullmatch(text)):
        return canonical_timestamp(text)
    return None


def is_timestamp(text: str) -> bool:
    """Return whether a text is a time with an offset; the check of the format ``date-time``."""
    return len(text) <= _MAX_LENGTH and _is_cached_timestamp(text)


@lru_cache(maxsize=10_000)
def _is_cached_timestamp(text: str) -> bool:
    return accepted_timestamp(text, accept_minutes=False) is not None


def rfc3339(instant: datetime) -> str:
    """Return a time in UTC in the stored form: RFC 3339, milliseconds, ``Z``.

    >>> from datetime import UTC
    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC))
    '2026-01-02T03:04:05.678Z'
    """
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class DateNormalizer:
    """Normalizes the times in the resources of one contract."""

    def __init__(self, document: Mapping[str, Any], *, accept_minutes: bool = True) -> None:
        """Create the normalizer of a contract.

        Args:
            document: The OpenAPI document.
            accept_minutes: Accept times without seconds and offset, in UTC.
        """
        self._accept_minutes = accept_minutes
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]
        self.set_extensions({})

    def set_extensions(self, extensions: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Replace the extension types; the mapping is from a type to the schemas that extend it."""
        trees: dict[str | tuple[str, ...], dict[str, Any]] = {}
        self._extensions_and_trees = (extensions, trees)

    def normalise(self, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Return the resource with its times in the stored form; invalid times are not changed."""
        return self._normalised_object(self._date_tree(name), resource)

    def _normalised_object(self, tree: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        changed = {}
        for key, member in value.items():
            if key in tree:
                new = self._normalised_value(tree[key], member)
                if new is not member:
                    changed[key] = new
        return {**value, **changed} if changed else value

    def _normalised_value(self, node: Any, value: Any) -> Any:  # noqa: ANN401
        if type(value) is str:
            if node is not None or _CANONICAL.fullmatch(value):
                return value
            return accepted_timestamp(value, accept_minutes=self._accept_minutes) or value
        if type(value) is dict:
            return (
                value if node is None else self._normalised_object(self._merged_tree(node), value)
            )
        if type(value) is list:
            new = [self._normalised_value(node, item) for item in value]
            same = all(a is b for a, b in zip(new, value, strict=True))
            return value if same else new
        return value

    def _merged_tree(self, node: tuple[str, ...]) -> dict[str, Any]:
        if len(node) == 1:
            return self._date_tree(node[0])
        trees = self._extensions_and_trees[1]
        if (merged := trees.get(node)) is None:
            merged = {}
            for name in node:
                merged.update(self._date_tree(name))
            trees[node] = merged
        return merged

    def _date_tree(self, name: str) -> dict[str, Any]:
        """Return attribute -> None for a time, or the names of the schemas of its objects."""
        extensions, trees = self._extensions_and_trees
        if (tree := trees.get(name)) is None:
            tree = {}
            seen = {name}
            self._collect(self._schemas[name], tree, seen)
            for extended in sorted(seen & extensions.keys()):
                for extension in extensions[extended]:
                    self._collect(extension, tree, set())
            trees[name] = tree
        return tree

    def _collect(self, schema: Mapping[str, Any], tree: dict[str, Any], seen: set[str]) -> None:
        for inner in self._equivalent_schemas(schema, seen):
            for attribute, attribute_schema in inner.get("properties", {}).items():
                node = self._tree_node(attribute_schema)
                if node is not False:
                    tree[attribute] = node

    def _equivalent_schemas(
        self, schema: Mapping[str, Any], seen: set[str]
    ) -> Iterable[Mapping[str, Any]]:
        """Yield all schemas that may describe the same value: bases, subtypes and references."""
        yield schema
        targets = list(schema.get("discriminator", {}).get("mapping", {}).values())
        if reference := schema.get("$ref"):
            targets.append(reference)
        for target in targets:
            name = target.removeprefix(_COMPONENTS)
            if name not in seen and name in self._schemas:
                seen.add(name)
                yield from self._equivalent_schemas(self._schemas[name], seen)
        for keyword in ("allOf", "oneOf", "anyOf"):
            for inner in schema.get(keyword, ()):
                yield from self._equivalent_schemas(inner, seen)

    def _tree_node(self, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return None for a time, a tuple of schema names for an object, otherwise False."""
        while schema.get("type") == "array":
            schema = schema.get("items", {})
        if schema.get("format") == "date-time":
            return None
        if reference := schema.get("$ref"):
            name = reference.removeprefix(_COMPONENTS)
            target = self._schemas.get(name, {})
            if target.get("type") == "string":
                return None if target.get("format") == "date-time" else False
            return (name,)
        names = [
            inner["$ref"].removeprefix(_COMPONENTS)
            for keyword in ("allOf", "oneOf", "anyOf")
            for inner in schema.get(keyword, ())
            if "$ref" in inner
        ]
        return tuple(names) or False
