"""A client for one SNMP agent, v2c or v3, much faster than pysnmp (decision 0017).

A datagram counts as a response only if it comes from the agent's address, answers a pending
request, and carries the right community or, for v3, a valid authentication code. All others are
dropped.
"""

import asyncio
import secrets
from collections.abc import Container, Sequence
from dataclasses import replace

from adapters.credentials import Secret
from adapters.errors import DamagedAnswer, InvalidAnswer, Misconfigured, Rejected, Unreachable
from adapters.snmp.wire import message, usm, usm_request
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Pdu, Variable
from adapters.snmp.wire.usm import NotAuthentic, User
from adapters.snmp.wire.usm_request import EngineClock

#: RFC 3416 section 3, error-status.
ERROR_STATUS = (
    "noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType",
    "wrongLength", "wrongEncoding", "wrongValue", "noCreation", "inconsistentValue",
    "resourceUnavailable", "commitFailed", "undoFailed", "authorizationError", "notWritable",
    "inconsistentName",
)  # fmt: skip


UNDECODABLE_RESPONSE = "no answer that can be decoded as SNMP"


class CommunitySecurity:
    """SNMP v2c: every message with the right community is accepted."""

    def __init__(self, name: str) -> None:
        self._community = name.encode()

    def encode_request(self, request_id: int, pdu: Pdu) -> bytes:
        """Return the message of a request."""
        return message.encode_community_message(
            message.V2C, self._community, replace(pdu, request_id=request_id)
        )

    def decode_response(self, octets: bytes, pending: Container[int]) -> tuple[int, Pdu]:
        """Return the request id and the PDU of a response.

        Args:
            octets: The message.
            pending: Ids of the requests that wait for a response.

        Raises:
            Malformed: The octets are not a message.
            NotAuthentic: The message does not prove its sender, or answers no pending request.
        """
        _, community, pdu = message.decode_community_message(octets)
        if not isinstance(pdu, Pdu) or community != self._community:
            raise NotAuthentic("another community")
        if pdu.request_id not in pending:
            raise NotAuthentic("no such request")
        return pdu.request_id, pdu

    def decode_malformed(self, octets: bytes) -> int:
        """Return the request id of a response that is malformed behind its head.

        Raises:
            Malformed: The head is malformed too.
            NotAuthentic: The response has another community.
        """
        community, request_id = message.decode_head(octets)
        if community != self._community:
            raise NotAuthentic("another community")
        return request_id


class UserSecurity:
    """SNMP v3: every response proves that its sender has the user's key, and that it is recent."""

    def __init__(self, secret: Secret) -> None:
        self._user = User.from_secret(secret)
        self._engine: EngineClock | None = None

    @property
    def is_discovered(self) -> bool:
        """True if the engine of the agent is known."""
        return self._engine is not None

    def forget_engine(self) -> None:
        """Forget the identity and the clock of the agent, which a restart may have changed."""
        self._engine = None
        self._user.forget_times()

    def encode_request(self, request_id: int, pdu: Pdu) -> bytes:
        """Return the message of a request, or a discovery message if the engine is not known."""
        if self._engine is None:
            return usm_request.encode_discovery(request_id)
        return usm_request.encode_request(
            self._user, self._engine, request_id, replace(pdu, request_id=request_id)
        )

    def decode_response(self, octets: bytes, pending: Container[int]) -> tuple[int, Pdu]:
        """Return the request id and the PDU of a response.

        A report may be unauthenticated: it only says that there is no response.

        Args:
            octets: The message.
            pending: Ids of the requests that wait for a response.

        Raises:
            Malformed: The octets are not a message.
            NotAuthentic: The message does not prove its sender, or answers no pending request.
        """
        header = usm.decode_header(octets)
        if header.message_id not in pending:
            raise NotAuthentic("no such request")
        if header.flags & usm.PRIV_FLAG:
            if not self._is_known_engine(header.engine_id):
                raise NotAuthentic("another engine")
            return header.message_id, usm.authenticate_message(octets, header, self._user)
        pdu = usm.decode_plain_pdu(octets, header)
        if pdu.tag != message.REPORT:
            return header.message_id, usm.authenticate_message(octets, header, self._user)
        if header.flags & usm.AUTH_FLAG:
            # A notInTimeWindow report is authenticated, not encrypted (RFC 3414 section 3.2, 7a).
            usm.authenticate_message(octets, header, self._user.without_privacy())
            self._engine = EngineClock.from_header(header)
        elif not self._is_known_engine(header.engine_id):
            self._engine = EngineClock.from_header(header)
        return header.message_id, pdu

    def _is_known_engine(self, engine_id: bytes) -> bool:
        return self._engine is not None and engine_id == self._engine.engine_id


