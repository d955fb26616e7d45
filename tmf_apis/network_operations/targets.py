"""Targets of a discovery: addresses, host names, ranges and blocks in the usual notation."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tmf_apis.errors import quoted
from tmf_apis.security.addresses import Address

#: Most addresses of one discovery.
MAX_ADDRESSES = 4096

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_DIGITS_AND_DOTS = re.compile(r"[\d.]+")


@dataclass(frozen=True, slots=True)
class DiscoveryTarget:
    """An address to discover.

    Attributes:
        address: Host as in ``adapters.values.Target``, with ":port" if a port was given.
        is_explicit: The client named the address itself. If an address of a range or block does
            not answer, that is not an error.
    """

    address: str
    is_explicit: bool


def parse_targets(targets: Iterable[str]) -> list[DiscoveryTarget]:
    """Return the addresses that the targets stand for, each once, in the order given.

    Raises:
        ValueError: A target is not an address, name, range or block, or there are more than
            ``MAX_ADDRESSES`` addresses.

    >>> [target.address for target in parse_targets(["198.18.0.1:1161", "198.18.0.8/31", "gw.lab"])]
    ['198.18.0.1:1161', '198.18.0.8', '198.18.0.9', 'gw.lab']
    >>> [target.address for target in parse_targets(["198.18.0.1-198.18.0.3", "[2001:db8::1]:161"])]
    ['198.18.0.1', '198.18.0.2', '198.18.0.3', '[2001:db8::1]:161']
    """
    by_address: dict[str, DiscoveryTarget] = {}
    for target in targets:
        for parsed in _parse_target(target.strip()):
            if parsed.address not in by_address or parsed.is_explicit:
                by_address[parsed.address] = parsed
        if len(by_address) > MAX_ADDRESSES:
            raise ValueError(f"more than {MAX_ADDRESSES} addresses")
    return list(by_address.values())


def _parse_target(target: str) -> Iterator[DiscoveryTarget]:
    if "/" in target:
        yield from _block_targets(target)
        return
    first, dash, last = target.partition("-")
    if dash and _parse_address(first) and _parse_address(last):
        yield from _range_targets(target, first, last)
        return
    host, port = host_and_port(target)
    if not 0 <= port <= 65535 or not (  # noqa: PLR2004 - RFC 768
        _parse_address(host)
        or (_HOST_NAME.fullmatch(host) and not _DIGITS_AND_DOTS.fullmatch(host))
    ):
        raise ValueError(f"{quoted(target)} is not an address, host name, range or block")
    yield DiscoveryTarget(target, is_explicit=True)


def _block_targets(target: str) -> Iterator[DiscoveryTarget]:
    try:
        block = ipaddress.ip_network(target, strict=False)
    except ValueError as error:
        raise ValueError(f"{quoted(target)} is not a block of addresses: {error}") from None
    if block.num_addresses > MAX_ADDRESSES:
        raise ValueError(
            f"{quoted(target)} has {block.num_addresses} addresses; at most {MAX_ADDRESSES}"
        )
    yield from (DiscoveryTarget(str(address), is_explicit=False) for address in block.hosts())


def _range_targets(target: str, first: str, last: str) -> Iterator[DiscoveryTarget]:
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    count = int(high) - int(low) + 1
    if low.version != high.version or not 0 < count <= MAX_ADDRESSES:
        raise ValueError(f"{quoted(target)} is not a range of 1 to {MAX_ADDRESSES} addresses")
    yield from (DiscoveryTarget(str(low + step), is_explicit=False) for step in range(count))


def host_and_port(target: str) -> tuple[str, int]:
    """Return host and port of an address; port 0 if there is none, -1 if it is malformed."""
    if target.startswith("["):
        host, _, rest = target[1:].partition("]")
        return host, _parse_port(rest[1:]) if rest.startswith(":") else (-1 if rest else 0)
    if target.count(":") == 1:
        host, _, rest = target.partition(":")
        return host, _parse_port(rest)
    return target, 0


def _parse_port(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else -1  # noqa: PLR2004


def _parse_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
