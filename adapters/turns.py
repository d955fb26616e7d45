"""One operation at a time on one element, however many adapters for it are open."""

import asyncio
from weakref import WeakKeyDictionary, WeakValueDictionary

_Locks = WeakValueDictionary[tuple[str, int], asyncio.Lock]
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Locks] = WeakKeyDictionary()


def turn(endpoint: tuple[str, int]) -> asyncio.Lock:
    """Return the lock of an element, the same for everybody in the running event loop."""
    locks = _locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    if (lock := locks.get(endpoint)) is None:
        lock = locks[endpoint] = asyncio.Lock()
    return lock
