"""Requests per second of clients, tenants and addresses, and how many they may have at a time.

A token bucket for each key: it holds ``burst`` requests and is refilled with ``rate`` a second.

Source: draft-ietf-httpapi-ratelimit-headers-11 (``RateLimit-Policy`` and ``RateLimit``, structured
fields); RFC 9110, section 10.2.3 (``Retry-After``); RFC 6585, section 4 (429).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tmf_apis.rest.http.shared_accounts import SharedAccount, SharedAccounts

#: Number of accounts from which idle ones are forgotten.
_MAX_ACCOUNTS = 20_000


@dataclass(slots=True)
class Account:
    """The requests of one client, tenant or address.

    Attributes:
        tokens: Requests that it may send at once.
        updated_at: When ``tokens`` was computed, in seconds of the clock.
        active: Number of its requests that are being answered or wait.
        is_valid: The account has not been given to another key.
    """

    tokens: float
    updated_at: float
    active: int = 0
    is_valid: ClassVar[bool] = True

    def begin_request(self) -> None:
        """Count a request that begins."""
        self.tokens -= 1
        self.active += 1

    def end_request(self) -> None:
        """Count the end of a request."""
        self.active -= 1


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of each account of one level.

    Attributes:
        name: Name of the level in headers and metrics: client, tenant or address.
        rate: Requests per second; 0: any number.
        burst: Most requests at once after a pause.
        concurrency: Most requests that are answered or wait at a time; 0: any number.
    """

    name: str
    rate: float
    burst: float
    concurrency: int

    def policy(self) -> str:
        """Return the member of ``RateLimit-Policy``: the quota and the time that refills it.

        >>> Limit("client", 1000, 5000, 0).policy()
        '"client";q=5000;w=5'
        """
        window = math.ceil(self.burst / self.rate)
        return f'"{self.name}";q={math.floor(self.burst)};w={window}'


class RateLimiter:
    """The accounts of one level.

    Attributes:
        limit: The limit of each account.
        policy: Its member of ``RateLimit-Policy``; empty if there is no rate.
    """

    def __init__(
        self,
        limit: Limit,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedAccounts | None = None,
    ) -> None:
        """Create the limiter; all accounts have their burst.

        Args:
            limit: The limit of each account.
            clock: Returns the current time, in seconds; that of all processes, if they share.
            shared: The accounts of all processes of the server; None: it has one process.
        """
        self.limit = limit
        self.policy = limit.policy() if limit.rate else ""
        self._clock = clock
        self._shared = shared
        self._accounts: dict[str, Account | SharedAccount] = {}

    def account(self, key: str) -> Account | SharedAccount:
        """Return the account of a key, refilled."""
        now = self._clock()
        account = self._accounts.get(key)
        if account is None or not account.is_valid:
            if len(self._accounts) >= _MAX_ACCOUNTS:
                self._forget_idle_accounts()
            account = self._accounts[key] = self._new_account(key, now)
        limit = self.limit
        tokens = account.tokens + (now - account.updated_at) * limit.rate
        account.tokens = min(limit.burst, tokens)
        account.updated_at = now
        return account

    def _new_account(self, key: str, now: float) -> Account | SharedAccount:
        if self._shared is None:
            return Account(self.limit.burst, now)
        return self._shared.account(f"{self.limit.name} {key}", self.limit.burst, now)

    def is_rate_exceeded(self, account: Account | SharedAccount) -> bool:
        """Return whether the account may not send a request now."""
        return self.limit.rate > 0 and account.tokens < 1

    def is_concurrency_exceeded(self, account: Account | SharedAccount) -> bool:
        """Return whether the account has its most requests at a time."""
        return 0 < self.limit.concurrency <= account.active

    def retry_after(self, account: Account | SharedAccount) -> int:
        """Return how long to wait for the next request, in whole seconds."""
        return max(1, math.ceil((1 - account.tokens) / self.limit.rate))

    def state(self, account: Account | SharedAccount) -> str:
        """Return the member of ``RateLimit``: what is left, and when the quota is full again."""
        limit = self.limit
        remaining = max(0, math.floor(account.tokens))
        seconds = math.ceil((limit.burst - account.tokens) / limit.rate)
        return f'"{limit.name}";r={remaining};t={seconds}'

    def _forget_idle_accounts(self) -> None:
        """Forget the accounts that have their burst again, or else the older half of the idle."""
        now, limit = self._clock(), self.limit
        refill_time = limit.burst / limit.rate if limit.rate else 0.0
        idle = [key for key, account in self._accounts.items() if not account.active]
        full = [key for key in idle if now - self._accounts[key].updated_at >= refill_time]
        for key in full or idle[: len(idle) // 2]:
            del self._accounts[key]
