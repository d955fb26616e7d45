"""Requests to one SNMP agent, v2c or v3; only this module and ``auth_data`` import pysnmp.

Requests go through ``client``, except those of v3 users without an authentication password, which
pysnmp handles. Values are plain Python: int for numbers, bytes for octet strings, str for object
identifiers and IP addresses, None where there is no such instance.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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

from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected, Unreachable
from adapters.snmp import mib
from adapters.snmp.auth_data import auth_data
from adapters.snmp.client import Client, error_response, no_response, unknown_user
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import ARCS_LIMIT, Value, as_int, split_object_id
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
MAX_REPETITIONS = 10
#: Time after a start in which an element may refuse what it does later, in seconds.
START_TIME = 120
#: error-status with which agents answer while they start.
START_ERRORS = frozenset({"genErr", "resourceUnavailable"})
#: Maximum number of rows of one table. A longer walk means that the agent loops.
ROWS_LIMIT = 20_000


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
        """Return the values of instances; None for an instance that does not exist."""
        values: dict[str, Value] = {}
        async with self.translate_start():
            for start in range(0, len(oids), VARIABLES_PER_REQUEST):
                batch = oids[start : start + VARIABLES_PER_REQUEST]
                response = dict(await self._read(message.GET, batch))
                values.update((oid, response.get(oid)) for oid in batch)
        return values

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
            ((_, uptime),) = await self._read(message.GET, [mib.SYS_UP_TIME])
        except Rejected:
            uptime = None
        if uptime is None:
            return "it is starting"
        seconds = as_int(uptime) // 100
        return f"it started {seconds} s ago" if seconds < START_TIME else ""

    async def table(self, columns: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Return whole columns: column -> instance -> value.

        Raises:
            Rejected: The table does not end; the reason is "loop".
        """
        rows: dict[str, dict[str, Value]] = {column: {} for column in columns}
        last = {column: column for column in columns}
        while last:
            names, before = list(last), dict(last)
            response = await self._read(message.GET_BULK, list(last.values()))
            for position, (oid, value) in enumerate(response):
                self._add_row(names[position % len(names)], oid, value, last, rows)
            self._check_progress(before, last, rows)
        return rows

    async def first_rows(self, column: str) -> dict[str, Value]:
        """Return the first rows of a column: instance -> value."""
        prefix = f"{column}."
        return {
            oid.removeprefix(prefix): value
            for oid, value in await self._read(message.GET_BULK, [column])
            if oid.startswith(prefix) and value is not None
        }

    async def _read(self, tag: int, oids: Sequence[str]) -> list[tuple[str, Value]]:
        if self._client is not None:
            repetitions = MAX_REPETITIONS if tag == message.GET_BULK else 0
            variables = await self._client.request(
                tag, [Variable(oid) for oid in oids], max_repetitions=repetitions
            )
            return [(variable.oid, variable.value) for variable in variables]
        object_types = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        if tag == message.GET_BULK:
            response = await self._request(bulk_cmd, object_types, (0, MAX_REPETITIONS))
        else:
            response = await self._request(get_cmd, object_types)
        return [(str(oid), _python_value(value)) for oid, value in response]

    @staticmethod
    def _add_row(
        column: str,
        oid: str,
        value: Value,
        last: dict[str, str],
        rows: Mapping[str, dict[str, Value]],
    ) -> None:
        if column not in last:
            return
        if value is None or not oid.startswith(f"{column}."):
            del last[column]
        else:
            last[column] = oid
            rows[column][oid[len(column) + 1 :]] = value

    def _check_progress(
        self,
        before: Mapping[str, str],
        after: Mapping[str, str],
        rows: Mapping[str, Mapping[str, Value]],
    ) -> None:
        for column, oid in after.items():
            arcs = split_object_id(oid)
            too_long = len(arcs) > ARCS_LIMIT or len(rows[column]) > ROWS_LIMIT
            if too_long or arcs <= split_object_id(before[column]):
                raise Rejected(self.element, "its table does not end", path=column, reason="loop")

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
