"""Open adapters, kept between the steps of orders: opening one costs more than using it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from adapters import registry
from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import ElementError
from adapters.values import Target

#: An adapter that nobody used for so long is closed, in seconds.
IDLE = 60.0
#: Most adapters that are kept open.
MOST = 64


@dataclass(slots=True)
class _Open:
    adapter: Adapter
    used: int = 0
    last: float = field(default_factory=time.monotonic)


class Connections:
    """Adapters by target, for one event loop; a broken one is opened anew for the next user."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def to(self, target: Target) -> AsyncIterator[Adapter]:
        """Give an open adapter for a target; several may use it at once, it takes turns itself.

        Raises:
            Misconfigured: There is no such adapter, or no such credentials.
            Unreachable: The element's name cannot be resolved.
        """
        key = repr(target)
        one = await self._get(key, target)
        one.used += 1
        try:
            yield one.adapter
        except ElementError:
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
        for place, (last, key) in enumerate(sorted(idle, reverse=True)):
            if now - last > IDLE or place >= MOST:
                one = self._open.pop(key)
                self._opening.pop(key, None)
                await one.adapter.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close everything that is open."""
        for one in self._open.values():
            await one.adapter.__aexit__(None, None, None)
        self._open.clear()
