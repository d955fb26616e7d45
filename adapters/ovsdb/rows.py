"""What the database of a switch says, in our terms: pure, no I/O.

Source: ovs-vswitchd.conf.db(5); values as in RFC 7047, section 5.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.planning import State
from adapters.values import Port

Row = Mapping[str, Any]
#: Key in a port's external_ids: the id of its service.
SERVICE_KEY = "service"
#: Key in the external_ids of a QoS and of a Queue that we have made: their port.
PORT_KEY = "tmf-port"
#: A VLAN that no frame can have (IEEE 802.1Q, table 9-2): a trunk of it alone carries nothing.
RESERVED_VLAN = 4095
SHAPER_TYPE = "linux-htb"
KBIT = 1000

#: What is read, and for ports also what a change rests on.
PORT_COLUMNS = ("name", "tag", "vlan_mode", "trunks", "qos", "external_ids", "interfaces")
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
    """Return what is in a set, a single value being a set of one.

    >>> set_members(["set", [1, 2]]), set_members(7), set_members(["uuid", "x"])
    ([1, 2], [7], ['x'])
    """
    if isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - a tag and what it tags
        kind, content = value
        return (
            [one for each in content for one in set_members(each)] if kind == "set" else [content]
        )
    return [] if value is None else [value]


def optional_value(value: Any) -> Any:  # noqa: ANN401
    """Return the value of an optional column, or None."""
    found = set_members(value)
    return found[0] if found else None


def map_items(value: Any) -> dict[Any, Any]:  # noqa: ANN401
    """Return a map.

    >>> map_items(["map", [["service", "one"]]])
    {'service': 'one'}
    """
    if isinstance(value, list) and len(value) == 2 and value[0] == "map":  # noqa: PLR2004
        return dict(value[1])
    return {}


def row_uuid(row: Row) -> str:
    """Return the identity of a row."""
    return str(optional_value(row.get("_uuid")))


@dataclass(frozen=True, slots=True)
class SwitchSnapshot:
    """Everything that was read of a switch at one moment.

    Attributes:
        system: The row of Open_vSwitch.
        bridges: The rows of Bridge, ordered by name.
        ports: The rows of Port by name, in order.
        interfaces: The rows of Interface by identity.
        shapers: The rows of QoS by identity.
    """

    system: Row
    bridges: tuple[Row, ...]
    ports: Mapping[str, Row]
    interfaces: Mapping[str, Row]
    shapers: Mapping[str, Row]

    @classmethod
    def from_tables(cls, tables: Sequence[Sequence[Row]]) -> "SwitchSnapshot":
        """Return the switch of which the tables of ``COLUMNS`` were read, in that order."""
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
        """The id of the service of each port; empty: none."""
        return {name: port_service_id(row) for name, row in self.ports.items()}

    @property
    def has_link_states(self) -> bool:
        """Whether the switch says how its ports are.

        That is in the memory of the database server only: after its restart nothing is known
        until the switch has found it again.
        """
        states = [optional_value(one.get("link_state")) for one in self.interfaces.values()]
        return not states or any(states)

    def interface(self, port: Row) -> Row:
        """Return the first interface of a port."""
        return self.interfaces.get(str(optional_value(port.get("interfaces"))), {})

    def shaper(self, port: Row) -> Row | None:
        """Return the QoS of a port, if it has one."""
        return self.shapers.get(str(optional_value(port.get("qos"))))

    def can_carry_services(self, port: Row) -> bool:
        """Whether a service can be put on a port: no bond, no trunk, not the switch itself."""
        if len(set_members(port.get("interfaces"))) != 1:
            return False
        trunk = optional_value(port.get("vlan_mode")) not in {None, "access"} or set_members(
            port.get("trunks")
        )
        return self.interface(port).get("type") != "internal" and (not trunk or is_blocked(port))

    def state(self, port: Row) -> State:
        """Return the attributes of a port; one that carries no services has but its tag."""
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
        """Return a port as the inventory has it."""
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
    """Return the id of the service on a port; empty: none."""
    return str(map_items(port.get("external_ids")).get(SERVICE_KEY, ""))


def is_blocked(port: Row) -> bool:
    """Whether a port carries nothing because we have made it so."""
    return optional_value(port.get("vlan_mode")) == "trunk" and set_members(port.get("trunks")) == [
        RESERVED_VLAN
    ]


def has_link(interface: Row) -> bool:
    """Whether an interface has a link."""
    return [optional_value(interface.get(one)) for one in ("admin_state", "link_state")] == [
        "up",
        "up",
    ]
