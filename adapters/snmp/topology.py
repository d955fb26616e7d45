"""What an SNMP element knows of its surroundings: IP addresses and neighbours; no I/O.

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
#: lldpRemTable is indexed by time mark, local port and a number.
LLDP_REMOTE_INDEX_ARCS = 3


def addresses(table: Table, legacy_table: Table) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each ifIndex, from both tables, in order.

    Addresses that no other element can reach (loopback) are left out.
    """
    found: dict[str, set[str]] = {}
    for index, address in (*_ip_addresses(table), *_legacy_addresses(legacy_table)):
        if not ipaddress.ip_interface(address).is_loopback:
            found.setdefault(index, set()).add(address)
    return {
        index: tuple(sorted(_without_duplicates(some), key=_sort_key))
        for index, some in found.items()
    }


def _without_duplicates(interface_addresses: set[str]) -> set[str]:
    """Return addresses without those that are there with a prefix too."""
    with_prefix = {one.partition("/")[0] for one in interface_addresses if "/" in one}
    return {one for one in interface_addresses if "/" in one or one not in with_prefix}


def _sort_key(address: str) -> tuple[int, int]:
    interface = ipaddress.ip_interface(address)
    return interface.version, int(interface)


def _ip_addresses(table: Table) -> Iterator[tuple[str, str]]:
    for key, index in table[mib.IP_ADDRESS_IF_INDEX].items():
        kind, size, *octets = map(int, key.split("."))
        if ADDRESS_LENGTHS.get(kind) is None or len(octets) != size or size < ADDRESS_LENGTHS[kind]:
            continue
        raw = octets[: ADDRESS_LENGTHS[kind]]
        if any(octet > 0xFF for octet in raw):  # noqa: PLR2004 - largest octet
            continue
        address = ipaddress.ip_address(bytes(raw))
        prefix = as_text(table[mib.IP_ADDRESS_PREFIX].get(key)).rpartition(".")[2]
        known = prefix.isdigit() and 0 < int(prefix) <= address.max_prefixlen
        yield str(as_int(index)), f"{address}/{prefix}" if known else str(address)


def _legacy_addresses(table: Table) -> Iterator[tuple[str, str]]:
    for key, index in table[mib.IP_AD_ENT_IF_INDEX].items():
        mask = as_text(table[mib.IP_AD_ENT_NET_MASK].get(key))
        try:
            yield str(as_int(index)), str(ipaddress.IPv4Interface(f"{key}/{mask}"))
        except ValueError:
            continue


def neighbours(remote: Table, local: Table, ports: Mapping[str, Port]) -> tuple[Neighbour, ...]:
    """Return the neighbours at ports, ordered by port; one whose port cannot be told is left out.

    Args:
        remote: Rows of lldpRemTable.
        local: Rows of lldpLocPortTable.
        ports: The ports by ifIndex.
    """
    found = {
        Neighbour(
            port,
            as_text(remote[mib.LLDP_REM_SYS_NAME].get(key)),
            _chassis_id(remote, key),
            _remote_port_id(remote, key),
        )
        for key in remote[mib.LLDP_REM_CHASSIS_ID]
        if (port := _local_port(key, local, ports))
    }
    return tuple(sorted(found, key=lambda one: (one.port, one.system, one.chassis)))


def _chassis_id(remote: Table, key: str) -> str:
    kind = as_int(remote[mib.LLDP_REM_CHASSIS_ID_SUBTYPE].get(key))
    value = remote[mib.LLDP_REM_CHASSIS_ID].get(key)
    return _identifier(value, mac=kind == CHASSIS_MAC, address=kind == CHASSIS_ADDRESS)


def _remote_port_id(remote: Table, key: str) -> str:
    kind = as_int(remote[mib.LLDP_REM_PORT_ID_SUBTYPE].get(key))
    value = remote[mib.LLDP_REM_PORT_ID].get(key)
    return _identifier(value, mac=kind == PORT_MAC, address=kind == PORT_ADDRESS)


def _identifier(value: Value, *, mac: bool, address: bool) -> str:
    if isinstance(value, bytes) and mac:
        return value.hex(":")
    if isinstance(value, bytes) and address and len(value) - 1 in {4, 16}:
        return str(ipaddress.ip_address(value[1:]))  # the first octet is the family
    return as_text(value)


def _local_port(key: str, local: Table, ports: Mapping[str, Port]) -> str:
    """Return the natural key of the port that a neighbour is at; empty: it cannot be told.

    Agents identify their ports by name, by hardware address or in their own way, and many number
    them as IF-MIB does.
    """
    arcs = key.split(".")
    if len(arcs) != LLDP_REMOTE_INDEX_ARCS:
        return ""
    place, names = arcs[1], {port.name for port in ports.values()}
    kind = as_int(local[mib.LLDP_LOC_PORT_ID_SUBTYPE].get(place))
    value = local[mib.LLDP_LOC_PORT_ID].get(place)
    if kind == PORT_MAC:
        mac = _identifier(value, mac=True, address=False)
        same = [port.name for port in ports.values() if port.mac == mac]
        if len(same) == 1:
            return same[0]
    for said in (as_text(value), as_text(local[mib.LLDP_LOC_PORT_DESC].get(place))):
        if said in names:
            return said
    if kind != PORT_NAME and (as_text(value) in ports or place in ports):
        return ports[as_text(value) if as_text(value) in ports else place].name
    return ""
