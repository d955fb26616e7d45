"""The interfaces of an element: ports and counters (RFC 7223, RFC 8343)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml.etree import _Element as Element

from adapters.netconf.profile import Profile
from adapters.netconf.services import State
from adapters.netconf.session import Session
from adapters.values import Port

INTERFACES_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-ip"
LOOPBACK = "softwareLoopback"
COUNTERS = {
    "octets_in": ("in-octets", "octets"),
    "octets_out": ("out-octets", "octets"),
    "errors_in": ("in-errors", "packets"),
    "errors_out": ("out-errors", "packets"),
    "discards_in": ("in-discards", "packets"),
    "discards_out": ("out-discards", "packets"),
}


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as the element shows it.

    Attributes:
        name: Its name.
        index: The element's number for it; may be empty.
        enabled: Switched on by the operator; None where the element does not say.
        up: Working.
        speed: In bits per second; 0 where the element does not say.
        mac: Hardware address; may be empty.
        addresses: With prefix length.
        counters: From the names of ``COUNTERS`` to values.
        discontinuity_time: When its counters began; may be empty.
    """

    name: str
    index: str
    enabled: bool | None
    up: bool
    speed: int
    mac: str
    addresses: tuple[str, ...]
    counters: Mapping[str, int]
    discontinuity_time: str


async def read_interfaces(session: Session, profile: Profile) -> list[Interface]:
    """Return the interfaces that the profile shows, ordered by name, loopbacks left out."""
    filters = (
        f'<interfaces-state xmlns="{INTERFACES_NAMESPACE}"/>',
        f'<interfaces xmlns="{INTERFACES_NAMESPACE}"/>',
    )
    data = await session.read("get", *filters)
    found: dict[str, Interface] = {}
    for container in ("interfaces", "interfaces-state"):  # what the old one says counts more
        for entry in data.iterfind(
            f"{{{INTERFACES_NAMESPACE}}}{container}/{{{INTERFACES_NAMESPACE}}}interface"
        ):
            one = _interface(entry)
            shown = re.fullmatch(profile.port_pattern, one.name) and not _has_identity(
                entry, "type", LOOPBACK
            )
            if shown and (_text(entry, "oper-status") or one.name not in found):
                found[one.name] = one
    return [found[name] for name in sorted(found)]


def port_of_interface(interface: Interface, state: State, profile: Profile) -> Port:
    """Return an interface with its service as a port."""
    switched = interface.enabled
    if switched is None:
        switched = state.get("enabled", True) is not False
    return Port(
        name=interface.name,
        index=interface.index,
        tag=str(state["tag"]),
        enabled=switched,
        up=interface.up,
        speed=interface.speed,
        mac=interface.mac,
        access=re.fullmatch(profile.access_pattern, interface.name) is not None,
        addresses=interface.addresses,
    )


def _interface(entry: Element) -> Interface:
    switched = _text(entry, "admin-status") or _text(entry, "enabled")
    return Interface(
        name=_text(entry, "name"),
        index=_text(entry, "if-index"),
        enabled=switched in {"up", "true"} if switched else None,
        up=_text(entry, "oper-status") == "up",
        speed=_number(_text(entry, "speed")) or 0,
        mac=_text(entry, "phys-address").lower(),
        addresses=tuple(
            f"{found.findtext(f'{{{IP_NAMESPACE}}}ip')}/{found.findtext(f'{{{IP_NAMESPACE}}}prefix-length')}"
            for family in ("ipv4", "ipv6")
            for found in entry.iterfind(f"{{{IP_NAMESPACE}}}{family}/{{{IP_NAMESPACE}}}address")
        ),
        counters={
            name: value
            for name, (leaf, _) in COUNTERS.items()
            if (value := _number(_text(entry, f"statistics/{{{INTERFACES_NAMESPACE}}}{leaf}")))
            is not None
        },
        discontinuity_time=_text(entry, f"statistics/{{{INTERFACES_NAMESPACE}}}discontinuity-time"),
    )


def _text(entry: Element, name: str) -> str:
    return (entry.findtext(f"{{{INTERFACES_NAMESPACE}}}{name}") or "").strip()


def _has_identity(entry: Element, name: str, word: str) -> bool:
    return _text(entry, name).rpartition(":")[2] == word


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() else None
