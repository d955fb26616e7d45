"""A receiver for notifications of SNMP elements: v1 and v2c traps, v2c informs, v3 traps.

A notification is accepted only if its source address belongs to an element and its community or
user is that of the element's credentials. Other datagrams are counted and dropped.
"""

import asyncio
import hashlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from adapters.errors import Misconfigured
from adapters.snmp import mib
from adapters.snmp.wire import message, usm
from adapters.snmp.wire.ber import Malformed, Value
from adapters.snmp.wire.message import Pdu, TrapV1
from adapters.snmp.wire.usm import EngineTime, EngineTimes, NotAuthentic, User

RECEIVE_BUFFER = 4_194_304  # octets; the kernel may grant less
CENTISECONDS = 100
#: Time for which a source may send at once what it has not sent before, in seconds.
BURST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification of an element.

    Attributes:
        element: Name of the element.
        source: IP address of the element.
        trap: Object identifier of the notification; for a v1 trap the one of version 2.
        variables: Object identifier -> value, in the order of the message, without uptime and trap.
        uptime: Time since the start of the element's management software, in seconds.
        boots: Number of starts of the element; None for v1 and v2c, which do not report it.
        sender: Community or user.
        inform: Whether the element waits for an acknowledgement.
        received_at: Time of receipt, in UTC.
        request_id: Number by which the sender tells its notifications apart; a repeated inform
            has that of the first. None for a v1 trap, which has none.
    """

    element: str
    source: str
    trap: str
    variables: Mapping[str, Value]
    uptime: float
    boots: int | None
    sender: str
    inform: bool
    received_at: datetime
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """A notification, to be acknowledged after it has been stored.

    Attributes:
        notification: The notification.
        digest: Digest of a v3 message, by which a replay is recognized; "" for v1 and v2c.
    """

    notification: Notification
    digest: str = ""
    _reply: bytes = field(default=b"", repr=False)
    _source: tuple[str, int] = ("", 0)
    _transport: asyncio.DatagramTransport | None = field(default=None, repr=False)

    def acknowledge(self) -> None:
        """Answer an inform, which the element repeats otherwise; do nothing for a trap."""
        if self._reply and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(self._reply, self._source)


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The newest time of an element's engine, to be stored.

    Attributes:
        element: The element.
        engine_id: Identity of its engine.
        time: The newest time.
    """

    element: str
    engine_id: bytes
    time: EngineTime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapLimits:
    """The limits of a receiver.

    Attributes:
        size: Largest datagram, in bytes.
        rate: Most notifications of one source in a second, on average; 0: any number.
    """

    size: int = 16_384
    rate: float = 1000.0


@dataclass(slots=True)
class TokenBucket:
    """What may be done now: a limit of the number in a second that permits bursts.

    Attributes:
        tokens: How often it may be done now.
        filled_at: When tokens were added, a value of ``time.monotonic``.
    """

    tokens: float
    filled_at: float

    def take(self, rate: float, now: float, burst: float) -> bool:
        """Take one token; return whether there was one.

        Args:
            rate: Tokens that are added in a second.
            now: A value of ``time.monotonic``.
            burst: Most tokens.
        """
        added = (now - self.filled_at) * rate
        self.tokens, self.filled_at = min(self.tokens + added, burst), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class NotificationSender:
    """An element that may send notifications, with its community or its user."""

    element: str
    community: bytes = b""
    user: User | None = None


class SenderRegistry:
    """The elements that may send notifications, with their addresses and credentials."""

    def __init__(self) -> None:
        self._senders_by_address: dict[str, dict[str, NotificationSender]] = {}
        self._times: dict[str, EngineTimes] = {}

    def register(self, element: str, address: str, secret: Mapping[str, str]) -> None:
        """Accept notifications of an element from an address, instead of any former one.

        Raises:
            Misconfigured: The secret is not usable for SNMP notifications.
        """
        if community := secret.get("community"):
            sender = NotificationSender(element, community.encode())
        elif "user" in secret:
            try:
                user = replace(User.from_secret(secret), times=self._times_of(element))
                sender = NotificationSender(element, user=user)
            except ValueError as error:
                raise Misconfigured(element, f"credentials for notifications: {error}") from error
        else:
            raise Misconfigured(element, "SNMP credentials need a community or a user")
        self.unregister(element)
        self._senders_by_address.setdefault(address, {})[element] = sender

    def unregister(self, element: str) -> None:
        """Accept no more notifications of an element."""
        for senders in self._senders_by_address.values():
            senders.pop(element, None)

    def is_known(self, address: str) -> bool:
        """Return whether an address is that of an element."""
        return bool(self._senders_by_address.get(address))

    def _times_of(self, element: str) -> EngineTimes:
        """Return the times of an element's engines; they outlive a change of its credentials."""
        return self._times.setdefault(element, EngineTimes(is_advancing=True))

    def restore_times(self, records: Iterable[EngineRecord]) -> None:
        """Set the newest times of engines, as stored by this or another receiver."""
        for record in records:
            self._times_of(record.element).restore(record.engine_id, record.time)

    def take_changed_times(self) -> list[EngineRecord]:
        """Return the times that have changed since the last call."""
        return [
            EngineRecord(element, engine_id, newest)
            for element, times in self._times.items()
            for engine_id, newest in times.take_changes().items()
        ]

    def decode(self, octets: bytes, source: str) -> Notification:
        """Return the notification in a datagram.

        Raises:
            Malformed: The datagram is not a notification.
            NotAuthentic: No element has the source address, or the community or user is not that of
                an element with this address.
        """
        senders = self._senders_by_address.get(source)
        if not senders:
            raise NotAuthentic("not from an element")
        version, _, _ = message.decode_version(octets)
        if version == message.V3:
            header = usm.decode_header(octets)
            element, user = _sender_of_user(senders, header.user_name)
            pdu_v3 = usm.authenticate_message(octets, header, user)
            return _notification(pdu_v3, element, source, header.user_name, header.boots)
        _, community, pdu = message.decode_community_message(octets)
        for sender in senders.values():
            if sender.community and sender.community == community:
                return _notification(pdu, sender.element, source, community, None)
        raise NotAuthentic("wrong community")


