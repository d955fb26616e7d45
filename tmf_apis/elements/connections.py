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
from tmf_apis.elements.breaker import Breaker
from tmf_apis.elements.leasing import Leasing

#: An adapter that nobody used for so long is closed, in seconds.
IDLE = 60.0
#: Most adapters that are kept open.
MOST = 64
#: Most elements whose failures are remembered.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Open:
    adapter: Adapter
    used: int = 0
    last: float = field(default_factory=time.monotonic)


class Connections:
    """Adapters by target, for one event loop; a broken one is opened anew for the next user."""

    def __init__(self, credentials: Credentials, leasing: Leasing | None = None) -> None:
        """Keep what is needed; nothing is opened.

        Args:
            credentials: The operator's secrets.
            leasing: Keeps changers of one element apart; None: there is no other worker.
        """
        self.credentials = credentials
        self._leasing = leasing
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        #: Called whenever an element is left alone (True), and when it answers again.
        self.told: Callable[[Target, bool], None] = lambda *_: None

    @asynccontextmanager
    async def to(self, target: Target, *, change: bool = False) -> AsyncIterator[Adapter]:
        """Give an open adapter for a target; several may use it at once, it takes turns itself.

        Args:
            target: The element.
            change: Keep other workers from changing the element as long as the block lasts.

        Raises:
            Misconfigured: There is no such adapter, or no such credentials.
            Unreachable: The element's name cannot be resolved; or, as ``LeftAlone``, it did not
                answer several times in a row; or, as ``Busy``, another worker is changing it.
        """
        lease = self._leasing.held(target.name) if self._leasing and change else nullcontext()
        async with lease:
            with self._breaker(target).watch():
                async with self._used(target) as adapter:
                    yield adapter

    def _breaker(self, target: Target) -> Breaker:
        key = (target.name, target.address)
        if key not in self._breakers and len(self._breakers) >= REMEMBERED:
            self._breakers = {one: kept for one, kept in self._breakers.items() if kept.failures}
        return self._breakers.setdefault(
            key, Breaker(target.name, told=lambda silent: self.told(target, silent))
        )

    def due(self, target: Target) -> bool:
        """Return whether an element is left alone and may be tried again."""
        one = self._breakers.get((target.name, target.address))
        return one is not None and one.due

    @property
    def left_alone(self) -> list[str]:
        """Names of the elements that are left alone because they do not answer."""
        return sorted(one.element for one in self._breakers.values() if one.open)

    @asynccontextmanager
    async def _used(self, target: Target) -> AsyncIterator[Adapter]:
        key = repr(target)
        one = await self._get(key, target)
        one.used += 1
        try:
            yield one.adapter
        except Exception:
            if self._open.get(key) is one:
                del self._open[key]  # address or credentials may have changed
            raise
        finally:
            one.used -= 1
            one.last = time.monotonic()
            if not one.used and self._open.get(key) is not one:
                await one.adapter.__aexit__(None, None, None)

    async def _get(self, key: str, target: Target) -> _Open:
        await self._tidy()
        async with self._opening.setdefault(key, asyncio.Lock()):
            if (one := self._open.get(key)) is None:
                adapter = registry.connect(target, self.credentials)
                await adapter.__aenter__()
                one = self._open[key] = _Open(adapter)
        return one

    async def _tidy(self) -> None:
        now = time.monotonic()
        idle = [(one.last, key) for key, one in self._open.items() if not one.used]
        keys = [
            key
            for place, (last, key) in enumerate(sorted(idle, reverse=True))
            if now - last > IDLE or place >= MOST
        ]
        # all at once: others come here while one is being closed
        leaving = [self._open.pop(key) for key in keys]
        for key in keys:
            self._opening.pop(key, None)
        for one in leaving:
            await one.adapter.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close everything that is open."""
        for one in list(self._open.values()):
            await one.adapter.__aexit__(None, None, None)
        self._open.clear()
        if self._leasing:
            await self._leasing.close()
