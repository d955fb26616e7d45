"""Osmocom's command line, as far as it is needed: secret keys and the list of subscribers.

Source: "OsmoHLR User Manual", chapter "The Osmocom VTY Interface"; telnet options by RFC 854.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from adapters.osmo_hlr.ipa import Broken
from adapters.planning import State

#: IAC and what belongs to it: options are neither wanted nor answered.
TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa.*?\xff\xf0|[^\xfa-\xfe])", re.DOTALL)
PROMPT = re.compile(rb"(?:\A|[\r\n])([\w.-]+)> \Z")
PASSWORD = b"Password: "
#: One subscriber: number, MSISDN, IMSI, IMEI, what it may use.
ROW = re.compile(r"(\d+) +(none|\d+) +(\d+) +([\d-]+) +(CS)?(PS)? *")
LARGEST = 256 * 1024 * 1024  # octets of one answer
CHUNK = 65536
TAIL = 256  # no prompt is longer


class WrongPassword(Broken):
    """The command line wants another password than the credentials have."""


@dataclass(frozen=True, slots=True)
class Row:
    """A subscriber in the HLR's list.

    Attributes:
        imsi: Its IMSI.
        msisdn: Its number; empty: none.
        circuit: Whether it may use circuit switched services.
        packet: Whether it may use packet switched services.
    """

    imsi: str
    msisdn: str
    circuit: bool
    packet: bool

    @property
    def state(self) -> State:
        """Its attributes, as far as the list shows them."""
        return {
            "msisdn": self.msisdn,
            "circuitSwitched": self.circuit,
            "packetSwitched": self.packet,
        }


def rows(text: str) -> list[Row]:
    """Return the subscribers in what "show subscribers all" prints, ordered by IMSI.

    >>> rows("1      none          901700000000003    -------------    CSPS  ")
    [Row(imsi='901700000000003', msisdn='', circuit=True, packet=True)]
    """
    found = (ROW.fullmatch(line) for line in text.splitlines())
    return sorted(
        (
            Row(one[3], "" if one[2] == "none" else one[2], bool(one[5]), bool(one[6]))
            for one in found
            if one
        ),
        key=lambda row: row.imsi,
    )


def plain(octets: bytes) -> bytes:
    r"""Return what is text in what a telnet server sends.

    >>> plain(b"\xff\xfb\x01Osmo\xff\xffHLR")
    b'OsmoHLR'
    """
    return TELNET.sub(b"", octets)


class Vty:
    """Gives one command after the other, on a connection that is made when it is needed.

    Args:
        endpoint: Host and port.
        timeout: Of each piece of an answer, in seconds.
        password: Said where the HLR asks for one.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float, password: str = "") -> None:
        self._endpoint, self._timeout, self._password = endpoint, timeout, password
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.host = ""

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def command(self, text: str) -> str:
        """Give a command and return what it prints, without its echo and the prompt.

        Raises:
            WrongPassword: The credentials do not open it.
            Broken: No whole answer; whether it was done is not known. The message does not quote
                the command, which may be secret.
        """
        if not text.isprintable():
            raise Broken("a command is one line")
        try:
            await self._open()
            return await self._give(text)
        except OSError as error:
            self._drop()
            raise error if isinstance(error, Broken) else Broken(_why(error)) from error
        except asyncio.CancelledError:
            self._drop()  # what is still to come answers nobody's next question
            raise

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _open(self) -> None:
        if self._streams is not None and not self._streams[0].at_eof():
            return
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(*self._endpoint)
        except UnicodeError as error:
            raise Broken(f"no such host: {error}") from error
        if (prompt := PROMPT.search(await self._until(PROMPT))) is None:
            raise Broken("what answers there is no HLR")
        self.host = prompt[1].decode("ascii", "replace")
        said = await self._say("enable", self._ready)
        if said.endswith(PASSWORD):
            said = await self._say(self._password, self._ready)
        if said.endswith(PASSWORD):
            raise WrongPassword("the command line wants another password")
        await self._give("terminal length 0")

    @property
    def _ready(self) -> re.Pattern[bytes]:
        return re.compile(rb"(?:\A|[\r\n])" + re.escape(self.host.encode()) + rb"# \Z")

    async def _give(self, text: str) -> str:
        said = await self._say(text, self._ready)
        lines = said.decode("utf-8", "replace").replace("\r", "").split("\n")
        return "\n".join(lines[1:-1])

    async def _say(self, text: str, end: re.Pattern[bytes]) -> bytes:
        if self._streams is None:
            raise Broken("not connected")
        self._streams[1].write(text.encode() + b"\n")
        async with asyncio.timeout(self._timeout):
            await self._streams[1].drain()
        return await self._until(end)

    async def _until(self, end: re.Pattern[bytes]) -> bytes:
        """Read until a prompt; or until a password is asked for."""
        if self._streams is None:
            raise Broken("not connected")
        octets = bytearray()
        while len(octets) < LARGEST:
            async with asyncio.timeout(self._timeout):
                piece = await self._streams[0].read(CHUNK)
            if not piece:
                raise Broken("the connection was closed")
            octets += piece
            tail = plain(bytes(octets[-TAIL:]))
            if tail.endswith(PASSWORD) or end.search(tail):
                return plain(bytes(octets))
        raise Broken("what answers there is no HLR")


def _why(error: OSError) -> str:
    return str(error) or "no answer in time"
