"""Facts, services, counters and conditions of a switch from its database; pure, no I/O."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from adapters import condition_types
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
from adapters.values import Component, Facts, Observed

SETTINGS = ("vlan", "downstream", "upstream", "enabled")
#: Name of the counter, its name in the database, and its unit.
COUNTERS = (
    ("octets_in", "rx_bytes", "octets"),
    ("octets_out", "tx_bytes", "octets"),
    ("errors_in", "rx_errors", "packets"),
    ("errors_out", "tx_errors", "packets"),
    ("discards_in", "rx_dropped", "packets"),
    ("discards_out", "tx_dropped", "packets"),
)


def check_types(switch: SwitchSnapshot) -> None:
    """Access all values once, so that later access finds them of the right types.

    Raises:
        LookupError: A value is missing.
        ValueError: A value is of the wrong type.
        TypeError: A value is of the wrong type.
        AttributeError: A value is of the wrong type.
        OverflowError: A number is infinite.
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
    """Return the facts of a switch; its database has no uptime."""
    external_ids = map_items(switch.system.get("external_ids"))
    system_id = str(external_ids.get("system-id", ""))
    version = optional_value(switch.system.get("ovs_version")) or "of unknown version"
    return Facts(
        name=str(external_ids.get("hostname") or system_id or "switch"),
        vendor="Open vSwitch",
        model="Open vSwitch",
        software=f"Open vSwitch {version}",
        serial=system_id,
        uptime=0.0,
        boots=0,
    )


def components(switch: SwitchSnapshot) -> tuple[Component, ...]:
    """Return the switch as a chassis and its bridges as modules of the chassis."""
    system = facts(switch)
    name = system.serial or "switch"
    chassis = Component(name, "chassis", "", system.model, system.serial, system.software)
    modules = [
        Component(f"bridge {row['name']}", "module", name, str(row.get("datapath_type") or ""))
        for row in switch.bridges
    ]
    return chassis, *modules


def services(switch: SwitchSnapshot) -> list[Observed]:
    """Return the services of the ports that have the id of a service."""
    services = []
    for port, row in switch.ports.items():
        if service_id := port_service_id(row):
            state = switch.state(row)
            settings = {name: state[name] for name in SETTINGS if name in state}
            is_up = has_link(switch.interface(row))
            services.append(Observed(service_id, port, settings, up=is_up))
    return services


def counters(switch: SwitchSnapshot, ports: Sequence[str], now: datetime) -> Iterator[Sample]:
    """Yield the counters of some ports, or of all."""
    for name, row in switch.ports.items():
        interface = switch.interface(row)
        statistics = map_items(interface.get("statistics"))
        for counter, key, unit in COUNTERS:
            if key in statistics and (not ports or name in ports):
                yield Sample(name, counter, int(statistics[key]), unit, now, row_uuid(interface))


def conditions(element: str, switch: SwitchSnapshot) -> list[RawFault]:
    """Return a link-down condition for each port that is enabled and has no link."""
    now = datetime.now(UTC)
    return [
        RawFault(
            element,
            condition_types.LINK_DOWN,
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