def _sender_of_user(
    senders: Mapping[str, NotificationSender], user_name: bytes
) -> tuple[str, User]:
    for sender in senders.values():
        if sender.user is not None and sender.user.name == user_name:
            return sender.element, sender.user
    raise NotAuthentic("unknown user")


def _notification(
    pdu: Pdu | TrapV1, element: str, source: str, sender: bytes, boots: int | None
) -> Notification:
    request_id: int | None = None
    if isinstance(pdu, TrapV1):
        trap, uptime, variables, inform = pdu.trap, pdu.uptime, pdu.variables, False
    else:
        trap, uptime = _trap_and_uptime(pdu)
        variables, inform = pdu.variables[2:], pdu.tag == message.INFORM
        request_id = pdu.request_id
    return Notification(
        element=element,
        source=source,
        trap=trap,
        variables={variable.oid: variable.value for variable in variables},
        uptime=uptime / CENTISECONDS,
        boots=boots,
        sender=sender.decode("utf-8", "replace"),
        inform=inform,
        received_at=datetime.now(UTC),
        request_id=request_id,
    )


def _trap_and_uptime(pdu: Pdu) -> tuple[str, int]:
    """Return the trap and the uptime, the first two variables (RFC 3416 section 4.2.6)."""
    if pdu.tag not in {message.TRAP, message.INFORM} or len(pdu.variables) < 2:  # noqa: PLR2004
        raise Malformed("not a notification")
    uptime, trap = pdu.variables[:2]
    if (uptime.oid, trap.oid) != (mib.SYS_UP_TIME, mib.SNMP_TRAP_OID):
        raise Malformed("a notification begins with uptime and trap")
    if not isinstance(uptime.value, int) or not isinstance(trap.value, str):
        raise Malformed("uptime or trap has the wrong type")
    return trap.value, uptime.value


DEFAULT_LIMITS = TrapLimits()


class TrapReceiver(asyncio.DatagramProtocol):
    """A UDP endpoint for notifications; an asynchronous context manager and iterator.

    Attributes:
        senders: The elements that may send notifications; may be changed at any time.
        address: Address and port that the receiver listens on, once open.
        counts: "received", "malformed", "refused", "overflowed", "oversized", "limited" -> number
            of datagrams;
            "undelivered" -> number of acknowledgements that the network reported as undelivered.
    """

    def __init__(
        self,
        senders: SenderRegistry,
        host: str,
        port: int,
        *,
        queue_size: int = 10_000,
        limits: TrapLimits = DEFAULT_LIMITS,
    ) -> None:
        self.senders = senders
        self.address = (host, port)
        self.counts: Counter[str] = Counter()
        self._queue: asyncio.Queue[ReceivedNotification] = asyncio.Queue(queue_size)
        self._limits = limits
        self._buckets: dict[str, TokenBucket] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=self.address
        )
        udp_socket = self._transport.get_extra_info("socket")
        udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # asyncio closes the socket in its next iteration

    def datagram_received(self, octets: bytes, source: tuple[str, int]) -> None:
        """Queue a notification for ``receive``; count each datagram by its outcome."""
        if len(octets) > self._limits.size:
            self.counts["oversized"] += 1
            return
        if not self._is_within_rate(source[0]):
            self.counts["limited"] += 1
            return
        try:
            notification = self.senders.decode(octets, source[0])
            is_v2c_inform = notification.inform and notification.boots is None
            reply = _inform_response(octets) if is_v2c_inform else b""
            digest = "" if notification.boots is None else hashlib.sha256(octets).hexdigest()
            received = ReceivedNotification(
                notification, digest, reply, source[:2], self._transport
            )
            self._queue.put_nowait(received)
        except Malformed:
            self.counts["malformed"] += 1
        except NotAuthentic:
            self.counts["refused"] += 1
        except asyncio.QueueFull:
            self.counts["overflowed"] += 1
        else:
            self.counts["received"] += 1

    def _is_within_rate(self, source: str) -> bool:
        """Return whether a source may send a notification now; those of no element always may."""
        rate = self._limits.rate
        if not rate or not self.senders.is_known(source):
            return True
        now = time.monotonic()
        bucket = self._buckets.setdefault(source, TokenBucket(rate * BURST_SECONDS, now))
        return bucket.take(rate, now, rate * BURST_SECONDS)

    def error_received(self, error: Exception) -> None:  # noqa: ARG002 - asyncio's name
        """Count an ICMP error, which an acknowledgement has caused."""
        self.counts["undelivered"] += 1

    async def receive(self) -> ReceivedNotification:
        """Wait for the next notification and return it."""
        return await self._queue.get()

    async def __aiter__(self) -> AsyncIterator[ReceivedNotification]:
        while True:
            yield await self.receive()


def _inform_response(octets: bytes) -> bytes:
    """Return the response to an inform: the same message with another tag (RFC 3416 4.2.7)."""
    _, _, pdu = message.decode_community_message(octets)
    response = bytearray(octets)
    if isinstance(pdu, Pdu):
        response[pdu.offset] = message.RESPONSE
    return bytes(response)
