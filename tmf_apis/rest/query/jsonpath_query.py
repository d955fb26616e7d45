"""Compile a ``filter=`` path to MongoDB; conditions on an element apply to the same element."""

from dataclasses import dataclass, replace

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
    order_query,
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
    """The position that ``@`` in a condition refers to.

    Attributes:
        client_path: The client's path to the position; empty at the resource itself.
        document_path: The document path of the array that contains the position; empty outside an
            array.
    """

    client_path: str = ""
    document_path: str = ""

    def joined_path(self, name: str) -> str:
        if self.client_path and name:
            return f"{self.client_path}.{name}"
        return self.client_path or name


def jsonpath_query(text: str, attributes: QueryableAttributes, settings: Settings) -> MongoQuery:
    """Return the MongoDB query of a ``filter=`` parameter.

    Raises:
        InvalidQuery: The path is malformed, over a limit, or names an attribute that the contract
            does not have (HTTP 400).
        FeatureNotImplemented: The path uses an unsupported feature of JSONPath (HTTP 501).
    """
    path = jsonpath.parse_path(text, settings)
    return _Compiler(attributes, settings).path_query(path, _Scope())


class _Compiler:
    def __init__(self, attributes: QueryableAttributes, settings: Settings) -> None:
        self._attributes, self._settings = attributes, settings

    def path_query(self, path: JsonPath, scope: _Scope) -> MongoQuery:
        """Return the query that matches if a path relative to ``scope`` selects something."""
        names, condition, rest = _split_at_filter(path)
        if condition is None:
            return existence_query(self._attribute(names, scope), exists=True) if names else {}
        if not names:
            if scope.document_path:
                raise FeatureNotImplemented("filter: two filters on one element are not supported")
            return all_of(self.expression_query(condition, scope), self.path_query(rest, scope))
        return self._elements_query(names, condition, rest, scope)

    def expression_query(self, expression: Expression, scope: _Scope) -> MongoQuery:
        """Return the query of an expression whose paths are relative to ``scope``."""
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
                attribute = self._compared_attribute(path, scope)
                limit = self._settings.regex_limit
                return regex_query(attribute, pattern, limit, options=flags)
            case Compare(path, operator, literals):
                attribute = self._compared_attribute(path, scope)
                return _literal_comparison(attribute, operator, literals)

    def _compared_attribute(self, path: JsonPath, scope: _Scope) -> Attribute:
        names, condition, _ = _split_at_filter(path)
        if condition is not None:
            raise FeatureNotImplemented("filter: a filter inside a compared path is not supported")
        if not names:
            raise FeatureNotImplemented(
                "filter: comparing '@' beside other conditions is not supported"
            )
        return self._attribute(names, scope)

    def _attribute(self, names: str, scope: _Scope) -> Attribute:
        """Return an attribute with document paths relative to ``scope``."""
        path = scope.joined_path(names)
        if path.count(".") >= self._settings.jsonpath_segments:
            raise InvalidQuery(f"filter: at most {self._settings.jsonpath_segments} segments")
        attribute = self._attributes.find(path)
        if not scope.document_path:
            return attribute
        prefix = scope.document_path + "."
        relative_paths = tuple(
            document_path.removeprefix(prefix)
            for document_path in attribute.document_paths
            if document_path.startswith(prefix)
        )
        if attribute.blind:
            attribute.blind.require_plain("supports no condition inside an array")
            attribute = replace(attribute, blind=None)
        if not relative_paths:
            raise FeatureNotImplemented(f"filter: {path!r} is not stored in {scope.client_path!r}")
        return replace(attribute, document_paths=relative_paths)

    def _elements_query(
        self, names: str, condition: Expression, rest: JsonPath, scope: _Scope
    ) -> MongoQuery:
        """Return the query that matches if an element at ``names`` matches a condition."""
        last = self._attribute(names, scope)
        if single := self._personal_comparison(names, condition, rest, scope):
            return single
        array = self._innermost_array(names, last, scope)
        client_path = scope.joined_path(names)
        if array is None:
            inner = _Scope(client_path, scope.document_path)
            return self._element_query(condition, rest, inner, existence_implied=False)
        if isinstance(condition, Compare) and not condition.path:
            return self._scalars_query(last, condition, rest)
        implied = array.path == client_path
        clauses = []
        for path in array.document_paths:
            document_path = f"{scope.document_path}.{path}" if scope.document_path else path
            inner = _Scope(client_path, document_path)
            element = self._element_query(condition, rest, inner, existence_implied=implied)
            clauses.append({path: {"$elemMatch": element}})
        return any_of(*clauses)

    def _personal_comparison(
        self, names: str, condition: Expression, rest: JsonPath, scope: _Scope
    ) -> MongoQuery | None:
        """Return the query of one comparison with a personal value of any element; or None."""
        if scope.document_path or rest or not isinstance(condition, Compare) or not condition.path:
            return None
        if condition.operator != "eq" or any(step.condition for step in condition.path):
            return None
        path = ".".join((names, *(step.name for step in condition.path)))
        attribute = self._attribute(path, _Scope())
        is_personal = attribute.blind is not None and attribute.blind.is_whole
        return _literal_comparison(attribute, "eq", condition.literals) if is_personal else None

    def _element_query(
        self, condition: Expression, rest: JsonPath, scope: _Scope, *, existence_implied: bool
    ) -> MongoQuery:
        """Return the query that matches if ``scope`` selects something that matches a condition."""
        queries = [self.expression_query(condition, scope), self.path_query(rest, scope)]
        if not existence_implied:
            queries.insert(0, existence_query(self._attribute("", scope), exists=True))
        return all_of(*queries)

    def _innermost_array(self, names: str, last: Attribute, scope: _Scope) -> Attribute | None:
        """Return the innermost array on the path, or None if there is at most one value."""
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
                "filter: '!=' on the elements of a list, or a path after it, is not supported"
            )
        return _literal_comparison(last, condition.operator, condition.literals)


def _split_at_filter(path: JsonPath) -> tuple[str, Expression | None, JsonPath]:
    """Return the names up to the first filter, that filter, and the steps after it."""
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
        return order_query(attribute, operator, texts)
    values = [value for text in texts for value in typed_values(attribute, text)]
    if len(texts) < len(literals):
        return _null_comparison(attribute, operator, values)
    return comparison_query(attribute, operator, values)


def _null_comparison(attribute: Attribute, operator: str, values: list[Value]) -> MongoQuery:
    """Return the query for a list of values that includes null, which means: no value."""
    if operator == "ne":
        others = [comparison_query(attribute, "ne", values)] if values else []
        return all_of(existence_query(attribute, exists=True), *others)
    others = [comparison_query(attribute, "eq", values)] if values else []
    return any_of(existence_query(attribute, exists=False), *others)
