"""Attributes that a client may name in a query: their types and where they are stored."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from tmf_apis.errors import FeatureNotImplemented, InvalidQuery, quoted
from tmf_apis.rest.contracts.dates import accepted_timestamp
from tmf_apis.rest.contracts.numbers import INT64, is_exact
from tmf_apis.rest.contracts.texts import CONTROL
from tmf_apis.rest.query.personal import BlindAttribute, blind_attribute
from tmf_apis.rest.query.schema_paths import AttributeType
from tmf_apis.rest.query.unknown_attributes import suggestion
from tmf_apis.rest.query.version_values import ShownValues
from tmf_apis.store.codec import BlindIndex

#: A value that a query compares with a value of a database document.
Value = str | int | float | bool

#: Longest path of an attribute, in characters, and the most segments it may have.
PATH_LIMIT, SEGMENT_LIMIT = 256, 16
#: Longest value of a filter, in characters.
VALUE_LIMIT = 4096

_NUMBER = re.compile(r"[+-]?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,9})?", re.ASCII)
_SEGMENT = re.compile(r"[\w@][\w@:\-]*")
#: Says which numbers a query may have, for error messages.
NUMBER_RULE = "a number of at most 15 significant digits, or an integer of at most 64 bits"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: In a query string, a plus sign that is not escaped stands for a space.
_UNESCAPED_PLUS = re.compile(r"([Tt]\d\d:\d\d[\d:.]*) (\d\d:?\d\d)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that a client named in a query.

    Attributes:
        path: Path as the client wrote it.
        type: Type according to the contract.
        document_paths: Paths in the database document that may hold the attribute; at least one.
        is_href: The attribute is the resource's own href, which is compared by the id at its end.
        stored_values: Returns the stored forms of a client's text.
        blind: Its personal values; None if it has none that the client may query.
        shown_values: What the client's version shows for each stored value; empty if any text may
            be stored, None if it shows the stored values.
    """

    path: str
    type: AttributeType
    document_paths: tuple[str, ...]
    is_href: bool = False
    stored_values: Callable[[str], tuple[str, ...]] = lambda text: (text,)
    blind: BlindAttribute | None = None
    shown_values: ShownValues | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryableAttributes:
    """The attributes that a client may name, for one kind in one version.

    Attributes:
        type_of: Returns the type of a path according to the contract (``SchemaPaths.type_of``).
        stored_paths: Returns the paths of the stored form for a client's path.
        stored_values: Returns the values of the stored form for a client's path and value; several
            if the version of the client shows them as the same.
        shown_values: Returns what the version shows for each stored value of a path; None if it
            shows the stored values.
        prefix: Prefix of every path of the stored form in a database document.
        outside_body: Top-level attributes that are stored outside the body, with their paths; a
            ``href`` listed here is compared by the id at its end.
        blind_index: Finds personal values; None: the kind has none.
        allow_unknown: Accept attributes that the contract does not declare; they are of any type.
        names_at: Returns the names of the attributes below a path, for suggestions.
    """

    type_of: Callable[[str], AttributeType | None]
    stored_paths: Callable[[str], tuple[str, ...]] = lambda path: (path,)
    stored_values: Callable[[str, str], tuple[str, ...]] = lambda _path, value: (value,)
    shown_values: Callable[[str], ShownValues | None] = lambda _path: None
    prefix: str = "body."
    outside_body: Mapping[str, str] = field(default_factory=lambda: {"id": "id", "href": "id"})
    blind_index: BlindIndex | None = None
    allow_unknown: bool = False
    names_at: Callable[[str], Iterable[str]] = lambda _path: ()

    def suggestion(self, path: str) -> str:
        """Return the question for the attribute whose name is nearest; empty if none is."""
        parent, _, name = path.rpartition(".")
        return suggestion(name, self.names_at(parent)) if len(path) <= PATH_LIMIT else ""

    def is_declared(self, path: str) -> bool:
        """Return whether the contract names the attribute itself."""
        if len(path) > PATH_LIMIT:
            return False
        attribute_type = self.type_of(path)
        return attribute_type is not None and attribute_type.is_declared

    def find(self, path: str) -> Attribute:
        """Return the attribute at a client's path.

        Raises:
            InvalidQuery: The contract has no such attribute, the attribute is not stored, or the
                path is malformed (HTTP 400).
            Forbidden: The attribute is personal, and the client lacks the scope (HTTP 403).
        """
        check_path(path)
        if (attribute_type := self.type_of(path)) is None:
            if not self.allow_unknown:
                raise InvalidQuery(f"unknown attribute {path!r}{self.suggestion(path)}")
            segments = path.count(".") + 1
            attribute_type = AttributeType("any", (False,) * segments, is_declared=False)
        if (outside := self.outside_body.get(path)) is not None:
            return Attribute(path, attribute_type, (outside,), is_href=path == "href")
        stored_paths = self.stored_paths(path)
        document_paths = tuple(self.prefix + stored for stored in stored_paths)
        if not document_paths:
            raise InvalidQuery(f"{path!r} is not stored, so a query cannot use it")
        convert = partial(self.stored_values, path)
        blind = blind_attribute(path, stored_paths, self.blind_index)
        return Attribute(
            path, attribute_type, document_paths,
            stored_values=convert, blind=blind, shown_values=self.shown_values(path),
        )  # fmt: skip


