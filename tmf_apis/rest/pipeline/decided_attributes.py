"""The attributes of a resource that a party may not set or change; pure, no I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.party_rules import ANY_ATTRIBUTE, PartyRules, Setter
from tmf_apis.rest.pipeline.policy import Lifecycle, Resource

Path = tuple[str, ...]

#: Members that are not decided by anybody: they name the resource and its type.
_NEUTRAL = frozenset({"id", "href", "@type", "@baseType", "@schemaLocation", "@referredType"})
#: The attributes that a party may set: in a new resource, in its own one, in one of the operator.
_ON_CREATE = frozenset({Setter.OWNER, Setter.CREATOR, Setter.ON_CREATE})
_OF_CREATOR = frozenset({Setter.OWNER, Setter.CREATOR})
_OF_OWNER = frozenset({Setter.OWNER})
#: The attributes that the server may set while it executes a task for a party.
_OF_SERVER = frozenset(Setter) - {Setter.CREATOR}
_MISSING = object()
_NOTHING: Mapping[str, Any] = {}


def check_new(rules: PartyRules, lifecycle: Lifecycle | None, resource: Resource) -> None:
    """Check that a party sets no attribute in a new resource that the operator decides.

    The initial state of the lifecycle is allowed, because the server would set it.

    Raises:
        Forbidden: It sets one; the message names it (HTTP 403).
    """
    default = {}
    if lifecycle and resource.get(lifecycle.attribute) == lifecycle.initial_states[0]:
        default[lifecycle.attribute] = lifecycle.initial_states[0]
    _check(rules, default, resource, allowed=_ON_CREATE)


def check_changed(
    rules: PartyRules,
    lifecycle: Lifecycle | None,
    old: Resource,
    new: Resource,
    *,
    is_creator: bool,
) -> None:
    """Check that a party changes no attribute that the operator decides.

    Args:
        rules: The rules of the kind.
        lifecycle: The state machine of the kind.
        old: The resource before.
        new: The resource after.
        is_creator: The party created the resource.

    Raises:
        Forbidden: It changes one, or moves the resource to a state that only the operator may move
            it to; the message names the attribute (HTTP 403).
    """
    _check(rules, old, new, allowed=_OF_CREATOR if is_creator else _OF_OWNER)
    if lifecycle is None or rules.states is None:
        return
    before, after = old.get(lifecycle.attribute), new.get(lifecycle.attribute)
    if before != after and after is not None and after not in rules.states:
        states = ", ".join(sorted(rules.states))
        raise Forbidden(f"/{lifecycle.attribute}: a party may move it only to {states}")


def check_created(rules: PartyRules, old: Resource, new: Resource, *, is_creator: bool) -> None:
    """Check that a task of a party changes no attribute that only the creator decides.

    The server itself sets all other attributes while it executes a task.

    Raises:
        Forbidden: The party has not created the resource (HTTP 403).
    """
    if not is_creator and Setter.CREATOR in rules.setters.values():
        _check(rules, old, new, allowed=_OF_SERVER)


def _check(rules: PartyRules, old: Resource, new: Resource, allowed: frozenset[Setter]) -> None:
    if rules.setters.get(ANY_ATTRIBUTE, Setter.OWNER) not in allowed:
        for name in sorted({*old, *new} - _NEUTRAL):
            if name not in rules.setters and old.get(name) != new.get(name):
                _refuse(f"/{name}", rules.setters[ANY_ATTRIBUTE])
    for first, parents, names in _forbidden_paths(rules, allowed):
        if first is None:
            _check_names(rules, old, new, names)
        elif new.get(first) != old.get(first) and (
            difference := _difference(old, new, parents, names)
        ):
            pointer, path = difference
            _refuse(pointer, rules.setters[path])


@cache
def _forbidden_paths(
    rules: PartyRules, allowed: frozenset[Setter]
) -> tuple[tuple[str | None, Path, tuple[str, ...]], ...]:
    """Return the attributes that are not allowed, grouped by the objects that hold them.

    Each group has the first segment of the path of the holders (None: the resource itself), the
    path, and the names of the attributes.
    """
    groups: dict[Path, list[str]] = {}
    for path, setter in rules.setters.items():
        if setter not in allowed and path != ANY_ATTRIBUTE:
            *parents, name = path.split(".")
            groups.setdefault(tuple(parents), []).append(name)
    return tuple(
        (parents[0] if parents else None, parents, tuple(names))
        for parents, names in groups.items()
    )


def _check_names(rules: PartyRules, old: Resource, new: Resource, names: tuple[str, ...]) -> None:
    for name in names:
        if new.get(name, _MISSING) != old.get(name, _MISSING):
            _refuse(f"/{name}", rules.setters[name])


def _refuse(pointer: str, setter: Setter) -> None:
    who = {
        Setter.CREATOR: "only its creator and the operator change this attribute",
        Setter.ON_CREATE: "only the operator changes this attribute",
    }
    raise Forbidden(f"{pointer}: {who.get(setter, 'only the operator sets this attribute')}")


def _difference(
    old: Resource, new: Resource, parents: Path, names: tuple[str, ...]
) -> tuple[str, str] | None:
    """Return pointer and path of an attribute that differs; None if all are the same.

    An object that the new resource does not have any more does not count.
    """
    before = dict(_holders(old, parents))
    for key, holder in _holders(new, parents):
        earlier = before.get(key, _NOTHING)
        for name in names:
            if holder.get(name, _MISSING) != earlier.get(name, _MISSING):
                return "/" + "/".join((*key, name)), ".".join((*parents, name))
    return None


def _holders(
    value: Any,  # noqa: ANN401
    path: Path,
    key: Path = (),
    name: str = "",
) -> Iterator[tuple[Path, Resource]]:
    """Yield key and object of each object at a path.

    An object in an array is known by its ``id``, so that the order of the array does not matter. An
    attribute may contain others of the same name (the parts of an order item).

    Args:
        value: The value.
        path: The names that are left.
        key: The names and ids that lead to the value.
        name: The name of the attribute that holds the value.
    """
    if isinstance(value, list):
        seen = Counter[str]()
        for index, item in enumerate(value):
            label = str(item.get("id", index)) if isinstance(item, dict) else str(index)
            seen[label] += 1
            label += f" ({seen[label]})" if seen[label] > 1 else ""
            yield from _holders(item, path, (*key, label), name)
    elif isinstance(value, dict):
        if not path:
            yield key, value
        elif path[0] in value:
            yield from _holders(value[path[0]], path[1:], (*key, path[0]), path[0])
        if name in value and path[:1] != (name,):
            yield from _holders(value[name], path, (*key, name), name)
