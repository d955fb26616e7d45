"""Converts dataclasses to JSON documents for MongoDB and Temporal, and back (cattrs).

A field can have a different name in the document: ``field(metadata=stored_as("name"))``. A rename
in the code then changes neither stored documents nor running workflows.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

T = TypeVar("T")
_STORED_AS = "stored_as"


def stored_as(name: str) -> Mapping[str, str]:
    """Return the field metadata that stores a field under another name."""
    return {_STORED_AS: name}


def to_document(value: object) -> Any:  # noqa: ANN401
    """Return a value as plain JSON types.

    >>> from adapters.values import Target
    >>> to_document([Target("gw", "192.0.2.1")])[0]["address"]
    '192.0.2.1'
    """
    return _CONVERTER.unstructure(value)


def from_document(type_: type[T], document: object) -> T:
    """Return the value of a document that ``to_document`` has created.

    Missing members have their defaults and unknown members are ignored, so documents of another
    release can be read.

    Raises:
        KeyError: A member without a default is missing.
    """
    return _CONVERTER.structure(document, type_)


def stored_names(type_: type) -> Mapping[str, str]:
    """Return the names of a dataclass's fields in documents by their names in Python.

    >>> from dataclasses import dataclass, field
    >>> @dataclass
    ... class Entry:
    ...     id: str
    ...     retry_at: float = field(default=0.0, metadata=stored_as("again"))
    >>> dict(stored_names(Entry))
    {'id': 'id', 'retry_at': 'again'}
    """
    return _stored_names(type_)


@cache
def _stored_names(type_: Any) -> Mapping[str, str]:  # noqa: ANN401 - a type, which can be hashed
    return {field.name: field.metadata.get(_STORED_AS, field.name) for field in fields(type_)}


def _converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list}, detailed_validation=False)

    def unstructure_dataclass(type_: type) -> Callable[[Any], dict[str, Any]]:
        return make_dict_unstructure_fn(type_, converter, **_renames(type_))

    def structure_dataclass(type_: type) -> Callable[[Mapping[str, Any], type], Any]:
        return make_dict_structure_fn(type_, converter, **_renames(type_))

    converter.register_unstructure_hook_factory(_is_dataclass, unstructure_dataclass)
    converter.register_structure_hook_factory(_is_dataclass, structure_dataclass)
    # JSON has these types: they are neither converted nor checked
    converter.register_structure_hook_func(_is_plain, lambda value, _: value)
    return converter


def _is_dataclass(type_: object) -> bool:
    return isinstance(type_, type) and is_dataclass(type_)


def _is_plain(type_: object) -> bool:
    """Return whether JSON and BSON have a type."""
    if get_origin(type_) in {Union, UnionType}:
        return all(_is_plain(part) for part in get_args(type_))
    return type_ in {Any, object, str, int, float, bool, datetime, NoneType}


def _renames(type_: type) -> dict[str, Any]:
    return {
        name: override(rename=stored)
        for name, stored in stored_names(type_).items()
        if name != stored
    }


_CONVERTER = _converter()
