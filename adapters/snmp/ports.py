"""The ports of an SNMP element by their natural keys, whatever their indexes are today."""

from collections.abc import Iterable

from adapters.errors import Conflict, Rejected
from adapters.snmp import mib
from adapters.snmp.profile import Attribute, Profile
from adapters.snmp.session import Session
from adapters.snmp.wire.ber import Value
from adapters.values import Port, Setting, Step

MEGABIT = 1_000_000
IF_COLUMNS = (
    mib.IF_NAME,
    mib.IF_ALIAS,
    mib.IF_ADMIN_STATUS,
    mib.IF_OPER_STATUS,
    mib.IF_HIGH_SPEED,
    mib.IF_PHYS_ADDRESS,
    mib.IF_TYPE,
)


def as_text(value: Value) -> str:
    """Return what an octet string says; empty where there is none.

    >>> as_text(b"sub1")
    'sub1'
    """
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def as_int(value: Value) -> int:
    """Return a number; 0 where there is none."""
    return value if isinstance(value, int) else 0


class PortTable:
    """Reads and writes the attributes of ports; one operation long, then it is thrown away."""

    def __init__(self, session: Session, profile: Profile) -> None:
        self._session = session
        self._profile = profile
        self._rows: dict[str, dict[str, str]] = {}

    async def _read_keys(self) -> None:
        keys = list(dict.fromkeys(one.key for one in self._profile.attributes))
        table = await self._session.table(keys)
        self._rows = {key: self._index_by_name(table[key]) for key in keys}

    def _index_by_name(self, column: dict[str, Value]) -> dict[str, str]:
        rows: dict[str, str] = {}
        for index, name in column.items():
            if rows.setdefault(as_text(name), index) != index:
                message = f"two of its ports are called {as_text(name)!r}"
                raise Rejected(self._session.element, message, reason="ambiguous")
        return rows

    async def read_settings(self, port: str) -> dict[str, Setting]:
        """Return the attributes of a port; one it does not have is missing.

        Raises:
            Rejected: There is no such port.
            Conflict: Its index changed twice while it was read.
        """
        for _ in range(2):
            if not self._rows:
                await self._read_keys()
            if (found := await self._read_once(port)) is not None:
                return found
            self._rows = {}
        raise Conflict(self._session.element, f"the ports change places while {port!r} is read")

    async def _read_once(self, port: str) -> dict[str, Setting] | None:
        if port not in self._rows[mib.IF_NAME]:
            known = ", ".join(sorted(self._rows[mib.IF_NAME])) or "none"
            message = f"no port {port!r}; it has {known}"
            raise Rejected(self._session.element, message, path=port, reason="noSuchPort")
        places = {
            one.name: (one, self._rows[one.key][port])
            for one in self._profile.attributes
            if port in self._rows[one.key]
        }
        names = {f"{one.key}.{index}" for one, index in places.values()}
        columns = [f"{one.column}.{index}" for one, index in places.values()]
        answer = await self._session.get([*columns, *sorted(names)])
        if any(as_text(answer.get(name)) != port for name in names):
            return None
        return {
            name: one.decode(raw)
            for name, (one, index) in places.items()
            if isinstance(raw := answer.get(f"{one.column}.{index}"), int | bytes)
        }

    async def apply_step(self, step: Step) -> None:
        """Make one change; ``read_settings`` of the same port was read just before.

        Raises:
            Rejected: The element refuses; path is "port attribute".
        """
        one = self._profile.attribute(step.attribute)
        path = f"{step.port} {step.attribute}"
        if (index := self._rows.get(one.key, {}).get(step.port)) is None:
            message = f"{step.port!r} has no {step.attribute}"
            raise Rejected(self._session.element, message, path=path, reason="noSuchAttribute")
        try:
            content = one.encode(step.after)
            await self._session.set(f"{one.column}.{index}", one.syntax, content)
        except Rejected as error:
            message = f"{path} = {step.after!r}: {error.reason}"
            raise Rejected(error.element, message, path=path, reason=error.reason) from error

    async def read_tags(self) -> dict[str, str]:
        """Return what is written on each port, port by port."""
        tag = self._profile.attribute("tag")
        table = await self._session.table([tag.key, tag.column])
        return {
            as_text(name): as_text(table[tag.column].get(index))
            for index, name in table[tag.key].items()
        }

    async def read_ports(self) -> list[Port]:
        """Return every port, ordered by name."""
        await self._read_keys()
        table = await self._session.table(IF_COLUMNS)
        special = [self._rows[key] for key in self._rows if key != mib.IF_NAME]
        found = [
            Port(
                name=(name := as_text(raw)),
                index=index,
                tag=as_text(table[mib.IF_ALIAS].get(index)),
                enabled=table[mib.IF_ADMIN_STATUS].get(index) == mib.UP,
                up=table[mib.IF_OPER_STATUS].get(index) == mib.UP,
                speed=as_int(table[mib.IF_HIGH_SPEED].get(index)) * MEGABIT,
                mac=_mac_address(table[mib.IF_PHYS_ADDRESS].get(index)),
                access=self._is_in_all_tables(name, special) and self._profile.is_access_port(name),
            )
            for index, raw in table[mib.IF_NAME].items()
            if table[mib.IF_TYPE].get(index) != mib.SOFTWARE_LOOPBACK
        ]
        return sorted(found, key=lambda port: port.name)

    @staticmethod
    def _is_in_all_tables(name: str, tables: Iterable[dict[str, str]]) -> bool:
        return all(name in rows for rows in tables)

    def column(self, name: str) -> Attribute:
        """Return the attribute of a name.

        Raises:
            Rejected: Elements of this type have none.
        """
        try:
            return self._profile.attribute(name)
        except KeyError:
            message = f"elements of type {self._profile.name} have no {name}"
            raise Rejected(
                self._session.element, message, path=name, reason="noSuchAttribute"
            ) from None


def _mac_address(value: Value) -> str:
    return value.hex(":") if isinstance(value, bytes) else ""
