"""The ports of an SNMP element, found by natural key and independent of their current indexes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from adapters.errors import Conflict, Rejected, Unreachable
from adapters.snmp import interfaces, mib
from adapters.snmp.interfaces import Walk
from adapters.snmp.profile import Profile
from adapters.snmp.session import Session
from adapters.snmp.walk import raise_error
from adapters.snmp.wire.ber import Value, as_int, as_name, as_text
from adapters.values import Port, Setting, Step

#: Uptime by which the ports of an element have their states after a start, in hundredths of a
#: second.
SETTLING_TIME = 30_000
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
        self._ambiguous: set[str] = set()

    async def _read_keys(self) -> None:
        async with self._session.translate_start():
            table = await self._session.table(self._keys)
        self._indexes.update({key: self._index_by_name(table[key]) for key in self._keys})

    def _index_by_name(self, column: dict[str, Value]) -> dict[str, str]:
        """Return the indexes by name, without names that several ports have."""
        names = {index: as_name(name) for index, name in column.items()}
        counts = Counter(names.values())
        self._ambiguous |= {name for name, count in counts.items() if count > 1}
        return {name: index for index, name in names.items() if name and counts[name] == 1}

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
        if port in self._ambiguous:
            message = f"two of its ports are called {port!r}"
            return Rejected(self._session.element, message, path=port, reason="ambiguous")
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
        if any(as_name(values.get(key)) != port for key in keys):
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
            as_name(name): as_text(table[tag.column].get(index))
            for index, name in table[tag.key].items()
        }

    async def read_ports(self) -> list[Port]:
        """Return every port except loopbacks, ordered by name.

        Raises:
            Rejected: A column cannot be read to its end.
            Unreachable: There is no response, or none that can be decoded.
        """
        walk = await self.walk()
        raise_error(*walk.values())
        return await self.ports(walk)

    async def walk(self) -> Walk:
        """Return the columns of IF-MIB as far as they can be read."""
        return await self._session.walk(interfaces.COLUMNS)

    async def ports(self, walk: Walk) -> list[Port]:
        """Return the ports of a walk; those that can carry services are access ports.

        Raises:
            Rejected: The tables of services cannot be read.
        """
        keys = {attribute.key for attribute in self._profile.attributes} - {mib.IF_NAME}
        tables = await self._session.table(sorted(keys)) if keys else {}
        tables[mib.IF_NAME] = walk[mib.IF_NAME].cells
        names = [set(self._index_by_name(table)) for table in tables.values()]
        return [
            replace(port, access=self._is_access_port(port.name, names))
            for port in interfaces.ports(walk)
        ]

    def _is_access_port(self, name: str, names: list[set[str]]) -> bool:
        return all(name in table for table in names) and self._profile.is_access_port(name)

    async def read_changed(self, ports: Sequence[Port]) -> frozenset[str]:
        """Return the names of the ports whose state has changed since the element has settled."""
        oids = [f"{mib.IF_LAST_CHANGE}.{port.index}" for port in ports]
        values, _ = await self._session.get_each(oids)
        return frozenset(
            port.name
            for port, changed_at in zip(ports, values.values(), strict=True)
            if as_int(changed_at) > SETTLING_TIME
        )
