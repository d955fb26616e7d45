"""Ends requests that wait for a database that does not answer.

A request can wait for the database in many places: for a connection, for an answer, for a thread or
a lock that another waiting request has. Each of them has a time limit of its own, and they add up.
Therefore this limit is on the whole request, and applies only if the database has not answered
anybody for as long.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tmf_apis.errors import Unavailable
from tmf_apis.rest.http.admission import AsgiApplication
from tmf_apis.rest.http.asgi import Receive, Scope, Send, send_response
from tmf_apis.rest.http.messages import error_response
from tmf_apis.store.connection import NO_ANSWER, RETRY_HEADERS

#: Pause between two checks of the waiting requests, in seconds.
_PAUSE = 0.1


class _Waiting:
    """A request in progress.

    Attributes:
        task: The task that answers it.
        began: When it arrived, as ``time.monotonic()``.
        has_response: Its response has begun.
        is_ended: It was cancelled because the database does not answer.
    """

    __slots__ = ("_send", "began", "has_response", "is_ended", "task")

    def __init__(self, task: asyncio.Task[Any], send: Send) -> None:
        self.task, self._send = task, send
        self.began = time.monotonic()
        self.has_response = self.is_ended = False

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the response."""
        self.has_response = True
        await self._send(message)


class UnansweredRequests:
    """The requests in progress, with a limit on the time without an answer of the database."""

    def __init__(self, limit: float, last_answer: Callable[[], float]) -> None:
        """Store the limit.

        Args:
            limit: Longest wait for a database that does not answer, in seconds.
            last_answer: Returns when the database has last answered, as ``time.monotonic()``.
        """
        self._limit = limit
        self._last_answer = last_answer
        self._waiting: set[_Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def answer(
        self, application: AsgiApplication, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request, or refuse it with 503 while the database does not answer."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy: this is a coroutine
        waiting = _Waiting(task, send)
        self._waiting.add(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._check)
        try:
            await application(scope, receive, waiting.send)
        except asyncio.CancelledError:
            if not waiting.is_ended or task.uncancel():
                raise
            response = error_response(Unavailable(NO_ANSWER, headers=RETRY_HEADERS))
            await send_response(send, response, head=scope["method"] == "HEAD")
        finally:
            self._waiting.discard(waiting)

    def _check(self) -> None:
        """Cancel the requests that have waited too long; go on while there are others."""
        latest = time.monotonic() - self._limit
        if self._last_answer() <= latest:
            for waiting in self._waiting:
                if waiting.began <= latest and not waiting.has_response and not waiting.is_ended:
                    waiting.is_ended = True
                    waiting.task.cancel()
        self._timer = None
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._check)
