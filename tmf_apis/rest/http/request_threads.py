"""Threads that run functions for the event loop, with little work to hand over each of them.

The executors of the library create two futures, a lock and a condition for each function, and look
for an idle thread in several steps. Together that takes as long as a find by id.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any


class RequestThreads:
    """Threads that wait for functions; each is started when all others are busy."""

    def __init__(self, most: int, name: str) -> None:
        """Create the threads later.

        Args:
            most: Number of threads; further functions wait for one.
            name: The beginning of their names.
        """
        self._most = most
        self._name = name
        self._started = self._busy = 0
        self._work: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

    def run(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Return a future of the result of a function; call it on the event loop only."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._busy += 1
        if self._started < min(self._busy, self._most):
            self._started += 1
            name = f"{self._name}_{self._started}"
            threading.Thread(target=_run_all, args=(self._work,), name=name, daemon=True).start()
        self._work.put((loop, self._finish, future, function, arguments))
        return future

    def _finish(
        self, future: asyncio.Future[Any], result: object, error: BaseException | None
    ) -> None:
        self._busy -= 1
        if future.done():  # the client is gone
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _run_all(work: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    """Run functions for ever; the thread ends with the process."""
    while True:
        loop, finish, future, function, arguments = work.get()
        result = error = None
        try:
            result = function(*arguments)
        except BaseException as raised:  # noqa: BLE001 - raised again on the event loop
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(finish, future, result, error)
        del loop, finish, future, function, arguments, result, error
