"""Osmocom's control interface: named variables that are read and set.

Source: "OsmoHLR User Manual", chapter "Control interface".
"""

import re

from adapters.osmo_hlr import ipa
from adapters.osmo_hlr.ipa import ConnectionFailed, Frame, IpaConnection

VARIABLE_PATTERN = re.compile(r"[a-z][a-z0-9.-]*")
#: Frames that are for somebody else (traps, late answers) which may come before ours.
UNRELATED_FRAMES_LIMIT = 1000


class CtrlError(Exception):
    """The HLR answers with an error; the message is its own words."""


def parse_reply(frame: Frame, request_id: int) -> str | None:
    r"""Return the value in an answer, or None if this frame does not answer question ``request_id``.

    Raises:
        Refused: It is an error.

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
    """Asks one question after the other, on a connection that is made when it is needed.

    Args:
        endpoint: Host and port.
        timeout: Of each answer, in seconds.
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
            Refused: There is none.
            Broken: No answer.
        """
        new = await self._link.open()
        try:
            return await self._request("GET", variable)
        except ConnectionFailed:
            if new:
                raise
        return await self._request("GET", variable)  # the HLR may have been restarted in between

    async def set(self, variable: str, value: str) -> str:
        """Set a variable and return what the HLR says.

        Raises:
            Refused: It cannot be set so.
            Broken: No answer; whether it is set is not known.
        """
        return await self._request("SET", variable, value)

    async def _request(self, verb: str, variable: str, value: str = "") -> str:
        if not VARIABLE_PATTERN.fullmatch(variable) or (value and not value.isalnum()):
            raise CtrlError(f"{variable} cannot be asked for")
        await self._link.open()
        self._request_id += 1
        question = f"{verb} {self._request_id} {variable} {value}".strip().encode(
            "ascii", "replace"
        )
        await self._link.send(Frame(ipa.OSMO, bytes((ipa.CTRL,)) + question))
        for _ in range(UNRELATED_FRAMES_LIMIT):
            if (found := parse_reply(await self._link.receive(), self._request_id)) is not None:
                return found
        await self._link.close()
        raise ConnectionFailed("what answers there is no HLR")
