"""Attributes of a body that only the other version has, where the transforms move them.

A client of version 4 may send what its contract does not have. If the name is one of version 5
(``creationDate`` of an order), version 5 would show it under another name (``orderDate``), or in
the place of something else. Such an attribute is refused; any other one has its name in both.

The rule: an attribute that the client's version does not have is treated like one whose name no
version has. The body is transformed a second time with names that no client can send.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final

from tmf_apis.rest.query.schema_paths import AttributeNode
from tmf_apis.rest.query.unknown_attributes import Unknown
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.structural_transforms import FirstItem
from tmf_apis.rest.views.transforms import Json, NestedViews, Rename

#: Precedes a name that no version has; no body has a name with this character.
_NEUTRAL: Final = "\0"
_CONFLICT: Final = object()


def displaced_attributes(
    kind: str, version: str, body: Json, node: AttributeNode, unknown: Sequence[Unknown]
) -> dict[Unknown, str]:
    """Return the unknown attributes that the other version would show as something else.

    Args:
        kind: The kind.
        version: The version of the client.
        body: The resource in the form of the client.
        node: The attributes that the body may have.
        unknown: Its attributes that the contract does not have.

    Returns:
        The attributes, with the path of the client's version that has the same meaning; an empty
        path if there is none.
    """
    if not versions.view_of(kind):
        return {}
    extensions = _extensions(kind, version)
    shown = _other_form(kind, version, body)
    if _is_same(shown, _other_form(kind, version, _neutral(body, node, extensions))):
        return {}
    moved = [
        each
        for each in unknown
        if not _is_same(shown, _other_form(kind, version, _with_neutral(body, each.steps)))
    ]
    culprits = [each for each in moved if each.path not in extensions] or moved or unknown
    return {each: _counterpart(kind, body, each) for each in culprits}


@cache
def _extensions(kind: str, version: str) -> Collection[str]:
    """Return the attributes without a contract that a version takes from its clients.

    These are the attributes with a view, and in version 4 the rest of a list of which it has one
    item only.
    """
    viewed, remainders, renamed = set[str](), set[str](), set[str]()
    for step in versions.view_of(kind):
        if isinstance(step, NestedViews):
            viewed |= step.views.keys()
        elif isinstance(step, FirstItem):
            remainders |= step.affected_members
        elif isinstance(step, Rename):
            renamed |= step.affected_members
    return viewed | remainders if version == "v4" else viewed - remainders - renamed


def _other_form(kind: str, version: str, body: Json) -> Json:
    """Return a body in the form of the other version, with the names of the client."""
    form = versions.to_stored(kind, version, body)
    other = "v5" if version == "v4" else "v4"
    named: Json = _with_names(versions.from_stored(kind, other, form))
    return named


def _neutral(value: Any, node: AttributeNode | None, extensions: Collection[str] = ()) -> Any:  # noqa: ANN401
    """Return a value whose unknown attributes have names that no version has."""
    if isinstance(value, list):
        return [_neutral(item, node) for item in value]
    if not isinstance(value, dict) or node is None:
        return value
    result: Json = {}
    for name, member in value.items():
        if name in node.names:
            result[name] = _neutral(member, node.child(name))
        elif name not in extensions:
            result[_NEUTRAL + name] = member
        elif isinstance(member, dict):
            result[name] = {_NEUTRAL + inner: item for inner, item in member.items()}
        else:
            result[name] = member
    return result


def _with_neutral(value: Any, steps: Sequence[str | int]) -> Any:  # noqa: ANN401
    """Return a value in which the attribute at some steps has a name that no version has."""
    step, *rest = steps
    if isinstance(value, list):
        return [_with_neutral(v, rest) if index == step else v for index, v in enumerate(value)]
    if rest:
        return {n: _with_neutral(v, rest) if n == step else v for n, v in value.items()}
    return {f"{_NEUTRAL}{n}" if n == step else n: v for n, v in value.items()}


def _with_names(value: Any) -> Any:  # noqa: ANN401
    """Return a value whose unknown attributes have the names that the client gave them."""
    if isinstance(value, list):
        return [_with_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {n: _with_names(v) for n, v in value.items() if not n.startswith(_NEUTRAL)}
    for name, member in value.items():
        if name.startswith(_NEUTRAL):
            known = name.removeprefix(_NEUTRAL)
            result[known] = _merged(result[known], member) if known in result else member
    return result


def _merged(value: Any, other: Any) -> Any:  # noqa: ANN401
    """Return two values of one attribute as one; a conflict unless they are consistent."""
    if isinstance(value, dict) and isinstance(other, dict):
        both = {n: _merged(value[n], other[n]) for n in value.keys() & other.keys() - {"@type"}}
        return {**value, **other, **both}
    return value if value == other else _CONFLICT


def _is_same(value: Any, other: Any) -> bool:  # noqa: ANN401
    """Return whether two values are equal apart from types, which a version may add."""
    if isinstance(value, dict) and isinstance(other, dict):
        names = value.keys() - {"@type"}
        return names == other.keys() - {"@type"} and all(
            _is_same(value[name], other[name]) for name in names
        )
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_is_same, value, other))
    return bool(value == other)


def _counterpart(kind: str, body: Json, attribute: Unknown) -> str:
    """Return the path that the client's version has instead of an attribute; empty if none."""
    value: Any = body
    for step in attribute.steps:
        value = value[step]
    names = [step for step in attribute.steps if isinstance(step, str)]
    for path in _leaf_paths(".".join(names), value):
        # The transforms exchange names, so the path of the other version leads to the client's.
        for counterpart in versions.stored_paths(kind, "v4", path):
            if counterpart != path:
                return counterpart
    return ""


def _leaf_paths(path: str, value: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the dotted paths of an attribute and of its members."""
    yield path
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaf_paths(f"{path}.{name}", member)
