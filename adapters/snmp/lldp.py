"""The local ports of LLDP, which agents identify and number in different ways; no I/O.

Source: IEEE 802.1AB (LldpPortIdSubtype, LldpPortNumber), RFC 4188 (dot1dBasePort).
"""

import ipaddress
from collections import defaultdict
from collections.abc import Mapping

from adapters.snmp import mib
from adapters.snmp.wire.ber import Value, as_int, as_name, as_text
from adapters.values import Port

Table = Mapping[str, Mapping[str, Value]]
# LldpPortIdSubtype
PORT_ALIAS, PORT_MAC, PORT_ADDRESS, PORT_NAME, PORT_LOCAL = 1, 3, 4, 5, 7
MAC_OCTETS = 6


def identifier(value: Value, *, mac: bool, address: bool) -> str:
    """Return the identifier of a chassis or port as text.

    Args:
        value: The identifier as the agent reports it.
        mac: It is a hardware address.
        address: It is a network address: a number of the address family and the address.
    """
    if isinstance(value, bytes) and mac and len(value) == MAC_OCTETS:
        return value.hex(":")
    if isinstance(value, bytes) and address and len(value) - 1 in {4, 16}:
        return str(ipaddress.ip_address(value[1:]))
    return as_text(value)


class LocalPorts:
    """The names of the local ports of LLDP by their numbers."""

    def __init__(
        self, local: Table, ports: Mapping[str, Port], bridge_ports: Mapping[str, Value]
    ) -> None:
        """Keep the arguments.

        Args:
            local: Rows of lldpLocPortTable.
            ports: The ports by ifIndex.
            bridge_ports: ifIndex by the number of a port of the bridge.
        """
        self._local, self._ports, self._bridge_ports = local, ports, bridge_ports
        self._names: dict[str, set[str]] = defaultdict(set)
        self._aliases: dict[str, set[str]] = defaultdict(set)
        self._macs: dict[str, set[str]] = defaultdict(set)
        self._addresses: dict[str, set[str]] = defaultdict(set)
        for port in ports.values():
            for table, key in (
                (self._names, port.name),
                (self._names, port.description),
                (self._aliases, port.alias),
                (self._macs, port.mac),
                *((self._addresses, address.partition("/")[0]) for address in port.addresses),
            ):
                table[key].add(port.name)

    def name(self, number: str) -> str:
        """Return the natural key of a port by lldpLocPortNum; empty if it is not known."""
        subtype = as_int(self._local[mib.LLDP_LOC_PORT_ID_SUBTYPE].get(number))
        value = self._local[mib.LLDP_LOC_PORT_ID].get(number)
        text = identifier(value, mac=subtype == PORT_MAC, address=subtype == PORT_ADDRESS)
        text = as_name(text.encode())
        description = as_name(self._local[mib.LLDP_LOC_PORT_DESC].get(number))
        tables = {PORT_MAC: self._macs, PORT_ADDRESS: self._addresses, PORT_ALIAS: self._aliases}
        return (
            _only(tables.get(subtype, self._names), text)
            or _only(self._names, text)
            or _only(self._names, description)
            or self._by_number(number, text, subtype)
            or _only(self._aliases, description)
        )

    def _by_number(self, number: str, text: str, subtype: int) -> str:
        """Return the name by number: a port of the bridge, or else an ifIndex as many agents do."""
        choices = [number]
        if subtype != PORT_NAME and text in self._ports:
            choices.insert(0, text)
        if number in self._bridge_ports:
            bridge_index = str(as_int(self._bridge_ports[number]))
            choices.insert(0 if choices[0] == number else 1, bridge_index)
        elif subtype == PORT_NAME:
            return ""  # the agent has named another port
        return next((self._ports[index].name for index in choices if index in self._ports), "")


def _only(table: Mapping[str, set[str]], key: str) -> str:
    names = table.get(key, set()) if key else set()
    return next(iter(names)) if len(names) == 1 else ""
