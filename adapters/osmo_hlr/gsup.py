"""A GSUP client: the requests of a serving node (SGSN, VLR) to the HLR, and their answers.

Source: libosmocore ``gsm/gsup.h``; "OsmoHLR User Manual", chapter "Generic Subscriber Update
Protocol"; causes from 3GPP TS 24.008, section 10.5.5.14.
"""

import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from adapters.osmo_hlr import ipa
from adapters.osmo_hlr.ipa import NOT_AN_HLR, Frame, IpaConnection
from adapters.streams import ConnectionFailed

UPDATE_LOCATION, UPDATE_LOCATION_ERROR, UPDATE_LOCATION_RESULT = 0x04, 0x05, 0x06
SEND_AUTH_INFO, SEND_AUTH_INFO_ERROR, SEND_AUTH_INFO_RESULT = 0x08, 0x09, 0x0A
PURGE, PURGE_ERROR, PURGE_RESULT = 0x0C, 0x0D, 0x0E
INSERT_DATA, INSERT_DATA_RESULT = 0x10, 0x12
IMSI_IE, CAUSE_IE, TUPLE_IE, DOMAIN_IE = 0x01, 0x02, 0x03, 0x28
PACKET, CIRCUIT = 1, 2
ID_GET, ID_RESPONSE, ID_ACK = 0x04, 0x05, 0x06
SERIAL_TAG, NAME_TAG, UNIT_TAG = 0x00, 0x01, 0x08
#: The HLR uses cause 7 for packet switched and cause 11 (PLMN not allowed) for circuit switched
#: services; both mean that the service is not allowed.
UNKNOWN, NOT_ALLOWED, NETWORK_NOT_ALLOWED = 2, 7, 11
CAUSES = {
    UNKNOWN: "unknownSubscriber",
    NOT_ALLOWED: "notAllowed",
    NETWORK_NOT_ALLOWED: "notAllowed",
}
#: Prefix of the node names of probes; the serving nodes of an operator must not use it.
NODE_NAME_PREFIX = "tmf-probe-"
#: Number of unrelated messages that may precede an answer.
UNRELATED_MESSAGES_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Message:
    """A GSUP message.

    Attributes:
        type: Message type.
        elements: Information elements in order, each a tag and a value.
    """

    type: int
    elements: tuple[tuple[int, bytes], ...]

    @property
    def outcome(self) -> str:
        """The outcome of a request: "accepted", or the cause of the refusal."""
        for tag, value in self.elements:
            if tag == CAUSE_IE:
                cause = value[0] if value else 0
                return CAUSES.get(cause, f"cause {cause}")
        return "accepted"


def tbcd(text: str) -> bytes:
    """Return digits as a TBCD-STRING: two digits in each octet, the first in the lower half.

    >>> tbcd("12345").hex()
    '2143f5'
    """
    text += "f" * (len(text) % 2)
    return bytes(int(text[index + 1] + text[index], 16) for index in range(0, len(text), 2))


def encode(message: Message) -> bytes:
    """Return the payload of a message."""
    parts = (bytes((tag, len(value))) + value for tag, value in message.elements)
    return bytes((ipa.GSUP, message.type)) + b"".join(parts)


def decode(payload: bytes) -> Message | None:
    """Return the message in a payload, or None if the payload is not valid GSUP.

    >>> decode(bytes.fromhex("0505020107")).outcome
    'notAllowed'
    """
    if len(payload) < 2 or payload[0] != ipa.GSUP:  # noqa: PLR2004 - protocol and type
        return None
    try:
        return Message(payload[1], tuple(_elements(payload[2:])))
    except ValueError:
        return None


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        if len(octets) < 2 or len(octets) < 2 + octets[1]:  # noqa: PLR2004 - tag and length
            raise ValueError("truncated information element")
        yield octets[0], octets[2 : 2 + octets[1]]
        octets = octets[2 + octets[1] :]


class ServingNodeProbe:
    """A simulated serving node of one subscriber; an asynchronous context manager.

    Args:
        endpoint: Host and port.
        timeout: Longest wait for each answer, in seconds.
        imsi: The subscriber.
    """

    def __init__(self, endpoint: tuple[str, int], timeout: float, imsi: str) -> None:
        self._link = IpaConnection(endpoint, timeout)
        self._imsi = imsi

    async def __aenter__(self) -> Self:
        await self._link.open()
        await self._identify(f"{NODE_NAME_PREFIX}{secrets.token_hex(6)}".encode() + b"\0")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()

    async def _identify(self, name: bytes) -> None:
        """Answer the identity request of the HLR, which disconnects if the unit is missing."""
        for _ in range(UNRELATED_MESSAGES_LIMIT):
            frame = await self._link.receive()
            if frame.stream == ipa.CCM and frame.payload[:1] == bytes((ID_GET,)):
                items = ((UNIT_TAG, b"0/0/0\0"), (NAME_TAG, name), (SERIAL_TAG, name))
                parts = (struct.pack(">HB", len(value) + 1, tag) + value for tag, value in items)
                await self._link.send(Frame(ipa.CCM, bytes((ID_RESPONSE,)) + b"".join(parts)))
                await self._link.send(Frame(ipa.CCM, bytes((ID_ACK,))))
                return
        raise ConnectionFailed(NOT_AN_HLR)

    async def authenticate(self) -> str:
        """Request authentication vectors; return "accepted" if there are any, or the cause."""
        domain = (DOMAIN_IE, bytes((PACKET,)))
        answer = await self._request(SEND_AUTH_INFO, domain, final_types=(SEND_AUTH_INFO_RESULT,))
        if answer.type == SEND_AUTH_INFO_RESULT and TUPLE_IE not in dict(answer.elements):
            return "noVectors"
        return answer.outcome

    async def attach(self, domain: int) -> str:
        """Register the subscriber here and purge it again; return "accepted" or the cause."""
        element = (DOMAIN_IE, bytes((domain,)))
        answer = await self._request(
            UPDATE_LOCATION, element, final_types=(UPDATE_LOCATION_RESULT,)
        )
        if answer.type == UPDATE_LOCATION_RESULT:
            await self._request(PURGE, element, final_types=(PURGE_RESULT,))
        return answer.outcome

    async def _request(
        self, type: int, *elements: tuple[int, bytes], final_types: tuple[int, ...]
    ) -> Message:
        """Send a request and return its answer; acknowledge subscription data in between.

        Args:
            type: Message type of the request; the type of its error is the next number.
            elements: Information elements besides the IMSI.
            final_types: Message types that end the exchange, besides the error.
        """
        imsi = (IMSI_IE, tbcd(self._imsi))
        await self._send(Message(type, (imsi, *elements)))
        for _ in range(UNRELATED_MESSAGES_LIMIT):
            frame = await self._link.receive()
            message = decode(frame.payload) if frame.stream == ipa.OSMO else None
            if message is None or imsi not in message.elements:
                continue
            if message.type == INSERT_DATA:
                await self._send(Message(INSERT_DATA_RESULT, (imsi,)))
            elif message.type in {type + 1, *final_types}:
                return message
        raise ConnectionFailed(NOT_AN_HLR)

    async def _send(self, message: Message) -> None:
        await self._link.send(Frame(ipa.OSMO, encode(message)))
