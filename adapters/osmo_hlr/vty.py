"""Osmocom's command line, as far as it is needed: secret keys and the list of subscribers.

Source: "OsmoHLR User Manual", chapter "The Osmocom VTY Interface"; telnet options by RFC 854.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from adapters.osmo_hlr.ipa import ConnectionFailed
from adapters.planning import State

#: IAC and what belongs to it: options are neither wanted nor answered.
TELNET_COMMAND = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa.*?\xff\xf0|[^\xfa-\xfe])", re.DOTALL)
PROMPT_PATTERN = re.compile(rb"(?:\A|[\r\n])([\w.-]+)> \Z")
PASSWORD_PROMPT = b"Password: "
#: One subscriber: number, MSISDN, IMSI, IMEI, what it may use.
SUBSCRIBER_PATTERN = re.compile(r"(\d+) +(none|\d+) +(\d+) +([\d-]+) +(CS)?(PS)? *")
ANSWER_LIMIT = 256 * 1024 * 1024  # octets of one answer
CHUNK = 65536
PROMPT_LIMIT = 256  # no prompt is longer


class WrongPassword(ConnectionFailed):
    """The command line wants another password than the credentials have."""


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """A subscriber in the HLR's list.

    Attributes:
        imsi: Its IMSI.
        msisdn: Its number; empty: none.
        circuit_switched: Whether it may use circuit switched services.
        packet_switched: Whether it may use packet switched services.
    """

    imsi: str
    msisdn: str
    circuit_switched: bool
    packet_switched: bool

    @property
    def state(self) -> State:
        """Its attributes, as far as the list shows them."""
        return {
            "msisdn": self.msisdn,
            "circuitSwitched": self.circuit_switched,
            "packetSwitched": self.packet_switched,
        }


def parse_subscribers(text: str) -> list[SubscriberRow]:
    """Return the subscribers in what "show subscribers all" prints, ordered by IMSI.

    >>> parse_subscribers("1      none          901700000000003    -------------    CSPS  ")
    [SubscriberRow(imsi='901700000000003', msisdn='', circuit_switched=True, packet_switched=True)]
    """
    found = (SUBSCRIBER_PATTERN.fullmatch(line) for line in text.splitlines())
    return sorted(
        (
            SubscriberRow(one[3], "" if one[2] == "none" else one[2], bool(one[5]), bool(one[6]))
            for one in found
            if one
        ),
        key=lambda row: row.imsi,
    )


def without_telnet_commands(octets: bytes) -> bytes:
    r"""Return what is text in what a telnet server sends.

    >>> without_telnet_commands(b"\xff\xfb\x01Osmo\xff\xffHLR")
    b'OsmoHLR'
    """
    return TELNET_COMMAND.sub(b"", octets)


class VtyClient:
    """Gives one command after the other, on a connection that is made when it is needed.

    Args:
        endpoint: Host and port.
        timeout: Of each piece of an answer, in seconds.
        password: Said where the HLR asks for one.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float, password: str = "") -> None:
        self._endpoint, self._timeout, self._password = endpoint, timeout, password
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.host_name = ""

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def run(self, command: str) -> str:
        """Give a command and return what it prints, without its echo and the prompt.

        Raises:
            WrongPassword: The credentials do not open it.
            Broken: No whole answer; whether it was done is not known. The message does not quote
                the command, which may be secret.
        """
        if not command.isprintable():
            raise ConnectionFailed("a command is one line")
        try:
            await self._open()
            return await self._run(command)
        except OSError as error:
            self._abort()
            raise (
                error
                if isinstance(error, ConnectionFailed)
                else ConnectionFailed(_error_text(error))
            ) from error
        except asyncio.CancelledError:
            self._abort()  # what is still to come answers nobody's next question
            raise

    def _abort(self) -> None:
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
            raise ConnectionFailed(f"no such host: {error}") from error
        if (prompt := PROMPT_PATTERN.search(await self._read_until(PROMPT_PATTERN))) is None:
            raise ConnectionFailed("what answers there is no HLR")
        self.host_name = prompt[1].decode("ascii", "replace")
        said = await self._send_line("enable", self._prompt_pattern)
        if said.endswith(PASSWORD_PROMPT):
            said = await self._send_line(self._password, self._prompt_pattern)
        if said.endswith(PASSWORD_PROMPT):
            raise WrongPassword("the command line wants another password")
        await self._run("terminal length 0")

    @property
    def _prompt_pattern(self) -> re.Pattern[bytes]:
        return re.compile(rb"(?:\A|[\r\n])" + re.escape(self.host_name.encode()) + rb"# \Z")

    async def _run(self, command: str) -> str:
        said = await self._send_line(command, self._prompt_pattern)
        lines = said.decode("utf-8", "replace").replace("\r", "").split("\n")
        return "\n".join(lines[1:-1])

    async def _send_line(self, text: str, end: re.Pattern[bytes]) -> bytes:
        if self._streams is None:
            raise ConnectionFailed("not connected")
        self._streams[1].write(text.encode() + b"\n")
        async with asyncio.timeout(self._timeout):
            await self._streams[1].drain()
        return await self._read_until(end)

    async def _read_until(self, end: re.Pattern[bytes]) -> bytes:
        """Read until a prompt; or until a password is asked for."""
        if self._streams is None:
            raise ConnectionFailed("not connected")
        octets = bytearray()
        while len(octets) < ANSWER_LIMIT:
            async with asyncio.timeout(self._timeout):
                piece = await self._streams[0].read(CHUNK)
            if not piece:
                raise ConnectionFailed("the connection was closed")
            octets += piece
            tail = without_telnet_commands(bytes(octets[-PROMPT_LIMIT:]))
            if tail.endswith(PASSWORD_PROMPT) or end.search(tail):
                return without_telnet_commands(bytes(octets))
        raise ConnectionFailed("what answers there is no HLR")


def _error_text(error: OSError) -> str:
    return str(error) or "no answer in time"
