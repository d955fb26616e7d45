r"""Regular expressions of clients, made harmless before the database runs them.

A pattern must mean the same to RE2 (which bounds its size) and to PCRE (which runs it), and must
not be able to make PCRE try over and over: what is repeated has only one way to match, and the
tries that a text of ``LONGEST`` characters may cost are bounded. The dialect::

    characters   x  .  \d \D \w \W \s \S \n \r \t  \ before punctuation  [abc] [^a-z]
    groups       (...)  (?:...)  a|b
    repetition   *  +  ?  {2}  {2,}  {2,5}  and each of them with ? behind
    places       ^  $  \b  \B

A pattern that may cost more than one look at each character (``a.*b``) is applied to texts of up
to ``LONGEST`` characters only; longer ones do not match.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import re2

from tmf_apis.errors import InvalidQuery

#: Longest text that a pattern with more than one look at each character is applied to.
LONGEST = 1000
#: Tries on a text of ``LONGEST`` characters up to which a pattern is applied to any text.
CHEAP = 10 * LONGEST
#: Tries above which a pattern is refused; some 20 milliseconds of the worst text there can be.
COSTLY = 3 * LONGEST * LONGEST

_TOKEN = re.compile(r"\\.?|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?.?)?|\{[^}]*\}?", re.DOTALL)
_COUNT = re.compile(r"\{\d{1,3}(?:,\d{0,3})?\}")
_CLASS_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONFUSING = re.compile(r"\[|--|&&|\|\||~~")
_LEADING = re.compile(r"\A(?:\.\*\??)+")
_TRAILING = re.compile(r"(?<!\\)((?:\\\\)*)(?:\.\*\??)+\Z")
_LETTERS = frozenset("dDwWsSnrt")
_SINGLE = frozenset({codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN})
_REPEATS = frozenset({codes.MAX_REPEAT, codes.MIN_REPEAT})

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=256)
def harmless(pattern: str, limit: int) -> str:
    """Return the pattern to give to the database for a client's.

    Args:
        pattern: As the client wrote it; it may match anywhere in the text.
        limit: Longest pattern, in characters.

    Raises:
        InvalidQuery: The pattern is malformed, outside the dialect, or too costly (HTTP 400).

    >>> harmless(".*fibre.*", 256)
    'fibre'
    >>> harmless("^fibre 100$", 256)
    '^fibre 100$'
    """
    if len(pattern) > limit:
        raise InvalidQuery(f"a regular expression may have {limit} characters")
    _check_dialect(pattern)
    try:
        re2.compile(pattern, _OPTIONS)
        parser.parse(pattern)
    except (re2.error, re.error, RecursionError, OverflowError):
        raise InvalidQuery(f"not a regular expression: {pattern!r}") from None
    # Anything may come before and after a match, so saying so costs tries and says nothing.
    core = _TRAILING.sub(r"\1", _LEADING.sub("", pattern))
    cost = _cost_of(parser.parse(core))
    if cost > COSTLY:
        raise _refused("has too many ways to match; anchor it with ^ or use fewer * + {m,n}")
    if cost <= CHEAP:
        return core
    return rf"\A(?![\s\S]{{{LONGEST + 1}}})[\s\S]*?(?:{core})"


def _refused(why: str) -> InvalidQuery:
    return InvalidQuery(f"the regular expression {why}")


def _check_dialect(pattern: str) -> None:
    for token in _TOKEN.findall(pattern):
        if token[0] == "\\":
            _check_escape(token[1:], _LETTERS | {"b", "B"})
        elif token[0] == "[":
            for escaped in _CLASS_ESCAPE.findall(token):
                _check_escape(escaped, _LETTERS)
            if _CONFUSING.search(_CLASS_ESCAPE.sub("x", token[1:])):
                raise _refused("has a set inside a set; put \\ before [ & | ~ -")
        elif token[0] == "{" and not _COUNT.fullmatch(token):
            raise _refused("has a { that is not a count such as {2,5}; put \\ before it")
        elif token not in ("(", "(?:") and token[0] == "(":
            raise _refused("may have groups ( and (?: only")


def _check_escape(escaped: str, letters: Iterable[str]) -> None:
    if escaped in letters or (escaped.isascii() and escaped.isprintable() and _mark(escaped)):
        return
    raise _refused(f"may not have \\{escaped}")


def _mark(escaped: str) -> bool:
    return len(escaped) == 1 and not escaped.isalnum()


def _cost_of(parsed: Iterable[tuple[Any, Any]]) -> float:
    """Return the most tries that a text of ``LONGEST`` characters can cost."""
    items = list(parsed)
    anchored = bool(items) and items[0] == (codes.AT, codes.AT_BEGINNING)
    cost = _tries(items) * (1 if anchored else LONGEST)
    if items and items[-1][0] in _REPEATS:  # nothing comes after it that could fail
        cost /= _repeated(*items[-1][1])
    return cost


def _tries(items: Iterable[tuple[Any, Any]]) -> float:
    product = 1.0
    for code, argument in items:
        if code in _REPEATS:
            product *= _repeated(*argument)
        elif code is codes.SUBPATTERN:
            product *= _tries(argument[-1])
        elif code is codes.BRANCH:
            product *= sum(_tries(branch) for branch in argument[1])
        elif code not in _SINGLE and code is not codes.AT:
            raise _refused("uses what only some engines have")
    return product


def _repeated(least: int, most: int, body: Any) -> float:  # noqa: ANN401
    if most <= 1:
        return (most - least + 1) * _tries(body)
    if not _one_way(body):
        raise _refused("repeats something that can match in several ways, such as (a+)+ or (a|a)*")
    return float(LONGEST if most is codes.MAXREPEAT else most - least + 1)


def _one_way(items: Iterable[tuple[Any, Any]]) -> bool:
    """Tell whether there is one way at most for these to match at a place, and not an empty one."""
    listed = list(items)
    return bool(listed) and all(_one_way_item(code, argument) for code, argument in listed)


def _one_way_item(code: Any, argument: Any) -> bool:  # noqa: ANN401
    if code is codes.SUBPATTERN:
        return _one_way(argument[-1])
    if code in _REPEATS:
        least, most, body = argument
        return bool(least == most and least > 0 and _one_way(body))
    if code is codes.BRANCH:
        branches = [list(branch) for branch in argument[1]]
        first = {branch[0][1] for branch in branches if branch and branch[0][0] is codes.LITERAL}
        return len(first) == len(branches) and all(_one_way(branch) for branch in branches)
    return code in _SINGLE
