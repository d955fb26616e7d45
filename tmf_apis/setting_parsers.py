"""Parsers of the values of settings; each raises ``ValueError`` with what it expects."""

import logging
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
_ATTRIBUTE_RULE = re.compile(r"-?(?:[a-z@][\w@-]*|[A-Z]\w*\.[\w@-]+)(?:\.[\w@-]+)*")
_LAST_PORT = 65_535


def boolean(text: str) -> bool:
    """Return whether a text is one of the words for true."""
    if (lowered := text.strip().lower()) in TRUE_WORDS | FALSE_WORDS:
        return lowered in TRUE_WORDS
    raise ValueError("expected true or false")


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks in CIDR notation."""
    return tuple(map(ip_network, comma_separated(text)))


def ports(text: str) -> tuple[int, ...]:
    """Return TCP ports."""
    numbers = tuple(map(int, comma_separated(text)))
    if not all(0 < number <= _LAST_PORT for number in numbers):
        raise ValueError(f"expected ports from 1 to {_LAST_PORT}")
    return numbers


def endpoints(text: str) -> tuple[str, ...]:
    """Return texts of the form host:port."""
    words = comma_separated(text)
    for word in words:
        parts = urlsplit(f"//{word}")
        if not parts.hostname or not parts.port or parts.path:
            raise ValueError(f"expected host:port, not {word!r}")
    return words


def at_least(minimum: float, kind: type[int] | type[float]) -> Callable[[str], Any]:
    """Return a parser of numbers with a minimum."""

    def parse(text: str) -> float:
        value = kind(text)
        if not value >= minimum:
            raise ValueError(f"expected a number of at least {minimum}")
        return value

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    """Return a parser that accepts these names only."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected {', '.join(names[:-1])} or {names[-1]}")
        return text

    return parse


def source(text: str) -> str:
    """Return a file name or URL; without TLS, a URL may lead to this machine only."""
    if not text.startswith("http://"):
        return text
    if urlsplit(text).hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("expected a file or an https URL; http is for loopback addresses only")
    return text


def endpoint(text: str) -> str:
    """Return the URL of an endpoint; empty: none."""
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("expected an https URL")
    return source(text)


def log_level(text: str) -> str:
    """Return the name of a level of the module logging."""
    if text.upper() not in logging.getLevelNamesMapping():
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
        periods.append((kind, float(at_least(0, float)(days))))
    return tuple(periods)


def default_parser(default: object) -> Callable[[str], Any]:
    """Return the parser of a setting by the type of its default."""
    if isinstance(default, bool):
        return boolean
    if isinstance(default, int):
        return at_least(0, int)
    if isinstance(default, float):
        return at_least(0, float)
    if isinstance(default, tuple):
        return comma_separated
    return Path if isinstance(default, Path) else str
