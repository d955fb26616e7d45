"""The limits of open connections: of all, and of each address."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from tmf_apis.errors import TmfError, TooManyRequests, Unavailable
from tmf_apis.rest.http.access_log import AccessLog
from tmf_apis.rest.http.shared_accounts import SharedAccounts
from tmf_apis.security.addresses import address_key, is_in_networks, is_loopback
from tmf_apis.settings import Settings
from tmf_apis.store.shared_state import Cell


@dataclass(slots=True)
class ConnectionLimits:
    """The limits of connections, and the open connections of each address.

    Without authentication the server is for trials on one machine, whose clients all have one
    address: connections from loopback are then limited only together.

    Attributes:
        settings: The limits.
        count_refusal: Called with the reason of each connection or request that is refused.
        access_log: Records the requests that are refused before the application has them.
        by_address: Number of open connections by address (of IPv6 by the /64).
        total: Number of open connections.
        shared: The connections of all processes of the server; None: it has one process.
    """

    settings: Settings
    count_refusal: Callable[[str], None]
    access_log: AccessLog = field(default_factory=lambda: AccessLog(is_enabled=False))
    by_address: Counter[str] = field(default_factory=Counter)
    total: int = 0
    shared: SharedAccounts | None = None

    def add(self, address: str) -> TmfError | None:
        """Count a new connection; return the error if it is one too many."""
        key = address_key(address)
        self.total += 1
        self.by_address[key] += 1
        of_address, total = self._shared_counts(key, 1)
        limit = self.settings.address_connections
        if limit and of_address > limit and not self._is_shared(address):
            return TooManyRequests(
                f"this address has {limit} open connections, the most allowed",
                headers={"Retry-After": "1"},
            )
        if self.settings.connection_limit and total > self.settings.connection_limit:
            return Unavailable("too many open connections", headers={"Retry-After": "1"})
        return None

    def remove(self, address: str) -> None:
        """Count the end of a connection."""
        key = address_key(address)
        self.total -= 1
        self.by_address[key] -= 1
        self._shared_counts(key, -1)
        if not self.by_address[key]:
            del self.by_address[key]

    def _shared_counts(self, key: str, change: int) -> tuple[int, int]:
        """Return the connections of an address and of all, of all processes of the server."""
        if self.shared is None:
            return self.by_address[key], self.total
        account = self.shared.account(f"connections {key}")
        account.add_active(change)
        self.shared.state.set(Cell.CONNECTIONS, self.total)
        return account.active, self.shared.state.total(Cell.CONNECTIONS)

    def _is_shared(self, address: str) -> bool:
        """Return whether many clients are known to have an address."""
        if self.settings.auth == "off" and is_loopback(address):
            return True
        try:
            return is_in_networks(ip_address(address), self.settings.trusted_proxies)
        except ValueError:
            return False
