"""Frames of Osmocom's control and GSUP connections, and a connection that exchanges them.

Source: libosmocore, "IPA multiplex": two octets of length, one of the stream, then the payload.
"""

import asyncio
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

HEADER = struct.Struct(">HB")
CCM = 0xFE  # who are you, ping and pong
OSMO = 0xEE  # its first octet tells which protocol
CTRL = 0x00  # of OSMO
GSUP = 0x05  # of OSMO
PING, PONG = b"\x00", b"\x01"
PAYLOAD_LIMIT = 0xFFFF


class ConnectionFailed(OSError):
    """The other side has closed the connection, says nothing in time, or something else speaks."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        stream: ``CCM``, ``OSMO`` or another.
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
    """Cuts what comes in into frames, however it was cut on its way."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> list[Frame]:
        """Take octets and return the frames that are whole now."""
        self._buffer += octets
        found = []
        while len(self._buffer) >= HEADER.size:
            length, stream = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            found.append(Frame(stream, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
        return found


class IpaConnection:
    """A connection that exchanges frames; an asynchronous context manager.

    Args:
        endpoint: Host and port.
        timeout: Of connecting and of each answer, in seconds.
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
        """Connect unless a connection is there that the other side has not closed.

        Returns:
            Whether it is a new one.

        Raises:
            Broken: There is none to be had.
        """
        if self._streams is not None and not self._streams[0].at_eof():
            return False
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(*self._endpoint)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            raise ConnectionFailed(f"cannot connect: {error or 'no answer in time'}") from error
        self._decoder = FrameDecoder()
        self._frames.clear()
        return True

    async def close(self) -> None:
        """Close the connection; what was on its way is lost."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            Broken: The connection is gone.
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
        """Return the next frame; pings are answered here and not returned.

        Raises:
            Broken: None came in time; the connection is closed, so that a late answer is never
                taken for the answer to another question.
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
            raise ConnectionFailed(str(error) or "no answer in time") from error
        if not octets:
            await self.close()
            raise ConnectionFailed("the connection was closed")
        return octets
