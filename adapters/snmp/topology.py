"""The IP addresses and neighbours of an SNMP element, computed from rows of its MIBs; no I/O.

Source: RFC 4293 (ipAddressTable), RFC 1213 (ipAddrTable), IEEE 802.1AB (LLDP-MIB).
"""

import ipaddress
from collections.abc import Iterator, Mapping

from adapters.snmp import mib
from adapters.snmp.lldp import PORT_ADDRESS, PORT_MAC, LocalPorts, identifier
from adapters.snmp.wire.ber import Value, as_int, as_name, as_text
from adapters.values import Neighbour, Port

Table = Mapping[str, Mapping[str, Value]]

ADDRESS_COLUMNS = (mib.IP_ADDRESS_IF_INDEX, mib.IP_ADDRESS_PREFIX)
LEGACY_ADDRESS_COLUMNS = (mib.IP_AD_ENT_IF_INDEX, mib.IP_AD_ENT_NET_MASK)
BRIDGE_COLUMNS = (mib.BASE_PORT_IF_INDEX,)
LLDP_LOCAL_COLUMNS = (mib.LLDP_LOC_PORT_ID_SUBTYPE, mib.LLDP_LOC_PORT_ID, mib.LLDP_LOC_PORT_DESC)
LLDP_REMOTE_COLUMNS = (
    mib.LLDP_REM_CHASSIS_ID_SUBTYPE,
    mib.LLDP_REM_CHASSIS_ID,
    mib.LLDP_REM_PORT_ID_SUBTYPE,
    mib.LLDP_REM_PORT_ID,
    mib.LLDP_REM_PORT_DESC,
    mib.LLDP_REM_SYS_NAME,
)
IPV4, IPV6, IPV4_ZONED, IPV6_ZONED = 1, 2, 3, 4  # InetAddressType
ADDRESS_LENGTHS = {IPV4: 4, IPV6: 16, IPV4_ZONED: 4, IPV6_ZONED: 16}
CHASSIS_MAC, CHASSIS_ADDRESS = 4, 5  # LldpChassisIdSubtype
#: lldpRemTable is indexed by time mark, local port number and remote index.
LLDP_REMOTE_INDEX_ARCS = 3


def addresses(table: Table, legacy_table: Table) -> dict[str, tuple[str, ...]]:
    """Return the IP addresses by ifIndex, from both tables, in order and without loopbacks.

    Args:
        table: Rows of ipAddressTable.
        legacy_table: Rows of ipAddrTable.
    """
    by_interface: dict[str, set[str]] = {}
    for index, address in (*_ip_addresses(table), *_legacy_addresses(legacy_table)):
        if not ipaddress.ip_interface(address).is_loopback:
            by_interface.setdefault(index, set()).add(address)
    return {
        index: tuple(sorted(_without_duplicates(interface_addresses), key=_sort_key))
        for index, interface_addresses in by_interface.items()
    }


def _without_duplicates(interface_addresses: set[str]) -> set[str]:
    """Return the addresses without those that also exist with a prefix length."""
    with_prefix = {address.partition("/")[0] for address in interface_addresses if "/" in address}
    return {address for address in interface_addresses if address not in with_prefix}


def _sort_key(address: str) -> tuple[int, int]:
    interface = ipaddress.ip_interface(address)
    return interface.version, int(interface)


def _ip_addresses(table: Table) -> Iterator[tuple[str, str]]:
    for key, index in table[mib.IP_ADDRESS_IF_INDEX].items():
        if (raw := _address_octets(key)) is None:
            continue
        address = ipaddress.ip_address(raw)
        prefix = as_text(table[mib.IP_ADDRESS_PREFIX].get(key)).rpartition(".")[2]
        has_prefix = prefix.isdigit() and 0 < int(prefix) <= address.max_prefixlen
        yield str(as_int(index)), f"{address}/{prefix}" if has_prefix else str(address)


def _address_octets(key: str) -> bytes | None:
    """Return the address in an instance of ipAddressTable; None if it is not one."""
    if not all(arc.isascii() and arc.isdecimal() for arc in key.split(".")):
        return None
    address_type, *arcs = map(int, key.split("."))
    length = ADDRESS_LENGTHS.get(address_type, 0)
    raw = arcs[1 : length + 1]
    is_address = length and arcs[:1] == [len(arcs) - 1] and len(raw) == length
    return bytes(raw) if is_address and max(raw) <= 0xFF else None  # noqa: PLR2004


def _legacy_addresses(table: Table) -> Iterator[tuple[str, str]]:
    for key, index in table[mib.IP_AD_ENT_IF_INDEX].items():
        mask = as_text(table[mib.IP_AD_ENT_NET_MASK].get(key))
        try:
            interface = ipaddress.IPv4Interface(f"{key}/{mask}" if mask else key)
            yield str(as_int(index)), str(interface) if mask else str(interface.ip)
        except ValueError:
            continue


def neighbours(
    remote: Table,
    local: Table,
    ports: Mapping[str, Port],
    bridge_ports: Mapping[str, Value] | None = None,
) -> tuple[Neighbour, ...]:
    """Return the neighbours, ordered by port, without those whose local port is not known.

    Args:
        remote: Rows of lldpRemTable.
        local: Rows of lldpLocPortTable.
        ports: The ports by ifIndex.
        bridge_ports: dot1dBasePortIfIndex: ifIndex by the number of a port of the bridge.
    """
    local_ports = LocalPorts(local, ports, bridge_ports or {})
    unique = {
        Neighbour(
            port,
            as_name(remote[mib.LLDP_REM_SYS_NAME].get(key)),
            _chassis_id(remote, key),
            _remote_port_id(remote, key),
            as_name(remote[mib.LLDP_REM_PORT_DESC].get(key)),
        )
        for key in remote[mib.LLDP_REM_CHASSIS_ID]
        if (port := _local_port(key, local_ports))
    }
    return tuple(
        sorted(unique, key=lambda neighbour: (neighbour.port, neighbour.system, neighbour.chassis))
    )


def _local_port(key: str, local_ports: LocalPorts) -> str:
    index = key.split(".")
    return local_ports.name(index[1]) if len(index) == LLDP_REMOTE_INDEX_ARCS else ""


def chassis_id(subtype: Value, value: Value) -> str:
    """Return a chassis identifier, local or of a neighbour, as text."""
    kind = as_int(subtype)
    return identifier(value, mac=kind == CHASSIS_MAC, address=kind == CHASSIS_ADDRESS)


def _chassis_id(remote: Table, key: str) -> str:
    subtype = remote[mib.LLDP_REM_CHASSIS_ID_SUBTYPE].get(key)
    return chassis_id(subtype, remote[mib.LLDP_REM_CHASSIS_ID].get(key))


def _remote_port_id(remote: Table, key: str) -> str:
    subtype = as_int(remote[mib.LLDP_REM_PORT_ID_SUBTYPE].get(key))
    value = remote[mib.LLDP_REM_PORT_ID].get(key)
    return identifier(value, mac=subtype == PORT_MAC, address=subtype == PORT_ADDRESS)
