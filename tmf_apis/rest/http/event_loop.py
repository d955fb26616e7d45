"""The event loop of the server, which ends TLS handshakes in time.

A connection is counted when its handshake has ended. uvicorn cannot set the time limit of
handshakes, and that of uvloop is a minute: clients that send nothing would use up the open files of
the process.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
import uvloop


class TimedHandshakeLoop(uvloop.Loop):
    """An event loop whose servers limit the time of a TLS handshake."""

    def __init__(self, handshake_seconds: float) -> None:
        super().__init__()
        self._handshake_seconds = handshake_seconds

    async def create_server(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Listen, with TLS if the options have a context."""
        if options.get("ssl") and self._handshake_seconds:
            options["ssl_handshake_timeout"] = self._handshake_seconds
        return await super().create_server(*arguments, **options)


class LimitedConfig(uvicorn.Config):
    """The configuration of uvicorn, with a time limit of TLS handshakes.

    Attributes:
        handshake_seconds: The limit, in seconds.
    """

    handshake_seconds: float

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """Return the function that creates the event loop."""
        return partial(TimedHandshakeLoop, self.handshake_seconds)
