"""Settings as people write and read them; no I/O."""

import re
from decimal import Decimal

from adapters.values import Setting

RATE_SETTINGS = frozenset({"downstream", "upstream"})
#: Settings that are texts although they look like numbers.
TEXT_SETTINGS = frozenset({"tag", "msisdn", "imsi", "imei", "name"})
TRUE_WORDS, FALSE_WORDS = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
SI_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
NUMBER_PATTERN = re.compile(r"(-?\d+(?:\.\d+)?)\s*([kKMGT]?)(?:bit/s|bps|bit)?")


def parse_setting(text: str) -> tuple[str, Setting]:
    """Return name and value of what somebody wrote.

    Numbers may have a unit, decimal as rates are: k, M, G, T, with "bit/s" after it or without.
    What is in double quotes is a text, whatever it looks like.

    Raises:
        ValueError: It has no name, or a fraction of a bit.

    >>> parse_setting("downstream=100M"), parse_setting("enabled=off"), parse_setting("msisdn=4917")
    (('downstream', 100000000), ('enabled', False), ('msisdn', '4917'))
    """
    name, equals, written = (part.strip() for part in text.partition("="))
    if not name or not equals:
        raise ValueError(f"{text!r}: expected NAME=VALUE, such as downstream=100M")
    if len(written) > 1 and written[0] == written[-1] == '"':
        return name, written[1:-1]
    if name in TEXT_SETTINGS:
        return name, written
    if written.lower() in TRUE_WORDS | FALSE_WORDS:
        return name, written.lower() in TRUE_WORDS
    if found := NUMBER_PATTERN.fullmatch(written):
        return name, _parse_number(text, *found.groups())
    if name in RATE_SETTINGS:
        raise ValueError(f"{text!r}: expected a rate, such as 100M, 1.5G or 64k; 0 is no limit")
    return name, written


def _parse_number(text: str, digits: str, unit: str) -> int:
    exact = Decimal(digits) * SI_FACTORS["k" if unit == "K" else unit]
    if exact != int(exact):
        raise ValueError(f"{text!r}: that is a fraction of a bit")
    return int(exact)


def format_setting(name: str, value: Setting | None) -> str:
    """Return a value for people.

    >>> format_setting("downstream", 100_000_000), format_setting("upstream", 0), format_setting("tag", ""), format_setting("vlan", 7)
    ('100 Mbit/s', 'no limit', '(none)', '7')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in RATE_SETTINGS and isinstance(value, int):
        return format_rate(value) if value else "no limit"
    return "(none)" if value is None or value == "" else str(value)


def format_rate(bits: int) -> str:
    """Return a rate in the largest unit in which it is no less than one.

    >>> format_rate(1_500_000_000), format_rate(64_000), format_rate(999)
    ('1.5 Gbit/s', '64 kbit/s', '999 bit/s')
    """
    for unit in ("T", "G", "M", "k"):
        if abs(bits) >= SI_FACTORS[unit]:
            return f"{Decimal(bits) / SI_FACTORS[unit]:f} {unit}bit/s"
    return f"{bits} bit/s"
