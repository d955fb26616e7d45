"""Names of the ports that notifications are about; no I/O.

A notification identifies a port by its ifIndex, which a restart or another card may change, and
often by its ifName or ifDescr, which stay. Source: RFC 2863 section 3.1.5.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from adapters.snmp import mib
from adapters.snmp.traps import Notification
from adapters.values import Port

VariableValue = int | bytes | str | None
#: Octets around a name that some agents send.
_PADDING = "\0 \r\n\t"


@dataclass(frozen=True, slots=True)
class PortNames:
    """The ports of an element as they were read last.

    Attributes:
        names: Natural key of each port by ifIndex.
        descriptions: ifDescr of the ports that have one, by ifIndex.
        discovered_at: The latest discovery before they were read; see ``DiscoveryRecords``.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    descriptions: Mapping[int, str] = field(default_factory=dict)
    discovered_at: datetime | None = None

    @classmethod
    def of(cls, ports: Iterable[Port], discovered_at: datetime | None = None) -> Self:
        """Return the names of ports as an adapter has read them."""
        numbered = {int(port.index): port for port in ports if port.index.isdecimal()}
        return cls(
            {index: port.name for index, port in numbered.items()},
            {index: port.description for index, port in numbered.items() if port.description},
            discovered_at,
        )

    def port_name(self, notification: Notification) -> str:
        """Return the natural key of a port, or the best name that there is for it.

        The names in the notification take precedence over the port that had its index before.
        """
        index = if_index(notification)
        if known := self._known_name(notification, index):
            return known
        if names := own_names(notification):
            return names[0]
        return "unknown port" if index is None else self.names.get(index, f"ifIndex {index}")

    def is_certain(self, notification: Notification) -> bool:
        """Return whether the notification itself names a port that is known."""
        return bool(self._known_name(notification, if_index(notification)))

    def is_outdated(self, notification: Notification) -> bool:
        """Return whether another port, or none, had the index in a notification."""
        index = if_index(notification)
        if index is None:
            return False
        if not own_names(notification):
            return index not in self.names
        return self.names.get(index) != self.port_name(notification)

    def _known_name(self, notification: Notification, index: int | None) -> str:
        """Return the natural key of the port that a notification names; empty: it names none."""
        keys = set(self.names.values())
        for name in own_names(notification):
            if name in keys:
                return name
            indexes = [
                number
                for number, description in self.descriptions.items()
                if description == name and number in self.names
            ]
            if index in indexes:
                return self.names[index]
            if len(indexes) == 1:
                return self.names[indexes[0]]
        return ""


def own_names(notification: Notification) -> list[str]:
    """Return the names of the port in a notification: its ifName, its ifDescr."""
    values = (first_value(notification, column) for column in (mib.IF_NAME, mib.IF_DESCR))
    texts = (value.decode("utf-8", "replace") for value in values if isinstance(value, bytes))
    return [name for text in texts if (name := text.strip(_PADDING))]


def first_value(notification: Notification, column: str) -> VariableValue:
    """Return the value of the first variable of a column, of any instance."""
    for oid, value in notification.variables.items():
        if oid.startswith(f"{column}."):
            return value
    return None


def if_index(notification: Notification) -> int | None:
    """Return the ifIndex, from the instance of a variable or else from the value of ifIndex."""
    columns = (mib.IF_INDEX, mib.IF_ADMIN_STATUS, mib.IF_OPER_STATUS, mib.IF_DESCR, mib.IF_NAME)
    for column in columns:
        for oid in notification.variables:
            if oid.startswith(f"{column}.") and (arc := oid.rpartition(".")[2]) != "0":
                return int(arc)
    value = first_value(notification, mib.IF_INDEX)
    return value if isinstance(value, int) else None
