"""Ports and counters of an element from ietf-interfaces (RFC 7223, RFC 8343)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lxml.etree import _Element as Element

from adapters.netconf.profile import Profile
from adapters.netconf.services import State
from adapters.netconf.session import Session
from adapters.values import Port

INTERFACES_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-ip"
LOOPBACK = "softwareLoopback"


class Counter(NamedTuple):
    """The leaf of a counter below ``statistics``, and its unit."""

    leaf: str
    unit: str


COUNTERS = {
    "octets_in": Counter("in-octets", "octets"),
    "octets_out": Counter("out-octets", "octets"),
    "errors_in": Counter("in-errors", "packets"),
    "errors_out": Counter("out-errors", "packets"),
    "discards_in": Counter("in-discards", "packets"),
    "discards_out": Counter("out-discards", "packets"),
}


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of the element.

    Attributes:
        name: Name of the interface.
        index: ifIndex; may be empty.
        enabled: Administrative state; None if the element does not report it.
        state: Operational state in the words of RFC 2863; empty if the element does not report it.
        speed: Speed in bits per second; 0 if the element does not report it.
        mac: Hardware address; may be empty.
        addresses: IP addresses with their prefix lengths.
        counters: Values by the names of ``COUNTERS``.
        discontinuity_time: Time when the counters were last reset; may be empty.
    """

    name: str
    index: str
    enabled: bool | None
    state: str
    speed: int
    mac: str
    addresses: tuple[str, ...]
    counters: Mapping[str, int]
    discontinuity_time: str


#: RFC 8343 oper-status -> RFC 2863 ifOperStatus, where they are spelled differently.
OPER_STATES = {"not-present": "notPresent", "lower-layer-down": "lowerLayerDown"}


async def read_interfaces(session: Session, profile: Profile) -> list[Interface]:
    """Return the interfaces that match the profile, ordered by name, without loopbacks.

    An element may have both the states of RFC 7223 (interfaces-state) and those of RFC 8343; the
    former take precedence.
    """
    filters = (
        f'<interfaces-state xmlns="{INTERFACES_NAMESPACE}"/>',
        f'<interfaces xmlns="{INTERFACES_NAMESPACE}"/>',
    )
    data = await session.read("get", *filters)
    interfaces: dict[str, Interface] = {}
    for container in ("interfaces", "interfaces-state"):
        for entry in data.iterfind(_path(f"{container}/interface")):
            interface = _interface(entry)
            if not re.fullmatch(profile.port_pattern, interface.name) or _is_loopback(entry):
                continue
            if _text(entry, "oper-status") or interface.name not in interfaces:
                interfaces[interface.name] = interface
    return [interfaces[name] for name in sorted(interfaces)]


def port_of_interface(interface: Interface, state: State, profile: Profile) -> Port:
    """Return the port of an interface and of the service on it."""
    enabled = interface.enabled
    if enabled is None:
        enabled = state.get("enabled", True) is not False
    return Port(
        name=interface.name,
        index=interface.index,
        tag=str(state["tag"]),
        enabled=enabled,
        up=interface.state == "up",
        speed=interface.speed,
        mac=interface.mac,
        access=re.fullmatch(profile.access_pattern, interface.name) is not None,
        addresses=interface.addresses,
        state=interface.state,
    )


def _interface(entry: Element) -> Interface:
    admin_status = _text(entry, "admin-status") or _text(entry, "enabled")
    return Interface(
        name=_text(entry, "name"),
        index=_text(entry, "if-index"),
        enabled=admin_status in {"up", "true"} if admin_status else None,
        state=OPER_STATES.get(state := _text(entry, "oper-status"), state),
        speed=_number(_text(entry, "speed")) or 0,
        mac=_text(entry, "phys-address").lower(),
        addresses=_addresses(entry),
        counters={
            name: value
            for name, counter in COUNTERS.items()
            if (value := _number(_text(entry, f"statistics/{counter.leaf}"))) is not None
        },
        discontinuity_time=_text(entry, "statistics/discontinuity-time"),
    )


def _addresses(entry: Element) -> tuple[str, ...]:
    ip = f"{{{IP_NAMESPACE}}}"
    addresses = (
        _address(address)
        for family in ("ipv4", "ipv6")
        for address in entry.iterfind(f"{ip}{family}/{ip}address")
    )
    return tuple(address for address in addresses if address)


def _address(entry: Element) -> str:
    """Return an address with its prefix length, which an IPv4 subnet may have as a netmask.

    Source: RFC 8344, choice subnet.
    """
    ip, prefix, netmask = (
        (entry.findtext(f"{{{IP_NAMESPACE}}}{leaf}") or "").strip()
        for leaf in ("ip", "prefix-length", "netmask")
    )
    suffix = prefix or netmask
    try:
        return str(ipaddress.ip_interface(f"{ip}/{suffix}")) if suffix else ip
    except ValueError:
        return f"{ip}/{suffix}"  # discovery lists it as not valid


def _path(names: str) -> str:
    """Return a path with the namespace of ietf-interfaces in each step."""
    return "/".join(f"{{{INTERFACES_NAMESPACE}}}{name}" for name in names.split("/"))


def _text(entry: Element, names: str) -> str:
    return (entry.findtext(_path(names)) or "").strip()


def _is_loopback(entry: Element) -> bool:
    return _text(entry, "type").rpartition(":")[2] == LOOPBACK


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() else None
