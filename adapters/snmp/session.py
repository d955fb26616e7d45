"""Requests to one SNMP agent, v2c or v3; only this module and ``auth_data`` import pysnmp.

Requests go through ``client``, except those of v3 users without an authentication password, which
pysnmp handles. Values are plain Python: int for numbers, bytes for octet strings, str for object
identifiers and IP addresses, None where there is no such instance.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from pyasn1.type import univ
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    Udp6TransportTarget,
    UdpTransportTarget,
    bulk_cmd,
    get_cmd,
    set_cmd,
)
from pysnmp.proto import errind
from pysnmp.proto.rfc1902 import Gauge32, Integer32, IpAddress, OctetString
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from adapters.credentials import Secret
from adapters.errors import DamagedAnswer, Misconfigured, Rejected, Unreachable
from adapters.snmp import mib
from adapters.snmp.auth_data import auth_data
from adapters.snmp.client import Client, error_response, no_response, unknown_user
from adapters.snmp.walk import MALFORMED, TAG_NAMES, TOO_LARGE, Column, Walker, raise_error
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Value, as_int
from adapters.snmp.wire.message import Variable

Command = Callable[..., Awaitable[tuple[Any, Any, Any, Any]]]

#: Syntax of an attribute -> tag on the wire and class of pysnmp.
SYNTAX_ENCODINGS = {
    "gauge": (ber.GAUGE32, Gauge32),
    "integer": (ber.INTEGER, Integer32),
    "truth": (ber.INTEGER, Integer32),
    "octets": (ber.OCTETS, OctetString),
}

#: pysnmp's indications that the agent does not accept the credentials (RFC 3414 section 3.2).
BAD_CREDENTIALS = (
    errind.UnknownUserName,
    errind.UnknownSecurityName,
    errind.WrongDigest,
    errind.AuthenticationError,
    errind.AuthenticationFailure,
    errind.DecryptionError,
    errind.UnsupportedSecurityLevel,
)
#: Variables per request; with the longest names and values they still fit in one datagram.
VARIABLES_PER_REQUEST = 20
#: Time after a start in which an element may refuse what it does later, in seconds.
START_TIME = 120
#: error-status with which agents answer while they start.
START_ERRORS = frozenset({"genErr", "resourceUnavailable"})
#: The error by which version 1 says that there is no such instance; agents of v2c send it too.
MISSING_INSTANCE = frozenset({"noSuchName"})
#: Errors of a request that one of its variables causes; the others can be read without it.
VARIABLE_ERRORS = MISSING_INSTANCE | TOO_LARGE | {"genErr", "noAccess"}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeout and retries of a request.

    Attributes:
        timeout: Maximum time to wait for one response, in seconds.
        retries: Number of times that a request without a response is sent again.
    """

    timeout: float = 1.0
    retries: int = 2

    @property
    def total_timeout(self) -> float:
        """Time after which a request fails even if pysnmp still waits, in seconds."""
        return (self.timeout + 1) * (self.retries + 1) + 1


