"""Open adapters, kept between the steps of orders: opening one costs more than using it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from adapters import registry
from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.values import Target
from tmf_apis.element_access.breaker import Breaker
from tmf_apis.element_access.element_leases import ElementLeases

#: An adapter that nobody used for so long is closed, in seconds.
IDLE_TIMEOUT = 60.0
#: Most adapters that are kept open.
MAX_OPEN = 64
#: Most elements whose failures are remembered.
MAX_BREAKERS = 10_000


@dataclass(slots=True)
class _PooledAdapter:
    adapter: Adapter
    user_count: int = 0
    last_used_at: float = field(default_factory=time.monotonic)


class Connections:
    """Adapters by target, for one event loop; a broken one is opened anew for the next user."""

    def __init__(self, credentials: Credentials, leases: ElementLeases | None = None) -> None:
        """Keep what is needed; nothing is opened.

        Args:
            credentials: The operator's secrets.
            leases: Keeps changers of one element apart; None: there is no other worker.
        """
        self.credentials = credentials
        self._leases = leases
        self._adapters: dict[str, _PooledAdapter] = {}
        self._open_locks: dict[str, asyncio.Lock] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        #: Called whenever an element is left alone (True), and when it answers again.
        self.on_circuit_change: Callable[[Target, bool], None] = lambda *_: None

    @asynccontextmanager
    async def acquire(self, target: Target, *, exclusive: bool = False) -> AsyncIterator[Adapter]:
        """Give an open adapter for a target; several may use it at once, it takes turns itself.

        Args:
            target: The element.
            exclusive: Keep other workers from changing the element as long as the block lasts.

        Raises:
            Misconfigured: There is no such adapter, or no such credentials.
            Unreachable: The element's name cannot be resolved; or, as ``LeftAlone``, it did not
                answer several times in a row; or, as ``ElementBusy``, another worker is changing it.
        """
        lease = self._leases.hold(target.name) if self._leases and exclusive else nullcontext()
        async with lease:
            with self._breaker(target).guard():
                async with self._borrow(target) as adapter:
                    yield adapter

    def _breaker(self, target: Target) -> Breaker:
        key = (target.name, target.address)
        if key not in self._breakers and len(self._breakers) >= MAX_BREAKERS:
            self._breakers = {one: kept for one, kept in self._breakers.items() if kept.failures}
        return self._breakers.setdefault(
            key,
            Breaker(
                target.name, on_circuit_change=lambda silent: self.on_circuit_change(target, silent)
            ),
        )

    def is_retry_due(self, target: Target) -> bool:
        """Return whether an element is left alone and may be tried again."""
        one = self._breakers.get((target.name, target.address))
        return one is not None and one.is_retry_due

    @property
    def unreachable_elements(self) -> list[str]:
        """Names of the elements that are left alone because they do not answer."""
        return sorted(one.element for one in self._breakers.values() if one.is_open)

    @asynccontextmanager
    async def _borrow(self, target: Target) -> AsyncIterator[Adapter]:
        key = repr(target)
        one = await self._open_adapter(key, target)
        one.user_count += 1
        try:
            yield one.adapter
        except Exception:
            if self._adapters.get(key) is one:
                del self._adapters[key]  # address or credentials may have changed
            raise
        finally:
            one.user_count -= 1
            one.last_used_at = time.monotonic()
            if not one.user_count and self._adapters.get(key) is not one:
                await one.adapter.__aexit__(None, None, None)

    async def _open_adapter(self, key: str, target: Target) -> _PooledAdapter:
        await self._close_idle()
        async with self._open_locks.setdefault(key, asyncio.Lock()):
            if (one := self._adapters.get(key)) is None:
                adapter = registry.create_adapter(target, self.credentials)
                await adapter.__aenter__()
                one = self._adapters[key] = _PooledAdapter(adapter)
        return one

    async def _close_idle(self) -> None:
        now = time.monotonic()
        idle = [
            (one.last_used_at, key) for key, one in self._adapters.items() if not one.user_count
        ]
        keys = [
            key
            for place, (last, key) in enumerate(sorted(idle, reverse=True))
            if now - last > IDLE_TIMEOUT or place >= MAX_OPEN
        ]
        # all at once: others come here while one is being closed
        leaving = [self._adapters.pop(key) for key in keys]
        for key in keys:
            self._open_locks.pop(key, None)
        for one in leaving:
            await one.adapter.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close everything that is open."""
        for one in list(self._adapters.values()):
            await one.adapter.__aexit__(None, None, None)
        self._adapters.clear()
        if self._leases:
            await self._leases.close()
