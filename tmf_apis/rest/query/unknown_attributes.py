"""The attributes of a body that no type of the contract declares, with the nearest names."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import shortened
from tmf_apis.rest.query.schema_paths import AttributeNode

#: Most unknown attributes that are listed.
_LIMIT = 50
_SIMILARITY = 0.7
_CONTAINERS = frozenset({dict, list})


@dataclass(frozen=True, slots=True)
class Unknown:
    """An attribute that the contract does not have.

    Attributes:
        steps: The names and positions that lead to it.
        suggestion: ``; did you mean name?``, or empty.
    """

    steps: tuple[str | int, ...]
    suggestion: str

    @property
    def path(self) -> str:
        """The path in dotted form: ``productOrderItem[0].foo``."""
        parts = (f"[{s}]" if isinstance(s, int) else f".{shortened(s)}" for s in self.steps)
        return "".join(parts).removeprefix(".")

    @property
    def pointer(self) -> str:
        """The JSON pointer (RFC 6901)."""
        names = (shortened(s) if isinstance(s, str) else str(s) for s in self.steps)
        return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)


def unknown_attributes(body: Mapping[str, Any], node: AttributeNode) -> list[Unknown]:
    """Return the attributes of a body that the contract does not have, at any depth.

    What is below an attribute of any type is not looked at.
    """
    unknown: list[Unknown] = []
    if _knows_all(body, node):  # true for most bodies
        return unknown
    for each in _unknown(body, node, ()):
        unknown.append(each)
        if len(unknown) == _LIMIT:
            break
    return unknown


def _knows_all(body: Mapping[str, Any], node: AttributeNode) -> bool:
    """Return whether the contract has all attributes of a body."""
    pending: list[tuple[Any, AttributeNode]] = [(body, node)]
    while pending:
        value, node = pending.pop()
        if type(value) is list:
            pending += [(item, node) for item in value if type(item) in _CONTAINERS]
            continue
        if not value.keys() <= node.names:
            return False
        for name, member in value.items():
            if type(member) in _CONTAINERS and (child := node.child(name)):
                pending.append((member, child))
    return True


def _unknown(
    value: Any,  # noqa: ANN401
    node: AttributeNode,
    steps: tuple[str | int, ...],
) -> Iterator[Unknown]:
    """Yield the unknown attributes of an object, or of the objects of an array."""
    if type(value) is list:
        for index, item in enumerate(value):
            if type(item) in _CONTAINERS:
                yield from _unknown(item, node, (*steps, index))
        return
    if not value.keys() <= node.names:
        for name in (name for name in value if name not in node.names):
            yield Unknown((*steps, name), suggestion(name, node.names))
    for name, member in value.items():
        if type(member) in _CONTAINERS and (child := node.child(name)):
            yield from _unknown(member, child, (*steps, name))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the question for the nearest name; empty if none is similar.

    >>> suggestion("descripton", ["description", "name"]), suggestion("x", ["name"])
    ('; did you mean description?', '')
    """
    folded = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(name[:60].lower(), folded, 1, _SIMILARITY)
    return f"; did you mean {folded[nearest[0]]}?" if nearest else ""
