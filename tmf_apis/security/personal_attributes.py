"""The personal attributes of each kind, by the rules of ``personal_table``; pure, no I/O.

A rule is a path of attribute names. It covers the attribute at the path and everything below it,
except the members that only identify or type a part (``STRUCTURAL_MEMBERS``): a place keeps its
``id``, a contact medium its ``@type`` and ``preferred``.

A rule without a kind matches at any depth of every kind outside ``IMPERSONAL_KINDS``
(``contactMedium``, ``engagedParty.name``). A rule that begins with a kind is the path from the root
of that kind's resources (``Customer.name``). Characteristics are covered by their names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from tmf_apis.security.personal_table import (
    DEFAULT_CHARACTERISTICS,
    DEFAULT_RULES,
    IMPERSONAL_KINDS,
    NAME_RULES,
    STRUCTURAL_MEMBERS,
)
from tmf_apis.settings import Settings

Resource = dict[str, Any]
#: Position of a value in a resource: names of members and indexes of arrays.
Pointer = list[str | int]

#: What a client without the scope ``pii`` reads instead of a personal text.
MASK = "***"

#: The masked form of a value that is no text.
_LEFT_OUT = object()
_SEPARATORS = re.compile(r"[\s_\-.]+")


class Coverage(Enum):
    """The share of the values at a path that is personal: none, some or all."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A personal value of a resource.

    Attributes:
        pointer: Its position.
        value: The value: text, number, boolean or a list of these.
    """

    pointer: Pointer
    value: Any

    @property
    def path(self) -> str:
        """The path without indexes, as queries name it: "contactMedium.emailAddress"."""
        return ".".join(step for step in self.pointer if isinstance(step, str))


class AttributeRules:
    """The personal attributes of one kind."""

    def __init__(
        self, rules: Iterable[tuple[bool, tuple[str, ...]]], characteristics: Iterable[str]
    ) -> None:
        """Index the rules by their last name.

        Args:
            rules: For each rule: whether it begins at the root, and its names.
            characteristics: Names of personal characteristics.
        """
        self._rules: dict[str, list[tuple[bool, tuple[str, ...]]]] = {}
        for is_rooted, names in rules:
            self._rules.setdefault(names[-1], []).append((is_rooted, names))
        self._characteristics = frozenset(map(characteristic_key, characteristics))
        # each name ends in a quote: a member, or in the value of "name" a characteristic
        self._marks = tuple(f'"{name}":'.encode() for name in sorted(self._rules))
        alternatives = "|".join(
            r"[\s_\\.-]*".join(map(re.escape, name)) for name in sorted(self._characteristics)
        )
        pattern = rf'"name":\s*"(?:{alternatives})"' if alternatives.isascii() else '"name":'
        self._named = re.compile(pattern.encode(), re.IGNORECASE) if alternatives else None

    def may_occur_in(self, json: bytes) -> bool:
        """Return whether a JSON text can have a personal attribute; False is certain."""
        return any(mark in json for mark in self._marks) or bool(
            self._named and self._named.search(json)
        )

    def coverage(self, path: str) -> Coverage:
        """Return how the values at a path of the stored form are covered.

        >>> rules = PersonalAttributes().rules("Customer")
        >>> rules.coverage("contactMedium.emailAddress").value, rules.coverage("status").value
        ('all', 'none')
        >>> rules.coverage("characteristic.value").value, rules.coverage("contactMedium.id").value
        ('some', 'none')
        """
        names = path.split(".")
        inside = False
        for position, name in enumerate(names):
            if _is_structural(name) and inside:
                return Coverage.NONE
            inside = inside or self._matches(names[: position + 1])
        if inside:
            return Coverage.ALL
        return Coverage.SOME if "value" in names and self._characteristics else Coverage.NONE

    def split(self, resource: Resource) -> tuple[Resource, list[Leaf]]:
        """Return a resource without its personal values, and these values.

        A personal text is replaced by ``MASK``; a number, a boolean and a list of these are left
        out. Parts without personal values are shared with ``resource``.

        >>> resource = {"contactMedium": [{"id": "1", "emailAddress": "a@b.example"}]}
        >>> masked, leaves = PersonalAttributes().rules("Customer").split(resource)
        >>> masked["contactMedium"], leaves[0].pointer
        ([{'id': '1', 'emailAddress': '***'}], ['contactMedium', 0, 'emailAddress'])
        """
        leaves: list[Leaf] = []
        masked = self._split_object(resource, [], [], leaves, inside=False)
        return masked, leaves

    def masked(self, resource: Resource) -> Resource:
        """Return a resource without its personal values."""
        return self.split(resource)[0]

    def _split_object(
        self, value: Resource, pointer: Pointer, names: list[str], leaves: list[Leaf], *,
        inside: bool,
    ) -> Resource:  # fmt: skip
        changed: Resource = {}
        is_named = not inside and self._is_personal_characteristic(value)
        for name, member in value.items():
            if _is_structural(name) and inside:
                continue
            names.append(name)
            covered = inside or (is_named and name == "value") or self._matches(names)
            part = self._split_member(member, [*pointer, name], names, leaves, inside=covered)
            names.pop()
            if part is not member:
                changed[name] = part
        if not changed:
            return value
        merged = {**value, **changed}
        return {name: member for name, member in merged.items() if member is not _LEFT_OUT}

    def _split_member(
        self,
        member: Any,  # noqa: ANN401
        pointer: Pointer,
        names: list[str],
        leaves: list[Leaf],
        *,
        inside: bool,
    ) -> Any:  # noqa: ANN401
        """Return the masked form of a member; ``_LEFT_OUT``: it has none."""
        if isinstance(member, dict):
            return self._split_object(member, pointer, names, leaves, inside=inside)
        if isinstance(member, list) and any(isinstance(item, dict | list) for item in member):
            items = [
                self._split_member(item, [*pointer, index], names, leaves, inside=inside)
                for index, item in enumerate(member)
            ]
            if all(new is old for new, old in zip(items, member, strict=True)):
                return member
            return [None if item is _LEFT_OUT else item for item in items]
        if not inside or member is None or member == []:
            return member
        leaves.append(Leaf(pointer, member))
        return MASK if isinstance(member, str) else _LEFT_OUT

    def _matches(self, names: Sequence[str]) -> bool:
        """Return whether a rule covers the attribute at a path."""
        if (rules := self._rules.get(names[-1])) is None:
            return False
        path = tuple(names)
        return any(
            path == rule if is_rooted else path[-len(rule) :] == rule for is_rooted, rule in rules
        )

    def _is_personal_characteristic(self, value: Resource) -> bool:
        if "value" not in value:
            return False
        name = value.get("name")
        return isinstance(name, str) and characteristic_key(name) in self._characteristics


class PersonalAttributes:
    """The table: the rules of each kind.

    Attributes:
        fingerprint: Changes when the table changes; documents are sealed again then.
    """

    def __init__(
        self,
        changes: Sequence[str] = (),
        characteristics: Sequence[str] = (),
        *,
        with_names: bool = False,
    ) -> None:
        """Create the table.

        Args:
            changes: Further rules; one that begins with ``-`` removes a rule.
            characteristics: Further names of personal characteristics; one that begins with ``-``
                removes a name.
            with_names: Names of persons are personal.
        """
        self.with_names = with_names
        names = NAME_RULES if with_names else ()
        self._rules = _changed_names((*DEFAULT_RULES, *names), changes)
        self._characteristics = _changed_names(DEFAULT_CHARACTERISTICS, characteristics)
        self._characteristic_keys = frozenset(map(characteristic_key, self._characteristics))
        self._by_kind: dict[str, AttributeRules | None] = {}
        parts = [*self._rules, "|", *self._characteristics]
        self.fingerprint = "\n".join(parts)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the table of a configuration."""
        return cls(
            settings.pii_attributes,
            settings.pii_characteristics,
            with_names=settings.pii_names,
        )

    def rules(self, kind: str) -> AttributeRules | None:
        """Return the rules of a kind; None if its resources describe no person."""
        if kind not in self._by_kind:
            self._by_kind[kind] = self._rules_of(kind)
        return self._by_kind[kind]

    def masked(self, kind: str, resource: Resource) -> Resource:
        """Return a resource without its personal values."""
        rules = self.rules(kind)
        return rules.masked(resource) if rules else resource

    def coverage(self, kind: str, path: str) -> Coverage:
        """Return how the values at a path of a kind's stored form are covered."""
        rules = self.rules(kind)
        return rules.coverage(path) if rules else Coverage.NONE

    def is_personal_characteristic(self, name: str) -> bool:
        """Return whether a characteristic of this name is personal."""
        return characteristic_key(name) in self._characteristic_keys

    def table(self) -> list[str]:
        """Return the rules in force, sorted."""
        return sorted(self._rules)

    def _rules_of(self, kind: str) -> AttributeRules | None:
        own = [rule.partition(".")[2] for rule in self._rules if rule.partition(".")[0] == kind]
        if kind in IMPERSONAL_KINDS:
            if not own:
                return None
            return AttributeRules([(True, tuple(path.split("."))) for path in own], ())
        general = [rule for rule in self._rules if not _has_kind(rule)]
        rules = [(True, tuple(path.split("."))) for path in own]
        rules += [(False, tuple(path.split("."))) for path in general]
        return AttributeRules(rules, self._characteristics)


