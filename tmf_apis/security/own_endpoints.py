"""The addresses at which this server can be reached; callbacks to them would form a loop."""

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Self
from urllib.parse import urlsplit

from tmf_apis.security.addresses import Address, embedded_ipv4

#: How long the addresses of an own name are used, in seconds.
_RESOLVE_INTERVAL = 60
_DEFAULT_PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str], Iterable[Address]]


@dataclass(frozen=True, slots=True)
class OwnEndpoints:
    """The endpoints of this server, and of proxies and further servers in front of or beside it.

    Attributes:
        endpoints: Pairs of host (a name or an address, lower case) and TCP port.
    """

    endpoints: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def from_texts(cls, public_url: str, addresses: Iterable[str]) -> Self:
        """Return the endpoints of a public URL (may be empty) and of texts ``host:port``."""
        endpoints = set()
        for text in (public_url, *(f"//{address}" for address in addresses)):
            with suppress(ValueError):  # an unusable TMF_PUBLIC_URL leads nowhere
                parts = urlsplit(text)
                port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
                if parts.hostname and port:
                    endpoints.add((parts.hostname.removesuffix("."), port))
        return cls(frozenset(endpoints))

    def has_port(self, port: int) -> bool:
        """Return whether an endpoint has a port; others need no further check."""
        return any(own_port == port for _, own_port in self.endpoints)

    def is_own_name(self, host: str, port: int) -> bool:
        """Return whether a host and port are written like an endpoint."""
        return (host, port) in self.endpoints

    def is_local(self, address: Address, port: int) -> bool:
        """Return whether an address of this machine and a port lead to an endpoint."""
        return self.has_port(port) and any(map(_is_of_this_machine, _unwrapped(address)))

    def is_shared(self, address: Address, port: int, resolve: Resolver) -> bool:
        """Return whether an address and port are those to which an endpoint's name leads.

        Args:
            address: The address.
            port: The TCP port.
            resolve: Returns the addresses of a name.
        """
        interval = int(time.monotonic() / _RESOLVE_INTERVAL)
        return any(
            not set(_unwrapped(address)).isdisjoint(_addresses(name, resolve, interval))
            for name, own_port in self.endpoints
            if own_port == port
        )


NO_ENDPOINTS = OwnEndpoints()


@lru_cache(maxsize=64)
def _addresses(name: str, resolve: Resolver, interval: int) -> frozenset[Address]:  # noqa: ARG001
    """Return the addresses of a name; they are resolved again in the next interval."""
    return frozenset(plain for address in resolve(name) for plain in _unwrapped(address))


def _unwrapped(address: Address) -> tuple[Address, ...]:
    """Return an address, and the IPv4 addresses that are embedded in it."""
    embedded = embedded_ipv4(address) if isinstance(address, IPv6Address) else ()
    return (address, *embedded)


def _is_of_this_machine(address: Address) -> bool:
    """Return whether this machine has an address: only then a socket can be bound to it."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False
