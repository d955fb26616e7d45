"""Parsing and formatting of settings for people; no I/O."""

import re
from decimal import Decimal

from adapters.values import Setting

RATE_SETTINGS = frozenset({"downstream", "upstream"})
#: Settings that are texts even if they look like numbers.
TEXT_SETTINGS = frozenset({"tag", "msisdn", "imsi", "imei", "name"})
TRUE_WORDS, FALSE_WORDS = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
SI_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
NUMBER_PATTERN = re.compile(r"(-?\d+(?:\.\d+)?)\s*([kKMGT]?)(?:bit/s|bps|bit)?")


def parse_setting(text: str) -> tuple[str, Setting]:
    """Return the name and value of a setting that is written as NAME=VALUE.

    Numbers may have a decimal unit prefix (k, M, G, T) and "bit/s". A value in double quotes is
    always a text.

    Raises:
        ValueError: There is no name or no "=", a number is not whole, or a rate is not a number.

    >>> parse_setting("downstream=100M"), parse_setting("enabled=off"), parse_setting("msisdn=4917")
    (('downstream', 100000000), ('enabled', False), ('msisdn', '4917'))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name or not equals:
        raise ValueError(f"{text!r}: expected NAME=VALUE, such as downstream=100M")
    if len(value) > 1 and value[0] == value[-1] == '"':
        return name, value[1:-1]
    if name in TEXT_SETTINGS:
        return name, value
    if value.lower() in TRUE_WORDS | FALSE_WORDS:
        return name, value.lower() in TRUE_WORDS
    if match := NUMBER_PATTERN.fullmatch(value):
        return name, _parse_number(text, *match.groups())
    if name in RATE_SETTINGS:
        raise ValueError(f"{text!r}: expected a rate, such as 100M, 1.5G or 64k; 0 is no limit")
    return name, value


def _parse_number(text: str, digits: str, unit: str) -> int:
    number = Decimal(digits) * SI_FACTORS["k" if unit == "K" else unit]
    if number != int(number):
        raise ValueError(f"{text!r}: not a whole number")
    return int(number)


def format_setting(name: str, value: Setting | None) -> str:
    """Return the text of a value for people.

    >>> format_setting("downstream", 100_000_000), format_setting("upstream", 0)
    ('100 Mbit/s', 'no limit')
    >>> format_setting("tag", ""), format_setting("vlan", 7)
    ('(none)', '7')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in RATE_SETTINGS and isinstance(value, int):
        return format_rate(value) if value else "no limit"
    return "(none)" if value is None or value == "" else str(value)


def format_rate(bits: int) -> str:
    """Return a rate in bit/s as text, in the largest unit in which it is at least one.

    >>> format_rate(1_500_000_000), format_rate(64_000), format_rate(999)
    ('1.5 Gbit/s', '64 kbit/s', '999 bit/s')
    """
    for unit in ("T", "G", "M", "k"):
        if abs(bits) >= SI_FACTORS[unit]:
            return f"{Decimal(bits) / SI_FACTORS[unit]:f} {unit}bit/s"
    return f"{bits} bit/s"
