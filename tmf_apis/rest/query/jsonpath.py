r"""The ``filter=`` parameter: a parser of a subset of JSONPath.

Source: TMF630 part 6, "JSONPath extension". A resource matches if the path selects something::

    $[?(@.state=='held' && @.priority<3)]         conditions on the resource itself
    $.note[?(@.author=='x' && @.date>'2026')]      a single note matches all conditions
    $.productOrderItem[?(@.state=='held')].note    a matching item has a note
    $.note                                         the resource has a note

    filter      = ["$"] steps
    steps       = { "." name | "['" name "']" | "[*]" | "[?(" expression ")]" }
    expression  = term { "||" term };  term = factor { "&&" factor }
    factor      = "!" factor | "(" expression ")" | "@" steps [ comparison ] | literal op "@" steps
    comparison  = ("==" | "!=" | "<" | "<=" | ">" | ">=") literal
                | "=~" "/" pattern "/" ["i"] | ("in" | "nin") "[" literal { "," literal } "]"
    literal     = "'" text "'" | number | true | false | null

Values are compared as in ``filtering``: by the type that the contract declares. ``!=`` and ``nin``
match if no value is equal, so also if there is no value; ``== null`` matches if there is no value.
The rest of JSONPath (``..``, positions, slices, functions, comparisons of two paths) is not
supported (HTTP 501). The text is never evaluated as code, nor copied into an operator of the query.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from tmf_apis.errors import FeatureNotImplemented, InvalidQuery, quoted
from tmf_apis.settings import Settings

#: Deepest nesting of parentheses, negations and filters, and the most comparisons.
DEPTH_LIMIT, TERM_LIMIT = 8, 32

COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CONSTANTS = {"true": "true", "false": "false", "null": None}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<pattern>=~\s*/(?:\\.|[^/\\])+/\w*)
    | (?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>@?[^\W\d]\w*(?:-\w+)*)
    | (?P<mark>==|!=|<=|>=|&&|\|\||\.\.|[$@.,:?*!<>()\[\]])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

#: A literal: its text, or None for null.
Literal = str | None


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a path: into an attribute, or to the elements that match a condition."""

    name: str = ""
    condition: "Expression | None" = None


