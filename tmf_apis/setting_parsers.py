"""Parsers of the values of settings; each raises ``ValueError`` with what it expects."""

import base64
import logging
import os
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
_ATTRIBUTE_RULE = re.compile(r"-?(?:[a-z@][\w@-]*|[A-Z]\w*\.[\w@-]+)(?:\.[\w@-]+)*")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,254}")
_NO_DATABASE = re.compile(r'[/\\. "$*<>:|?\0]')
#: Longest name of a database in MongoDB, in bytes.
_LONGEST_DATABASE = 63
_MASTER_KEY_BYTES = 32
#: Group of the entry points that name providers of master keys.
KEY_PROVIDERS = "tmf_apis.key_providers"
#: Largest numbers by unit, which clocks, databases and operating systems can still handle: times up
#: to ten years, 100 for what is kept.
LARGEST = {
    "seconds": 315_360_000,
    "hours": 876_000,
    "days": 36_500,
    "per second": 1_000_000_000,
    "bytes": 2**53,
}
_LARGEST_COUNT = 2**31 - 1


def boolean(text: str) -> bool:
    """Return whether a text is one of the words for true."""
    if (lowered := text.strip().lower()) in TRUE_WORDS | FALSE_WORDS:
        return lowered in TRUE_WORDS
    raise ValueError("expected true or false")


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def path(text: str) -> str:
    """Return the name of a file, with ``~`` for the user's home; empty: none."""
    if text.split("/", 1)[0] == "~" and not os.path.lexists("~"):
        return str(Path(text).expanduser())
    return text


def directory(text: str) -> Path:
    """Return a directory, which need not exist yet."""
    if not text:
        raise ValueError("expected a directory, such as data")
    return Path(path(text))


def existing_file(text: str) -> str:
    """Return the name of a file that can be read; empty: none."""
    name = path(text)
    if name and not Path(name).is_file():
        raise ValueError("expected a file; there is no such file")
    if name and not os.access(name, os.R_OK):
        raise ValueError("expected a file that this user can read")
    return name


def existing_directory(text: str) -> str:
    """Return the name of a directory that exists; empty: none."""
    name = path(text)
    if name and not Path(name).is_dir():
        raise ValueError("expected a directory; there is no such directory")
    return name


def database_name(text: str) -> str:
    """Return a name that MongoDB accepts for a database."""
    if not 0 < len(text.encode(errors="replace")) <= _LONGEST_DATABASE or _NO_DATABASE.search(text):
        raise ValueError('expected 1 to 63 bytes without / \\ . " $ * < > : | ? and blanks')
    return text


def namespace(text: str) -> str:
    """Return the name of a namespace of Temporal."""
    if not _NAMESPACE.fullmatch(text):
        raise ValueError("expected 2 to 255 letters, digits, dots, dashes and underscores")
    return text


def name(text: str) -> str:
    """Return a text that is not blank and has no control characters."""
    if not text.strip() or not text.isprintable():
        raise ValueError("expected a name")
    return text


def master_keys(text: str) -> str:
    """Return master keys, each 32 bytes in base64, with commas between them; empty: none."""
    for key in text.split(",") if text else ():
        try:
            length = len(base64.b64decode(key.strip(), validate=True))
        except ValueError:
            length = 0
        if length != _MASTER_KEY_BYTES:
            raise ValueError("expected 32 random bytes in base64 (openssl rand -base64 32)")
    return text


def key_provider(text: str) -> str:
    """Return the name of an installed provider of master keys."""
    names = ["local", *sorted({point.name for point in entry_points(group=KEY_PROVIDERS)})]
    if text not in names:
        raise ValueError(f"expected one of the installed providers: {', '.join(names)}")
    return text


def number(
    kind: type[int] | type[float], lowest: float, highest: float
) -> Callable[[str], int | float]:
    """Return a parser of numbers within bounds; NaN and infinity are outside."""
    noun = "a whole number" if kind is int else "a number"

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except (ValueError, OverflowError):
            value = None
        if value is None or not lowest <= value <= highest:
            raise ValueError(f"expected {noun} from {_digits(lowest)} to {_digits(highest)}")
        return value

    return parse


def _digits(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def one_of(*names: str) -> Callable[[str], str]:
    """Return a parser that accepts these names only."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected {', '.join(names[:-1])} or {names[-1]}")
        return text

    return parse


def log_level(text: str) -> str:
    """Return the name of a level of the module logging."""
    if text.upper() not in logging.getLevelNamesMapping().keys() - {"NOTSET"}:
        raise ValueError("expected DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text


def partial_status(text: str) -> int:
    """Return the status of a partial list."""
    return int(one_of("206", "200")(text))


def fallout_kinds(text: str) -> tuple[str, ...]:
    """Return kinds of failures."""
    kind = one_of("unreachable", "misconfigured", "rejected", "conflict", "notVerified", "undo")
    return tuple(map(kind, comma_separated(text)))


def attribute_rules(text: str) -> tuple[str, ...]:
    """Return rules for personal attributes."""
    rules = comma_separated(text)
    for rule in rules:
        if not _ATTRIBUTE_RULE.fullmatch(rule):
            raise ValueError(
                "expected attributes such as note.text or Customer.creditProfile, with - before"
                " an attribute that is not personal"
            )
    return rules


def retention_periods(text: str) -> tuple[tuple[str, float], ...]:
    """Return kinds and days."""
    periods = []
    for part in comma_separated(text):
        kind, _, days = part.partition("=")
        if not re.fullmatch(r"[A-Z]\w*", kind):
            raise ValueError("expected kinds and days, such as ProductOrder=730")
        periods.append((kind, float(number(float, 0, LARGEST["days"])(days))))
    return tuple(periods)


def default_parser(
    default: object, unit: str = "", lowest: float = 0, highest: float | None = None
) -> Callable[[str], Any]:
    """Return the parser of a setting by the type of its default.

    Args:
        default: The default.
        unit: Unit of a number.
        lowest: Smallest number.
        highest: Largest number; None: the largest of its unit.
    """
    if isinstance(default, bool):
        return boolean
    if isinstance(default, int | float):
        bound = LARGEST.get(unit, _LARGEST_COUNT) if highest is None else highest
        return number(type(default), lowest, bound)
    return comma_separated if isinstance(default, tuple) else str
