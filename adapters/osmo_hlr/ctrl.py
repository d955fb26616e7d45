"""Osmocom's control interface: named variables that are read and set.

Source: "OsmoHLR User Manual", chapter "Control interface".
"""

import re

from adapters.osmo_hlr import ipa
from adapters.osmo_hlr.ipa import Broken, Frame, Link

VARIABLE = re.compile(r"[a-z][a-z0-9.-]*")
#: Frames that are for somebody else (traps, late answers) which may come before ours.
STRANGERS = 1000


class Refused(Exception):
    """The HLR answers with an error; the message is its own words."""


def parse(frame: Frame, number: int) -> str | None:
    r"""Return the value in an answer, or None if this frame does not answer question ``number``.

    Raises:
        Refused: It is an error.

    >>> parse(Frame(ipa.OSMO, b"\x00GET_REPLY 7 subscriber.by-imsi-1.msisdn 4917"), 7)
    '4917'
    """
    if frame.stream != ipa.OSMO or frame.payload[:1] != bytes((ipa.CTRL,)):
        return None
    words = frame.payload[1:].decode("utf-8", "replace").split(" ", 2)
    if len(words) < 3 or words[1] != str(number):  # noqa: PLR2004 - verb, number, the rest
        return None
    verb, _, rest = words
    if verb == "ERROR":
        raise Refused(rest.strip())
    if verb not in {"GET_REPLY", "SET_REPLY"}:
        return None
    return rest.partition(" ")[2]


class Ctrl:
    """Asks one question after the other, on a connection that is made when it is needed.

    Args:
        endpoint: Host and port.
        timeout: Of each answer, in seconds.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float) -> None:
        self._link = Link(endpoint, timeout)
        self._number = 0

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
            return await self._ask("GET", variable)
        except Broken:
            if new:
                raise
        return await self._ask("GET", variable)  # the HLR may have been restarted in between

    async def set(self, variable: str, value: str) -> str:
        """Set a variable and return what the HLR says.

        Raises:
            Refused: It cannot be set so.
            Broken: No answer; whether it is set is not known.
        """
        return await self._ask("SET", variable, value)

    async def _ask(self, verb: str, variable: str, value: str = "") -> str:
        if not VARIABLE.fullmatch(variable) or (value and not value.isalnum()):
            raise Refused(f"{variable} cannot be asked for")
        await self._link.open()
        self._number += 1
        question = f"{verb} {self._number} {variable} {value}".strip().encode("ascii", "replace")
        await self._link.send(Frame(ipa.OSMO, bytes((ipa.CTRL,)) + question))
        for _ in range(STRANGERS):
            if (found := parse(await self._link.receive(), self._number)) is not None:
                return found
        await self._link.close()
        raise Broken("what answers there is no HLR")
