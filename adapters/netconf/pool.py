"""A pool of sessions: one open session for each element and identity."""

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


_Sessions = dict[Key, _PooledSession]
_sessions_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Sessions] = (
    weakref.WeakKeyDictionary()
)


def _sessions() -> _Sessions:
    """Return the sessions of the running event loop; they are closed when the loop is deleted."""
    loop = asyncio.get_running_loop()
    if (sessions := _sessions_by_loop.get(loop)) is None:
        sessions = _sessions_by_loop[loop] = {}
        weakref.finalize(loop, _close_sessions, sessions)
    return sessions


def _close_sessions(sessions: _Sessions) -> None:
    for pooled in sessions.values():
        pooled.close()


class SessionLease:
    """A share of the pooled session of an element; call ``release`` when it is no longer needed.

    The operations on an element are serialized, so the session has one user at a time.

    Args:
        key: Identifies the session; leases with equal keys share one.
        open_session: Opens a session.
        idle_timeout: Time for which a session without leases stays open, in seconds.
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
        """Return the open session; open one if there is none or it was lost."""
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
