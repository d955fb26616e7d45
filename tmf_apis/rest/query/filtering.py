"""Attribute filters of a query string, compiled to one MongoDB query.

Source: TMF630 part 1, "Attribute filtering".

    a=x  a.eq=x  a==x     one of the values of a is x
    a.ne=x  a!=x          none of the values of a is x; so too where there is no a
    a.gt=x  a>x           a is greater; also .gte >=, .lt <, .lte <=
    a.in=x,y  a.nin=x,y   one of them, none of them
    a.regex=x  a=~x  a*=x a text that the pattern finds something in (see ``regexes``)
    a.exists=true         there is an a; false: there is none

- A comma, a semicolon or the same filter again is OR: ``a=x,y``, ``a=x;y``, ``a=x&a=y``. For
  ``ne`` and ``nin`` it is a longer list of what a must not be. After a semicolon another attribute
  may come: ``a>5;b=y``. A pattern is never split, only repeated.
- Different attributes, and different operators on one, are AND: ``a.gte=1&a.lte=5``. In an array
  each of them may be met by another element; ``filter=`` (``jsonpath``) asks for the same one.
- Double quotes around a value protect what is in it: ``a="x, y"``. A text that is the whole of
  an unquoted value is found as well, so a value of the server can be given back as it came.
- Values are compared as what the contract says they are. Where it leaves the type open, equality
  is with the text and with the number or boolean that it spells, order with the number if it is
  one, and with the text if not. There is no order of booleans.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import (
    Attribute,
    QueryableAttributes,
    Value,
    check_path,
    check_text,
    typed_values,
)
from tmf_apis.rest.query.regexes import safe_pattern
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
    """One attribute, one operator, and the values of which one (or none) is to be met.

    Attributes:
        attribute: What is looked at.
        operator: One of ``eq ne gt gte lt lte regex exists``.
        values: As the client wrote them, quotes taken off.
        unsplit_values: The unsplit value where that differs, for a text that has commas itself.
    """

    attribute: Attribute
    operator: str
    values: list[str]
    unsplit_values: list[str]

    @property
    def key(self) -> tuple[str, ...]:
        """What criteria have in common of which one is to be met."""
        return self.attribute.path, self.operator


def filter_query(
    pairs: Iterable[Pair], attributes: QueryableAttributes, settings: Settings
) -> MongoQuery:
    """Return the MongoDB query of the filters in a query string; empty where there are none.

    Args:
        pairs: Name and value of each argument, decoded, split at the first ``=``; without the
            arguments that are no filters (``fields``, ``limit``, ``sort`` ...).
        attributes: What may be named.
        settings: The limits.

    Raises:
        InvalidQuery: An attribute is unknown, an operator too, a value is not of its attribute's
            type, or there is too much of something (HTTP 400).
    """
    groups: dict[tuple[str, ...], list[Criterion]] = {}
    for position, (name, value) in enumerate(pairs):
        if position >= settings.filter_values:
            raise InvalidQuery(f"a query may have {settings.filter_values} filters")
        criteria = _merged_criteria(_criteria(name, value, attributes))
        first = criteria[0].key
        key = first if len(criteria) == 1 else (*first, str(position))
        groups[key] = _merged_criteria([*groups.get(key, []), *criteria])
    for group in groups.values():
        if sum(len(one.values) for one in group) > settings.filter_values:
            raise InvalidQuery(f"a filter may have {settings.filter_values} values")
    return all_of(
        *(any_of(*(_clause(one, settings) for one in group)) for group in groups.values())
    )


def all_of(*queries: MongoQuery) -> MongoQuery:
    """Return the query that all of them together are; the clauses cannot override each other."""
    said = [query for query in queries if query]
    return {"$and": said} if len(said) > 1 else {**said[0]} if said else {}


def any_of(*queries: MongoQuery) -> MongoQuery:
    """Return the query that is met where one of them is; an empty one is met everywhere."""
    if len(queries) == 1:
        return queries[0]
    return {"$or": list(queries)} if all(queries) else {}


def comparison_query(attribute: Attribute, operator: str, values: Sequence[Value]) -> MongoQuery:
    """Return the query for an attribute whose value is, or is not, as one of ``values`` says.

    Args:
        attribute: What is looked at.
        operator: One of ``eq ne gt gte lt lte``.
        values: Of the type that the attribute has in the database.
    """
    if operator in _NEGATIVE_OPERATORS:
        return all_of(
            *({path: _value_condition("$ne", "$nin", values)} for path in attribute.document_paths)
        )
    if operator == "eq":
        return any_of(
            *({path: _value_condition("$eq", "$in", values)} for path in attribute.document_paths)
        )
    return any_of(
        *({path: {f"${operator}": value}} for path in attribute.document_paths for value in values)
    )


def regex_query(attribute: Attribute, pattern: str, limit: int, *, options: str = "") -> MongoQuery:
    """Return the query for a text attribute in which a client's pattern finds something.

    Raises:
        InvalidQuery: The attribute is no text, or the pattern is refused (HTTP 400).
    """
    if attribute.type.value_type not in ("string", "any", "date-time", "date") or attribute.is_href:
        raise InvalidQuery(f"{attribute.path!r} is not text; it has no regular expressions")
    check_text(pattern)
    condition = {"$regex": safe_pattern(pattern, limit)} | (
        {"$options": options} if options else {}
    )
    return any_of(*({path: condition} for path in attribute.document_paths))


def existence_query(attribute: Attribute, *, exists: bool) -> MongoQuery:
    """Return the query for an attribute that is there, or is not."""
    clauses = [{path: {"$exists": exists}} for path in attribute.document_paths]
    return any_of(*clauses) if exists else all_of(*clauses)


def ordered_values(attribute: Attribute, text: str) -> tuple[Value, ...]:
    """Return what a text means where it is compared by order.

    Raises:
        InvalidQuery: The attribute has no order, or the text is not of its type (HTTP 400).
    """
    values = typed_values(attribute, text)
    if attribute.is_href or attribute.type.value_type == "boolean":
        raise InvalidQuery(f"{attribute.path!r} can only be equal or not")
    numbers = tuple(value for value in values if not isinstance(value, str | bool))
    return numbers or values[:1]


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
        asked = {_boolean_operand(attribute, text) for text in criterion.values}
        return any_of(*(existence_query(attribute, exists=there) for there in asked))
    if operator in ORDER_OPERATORS:
        meant = [one for text in criterion.values for one in ordered_values(attribute, text)]
        return comparison_query(attribute, operator, meant)
    values = [value for text in criterion.values for value in typed_values(attribute, text)]
    if attribute.type.value_type in ("string", "any") and not attribute.is_href:
        for text in criterion.unsplit_values:
            check_text(text)
            values.append(text)
    return comparison_query(attribute, operator, values)


def _merged_criteria(criteria: Iterable[Criterion]) -> list[Criterion]:
    """Return the criteria, those on one attribute with one operator made one."""
    known: dict[tuple[str, ...], Criterion] = {}
    for one in criteria:
        if (same := known.setdefault(one.key, one)) is not one:
            same.values += one.values
            same.unsplit_values += one.unsplit_values
    return list(known.values())


def _boolean_operand(attribute: Attribute, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidQuery(f"{attribute.path!r} exists is true or false, not {text[:80]!r}")
    return text == "true"


def _criteria(name: str, value: str, attributes: QueryableAttributes) -> Iterator[Criterion]:
    """Yield what one argument says; more than one where it goes on after a semicolon."""
    path, symbol, text = _argument_parts(name, value)
    while True:
        attribute, operator = _attribute_and_operator(path, symbol, attributes)
        if operator in _UNSPLIT_OPERATORS:
            yield Criterion(attribute, operator, [text], [])
            return
        values, end, following = _split_values(text, attributes)
        if len(values) > 1:
            values = [one.strip(" ") for one in values]
        whole = [text] if values != [text] else []
        yield Criterion(attribute, operator, values, whole)
        if following is None:
            return
        path, symbol, text = following[1], following[2], text[end:]


def _argument_parts(name: str, value: str) -> tuple[str, str, str]:
    """Return path, symbol and value of an argument that was cut at its first ``=``."""
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
    """Return the attribute and the operator that a name with its symbol means."""
    check_path(path)
    operator = OPERATOR_SYMBOLS[symbol]
    base, dot, suffix = path.rpartition(".")
    if dot and suffix in OPERATORS and operator == "eq" and not attributes.is_declared(path):
        return attributes.find(base), _LIST_OPERATORS.get(suffix, suffix)
    try:
        return attributes.find(path), operator
    except InvalidQuery:
        if (
            dot
            and attributes.is_declared(base)
            and attributes.find(base).type.value_type != "object"
        ):
            allowed = ", ".join(OPERATORS)
            message = f"unknown attribute or operator {path!r}; operators: {allowed}"
            raise InvalidQuery(message) from None
        raise


def _split_values(
    text: str, attributes: QueryableAttributes
) -> tuple[list[str], int, re.Match[str] | None]:
    """Return the values up to the end, or up to where a semicolon starts another filter.

    The number is where the other filter's own values begin.
    """
    values, position, separator = [], 0, ","
    while separator:
        match = _QUOTED_VALUE.match(text, position) or _UNQUOTED_VALUE.match(text, position)
        assert match is not None  # noqa: S101 - the second one matches anything
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
