"""JSON-RPC as OVSDB speaks it: one JSON object after the other on a stream.

Source: RFC 7047, section 4 (wire protocol); JSON-RPC 1.0.
"""

import asyncio
import json
import re
import ssl
from contextlib import suppress
from typing import Any, Self

DATABASE = "Open_vSwitch"
MESSAGE_LIMIT = 64 * 1024 * 1024  # octets of one message
CHUNK = 65536
NON_OBJECT_PATTERN = re.compile(rb"\s*([^\s{].{0,20})", re.DOTALL)
STRUCTURE_PATTERN = re.compile(rb'[{}\[\]"]')
STRING_PATTERN = re.compile(rb'["\\]')
#: Notifications that nobody has looked at; more only say the same: something has changed.
UPDATE_QUEUE_SIZE = 1000


class ConnectionFailed(OSError):
    """The other side has closed the connection, says nothing in time, or something else speaks."""


class OperationFailed(Exception):
    """The database refuses a request.

    Attributes:
        reason: Its word for it ("constraint violation", "timed out", ...; RFC 7047, section 5.1).
    """

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason = reason


class JsonDecoder:
    """Cuts what comes in into JSON objects, however it was cut on its way."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = self._depth = 0
        self._is_in_string = False

    def feed(self, octets: bytes) -> list[dict[str, Any]]:
        """Take octets and return the objects that are whole now.

        Raises:
            Broken: It is something else than JSON objects, or larger than ``MESSAGE_LIMIT``.
        """
        self._buffer += octets
        found = []
        while (end := self._object_end()) is not None:
            try:
                one = json.loads(self._buffer[:end])
            except (ValueError, RecursionError) as error:
                raise ConnectionFailed("what answers there is no OVSDB server") from error
            if not isinstance(one, dict):
                raise ConnectionFailed("what answers there is no OVSDB server")
            found.append(one)
            del self._buffer[:end]
            self._position = 0
        if len(self._buffer) > MESSAGE_LIMIT:
            raise ConnectionFailed(f"a message of more than {MESSAGE_LIMIT} octets")
        return found

    def _object_end(self) -> int | None:
        """Return where the first object ends, or None if it does not yet."""
        if not self._depth and (begin := NON_OBJECT_PATTERN.match(self._buffer)):
            raise ConnectionFailed(f"what answers there is no OVSDB server: {bytes(begin[1])!r}")
        while mark := (STRING_PATTERN if self._is_in_string else STRUCTURE_PATTERN).search(
            self._buffer, self._position
        ):
            self._position = mark.end()
            if mark[0] == b"\\":
                if self._position == len(self._buffer):
                    self._position -= 1  # what it escapes has not come yet
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
        timeout: Of connecting and of each answer, in seconds.
        tls: How to speak TLS; None: in the clear.
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
        """Connect unless a connection is there that works.

        Raises:
            Broken: There is none to be had.
        """
        if self._reader_task is not None and not self._reader_task.done():
            return
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                reader, self._writer = await asyncio.open_connection(*self._endpoint, ssl=self._tls)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            raise ConnectionFailed(f"cannot connect: {error}") from error
        self._updates = asyncio.Queue(UPDATE_QUEUE_SIZE)
        self._reader_task = asyncio.create_task(self._read(reader, self._writer))

    async def close(self) -> None:
        """Close the connection; who waits for an answer is told."""
        reading, self._reader_task = self._reader_task, None
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def call(self, method: str, *params: object) -> Any:  # noqa: ANN401
        """Return the result of a method.

        Raises:
            Failed: The other side refuses it.
            Broken: No answer; whether it was done is not known.
        """
        if self._writer is None or self._reader_task is None or self._reader_task.done():
            raise ConnectionFailed("not connected")
        self._request_id += 1
        number = self._request_id
        question = {"method": method, "params": params, "id": number}
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout):
                self._writer.write(json.dumps(question).encode())
                await self._writer.drain()
                found = await answer
        except OSError as error:
            raise (
                error
                if isinstance(error, ConnectionFailed)
                else ConnectionFailed(_error_text(error))
            ) from error
        finally:
            self._pending.pop(number, None)
        if found.get("error"):
            raise OperationFailed(str(found["error"]), "")
        return found.get("result")

    async def transact(self, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        """Do all operations or none, and return their results.

        Raises:
            Failed: One cannot be done: none is.
            Broken: No answer; whether they were done is not known.
        """
        results = await self.call("transact", DATABASE, *operations)
        if not isinstance(results, list) or len(results) < len(operations):
            raise ConnectionFailed("what answers there is no OVSDB server")
        for one in results:
            if isinstance(one, dict) and one.get("error"):
                raise OperationFailed(str(one["error"]), str(one.get("details", "")))
        return [one if isinstance(one, dict) else {} for one in results]

    async def monitor(self, tables: dict[str, list[str]]) -> None:
        """Ask to be told when columns of tables change; ``wait_for_change`` waits for it."""
        asked = {table: [{"columns": columns}] for table, columns in tables.items()}
        await self.call("monitor", DATABASE, None, asked)

    async def wait_for_change(self) -> None:
        """Wait until something that is monitored has changed.

        Raises:
            Broken: The connection is gone.
        """
        if (end := await self._updates.get()) is not None:
            raise end
        while not self._updates.empty() and self._updates.get_nowait() is None:
            pass

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        splitter = JsonDecoder()
        end = ConnectionFailed("the connection was closed")
        try:
            while octets := await reader.read(CHUNK):
                for message in splitter.feed(octets):
                    self._dispatch(message, writer)
        except OSError as error:
            end = (
                error
                if isinstance(error, ConnectionFailed)
                else ConnectionFailed(_error_text(error))
            )
        finally:
            writer.close()
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(end)
            while self._updates.full():
                self._updates.get_nowait()
            self._updates.put_nowait(end)

    def _dispatch(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        number = message.get("id")
        if message.get("method") == "echo":
            reply = {"result": message.get("params"), "error": None, "id": number}
            writer.write(json.dumps(reply).encode())
        elif message.get("method") == "update":
            if not self._updates.full():
                self._updates.put_nowait(None)
        elif isinstance(number, int) and number in self._pending:
            answer = self._pending.pop(number)
            if not answer.done():
                answer.set_result(message)


def _error_text(error: OSError) -> str:
    return str(error) or "no answer in time"
