"""Checks of URLs that clients register: callbacks of subscriptions and URLs of jobs.

A URL is checked at its registration and again at each connection. The connection is made to the
checked address (``pinned_http``). A name that does not resolve at its registration is accepted: the
server cannot connect to it until it resolves, and then checks the address.
"""

import asyncio
import re
import socket
import string
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

import idna

from tmf_apis.errors import InvalidBody
from tmf_apis.security.addresses import Address, denial_reason
from tmf_apis.security.own_endpoints import NO_ENDPOINTS, OwnEndpoints
from tmf_apis.security.ports import SERVICE_PORTS
from tmf_apis.settings import Settings

#: Longest permitted URL, in characters.
MAX_URL_LENGTH = 2048
#: Time limit of the name resolution, in seconds.
RESOLVE_TIMEOUT = 3.0
DEFAULT_PORTS = {"http": 80, "https": 443}
#: Names that some resolvers read as an IPv4 address: the last label is a number.
NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?\Z")
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """The hosts to which the operator permits connections.

    Attributes:
        allow_loopback: This machine is permitted.
        allowed_hosts: Permitted hosts (``host`` or ``*.example.com``); empty: every public host. A
            listed host can have a private address.
        allowed_ports: Permitted ports of other services (``ports``).
        own: The addresses of this server, which are not permitted.
    """

    allow_loopback: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = ()
    own: OwnEndpoints = NO_ENDPOINTS

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the policy of the settings; without authentication, loopback is permitted."""
        return cls(
            settings.callback_loopback or not settings.is_authentication_required,
            settings.callback_hosts,
            settings.callback_ports,
            OwnEndpoints.from_texts(settings.public_url, settings.own_addresses),
        )

    def is_listed(self, host: str) -> bool:
        """Return whether a host is in the list of permitted hosts."""
        return any(
            host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
            for entry in map(str.lower, self.allowed_hosts)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A permitted URL.

    Attributes:
        url: The URL with its host in ASCII.
        scheme: "http" or "https".
        host: Name or address; ASCII, lower case, IPv6 without brackets.
        port: TCP port.
        addresses: Checked addresses; empty if the name does not resolve.
    """

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...] = ()


def check_url(url: str, policy: OutboundPolicy) -> Target:
    """Resolve the host of a URL and check all its addresses; return the target.

    Raises:
        InvalidBody: The policy forbids the URL (HTTP 400); the message names the rule.
    """
    target = parse_url(url, policy)
    return replace(
        target,
        addresses=check_addresses(target.host, target.port, resolve_host(target.host), policy),
    )


def parse_url(url: str, policy: OutboundPolicy) -> Target:
    """Check the text of a URL; return its target without addresses.

    Raises:
        InvalidBody: The URL is invalid, or the policy forbids its host (HTTP 400).
    """
    parts, port = _split_url(url)
    host = _ascii_host(parts.hostname or "")
    is_local = policy.allow_loopback and (host == "localhost" or _is_loopback(host))
    if policy.allowed_hosts and not (policy.is_listed(host) or is_local):
        allowed = ", ".join(policy.allowed_hosts)
        raise InvalidBody(f"the operator permits only these hosts: {allowed}; not {host}")
    _check_port(host, port, policy)
    netloc = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        netloc += f":{port}"
    target = parts._replace(
        netloc=netloc,
        path=_ascii_text(parts.path or "/"),
        query=_ascii_text(parts.query),
        fragment="",
    )
    if literal := _ip_literal(host):
        check_addresses(host, port, [literal], policy)
    return Target(target.geturl(), parts.scheme, host, port)


def check_addresses(
    host: str, port: int, resolved_addresses: Iterable[Address], policy: OutboundPolicy
) -> tuple[str, ...]:
    """Check the addresses to which a host and port lead; return them as text.

    A name that leads to the same proxy as this server's own name is refused, unless it is listed.

    Raises:
        InvalidBody: The policy forbids one of them (HTTP 400).
    """
    is_listed = policy.is_listed(host)
    addresses = tuple(resolved_addresses)
    for address in addresses:
        if reason := denial_reason(
            address, allow_loopback=policy.allow_loopback, allow_internal=is_listed
        ):
            raise InvalidBody(f"host {host} leads to {address}, which is refused: {reason}")
        if policy.own.is_local(address, port) or (
            not is_listed and policy.own.is_shared(address, port, resolve_host)
        ):
            raise InvalidBody(f"host {host} and port {port} lead to this server")
    return tuple(map(str, addresses))


async def resolve_host_async(host: str) -> list[Address]:
    """Return the addresses of a host; empty if it does not resolve in time."""
    if literal := _ip_literal(host):
        return [literal]
    lookup = asyncio.wrap_future(_resolver_executor().submit(_lookup, host))
    try:
        return await asyncio.wait_for(lookup, RESOLVE_TIMEOUT)
    except TimeoutError:
        return []


def resolve_host(host: str) -> list[Address]:
    """Return the addresses of a host as ``resolve_host_async`` does; block the thread."""
    if literal := _ip_literal(host):
        return [literal]
    lookup: Future[list[Address]] = _resolver_executor().submit(_lookup, host)
    try:
        return lookup.result(RESOLVE_TIMEOUT)
    except TimeoutError:
        lookup.cancel()
        return []


@cache
def _resolver_executor() -> ThreadPoolExecutor:
    """Return the executor for name resolution; a slow name service blocks no other threads."""
    return ThreadPoolExecutor(32, "resolver")


def _lookup(host: str) -> list[Address]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses: dict[str, Address] = {}
    for family, *_, socket_address in rows:
        text = str(socket_address[0]).partition("%")[0]
        address_class = IPv4Address if family == socket.AF_INET else IPv6Address
        addresses.setdefault(text, address_class(text))
    return list(addresses.values())


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


def _check_port(host: str, port: int, policy: OutboundPolicy) -> None:
    if policy.own.is_own_name(host, port):
        raise InvalidBody(f"host {host} and port {port} are those of this server")
    if port in SERVICE_PORTS and port not in policy.allowed_ports:
        raise InvalidBody(
            f"port {port} is refused, it is that of {SERVICE_PORTS[port]};"
            " the operator can permit it (TMF_CALLBACK_PORTS)"
        )


def _ascii_text(text: str) -> str:
    """Return a path or query with its non-ASCII characters percent-encoded (RFC 3987, 3.1).

    Raises:
        InvalidBody: A character cannot be encoded (HTTP 400).
    """
    try:
        return quote(text, safe=string.printable)
    except UnicodeEncodeError:
        raise InvalidBody("a URL has no surrogate code points") from None


def _ascii_host(host: str) -> str:
    if ":" in host:
        try:
            return str(IPv6Address(host)) if "%" not in host else _refuse(host)
        except AddressValueError:
            return _refuse(host)
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
        name = name.lower().removesuffix(".")
        if "xn--" in name:
            idna.decode(name)  # clients of HTTP decode such names, too
    except (idna.IDNAError, UnicodeError):
        return _refuse(host)
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
