"""The MongoDB query of a ``filter=`` path: conditions on one element stay on one element."""

from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidQuery, NotImplementedHere
from tmf_apis.rest import jsonpath
from tmf_apis.rest.attributes import Attribute, Attributes, Value, readings
from tmf_apis.rest.filtering import (
    ORDER,
    Query,
    both,
    compared,
    either,
    existing,
    matched,
    ordering,
)
from tmf_apis.rest.jsonpath import All, Compare, Exists, Expression, Match, Not, One, Path
from tmf_apis.settings import Settings


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a condition looks from.

    Attributes:
        client: The client's path so far; empty at the resource itself.
        document: The document path of the array whose element is looked at; empty outside one.
    """

    client: str = ""
    document: str = ""

    def path(self, name: str) -> str:
        return f"{self.client}.{name}" if self.client and name else self.client or name


def selecting(text: str, attributes: Attributes, settings: Settings) -> Query:
    """Return the MongoDB query of a ``filter=`` parameter.

    Raises:
        InvalidQuery: It is malformed, over a limit, or names what the contract does not have
            (HTTP 400).
        NotImplementedHere: It uses what of JSONPath is not offered (HTTP 501).
    """
    path = jsonpath.parsed(text, settings)
    return _Compiler(attributes, settings).at_path(path, _Place())


class _Compiler:
    def __init__(self, attributes: Attributes, settings: Settings) -> None:
        self._attributes, self._settings = attributes, settings

    def at_path(self, path: Path, place: _Place) -> Query:
        """Return the query for a path that leads to something, seen from a place."""
        names, condition, rest = _split(path)
        if condition is None:
            return existing(self._find(names, place), there=True) if names else {}
        if not names:
            if place.document:
                raise NotImplementedHere("filter: a filter on the elements of an element")
            return both(self.met(condition, place), self.at_path(rest, place))
        return self._elements(names, condition, rest, place)

    def met(self, expression: Expression, place: _Place) -> Query:
        """Return the query for an expression, seen from a place."""
        match expression:
            case All(parts):
                return both(*(self.met(part, place) for part in parts))
            case One(parts):
                return either(*(self.met(part, place) for part in parts))
            case Not(negated):
                return {"$nor": [self.met(negated, place)]}
            case Exists(path):
                return self.at_path(path, place)
            case Match(path, pattern, flags):
                limit = self._settings.regex_limit
                return matched(self._of(path, place), pattern, limit, options=flags)
            case Compare(path, operator, literals):
                return _comparison(self._of(path, place), operator, literals)

    def _of(self, path: Path, place: _Place) -> Attribute:
        names, condition, _ = _split(path)
        if condition is not None:
            raise NotImplementedHere("filter: a comparison behind a filter")
        if not names:
            raise NotImplementedHere("filter: '@' itself can only be compared alone")
        return self._find(names, place)

    def _find(self, names: str, place: _Place) -> Attribute:
        """Return an attribute with its stored paths as they are seen from the place."""
        path = place.path(names)
        if path.count(".") >= self._settings.jsonpath_segments:
            raise InvalidQuery(f"filter: at most {self._settings.jsonpath_segments} segments")
        found = self._attributes.find(path)
        if not place.document:
            return found
        inside = place.document + "."
        stored = tuple(one.removeprefix(inside) for one in found.stored if one.startswith(inside))
        if not stored:
            raise NotImplementedHere(f"filter: {path!r} is not kept in {place.client!r}")
        return Attribute(path, found.type, stored, translate=found.translate)

    def _elements(self, names: str, condition: Expression, rest: Path, place: _Place) -> Query:
        """Return the query for an element at ``names`` that meets a condition."""
        last = self._find(names, place)
        array = self._array(names, last, place)
        inner = place.path(names)
        if array is None:
            return self._element(condition, rest, _Place(inner, place.document), owned=False)
        if isinstance(condition, Compare) and not condition.path:
            return self._scalars(last, condition, rest)
        clauses = []
        for seen in array.stored:
            whole = f"{place.document}.{seen}" if place.document else seen
            at = _Place(inner, whole)
            element = self._element(condition, rest, at, owned=array.path == inner)
            clauses.append({seen: {"$elemMatch": element}})
        return either(*clauses)

    def _element(self, condition: Expression, rest: Path, place: _Place, *, owned: bool) -> Query:
        """Return the query for what is at a place; it has to be there to meet a condition."""
        there = {} if owned else existing(self._find("", place), there=True)
        return both(there, self.met(condition, place), self.at_path(rest, place))

    def _array(self, names: str, last: Attribute, place: _Place) -> Attribute | None:
        """Return the innermost array on the way, or None where there is one value at most."""
        steps = names.split(".")
        arrays = last.type.arrays[-len(steps) :]
        if last.type.kind == "any":
            return last
        if True not in arrays:
            return None
        length = len(steps) - arrays[::-1].index(True)
        return last if length == len(steps) else self._find(".".join(steps[:length]), place)

    @staticmethod
    def _scalars(last: Attribute, condition: Compare, rest: Path) -> Query:
        if rest or condition.operator == "ne":
            raise NotImplementedHere("filter: '!=' on the elements of a list, or a path behind it")
        return _comparison(last, condition.operator, condition.literals)


def _split(path: Path) -> tuple[str, Expression | None, Path]:
    """Return the names up to the first filter, that filter, and what follows it."""
    names: list[str] = []
    for position, step in enumerate(path):
        if step.condition is not None:
            return ".".join(names), step.condition, path[position + 1 :]
        names.append(step.name)
    return ".".join(names), None, ()


def _comparison(
    attribute: Attribute, operator: str, literals: tuple[jsonpath.Literal, ...]
) -> Query:
    texts = [literal for literal in literals if literal is not None]
    if operator in ORDER:
        if not texts:
            raise InvalidQuery("filter: null has no order")
        meant = [value for text in texts for value in ordering(attribute, text)]
        return compared(attribute, operator, meant)
    values: list[Any] = [value for text in texts for value in readings(attribute, text)]
    if len(texts) < len(literals):
        return _absent_or(attribute, operator, values)
    return compared(attribute, operator, values)


def _absent_or(attribute: Attribute, operator: str, values: list[Value]) -> Query:
    """Return the query for a list of values with null in it; null is where there is nothing."""
    if operator == "ne":
        others = [compared(attribute, "ne", values)] if values else []
        return both(existing(attribute, there=True), *others)
    others = [compared(attribute, "eq", values)] if values else []
    return either(existing(attribute, there=False), *others)
