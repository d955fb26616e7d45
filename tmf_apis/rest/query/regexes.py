r"""Check regular expressions of clients before the database runs them.

A pattern must have the same meaning in RE2 (which bounds its size) and in PCRE (which runs it). To
prevent excessive backtracking in PCRE, a repeated part must have only one way to match, and the
number of attempts on a text of ``MAX_TEXT`` characters is bounded. The dialect::

    characters   x  .  \d \D \w \W \s \S \n \r \t  \ before punctuation  [abc] [^a-z]
    groups       (...)  (?:...)  a|b
    repetition   *  +  ?  {2}  {2,}  {2,5}  and each of them followed by ?
    positions    ^  $  \b  \B

An expensive pattern (such as ``a.*b``, which may read each character more than once) is applied
only to texts of up to ``MAX_TEXT`` characters; longer texts do not match.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import re2

from tmf_apis.errors import InvalidQuery, quoted

#: Longest text, in characters, that an expensive pattern is applied to.
MAX_TEXT = 1000
#: Attempts on a text of ``MAX_TEXT`` characters up to which a pattern is applied to any text.
MAX_UNBOUNDED_COST = 10 * MAX_TEXT
#: Attempts above which a pattern is refused; about 20 milliseconds on the worst possible text.
MAX_COST = 3 * MAX_TEXT * MAX_TEXT

_TOKEN = re.compile(r"\\.?|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?.?)?|\{[^}]*\}?", re.DOTALL)
_REPEAT_COUNT = re.compile(r"\{\d{1,3}(?:,\d{0,3})?\}")
_CLASS_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NESTED_SET = re.compile(r"\[|--|&&|\|\||~~")
_LEADING_WILDCARD = re.compile(r"\A(?:\.\*\??)+")
_TRAILING_WILDCARD = re.compile(r"(?<!\\)((?:\\\\)*)(?:\.\*\??)+\Z")
_ESCAPE_LETTERS = frozenset("dDwWsSnrt")
_SINGLE_CHARACTER_CODES = frozenset({codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN})
_REPEAT_CODES = frozenset({codes.MAX_REPEAT, codes.MIN_REPEAT})

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False


@lru_cache(maxsize=256)
def safe_pattern(pattern: str, limit: int) -> str:
    """Return the pattern that the database may run in place of a client's pattern.

    Args:
        pattern: The client's pattern; it may match anywhere in the text.
        limit: Longest pattern, in characters.

    Raises:
        InvalidQuery: The pattern is malformed, outside the dialect, or too costly (HTTP 400).

    >>> safe_pattern(".*fibre.*", 256)
    'fibre'
    >>> safe_pattern("^fibre 100$", 256)
    '^fibre 100$'
    """
    if len(pattern) > limit:
        raise InvalidQuery(f"a regular expression has at most {limit} characters")
    _check_dialect(pattern)
    try:
        re2.compile(pattern, _RE2_OPTIONS)
        parser.parse(pattern)
    except (re2.error, re.error, RecursionError, OverflowError):
        raise InvalidQuery(f"not a regular expression: {quoted(pattern)}") from None
    # Anything may precede and follow a match, so wildcards at the ends only cost attempts.
    core = _TRAILING_WILDCARD.sub(r"\1", _LEADING_WILDCARD.sub("", pattern))
    cost = _cost(parser.parse(core))
    if cost > MAX_COST:
        raise _refusal("has too many ways to match; anchor it with ^ or use fewer * + {m,n}")
    if cost <= MAX_UNBOUNDED_COST:
        return core
    return rf"\A(?![\s\S]{{{MAX_TEXT + 1}}})[\s\S]*?(?:{core})"


def _refusal(reason: str) -> InvalidQuery:
    return InvalidQuery(f"the regular expression {reason}")


def _check_dialect(pattern: str) -> None:
    for token in _TOKEN.findall(pattern):
        if token[0] == "\\":
            _check_escape(token[1:], _ESCAPE_LETTERS | {"b", "B"})
        elif token[0] == "[":
            for escaped in _CLASS_ESCAPE.findall(token):
                _check_escape(escaped, _ESCAPE_LETTERS)
            if _NESTED_SET.search(_CLASS_ESCAPE.sub("x", token[1:])):
                raise _refusal("has a set inside a set; put \\ before [ & | ~ -")
        elif token[0] == "{" and not _REPEAT_COUNT.fullmatch(token):
            raise _refusal("has a { that is not a count such as {2,5}; put \\ before it")
        elif token not in ("(", "(?:") and token[0] == "(":
            raise _refusal("may have groups ( and (?: only")


def _check_escape(escaped: str, letters: Iterable[str]) -> None:
    if escaped in letters or (
        escaped.isascii() and escaped.isprintable() and _is_punctuation(escaped)
    ):
        return
    raise _refusal(f"may not have \\{escaped}")


def _is_punctuation(escaped: str) -> bool:
    return len(escaped) == 1 and not escaped.isalnum()


def _cost(nodes: Iterable[tuple[Any, Any]]) -> float:
    """Return the largest number of attempts on a text of ``MAX_TEXT`` characters."""
    items = list(nodes)
    anchored = bool(items) and items[0] == (codes.AT, codes.AT_BEGINNING)
    cost = _match_attempts(items) * (1 if anchored else MAX_TEXT)
    if items and items[-1][0] in _REPEAT_CODES:  # nothing follows that could fail
        cost /= _repeat_attempts(*items[-1][1])
    return cost


def _match_attempts(items: Iterable[tuple[Any, Any]]) -> float:
    product = 1.0
    for code, argument in items:
        if code in _REPEAT_CODES:
            product *= _repeat_attempts(*argument)
        elif code is codes.SUBPATTERN:
            product *= _match_attempts(argument[-1])
        elif code is codes.BRANCH:
            product *= sum(_match_attempts(branch) for branch in argument[1])
        elif code not in _SINGLE_CHARACTER_CODES and code is not codes.AT:
            raise _refusal("uses a feature that only some engines support")
    return product


def _repeat_attempts(minimum: int, maximum: int, body: Any) -> float:  # noqa: ANN401
    if maximum <= 1:
        return (maximum - minimum + 1) * _match_attempts(body)
    if not _is_unambiguous(body):
        raise _refusal("repeats something that can match in several ways, such as (a+)+ or (a|a)*")
    return float(MAX_TEXT if maximum is codes.MAXREPEAT else maximum - minimum + 1)


def _is_unambiguous(items: Iterable[tuple[Any, Any]]) -> bool:
    """Return whether the items match in at most one way at a position, and never an empty text."""
    listed = list(items)
    return bool(listed) and all(_is_unambiguous_node(code, argument) for code, argument in listed)


def _is_unambiguous_node(code: Any, argument: Any) -> bool:  # noqa: ANN401
    if code is codes.SUBPATTERN:
        return _is_unambiguous(argument[-1])
    if code in _REPEAT_CODES:
        least, most, body = argument
        return bool(least == most and least > 0 and _is_unambiguous(body))
    if code is codes.BRANCH:
        branches = [list(branch) for branch in argument[1]]
        first = {branch[0][1] for branch in branches if branch and branch[0][0] is codes.LITERAL}
        return len(first) == len(branches) and all(_is_unambiguous(branch) for branch in branches)
    return code in _SINGLE_CHARACTER_CODES