def restored(masked: Mapping[str, Any], leaves: Iterable[Leaf]) -> None:
    """Put personal values back into a masked resource, in place.

    A value whose position is not there (the resource was read in part) is left out.
    """
    for leaf in leaves:
        *parents, last = leaf.pointer
        container: Any = masked
        try:
            for step in parents:
                container = container[step]
            container[last] = leaf.value
        except (KeyError, IndexError, TypeError):
            continue


def characteristic_key(name: str) -> str:
    """Return the name of a characteristic without case and separators.

    >>> characteristic_key("Birth-Date"), characteristic_key("birth_date")
    ('birthdate', 'birthdate')
    """
    return _SEPARATORS.sub("", name).casefold()


def _changed_names(names: Iterable[str], changes: Iterable[str]) -> tuple[str, ...]:
    """Return names with further ones, and without those that follow a ``-``, sorted.

    >>> _changed_names(["a", "b"], ["-a", "c"])
    ('b', 'c')
    """
    removed = {change.removeprefix("-") for change in changes if change.startswith("-")}
    added = {change for change in changes if not change.startswith("-")}
    return tuple(sorted({*names, *added} - removed))


def _has_kind(rule: str) -> bool:
    """Return whether a rule begins with a kind; attributes begin with a lower-case letter."""
    return rule[:1].isupper()


def _is_structural(name: str) -> bool:
    return name in STRUCTURAL_MEMBERS or name[:1] == "@"
