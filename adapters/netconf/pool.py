"""Sessions that are kept open between operations, one for each element and identity."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.netconf.session import Session

Key = tuple[object, ...]


@dataclass(slots=True)
class _PooledSession:
    session: Session | None = None
    lease_count: int = 0
    idle_timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None


_sessions_by_loop: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, _PooledSession]]" = weakref.WeakKeyDictionary()


def _sessions() -> dict[Key, _PooledSession]:
    loop = asyncio.get_running_loop()
    if (held := _sessions_by_loop.get(loop)) is None:
        held = _sessions_by_loop[loop] = {}
        weakref.finalize(loop, _close_sessions, held)
    return held


def _close_sessions(sessions: dict[Key, _PooledSession]) -> None:
    for one in sessions.values():
        one.close()


class SessionLease:
    """The right to use the session of an element; whoever took it gives it back.

    Operations on one element take turns, so that the session has one user at a time.

    Args:
        key: What the session is for: equal keys share one.
        make: Opens a session.
        idle: Seconds that a session nobody uses stays open.
    """

    def __init__(
        self, key: Key, open_session: Callable[[], Awaitable[Session]], idle_timeout: float
    ) -> None:
        self._open_session, self._idle_timeout = open_session, idle_timeout
        self._key, self._sessions = key, _sessions()
        self._pooled_session = self._sessions.setdefault(key, _PooledSession())
        self._pooled_session.lease_count += 1
        if self._pooled_session.idle_timer is not None:
            self._pooled_session.idle_timer.cancel()
            self._pooled_session.idle_timer = None

    async def session(self) -> Session:
        """Return the session, a new one where there is none or it was lost."""
        if self._pooled_session.session is None or self._pooled_session.session.is_lost:
            self._pooled_session.close()
            self._pooled_session.session = await self._open_session()
        return self._pooled_session.session

    def release(self) -> None:
        """End the lease."""
        self._pooled_session.lease_count -= 1
        if self._pooled_session.lease_count > 0:
            return
        if self._idle_timeout > 0:
            self._pooled_session.idle_timer = asyncio.get_running_loop().call_later(
                self._idle_timeout, self._evict
            )
        else:
            self._evict()

    def _evict(self) -> None:
        self._pooled_session.close()
        if self._sessions.get(self._key) is self._pooled_session:
            del self._sessions[self._key]
