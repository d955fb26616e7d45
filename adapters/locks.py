"""Locks that serialize the operations on one element, even of several adapters."""

import asyncio
from weakref import WeakKeyDictionary, WeakValueDictionary

_EndpointLocks = WeakValueDictionary[tuple[str, int], asyncio.Lock]
_locks_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _EndpointLocks] = WeakKeyDictionary()


def endpoint_lock(endpoint: tuple[str, int]) -> asyncio.Lock:
    """Return the lock of an element, shared by all adapters in the running event loop."""
    locks = _locks_by_loop.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    if (lock := locks.get(endpoint)) is None:
        lock = locks[endpoint] = asyncio.Lock()
    return lock
