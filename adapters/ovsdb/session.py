"""Access to the database of a switch: consistent reads and atomic changes."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from adapters.credentials import Secret
from adapters.errors import Conflict, Misconfigured, Rejected, Unreachable
from adapters.ovsdb import projections
from adapters.ovsdb.jsonrpc import Connection, OperationFailed
from adapters.ovsdb.operations import Operation
from adapters.ovsdb.rows import COLUMNS, SwitchSnapshot
from adapters.streams import ConnectionFailed
from adapters.values import Target

OVSDB_PORT = 6640  # IANA, "ovsdb"
#: Errors of transactions whose conditions do not hold any more (RFC 7047, section 5.1).
CONFLICT_REASONS = frozenset({"timed out", "aborted", "not owner"})
#: Pause between two checks whether the switch has applied its configuration, in seconds.
POLL_INTERVAL = 0.005
NOT_A_SWITCH = "the database is not that of a switch"


class Session:
    """The database of one switch.

    Attributes:
        endpoint: Host and port.

    Raises:
        ValueError: An option or the address is not usable.
        OSError: A file of the credentials cannot be read.
        Misconfigured: The credentials lack a file.
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
                message = f"the port was changed meanwhile: {error}"
                raise Conflict(self._name, message) from error
            raise Rejected(self._name, str(error), reason=error.reason) from error

    async def read(self) -> SwitchSnapshot:
        """Return a snapshot of the switch, read in one transaction."""
        with self._translate_errors():
            await self._connection.open()
            try:
                return await _read_switch(self._connection)
            except ConnectionFailed:
                await self._connection.open()  # the server may have restarted meanwhile
                return await _read_switch(self._connection)

    async def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations or none, and wait until the switch has applied them.

        Raises:
            Conflict: A row has changed since it was read.
            Rejected: The database refuses an operation.
            Unreachable: There is no reply, or the switch does not apply its configuration.
        """
        with self._translate_errors():
            await self._connection.open()
            await self._connection.transact(*operations)
        if not await self.wait_until_applied():
            message = f"the switch did not apply its configuration within {self._timeout} s"
            raise Unreachable(self._name, message)

    async def wait_until_applied(self) -> bool:
        """Wait until the switch has applied its database; return False after the timeout."""
        end = asyncio.get_running_loop().time() + self._timeout
        columns = ["cur_cfg", "next_cfg"]
        select = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": columns}
        while True:
            with self._translate_errors():
                await self._connection.open()
                (result,) = await self._connection.transact(select)
                if _is_applied(result):
                    return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(POLL_INTERVAL)

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator["SwitchMonitor"]:
        """Open a monitor of the ports on a connection of its own.

        Raises:
            Unreachable: The connection cannot be opened, or was lost.
        """
        with self._translate_errors():
            async with self._new_connection() as connection:
                yield SwitchMonitor(connection)


class SwitchMonitor:
    """Reads a switch each time its ports have changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def snapshots(self) -> AsyncGenerator[SwitchSnapshot, None]:
        """Yield a snapshot of the switch, and another after each change."""
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
        raise ConnectionFailed(NOT_A_SWITCH) from error


async def _read_switch(connection: Connection) -> SwitchSnapshot:
    selects: list[dict[str, Any]] = [
        {"op": "select", "table": table, "where": [], "columns": ["_uuid", *columns]}
        for table, columns in COLUMNS.items()
    ]
    return parse_switch(await connection.transact(*selects))


def parse_switch(results: Sequence[Mapping[str, Any]]) -> SwitchSnapshot:
    """Return the snapshot in the results of selecting the tables of ``COLUMNS``.

    Raises:
        ConnectionFailed: The results are not those of a switch.
    """
    try:
        switch = SwitchSnapshot.from_tables([result["rows"] for result in results])
        projections.check_types(switch)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ConnectionFailed(NOT_A_SWITCH) from error
    return switch


def _create_tls_context(target: Target, secret: Secret) -> ssl.SSLContext | None:
    """Return the TLS context of a target, or None if it does not use TLS.

    As with Open vSwitch itself, the certificate authority of the credentials authenticates the
    switch.
    """
    option = target.options.get("tls", "no")
    if option not in {"yes", "no"}:
        raise ValueError(f"tls = {option!r}: expected yes or no")
    if option == "no":
        return None
    if missing := [name for name in ("ca", "certificate", "key") if not secret.get(name)]:
        names = ", ".join(missing)
        raise Misconfigured(target.name, f"the credentials lack {names}: names of PEM files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # certificates of Open vSwitch name the switch, not its address
    context.load_verify_locations(secret["ca"])
    context.load_cert_chain(secret["certificate"], secret["key"])
    return context
