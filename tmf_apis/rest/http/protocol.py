"""The HTTP/1.1 connection of a client, within limits of size, number and time.

uvicorn's protocol for httptools reads headers of any size, waits for the rest of a request and for
a slow reader for any time, and accepts any number of connections.

Source: RFC 9110 (408, 414), RFC 6585 (431).
"""

import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tmf_apis.errors import (
    BadRequest,
    HeadersTooLarge,
    RequestTimeout,
    TmfError,
    Unavailable,
    UriTooLong,
)
from tmf_apis.rest.http.access_log import AccessRecord
from tmf_apis.rest.http.asgi import COMMON_HEADERS
from tmf_apis.rest.http.connection_limits import ConnectionLimits
from tmf_apis.rest.http.messages import error_response
from tmf_apis.security.request_origin import (
    CERTIFICATE_MEMBER,
    REQUEST_ID_HEADER,
    request_origin,
)
from tmf_apis.security.tls import client_thumbprint

#: Most bytes that are parsed before the limits are checked again.
_SLICE = 16_384
#: Most bytes of chunk sizes and chunk extensions of a body, and how many more for each byte of its
#: content: a chunk of one byte has five.
_CHUNKING_BYTES, _CHUNKING_FACTOR = 65_536, 8
#: How long the rest of a request is read and ignored after its response was sent, in seconds.
#: Closing at once would make the client's system discard the response.
_LINGER_TIME = 5.0
#: The refusals of requests whose client is probably still sending.
_SENDING = frozenset({"headers", "malformed"})


def limited_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """Return the protocol class of a server with these limits."""
    return type("LimitedHttpProtocol", (LimitedProtocol,), {"limits": limits})