class Client(asyncio.DatagramProtocol):
    """Requests to one agent, for one event loop; several requests may be pending at once."""

    def __init__(
        self, element: str, endpoint: tuple[str, int], secret: Secret, timeouts: tuple[float, ...]
    ) -> None:
        """Keep the arguments; the socket is not opened yet.

        Args:
            element: Name of the element.
            endpoint: Host and port.
            secret: A community, or a user with at least ``auth_password``.
            timeouts: Seconds to wait for a response after each transmission of a request.

        Raises:
            Misconfigured: The secret is not usable for SNMP.
        """
        self.element = element
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._pending: dict[int, asyncio.Future[Pdu]] = {}
        self._malformed: str = ""  # why the last datagram could not be decoded
        self._transport: asyncio.DatagramTransport | None = None
        try:
            self._security: CommunitySecurity | UserSecurity = (
                CommunitySecurity(secret["community"])
                if "community" in secret
                else UserSecurity(secret)
            )
        except ValueError as error:
            raise Misconfigured(element, f"SNMP credentials are not usable: {error}") from None

    async def open(self) -> None:
        """Open the socket, connected to the agent.

        Raises:
            Unreachable: There is no such host.
        """
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, remote_addr=self._endpoint
            )
        except OSError as error:
            raise Unreachable(self.element, f"no such host: {self._endpoint[0]}") from error

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def request(
        self, tag: int, variables: Sequence[Variable], *, max_repetitions: int = 0
    ) -> tuple[Variable, ...]:
        """Send a request and return the variables of the response.

        Args:
            tag: GET, GET_BULK or SET.
            variables: The variables to read or to set.
            max_repetitions: For GET_BULK: number of successors of each variable to return.

        Raises:
            Rejected: The agent refuses the request, or does not accept the user.
            Unreachable: There is no response in time.
        """
        response = await self._response(Pdu(tag, 0, 0, max_repetitions, tuple(variables)))
        if response.error_status:
            oids = [variable.oid for variable in variables]
            raise error_response(self.element, response.error_status, response.error_index, oids)
        return response.variables

    async def _response(self, pdu: Pdu) -> Pdu:
        if isinstance(self._security, CommunitySecurity):
            return await self._exchange(pdu)
        return await self._exchange_v3(self._security, pdu)

    async def _exchange_v3(self, security: UserSecurity, pdu: Pdu) -> Pdu:
        discovered_now = not security.is_discovered
        for _ in range(2):
            if not security.is_discovered:
                await self._exchange(pdu)  # the report contains the identity of the engine
            try:
                response = await self._exchange(pdu)
            except Unreachable:
                if discovered_now:
                    raise
                discovered_now = True
                security.forget_engine()
                continue
            if response.tag != message.REPORT:
                return response
            oid = response.variables[0].oid if response.variables else ""
            reason = usm_request.REPORT_REASONS.get(oid, oid)
            if reason not in {"notInTimeWindow", "unknownEngineID"}:
                raise unknown_user(self.element, reason)
        raise Unreachable(self.element, "its clock or its identity changes with every answer")

    async def _exchange(self, pdu: Pdu) -> Pdu:
        if self._transport is None:
            raise Misconfigured(self.element, "the adapter is not open")
        request_id = secrets.randbits(31)
        future: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._pending[request_id], self._malformed = future, ""
        octets = self._security.encode_request(request_id, pdu)
        try:
            for timeout in self._timeouts:
                self._transport.sendto(octets)
                await asyncio.wait({future}, timeout=timeout)
                if future.done():
                    return future.result()
        finally:
            del self._pending[request_id]
        if self._malformed:
            raise InvalidAnswer(self.element, f"{UNDECODABLE_RESPONSE}: {self._malformed}")
        raise no_response(self.element, self._endpoint)

    def datagram_received(self, octets: bytes, source: tuple[str, int]) -> None:  # noqa: ARG002
        """Complete the pending request that a response answers; drop any other datagram."""
        try:
            request_id, pdu = self._security.decode_response(octets, self._pending)
        except Malformed as error:
            self._malformed = str(error)
            self._fail_request(octets)
            return
        except NotAuthentic:
            return
        future = self._pending[request_id]
        if pdu.tag in {message.RESPONSE, message.REPORT} and not future.done():
            future.set_result(pdu)

    def _fail_request(self, octets: bytes) -> None:
        """End the request that a malformed response answers, if the response proves its sender."""
        if not isinstance(self._security, CommunitySecurity):
            return
        try:
            request_id = self._security.decode_malformed(octets)
        except (Malformed, NotAuthentic):
            return
        if (future := self._pending.get(request_id)) and not future.done():
            future.set_exception(
                DamagedAnswer(self.element, f"{UNDECODABLE_RESPONSE}: {self._malformed}")
            )

    def error_received(self, error: Exception) -> None:
        """Ignore an ICMP error and keep waiting: the agent may be starting."""


def error_response(element: str, status: int, index: int, oids: Sequence[str]) -> Rejected:
    """Return the error of a response whose error-status is not 0.

    Args:
        element: Name of the element.
        status: The error-status.
        index: The error-index: position of the failed variable, from 1; 0: none.
        oids: Object identifiers of the request.
    """
    path = oids[index - 1] if 0 < index <= len(oids) else ""
    reason = ERROR_STATUS[status] if 0 < status < len(ERROR_STATUS) else f"error {status}"
    text = f"{reason} at {path}" if path else reason
    return Rejected(element, text, path=path, reason=reason)


def unknown_user(element: str, reason: str) -> Rejected:
    """Return the error of an agent that does not accept the user or its password."""
    text = f"it does not accept the SNMP user or its password ({reason})"
    return Rejected(element, text, reason=reason)


def no_response(element: str, endpoint: tuple[str, int]) -> Unreachable:
    """Return the error of an agent that did not respond in time."""
    host, port = endpoint
    text = f"no answer from {host}:{port}; an agent does not answer a wrong community either"
    return Unreachable(element, text)
