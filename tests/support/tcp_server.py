"""A TCP server on loopback, for tests of clients."""

import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def tcp_server(handle):
    """Serve each connection with ``handle(reader, writer)``; yield the port of the server."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