def check_path(path: str) -> None:
    """Check that a text can be the path of an attribute.

    Raises:
        InvalidQuery: The path is empty or too long, or a segment is empty, is a number (positions
            in arrays are not supported) or contains characters that no attribute has (HTTP 400).
    """
    if len(path) > PATH_LIMIT:
        raise InvalidQuery(f"the path of an attribute has at most {PATH_LIMIT} characters")
    segments = path.split(".")
    if len(segments) > SEGMENT_LIMIT:
        raise InvalidQuery(f"the path of an attribute has at most {SEGMENT_LIMIT} segments")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment.isdecimal():
            raise InvalidQuery(f"{path!r} is not the path of an attribute")


def dotted_path(text: str, parameter: str) -> str:
    """Return the dotted path of a simple JSONPath; other texts are returned as they are.

    >>> dotted_path("$.note[*].author", "fields"), dotted_path("note.author", "sort")
    ('note.author', 'note.author')

    Raises:
        FeatureNotImplemented: It is another JSONPath (HTTP 501).
    """
    if not (text.startswith("$.") or "[" in text):
        return text
    path = text.replace("[*]", "").removeprefix("$.")
    if any(character in path for character in "$[]()?"):
        raise FeatureNotImplemented(
            f"{parameter}: the JSONPath {quoted(text)} is not supported; $.a.b, $.a[*].b and a.b"
            " are, and the parameter filter has conditions"
        )
    return path


def check_text(text: str) -> None:
    """Check that a value is Unicode text without control characters and not too long.

    Raises:
        InvalidQuery: The value is longer than ``VALUE_LIMIT``, or contains a surrogate or a control
            character other than tab and line break (HTTP 400).
    """
    if len(text) > VALUE_LIMIT:
        raise InvalidQuery(f"a value has at most {VALUE_LIMIT} characters")
    if CONTROL.search(text):
        raise InvalidQuery("a value has a control character or a surrogate, which is not text")


def number_from_text(text: str) -> int | float | None:
    """Return the number that a text spells, or None if the database cannot hold that number.

    >>> number_from_text("12"), number_from_text(" 1.5e3 ")
    (12, 1500.0)
    >>> number_from_text("9223372036854775808"), number_from_text("0.12345678901234567890")
    (None, None)
    """
    text = text.strip(" ")
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdecimal():
        value = int(text)
        return value if value in INT64 else None
    return float(text) if is_exact(text) else None


def is_number(text: str) -> bool:
    """Return whether a text spells a number, of any size.

    >>> is_number(" 1e400 "), is_number("1st")
    (True, False)
    """
    return _NUMBER.fullmatch(text.strip(" ")) is not None


def timestamp_from_text(text: str) -> str | None:
    """Return the stored form of a time of any offset and precision; a date means midnight UTC.

    Return None if the text is neither a time nor a date.

    >>> timestamp_from_text("2026-01-02T03:04:05 02:00"), timestamp_from_text("2026-01-02")
    ('2026-01-02T01:04:05.000Z', '2026-01-02T00:00:00.000Z')
    """
    text = text.strip(" ")
    if _DATE.fullmatch(text):
        text += "T00:00:00Z"
    return accepted_timestamp(_UNESCAPED_PLUS.sub(r"\1+\2", text))


def _boolean_from_text(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip(" ").lower())


def _date_from_text(text: str) -> str | None:
    return stored[:10] if (stored := timestamp_from_text(text)) is not None else None


_PARSERS: Mapping[str, tuple[Callable[[str], Value | None], str]] = {
    "integer": (number_from_text, NUMBER_RULE),
    "number": (number_from_text, NUMBER_RULE),
    "boolean": (_boolean_from_text, "true or false"),
    "date-time": (timestamp_from_text, "a time"),
    "date": (_date_from_text, "a date"),
}


def typed_values(attribute: Attribute, text: str) -> tuple[Value, ...]:
    """Return the values that a text may represent, given the type of an attribute.

    A typed attribute has one value. An attribute of any type has the text itself and, if the text
    spells a number or a boolean, that value too.

    Raises:
        InvalidQuery: The text is not of the attribute's type (HTTP 400).
    """
    check_text(text)
    if attribute.is_href:
        return (unquote(text.rstrip("/").rsplit("/", 1)[-1]),)
    kind = attribute.type.value_type
    if kind == "string":
        return attribute.stored_values(text)
    if kind == "any":
        candidates: tuple[Any, ...] = (
            *attribute.stored_values(text),
            number_from_text(text),
            _boolean_from_text(text),
        )
        return tuple(value for value in candidates if value is not None)
    if kind == "object":
        raise InvalidQuery(f"{attribute.path!r} has parts; name one of them")
    parse, expected = _PARSERS[kind]
    if (value := parse(text)) is None:
        value = "" if attribute.blind else f", not {quoted(text)}"
        raise InvalidQuery(f"{attribute.path!r} is {expected}{value}")
    return (value,)
