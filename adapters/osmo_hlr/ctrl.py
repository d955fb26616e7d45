"""A client of the Osmocom control interface (CTRL), which gets and sets named variables.

Source: "OsmoHLR User Manual", chapter "Control interface".
"""

import re

from adapters.osmo_hlr import ipa
from adapters.osmo_hlr.ipa import NOT_AN_HLR, Frame, IpaConnection
from adapters.streams import ConnectionFailed

VARIABLE_PATTERN = re.compile(r"[a-z][a-z0-9.-]*")
#: Number of unrelated frames (traps, late replies) that may precede the reply to a request.
UNRELATED_FRAMES_LIMIT = 1000


class CtrlError(Exception):
    """The HLR replied with an error; the message is the text of the HLR."""


def parse_reply(frame: Frame, request_id: int) -> str | None:
    r"""Return the value in a reply, or None if the frame is not the reply to ``request_id``.

    Raises:
        CtrlError: The reply is an error.

    >>> parse_reply(Frame(ipa.OSMO, b"\x00GET_REPLY 7 subscriber.by-imsi-1.msisdn 4917"), 7)
    '4917'
    """
    if frame.stream != ipa.OSMO or frame.payload[:1] != bytes((ipa.CTRL,)):
        return None
    words = frame.payload[1:].decode("utf-8", "replace").split(" ", 2)
    if len(words) < 3 or words[1] != str(request_id):  # noqa: PLR2004 - verb, number, the rest
        return None
    verb, _, rest = words
    if verb == "ERROR":
        raise CtrlError(rest.strip())
    if verb not in {"GET_REPLY", "SET_REPLY"}:
        return None
    return rest.partition(" ")[2]


class CtrlClient:
    """A client that sends one request after another and connects on demand.

    Args:
        endpoint: Host and port.
        timeout: Longest wait for each reply, in seconds.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float) -> None:
        self._link = IpaConnection(endpoint, timeout)
        self._request_id = 0

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def get(self, variable: str) -> str:
        """Return the value of a variable.

        Raises:
            CtrlError: The HLR has no such variable.
            ConnectionFailed: There is no reply.
        """
        is_new = await self._link.open()
        try:
            return await self._request("GET", variable)
        except ConnectionFailed:
            if is_new:
                raise
        return await self._request("GET", variable)  # the HLR may have restarted meanwhile

    async def set(self, variable: str, value: str) -> str:
        """Set a variable and return the text of the reply.

        Raises:
            CtrlError: The HLR refuses the variable or the value.
            ConnectionFailed: There is no reply; the variable may or may not be set.
        """
        return await self._request("SET", variable, value)

    async def _request(self, verb: str, variable: str, value: str = "") -> str:
        if not VARIABLE_PATTERN.fullmatch(variable) or (value and not value.isalnum()):
            raise CtrlError(f"invalid variable or value: {variable}")
        await self._link.open()
        self._request_id += 1
        request = f"{verb} {self._request_id} {variable} {value}".strip()
        payload = bytes((ipa.CTRL,)) + request.encode("ascii", "replace")
        await self._link.send(Frame(ipa.OSMO, payload))
        for _ in range(UNRELATED_FRAMES_LIMIT):
            reply = parse_reply(await self._link.receive(), self._request_id)
            if reply is not None:
                return reply
        await self._link.close()
        raise ConnectionFailed(NOT_AN_HLR)
