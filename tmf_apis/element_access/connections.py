"""A pool of open adapters, because opening an adapter costs more than using it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.values import Target
from tmf_apis import tracing
from tmf_apis.element_access.access_policy import (
    UNRESTRICTED,
    AccessPolicy,
    checked_address,
    create_adapter,
)
from tmf_apis.element_access.breaker import Breaker
from tmf_apis.element_access.element_leases import ElementLeases

#: Adapters that were not used for this long are closed, in seconds.
IDLE_TIMEOUT = 60.0
#: Number of unused adapters that stay open.
MAX_OPEN = 64
#: Number of circuit breakers above which those without failures are dropped.
MAX_BREAKERS = 10_000


@dataclass(slots=True)
class _PooledAdapter:
    adapter: Adapter
    user_count: int = 0
    last_used_at: float = 0.0


class Connections:
    """Pooled adapters by target, for one event loop.

    After an error the adapter leaves the pool, and the next user gets a new one.
    """

    def __init__(
        self,
        credentials: Credentials,
        leases: ElementLeases | None = None,
        *,
        policy: AccessPolicy = UNRESTRICTED,
        on_circuit_change: Callable[[Target, bool], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create an empty pool.

        Args:
            credentials: The operator's secrets.
            leases: Serialize changes of one element between workers; None: this is the only
                worker.
            policy: The rules for connections to elements.
            on_circuit_change: Called with an element and True each time its circuit opens, also
                after a failed retry, and with False when it closes.
            clock: Monotonic clock of the pool and of the circuit breakers, in seconds.
        """
        self.credentials = credentials
        self._policy = policy
        self._leases = leases
        self._on_circuit_change = on_circuit_change
        self._clock = clock
        self._adapters: dict[str, _PooledAdapter] = {}
        self._open_locks: dict[str, asyncio.Lock] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}

    @asynccontextmanager
    async def acquire(self, target: Target, *, exclusive: bool = False) -> AsyncIterator[Adapter]:
        """Provide an open adapter; several users may share it, as it serializes its requests.

        Args:
            target: The element.
            exclusive: Keep other workers from changing the element while the block runs.

        Raises:
            Misconfigured: The adapter or the credentials do not exist; as ``NotPermitted``, the
                operator does not permit the address, or the credentials for it.
            Unreachable: The name of the element cannot be resolved; as ``CircuitOpenError``, the
                element failed several times in a row.
            ElementBusy: Other changes of the element took too long.
        """
        lease = self._leases.hold(target.name) if self._leases and exclusive else nullcontext()
        facts = {"tmf.element": target.name, "tmf.adapter": target.adapter}
        with tracing.span(f"element {target.adapter}", facts, kind="client"):
            async with lease:
                with self._breaker(target).guard():
                    async with self._borrow(target) as adapter:
                        yield adapter

    def _breaker(self, target: Target) -> Breaker:
        key = (target.name, target.address)
        if key not in self._breakers:
            if len(self._breakers) >= MAX_BREAKERS:
                self._breakers = {
                    key: breaker for key, breaker in self._breakers.items() if breaker.failures
                }
            self._breakers[key] = Breaker(
                target.name,
                self._clock,
                on_circuit_change=lambda unreachable: self._on_circuit_change(target, unreachable),
            )
        return self._breakers[key]

    def is_retry_due(self, target: Target) -> bool:
        """Return whether the circuit of an element is open and its pause is over."""
        breaker = self._breakers.get((target.name, target.address))
        return breaker is not None and breaker.is_retry_due

    @asynccontextmanager
    async def _borrow(self, target: Target) -> AsyncIterator[Adapter]:
        key = repr(target)
        pooled = await self._open_adapter(key, target)
        pooled.user_count += 1
        try:
            yield pooled.adapter
        except Exception:
            if self._adapters.get(key) is pooled:
                del self._adapters[key]  # address or credentials may have changed
            raise
        finally:
            pooled.user_count -= 1
            pooled.last_used_at = self._clock()
            if not pooled.user_count and self._adapters.get(key) is not pooled:
                await pooled.adapter.__aexit__(None, None, None)

    async def _open_adapter(self, key: str, target: Target) -> _PooledAdapter:
        await self._close_idle()
        async with self._open_locks.setdefault(key, asyncio.Lock()):
            if (pooled := self._adapters.get(key)) is None:
                adapter = await create_adapter(target, self.credentials, self._policy)
                await adapter.__aenter__()
                pooled = self._adapters[key] = _PooledAdapter(adapter, last_used_at=self._clock())
        return pooled

    async def _close_idle(self) -> None:
        now = self._clock()
        unused = [
            (pooled.last_used_at, key)
            for key, pooled in self._adapters.items()
            if not pooled.user_count
        ]
        keys = [
            key
            for position, (last_used_at, key) in enumerate(sorted(unused, reverse=True))
            if now - last_used_at > IDLE_TIMEOUT or position >= MAX_OPEN
        ]
        # remove all of them before the first await: other tasks run while an adapter closes
        expired = [self._adapters.pop(key) for key in keys]
        for key in keys:
            self._open_locks.pop(key, None)
        for pooled in expired:
            await pooled.adapter.__aexit__(None, None, None)

    async def checked_address(self, target: Target, address: str) -> str:
        """Return the checked form of a further address of an element, such as a test head.

        Raises:
            Misconfigured: As ``NotPermitted``, the operator does not permit the address.
            Unreachable: Its name cannot be resolved.
        """
        return await checked_address(target, address, self._policy)

    async def close(self) -> None:
        """Close all adapters and release the leases."""
        for pooled in list(self._adapters.values()):
            await pooled.adapter.__aexit__(None, None, None)
        self._adapters.clear()
        if self._leases:
            await self._leases.close()
