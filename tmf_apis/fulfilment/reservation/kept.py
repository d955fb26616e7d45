"""Values of fulfilment as documents and back: what the journal keeps."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Read = Callable[[Any], Any]


def document(value: object) -> Any:  # noqa: ANN401
    """Return a value as plain JSON types.

    >>> from adapters.values import Target
    >>> document([Target("gw", "192.0.2.1")])[0]["address"]
    '192.0.2.1'
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {name: document(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {key: document(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [document(one) for one in value]
    return value


def value(kind: type[T], kept: object) -> T:
    """Return the value of a kind that a document was made from.

    Members that the document lacks have their default, so that what an older release has kept
    can still be read.
    """
    read: _Read = _reader(cast("Hashable", kind))
    return cast("T", read(kept))


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


@cache
def _reader(hint: Any) -> _Read:  # noqa: ANN401
    origin, inside = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _dataclass(cast("type", hint))
    if origin is tuple:
        reads = [_reader(one) for one in inside if one is not Ellipsis]
        if inside[-1] is Ellipsis:
            return lambda kept: tuple(map(reads[0], kept))
        return lambda kept: tuple(read(one) for read, one in zip(reads, kept, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        read = _reader(inside[1])
        return lambda kept: {key: read(one) for key, one in kept.items()}
    if origin in {Union, UnionType} and NoneType in inside:
        present = [one for one in inside if one is not NoneType]
        read = _reader(present[0]) if len(present) == 1 else _same
        return lambda kept: None if kept is None else read(kept)
    return _same


def _dataclass(kind: type) -> _Read:
    hints = get_type_hints(kind)
    reads = {name: _reader(hints[name]) for name in _names(kind)}

    def read(kept: Mapping[str, Any]) -> object:
        return kind(**{name: one(kept[name]) for name, one in reads.items() if name in kept})

    return read


def _same(kept: object) -> object:
    return kept
