"""The IP addresses and neighbours of an SNMP element, computed from rows of its MIBs; no I/O.

Source: RFC 4293 (ipAddressTable), RFC 1213 (ipAddrTable), IEEE 802.1AB (LLDP-MIB).
"""

import ipaddress
from collections.abc import Iterator, Mapping

from adapters.snmp import mib
from adapters.snmp.wire.ber import Value, as_int, as_text
from adapters.values import Neighbour, Port

Table = Mapping[str, Mapping[str, Value]]

ADDRESS_COLUMNS = (mib.IP_ADDRESS_IF_INDEX, mib.IP_ADDRESS_PREFIX)
LEGACY_ADDRESS_COLUMNS = (mib.IP_AD_ENT_IF_INDEX, mib.IP_AD_ENT_NET_MASK)
LLDP_LOCAL_COLUMNS = (mib.LLDP_LOC_PORT_ID_SUBTYPE, mib.LLDP_LOC_PORT_ID, mib.LLDP_LOC_PORT_DESC)
LLDP_REMOTE_COLUMNS = (
    mib.LLDP_REM_CHASSIS_ID_SUBTYPE,
    mib.LLDP_REM_CHASSIS_ID,
    mib.LLDP_REM_PORT_ID_SUBTYPE,
    mib.LLDP_REM_PORT_ID,
    mib.LLDP_REM_SYS_NAME,
)
IPV4, IPV6, IPV4_ZONED, IPV6_ZONED = 1, 2, 3, 4  # InetAddressType
ADDRESS_LENGTHS = {IPV4: 4, IPV6: 16, IPV4_ZONED: 4, IPV6_ZONED: 16}
# LldpChassisIdSubtype and LldpPortIdSubtype
CHASSIS_MAC, CHASSIS_ADDRESS = 4, 5
PORT_MAC, PORT_ADDRESS, PORT_NAME = 3, 4, 5
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
        address_type, size, *octets = map(int, key.split("."))
        length = ADDRESS_LENGTHS.get(address_type)
        if length is None or len(octets) != size or size < length:
            continue
        raw = octets[:length]
        if any(octet > 0xFF for octet in raw):  # noqa: PLR2004 - largest octet
            continue
        address = ipaddress.ip_address(bytes(raw))
        prefix = as_text(table[mib.IP_ADDRESS_PREFIX].get(key)).rpartition(".")[2]
        has_prefix = prefix.isdigit() and 0 < int(prefix) <= address.max_prefixlen
        yield str(as_int(index)), f"{address}/{prefix}" if has_prefix else str(address)


def _legacy_addresses(table: Table) -> Iterator[tuple[str, str]]:
    for key, index in table[mib.IP_AD_ENT_IF_INDEX].items():
        mask = as_text(table[mib.IP_AD_ENT_NET_MASK].get(key))
        try:
            yield str(as_int(index)), str(ipaddress.IPv4Interface(f"{key}/{mask}"))
        except ValueError:
            continue


def neighbours(remote: Table, local: Table, ports: Mapping[str, Port]) -> tuple[Neighbour, ...]:
    """Return the neighbours, ordered by port, without those whose local port is not known.

    Args:
        remote: Rows of lldpRemTable.
        local: Rows of lldpLocPortTable.
        ports: The ports by ifIndex.
    """
    unique = {
        Neighbour(
            port,
            as_text(remote[mib.LLDP_REM_SYS_NAME].get(key)),
            _chassis_id(remote, key),
            _remote_port_id(remote, key),
        )
        for key in remote[mib.LLDP_REM_CHASSIS_ID]
        if (port := _local_port(key, local, ports))
    }
    return tuple(
        sorted(unique, key=lambda neighbour: (neighbour.port, neighbour.system, neighbour.chassis))
    )


def _chassis_id(remote: Table, key: str) -> str:
    subtype = as_int(remote[mib.LLDP_REM_CHASSIS_ID_SUBTYPE].get(key))
    value = remote[mib.LLDP_REM_CHASSIS_ID].get(key)
    return _identifier(value, mac=subtype == CHASSIS_MAC, address=subtype == CHASSIS_ADDRESS)


def _remote_port_id(remote: Table, key: str) -> str:
    subtype = as_int(remote[mib.LLDP_REM_PORT_ID_SUBTYPE].get(key))
    value = remote[mib.LLDP_REM_PORT_ID].get(key)
    return _identifier(value, mac=subtype == PORT_MAC, address=subtype == PORT_ADDRESS)


def _identifier(value: Value, *, mac: bool, address: bool) -> str:
    if isinstance(value, bytes) and mac:
        return value.hex(":")
    if isinstance(value, bytes) and address and len(value) - 1 in {4, 16}:
        return str(ipaddress.ip_address(value[1:]))  # the first octet is the address family
    return as_text(value)


def _local_port(key: str, local: Table, ports: Mapping[str, Port]) -> str:
    """Return the natural key of the local port of a neighbour; empty if it is not known.

    Agents identify their ports by name, by MAC address or in a way of their own. Many number them
    as IF-MIB does.
    """
    index = key.split(".")
    if len(index) != LLDP_REMOTE_INDEX_ARCS:
        return ""
    number, names = index[1], {port.name for port in ports.values()}
    subtype = as_int(local[mib.LLDP_LOC_PORT_ID_SUBTYPE].get(number))
    value = local[mib.LLDP_LOC_PORT_ID].get(number)
    port_id = as_text(value)
    if subtype == PORT_MAC:
        mac = _identifier(value, mac=True, address=False)
        same_mac = [port.name for port in ports.values() if port.mac == mac]
        if len(same_mac) == 1:
            return same_mac[0]
    for name in (port_id, as_text(local[mib.LLDP_LOC_PORT_DESC].get(number))):
        if name in names:
            return name
    if subtype != PORT_NAME and (port_id in ports or number in ports):
        return ports[port_id if port_id in ports else number].name
    return ""
