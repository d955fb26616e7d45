"""The MongoDB query of a ``filter=`` path: conditions on one element stay on one element."""

from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import FeatureNotImplemented, InvalidQuery
from tmf_apis.rest.query import jsonpath
from tmf_apis.rest.query.attributes import Attribute, QueryableAttributes, Value, typed_values
from tmf_apis.rest.query.filtering import (
    ORDER_OPERATORS,
    MongoQuery,
    all_of,
    any_of,
    comparison_query,
    existence_query,
    ordered_values,
    regex_query,
)
from tmf_apis.rest.query.jsonpath import (
    AllOf,
    AnyOf,
    Compare,
    Exists,
    Expression,
    JsonPath,
    Match,
    Not,
)
from tmf_apis.settings import Settings


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a condition looks from.

    Attributes:
        client_path: The client's path so far; empty at the resource itself.
        document_path: The document path of the array whose element is looked at; empty outside one.
    """

    client_path: str = ""
    document_path: str = ""

    def joined_path(self, name: str) -> str:
        return (
            f"{self.client_path}.{name}" if self.client_path and name else self.client_path or name
        )


def jsonpath_query(text: str, attributes: QueryableAttributes, settings: Settings) -> MongoQuery:
    """Return the MongoDB query of a ``filter=`` parameter.

    Raises:
        InvalidQuery: It is malformed, over a limit, or names what the contract does not have
            (HTTP 400).
        NotImplementedHere: It uses what of JSONPath is not offered (HTTP 501).
    """
    path = jsonpath.parse_path(text, settings)
    return _Compiler(attributes, settings).path_query(path, _Scope())


class _Compiler:
    def __init__(self, attributes: QueryableAttributes, settings: Settings) -> None:
        self._attributes, self._settings = attributes, settings

    def path_query(self, path: JsonPath, scope: _Scope) -> MongoQuery:
        """Return the query for a path that leads to something, seen from a place."""
        names, condition, rest = _split_at_filter(path)
        if condition is None:
            return existence_query(self._attribute(names, scope), exists=True) if names else {}
        if not names:
            if scope.document_path:
                raise FeatureNotImplemented("filter: a filter on the elements of an element")
            return all_of(self.expression_query(condition, scope), self.path_query(rest, scope))
        return self._elements_query(names, condition, rest, scope)

    def expression_query(self, expression: Expression, scope: _Scope) -> MongoQuery:
        """Return the query for an expression, seen from a place."""
        match expression:
            case AllOf(parts):
                return all_of(*(self.expression_query(part, scope) for part in parts))
            case AnyOf(parts):
                return any_of(*(self.expression_query(part, scope) for part in parts))
            case Not(negated):
                return {"$nor": [self.expression_query(negated, scope)]}
            case Exists(path):
                return self.path_query(path, scope)
            case Match(path, pattern, flags):
                limit = self._settings.regex_limit
                return regex_query(
                    self._compared_attribute(path, scope), pattern, limit, options=flags
                )
            case Compare(path, operator, literals):
                return _literal_comparison(
                    self._compared_attribute(path, scope), operator, literals
                )

    def _compared_attribute(self, path: JsonPath, scope: _Scope) -> Attribute:
        names, condition, _ = _split_at_filter(path)
        if condition is not None:
            raise FeatureNotImplemented("filter: a comparison behind a filter")
        if not names:
            raise FeatureNotImplemented("filter: '@' itself can only be compared alone")
        return self._attribute(names, scope)

    def _attribute(self, names: str, scope: _Scope) -> Attribute:
        """Return an attribute with its stored paths as they are seen from the place."""
        path = scope.joined_path(names)
        if path.count(".") >= self._settings.jsonpath_segments:
            raise InvalidQuery(f"filter: at most {self._settings.jsonpath_segments} segments")
        found = self._attributes.find(path)
        if not scope.document_path:
            return found
        inside = scope.document_path + "."
        stored = tuple(
            one.removeprefix(inside) for one in found.document_paths if one.startswith(inside)
        )
        if not stored:
            raise FeatureNotImplemented(f"filter: {path!r} is not kept in {scope.client_path!r}")
        return Attribute(path, found.type, stored, stored_value=found.stored_value)

    def _elements_query(
        self, names: str, condition: Expression, rest: JsonPath, scope: _Scope
    ) -> MongoQuery:
        """Return the query for an element at ``names`` that meets a condition."""
        last = self._attribute(names, scope)
        array = self._innermost_array(names, last, scope)
        inner = scope.joined_path(names)
        if array is None:
            return self._element_query(
                condition, rest, _Scope(inner, scope.document_path), existence_implied=False
            )
        if isinstance(condition, Compare) and not condition.path:
            return self._scalars_query(last, condition, rest)
        clauses = []
        for seen in array.document_paths:
            whole = f"{scope.document_path}.{seen}" if scope.document_path else seen
            at = _Scope(inner, whole)
            element = self._element_query(
                condition, rest, at, existence_implied=array.path == inner
            )
            clauses.append({seen: {"$elemMatch": element}})
        return any_of(*clauses)

    def _element_query(
        self, condition: Expression, rest: JsonPath, scope: _Scope, *, existence_implied: bool
    ) -> MongoQuery:
        """Return the query for what is at a place; it has to be there to meet a condition."""
        there = (
            {} if existence_implied else existence_query(self._attribute("", scope), exists=True)
        )
        return all_of(there, self.expression_query(condition, scope), self.path_query(rest, scope))

    def _innermost_array(self, names: str, last: Attribute, scope: _Scope) -> Attribute | None:
        """Return the innermost array on the way, or None where there is one value at most."""
        steps = names.split(".")
        arrays = last.type.array_segments[-len(steps) :]
        if last.type.value_type == "any":
            return last
        if True not in arrays:
            return None
        length = len(steps) - arrays[::-1].index(True)
        return last if length == len(steps) else self._attribute(".".join(steps[:length]), scope)

    @staticmethod
    def _scalars_query(last: Attribute, condition: Compare, rest: JsonPath) -> MongoQuery:
        if rest or condition.operator == "ne":
            raise FeatureNotImplemented(
                "filter: '!=' on the elements of a list, or a path behind it"
            )
        return _literal_comparison(last, condition.operator, condition.literals)


def _split_at_filter(path: JsonPath) -> tuple[str, Expression | None, JsonPath]:
    """Return the names up to the first filter, that filter, and what follows it."""
    names: list[str] = []
    for position, step in enumerate(path):
        if step.condition is not None:
            return ".".join(names), step.condition, path[position + 1 :]
        names.append(step.name)
    return ".".join(names), None, ()


def _literal_comparison(
    attribute: Attribute, operator: str, literals: tuple[jsonpath.Literal, ...]
) -> MongoQuery:
    texts = [literal for literal in literals if literal is not None]
    if operator in ORDER_OPERATORS:
        if not texts:
            raise InvalidQuery("filter: null has no order")
        meant = [value for text in texts for value in ordered_values(attribute, text)]
        return comparison_query(attribute, operator, meant)
    values: list[Any] = [value for text in texts for value in typed_values(attribute, text)]
    if len(texts) < len(literals):
        return _null_comparison(attribute, operator, values)
    return comparison_query(attribute, operator, values)


def _null_comparison(attribute: Attribute, operator: str, values: list[Value]) -> MongoQuery:
    """Return the query for a list of values with null in it; null is where there is nothing."""
    if operator == "ne":
        others = [comparison_query(attribute, "ne", values)] if values else []
        return all_of(existence_query(attribute, exists=True), *others)
    others = [comparison_query(attribute, "eq", values)] if values else []
    return any_of(existence_query(attribute, exists=False), *others)
