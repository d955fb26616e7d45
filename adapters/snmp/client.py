"""Requests to one SNMP agent, v2c or v3, many times faster than pysnmp; see decision 0017.

An answer counts only if it comes from the address that was asked, answers a request that waits,
and has our community or, for v3, a valid authentication code: anything else is as if it had never
come.
"""

import asyncio
import secrets
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Protocol

from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected, Unreachable
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


class SecurityModel(Protocol):
    """How a request is made an own message, and an answer known to be one to it."""

    def encode_request(self, request_id: int, pdu: Pdu) -> bytes:
        """Return the message of a request."""

    def decode_response(self, octets: bytes, pending: Container[int]) -> tuple[int, Pdu]:
        """Return the number of the request that a message answers, and the answer.

        Args:
            octets: The message.
            pending: Numbers of the requests that wait for an answer.

        Raises:
            Malformed: It is not a message.
            Refused: It is not from whom it says, or answers nothing.
        """


class CommunitySecurity:
    """SNMP v2c: whoever knows the community is believed."""

    def __init__(self, name: str) -> None:
        self._community = name.encode()

    def encode_request(self, request_id: int, pdu: Pdu) -> bytes:
        """Return the message of a request."""
        return message.encode_community_message(
            message.V2C, self._community, replace(pdu, request_id=request_id)
        )

    def decode_response(self, octets: bytes, pending: Container[int]) -> tuple[int, Pdu]:
        """Return the number of the request that a message answers, and the answer."""
        _, name, content = message.decode_community_message(octets)
        if not isinstance(content, Pdu) or name != self._community:
            raise NotAuthentic("another community")
        if content.request_id not in pending:
            raise NotAuthentic("not asked for")
        return content.request_id, content


class UserSecurity:
    """SNMP v3: every answer proves that it comes from who has our password, and is fresh."""

    def __init__(self, secret: Secret) -> None:
        self._user = User.from_secret(secret)
        self._engine: EngineClock | None = None

    @property
    def is_discovered(self) -> bool:
        """Whether the agent has told its identity."""
        return self._engine is not None

    def forget_engine(self) -> None:
        """Believe nothing of the agent's clock: it may have lost it in a restart."""
        self._engine = None
        self._user = replace(self._user, _newest_times={})

    def encode_request(self, request_id: int, pdu: Pdu) -> bytes:
        """Return the message of a request, or of the question who the agent is."""
        if self._engine is None:
            return usm_request.encode_discovery(request_id)
        return usm_request.encode_request(
            self._user, self._engine, request_id, replace(pdu, request_id=request_id)
        )

    def decode_response(self, octets: bytes, pending: Container[int]) -> tuple[int, Pdu]:
        """Return the number of the request that a message answers, and the answer.

        A report need not be proved: it tells nothing but that there is no answer.
        """
        found = usm.decode_header(octets)
        if found.message_id not in pending:
            raise NotAuthentic("not asked for")
        if found.flags & usm.PRIV_FLAG:
            if self._engine is None or found.engine_id != self._engine.engine_id:
                raise NotAuthentic("another engine")
            return found.message_id, usm.authenticate_message(octets, found, self._user)
        content = usm.decode_plain_pdu(octets, found)
        if content.tag != message.REPORT:
            return found.message_id, usm.authenticate_message(octets, found, self._user)
        if found.flags & usm.AUTH_FLAG:
            # A report of the time is authentic and not encrypted (RFC 3414 section 3.2, 7a).
            usm.authenticate_message(
                octets, found, replace(self._user, priv_key=None, _localized_keys={})
            )
            self._engine = EngineClock.from_header(found)
        elif self._engine is None or found.engine_id != self._engine.engine_id:
            self._engine = EngineClock.from_header(found)
        return found.message_id, content


class Client(asyncio.DatagramProtocol):
    """Requests to one agent, for one event loop; several may wait for their answers at once."""

    def __init__(
        self, element: str, endpoint: tuple[str, int], secret: Secret, timeouts: tuple[float, ...]
    ) -> None:
        """Keep what is needed; nothing is opened yet.

        Args:
            element: Name of the element.
            endpoint: Host and port.
            secret: With a community, or with a user and at least ``auth_password``.
            timeouts: How long to wait for an answer each time that a request is sent, in seconds.

        Raises:
            Misconfigured: The secret is not one for SNMP.
        """
        self.element = element
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._pending: dict[int, asyncio.Future[Pdu]] = {}
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
        """Open the socket; it hears nobody but the agent.

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
        """Return the variables of an answer.

        Args:
            tag: GET, GET_BULK or SET.
            variables: What is asked for, or set.
            max_repetitions: Of GET_BULK: how many of the next variables of each.

        Raises:
            Rejected: The agent refuses, or does not know our user.
            Unreachable: No answer in time.
        """
        answer = await self._response(Pdu(tag, 0, 0, max_repetitions, tuple(variables)))
        if answer.error_status:
            place, status = answer.error_index, answer.error_status
            path = variables[place - 1].oid if 0 < place <= len(variables) else ""
            reason = ERROR_STATUS[status] if 0 < status < len(ERROR_STATUS) else f"error {status}"
            raise Rejected(self.element, f"{reason} at {path}", path=path, reason=reason)
        return answer.variables

    async def _response(self, pdu: Pdu) -> Pdu:
        if isinstance(self._security, CommunitySecurity):
            return await self._exchange(pdu)
        return await self._exchange_v3(self._security, pdu)

    async def _exchange_v3(self, security: UserSecurity, pdu: Pdu) -> Pdu:
        restarted = not security.is_discovered
        for _ in range(2):
            if not security.is_discovered:
                await self._exchange(pdu)  # the report tells the agent's identity
            try:
                answer = await self._exchange(pdu)
            except Unreachable:
                if restarted:
                    raise
                restarted = True
                security.forget_engine()
                continue
            if answer.tag != message.REPORT:
                return answer
            oid = answer.variables[0].oid if answer.variables else ""
            reason = usm_request.REPORT_REASONS.get(oid, oid)
            if reason not in {"notInTimeWindow", "unknownEngineID"}:
                text = f"it does not know our SNMP user, or not by this password ({reason})"
                raise Rejected(self.element, text, reason=reason)
        raise Unreachable(self.element, "its clock or its identity changes with every answer")

    async def _exchange(self, pdu: Pdu) -> Pdu:
        if self._transport is None:
            raise Misconfigured(self.element, "the adapter is not open")
        number = secrets.randbits(31)
        future: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        octets = self._security.encode_request(number, pdu)
        try:
            for wait in self._timeouts:
                self._transport.sendto(octets)
                await asyncio.wait({future}, timeout=wait)
                if future.done():
                    return future.result()
        finally:
            del self._pending[number]
        host, port = self._endpoint
        text = f"no answer from {host}:{port}; an agent is also silent on a wrong community"
        raise Unreachable(self.element, text)

    def datagram_received(self, octets: bytes, source: tuple[str, int]) -> None:  # noqa: ARG002
        """Give an answer to who waits for it; anything else is dropped."""
        try:
            number, content = self._security.decode_response(octets, self._pending)
        except (Malformed, NotAuthentic):
            return
        future = self._pending[number]
        if content.tag in {message.RESPONSE, message.REPORT} and not future.done():
            future.set_result(content)

    def error_received(self, error: Exception) -> None:
        """Go on waiting: nobody listens there now, perhaps because the agent starts."""
