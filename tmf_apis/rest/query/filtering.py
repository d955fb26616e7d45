"""Attribute filters of a query string, compiled to one MongoDB query.

Source: TMF630 part 1, "Attribute filtering".

    a=x  a.eq=x  a==x     a value of a equals x
    a.ne=x  a!=x          no value of a equals x; matches resources without a too
    a.gt=x  a>x           a value of a is greater than x; also .gte >=, .lt <, .lte <=
    a.in=x,y  a.nin=x,y   a value of a is in the list; no value of a is in the list
    a.regex=x  a=~x  a*=x a text value of a matches the pattern (see ``regexes``)
    a.exists=true         a exists; false: a does not exist

- A comma, a semicolon or a repeated filter means OR: ``a=x,y``, ``a=x;y``, ``a=x&a=y``. For
  ``ne`` and ``nin`` they extend the list of excluded values. Another attribute may follow a
  semicolon: ``a>5;b=y``. A pattern is never split, only repeated.
- Different attributes, and different operators on one attribute, mean AND: ``a.gte=1&a.lte=5``.
  In an array, different elements may match the conditions; ``filter=`` (``jsonpath``) requires a
  single element to match all of them.
- Double quotes protect the separators in a value: ``a="x, y"``. An unquoted value with separators
  also matches as a whole, so a client can send a value back as the server returned it.
- Values are compared by the type that the contract declares. If the contract leaves the type open,
  equality compares the text and the number or boolean that it spells. Order compares the number,
  or the text if it is not a number. Booleans have no order.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidQuery, quoted
from tmf_apis.rest.query.attributes import (
    NUMBER_RULE,
    Attribute,
    QueryableAttributes,
    Value,
    check_path,
    check_text,
    is_number,
    typed_values,
)
from tmf_apis.rest.query.regexes import safe_pattern
from tmf_apis.rest.query.version_values import (
    ShownValues,
    values_in_order,
    values_with_pattern,
)
from tmf_apis.settings import Settings

MongoQuery = dict[str, Any]
Pair = tuple[str, str]

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "regex", "exists")
OPERATOR_SYMBOLS: Mapping[str, str] = {
    "=": "eq",
    "==": "eq",
    "!=": "ne",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "=~": "regex",
    "*=": "regex",
}
ORDER_OPERATORS = frozenset({"gt", "gte", "lt", "lte"})
_NEGATIVE_OPERATORS = frozenset({"ne", "nin"})
_UNSPLIT_OPERATORS = frozenset({"regex", "exists"})
_LIST_OPERATORS: Mapping[str, str] = {"in": "eq", "nin": "ne"}

_SYMBOL = r"(>=|<=|==|!=|=~|\*=|[<>=])"
_NAME_AND_SYMBOL = re.compile(rf"([^<>=!*~]*){_SYMBOL}(.*)", re.DOTALL)
_NAME_AND_HALF_SYMBOL = re.compile(r"([^<>=!*~]*)([<>!*])")
_NEXT_FILTER = re.compile(rf"\s*([\w@][\w@.:\-]*){_SYMBOL}")
_QUOTED_VALUE = re.compile(r'\s*"(.*?)"\s*(?:([,;])|\Z)', re.DOTALL)
_UNQUOTED_VALUE = re.compile(r"([^,;]*)([,;]|\Z)")


@dataclass(slots=True)
class Criterion:
    """A condition: a value of an attribute matches one of ``values`` (``ne``: matches none).

    Attributes:
        attribute: The attribute to compare.
        operator: One of ``eq ne gt gte lt lte regex exists``.
        values: The client's values, without quotes.
        unsplit_values: The value before it was split, if splitting changed it: a stored text may
            contain commas itself.
    """

    attribute: Attribute
    operator: str
    values: list[str]
    unsplit_values: list[str]

    @property
    def key(self) -> tuple[str, ...]:
        """Attribute and operator; one of the criteria with the same key has to match."""
        return self.attribute.path, self.operator


def filter_query(
    pairs: Iterable[Pair], attributes: QueryableAttributes, settings: Settings
) -> MongoQuery:
    """Return the MongoDB query of the filters in a query string; empty if there are no filters.

    Args:
        pairs: Name and value of each parameter, decoded, split at the first ``=``; without the
            parameters that are not filters (``fields``, ``limit``, ``sort`` ...).
        attributes: The attributes that the filters may use.
        settings: The limits.

    Raises:
        InvalidQuery: An attribute or operator is unknown, a value is not of its attribute's type,
            or there are too many filters or values (HTTP 400).
    """
    groups: dict[tuple[str, ...], list[Criterion]] = {}
    for position, (name, value) in enumerate(pairs):
        if position >= settings.filter_values:
            raise InvalidQuery(f"a query has at most {settings.filter_values} filters")
        criteria = _merged_criteria(_criteria(name, value, attributes))
        first = criteria[0].key
        key = first if len(criteria) == 1 else (*first, str(position))
        groups[key] = _merged_criteria([*groups.get(key, []), *criteria])
    for group in groups.values():
        if sum(len(criterion.values) for criterion in group) > settings.filter_values:
            raise InvalidQuery(f"a filter has at most {settings.filter_values} values")
    clauses = ([_clause(criterion, settings) for criterion in group] for group in groups.values())
    return all_of(*(any_of(*alternatives) for alternatives in clauses))


def all_of(*queries: MongoQuery) -> MongoQuery:
    """Return the conjunction of queries; clauses on the same path do not override each other."""
    conditions = [query for query in queries if query]
    if len(conditions) > 1:
        return {"$and": conditions}
    return {**conditions[0]} if conditions else {}


def any_of(*queries: MongoQuery) -> MongoQuery:
    """Return the disjunction of queries; an empty query matches everything."""
    if len(queries) == 1:
        return queries[0]
    return {"$or": list(queries)} if all(queries) else {}


def comparison_query(attribute: Attribute, operator: str, values: Sequence[Value]) -> MongoQuery:
    """Return the query that compares an attribute with one of ``values`` (``ne``: with none).

    Args:
        attribute: The attribute to compare.
        operator: One of ``eq ne gt gte lt lte``.
        values: Values of the type that the attribute has in the database.
    """
    plain = _plain_comparison(attribute.document_paths, operator, values)
    return attribute.blind.comparison(operator, values, plain) if attribute.blind else plain


def _plain_comparison(paths: Sequence[str], operator: str, values: Sequence[Value]) -> MongoQuery:
    if operator in _NEGATIVE_OPERATORS:
        return all_of(*({path: _value_condition("$ne", "$nin", values)} for path in paths))
    if operator == "eq":
        return any_of(*({path: _value_condition("$eq", "$in", values)} for path in paths))
    return any_of(*({path: {f"${operator}": value}} for path in paths for value in values))


def regex_query(attribute: Attribute, pattern: str, limit: int, *, options: str = "") -> MongoQuery:
    """Return the query that searches a text attribute with a client's pattern.

    Raises:
        InvalidQuery: The attribute is not text, or the pattern is refused (HTTP 400).
    """
    if attribute.type.value_type not in ("string", "any", "date-time", "date") or attribute.is_href:
        raise InvalidQuery(f"{attribute.path!r} is not text, so it supports no regular expressions")
    check_text(pattern)
    checked = safe_pattern(pattern, limit)
    if attribute.shown_values is not None:
        stored = values_with_pattern(_enumerated(attribute), checked, options)
        return comparison_query(attribute, "eq", stored)
    condition = {"$regex": checked}
    if options:
        condition["$options"] = options
    plain = any_of(*({path: condition} for path in attribute.document_paths))
    return attribute.blind.search(pattern, plain) if attribute.blind else plain


def existence_query(attribute: Attribute, *, exists: bool) -> MongoQuery:
    """Return the query that matches if an attribute exists, or if it does not."""
    clauses = [{path: {"$exists": exists}} for path in attribute.document_paths]
    return any_of(*clauses) if exists else all_of(*clauses)


def order_query(attribute: Attribute, operator: str, texts: Iterable[str]) -> MongoQuery:
    """Return the query that compares an attribute with texts by order.

    Args:
        attribute: The attribute to compare.
        operator: One of ``gt gte lt lte``.
        texts: The client's values; one of them has to match.

    Raises:
        InvalidQuery: The attribute has no order, or a text is not of its type (HTTP 400).
    """
    if attribute.shown_values is None:
        values = [value for text in texts for value in _ordered_values(attribute, text)]
        return comparison_query(attribute, operator, values)
    stored = values_in_order(_enumerated(attribute), operator, texts)
    return comparison_query(attribute, "eq", stored)


def _enumerated(attribute: Attribute) -> ShownValues:
    """Return the value that the client's version shows for each stored one.

    Raises:
        InvalidQuery: Any text may be stored (HTTP 400).
    """
    if not attribute.shown_values:
        raise InvalidQuery(
            f"{attribute.path!r} has other values in this version than are stored; it can only be"
            " equal or not equal"
        )
    return attribute.shown_values


def _ordered_values(attribute: Attribute, text: str) -> tuple[Value, ...]:
    """Return the values that a text may represent in a comparison by order.

    Raises:
        InvalidQuery: The attribute has no order, or the text is not of its type (HTTP 400).
    """
    values = typed_values(attribute, text)
    if attribute.is_href or attribute.type.value_type == "boolean":
        raise InvalidQuery(f"{attribute.path!r} has no order; it can only be equal or not equal")
    numbers = tuple(value for value in values if not isinstance(value, str | bool))
    if not numbers and attribute.type.value_type == "any" and is_number(text):
        raise InvalidQuery(f"{attribute.path!r} is compared with {NUMBER_RULE}")
    return numbers or values[:1] or (text,)  # no stored value: one that this version does not have


def _value_condition(
    single_operator: str, list_operator: str, values: Sequence[Value]
) -> MongoQuery:
    return {single_operator: values[0]} if len(values) == 1 else {list_operator: list(values)}


def _clause(criterion: Criterion, settings: Settings) -> MongoQuery:
    attribute, operator = criterion.attribute, criterion.operator
    if operator == "regex":
        limit = settings.regex_limit
        return any_of(*(regex_query(attribute, pattern, limit) for pattern in criterion.values))
    if operator == "exists":
        operands = {_boolean_operand(attribute, text) for text in criterion.values}
        return any_of(*(existence_query(attribute, exists=operand) for operand in operands))
    if operator in ORDER_OPERATORS:
        return order_query(attribute, operator, criterion.values)
    values = [value for text in criterion.values for value in typed_values(attribute, text)]
    if attribute.type.value_type in ("string", "any") and not attribute.is_href:
        for text in criterion.unsplit_values:
            check_text(text)
            values.append(text)
    return comparison_query(attribute, operator, values)


def _merged_criteria(criteria: Iterable[Criterion]) -> list[Criterion]:
    """Return the criteria, with those of the same attribute and operator merged."""
    merged: dict[tuple[str, ...], Criterion] = {}
    for criterion in criteria:
        if (first := merged.setdefault(criterion.key, criterion)) is not criterion:
            first.values += criterion.values
            first.unsplit_values += criterion.unsplit_values
    return list(merged.values())


def _boolean_operand(attribute: Attribute, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidQuery(f"{attribute.path}.exists is true or false, not {quoted(text)}")
    return text == "true"


def _criteria(name: str, value: str, attributes: QueryableAttributes) -> Iterator[Criterion]:
    """Yield the criteria of one parameter; several if it continues after a semicolon."""
    path, symbol, text = _argument_parts(name, value)
    while True:
        attribute, operator = _attribute_and_operator(path, symbol, attributes)
        if operator in _UNSPLIT_OPERATORS:
            yield Criterion(attribute, operator, [text], [])
            return
        values, end, following = _split_values(text, attributes)
        if len(values) > 1:
            values = [value.strip(" ") for value in values]
        unsplit_values = [text] if values != [text] else []
        yield Criterion(attribute, operator, values, unsplit_values)
        if following is None:
            return
        path, symbol, text = following[1], following[2], text[end:]


def _argument_parts(name: str, value: str) -> tuple[str, str, str]:
    """Return path, symbol and value of a parameter that was split at its first ``=``."""
    if half := _NAME_AND_HALF_SYMBOL.fullmatch(name):
        return half[1], half[2] + "=", value
    if match := _NAME_AND_SYMBOL.fullmatch(name):
        rest = match[3] + (f"={value}" if match[3] and value else value)
        return match[1], match[2], rest
    symbol = {"=": "==", "~": "=~"}.get(value[:1], "=")
    if symbol == "=" or name.rpartition(".")[2] in OPERATORS:
        return name, "=", value
    return name, symbol, value[1:]


def _attribute_and_operator(
    path: str, symbol: str, attributes: QueryableAttributes
) -> tuple[Attribute, str]:
    """Return the attribute and the operator of a path with its symbol."""
    check_path(path)
    operator = OPERATOR_SYMBOLS[symbol]
    base, dot, suffix = path.rpartition(".")
    if dot and suffix in OPERATORS and operator == "eq" and not attributes.is_declared(path):
        return attributes.find(base), _LIST_OPERATORS.get(suffix, suffix)
    try:
        return attributes.find(path), operator
    except InvalidQuery:
        if not (dot and attributes.is_declared(base)):
            raise
        if attributes.find(base).type.value_type == "object":
            raise
        allowed = ", ".join(OPERATORS)
        message = f"unknown attribute or operator {path!r}; operators: {allowed}"
        raise InvalidQuery(message) from None


def _split_values(
    text: str, attributes: QueryableAttributes
) -> tuple[list[str], int, re.Match[str] | None]:
    """Return the values of a filter, the position after them, and the next filter, if any.

    The next filter follows after a semicolon; the position is then that of its own values.
    """
    values, position, separator = [], 0, ","
    while separator:
        match = _QUOTED_VALUE.match(text, position) or _UNQUOTED_VALUE.match(text, position)
        assert match is not None  # noqa: S101 - the second pattern matches anything
        values.append(match[1])
        position, separator = match.end(), match[2] or ""
        if separator == ";" and (following := _NEXT_FILTER.match(text, position)):
            path = following[1]
            base, _, suffix = path.rpartition(".")
            if attributes.is_declared(path) or (
                suffix in OPERATORS and attributes.is_declared(base)
            ):
                return values, following.end(), following
    return values, position, None
