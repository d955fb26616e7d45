"""What an SNMP element is and consists of, read from its MIBs; tables that it lacks are empty."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from adapters import mib, physical, surroundings
from adapters.errors import Rejected
from adapters.ports import Ports, number, text
from adapters.profile import Profile
from adapters.session import Session
from adapters.values import Facts, Inventory
from adapters.wire.ber import Value

CENTISECONDS = 100
_log = logging.getLogger(__name__)


class Survey:
    """Reads an element; one operation long, then it is thrown away."""

    def __init__(self, session: Session, profile: Profile) -> None:
        self._session = session
        self._profile = profile

    async def facts(self) -> Facts:
        """Return what the element is, by its system group and its chassis."""
        names = (mib.SYS_NAME, mib.SYS_DESCR, mib.SYS_UP_TIME, mib.SNMP_ENGINE_BOOTS)
        name, description, uptime, boots = (await self._session.get(names)).values()
        vendor, model, serial = await self._chassis()
        return Facts(
            name=text(name),
            vendor=vendor or self._profile.vendor,
            model=model or self._profile.model,
            software=text(description),
            serial=serial,
            uptime=number(uptime) / CENTISECONDS,
            boots=number(boots),
        )

    async def boots(self) -> int:
        """Return how often the element has started; 0 where it does not count."""
        return number((await self._session.get([mib.SNMP_ENGINE_BOOTS]))[mib.SNMP_ENGINE_BOOTS])

    async def _chassis(self) -> tuple[str, str, str]:
        """Return vendor, model and serial number of the first chassis, empty where unknown."""
        try:
            classes = await self._session.first(mib.ENT_CLASS)
        except Rejected as error:
            self._missing(error)
            return "", "", ""
        if not (index := physical.first_chassis(classes)):
            return "", "", ""
        columns = (mib.ENT_MFG_NAME, mib.ENT_MODEL_NAME, mib.ENT_SERIAL_NUM)
        found = await self._session.get([f"{column}.{index}" for column in columns])
        vendor, model, serial = (text(one).strip("\0 ") for one in found.values())
        return vendor, model, serial

    async def inventory(self, ports: Ports) -> Inventory:
        """Return everything that the element says it consists of."""
        found = {port.index: port for port in await ports.all()}
        addresses = surroundings.addresses(
            await self._table(surroundings.ADDRESS_COLUMNS),
            await self._table(surroundings.OLD_ADDRESS_COLUMNS),
        )
        remote = await self._table(surroundings.REMOTE_COLUMNS)
        local = await self._table(surroundings.LOCAL_COLUMNS)
        components = physical.components(await self._table(physical.COLUMNS))
        return Inventory(
            await self.facts(),
            tuple(
                replace(port, addresses=addresses.get(index, ())) for index, port in found.items()
            ),
            datetime.now(UTC),
            components,
            surroundings.neighbours(remote, local, found),
        )

    async def _table(self, columns: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Return a table that not every element has; nothing of it where the agent refuses."""
        try:
            return await self._session.table(columns)
        except Rejected as error:
            self._missing(error)
            return {column: {} for column in columns}

    def _missing(self, error: Rejected) -> None:
        facts = {"element": self._session.element, "oid": error.path, "why": error.reason}
        _log.warning("a table of an element cannot be read", extra=facts)
