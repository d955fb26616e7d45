"""The inventory of an SNMP element: its components, addresses and neighbours, also invalid ones."""

from dataclasses import replace

import pytest

from adapters.credentials import Secret
from adapters.snmp import entity_mib, mib, topology
from adapters.snmp.element import SnmpElement
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Component, Neighbour, Port

pytestmark = pytest.mark.anyio


async def inventory_of(gateway):
    secret = Secret(gateway.credentials[gateway.name])
    async with SnmpElement(gateway.target, secret) as element:
        return await element.inventory()


async def test_the_inventory_has_chassis_cards_addresses_and_neighbours():
    async with SimulatedGateway(ports=2) as gateway:
        inventory = await inventory_of(gateway)
        serial = gateway.serial
    facts = inventory.facts
    assert (facts.vendor, facts.model, facts.serial) == ("simulated", "SIM-100", serial)
    assert inventory.components == (
        Component("chassis", "chassis", "", "SIM-100", serial, ""),
        Component("line card 1", "card", "chassis", "SIM-LC-4", f"{serial}-1", "1.0"),
        Component("power supply 1", "powerSupply", "chassis", "SIM-PS", f"{serial}-2", ""),
    )
    assert {port.name: port.addresses for port in inventory.ports} == {
        "sub1": (),
        "sub2": (),
        "up0": ("198.18.0.1/30",),
    }
    assert inventory.neighbours == (Neighbour("up0", "core-1", "02:00:00:01:00:02", "ge-0/0/1"),)


async def test_an_element_without_optional_tables_has_ports(monkeypatch):
    monkeypatch.setattr("adapters.snmp.simulator.entity_rows", lambda serial: {})
    monkeypatch.setattr("adapters.snmp.simulator.topology_rows", lambda ports, neighbours: {})
    async with SimulatedGateway(ports=2) as gateway:
        inventory = await inventory_of(gateway)
    assert [port.name for port in inventory.ports] == ["sub1", "sub2", "up0"]
    assert (inventory.components, inventory.neighbours) == ((), ())
    assert inventory.facts.serial == ""


async def test_neighbours_keep_their_ports_when_indexes_change():
    async with SimulatedGateway(ports=2) as gateway:
        gateway.restart(shift=40)
        connected = await inventory_of(gateway)
        gateway.cut_link("up0")
        disconnected = await inventory_of(gateway)
    assert [neighbour.port for neighbour in connected.neighbours] == ["up0"]
    assert disconnected.neighbours == ()


def entities(*rows):
    """Return a table of rows (index, class, container, position, name)."""
    table = {column: {} for column in entity_mib.COLUMNS}
    for index, entity_class, container, position, name in rows:
        table[mib.ENT_CLASS][index] = entity_class
        table[mib.ENT_CONTAINED_IN][index] = container
        table[mib.ENT_PARENT_REL_POS][index] = position
        table[mib.ENT_NAME][index] = name
    return table


def test_a_card_in_a_slot_belongs_to_the_chassis():
    table = entities(("10", 9, 7, 1, b"card"), ("7", 5, 1, 1, b"slot"), ("1", 3, 0, 0, b"shelf"))
    components = entity_mib.components(table)
    assert [(component.name, component.parent) for component in components] == [
        ("shelf", ""),
        ("card", "shelf"),
    ]


def test_components_with_equal_names_get_unique_names():
    table = entities(
        ("1", 3, 0, 1, b"shelf"),
        ("2", 9, 1, 1, b"card"),
        ("3", 9, 1, 2, b"card"),
        ("4", 9, 1, 2, b"card"),
        ("5", 9, 1, 2, b"card"),
        ("6", 7, 1, 1, b""),
    )
    names = [component.name for component in entity_mib.components(table)]
    assert names == ["shelf", "card", "fan 1", "shelf/card", "shelf/card 2", "shelf/card 2 #2"]


@pytest.mark.parametrize(
    "rows",
    [
        [("1", 3, 1, 0, b"a")],
        [("1", 3, 2, 0, b"a"), ("2", 9, 1, 0, b"b")],
        [("1", 3, 2, 0, b"a"), ("2", 5, 3, 0, b"slot"), ("3", 5, 2, 0, b"slot")],
        [("1", 3, 99, 0, b"a")],
        [("1", 3, -1, -1, b"\xff\0"), ("2", 77, 1, 0, b"b")],
    ],
)
def test_components_with_invalid_containers_are_listed_once(rows):
    components = entity_mib.components(entities(*rows))
    assert len(components) == sum(1 for row in rows if row[1] in entity_mib.PHYSICAL_CLASSES)
    known = {""}
    for component in components:
        assert component.parent in known
        known.add(component.name)


def port(name, index="1", mac=""):
    return Port(name, index, "", enabled=True, up=True, speed=0, mac=mac, access=False)


