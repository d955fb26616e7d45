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
from tmf_apis.security.addresses import Address, denial_reason

#: Longest URL that is taken, in characters.
MAX_URL_LENGTH = 2048
#: Longest wait for the name service, in seconds.
RESOLVE_TIMEOUT = 3.0
DEFAULT_PORTS = {"http": 80, "https": 443}
#: What an old resolver would read as an IPv4 address: its last label is a number.
NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?\Z")
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Where the operator lets the server be sent.

    Attributes:
        allow_loopback: This machine itself is permitted.
        allowed_hosts: Names (``host`` or ``*.example.com``) that are permitted; empty: every public one.
            A listed host may have a private address.
    """

    allow_loopback: bool = False
    allowed_hosts: tuple[str, ...] = ()

    def is_listed(self, host: str) -> bool:
        """Return whether the operator has listed a host."""
        return any(
            host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
            for entry in map(str.lower, self.allowed_hosts)
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


def check_url(url: str, *, allow_loopback: bool, allowed_hosts: tuple[str, ...]) -> Target:
    """Return the target of a URL, its name resolved and every address checked.

    Raises:
        InvalidBody: The server must not be sent there (HTTP 400); the message names the rule.
    """
    policy = OutboundPolicy(allow_loopback, allowed_hosts)
    target = parse_url(url, policy)
    addresses = check_addresses(target.host, resolve_host(target.host), policy)
    return Target(target.url, target.scheme, target.host, target.port, addresses)


async def check_url_async(url: str, policy: OutboundPolicy) -> Target:
    """Do as ``check_url`` does, without blocking the event loop."""
    target = parse_url(url, policy)
    addresses = check_addresses(target.host, await resolve_host_async(target.host), policy)
    return Target(target.url, target.scheme, target.host, target.port, addresses)


def parse_url(url: str, policy: OutboundPolicy) -> Target:
    """Return the target of a URL, judged by its text alone; nothing is resolved.

    Raises:
        InvalidBody: The URL is not one that may be called.
    """
    parts, port = _split_url(url)
    host = _ascii_host(parts.hostname or "")
    listed = policy.is_listed(host)
    itself = policy.allow_loopback and (host == "localhost" or _is_loopback(host))
    if policy.allowed_hosts and not (listed or itself):
        allowed = ", ".join(policy.allowed_hosts)
        raise InvalidBody(f"the operator permits only these hosts: {allowed}; not {host}")
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if parts.port is None else f":{port}"
    target = parts._replace(netloc=shown + suffix, path=parts.path or "/", fragment="")
    if literal := _ip_literal(host):
        check_addresses(host, [literal], policy)
    return Target(target.geturl(), parts.scheme, host, port)


def check_addresses(
    host: str, resolved_addresses: Iterable[Address], policy: OutboundPolicy
) -> tuple[str, ...]:
    """Return the addresses as text, when every one of them may be connected to.

    Raises:
        InvalidBody: One of them must not be.
    """
    listed = policy.is_listed(host)
    loopback = policy.allow_loopback or host in policy.allowed_hosts
    addresses = tuple(resolved_addresses)
    for address in addresses:
        if reason := denial_reason(address, allow_loopback=loopback, allow_internal=listed):
            raise InvalidBody(f"host {host} leads to {address}, which is refused: {reason}")
    return tuple(map(str, addresses))


async def resolve_host_async(host: str) -> list[Address]:
    """Return what a name resolves to; empty when it does not, or not in time."""
    if literal := _ip_literal(host):
        return [literal]
    waiting = asyncio.wrap_future(_resolver_threads().submit(_lookup, host))
    try:
        return await asyncio.wait_for(waiting, RESOLVE_TIMEOUT)
    except TimeoutError:
        return []


def resolve_host(host: str) -> list[Address]:
    """Do as ``resolve_host_async`` does, in a thread that may wait."""
    if literal := _ip_literal(host):
        return [literal]
    waiting: Future[list[Address]] = _resolver_threads().submit(_lookup, host)
    try:
        return waiting.result(RESOLVE_TIMEOUT)
    except Late:
        waiting.cancel()
        return []


@cache
def _resolver_threads() -> ThreadPoolExecutor:
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


def _split_url(url: str) -> tuple[SplitResult, int]:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidBody(f"a URL has at most {MAX_URL_LENGTH} characters")
    if any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise InvalidBody("a URL has no blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidBody(f"not a URL: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidBody("a URL starts with https:// or http://")
    if "@" in parts.netloc:
        raise InvalidBody("a URL carries no user name or password")
    if not parts.hostname or port == 0:
        raise InvalidBody("a URL names a host, and a port from 1 to 65535 if any")
    return parts, port or DEFAULT_PORTS[parts.scheme]


def _ascii_host(host: str) -> str:
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
    if NUMERIC_HOST.match(name):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise InvalidBody(
                f"an IPv4 address is written as four decimal numbers, not {host}"
            ) from None
    return name if HOST_NAME.match(name) else _refuse(host)


def _refuse(host: str) -> str:
    raise InvalidBody(f"not a host name or address: {host}")


def _ip_literal(host: str) -> Address | None:
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def _is_loopback(host: str) -> bool:
    literal = _ip_literal(host)
    return literal is not None and denial_reason(literal) == "loopback"
