"""What is told of a switch, from what was read of it: pure, no I/O."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from adapters.observations import RawFault, Sample
from adapters.ovsdb.rows import (
    PORT_COLUMNS,
    SwitchSnapshot,
    has_link,
    map_items,
    optional_value,
    port_service_id,
    row_uuid,
    set_members,
)
from adapters.snmp import mib
from adapters.values import Component, Facts, Observed

SETTINGS = ("vlan", "downstream", "upstream", "enabled")
#: Ours, the database's, and the unit.
COUNTERS = (
    ("octets_in", "rx_bytes", "octets"),
    ("octets_out", "tx_bytes", "octets"),
    ("errors_in", "rx_errors", "packets"),
    ("errors_out", "tx_errors", "packets"),
    ("discards_in", "rx_dropped", "packets"),
    ("discards_out", "tx_dropped", "packets"),
)


def check_types(switch: SwitchSnapshot) -> None:
    """Look at everything once, so that whatever looks later finds values of the right type.

    Raises:
        LookupError: Something is missing; or ``ValueError``, ``TypeError``, ``AttributeError``,
            ``OverflowError``: it is not of its type.
    """
    ports = switch.ports.values()
    others = (*switch.interfaces.values(), *switch.shapers.values())
    for row in (switch.system, *switch.bridges, *ports, *others):
        for value in row.values():
            set_members(value)
            map_items(value)
    for port in ports:
        switch.port(port, access=switch.can_carry_services(port))
        for column in PORT_COLUMNS:
            port[column]
    for shaper in switch.shapers.values():
        for column in ("type", "other_config", "queues"):
            shaper[column]
        for queue in map_items(shaper["queues"]).values():
            set_members(queue)[0]
    components(switch)
    services(switch)
    conditions("", switch)
    list(counters(switch, (), datetime.now(UTC)))


def facts(switch: SwitchSnapshot) -> Facts:
    """Return what a switch is; its database does not say since when it runs."""
    about = map_items(switch.system.get("external_ids"))
    identity = str(about.get("system-id", ""))
    version = optional_value(switch.system.get("ovs_version")) or "of unknown version"
    return Facts(
        name=str(about.get("hostname") or identity or "switch"),
        vendor="Open vSwitch",
        model="Open vSwitch",
        software=f"Open vSwitch {version}",
        serial=identity,
        uptime=0.0,
        boots=0,
    )


def components(switch: SwitchSnapshot) -> tuple[Component, ...]:
    """Return the switch as a chassis, its bridges as modules in it."""
    about = facts(switch)
    chassis = about.serial or "switch"
    whole = Component(chassis, "chassis", "", about.model, about.serial, about.software)
    kinds = ((one["name"], str(one.get("datapath_type") or "")) for one in switch.bridges)
    return whole, *(Component(f"bridge {name}", "module", chassis, kind) for name, kind in kinds)


def services(switch: SwitchSnapshot) -> list[Observed]:
    """Return every port with the id of a service on it."""
    return [
        Observed(tag, name, settings, up=has_link(switch.interface(row)))
        for name, row in switch.ports.items()
        if (tag := port_service_id(row))
        for state in [switch.state(row)]
        for settings in [{one: state[one] for one in SETTINGS if one in state}]
    ]


def counters(switch: SwitchSnapshot, ports: Sequence[str], now: datetime) -> Iterator[Sample]:
    """Yield the counters of some ports, or of all."""
    for name, row in switch.ports.items():
        interface = switch.interface(row)
        counted = map_items(interface.get("statistics"))
        for ours, theirs, unit in COUNTERS:
            if theirs in counted and (not ports or name in ports):
                yield Sample(name, ours, int(counted[theirs]), unit, now, row_uuid(interface))


def conditions(element: str, switch: SwitchSnapshot) -> list[RawFault]:
    """Return a link-down condition for each port that is switched on and has no link."""
    now = datetime.now(UTC)
    return [
        RawFault(
            element,
            mib.LINK_DOWN,
            name,
            active=True,
            seen_at=now,
            attributes={"tag": port_service_id(row)},
        )
        for name, row in switch.ports.items()
        if switch.state(row).get("enabled", True)
        and switch.interface(row).get("type") != "internal"
        and not has_link(switch.interface(row))
    ]