def remote(key, **columns):
    table = {column: {} for column in topology.LLDP_REMOTE_COLUMNS}
    table[mib.LLDP_REM_CHASSIS_ID][key] = columns.get("chassis", b"switch")
    table[mib.LLDP_REM_CHASSIS_ID_SUBTYPE][key] = columns.get("subtype", 7)
    table[mib.LLDP_REM_PORT_ID][key] = b"7"
    return table


def local(key, subtype, port_id, description=b""):
    return {
        mib.LLDP_LOC_PORT_ID_SUBTYPE: {key: subtype},
        mib.LLDP_LOC_PORT_ID: {key: port_id},
        mib.LLDP_LOC_PORT_DESC: {key: description},
    }


@pytest.mark.parametrize(
    ("local_table", "expected"),
    [
        (local("9", 5, b"eth1"), "eth1"),
        (local("9", 3, b"\x02\0\0\0\0\x01"), "eth1"),
        (local("9", 7, b"1"), "eth1"),
        (local("9", 7, b"whatever", b"eth2"), "eth2"),
        (local("9", 7, b"whatever"), None),
        (local("8", 5, b"eth1"), None),
    ],
)
def test_the_local_port_of_a_neighbour_is_found_by_any_kind_of_port_id(local_table, expected):
    ports = {"1": port("eth1", mac="02:00:00:00:00:01"), "2": port("eth2", "2")}
    neighbours = topology.neighbours(remote("0.9.1"), local_table, ports)
    assert [neighbour.port for neighbour in neighbours] == ([expected] if expected else [])


BRIDGE_PORTS = {
    "10101": port("Gi0/1", "10101"),
    "10102": replace(port("Gi0/2", "10102"), description="GigabitEthernet0/2", alias="to core"),
    "2": replace(port("Vlan2", "2"), addresses=("198.51.100.1/24",)),
}


@pytest.mark.parametrize(
    ("local_table", "expected"),
    [
        (local("2", 7, b"2"), "Gi0/2"),
        (local("2", 7, b"10101"), "Gi0/1"),
        (local("2", 7, b"unknown"), "Gi0/2"),
        (local("2", 5, b"GigabitEthernet0/2"), "Gi0/2"),
        (local("2", 5, b"Gi0/1"), "Gi0/1"),
        (local("2", 1, b"to core"), "Gi0/2"),
        (local("2", 4, b"\x01\xc6\x33\x64\x01"), "Vlan2"),
        (local("2", 7, b"unknown", b"Gi0/1"), "Gi0/1"),
        (local("9", 7, b"unknown", b"to core"), "Gi0/2"),
    ],
)
def test_the_local_port_of_a_bridge_is_found_by_the_number_of_the_bridge_port(
    local_table, expected
):
    (key,) = local_table[mib.LLDP_LOC_PORT_ID]
    neighbours = topology.neighbours(
        remote(f"0.{key}.1"), local_table, BRIDGE_PORTS, {"1": 10101, "2": 10102}
    )
    assert [neighbour.port for neighbour in neighbours] == [expected]


def test_a_neighbour_with_several_time_marks_is_listed_once():
    table = remote("0.1.1")
    for column in table.values():
        for value in list(column.values()):
            column["77.1.1"] = value
    assert len(topology.neighbours(table, local("1", 5, b"eth1"), {"1": port("eth1")})) == 1


@pytest.mark.parametrize(
    ("subtype", "chassis", "expected"),
    [
        (4, b"\x02\0\0\0\0\x01", "02:00:00:00:00:01"),
        (5, b"\x01\xc6\x12\0\x01", "198.18.0.1"),
        (5, b"\x01\xc6", "\x01\ufffd"),
        (7, b"core-7", "core-7"),
    ],
)
def test_a_chassis_id_is_formatted_by_its_subtype(subtype, chassis, expected):
    table = remote("0.1.1", subtype=subtype, chassis=chassis)
    (neighbour,) = topology.neighbours(table, local("1", 5, b"eth1"), {"1": port("eth1")})
    assert neighbour.chassis == expected


def test_addresses_of_both_tables_are_merged_and_invalid_ones_skipped():
    table = {
        mib.IP_ADDRESS_IF_INDEX: {
            "1.4.198.18.1.1": 3,
            "2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1": 3,
            "1.4.127.0.0.1": 1,
            "1.4.198.18.1": 3,
            "1.4.198.18.1.999": 3,
            "9.2.1.1": 3,
        },
        mib.IP_ADDRESS_PREFIX: {"1.4.198.18.1.1": "0.0"},
    }
    legacy_table = {
        mib.IP_AD_ENT_IF_INDEX: {"198.18.1.1": 3, "198.18.2.1": 4, "x": 4},
        mib.IP_AD_ENT_NET_MASK: {"198.18.1.1": "255.255.255.0", "198.18.2.1": "nonsense"},
    }
    assert topology.addresses(table, legacy_table) == {"3": ("198.18.1.1/24", "2001:db8::1")}
