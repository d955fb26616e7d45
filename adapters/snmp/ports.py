"""The ports of an SNMP element, found by natural key and independent of their current indexes."""

from collections.abc import Iterable, Sequence

from adapters.errors import Conflict, Rejected, Unreachable
from adapters.snmp import mib
from adapters.snmp.profile import Profile
from adapters.snmp.session import Session
from adapters.snmp.wire.ber import Value, as_int, as_text
from adapters.values import Port, Setting, Step

MEGABIT = 1_000_000
#: Uptime by which the ports of an element have their states after a start, in hundredths of a
#: second.
SETTLING_TIME = 30_000
IF_COLUMNS = (
    mib.IF_NAME,
    mib.IF_DESCR,
    mib.IF_ALIAS,
    mib.IF_ADMIN_STATUS,
    mib.IF_OPER_STATUS,
    mib.IF_HIGH_SPEED,
    mib.IF_PHYS_ADDRESS,
    mib.IF_TYPE,
)


#: Key column -> name of the port -> index.
PortIndexes = dict[str, dict[str, str]]


class PortTable:
    """Reads and writes the attributes of ports; create one for each operation.

    An index that is known from an earlier operation, or from the intent, is used if the port with
    that index still has the name: then the requests do not grow with the ports of the element.
    """

    def __init__(self, session: Session, profile: Profile, indexes: PortIndexes) -> None:
        """Keep the arguments.

        Args:
            session: The requests to the element.
            profile: The type of the element.
            indexes: The known indexes, which may be out of date; the table updates them.
        """
        self._session = session
        self._profile = profile
        self._indexes = indexes
        self._keys = list(dict.fromkeys(attribute.key for attribute in profile.attributes))

    async def _read_keys(self) -> None:
        async with self._session.translate_start():
            table = await self._session.table(self._keys)
        self._indexes.update({key: self._index_by_name(table[key]) for key in self._keys})

    def _index_by_name(self, column: dict[str, Value]) -> dict[str, str]:
        indexes: dict[str, str] = {}
        for index, name in column.items():
            if indexes.setdefault(as_text(name), index) != index:
                message = f"two of its ports are called {as_text(name)!r}"
                raise Rejected(self._session.element, message, reason="ambiguous")
        return indexes

    async def read_settings(self, port: str, index: str = "") -> dict[str, Setting]:
        """Return the attributes of a port; those that it does not have are missing.

        Args:
            port: The name of the port.
            index: The index that it had when it was read last; empty: unknown.

        Raises:
            Rejected: There is no such port.
            Unreachable: There is no such port yet: the element has just started.
            Conflict: The index of the port changed twice during the read.
        """
        for key in self._keys if index else ():
            self._indexes.setdefault(key, {}).setdefault(port, index)
        was_known = all(port in self._indexes.get(key, ()) for key in self._keys)
        if was_known and (settings := await self._read_once(port)) is not None:
            return settings
        for _ in range(2):
            await self._read_keys()
            if port not in self._indexes[mib.IF_NAME]:
                raise await self._no_such_port(port, was_known=was_known)
            if (settings := await self._read_once(port)) is not None:
                return settings
        message = f"the indexes of its ports changed twice while {port!r} was read"
        raise Conflict(self._session.element, message)

    async def _no_such_port(self, port: str, *, was_known: bool) -> Rejected | Unreachable:
        names = self._indexes[mib.IF_NAME]
        if (was_known or not names) and (uptime := await self._session.starting_uptime()):
            return Unreachable(self._session.element, f"port {port!r} is not there yet: {uptime}")
        message = f"no port {port!r}; it has {', '.join(sorted(names)) or 'none'}"
        return Rejected(self._session.element, message, path=port, reason="noSuchPort")

    async def _read_once(self, port: str) -> dict[str, Setting] | None:
        """Return the attributes of a port; None if its index has changed."""
        instances = [
            (attribute, self._indexes[attribute.key][port])
            for attribute in self._profile.attributes
            if port in self._indexes[attribute.key]
        ]
        keys = {f"{attribute.key}.{index}" for attribute, index in instances}
        columns = [f"{attribute.column}.{index}" for attribute, index in instances]
        values = await self._session.get([*columns, *sorted(keys)])
        if any(as_text(values.get(key)) != port for key in keys):
            return None
        return {
            attribute.name: attribute.decode(raw)
            for attribute, index in instances
            if isinstance(raw := values.get(f"{attribute.column}.{index}"), int | bytes)
        }

    async def apply_step(self, step: Step) -> None:
        """Set one attribute; call ``read_settings`` of the port immediately before.

        Raises:
            Rejected: The element refuses; the path is "port attribute".
        """
        attribute = self._profile.attribute(step.attribute)
        path = f"{step.port} {step.attribute}"
        if (index := self._indexes.get(attribute.key, {}).get(step.port)) is None:
            message = f"{step.port!r} has no {step.attribute}"
            raise Rejected(self._session.element, message, path=path, reason="noSuchAttribute")
        try:
            value = attribute.encode(step.after)
            await self._session.set(f"{attribute.column}.{index}", attribute.syntax, value)
        except Rejected as error:
            message = f"{path} = {step.after!r}: {error.reason}"
            raise Rejected(error.element, message, path=path, reason=error.reason) from error

    async def read_tags(self) -> dict[str, str]:
        """Return the tag of each port, by name of the port."""
        tag = self._profile.attribute("tag")
        async with self._session.translate_start():
            table = await self._session.table([tag.key, tag.column])
        return {
            as_text(name): as_text(table[tag.column].get(index))
            for index, name in table[tag.key].items()
        }

    async def read_ports(self) -> list[Port]:
        """Return every port except loopbacks, ordered by name."""
        await self._read_keys()
        table = await self._session.table(IF_COLUMNS)
        service_tables = [indexes for key, indexes in self._indexes.items() if key != mib.IF_NAME]
        ports = [
            Port(
                name=(name := as_text(raw)),
                index=index,
                tag=as_text(table[mib.IF_ALIAS].get(index)),
                enabled=table[mib.IF_ADMIN_STATUS].get(index) == mib.UP,
                up=table[mib.IF_OPER_STATUS].get(index) == mib.UP,
                speed=as_int(table[mib.IF_HIGH_SPEED].get(index)) * MEGABIT,
                mac=_mac_address(table[mib.IF_PHYS_ADDRESS].get(index)),
                access=_is_in_all(name, service_tables) and self._profile.is_access_port(name),
                description=_other_name(table[mib.IF_DESCR].get(index), name),
                state=mib.OPER_STATES.get(as_int(table[mib.IF_OPER_STATUS].get(index)), ""),
            )
            for index, raw in table[mib.IF_NAME].items()
            if table[mib.IF_TYPE].get(index) != mib.SOFTWARE_LOOPBACK
        ]
        return sorted(ports, key=lambda port: port.name)

    async def read_changed(self, ports: Sequence[Port]) -> frozenset[str]:
        """Return the names of the ports whose state has changed since the element has settled."""
        values = await self._session.get([f"{mib.IF_LAST_CHANGE}.{port.index}" for port in ports])
        return frozenset(
            port.name
            for port, changed_at in zip(ports, values.values(), strict=True)
            if as_int(changed_at) > SETTLING_TIME
        )


def _is_in_all(name: str, tables: Iterable[dict[str, str]]) -> bool:
    return all(name in table for table in tables)


def _other_name(value: Value, name: str) -> str:
    """Return ifDescr; empty if it is the name."""
    description = as_text(value).strip("\0 \r\n\t")
    return "" if description == name else description


def _mac_address(value: Value) -> str:
    return value.hex(":") if isinstance(value, bytes) else ""
