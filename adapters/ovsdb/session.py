"""The database of one switch: read at once, changed in one transaction."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from adapters.credentials import Secret
from adapters.errors import Conflict, Misconfigured, Rejected, Unreachable
from adapters.ovsdb import projections
from adapters.ovsdb.jsonrpc import Connection, ConnectionFailed, OperationFailed
from adapters.ovsdb.operations import Operation
from adapters.ovsdb.rows import COLUMNS, SwitchSnapshot
from adapters.values import Target

OVSDB_PORT = 6640  # IANA, "ovsdb"
#: Another has changed what a transaction rests on, or holds it (RFC 7047, section 5.1).
CONFLICT_REASONS = frozenset({"timed out", "aborted", "not owner"})
#: Pause between two looks whether the switch has taken over a change, in seconds.
POLL_INTERVAL = 0.005


class Session:
    """One switch's database.

    Attributes:
        endpoint: Host and port.

    Raises:
        ValueError: An option or the address is not usable.
        OSError: A file of the credentials is not.
    """

    def __init__(self, target: Target, secret: Secret) -> None:
        self._name = target.name
        self._timeout = float(target.options.get("timeout", 3))
        self.endpoint = target.endpoint(OVSDB_PORT)
        self._tls_context = _create_tls_context(target, secret)
        self._connection = self._new_connection()

    def _new_connection(self) -> Connection:
        return Connection(self.endpoint, self._timeout, self._tls_context)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectionFailed as error:
            raise Unreachable(self._name, str(error)) from error
        except OperationFailed as error:
            if error.reason in CONFLICT_REASONS:
                message = f"somebody else was faster: {error}"
                raise Conflict(self._name, message) from error
            raise Rejected(self._name, str(error), reason=error.reason) from error

    async def read(self) -> SwitchSnapshot:
        """Return everything that is read of a switch, as it was at one moment."""
        with self._translate_errors():
            await self._connection.open()
            try:
                return await _read_switch(self._connection)
            except ConnectionFailed:
                await self._connection.open()  # the server may have been restarted in between
                return await _read_switch(self._connection)

    async def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations or none, and wait until the switch has taken them over.

        Raises:
            Conflict: Something is not as it was read.
            Rejected: The database refuses one.
            Unreachable: No answer, or the switch itself is at a standstill.
        """
        with self._translate_errors():
            await self._connection.open()
            await self._connection.transact(*operations)
        if not await self.wait_until_applied():
            message = f"the switch does not take its configuration over within {self._timeout} s"
            raise Unreachable(self._name, message)

    async def wait_until_applied(self) -> bool:
        """Return whether the switch takes over what the database says, in the time it has."""
        end = asyncio.get_running_loop().time() + self._timeout
        columns = ["cur_cfg", "next_cfg"]
        look = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": columns}
        while True:
            with self._translate_errors():
                await self._connection.open()
                (found,) = await self._connection.transact(look)
                if _is_applied(found):
                    return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(POLL_INTERVAL)

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator["SwitchMonitor"]:
        """Watch the switch's ports on a connection of its own.

        Raises:
            Unreachable: The connection is gone.
        """
        with self._translate_errors():
            async with self._new_connection() as connection:
                yield SwitchMonitor(connection)


class SwitchMonitor:
    """Sees a switch again whenever something about its ports has changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def snapshots(self) -> AsyncGenerator[SwitchSnapshot, None]:
        """Yield the switch as it is, and again after each change."""
        await self._connection.monitor(
            {
                "Interface": ["name", "link_state", "admin_state"],
                "Port": ["name", "vlan_mode", "trunks", "external_ids", "interfaces"],
            }
        )
        while True:
            yield await _read_switch(self._connection)
            await self._connection.wait_for_change()


def _is_applied(result: Mapping[str, Any]) -> bool:
    try:
        return all(int(row["cur_cfg"]) >= int(row["next_cfg"]) for row in result["rows"])
    except (KeyError, ValueError, TypeError) as error:
        raise ConnectionFailed("what answers there is no switch's database") from error


async def _read_switch(connection: Connection) -> SwitchSnapshot:
    questions: list[dict[str, Any]] = [
        {"op": "select", "table": table, "where": [], "columns": ["_uuid", *columns]}
        for table, columns in COLUMNS.items()
    ]
    return parse_switch(await connection.transact(*questions))


def parse_switch(answers: Sequence[Mapping[str, Any]]) -> SwitchSnapshot:
    """Return the switch of which the tables of ``COLUMNS`` were read.

    Raises:
        Broken: They are not a switch's.
    """
    try:
        switch = SwitchSnapshot.from_tables([one["rows"] for one in answers])
        projections.check_types(switch)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ConnectionFailed("what answers there is no switch's database") from error
    return switch


def _create_tls_context(target: Target, secret: Secret) -> ssl.SSLContext | None:
    """Return how to speak TLS: by the authority of the credentials, as Open vSwitch does."""
    wish = target.options.get("tls", "no")
    if wish not in {"yes", "no"}:
        raise ValueError(f"tls = {wish!r}: expected yes or no")
    if wish == "no":
        return None
    if missing := [name for name in ("ca", "certificate", "key") if not secret.get(name)]:
        lacks = ", ".join(missing)
        raise Misconfigured(target.name, f"the credentials lack {lacks}: names of PEM files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # its certificates name the switch, not its address
    context.load_verify_locations(secret["ca"])
    context.load_cert_chain(secret["certificate"], secret["key"])
    return context
