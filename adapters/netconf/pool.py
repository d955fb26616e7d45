"""Sessions that are kept open between operations, one for each element and identity."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.netconf.session import Session

Key = tuple[object, ...]


@dataclass(slots=True)
class _Held:
    session: Session | None = None
    users: int = 0
    closing: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None


_held: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, _Held]]" = (
    weakref.WeakKeyDictionary()
)


def _all() -> dict[Key, _Held]:
    loop = asyncio.get_running_loop()
    if (held := _held.get(loop)) is None:
        held = _held[loop] = {}
        weakref.finalize(loop, _close, held)
    return held


def _close(held: dict[Key, _Held]) -> None:
    for one in held.values():
        one.close()


class Lease:
    """The right to use the session of an element; whoever took it gives it back.

    Operations on one element take turns, so that the session has one user at a time.

    Args:
        key: What the session is for: equal keys share one.
        make: Opens a session.
        idle: Seconds that a session nobody uses stays open.
    """

    def __init__(self, key: Key, make: Callable[[], Awaitable[Session]], idle: float) -> None:
        self._make, self._idle = make, idle
        self._key, self._all = key, _all()
        self._one = self._all.setdefault(key, _Held())
        self._one.users += 1
        if self._one.closing is not None:
            self._one.closing.cancel()
            self._one.closing = None

    async def session(self) -> Session:
        """Return the session, a new one where there is none or it was lost."""
        if self._one.session is None or self._one.session.lost:
            self._one.close()
            self._one.session = await self._make()
        return self._one.session

    def give_back(self) -> None:
        """End the lease."""
        self._one.users -= 1
        if self._one.users > 0:
            return
        if self._idle > 0:
            self._one.closing = asyncio.get_running_loop().call_later(self._idle, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._one.close()
        if self._all.get(self._key) is self._one:
            del self._all[self._key]
