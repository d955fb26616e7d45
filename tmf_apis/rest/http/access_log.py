"""The access log: a line of JSON on standard error for each request.

A thread writes the lines together, ten times a second, so that a slow reader of standard error
delays no request. Query strings are left out, because they can have personal data.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tmf_apis.json_lines import json_line
from tmf_apis.rest.http.asgi import Send
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import RequestOrigin

#: Member of the scope with the record of the request.
ACCESS_RECORD = "tmf_apis.access_record"
#: Pause between two writes, in seconds.
WRITE_INTERVAL = 0.1
#: Most lines that wait for a slow reader; further lines are dropped and counted.
MAX_LINES = 20_000
#: Most bytes that are written at once: writes to a pipe up to this size do not mix.
_CHUNK_BYTES = 4096
#: Longest path in a line.
_MAX_PATH = 300
_OUTCOMES = {4: "refused", 5: "failed"}


@dataclass(slots=True)
class AccessRecord:
    """A request and its response, for the access log.

    Attributes:
        method: The method of the request.
        path: Its path.
        origin: Its id and the address of the client.
        started: When it was received, as ``time.perf_counter()``.
        operation: Its operation, such as "TMF622 v5 createProductOrder"; empty if it has none.
        identity: The client; None until it is authenticated.
        status: The status of the response; 0 until it is sent.
        size: The bytes of the response's body.
        reason: Why a connection was ended before its request was complete; empty: it was not.
    """

    method: str
    path: str
    origin: RequestOrigin
    started: float = field(default_factory=time.perf_counter)
    operation: str = ""
    identity: Identity | None = None
    status: int = 0
    size: int = 0
    reason: str = ""

    @property
    def outcome(self) -> str:
        """Return "success", "refused", "failed", or "disconnected" without a response."""
        if not self.status:
            return "disconnected"
        return _OUTCOMES.get(self.status // 100, "success")

    def line(self, http_process: int = 0) -> bytes:
        """Return the line of the log, with a line feed.

        Args:
            http_process: Number of this process; 0: it is not one of several.
        """
        identity, origin = self.identity, self.origin
        members: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "INFO",
            "logger": "tmf_apis.access",
            "message": "request",
            "request": origin.request_id,
            "method": self.method,
            "path": self.path[:_MAX_PATH],
            "operation": self.operation,
            "status": self.status,
            "outcome": self.outcome,
            "ms": round((time.perf_counter() - self.started) * 1000, 1),
            "bytes": self.size,
            "address": origin.address,
            "subject": identity.subject if identity else "",
            "tenant": identity.tenant if identity else "",
        }
        if http_process:
            members["http_process"] = http_process
        if origin.trace:
            members["trace"] = origin.trace[3:35]
        if self.reason:
            members["reason"] = self.reason
        return f"{json_line(members)}\n".encode()


class AccessLog:
    """Writes access records in a thread of its own."""

    def __init__(self, *, is_enabled: bool = True, http_process: int = 0) -> None:
        """Create the log; its thread starts with the first record.

        Args:
            is_enabled: Write records; False: ignore them.
            http_process: Number of this process; 0: it is not one of several.
        """
        self._is_enabled = is_enabled
        self._http_process = http_process
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._has_lines, self._is_closed = threading.Event(), threading.Event()
        self._writer: threading.Thread | None = None

    def add(self, record: AccessRecord) -> None:
        """Write a record soon; called from one thread only, that of the event loop."""
        if not self._is_enabled:
            return
        if len(self._lines) >= MAX_LINES:
            self._dropped += 1
            return
        self._lines.append(record.line(self._http_process))
        if not self._has_lines.is_set():
            self._has_lines.set()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="access-log", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Write the last records; a reader that has stalled delays this for a second only."""
        self._is_closed.set()
        self._has_lines.set()
        if self._writer is not None:
            self._writer.join(1.0)

    def _write(self) -> None:
        while not self._is_closed.is_set():
            self._has_lines.wait()
            self._is_closed.wait(WRITE_INTERVAL)
            self._has_lines.clear()
            self._write_lines()
        self._write_lines()

    def _write_lines(self) -> None:
        chunk, size = list[bytes](), 0
        while self._lines:
            line = self._lines.popleft()
            if chunk and size + len(line) > _CHUNK_BYTES:
                _write_to_standard_error(chunk)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            members = {"level": "WARNING", "logger": "tmf_apis.access", "count": dropped}
            message = {"message": "lines of the access log dropped: standard error is slow"}
            chunk.append(f"{json_line(members | message)}\n".encode())
        if chunk:
            _write_to_standard_error(chunk)


def _write_to_standard_error(lines: list[bytes]) -> None:
    try:
        sys.stderr.write(b"".join(lines).decode())
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads it any more: the server continues without
        return


def recording_send(
    send: Send, record: AccessRecord, headers: Sequence[tuple[bytes, bytes]]
) -> Send:
    """Return a function that sends the messages of a response and records its status and size.

    Args:
        send: Sends a message.
        record: Gets the status and the size.
        headers: Further headers of the response.
    """

    async def send_and_record(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        else:
            record.size += len(message.get("body", b""))
        await send(message)

    return send_and_record
