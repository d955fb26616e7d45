"""Where a discovery looks: addresses, names, ranges and blocks, written as people write them."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Most addresses of one discovery.
LIMIT = 4096

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBERS = re.compile(r"[\d.]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """One place to look at.

    Attributes:
        address: As ``adapters.values.Target`` has it: host, with ":port" where one was given.
        named: It was named itself; one of a range or block that is silent is no error.
    """

    address: str
    named: bool


def places(targets: Iterable[str]) -> list[Place]:
    """Return every place that is meant, each once, in the order given.

    Raises:
        ValueError: One is none of address, name, range and block, or they are more than 4096.

    >>> [one.address for one in places(["198.18.0.1:1161", "198.18.0.8/31", "gw.example"])]
    ['198.18.0.1:1161', '198.18.0.8', '198.18.0.9', 'gw.example']
    >>> [one.address for one in places(["198.18.0.1-198.18.0.3", "[2001:db8::1]:161"])]
    ['198.18.0.1', '198.18.0.2', '198.18.0.3', '[2001:db8::1]:161']
    """
    found: dict[str, Place] = {}
    for target in targets:
        for one in _places(target.strip()):
            if one.address not in found or one.named:
                found[one.address] = one
        if len(found) > LIMIT:
            raise ValueError(f"these are more than {LIMIT} addresses")
    return list(found.values())


def _places(target: str) -> Iterator[Place]:
    if "/" in target:
        yield from _block(target)
        return
    first, dash, last = target.partition("-")
    if dash and _address(first) and _address(last):
        yield from _range(target, first, last)
        return
    host, port = parts(target)
    if not 0 <= port <= 65535 or not (  # noqa: PLR2004 - RFC 768
        _address(host) or (_NAME.fullmatch(host) and not _NUMBERS.fullmatch(host))
    ):
        raise ValueError(f"{target[:80]!r} is no address, host name, range or block")
    yield Place(target, named=True)


def _block(target: str) -> Iterator[Place]:
    try:
        block = ipaddress.ip_network(target, strict=False)
    except ValueError as error:
        raise ValueError(f"{target[:80]!r} is no block of addresses: {error}") from None
    if block.num_addresses > LIMIT:
        raise ValueError(f"{target} has {block.num_addresses} addresses; at most {LIMIT}")
    yield from (Place(_text(one), named=False) for one in block.hosts())


def _range(target: str, first: str, last: str) -> Iterator[Place]:
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    count = int(high) - int(low) + 1
    if low.version != high.version or not 0 < count <= LIMIT:
        raise ValueError(f"{target} is no range of 1 to {LIMIT} addresses")
    yield from (Place(_text(low + step), named=False) for step in range(count))


def parts(target: str) -> tuple[str, int]:
    """Return host and port of an address; port 0 where there is none, -1 where it is no number."""
    if target.startswith("["):
        host, _, rest = target[1:].partition("]")
        return host, _port(rest[1:]) if rest.startswith(":") else (-1 if rest else 0)
    if target.count(":") == 1:
        host, _, rest = target.partition(":")
        return host, _port(rest)
    return target, 0


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else -1  # noqa: PLR2004


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _text(address: Address) -> str:
    return str(address)
