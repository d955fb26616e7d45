"""The IPA multiplex of Osmocom, which carries the control interface and GSUP.

A frame has two octets of length, one octet for the stream, and the payload.

Source: libosmocore, "IPA multiplex".
"""

import asyncio
import struct
from collections import deque
from dataclasses import dataclass
from typing import Self

from adapters.streams import NO_ANSWER, ConnectionFailed, close_stream, connection_failed

HEADER = struct.Struct(">HB")
CCM = 0xFE  # stream of connection management: identity, ping and pong
OSMO = 0xEE  # stream whose first octet is the protocol
CTRL = 0x00  # protocol of OSMO
GSUP = 0x05  # protocol of OSMO
PING, PONG = b"\x00", b"\x01"
PAYLOAD_LIMIT = 0xFFFF
NOT_AN_HLR = "the server does not answer as an OsmoHLR does"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame.

    Attributes:
        stream: ``CCM``, ``OSMO`` or another stream.
        payload: At most ``PAYLOAD_LIMIT`` octets.
    """

    stream: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """Return the octets of a frame.

    >>> encode(Frame(CCM, PONG)).hex()
    '0001fe01'
    """
    return HEADER.pack(len(frame.payload), frame.stream) + frame.payload


class FrameDecoder:
    """Splits a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> list[Frame]:
        """Append octets and return the frames that are complete."""
        self._buffer += octets
        frames = []
        while len(self._buffer) >= HEADER.size:
            length, stream = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(stream, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
        return frames


class IpaConnection:
    """A connection that exchanges frames; an asynchronous context manager.

    Args:
        endpoint: Host and port.
        timeout: Longest wait for the connection and for each frame, in seconds.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._decoder = FrameDecoder()
        self._frames: deque[Frame] = deque()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> bool:
        """Connect, unless there is a connection that the server has not closed.

        Returns:
            True if the connection is new.

        Raises:
            ConnectionFailed: The server cannot be reached.
        """
        if self._streams is not None and not self._streams[0].at_eof():
            return False
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(*self._endpoint)
        except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
            raise ConnectionFailed(f"cannot connect: {str(error) or NO_ANSWER}") from error
        self._decoder = FrameDecoder()
        self._frames.clear()
        return True

    async def close(self) -> None:
        """Close the connection; unread frames are lost."""
        streams, self._streams = self._streams, None
        if streams is not None:
            await close_stream(streams[1])

    async def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            ConnectionFailed: There is no connection, or it was lost.
        """
        if self._streams is None:
            raise ConnectionFailed("not connected")
        try:
            async with asyncio.timeout(self._timeout):
                self._streams[1].write(encode(frame))
                await self._streams[1].drain()
        except OSError as error:
            await self.close()
            raise ConnectionFailed(f"cannot send: {error}") from error

    async def receive(self) -> Frame:
        """Return the next frame; answer pings in between.

        Raises:
            ConnectionFailed: No frame arrived in time. The connection is closed, so that a late
                reply is not read as the reply to the next request.
        """
        if self._streams is None:
            raise ConnectionFailed("not connected")
        while True:
            while not self._frames:
                self._frames.extend(self._decoder.feed(await self._read_octets(self._streams[0])))
            frame = self._frames.popleft()
            if frame != Frame(CCM, PING):
                return frame
            await self.send(Frame(CCM, PONG))

    async def _read_octets(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                octets = await reader.read(PAYLOAD_LIMIT)
        except OSError as error:
            await self.close()
            raise connection_failed(error) from error
        if not octets:
            await self.close()
            raise ConnectionFailed("the connection was closed")
        return octets
