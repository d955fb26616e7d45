"""How many a range has: of addresses, numbers, VLANs; pure, no I/O."""

import ipaddress
import re

_SPAN = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")
#: An IPv4 network that is larger keeps its first and last address for itself (RFC 1122, RFC 3021).
_POINT_TO_POINT = 31


def size(text: str) -> int:
    """Return how many addresses or numbers a range has; parts are separated by commas.

    Raises:
        ValueError: It is no range; the message says which part.

    >>> size("198.18.1.0/24"), size("491700000000-491700009999"), size("100-199, 300")
    (254, 10000, 101)
    >>> size("2001:db8::/64") == 2**64
    True
    """
    return sum(map(_part, text.split(",")))


def _part(text: str) -> int:
    if found := _SPAN.fullmatch(text):
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError(f"{text.strip()!r} ends before it begins")
        return last - first + 1
    try:
        count = _addresses(text.strip())
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError(f"{text.strip()!r} is neither a network nor a range")
    return count


def _addresses(text: str) -> int:
    if "-" in text:
        begin, end = (ipaddress.ip_address(one.strip()) for one in text.split("-", 1))
        return int(end) - int(begin) + 1 if begin.version == end.version else 0
    network = ipaddress.ip_network(text, strict=False)
    reserved = 2 if network.version == 4 and network.prefixlen < _POINT_TO_POINT else 0  # noqa: PLR2004
    return network.num_addresses - reserved
