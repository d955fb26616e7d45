"""A JSON-RPC client for OVSDB: a stream of JSON objects without delimiters.

Source: RFC 7047, section 4 (wire protocol); JSON-RPC 1.0.
"""

import asyncio
import json
import re
import ssl
from contextlib import suppress
from typing import Any, Self

from adapters.streams import NO_ANSWER, ConnectionFailed, close_stream, connection_failed

DATABASE = "Open_vSwitch"
MESSAGE_LIMIT = 64 * 1024 * 1024  # octets
CHUNK_SIZE = 65536  # octets
NON_OBJECT_PATTERN = re.compile(rb"\s*([^\s{].{0,20})", re.DOTALL)
STRUCTURE_PATTERN = re.compile(rb'[{}\[\]"]')
STRING_PATTERN = re.compile(rb'["\\]')
#: Number of unread notifications; the rest is dropped, as each only says that something changed.
UPDATE_QUEUE_SIZE = 1000
NOT_OVSDB = "the server does not speak OVSDB"


class OperationFailed(Exception):
    """The database refused a request.

    Attributes:
        reason: Error of the database ("constraint violation", "timed out", ...; RFC 7047,
            section 5.1).
    """

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason = reason


class JsonDecoder:
    """Splits a byte stream into JSON objects."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = self._depth = 0
        self._is_in_string = False

    def feed(self, octets: bytes) -> list[dict[str, Any]]:
        """Append octets and return the objects that are complete.

        Raises:
            ConnectionFailed: The stream contains something other than JSON objects, or an object
                larger than ``MESSAGE_LIMIT``.
        """
        self._buffer += octets
        objects = []
        while (end := self._object_end()) is not None:
            try:
                content = json.loads(self._buffer[:end])
            except (ValueError, RecursionError) as error:
                raise ConnectionFailed(NOT_OVSDB) from error
            if not isinstance(content, dict):
                raise ConnectionFailed(NOT_OVSDB)
            objects.append(content)
            del self._buffer[:end]
            self._position = 0
        if len(self._buffer) > MESSAGE_LIMIT:
            raise ConnectionFailed(f"a message of more than {MESSAGE_LIMIT} octets")
        return objects

    def _object_end(self) -> int | None:
        """Return the end of the first object, or None if it is incomplete."""
        if not self._depth and (begin := NON_OBJECT_PATTERN.match(self._buffer)):
            raise ConnectionFailed(f"{NOT_OVSDB}: it sends {bytes(begin[1])!r}")
        while mark := (STRING_PATTERN if self._is_in_string else STRUCTURE_PATTERN).search(
            self._buffer, self._position
        ):
            self._position = mark.end()
            if mark[0] == b"\\":
                if self._position == len(self._buffer):
                    self._position -= 1  # the escaped character has not arrived yet
                    return None
                self._position += 1
            elif mark[0] == b'"':
                self._is_in_string = not self._is_in_string
            else:
                self._depth += 1 if mark[0] in b"{[" else -1
                if self._depth == 0:
                    return self._position
        self._position = len(self._buffer)
        return None


class Connection:
    """A connection to a database; an asynchronous context manager.

    Args:
        endpoint: Host and port.
        timeout: Longest wait for the connection and for each reply, in seconds.
        tls: TLS context; None: do not use TLS.
    """

    def __init__(
        self, endpoint: tuple[str, int], timeout: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._endpoint, self._timeout, self._tls = endpoint, timeout, tls
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._updates: asyncio.Queue[ConnectionFailed | None] = asyncio.Queue(UPDATE_QUEUE_SIZE)
        self._request_id = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, unless there is a connection.

        Raises:
            ConnectionFailed: The server cannot be reached.
        """
        if self._reader_task is not None and not self._reader_task.done():
            return
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                reader, self._writer = await asyncio.open_connection(*self._endpoint, ssl=self._tls)
        except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
            raise ConnectionFailed(f"cannot connect: {str(error) or NO_ANSWER}") from error
        self._updates = asyncio.Queue(UPDATE_QUEUE_SIZE)
        self._reader_task = asyncio.create_task(self._read(reader, self._writer))

    async def close(self) -> None:
        """Close the connection; pending calls fail."""
        task, self._reader_task = self._reader_task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        writer, self._writer = self._writer, None
        if writer is not None:
            await close_stream(writer)

    async def call(self, method: str, *params: object) -> Any:  # noqa: ANN401
        """Call a method and return its result.

        Raises:
            OperationFailed: The server refuses the call.
            ConnectionFailed: There is no reply; the method may or may not have been executed.
        """
        if self._writer is None or self._reader_task is None or self._reader_task.done():
            raise ConnectionFailed("not connected")
        self._request_id += 1
        request_id = self._request_id
        request = {"method": method, "params": params, "id": request_id}
        response = self._pending[request_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout):
                self._writer.write(json.dumps(request).encode())
                await self._writer.drain()
                reply = await response
        except OSError as error:
            raise connection_failed(error) from error
        finally:
            self._pending.pop(request_id, None)
        if reply.get("error"):
            raise OperationFailed(str(reply["error"]), "")
        return reply.get("result")

    async def transact(self, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        """Do all operations or none, and return their results.

        Raises:
            OperationFailed: An operation failed, so none was done.
            ConnectionFailed: There is no reply; the operations may or may not have been done.
        """
        results = await self.call("transact", DATABASE, *operations)
        if not isinstance(results, list) or len(results) < len(operations):
            raise ConnectionFailed(NOT_OVSDB)
        for result in results:
            if isinstance(result, dict) and result.get("error"):
                raise OperationFailed(str(result["error"]), str(result.get("details", "")))
        return [result if isinstance(result, dict) else {} for result in results]

    async def monitor(self, tables: dict[str, list[str]]) -> None:
        """Subscribe to changes of columns of tables; ``wait_for_change`` waits for them."""
        requests = {table: [{"columns": columns}] for table, columns in tables.items()}
        await self.call("monitor", DATABASE, None, requests)

    async def wait_for_change(self) -> None:
        """Wait until a monitored column has changed.

        Raises:
            ConnectionFailed: The connection was lost.
        """
        if (end := await self._updates.get()) is not None:
            raise end
        while not self._updates.empty() and self._updates.get_nowait() is None:
            pass

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = JsonDecoder()
        end = ConnectionFailed("the connection was closed")
        try:
            while octets := await reader.read(CHUNK_SIZE):
                for message in decoder.feed(octets):
                    self._dispatch(message, writer)
        except OSError as error:
            end = connection_failed(error)
        finally:
            writer.close()
            for response in self._pending.values():
                if not response.done():
                    response.set_exception(end)
            while self._updates.full():
                self._updates.get_nowait()
            self._updates.put_nowait(end)

    def _dispatch(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        message_id = message.get("id")
        if message.get("method") == "echo":
            reply = {"result": message.get("params"), "error": None, "id": message_id}
            writer.write(json.dumps(reply).encode())
        elif message.get("method") == "update":
            if not self._updates.full():
                self._updates.put_nowait(None)
        elif isinstance(message_id, int) and message_id in self._pending:
            response = self._pending.pop(message_id)
            if not response.done():
                response.set_result(message)