class Session:
    """Requests to one agent; an asynchronous context manager, for one event loop."""

    def __init__(
        self, element: str, endpoint: tuple[str, int], secret: Secret, retry_policy: RetryPolicy
    ) -> None:
        self.element = element
        self.endpoint = endpoint
        self._auth_data = auth_data(secret, element)
        self._retry_policy = retry_policy
        self._client: Client | None = None
        if "community" in secret or "auth_password" in secret:
            timeouts = (retry_policy.timeout,) * (retry_policy.retries + 1)
            self._client = Client(element, endpoint, secret, timeouts)
        self._engine: Any = None
        self._target: Any = None
        self._is_open = False
        self._is_v3, self._has_answered = "community" not in secret, False
        #: The greatest object identifier that a walk has seen, as arcs.
        self.greatest_oid: tuple[int, ...] = ()

    async def __aenter__(self) -> Self:
        if self._client is not None:
            await self._client.open()
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if self._client is not None:
            self._client.close()
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = self._target = None
        await asyncio.sleep(0)  # asyncio closes the sockets in its next iteration

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """Return the values of instances; None for an instance that does not exist.

        Raises:
            Rejected: The agent refuses to return one of them for another reason.
            Unreachable: There is no response, or none that can be decoded.
        """
        async with self.translate_start():
            values, _ = await self._get(oids, MISSING_INSTANCE)
        return values

    async def get_each(self, oids: Sequence[str]) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the values of instances, and the reasons where there is none.

        Raises:
            Rejected: The agent refuses the request as a whole.
            Unreachable: There is no response, or none that can be decoded.
        """
        return await self._get(oids, VARIABLE_ERRORS)

    async def _get(
        self, oids: Sequence[str], tolerated: frozenset[str]
    ) -> tuple[dict[str, Value], dict[str, str]]:
        values: dict[str, Value] = dict.fromkeys(oids)
        reasons = dict.fromkeys(oids, TAG_NAMES[ber.NO_SUCH_INSTANCE])
        remaining, size, answered = list(oids), VARIABLES_PER_REQUEST, False
        while batch := remaining[:size]:
            try:
                response = await self._read_once(message.GET, batch, 0)
            except (Rejected, DamagedAnswer) as error:
                reason = error.reason if isinstance(error, Rejected) else MALFORMED
                if reason in TOO_LARGE and len(batch) > 1:
                    size = len(batch) // 2
                    continue
                refused = batch[0] if len(batch) == 1 else getattr(error, "path", "")
                is_last = remaining == [refused] and not answered and reason != "noSuchName"
                if reason not in tolerated or refused not in batch or is_last:
                    raise
                reasons[refused] = reason
                remaining.remove(refused)
                continue
            answered = True
            for variable in response:
                if variable.oid in values:
                    values[variable.oid] = variable.value
                    reasons[variable.oid] = TAG_NAMES.get(variable.tag, "no value")
            remaining = remaining[size:]
        return values, {oid: reason for oid, reason in reasons.items() if values[oid] is None}

    async def set(self, oid: str, syntax: str, value: int | bytes) -> None:
        """Set one variable; a request that sets several is not atomic on every agent."""
        tag, pysnmp_type = SYNTAX_ENCODINGS[syntax]
        async with self.translate_start():
            if self._client is not None:
                await self._client.request(message.SET, [Variable(oid, tag, value)])
            else:
                await self._request(set_cmd, [ObjectType(ObjectIdentity(oid), pysnmp_type(value))])

    @asynccontextmanager
    async def translate_start(self) -> AsyncIterator[None]:
        """Raise ``Unreachable`` for a refusal with which agents answer while they start."""
        try:
            yield
        except Rejected as error:
            if error.reason in START_ERRORS and (uptime := await self.starting_uptime()):
                raise Unreachable(self.element, f"{error.message}: {uptime}") from error
            raise

    async def starting_uptime(self) -> str:
        """Return since when the element is starting, for people; empty: it has started.

        Raises:
            Unreachable: The element does not answer.
        """
        try:
            values, _ = await self._get([mib.SYS_UP_TIME], MISSING_INSTANCE)
            uptime = values[mib.SYS_UP_TIME]
        except Rejected:
            uptime = None
        if uptime is None:
            return "it is starting"
        seconds = as_int(uptime) // 100
        return f"it started {seconds} s ago" if seconds < START_TIME else ""

    async def walk(self, columns: Sequence[str]) -> dict[str, Column]:
        """Return whole columns as far as they can be read.

        Raises:
            Unreachable: There is no response.
        """
        walker = Walker(self.element, self._read_bulk, columns)
        walked = await walker.run()
        self.greatest_oid = max(self.greatest_oid, walker.greatest_oid)
        return walked

    async def table(self, columns: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Return whole columns: column -> instance -> value.

        Raises:
            Rejected: A column cannot be read to its end; if it does not end, the reason is "loop".
            Unreachable: There is no response, or none that can be decoded.
        """
        walked = await self.walk(columns)
        raise_error(*walked.values())
        return {oid: column.cells for oid, column in walked.items()}

    async def _read_bulk(self, oids: Sequence[str], repetitions: int) -> Sequence[Variable]:
        return await self._read_once(message.GET_BULK, oids, repetitions)

    async def _read_once(
        self, tag: int, oids: Sequence[str], repetitions: int
    ) -> Sequence[Variable]:
        if self._client is not None:
            return await self._client.request(
                tag, [Variable(oid) for oid in oids], max_repetitions=repetitions
            )
        object_types = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        if tag == message.GET_BULK:
            response = await self._request(bulk_cmd, object_types, (0, repetitions))
        else:
            response = await self._request(get_cmd, object_types)
        return [Variable(str(oid), _tag(value), _python_value(value)) for oid, value in response]

    async def _request(
        self, command: Command, variables: Sequence[Any], repetitions: tuple[int, ...] = ()
    ) -> list[Any]:
        if not self._is_open:
            raise Misconfigured(self.element, "the adapter is not open")
        if self._engine is None:
            self._engine, self._target = SnmpEngine(), await self._create_transport()
        indication, status, index, response = await self._run_command(
            command, variables, repetitions
        )
        if indication and self._is_v3 and self._has_answered:
            # pysnmp 7.1 does not recover when a v3 agent restarts; a new engine does.
            self._engine.close_dispatcher()
            self._engine, self._has_answered = SnmpEngine(), False
            indication, status, index, response = await self._run_command(
                command, variables, repetitions
            )
        if indication:
            raise self._failure(indication)
        self._has_answered = True
        if status:
            oids = [str(variable[0]) for variable in variables]
            raise error_response(self.element, int(status), int(index), oids)
        return list(response)

    async def _create_transport(self) -> object:
        transport_type = Udp6TransportTarget if ":" in self.endpoint[0] else UdpTransportTarget
        try:
            return await transport_type.create(
                self.endpoint, self._retry_policy.timeout, self._retry_policy.retries
            )
        except (PySnmpError, OSError) as error:
            raise Unreachable(self.element, f"no such host: {self.endpoint[0]}") from error

    async def _run_command(
        self, command: Command, variables: Sequence[Any], repetitions: tuple[int, ...]
    ) -> tuple[Any, Any, Any, Any]:
        common = (self._engine, self._auth_data, self._target, ContextData())
        try:
            async with asyncio.timeout(self._retry_policy.total_timeout):
                return await command(*common, *repetitions, *variables, lookupMib=False)
        except (TimeoutError, PySnmpError, OSError) as error:
            raise Unreachable(self.element, f"no usable answer: {error!r}") from error

    def _failure(self, indication: object) -> Rejected | Unreachable:
        if isinstance(indication, BAD_CREDENTIALS):
            return unknown_user(self.element, type(indication).__name__)
        if isinstance(indication, errind.RequestTimedOut):
            return no_response(self.element, self.endpoint)
        host, port = self.endpoint
        return Unreachable(self.element, f"no usable answer from {host}:{port}: {indication}")


def _tag(value: object) -> int:
    """Return the tag of a value that pysnmp has decoded, where there is no value."""
    if isinstance(value, EndOfMibView):
        return ber.END_OF_MIB
    if isinstance(value, NoSuchInstance | NoSuchObject):
        return ber.NO_SUCH_INSTANCE
    return ber.NULL


def _python_value(value: object) -> Value:
    if isinstance(value, univ.Null):  # noSuchInstance etc., which pyasn1 also makes octet strings
        return None
    if isinstance(value, IpAddress):
        return str(value.prettyPrint())
    if isinstance(value, univ.Integer):
        return int(value)
    if isinstance(value, univ.OctetString):
        return bytes(value)
    return str(value) if isinstance(value, univ.ObjectIdentifier) else None