JsonPath = tuple[PathStep, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The path selects something."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class Compare:
    """A value at the path compares to one of the literals (``ne``: no value equals any)."""

    path: JsonPath
    operator: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A text at the path contains a match of the pattern."""

    path: JsonPath
    pattern: str
    flags: str


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not match."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every operand matches."""

    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one operand matches."""

    operands: "tuple[Expression, ...]"


Expression = Exists | Compare | Match | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse_path(text: str, settings: Settings, subject: str = "filter: ") -> JsonPath:
    """Parse the text of a filter.

    Args:
        text: The path.
        settings: The limits.
        subject: What the path is, before each message.

    Raises:
        InvalidQuery: The text is malformed or over a limit; the message has the position (HTTP
            400).
        FeatureNotImplemented: The text uses an unsupported feature of JSONPath (HTTP 501).
    """
    if len(text) > settings.jsonpath_limit:
        raise InvalidQuery(f"{subject}at most {settings.jsonpath_limit} characters")
    return _Parser(_tokens(text, subject), settings, subject).parse()


def _tokens(text: str, subject: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        if not (match := _TOKEN.match(text, position)):
            raise InvalidQuery(f"{subject}unexpected {text[position : position + 10]!r}")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return [*tokens, _Token("end", "", end)]


def _unquoted_text(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1])


class _Parser:
    """A recursive-descent parser; each method reads one rule of the grammar above."""

    def __init__(self, tokens: list[_Token], settings: Settings, subject: str) -> None:
        self._tokens, self._position = tokens, 0
        self._subject = subject
        self._settings = settings
        self._depth = self._terms = 0

    def parse(self) -> JsonPath:
        self._accept("$")
        first: JsonPath = (PathStep(self._next_token().text),) if self._token.kind == "name" else ()
        path = first + self._steps()
        if self._token.kind != "end" or not path:
            self._raise_unexpected("the end" if path else "a path")
        return path

    @property
    def _token(self) -> _Token:
        return self._tokens[self._position]

    def _next_token(self) -> _Token:
        token = self._token
        self._position += 1
        return token

    def _is_mark(self, mark: str) -> bool:
        return self._token.kind == "mark" and self._token.text == mark

    def _accept(self, mark: str) -> bool:
        if is_next := self._is_mark(mark):
            self._position += 1
        return is_next

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            self._raise_unexpected(repr(mark))

    def _raise_unexpected(self, expected: str) -> NoReturn:
        actual = repr(self._token.text[:20]) if self._token.text else "the end"
        character = self._token.position + 1
        raise InvalidQuery(
            f"{self._subject}expected {expected} at character {character}, found {actual}"
        )

    def _raise_unsupported(self, feature: str) -> NoReturn:
        character = self._token.position + 1
        raise FeatureNotImplemented(
            f"{self._subject}{feature} (character {character}) is not supported"
        )

    def _steps(self) -> JsonPath:
        steps: list[PathStep] = []
        while True:
            if self._is_mark(".."):
                self._raise_unsupported("'..'")
            if self._accept("."):
                steps.append(self._member_step())
            elif self._accept("["):
                steps += self._bracket_steps()
            else:
                break
        if len(steps) > 2 * self._settings.jsonpath_segments:
            raise InvalidQuery(
                f"{self._subject}at most {self._settings.jsonpath_segments} segments"
            )
        return tuple(steps)

    def _member_step(self) -> PathStep:
        if self._is_mark("*"):
            self._raise_unsupported("'.*'")
        if self._token.kind != "name":
            self._raise_unexpected("a name")
        name = self._next_token().text
        if self._is_mark("("):
            self._raise_unsupported(f"{name}()")
        return PathStep(name)

    def _bracket_steps(self) -> JsonPath:
        """Read the rest of a step after ``[``; ``[*]`` adds no step, because arrays are implied."""
        if self._accept("?"):
            return (PathStep(condition=self._nested(self._condition)),)
        steps: JsonPath = ()
        if self._token.kind == "string":
            steps = (PathStep(_unquoted_text(self._next_token().text)),)
        elif self._token.kind == "number" or self._is_mark(":"):
            self._raise_unsupported("a position or slice")
        else:
            self._expect("*")
        if self._is_mark(","):
            self._raise_unsupported("a list of names")
        self._expect("]")
        return steps

    def _condition(self) -> Expression:
        self._expect("(")
        expression = self._expression()
        self._expect(")")
        self._expect("]")
        return expression

    def _nested(self, rule: "Callable[[], Expression]") -> Expression:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise InvalidQuery(f"{self._subject}nested deeper than {DEPTH_LIMIT}")
        expression = rule()
        self._depth -= 1
        return expression

    def _expression(self) -> Expression:
        parts = [self._conjunction()]
        while self._accept("||"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _conjunction(self) -> Expression:
        parts = [self._factor()]
        while self._accept("&&"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _factor(self) -> Expression:
        if self._accept("!"):
            return Not(self._nested(self._factor))
        if self._accept("("):
            expression = self._nested(self._expression)
            self._expect(")")
            return expression
        return self._comparison()

    def _comparison(self) -> Expression:
        self._terms += 1
        if self._terms > TERM_LIMIT:
            raise InvalidQuery(f"{self._subject}more than {TERM_LIMIT} comparisons")
        if self._is_mark("@"):
            return self._path_condition(self._relative_path())
        if self._is_mark("$"):
            self._raise_unsupported("'$' in a condition")
        literal = self._literal()
        symbol = self._comparison_symbol()
        operator = COMPARISONS[_FLIPPED.get(symbol, symbol)]
        return Compare(self._relative_path(), operator, (literal,))

    def _path_condition(self, path: JsonPath) -> Expression:
        token = self._token
        if token.kind == "pattern":
            self._position += 1
            return _match_expression(path, token.text)
        if token.kind == "name" and token.text in ("in", "nin"):
            self._position += 1
            return Compare(path, "ne" if token.text == "nin" else "eq", self._literal_list())
        if token.kind == "mark" and token.text in COMPARISONS:
            operator = COMPARISONS[self._comparison_symbol()]
            return Compare(path, operator, (self._literal(),))
        return Exists(path)

    def _relative_path(self) -> JsonPath:
        self._expect("@")
        return self._steps()

    def _comparison_symbol(self) -> str:
        if self._token.kind != "mark" or self._token.text not in COMPARISONS:
            self._raise_unexpected("a comparison")
        return self._next_token().text

    def _literal_list(self) -> tuple[Literal, ...]:
        self._expect("[")
        literals = [self._literal()]
        while self._accept(","):
            literals.append(self._literal())
        self._expect("]")
        if len(literals) > self._settings.filter_values:
            raise InvalidQuery(f"{self._subject}more than {self._settings.filter_values} values")
        return tuple(literals)

    def _literal(self) -> Literal:
        if self._is_mark("@") or self._is_mark("$"):
            self._raise_unsupported("a comparison of two paths")
        token = self._token
        if token.kind == "string":
            return _unquoted_text(self._next_token().text)
        if token.kind == "number":
            return self._next_token().text
        if token.kind != "name" or token.text not in _CONSTANTS:
            if token.kind == "name" and self._tokens[self._position + 1].text == "(":
                self._raise_unsupported(f"{token.text}()")
            self._raise_unexpected("a value")
        return _CONSTANTS[self._next_token().text]


def _match_expression(path: JsonPath, token: str) -> Match:
    pattern, _, flags = token[2:].lstrip()[1:].rpartition("/")
    if flags not in ("", "i"):
        raise FeatureNotImplemented(
            f"the flags {quoted(flags)} of a pattern are not supported; i is"
        )
    return Match(path, pattern.replace(r"\/", "/"), flags)
