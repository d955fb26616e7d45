"""Helpers of adapters that speak over a byte stream (TCP or TLS)."""

import asyncio
from contextlib import suppress

#: Message of a timeout, whose exception has none.
NO_ANSWER = "no answer in time"


class ConnectionFailed(OSError):
    """The connection was closed, an answer is late, or the peer speaks another protocol."""


def connection_failed(error: OSError) -> ConnectionFailed:
    """Return an error of a stream as ``ConnectionFailed``, with a message even for a timeout."""
    if isinstance(error, ConnectionFailed):
        return error
    return ConnectionFailed(str(error) or NO_ANSWER)


async def close_stream(writer: asyncio.StreamWriter) -> None:
    """Close a stream and wait until it is closed, whatever state it is in."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
