"""Requests to one SNMP agent, v2c or v3; the only module that knows pysnmp.

Requests go through ``client``, but for v3 users without a password: those are pysnmp's. Values
come as plain Python: numbers, octets, object identifiers and addresses as text, None for "no such".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from adapters.snmp.auth_data import auth_data
from adapters.snmp.client import ERROR_STATUS, Client
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Value
from adapters.snmp.wire.message import Variable

Command = Callable[..., Awaitable[tuple[Any, Any, Any, Any]]]

SYNTAX_ENCODINGS = {
    "gauge": (ber.GAUGE32, Gauge32),
    "integer": (ber.INTEGER, Integer32),
    "truth": (ber.INTEGER, Integer32),
    "octets": (ber.OCTETS, OctetString),
}

#: What an agent says when our credentials are not the ones it knows (RFC 3414 section 3.2).
BAD_CREDENTIALS = (
    errind.UnknownUserName,
    errind.UnknownSecurityName,
    errind.WrongDigest,
    errind.AuthenticationError,
    errind.AuthenticationFailure,
    errind.DecryptionError,
    errind.UnsupportedSecurityLevel,
)
#: Variables in one request; with the longest names and values it fits in one datagram.
VARIABLES_PER_REQUEST = 20
MAX_REPETITIONS = 10
#: Most rows of one table, and most arcs of a name (RFC 2578 section 3.5): a walk that goes beyond
#: is an element that runs in circles.
ROWS_LIMIT, ARCS_LIMIT = 20_000, 128


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait for an agent.

    Attributes:
        timeout: Longest wait for one answer, in seconds.
        retries: How often a request without an answer is sent again.
    """

    timeout: float = 1.0
    retries: int = 2

    @property
    def total_timeout(self) -> float:
        """After this many seconds a request has failed, whatever the library does."""
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
            waits = (retry_policy.timeout,) * (retry_policy.retries + 1)
            self._client = Client(element, endpoint, secret, waits)
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
        await asyncio.sleep(0)  # asyncio closes the sockets in its next round

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """Return the values of some instances; None for one that is not there."""
        found: dict[str, Value] = {}
        for at in range(0, len(oids), VARIABLES_PER_REQUEST):
            asked = oids[at : at + VARIABLES_PER_REQUEST]
            answer = dict(await self._read(message.GET, asked))
            found.update((oid, answer.get(oid)) for oid in asked)
        return found

    async def set(self, oid: str, syntax: str, value: int | bytes) -> None:
        """Set one variable: several in one request are not one change on every agent."""
        tag, kind = SYNTAX_ENCODINGS[syntax]
        if self._client is not None:
            await self._client.request(message.SET, [Variable(oid, tag, value)])
        else:
            await self._request(set_cmd, [ObjectType(ObjectIdentity(oid), kind(value))])

    async def table(self, columns: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Return whole columns: column -> instance -> value."""
        found: dict[str, dict[str, Value]] = {column: {} for column in columns}
        last = {column: column for column in columns}
        while last:
            names, before = list(last), dict(last)
            answer = await self._read(message.GET_BULK, list(last.values()))
            for place, (oid, value) in enumerate(answer):
                self._add_row(names[place % len(names)], oid, value, last, found)
            self._check_progress(before, last, found)
        return found

    async def first_rows(self, column: str) -> dict[str, Value]:
        """Return the first rows of a column: instance -> value."""
        answer = await self._read(message.GET_BULK, [column])
        rows = ((oid[len(column) + 1 :], value) for oid, value in answer)
        inside = [oid.startswith(f"{column}.") for oid, _ in answer]
        return {
            instance: value
            for (instance, value), own in zip(rows, inside, strict=True)
            if own and value is not None
        }

    async def _read(self, tag: int, oids: Sequence[str]) -> list[tuple[str, Value]]:
        if self._client is not None:
            rows = MAX_REPETITIONS if tag == message.GET_BULK else 0
            answer = await self._client.request(
                tag, [Variable(oid) for oid in oids], max_repetitions=rows
            )
            return [(one.oid, one.value) for one in answer]
        variables = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        if tag == message.GET_BULK:
            found = await self._request(bulk_cmd, variables, (0, MAX_REPETITIONS))
        else:
            found = await self._request(get_cmd, variables)
        return [(str(oid), _python_value(value)) for oid, value in found]

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
            arcs = _arcs(oid)
            endless = len(arcs) > ARCS_LIMIT or len(rows[column]) > ROWS_LIMIT
            if endless or arcs <= _arcs(before[column]):
                raise Rejected(self.element, "its table does not end", path=column, reason="loop")

    async def _request(
        self, command: Command, variables: Sequence[Any], repetitions: tuple[int, ...] = ()
    ) -> list[Any]:
        if not self._is_open:
            raise Misconfigured(self.element, "the adapter is not open")
        if self._engine is None:
            self._engine, self._target = SnmpEngine(), await self._create_transport()
        indication, status, index, answer = await self._run_command(command, variables, repetitions)
        if indication and self._is_v3 and self._has_answered:
            # pysnmp 7.1 does not find back to a v3 agent that has restarted; a new engine does.
            self._engine.close_dispatcher()
            self._engine, self._has_answered = SnmpEngine(), False
            indication, status, index, answer = await self._run_command(
                command, variables, repetitions
            )
        if indication:
            raise self._failure(indication)
        self._has_answered = True
        if status:
            place = int(index)
            path = str(variables[place - 1][0]) if 0 < place <= len(variables) else ""
            number = int(status)
            reason = ERROR_STATUS[number] if number < len(ERROR_STATUS) else f"error {number}"
            raise Rejected(self.element, f"{reason} at {path}", path=path, reason=reason)
        return list(answer)

    async def _create_transport(self) -> object:
        kind = Udp6TransportTarget if ":" in self.endpoint[0] else UdpTransportTarget
        try:
            return await kind.create(
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
            reason = type(indication).__name__
            text = f"it does not know our SNMP user, or not by this password ({reason})"
            return Rejected(self.element, text, reason=reason)
        host, port = self.endpoint
        if isinstance(indication, errind.RequestTimedOut):
            text = f"no answer from {host}:{port}; an agent is also silent on a wrong community"
            return Unreachable(self.element, text)
        return Unreachable(self.element, f"no usable answer from {host}:{port}: {indication}")


def _arcs(oid: str) -> tuple[int, ...]:
    return tuple(map(int, oid.split(".")))


def _python_value(value: object) -> Value:
    if isinstance(value, univ.Null):  # noSuchInstance and its like; pyasn1 makes them octets too
        return None
    if isinstance(value, IpAddress):
        return str(value.prettyPrint())
    if isinstance(value, univ.Integer):
        return int(value)
    if isinstance(value, univ.OctetString):
        return bytes(value)
    return str(value) if isinstance(value, univ.ObjectIdentifier) else None
