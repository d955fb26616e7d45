"""A pool of request threads that tenants share fairly.

The next request is one of the tenant that has used the threads least; among the clients of a
tenant, each is next in turn. While several tenants send requests, each has a part of the threads
only: all threads share one interpreter, so every running request slows the others down. Requests
that search leave some threads to all others.

The scheduling follows start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996), with the measured
time in a thread as the length of a request. All methods run on the event loop.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tmf_apis.errors import Unavailable
from tmf_apis.rest.http.request_threads import RequestThreads

Result = TypeVar("Result")

#: How long a tenant counts as present after its last request, in seconds.
_PRESENCE = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """The tenant and client of a request, and whether it searches.

    Attributes:
        tenant: The tenant; its requests share its part of the threads.
        client: The client; the clients of a tenant take turns.
        is_search: The request may take long in the database.
    """

    tenant: str = ""
    client: str = ""
    is_search: bool = False


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The limits of a pool.

    Attributes:
        threads: Number of threads.
        search_threads: Most threads that search at a time.
        contended_threads: Most threads of one tenant while another one is present.
        waiting: Most requests that wait.
        seconds: Longest wait for a thread, in seconds.
    """

    threads: int
    search_threads: int
    contended_threads: int
    waiting: int
    seconds: float


@dataclass(slots=True, eq=False)
class _Place:
    """A place in a queue.

    Attributes:
        number: Places are numbered in the order of arrival.
        future: It is done when a thread is free for the request.
        has_thread: Whether a thread is free for it.
    """

    number: int
    future: asyncio.Future[None]
    has_thread: bool = False


@dataclass(slots=True, eq=False)
class _Share:
    """The share of a tenant.

    Attributes:
        used: Time of threads that it has used, in seconds, counted from the least of the others.
        running: Number of its requests that have a thread.
        queues: Its waiting requests by client: first searches, then all others.
    """

    used: float
    running: int = 0
    queues: tuple[dict[str, deque[_Place]], dict[str, deque[_Place]]] = field(
        default_factory=lambda: ({}, {})
    )

    @property
    def is_idle(self) -> bool:
        return not self.running and not self.queues[0] and not self.queues[1]


class FairThreadPool:
    """Runs functions in threads."""

    def __init__(self, limits: PoolLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """Create the pool; threads start when they are needed."""
        self._limits = limits
        self._clock = clock
        self._request_threads = RequestThreads(limits.threads, "request")
        self._shares: dict[str, _Share] = {}
        self._running = self._searching = self._waiting = 0
        self._numbers = itertools.count()
        self._last_tenant: str | None = None
        self._contended_until = 0.0

    async def run(
        self, origin: Origin, function: Callable[..., Result], *arguments: object
    ) -> Result:
        """Return the result of a function that runs in a thread.

        Raises:
            Unavailable: Too many requests wait, or none of the threads became free in time
                (HTTP 503).
        """
        now = started = self._clock()
        if origin.tenant != self._last_tenant:
            if self._last_tenant is not None:
                self._contended_until = now + _PRESENCE
            self._last_tenant = origin.tenant
        share = self._share(origin.tenant)
        has_queue = share.queues[not origin.is_search]
        if has_queue or not self._is_startable(share, now, is_search=origin.is_search):
            await self._wait(share, origin)
            started = self._clock()
        else:
            self._start(share, is_search=origin.is_search)
        try:
            result: Result = await self._request_threads.run(function, *arguments)
            return result
        finally:
            share.used += self._clock() - started
            self._end(share, origin)

    def _share(self, tenant: str) -> _Share:
        if (share := self._shares.get(tenant)) is None:
            least = min((other.used for other in self._shares.values()), default=0.0)
            share = self._shares[tenant] = _Share(least)
        return share

    def _is_startable(self, share: _Share, now: float, *, is_search: bool) -> bool:
        limits = self._limits
        most = limits.contended_threads if now < self._contended_until else limits.threads
        return (
            self._running < limits.threads
            and share.running < most
            and not (is_search and self._searching >= limits.search_threads)
        )

    def _start(self, share: _Share, *, is_search: bool) -> None:
        self._running += 1
        self._searching += is_search
        share.running += 1

    def _end(self, share: _Share, origin: Origin) -> None:
        self._running -= 1
        self._searching -= origin.is_search
        share.running -= 1
        while self._start_next():
            pass
        self._forget_if_idle(share, origin)

    def _forget_if_idle(self, share: _Share, origin: Origin) -> None:
        if share.is_idle:
            self._shares.pop(origin.tenant, None)

    async def _wait(self, share: _Share, origin: Origin) -> None:
        """Wait for a thread; the request has been started when this returns."""
        if self._waiting >= self._limits.waiting:
            self._forget_if_idle(share, origin)
            raise Unavailable("too many requests at once", headers={"Retry-After": "1"})
        place = _Place(next(self._numbers), asyncio.get_running_loop().create_future())
        queue = share.queues[not origin.is_search].setdefault(origin.client, deque())
        queue.append(place)
        self._waiting += 1
        while self._start_next():
            pass
        try:
            async with asyncio.timeout(self._limits.seconds):
                await place.future
        except BaseException as error:
            self._leave(share, origin, place)
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    "no thread became free in time", headers={"Retry-After": "5"}
                ) from None
            raise

    def _leave(self, share: _Share, origin: Origin, place: _Place) -> None:
        """Give up a place, or the thread that the request has just got."""
        if place.has_thread:
            self._end(share, origin)
            return
        queues = share.queues[not origin.is_search]
        queues[origin.client].remove(place)
        if not queues[origin.client]:
            del queues[origin.client]
        self._waiting -= 1
        self._forget_if_idle(share, origin)

    def _start_next(self) -> bool:
        """Start the waiting request that is next; return whether there is one that may start."""
        if not self._waiting or self._running >= self._limits.threads:
            return False
        now = self._clock()
        candidates = [
            (share.used, next(iter(queues.values()))[0].number, share, is_search)
            for share in self._shares.values()
            for is_search, queues in zip((True, False), share.queues, strict=True)
            if queues and self._is_startable(share, now, is_search=is_search)
        ]
        if not candidates:
            return False
        _, _, share, is_search = min(candidates, key=lambda candidate: candidate[:2])
        queues = share.queues[not is_search]
        client, queue = next(iter(queues.items()))
        place = queue.popleft()
        del queues[client]
        if queue:
            queues[client] = queue
        self._waiting -= 1
        self._start(share, is_search=is_search)
        place.has_thread = True
        if not place.future.done():  # it is if the request has just been cancelled
            place.future.set_result(None)
        return True
