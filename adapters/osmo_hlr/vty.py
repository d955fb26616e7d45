"""A client of the command line of Osmocom (VTY), used for secret keys and the list of subscribers.

Source: "OsmoHLR User Manual", chapter "The Osmocom VTY Interface"; telnet options by RFC 854.
"""

import asyncio
import re
from dataclasses import dataclass

from adapters.osmo_hlr.ipa import NOT_AN_HLR
from adapters.planning import State
from adapters.streams import ConnectionFailed, close_stream, connection_failed

#: A telnet command (IAC); the client ignores all options.
TELNET_COMMAND = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa.*?\xff\xf0|[^\xfa-\xfe])", re.DOTALL)
PROMPT_PATTERN = re.compile(rb"(?:\A|[\r\n])([\w.-]+)> \Z")
PASSWORD_PROMPT = b"Password: "
#: A line of the list: number, MSISDN, IMSI, IMEI, allowed domains.
SUBSCRIBER_PATTERN = re.compile(
    r"\d+ +(?:none|(?P<msisdn>\d+)) +(?P<imsi>\d+) +[\d-]+ +(?P<circuit>CS)?(?P<packet>PS)? *"
)
ANSWER_LIMIT = 256 * 1024 * 1024  # octets
CHUNK_SIZE = 65536  # octets
PROMPT_LIMIT = 256  # octets


class WrongPassword(ConnectionFailed):
    """The command line refuses the password of the credentials."""


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """A subscriber in the list of the HLR.

    Attributes:
        imsi: IMSI.
        msisdn: MSISDN; empty: none.
        circuit_switched: Whether circuit switched services are allowed.
        packet_switched: Whether packet switched services are allowed.
    """

    imsi: str
    msisdn: str
    circuit_switched: bool
    packet_switched: bool

    @property
    def state(self) -> State:
        """The attributes of the subscriber that the list shows."""
        return {
            "msisdn": self.msisdn,
            "circuitSwitched": self.circuit_switched,
            "packetSwitched": self.packet_switched,
        }


def parse_subscribers(text: str) -> list[SubscriberRow]:
    """Return the subscribers in the output of "show subscribers all", ordered by IMSI.

    >>> parse_subscribers("1      none          901700000000003    -------------    CSPS  ")
    [SubscriberRow(imsi='901700000000003', msisdn='', circuit_switched=True, packet_switched=True)]
    """
    matches = (SUBSCRIBER_PATTERN.fullmatch(line) for line in text.splitlines())
    rows = (
        SubscriberRow(
            match["imsi"], match["msisdn"] or "", bool(match["circuit"]), bool(match["packet"])
        )
        for match in matches
        if match
    )
    return sorted(rows, key=lambda row: row.imsi)


def without_telnet_commands(octets: bytes) -> bytes:
    r"""Return the octets of a telnet server without telnet commands.

    >>> without_telnet_commands(b"\xff\xfb\x01Osmo\xff\xffHLR")
    b'OsmoHLR'
    """
    return TELNET_COMMAND.sub(b"", octets)


class VtyClient:
    """A client that runs one command after another and connects on demand.

    Args:
        endpoint: Host and port.
        timeout: Longest wait for the next octets of an answer, in seconds.
        password: The password of the "enable" command, if the HLR has one.

    Attributes:
        host_name: The host name in the prompt; empty before the first command.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float, password: str = "") -> None:
        self._endpoint, self._timeout, self._password = endpoint, timeout, password
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.host_name = ""

    async def close(self) -> None:
        """Close the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            await close_stream(streams[1])

    async def run(self, command: str) -> str:
        """Run a command and return its output, without its echo and the prompt.

        Raises:
            WrongPassword: The HLR refuses the password.
            ConnectionFailed: There is no complete answer; the command may or may not have run.
                The message does not quote the command, which may contain a secret.
        """
        if not command.isprintable():
            raise ConnectionFailed("a command must be a single line")
        try:
            await self._open()
            return await self._run(command)
        except OSError as error:
            self._abort()
            raise connection_failed(error) from error
        except asyncio.CancelledError:
            self._abort()  # late output must not be read as that of the next command
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
            raise ConnectionFailed(NOT_AN_HLR)
        self.host_name = prompt[1].decode("ascii", "replace")
        answer = await self._send_line("enable", self._prompt_pattern)
        if answer.endswith(PASSWORD_PROMPT):
            answer = await self._send_line(self._password, self._prompt_pattern)
        if answer.endswith(PASSWORD_PROMPT):
            raise WrongPassword("the command line refuses the password")
        await self._run("terminal length 0")

    @property
    def _prompt_pattern(self) -> re.Pattern[bytes]:
        return re.compile(rb"(?:\A|[\r\n])" + re.escape(self.host_name.encode()) + rb"# \Z")

    async def _run(self, command: str) -> str:
        answer = await self._send_line(command, self._prompt_pattern)
        lines = answer.decode("utf-8", "replace").replace("\r", "").split("\n")
        return "\n".join(lines[1:-1])

    async def _send_line(self, text: str, end: re.Pattern[bytes]) -> bytes:
        if self._streams is None:
            raise ConnectionFailed("not connected")
        self._streams[1].write(text.encode() + b"\n")
        async with asyncio.timeout(self._timeout):
            await self._streams[1].drain()
        return await self._read_until(end)

    async def _read_until(self, end: re.Pattern[bytes]) -> bytes:
        """Return the octets up to a prompt, or up to the question for a password."""
        if self._streams is None:
            raise ConnectionFailed("not connected")
        octets = bytearray()
        while len(octets) < ANSWER_LIMIT:
            async with asyncio.timeout(self._timeout):
                chunk = await self._streams[0].read(CHUNK_SIZE)
            if not chunk:
                raise ConnectionFailed("the connection was closed")
            octets += chunk
            tail = without_telnet_commands(bytes(octets[-PROMPT_LIMIT:]))
            if tail.endswith(PASSWORD_PROMPT) or end.search(tail):
                return without_telnet_commands(bytes(octets))
        raise ConnectionFailed(NOT_AN_HLR)
