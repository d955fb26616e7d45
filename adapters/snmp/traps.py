"""A receiver for notifications of SNMP elements: v1 traps, and traps and informs of v2c and v3.

A notification is accepted only if its source address belongs to an element and its community or
user is that of the element's credentials. Other datagrams are counted, logged once and dropped.
"""

import asyncio
import hashlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from types import TracebackType
from typing import Self

from adapters.errors import Misconfigured
from adapters.snmp import local_engine, mib, origin
from adapters.snmp.local_engine import LocalEngine, Reportable
from adapters.snmp.refusals import RefusalLog
from adapters.snmp.wire import message, usm
from adapters.snmp.wire.ber import Malformed, Value
from adapters.snmp.wire.message import Pdu, TrapV1
from adapters.snmp.wire.usm import EngineTime, EngineTimes, NotAuthentic, User, V3Header
from adapters.snmp.wire.usm_request import REPORTABLE_FLAG

RECEIVE_BUFFER = 4_194_304  # octets; the kernel may grant less
CENTISECONDS = 100
ANY_IPV6_ADDRESS = "::"
#: Host and port, for IPv6 with flow and scope.
_SocketAddress = tuple[str, int] | tuple[str, int, int, int]
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
        boots: Number of starts of the element; None for v1, v2c and informs, which do not report
            it.
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
    _reply: Callable[[], bytes] | None = field(default=None, repr=False)
    _source: _SocketAddress = ("", 0)
    _transport: asyncio.DatagramTransport | None = field(default=None, repr=False)

    def acknowledge(self) -> None:
        """Answer an inform, which the element repeats otherwise; do nothing for a trap."""
        if self._reply and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(self._reply(), self._source)


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
    """A limit of the number in a second, which permits bursts.

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


@dataclass(frozen=True, slots=True)
class _Message:
    """A notification in a datagram, and how to acknowledge it."""

    notification: Notification
    is_v3: bool = False
    reply: Callable[[], bytes] | None = None


class SenderRegistry:
    """The elements that may send notifications, with their addresses and credentials.

    Attributes:
        local_engine: The engine that v3 informs are sent to; None: it is not known yet.
    """

    def __init__(self, relays: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        """Create an empty registry.

        Args:
            relays: Networks of senders that may name another address as that of the element.
        """
        self.local_engine: LocalEngine | None = None
        self._relays = tuple(relays)
        self._senders_by_address: dict[str, dict[str, NotificationSender]] = {}
        self._senders_by_further_address: dict[str, dict[str, NotificationSender]] = {}
        self._times: dict[str, EngineTimes] = {}

    def register(
        self,
        element: str,
        address: str,
        secret: Mapping[str, str],
        further_addresses: Iterable[str] = (),
    ) -> None:
        """Accept notifications of an element from its addresses, instead of any former ones.

        Args:
            element: Key of the element.
            address: The address at which it is managed.
            secret: Its credentials.
            further_addresses: Other addresses from which it sends.

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
        address = origin.normalized_address(address)
        self._senders_by_address.setdefault(address, {})[element] = sender
        for further in map(origin.normalized_address, further_addresses):
            self._senders_by_further_address.setdefault(further, {})[element] = sender

    def unregister(self, element: str) -> None:
        """Accept no more notifications of an element."""
        for table in (self._senders_by_address, self._senders_by_further_address):
            for senders in table.values():
                senders.pop(element, None)

    def is_known(self, address: str) -> bool:
        """Return whether an address is that of an element or of a relay."""
        return bool(self._senders_at(address)) or self._is_relay(address)

    def _senders_at(self, address: str) -> list[NotificationSender]:
        """Return the elements with an address, first those that are managed there."""
        tables = (self._senders_by_address, self._senders_by_further_address)
        return [sender for table in tables for sender in table.get(address, {}).values()]

    def _is_relay(self, address: str) -> bool:
        if not self._relays:
            return False
        source = ip_address(address)
        return any(source in network for network in self._relays)

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
        return self.open(octets, source).notification

    def open(self, octets: bytes, source: str) -> _Message:
        """Return the notification in a datagram, and how to acknowledge it; see ``decode``."""
        source = origin.normalized_address(source)
        if not self.is_known(source):
            raise NotAuthentic("not from an element")
        version, _, _ = message.decode_version(octets)
        if version == message.V3:
            return self._open_v3(octets, source)
        _, community, pdu = message.decode_community_message(octets)
        source, communities = self._origin(pdu, source, community)
        for sender in self._senders_at(source):
            if sender.community and sender.community in communities:
                notification = _notification(pdu, sender.element, source, community, None)
                reply = partial(_inform_response, octets) if notification.inform else None
                return _Message(notification, reply=reply)
        raise NotAuthentic("wrong community")

    def _origin(self, pdu: Pdu | TrapV1, source: str, community: bytes) -> tuple[str, set[bytes]]:
        """Return the address that a notification is from, and the communities that it proves."""
        named = origin.named_address(pdu) if self._is_relay(source) else ""
        if named and self._senders_at(named):
            return named, origin.communities(pdu, community)
        if named and not self._senders_at(source):
            raise NotAuthentic("its relay names an address of no element")
        return source, {community}

    def _open_v3(self, octets: bytes, source: str) -> _Message:
        header = usm.decode_header(octets)
        sender = next(
            (
                sender
                for sender in self._senders_at(source)
                if sender.user is not None and sender.user.name == header.user_name
            ),
            None,
        )
        engine = self.local_engine
        if engine is not None and header.engine_id == engine.engine_id:
            return self._open_inform(engine, octets, header, sender, source)
        if engine is not None and header.flags & REPORTABLE_FLAG and not header.engine_id:
            raise engine.refusal(
                "unknown engine", local_engine.UNKNOWN_ENGINE, octets, header, is_discovery=True
            )
        if sender is None or sender.user is None:
            raise NotAuthentic("unknown user")
        pdu = usm.authenticate_message(octets, header, sender.user)
        if engine is not None and pdu.tag == message.INFORM:  # meant for another receiver
            raise engine.refusal("unknown engine", local_engine.UNKNOWN_ENGINE, octets, header)
        boots, name = header.boots, header.user_name
        return _Message(_notification(pdu, sender.element, source, name, boots), is_v3=True)

    @staticmethod
    def _open_inform(
        engine: LocalEngine,
        octets: bytes,
        header: V3Header,
        sender: NotificationSender | None,
        source: str,
    ) -> _Message:
        user = None if sender is None else sender.user
        inform = engine.open(octets, header, user)
        assert sender is not None  # noqa: S101 - the engine refuses messages of no user
        assert user is not None  # noqa: S101
        notification = _notification(inform.pdu, sender.element, source, header.user_name, None)
        reply = partial(engine.response, user, header, inform) if notification.inform else None
        return _Message(notification, is_v3=True, reply=reply)


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
            of datagrams; "discovered" -> number of requests for the engine of informs;
            "undelivered" -> number of acknowledgements that the network reported as undelivered.
        reasons: The same numbers by outcome and reason; the reason may be empty.
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
        self.reasons: Counter[tuple[str, str]] = Counter()
        self._queue: asyncio.Queue[ReceivedNotification] = asyncio.Queue(queue_size)
        self._limits = limits
        self._refusal_log = RefusalLog()
        self._buckets: dict[str, TokenBucket] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self.address[0] == ANY_IPV6_ADDRESS:
            endpoint = loop.create_datagram_endpoint(
                lambda: self, sock=_socket_of_both_families(self.address)
            )
        else:
            endpoint = loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
        self._transport, _ = await endpoint
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

    def datagram_received(self, octets: bytes, source: _SocketAddress) -> None:
        """Queue a notification for ``receive``; count each datagram by its outcome."""
        host = origin.normalized_address(source[0])
        if len(octets) > self._limits.size:
            self._drop(host, "oversized", "larger than TMF_TRAP_BYTES")
        elif not self._is_within_rate(host):
            self._drop(host, "limited", "more often than TMF_TRAP_RATE")
        else:
            self._open(octets, host, source)

    def _open(self, octets: bytes, host: str, source: _SocketAddress) -> None:
        try:
            opened = self.senders.open(octets, host)
            digest = hashlib.sha256(octets).hexdigest() if opened.is_v3 else ""
            received = ReceivedNotification(
                opened.notification, digest, opened.reply, source, self._transport
            )
            self._queue.put_nowait(received)
        except Malformed as error:
            self._drop(host, "malformed", "not an SNMP notification", str(error))
        except Reportable as error:
            if self._transport is not None:
                self._transport.sendto(error.report, source)
            if error.is_discovery:
                self._count("discovered", "")
            else:
                self._drop(host, "refused", str(error))
        except NotAuthentic as error:
            self._drop(host, "refused", str(error))
        except asyncio.QueueFull:
            self._drop(host, "overflowed", "more than can be stored")
        else:
            self._count("received", "")

    def _drop(self, host: str, outcome: str, reason: str, detail: str = "") -> None:
        self._count(outcome, reason)
        self._refusal_log.add(host, outcome, reason, detail)

    def _count(self, outcome: str, reason: str) -> None:
        self.counts[outcome] += 1
        self.reasons[outcome, reason] += 1

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
        self._count("undelivered", "")

    async def receive(self) -> ReceivedNotification:
        """Wait for the next notification and return it."""
        return await self._queue.get()

    async def __aiter__(self) -> AsyncIterator[ReceivedNotification]:
        while True:
            yield await self.receive()


def _socket_of_both_families(address: tuple[str, int]) -> socket.socket:
    """Return a socket that IPv4 and IPv6 datagrams reach."""
    udp_socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        udp_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp_socket.setblocking(False)  # noqa: FBT003 - no keyword
        udp_socket.bind(address)
    except OSError:
        udp_socket.close()
        raise
    return udp_socket


def _inform_response(octets: bytes) -> bytes:
    """Return the response to an inform: the same message with another tag (RFC 3416 4.2.7)."""
    _, _, pdu = message.decode_community_message(octets)
    response = bytearray(octets)
    if isinstance(pdu, Pdu):
        response[pdu.offset] = message.RESPONSE
    return bytes(response)
