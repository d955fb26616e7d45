"""The inventory of an SNMP element, read from its MIBs.

A table that the element does not have counts as empty. A table that cannot be read is listed in
``Inventory.unread``.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from adapters.errors import InvalidAnswer, Unreachable
from adapters.snmp import entity_mib, interfaces, mib, topology
from adapters.snmp.enterprises import vendor_of
from adapters.snmp.interfaces import Walk
from adapters.snmp.ports import PortTable
from adapters.snmp.profile import Profile
from adapters.snmp.session import Session
from adapters.snmp.walk import ENDLESS, MALFORMED, Column, raise_error
from adapters.snmp.wire.ber import Value, as_int, as_name, as_text
from adapters.values import Component, Facts, Inventory, Neighbour, Port, UnreadTable

CENTISECONDS = 100
#: Maximum number of reasons that are given for one table.
MAX_REASONS = 4
#: Variables of the facts -> attribute that is not known without them.
FACT_VARIABLES = {
    mib.SYS_NAME: "name",
    mib.SYS_DESCR: "software",
    mib.SYS_UP_TIME: "",
    mib.SNMP_ENGINE_BOOTS: "",
    mib.SYS_OBJECT_ID: "",
    mib.LLDP_LOC_CHASSIS_ID_SUBTYPE: "",
    mib.LLDP_LOC_CHASSIS_ID: "",
}
CHASSIS_ATTRIBUTES = {
    mib.ENT_MFG_NAME: "vendor",
    mib.ENT_MODEL_NAME: "model",
    mib.ENT_SERIAL_NUM: "serial",
}
#: Name of a table, the part of the inventory that it contains, and its columns.
TABLES = {
    "ipAddressTable": ("addresses", topology.ADDRESS_COLUMNS),
    "ipAddrTable": ("addresses", topology.LEGACY_ADDRESS_COLUMNS),
    "lldpRemTable": ("neighbours", topology.LLDP_REMOTE_COLUMNS),
    "lldpLocPortTable": ("neighbours", topology.LLDP_LOCAL_COLUMNS),
    "dot1dBasePortTable": ("neighbours", topology.BRIDGE_COLUMNS),
    "entPhysicalTable": ("components", entity_mib.COLUMNS),
}
_log = logging.getLogger(__name__)


class InventoryReader:
    """Reads facts and inventory; create one for each operation."""

    def __init__(self, session: Session, profile: Profile) -> None:
        self._session = session
        self._profile = profile
        self._unread: list[UnreadTable] = []

    async def facts(self) -> Facts:
        """Return the facts of the element from its system group and its chassis."""
        values, reasons = await self._session.get_each(list(FACT_VARIABLES))
        unread = {attribute for oid, attribute in FACT_VARIABLES.items() if oid in reasons}
        for oid in (mib.SYS_NAME, mib.SYS_DESCR, mib.SYS_OBJECT_ID):
            if oid in reasons:
                self._unread.append(UnreadTable(mib.NAMES[oid], reasons[oid]))
        chassis, unread_chassis = await self._chassis_facts()
        subtype, chassis_id = mib.LLDP_LOC_CHASSIS_ID_SUBTYPE, mib.LLDP_LOC_CHASSIS_ID
        return Facts(
            name=as_name(values[mib.SYS_NAME]),
            vendor=chassis[mib.ENT_MFG_NAME]
            or self._profile.vendor
            or vendor_of(values[mib.SYS_OBJECT_ID]),
            model=chassis[mib.ENT_MODEL_NAME] or self._profile.model,
            software=as_text(values[mib.SYS_DESCR]).strip("\0 \r\n"),
            serial=chassis[mib.ENT_SERIAL_NUM],
            uptime=as_int(values[mib.SYS_UP_TIME]) / CENTISECONDS,
            boots=as_int(values[mib.SNMP_ENGINE_BOOTS]),
            chassis_id=topology.chassis_id(values[subtype], values[chassis_id]),
            unread=frozenset((unread | unread_chassis) - {""}),
        )

    async def boots(self) -> int:
        """Return the number of starts of the element; 0 if it does not count them."""
        return as_int((await self._session.get([mib.SNMP_ENGINE_BOOTS]))[mib.SNMP_ENGINE_BOOTS])

    async def _chassis_facts(self) -> tuple[dict[str, str], set[str]]:
        """Return the texts of the first chassis by column, and the names of unread attributes."""
        empty, everything = dict.fromkeys(CHASSIS_ATTRIBUTES, ""), {*CHASSIS_ATTRIBUTES.values()}
        classes = await self._walk("entPhysicalTable", (mib.ENT_CLASS,))
        column = classes[mib.ENT_CLASS]
        if not (index := entity_mib.first_chassis_index(column.cells)):
            is_read = column.cells and not column.problem and not column.blanks
            return empty, set() if is_read else everything
        oids = {f"{column}.{index}": column for column in CHASSIS_ATTRIBUTES}
        values, reasons = await self._session.get_each(list(oids))
        texts = {column: as_name(values[oid]) for oid, column in oids.items()}
        return texts, {CHASSIS_ATTRIBUTES[oids[oid]] for oid in reasons}

    async def inventory(self, port_table: PortTable) -> Inventory:
        """Return the facts, ports, components and neighbours of the element.

        Raises:
            Rejected: The element refuses to return its interfaces, or its table does not end.
            Unreachable: The element does not answer.
        """
        walk = await port_table.walk()
        self._check_readable(walk)
        count = (await self._session.get_each([mib.IF_NUMBER]))[0][mib.IF_NUMBER]
        tables = {name: await self._walk(name, columns) for name, (_, columns) in TABLES.items()}
        facts = await self.facts()
        self._check_ends(walk, *tables.values())
        ports = {port.index: port for port in await port_table.ports(walk)}
        self._add_unread("ifTable", walk, interfaces.missing_rows(walk, count), "ports")
        for name, table in tables.items():
            self._add_unread(name, table, self._missing_rows(name, table), TABLES[name][0])
        addresses = topology.addresses(
            _cells(tables["ipAddressTable"]), _cells(tables["ipAddrTable"])
        )
        ports = {
            index: replace(port, addresses=addresses.get(index, ()))
            for index, port in ports.items()
        }
        neighbours = _neighbours(tables, ports)
        return Inventory(
            facts,
            tuple(ports.values()),
            datetime.now(UTC),
            _components(tables["entPhysicalTable"]),
            neighbours,
            tuple(self._unread),
        )

    @staticmethod
    def _check_readable(walk: Walk) -> None:
        """Check that the interfaces end, and that there are some unless the agent has none.

        Raises:
            Rejected: The agent refuses to return the interfaces, or returns them without an end.
            InvalidAnswer: Its answers cannot be decoded.
        """
        is_empty = not interfaces.indexes(walk)
        for column in walk.values():
            if column.problem == ENDLESS or is_empty:
                raise_error(column)

    async def _walk(self, name: str, columns: Sequence[str]) -> Walk:
        """Read a table that not every element has.

        Raises:
            Unreachable: The element does not answer other requests either.
        """
        try:
            return await self._session.walk(columns)
        except Unreachable as error:
            await self._session.get([mib.SYS_UP_TIME])
            _log.debug("a table of an element has no answer", extra={"table": name, "error": error})
            is_invalid = isinstance(error, InvalidAnswer)
            problem = MALFORMED if is_invalid else "no answer"
            return {oid: Column(oid, problem=problem, last=oid) for oid in columns}

    def _check_ends(self, *walks: Walk) -> None:
        """Find columns behind which the agent has denied that there is anything."""
        greatest_oid = self._session.greatest_oid
        for column in (column for walk in walks for column in walk.values()):
            if column.cells and not column.problem and column.ends_early(greatest_oid):
                column.problem = f"ended early after {len(column.cells)} rows"
                column.is_denied = True

    def _missing_rows(self, name: str, walk: Walk) -> str | None:
        """Return why rows of a table may be missing; None if the table is doubtful, not unread.

        An element cannot lose all its parts or addresses, so an empty table takes none away. Some
        agents deny that they have anything behind what they know.
        """
        rows = {row for column in walk.values() for row in column.instances}
        if name == "entPhysicalTable":
            reason = entity_mib.missing_rows(walk)
        else:
            reason = next((text for column in walk.values() for text in column.reasons), "")
        greatest_oid = self._session.greatest_oid
        is_doubtful = not rows and (
            TABLES[name][0] != "neighbours"
            or any(column.ends_early(greatest_oid) for column in walk.values())
        )
        return None if is_doubtful and not reason else reason

    def _add_unread(self, name: str, walk: Walk, missing_rows: str | None, part: str) -> None:
        """Add a table to those that were not read completely, with the reasons of its columns."""
        reasons = [missing_rows] if missing_rows else []
        reasons += [
            f"{mib.NAMES.get(column.oid, column.oid)}: {reason}"
            for column in walk.values()
            for reason in column.reasons
        ]
        if not reasons and missing_rows is not None:
            return
        more = [f"{len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
        text = ", ".join([*reasons[:MAX_REASONS], *more])
        if text:
            self._log_unread(name, text)
        self._unread.append(UnreadTable(name, text, "" if missing_rows == "" else part))

    def _log_unread(self, name: str, reason: str) -> None:
        facts = {"element": self._session.element, "table": name, "error": reason}
        _log.warning("a table of an element cannot be read", extra=facts)


def _cells(walk: Walk) -> dict[str, dict[str, Value]]:
    return {oid: column.cells for oid, column in walk.items()}


def _components(walk: Walk) -> tuple[Component, ...]:
    return entity_mib.components(_cells(walk), lambda column, index: walk[column].is_unread(index))


def _neighbours(tables: Mapping[str, Walk], ports: Mapping[str, Port]) -> tuple[Neighbour, ...]:
    remote = _cells(tables["lldpRemTable"])
    local = _cells(tables["lldpLocPortTable"])
    bridge_ports = tables["dot1dBasePortTable"][mib.BASE_PORT_IF_INDEX].cells
    return topology.neighbours(remote, local, ports, bridge_ports)
