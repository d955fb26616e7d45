"""The rows of the database of a switch, and a snapshot of all of them; pure, no I/O.

Source: ovs-vswitchd.conf.db(5); values as in RFC 7047, section 5.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.planning import State
from adapters.values import Port

Row = Mapping[str, Any]
#: Key of the id of the service in the external_ids of a port.
SERVICE_KEY = "service"
#: Key of the name of the port in the external_ids of a QoS or Queue that this adapter created.
PORT_KEY = "tmf-port"
#: A VLAN that no frame can have (IEEE 802.1Q, table 9-2). A trunk with only this VLAN blocks all
#: traffic.
RESERVED_VLAN = 4095
SHAPER_TYPE = "linux-htb"
KBIT = 1000

#: Columns of a port; a change requires that none of them has changed since they were read.
PORT_COLUMNS = ("name", "tag", "vlan_mode", "trunks", "qos", "external_ids", "interfaces")
#: Columns that a snapshot consists of, by table.
COLUMNS = {
    "Open_vSwitch": (
        "cur_cfg", "next_cfg", "ovs_version", "external_ids",
    ),
    "Bridge": ("name", "datapath_type", "datapath_version"),
    "Port": PORT_COLUMNS,
    "Interface": (
        "name", "type", "admin_state", "link_state", "link_speed", "mac_in_use", "ofport",
        "ifindex", "error", "statistics", "ingress_policing_rate",
    ),
    "QoS": ("type", "other_config", "queues", "external_ids"),
}  # fmt: skip


def set_members(value: Any) -> list[Any]:  # noqa: ANN401
    """Return the members of a set; a single value is a set with one member.

    >>> set_members(["set", [1, 2]]), set_members(7), set_members(["uuid", "x"])
    ([1, 2], [7], ['x'])
    """
    if isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - a tag and what it tags
        kind, content = value
        if kind != "set":
            return [content]
        return [member for item in content for member in set_members(item)]
    return [] if value is None else [value]


def optional_value(value: Any) -> Any:  # noqa: ANN401
    """Return the value of an optional column, or None."""
    members = set_members(value)
    return members[0] if members else None


def map_items(value: Any) -> dict[Any, Any]:  # noqa: ANN401
    """Return the items of a map; empty if the value is not a map.

    >>> map_items(["map", [["service", "s-1"]]])
    {'service': 's-1'}
    """
    if isinstance(value, list) and len(value) == 2 and value[0] == "map":  # noqa: PLR2004
        return dict(value[1])
    return {}


def row_uuid(row: Row) -> str:
    """Return the UUID of a row."""
    return str(optional_value(row.get("_uuid")))


@dataclass(frozen=True, slots=True)
class SwitchSnapshot:
    """The rows of a switch at one moment.

    Attributes:
        system: The row of Open_vSwitch.
        bridges: The rows of Bridge, ordered by name.
        ports: The rows of Port by name, ordered by name.
        interfaces: The rows of Interface by UUID.
        shapers: The rows of QoS by UUID.
    """

    system: Row
    bridges: tuple[Row, ...]
    ports: Mapping[str, Row]
    interfaces: Mapping[str, Row]
    shapers: Mapping[str, Row]

    @classmethod
    def from_tables(cls, tables: Sequence[Sequence[Row]]) -> "SwitchSnapshot":
        """Return the snapshot of the tables of ``COLUMNS``, in that order."""
        system, bridges, ports, interfaces, shapers = tables
        return cls(
            system[0] if system else {},
            tuple(sorted(bridges, key=lambda row: str(row["name"]))),
            {str(row["name"]): row for row in sorted(ports, key=lambda row: str(row["name"]))},
            {row_uuid(row): row for row in interfaces},
            {row_uuid(row): row for row in shapers},
        )

    @property
    def tags(self) -> dict[str, str]:
        """The id of the service of each port, by name; empty: no service."""
        return {name: port_service_id(row) for name, row in self.ports.items()}

    @property
    def has_link_states(self) -> bool:
        """True if the switch has reported the states of its links.

        The database server keeps them in memory only: after its restart they are unknown until
        the switch has connected again.
        """
        states = [optional_value(row.get("link_state")) for row in self.interfaces.values()]
        return not states or any(states)

    def interface(self, port: Row) -> Row:
        """Return the first interface of a port."""
        return self.interfaces.get(str(optional_value(port.get("interfaces"))), {})

    def shaper(self, port: Row) -> Row | None:
        """Return the QoS of a port, or None."""
        return self.shapers.get(str(optional_value(port.get("qos"))))

    def can_carry_services(self, port: Row) -> bool:
        """Return whether a port can carry a service: it is no bond, no trunk and not internal."""
        if len(set_members(port.get("interfaces"))) != 1:
            return False
        has_trunk_mode = optional_value(port.get("vlan_mode")) not in {None, "access"}
        is_trunk = has_trunk_mode or bool(set_members(port.get("trunks")))
        return self.interface(port).get("type") != "internal" and (not is_trunk or is_blocked(port))

    def state(self, port: Row) -> State:
        """Return the attributes of a port; only the tag if it cannot carry a service."""
        tag = port_service_id(port)
        if not self.can_carry_services(port):
            return {"tag": tag}
        rate = map_items((self.shaper(port) or {}).get("other_config")).get("max-rate", "")
        return {
            "tag": tag,
            "vlan": optional_value(port.get("tag")) or 0,
            "downstream": int(rate) if str(rate).isdecimal() else 0,
            "upstream": int(self.interface(port).get("ingress_policing_rate", 0)) * KBIT,
            "enabled": not (tag and is_blocked(port)),
            "parked": not tag and is_blocked(port),
        }

    def port(self, row: Row, *, access: bool) -> Port:
        """Return a port for the inventory."""
        interface = self.interface(row)
        return Port(
            name=str(row["name"]),
            index=str(optional_value(interface.get("ofport")) or ""),
            tag=port_service_id(row),
            enabled=bool(self.state(row).get("enabled", True)),
            up=has_link(interface),
            speed=int(optional_value(interface.get("link_speed")) or 0),
            mac=str(optional_value(interface.get("mac_in_use")) or ""),
            access=access,
        )


def port_service_id(port: Row) -> str:
    """Return the id of the service on a port; empty if there is none."""
    return str(map_items(port.get("external_ids")).get(SERVICE_KEY, ""))


def is_blocked(port: Row) -> bool:
    """Return whether this adapter has blocked all traffic on a port."""
    mode, trunks = optional_value(port.get("vlan_mode")), set_members(port.get("trunks"))
    return mode == "trunk" and trunks == [RESERVED_VLAN]


def has_link(interface: Row) -> bool:
    """Return whether an interface is enabled and has a link."""
    columns = ("admin_state", "link_state")
    return all(optional_value(interface.get(column)) == "up" for column in columns)
