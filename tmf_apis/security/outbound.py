"""Where the server may be sent by others: callbacks of subscribers and URLs of jobs.

A URL is checked when it is registered and again at each connection; the address that was checked
is the one connected to (``pinned``). A name that does not resolve at registration is let through:
nothing can be sent to it until it resolves, and then it is checked.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

import idna

from tmf_apis.errors import InvalidBody
from tmf_apis.security.addresses import Address, objection

#: Longest URL that is taken, in characters.
LONGEST = 2048
#: Longest wait for the name service, in seconds.
PATIENCE = 3.0
PORTS = {"http": 80, "https": 443}
#: What an old resolver would read as an IPv4 address: its last label is a number.
NUMERIC = re.compile(r"(?:.*\.)?(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?\Z")
LABELS = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")


@dataclass(frozen=True, slots=True)
class Policy:
    """Where the operator lets the server be sent.

    Attributes:
        loopback: This machine itself is permitted.
        hosts: Names (``host`` or ``*.example.com``) that are permitted; empty: every public one.
            A listed host may have a private address.
    """

    loopback: bool = False
    hosts: tuple[str, ...] = ()

    def lists(self, host: str) -> bool:
        """Return whether the operator has listed a host."""
        return any(
            host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
            for entry in map(str.lower, self.hosts)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called.

    Attributes:
        url: The URL with its host in ASCII.
        scheme: "http" or "https".
        host: Name or address, ASCII, lower case, IPv6 without brackets.
        port: TCP port.
        addresses: Checked addresses to connect to; empty when the name does not resolve now.
    """

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...] = ()


def check(url: str, *, loopback: bool, hosts: tuple[str, ...]) -> Target:
    """Return the target of a URL, its name resolved and every address checked.

    Raises:
        InvalidBody: The server must not be sent there (HTTP 400); the message names the rule.
    """
    policy = Policy(loopback, hosts)
    target = read(url, policy)
    addresses = permitted(target.host, resolved(target.host), policy)
    return Target(target.url, target.scheme, target.host, target.port, addresses)


async def resolve(url: str, policy: Policy) -> Target:
    """Do as ``check`` does, without blocking the event loop."""
    target = read(url, policy)
    addresses = permitted(target.host, await addresses_of(target.host), policy)
    return Target(target.url, target.scheme, target.host, target.port, addresses)


def read(url: str, policy: Policy) -> Target:
    """Return the target of a URL, judged by its text alone; nothing is resolved.

    Raises:
        InvalidBody: The URL is not one that may be called.
    """
    parts, port = _split(url)
    host = _ascii(parts.hostname or "")
    listed = policy.lists(host)
    itself = policy.loopback and (host == "localhost" or _is_loopback(host))
    if policy.hosts and not (listed or itself):
        allowed = ", ".join(policy.hosts)
        raise InvalidBody(f"the operator permits only these hosts: {allowed}; not {host}")
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if parts.port is None else f":{port}"
    target = parts._replace(netloc=shown + suffix, path=parts.path or "/", fragment="")
    if literal := _literal(host):
        permitted(host, [literal], policy)
    return Target(target.geturl(), parts.scheme, host, port)


def permitted(host: str, found: Iterable[Address], policy: Policy) -> tuple[str, ...]:
    """Return the addresses as text, when every one of them may be connected to.

    Raises:
        InvalidBody: One of them must not be.
    """
    listed = policy.lists(host)
    loopback = policy.loopback or host in policy.hosts
    addresses = tuple(found)
    for address in addresses:
        if reason := objection(address, loopback=loopback, internal=listed):
            raise InvalidBody(f"host {host} leads to {address}, which is refused: {reason}")
    return tuple(map(str, addresses))


async def addresses_of(host: str) -> list[Address]:
    """Return what a name resolves to; empty when it does not, or not in time."""
    if literal := _literal(host):
        return [literal]
    waiting = asyncio.wrap_future(_pool().submit(_lookup, host))
    try:
        return await asyncio.wait_for(waiting, PATIENCE)
    except TimeoutError:
        return []


def resolved(host: str) -> list[Address]:
    """Do as ``addresses_of`` does, in a thread that may wait."""
    if literal := _literal(host):
        return [literal]
    waiting: Future[list[Address]] = _pool().submit(_lookup, host)
    try:
        return waiting.result(PATIENCE)
    except Late:
        waiting.cancel()
        return []


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that wait for the name service, away from all others."""
    return ThreadPoolExecutor(32, "resolver")


def _lookup(host: str) -> list[Address]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    found: dict[str, Address] = {}
    for family, *_, place in rows:
        text = str(place[0]).partition("%")[0]
        kind = IPv4Address if family == socket.AF_INET else IPv6Address
        found.setdefault(text, kind(text))
    return list(found.values())


def _split(url: str) -> tuple[SplitResult, int]:
    if len(url) > LONGEST:
        raise InvalidBody(f"a URL has at most {LONGEST} characters")
    if any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise InvalidBody("a URL has no blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidBody(f"not a URL: {error}") from None
    if parts.scheme not in PORTS:
        raise InvalidBody("a URL starts with https:// or http://")
    if "@" in parts.netloc:
        raise InvalidBody("a URL carries no user name or password")
    if not parts.hostname or port == 0:
        raise InvalidBody("a URL names a host, and a port from 1 to 65535 if any")
    return parts, port or PORTS[parts.scheme]


def _ascii(host: str) -> str:
    if ":" in host:
        try:
            return str(IPv6Address(host)) if "%" not in host else _refuse(host)
        except AddressValueError:
            return _refuse(host)
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return _refuse(host)
    name = name.lower().removesuffix(".")
    if NUMERIC.match(name):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise InvalidBody(
                f"an IPv4 address is written as four decimal numbers, not {host}"
            ) from None
    return name if LABELS.match(name) else _refuse(host)


def _refuse(host: str) -> str:
    raise InvalidBody(f"not a host name or address: {host}")


def _literal(host: str) -> Address | None:
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def _is_loopback(host: str) -> bool:
    literal = _literal(host)
    return literal is not None and objection(literal) == "loopback"
