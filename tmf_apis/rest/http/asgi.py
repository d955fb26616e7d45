"""Requests and responses as ASGI messages: bodies are read within limits and sent in parts.

Source: ASGI specification, HTTP connection scope.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tmf_apis.errors import RequestTimeout, TooLarge
from tmf_apis.rest.http.messages import Response
from tmf_apis.settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: Largest part of a response that is given to the connection at once, in bytes. The next part
#: follows when the client has accepted most of it.
_PART_SIZE = 65_536

#: Headers of every response. A browser neither guesses another media type nor tells other sites the
#: URL. Only the client itself may store a response, and it revalidates it with ``If-None-Match``.
COMMON_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-cache"),
)


class ClientDisconnected(Exception):
    """The client disconnected before its request was complete."""


async def read_body(headers: Mapping[str, str], receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Args:
        headers: By lower-case name.
        receive: Returns the next ASGI message.
        settings: The limits of size and time.

    Raises:
        TooLarge: The body has more than ``body_limit`` bytes (HTTP 413).
        RequestTimeout: The body did not arrive in time (HTTP 408).
        ClientDisconnected: The client disconnected.
    """
    limit, seconds = settings.body_limit, settings.body_seconds
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(f"the body has {length} bytes; at most {limit} are allowed")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"the body has more than {limit} bytes")
                chunks.append(chunk)
                if not message.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {seconds:g} seconds") from None


async def send_response(send: Send, response: Response, *, head: bool = False) -> None:
    """Send a response; to ``head`` requests without its body."""
    headers = [
        (name.lower().encode(), value.encode("latin-1", "replace"))
        for name, value in response.headers.items()
    ]
    size = len(response.spooled or response.body)
    if size:
        headers.append((b"content-type", response.media_type.encode()))
    if response.status not in {204, 304}:
        headers.append((b"content-length", str(size).encode()))
    headers += COMMON_HEADERS
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    try:
        for start in range(0, 0 if head else size, _PART_SIZE):
            end = start + _PART_SIZE
            await send(
                {
                    "type": "http.response.body",
                    "body": _part(response, start, end),
                    "more_body": end < size,
                }
            )
        if head or not size:
            await send({"type": "http.response.body", "body": b""})
    finally:
        if response.spooled:
            response.spooled.close()


def _part(response: Response, start: int, end: int) -> bytes:
    if response.spooled:
        return response.spooled.read(start, end - start)
    return response.body[start:end]


async def handle_lifespan(receive: Receive, send: Send, close: Callable[[], None]) -> None:
    """Answer the messages of the server about its start and end; call ``close`` at the end."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await asyncio.get_running_loop().run_in_executor(None, close)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
