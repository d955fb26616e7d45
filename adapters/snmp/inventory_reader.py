"""The inventory of an SNMP element, read from its MIBs; a missing table counts as empty."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from adapters.errors import Rejected
from adapters.snmp import entity_mib, mib, topology
from adapters.snmp.ports import PortTable
from adapters.snmp.profile import Profile
from adapters.snmp.session import Session
from adapters.snmp.wire.ber import Value, as_int, as_text
from adapters.values import Facts, Inventory

CENTISECONDS = 100
_log = logging.getLogger(__name__)


class InventoryReader:
    """Reads facts and inventory; create one for each operation."""

    def __init__(self, session: Session, profile: Profile) -> None:
        self._session = session
        self._profile = profile

    async def facts(self) -> Facts:
        """Return the facts of the element from its system group and its chassis."""
        names = (mib.SYS_NAME, mib.SYS_DESCR, mib.SYS_UP_TIME, mib.SNMP_ENGINE_BOOTS)
        name, description, uptime, boots = (await self._session.get(names)).values()
        vendor, model, serial = await self._chassis_facts()
        return Facts(
            name=as_text(name),
            vendor=vendor or self._profile.vendor,
            model=model or self._profile.model,
            software=as_text(description),
            serial=serial,
            uptime=as_int(uptime) / CENTISECONDS,
            boots=as_int(boots),
        )

    async def boots(self) -> int:
        """Return the number of starts of the element; 0 if it does not count them."""
        return as_int((await self._session.get([mib.SNMP_ENGINE_BOOTS]))[mib.SNMP_ENGINE_BOOTS])

    async def _chassis_facts(self) -> tuple[str, str, str]:
        """Return vendor, model and serial number of the first chassis; empty where unknown."""
        try:
            classes = await self._session.first_rows(mib.ENT_CLASS)
        except Rejected as error:
            self._log_unreadable_table(error)
            return "", "", ""
        if not (index := entity_mib.first_chassis_index(classes)):
            return "", "", ""
        columns = (mib.ENT_MFG_NAME, mib.ENT_MODEL_NAME, mib.ENT_SERIAL_NUM)
        values = await self._session.get([f"{column}.{index}" for column in columns])
        vendor, model, serial = (as_text(value).strip("\0 ") for value in values.values())
        return vendor, model, serial

    async def inventory(self, port_table: PortTable) -> Inventory:
        """Return the facts, ports, components and neighbours of the element."""
        ports = {port.index: port for port in await port_table.read_ports()}
        addresses = topology.addresses(
            await self._optional_table(topology.ADDRESS_COLUMNS),
            await self._optional_table(topology.LEGACY_ADDRESS_COLUMNS),
        )
        remote = await self._optional_table(topology.LLDP_REMOTE_COLUMNS)
        local = await self._optional_table(topology.LLDP_LOCAL_COLUMNS)
        components = entity_mib.components(await self._optional_table(entity_mib.COLUMNS))
        return Inventory(
            await self.facts(),
            tuple(
                replace(port, addresses=addresses.get(index, ())) for index, port in ports.items()
            ),
            datetime.now(UTC),
            components,
            topology.neighbours(remote, local, ports),
        )

    async def _optional_table(self, columns: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Return a table that not every element has; empty if the agent refuses to return it."""
        try:
            return await self._session.table(columns)
        except Rejected as error:
            self._log_unreadable_table(error)
            return {column: {} for column in columns}

    def _log_unreadable_table(self, error: Rejected) -> None:
        facts = {"element": self._session.element, "oid": error.path, "error": error.reason}
        _log.warning("a table of an element cannot be read", extra=facts)
