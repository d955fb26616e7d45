"""The address that a notification comes from: that of its datagram, or one that a relay names.

Source: RFC 3584 section 3.1 (agent-addr of a v1 trap), section 4 (snmpTrapAddress and
snmpTrapCommunity of a notification that a proxy forwards).
"""

from ipaddress import IPv6Address, ip_address

from adapters.snmp.wire.message import Pdu, TrapV1

SNMP_TRAP_ADDRESS = "1.3.6.1.6.3.18.1.3.0"
SNMP_TRAP_COMMUNITY = "1.3.6.1.6.3.18.1.4.0"
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - agent-addr of an element that has no IPv4 address


def normalized_address(host: str) -> str:
    """Return one form of an address, however a socket or an operator writes it.

    >>> normalized_address("::ffff:192.0.2.1"), normalized_address("FE80::1%eth0")
    ('192.0.2.1', 'fe80::1')
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def named_address(pdu: Pdu | TrapV1) -> str:
    """Return the address that a notification names as its origin; empty: none."""
    for variable in pdu.variables:
        if variable.oid == SNMP_TRAP_ADDRESS and isinstance(variable.value, str):
            return variable.value if variable.value != _NO_ADDRESS else ""
    if isinstance(pdu, TrapV1) and pdu.agent != _NO_ADDRESS:
        return pdu.agent
    return ""


def communities(pdu: Pdu | TrapV1, community: bytes) -> set[bytes]:
    """Return the communities of a forwarded notification: the relay's and that of its origin."""
    named = {
        variable.value
        for variable in pdu.variables
        if variable.oid == SNMP_TRAP_COMMUNITY and isinstance(variable.value, bytes)
    }
    return {community} | named