class LimitedProtocol(HttpToolsProtocol):
    """The connection of a client.

    Attributes:
        limits: The limits, shared by all connections of a server.
    """

    limits: ConnectionLimits

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self._address = ""
        self._refusal: TmfError | None = None
        self._head_size = 0
        self._unparsed_size = 0
        #: Bytes of the body so far that are not its content, less what its content permits.
        self._chunking_size = 0
        #: The requests that are being answered or wait for the one before.
        self._cycles: list[RequestResponseCycle] = []
        #: The part of the request that is being received: "", "head" or "body".
        self._part = ""
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    # Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or answer 429 or 503 and close it."""
        super().connection_made(transport)
        if certificate := client_thumbprint(transport.get_extra_info("ssl_object")):
            self.app_state = {**self.app_state, CERTIFICATE_MEMBER: certificate}
        self._address = self.client[0] if self.client else ""
        error = self.limits.add(self._address)
        has_room = isinstance(error, Unavailable) and self._close_idle_connection()
        if error and not has_room:
            self._refuse(error, "connections")
        else:
            self._start_head_timer()

    def _close_idle_connection(self) -> bool:
        """Close a connection that waits for its next request; return whether there was one."""
        for connection in self.connections:
            if isinstance(connection, LimitedProtocol) and connection.is_idle:
                connection.transport.close()
                return True
        return False

    @property
    def is_idle(self) -> bool:
        """Return whether the connection waits for its next request."""
        is_waiting = self.timeout_keep_alive_task is not None and not self._part
        return is_waiting and not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of the connection, and send nothing more."""
        for cycle in self._cycles:
            cycle.disconnected = True
        self.limits.remove(self._address)
        self._stop_head_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, a slice at a time so that no head exceeds its limit by more."""
        if len(data) <= _SLICE:
            self._parse(data)
            return
        for start in range(0, len(data), _SLICE):
            if self._refusal or self.transport.is_closing():
                return
            self._parse(data[start : start + _SLICE])

    def _parse(self, data: bytes) -> None:
        if self._refusal or self.parser is None:
            return
        super().data_received(data)
        if self._refusal:
            return
        if self._part == "head":
            self._unparsed_size += len(data)
            if self._unparsed_size > self.limits.settings.header_bytes + _SLICE:
                self._refuse(self._head_error(), "headers")
        elif self._part == "body":
            self._chunking_size += len(data)
            if self._chunking_size > _CHUNKING_BYTES:
                self._refuse(
                    BadRequest("the body has more bytes of chunking than of content"), "malformed"
                )
        is_waiting = not self._part and (self.cycle is None or self.cycle.response_complete)
        if self._part == "head" or is_waiting:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._part = "head"
        self._head_size = self._unparsed_size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Add a part of the URI within the limit of the head."""
        super().on_url(url)
        self._add_head_bytes(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header within the limits of the head."""
        self._add_head_bytes(len(name) + len(value) + 4)
        if len(self.headers) >= self.limits.settings.header_count:
            raise HeadersTooLarge(f"more than {self.limits.settings.header_count} headers")
        super().on_header(name, value)

    def _add_head_bytes(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.limits.settings.header_bytes:
            raise self._head_error()

    def _head_error(self) -> TmfError:
        limit = self.limits.settings.header_bytes
        if len(self.url) > limit // 2:
            return UriTooLong(f"URI and headers are longer than {limit} bytes")
        return HeadersTooLarge(f"the headers are longer than {limit} bytes")

    def on_headers_complete(self) -> None:
        """Start to answer the request."""
        self._chunking_size = 0
        self._stop_head_timer()
        super().on_headers_complete()
        self._part = "body"
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Receive a part of the content."""
        self._chunking_size -= len(body) * (1 + _CHUNKING_FACTOR)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._part = ""
        if self.cycle.response_complete:
            self._stop_head_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser or one of the limits refuses."""
        error = sys.exception()
        cause = error.__context__ if error else None
        if isinstance(cause, TmfError):
            self._refuse(cause, "headers")
        else:
            self._refuse(BadRequest(msg), "malformed")

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            seconds = self.limits.settings.header_seconds
            self._head_timer = self.loop.call_later(seconds, self._end_slow_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow_head(self) -> None:
        self._head_timer = None
        seconds = self.limits.settings.header_seconds
        error = RequestTimeout(f"no complete request head within {seconds:g} seconds")
        self._refuse(error, "head_time")

    def _refuse(self, error: TmfError, reason: str) -> None:
        """Send an error and close the connection, after the response that is being sent."""
        self._refusal = error
        self.limits.count_refusal(reason)
        self._stop_head_timer()
        if self._part == "body" and self._is_body_awaited:
            self._end_request()
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if self.transport.is_closing():
            return
        origin = request_origin(self._address, {})
        self.limits.access_log.add(AccessRecord("", "", origin, status=error.status, reason=reason))
        self.transport.write(_closing_response(error, origin.request_id))
        if reason in _SENDING and self.transport.can_write_eof():
            self.transport.write_eof()
            self._head_timer = self.loop.call_later(_LINGER_TIME, self.transport.close)
        else:
            self.transport.close()

    @property
    def _is_body_awaited(self) -> bool:
        """Return whether a request waits for the rest of its body and has no response yet."""
        return not self.pipeline and not self.cycle.response_started

    def _end_request(self) -> None:
        """Let the application end a request whose body cannot be read; its answer is not sent."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    # Sending

    def on_response_complete(self) -> None:
        """Read the rest of a body that was not needed for a short time only."""
        super().on_response_complete()
        if self._refusal and not self.transport.is_closing():
            self.transport.close()
        elif self._part == "body" and self._head_timer is None:
            self._head_timer = self.loop.call_later(_LINGER_TIME, self.transport.close)

    def pause_writing(self) -> None:
        """Give the client a limited time to accept more of its response."""
        super().pause_writing()
        if self._stall_timer is None:
            seconds = self.limits.settings.stall_seconds
            self._stall_timer = self.loop.call_later(seconds, self._end_stalled_response)

    def resume_writing(self) -> None:
        """Continue the response."""
        self._stop_stall_timer()
        super().resume_writing()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _end_stalled_response(self) -> None:
        self._stall_timer = None
        self.limits.count_refusal("stalled")
        self.transport.abort()


def _closing_response(error: TmfError, request_id: str) -> bytes:
    """Return the bytes of an error response after which the connection is closed."""
    response = error_response(error)
    headers = {
        **response.headers,
        "content-type": response.media_type,
        "content-length": str(len(response.body)),
        "connection": "close",
        REQUEST_ID_HEADER: request_id,
        **{name.decode(): value.decode() for name, value in COMMON_HEADERS},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[response.status] + lines.encode("latin-1") + b"\r\n" + response.body
