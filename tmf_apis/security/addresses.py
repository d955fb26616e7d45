"""IP addresses that a URL from a client may lead to.

Python's ``is_global`` is not used. It is wrong for several ranges, because RFC 6890 was amended,
and it ignores IPv4 addresses that are embedded in IPv6 addresses.

Source: IANA IPv4 and IPv6 special-purpose address registries; RFC 3056, 4291, 4380, 5214, 6052.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Always denied, even if the operator lists them: they are not hosts, or are services of a cloud.
FORBIDDEN_NETWORKS: tuple[tuple[Network, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "this host"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
    (IPv4Network("100.100.100.200/32"), "cloud metadata"),
    (IPv4Network("168.63.129.16/32"), "cloud metadata"),
    (IPv4Network("192.0.0.0/24"), "IETF protocol assignments"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
    (IPv6Network("::/128"), "unspecified"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("fec0::/10"), "site-local"),
    (IPv6Network("fd00:ec2::/32"), "cloud metadata"),
    (IPv6Network("ff00::/8"), "multicast"),
)

#: Number of groups of an IPv6 address that one customer of a provider usually has (RFC 6177).
_IPV6_GROUPS = 4
#: Start of an IPv6 address that is an IPv4 address (RFC 4291, section 2.5.5.2).
_IPV4_MAPPED = "::ffff:"

LOOPBACK_NETWORKS: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

#: Private and special networks: permitted for hosts that the operator lists.
INTERNAL_NETWORKS: tuple[tuple[Network, str], ...] = (
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("172.16.0.0/12"), "private"),
    (IPv4Network("192.168.0.0/16"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared by carriers"),
    (IPv4Network("192.0.2.0/24"), "documentation"),
    (IPv4Network("192.88.99.0/24"), "6to4 relay"),
    (IPv4Network("198.18.0.0/15"), "benchmarking"),
    (IPv4Network("198.51.100.0/24"), "documentation"),
    (IPv4Network("203.0.113.0/24"), "documentation"),
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("2001::/23"), "IETF protocol assignments"),
    (IPv6Network("2001:db8::/32"), "documentation"),
    (IPv6Network("3fff::/20"), "documentation"),
)

GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
IPV4_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
IPV4_COMPATIBLE = IPv6Network("::/96")
#: Interface identifiers of ISATAP, local and universal (RFC 5214).
ISATAP_IDENTIFIERS = (0x00005EFE, 0x02005EFE)


def is_loopback(host: str) -> bool:
    """Return whether the host of a URL is this machine.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("10.0.0.1")
    (True, True, False)
    >>> is_loopback("::ffff:127.0.0.1")
    True
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host.removeprefix(_IPV4_MAPPED)).is_loopback
    except ValueError:
        return False


def embedded_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that are embedded in an IPv6 address; empty if there are none.

    >>> embedded_ipv4(IPv6Address("2002:7f00:1::"))
    (IPv4Address('127.0.0.1'),)
    """
    last_32_bits = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    is_translated = address in NAT64 or address in IPV4_TRANSLATED
    is_compatible = address in IPV4_COMPATIBLE and int(address) > 1
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in ISATAP_IDENTIFIERS
    return (last_32_bits,) if is_translated or is_compatible or is_isatap else ()


def is_in_networks(address: Address, networks: Iterable[Network]) -> bool:
    """Return whether an address, or every IPv4 address embedded in it, is in some networks.

    >>> is_in_networks(ip_address("::ffff:10.0.0.1"), [IPv4Network("10.0.0.0/8")])
    True
    """
    networks = tuple(networks)
    embedded = embedded_ipv4(address) if isinstance(address, IPv6Address) else ()
    return all(
        any(effective in network for network in networks) for effective in embedded or (address,)
    )


def denial_reason(
    address: Address, *, allow_loopback: bool = False, allow_internal: bool = False
) -> str:
    """Return the reason why connections to an address are denied; empty if they are permitted.

    Args:
        address: The address.
        allow_loopback: This machine is permitted.
        allow_internal: Private networks are permitted.

    >>> denial_reason(IPv4Address("10.1.2.3"))
    'private'
    >>> denial_reason(IPv6Address("64:ff9b::a9fe:a9fe"), allow_internal=True)
    'link-local'
    >>> denial_reason(IPv4Address("9.9.9.9"))
    ''
    """
    if isinstance(address, IPv6Address) and (embedded := embedded_ipv4(address)):
        reasons = (
            denial_reason(ipv4, allow_loopback=allow_loopback, allow_internal=allow_internal)
            for ipv4 in embedded
        )
        return next((reason for reason in reasons if reason), "")
    for network, name in FORBIDDEN_NETWORKS:
        if address in network:
            return name
    if any(address in network for network in LOOPBACK_NETWORKS):
        return "" if allow_loopback else "loopback"
    for network, name in INTERNAL_NETWORKS:
        if address in network:
            return "" if allow_internal else name
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return "not global unicast"
    return ""


def address_key(address: str) -> str:
    """Return the key of an address: an IPv4 address, or the network /64 of an IPv6 address.

    >>> address_key("192.0.2.1"), address_key("2001:db8:1:2::7"), address_key("2001:db8::7")
    ('192.0.2.1', '2001:db8:1:2', '2001:db8:0:0')
    >>> address_key("::ffff:192.0.2.1")  # a client by IPv4, if the server listens on IPv6
    '192.0.2.1'
    """
    address = address.removeprefix(_IPV4_MAPPED) if "." in address else address
    if ":" not in address:
        return address
    head, _, tail = address.partition("::")
    groups = head.split(":") if head else []
    missing = 8 - len(groups) - len(tail.split(":") if tail else [])
    return ":".join([*groups, *["0"] * missing][:_IPV6_GROUPS])
